"""Drawings of archives and of SVG files become pen movements."""

import math

import numpy as np
import pytest

from tfgen.data.strokes import (
    open_strokes,
    simplify,
    simplify_drawing,
    to_deltas,
    to_lines,
)
from tfgen.data.svg import MAX_FILE_BYTES, read_svg
from tfgen.data.svg_paths import parse_path
from tfgen.data.svg_styles import parse_transform
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

CONFIG = DataConfig(name="drawings")
SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]


def svg(tmp_path, body, name="a.svg", head=""):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{head}<svg xmlns="http://www.w3.org/2000/svg">{body}</svg>', "utf-8")
    return path


def lines_of(tmp_path, body):
    return read_svg(svg(tmp_path, body))[0]


def points(data):
    """The polyline of a path's one subpath of straight lines."""
    [subpath], whole = parse_path(data)
    assert whole
    return [*subpath[0][:1].tolist(), *(segment[-1].tolist() for segment in subpath)]


def bezier(control, along):
    """A point of a Bezier curve by de Casteljau's algorithm."""
    control = np.asarray(control, float)
    while len(control) > 1:
        control = control[:-1] * (1 - along) + control[1:] * along
    return control[0]


# The data of a path


@pytest.mark.parametrize(
    "data",
    [
        "M0,0 L10,0 L10,10 L0,10 L0,0",
        "M0 0 10 0 10 10 0 10 0 0",
        "M0 0H10V10H0V0",
        "m0 0h10v10h-10v-10",
        "m0,0 10,0 0,10 -10,0z",
        "M0-0L1e1 0,10,10 0 10Z",
        "M0 0l10 0l0 10l-10 0l0-10",
        "M.0.0L10.0.0 10 10 0,10+0,0",
    ],
)
def test_one_square_in_many_ways(data):
    assert points(data) == SQUARE


def test_a_path_of_several_lines():
    subpaths, whole = parse_path("M0 0h1zm5 5h1M9 9v1")
    assert whole
    # After z a relative moveto starts from where the closed line began.
    assert [subpath[0][0].tolist() for subpath in subpaths] == [[0, 0], [5, 5], [9, 9]]
    subpaths, _ = parse_path("M1 1h1zh2")
    assert subpaths[1][0].tolist() == [[1, 1], [3, 1]]


def test_curves_keep_their_control_points():
    [[cubic, smooth]], _ = parse_path("M0 0C1 2 3 4 5 5S8 8 9 9")
    np.testing.assert_array_equal(cubic, [[0, 0], [1, 2], [3, 4], [5, 5]])
    np.testing.assert_array_equal(smooth, [[5, 5], [7, 6], [8, 8], [9, 9]])
    [[quadratic, mirrored, again]], _ = parse_path("M0 0q1 2 3 0t3 0 3 0")
    np.testing.assert_array_equal(quadratic, [[0, 0], [1, 2], [3, 0]])
    np.testing.assert_array_equal(mirrored, [[3, 0], [5, -2], [6, 0]])
    np.testing.assert_array_equal(again, [[6, 0], [7, 2], [9, 0]])
    # After another command there is no control point to mirror: the current point is taken.
    [[_, lone]], _ = parse_path("M0 0L4 4S8 8 9 9")
    np.testing.assert_array_equal(lone, [[4, 4], [4, 4], [8, 8], [9, 9]])
    [[_, relative]], _ = parse_path("M0 0h5c1 2 3 4 5 5")
    np.testing.assert_array_equal(relative, [[5, 0], [6, 2], [8, 4], [10, 5]])


@pytest.mark.parametrize(
    ("large", "sweep", "centre", "turn"),
    [(0, 1, 0, 0.25), (1, 0, 0, -0.75), (0, 0, 5, -0.25), (1, 1, 5, 0.75)],
)
def test_arcs_lie_on_their_circle(large, sweep, centre, turn):
    # Two circles of radius 5 go through (5, 0) and (0, 5): about (0, 0) and about (5, 5).
    [curves], whole = parse_path(f"M5,0A5,5 0 {large} {sweep} 0,5")
    assert whole
    dense = np.array([bezier(curve, a) for curve in curves for a in np.linspace(0, 1, 50)])
    np.testing.assert_allclose(np.linalg.norm(dense - centre, axis=1), 5, atol=2e-3)
    angles = np.unwrap(np.arctan2(*(dense - centre).T[::-1]))
    assert (angles[-1] - angles[0]) / (2 * math.pi) == pytest.approx(turn)


def test_an_arc_with_flags_glued_on_and_a_turned_ellipse():
    [glued], _ = parse_path("M0 0a4 2 90 0110 3")
    [spaced], _ = parse_path("M0 0a4 2 90 0 1 10 3")
    np.testing.assert_array_equal(glued, spaced)
    # Half an ellipse between the ends of its long axis, which stands upright: it is 2 wide.
    [curves], _ = parse_path("M0 0A4 2 90 0 1 0 8")
    dense = np.array([bezier(curve, a) for curve in curves for a in np.linspace(0, 1, 51)])
    assert dense[:, 0].max() == pytest.approx(2, abs=1e-3)
    assert dense[-1].tolist() == [0, 8]
    # Radii that are too small grow until the arc reaches; none at all make a line.
    [small], _ = parse_path("M0 0A1 1 0 0 1 10 0")
    dense = np.array([bezier(curve, a) for curve in small for a in np.linspace(0, 1, 51)])
    np.testing.assert_allclose(np.linalg.norm(dense - [5, 0], axis=1), 5, atol=2e-3)
    assert points("M0 0A0 3 0 0 1 10 0") == [[0, 0], [10, 0]]


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        ("M0 0L1 1L2 x", 1),
        ("M0 0L1 1L2", 1),
        ("M0 0L1 1 K3 3", 1),
        ("L1 1", 0),
        ("0 0 1 1", 0),
        ("M0 0L1 1z3 3", 2),
        ("M0 0A1 1 0 2 0 1 1", 0),
        ("M0 0L1e99 0", 0),
    ],
)
def test_a_path_is_drawn_up_to_its_error(data, kept):
    subpaths, whole = parse_path(data)
    assert not whole
    assert sum(map(len, subpaths)) == kept


def test_transforms_of_groups_and_elements(tmp_path):
    body = """<g transform="translate(10, 20)"><g transform="scale(2)">
        <polyline points="0,0 1,1" transform="rotate(90)"/></g><line x2="1" y2="0"/></g>"""
    first, second = lines_of(tmp_path, body)
    np.testing.assert_allclose(first, [[10, 20], [8, 22]], atol=1e-9)
    np.testing.assert_allclose(second, [[10, 20], [11, 20]])


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("matrix(1 2 3 4 5 6)", (1 * 2 + 3 * 3 + 5, 2 * 2 + 4 * 3 + 6)),
        ("translate(5)", (7, 3)),
        ("scale(2,3)", (4, 9)),
        ("rotate(90, 2, 0)", (-1, 0)),
        ("skewX(45)", (5, 3)),
        ("skewY(45)", (2, 5)),
        ("translate(1,1) , scale(2)", (5, 7)),
        ("", (2, 3)),
        ("none", (2, 3)),
        # As CSS writes them.
        ("translate(5px, 1pc)", (7, 19)),
        ("translateX(1in) translateY(3pt)", (98, 7)),
        ("scaleX(2) scaleY(50%)", (4, 1.5)),
        ("rotate(0.25turn)", (-3, 2)),
        ("rotate(100grad)", (-3, 2)),
        ("skew(45deg, 0)", (5, 3)),
    ],
)
def test_each_transform(text, point):
    a, b, c, d, e, f = parse_transform(text)
    moved = a * 2 + c * 3 + e, b * 2 + d * 3 + f
    np.testing.assert_allclose(moved, point, atol=1e-9)


# SVG files


def test_every_kind_of_line_and_what_is_none(tmp_path):
    body = """<defs><path d="M0 0L9 9"/></defs>
        <path d="M1 1L2 2"/><polyline points="3,3 4,4"/><polygon points="0,0 2,0 2,2"/>
        <line x1="5" y1="5" x2="6" y2="6"/><image width="3" height="3"/><text>no</text>"""
    lines, notes = read_svg(svg(tmp_path, body))
    assert [line.tolist() for line in lines] == [
        [[1, 1], [2, 2]],
        [[3, 3], [4, 4]],
        [[0, 0], [2, 0], [2, 2], [0, 0]],
        [[5, 5], [6, 6]],
    ]
    assert notes == {"a <image>, which is not read": 1, "a <text>, which is not read": 1}


def test_curves_are_flattened_within_the_tolerance(tmp_path):
    control = [[0, 0], [0, 100], [100, 100], [100, 0]]
    path = svg(tmp_path, '<path d="M0 0C0 100 100 100 100 0"/>')
    dense = np.array([bezier(control, a) for a in np.linspace(0, 1, 2001)])
    sizes = []
    for tolerance in (0.05, 0.01):
        [line], _ = read_svg(path, tolerance)
        np.testing.assert_array_equal(line[[0, -1]], [[0, 0], [100, 0]])
        error = max(distance_to(line, point) for point in dense[::10])
        assert error <= tolerance
        sizes.append(len(line))
    # Not finer than is needed, either.
    assert 10 < sizes[0] < sizes[1] < 150


def distance_to(line, point):
    start, step = line[:-1], np.diff(line, axis=0)
    along = np.clip(((point - start) * step).sum(1) / (step**2).sum(1), 0, 1)
    return np.linalg.norm(start + along[:, None] * step - point, axis=1).min()


def test_dots_and_repeated_points(tmp_path):
    lines = lines_of(tmp_path, '<path d="M3 3L3 3"/><path d="M4 4z"/><path d="M0 0L0 0L1 1L1 1"/>')
    assert [line.tolist() for line in lines] == [[[3, 3]], [[4, 4]], [[0, 0], [1, 1]]]


def test_a_document_type_is_harmless(tmp_path):
    body = '<path d="M1 1L2 2"/>'
    # As KanjiVG's files begin; nothing is fetched.
    head = """<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.0//EN"
        "http://nowhere.invalid/svg10.dtd" [<!ATTLIST g x CDATA #IMPLIED>]>"""
    assert len(read_svg(svg(tmp_path, body, head=head))[0]) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<svg><path d='M0 0L1 1'></svg>", "no SVG: mismatched tag"),
        (b"<html></html>", "first element is <html>"),
        (b"hello", "no SVG"),
        (b"", "no SVG"),
        (b"<svg>&lol;</svg>", "undefined entity"),
        (b" " * (MAX_FILE_BYTES + 1), "larger than"),
    ],
)
def test_what_is_no_svg_is_said_in_one_line(tmp_path, content, message):
    path = tmp_path / "a.svg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        open_strokes("x", [path], CONFIG)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


# Movements


def test_lines_become_movements_from_the_middle():
    lines = [np.array([[0.0, 0], [4, 0]]), np.array([[4.0, 6]])]
    deltas = to_deltas(lines)
    # The middle is (2, 3).
    np.testing.assert_array_equal(deltas, [[-2, -3, 0], [4, 0, 1], [0, 6, 1]])
    assert deltas.dtype == np.float32
    back = to_lines(deltas)
    for line, expected in zip(back, lines, strict=True):
        np.testing.assert_array_equal(line, expected - [2, 3])
    np.testing.assert_array_equal(to_deltas([line + 100 for line in lines]), deltas)
    assert to_deltas([]).shape == (0, 3)


def test_simplify_by_hand():
    line = np.array([[0, 0], [1, 0.4], [2, 0], [3, 2], [4, 0]], float)
    # From (0, 0) to (4, 0) the farthest is (3, 2), and from there to (0, 0) it is (2, 0), off by
    # 4 / sqrt(13) = 1.11; then (1, 0.4) is off by 0.4.
    assert simplify(line, 0.5).tolist() == [[0, 0], [2, 0], [3, 2], [4, 0]]
    assert simplify(line, 0.3).tolist() == line.tolist()
    assert simplify(line, 1.2).tolist() == [[0, 0], [3, 2], [4, 0]]
    assert simplify(line, 2.1).tolist() == [[0, 0], [4, 0]]
    # A line that goes out and comes back is no dot, though its ends are one point.
    there = np.array([[0, 0], [5, 0], [0, 0]], float)
    assert simplify(there, 1).tolist() == there.tolist()
    # Nor is one that overshoots its end straight.
    beyond = np.array([[0, 0], [10, 0], [5, 0]], float)
    assert simplify(beyond, 1).tolist() == beyond.tolist()
    assert simplify(line[:1], 1).tolist() == [[0, 0]]


def test_a_simplified_drawing_stays_where_it_was():
    rng = np.random.default_rng(0)
    drawing = np.concatenate([rng.normal(size=(60, 2)), rng.random((60, 1)) < 0.1], axis=1)
    drawing[-1, 2] = 1
    small = simplify_drawing(drawing, 0.8)
    assert len(small) < len(drawing)
    before, after = to_lines(drawing), to_lines(small)
    assert len(before) == len(after)
    for line, kept in zip(before, after):
        np.testing.assert_allclose(kept, simplify(line, 0.8), atol=1e-5)


# Archives


def test_an_archive_of_points_and_offsets(tmp_path):
    points = np.array([[1, 2, 0], [3, 4, 1], [5, 6, 0], [7, 8, 0]], np.int16)
    path = tmp_path / "d.npz"
    np.savez(path, points=points, offsets=[0, 2, 4], labels=[1, 0], classes=["cat", "ant"])
    sequences = open_strokes("d", [path], CONFIG)
    assert sequences.kind == "strokes" and sequences.ends
    assert [feature.name for feature in sequences.features] == ["dx", "dy", "pen"]
    assert sequences.features[2].levels == ("down", "up")
    np.testing.assert_array_equal(sequences.values[0], points[:2])
    # The last point of a drawing lifts the pen.
    np.testing.assert_array_equal(sequences.values[1], [[5, 6, 0], [7, 8, 1]])
    assert sequences.values[0].dtype == np.float32
    assert [sequences.classes[label] for label in sequences.labels] == ["ant", "cat"]
    assert sequences.report.kept == 2 and not sequences.report.dropped
    np.savez(path, points=points, offsets=[0, 2, 4], labels=[10, 9])
    assert open_strokes("d", [path], CONFIG).classes == ("09", "10")
    np.savez(path, points=points, offsets=[0, 2, 4])
    assert open_strokes("d", [path], CONFIG).labels is None


def test_an_archive_of_one_array_a_drawing(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, cat=np.ones([3, 3]), dog=np.zeros([2, 3]), none=np.zeros([0, 3]))
    sequences = open_strokes("d", [path], CONFIG)
    assert sequences.ids == ["cat", "dog"]
    assert [len(values) for values in sequences.values] == [3, 2]
    assert sequences.report.dropped == {"no point is drawn": [1, "none"]}


def test_max_length_cuts_and_counts(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, a=np.zeros([5, 3]), b=np.zeros([3, 3]), c=np.zeros([9, 3]))
    sequences = open_strokes("d", [path], DataConfig(name="d", max_length=3))
    assert [len(values) for values in sequences.values] == [3, 3, 3]
    assert all(values[-1, 2] == 1 and values[-2, 2] == 0 for values in sequences.values)
    assert sequences.report.dropped == {"the part after position 3 (max_length)": [2, "a"]}


def test_simplify_of_the_config_counts_for_archives_and_svg(tmp_path):
    steps = np.array([[0, 0, 0], [1, 0.1, 0], [1, -0.1, 0], [1, 0, 1]])
    np.savez(tmp_path / "d.npz", a=steps)
    circle = svg(tmp_path, '<path d="M9 5A4 4 0 0 1 1 5A4 4 0 0 1 9 5"/>')
    lengths = []
    for tolerance in (0.0, 0.2, 1.0):
        config = DataConfig(name="d", simplify=tolerance)
        values = open_strokes("d", [tmp_path / "d.npz", circle], config).values
        lengths.append([len(value) for value in values])
    assert [a for a, _ in lengths] == [4, 2, 2]
    assert lengths[0][1] > 30 and 20 > lengths[1][1] > lengths[2][1] > 3


def test_labels_of_folders(tmp_path):
    body = '<path d="M1 1L2 2"/>'
    paths = [svg(tmp_path, body, name) for name in ("dog/1.svg", "cat/1.svg", "dog/2.svg")]
    sequences = open_strokes("x", paths, DataConfig(name="x", label="folder"))
    assert sequences.classes == ("cat", "dog")
    assert sequences.labels.tolist() == [1, 0, 1] and sequences.labels.dtype == np.int32
    assert open_strokes("x", paths, CONFIG).labels is None
    with pytest.raises(InputError, match="data.label=species"):
        open_strokes("x", paths, DataConfig(name="x", label="species"))


def test_of_several_files_the_bad_ones_are_counted(tmp_path):
    good = svg(tmp_path, '<path d="M1 1L2 2" transform="turn(3)"/>')
    empty = svg(tmp_path, "<text>hi</text>", "empty.svg")
    bad = tmp_path / "bad.svg"
    bad.write_text("<svg")
    sequences = open_strokes("x", [good, empty, bad], CONFIG)
    assert len(sequences) == 1 == sequences.report.kept
    counts = {reason: number for reason, (number, _) in sequences.report.dropped.items()}
    assert counts == {
        "a transform that is not understood and was left out": 1,
        "a <text>, which is not read": 1,
        "no point is drawn": 1,
        "no SVG": 1,
    }
    with pytest.raises(
        InputError, match="There is no drawing in x: 1 x a <text>.*; 1 x no point is drawn"
    ):
        open_strokes("x", [empty], CONFIG)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros([3, 2])}, r"'a' must be numbers of shape \(points, 3\)"),
        ({"a": np.zeros([3, 3], "U3")}, "'a' must be numbers"),
        ({"a": np.full([3, 3], np.nan)}, "'a' holds a number that is not finite"),
        ({"a": np.full([3, 3], 2.0)}, r"third column of 'a' must be 0 .* Received: 2.0"),
        ({"points": np.zeros([3, 3])}, "'points' but no 'offsets'"),
        ({"points": np.zeros([3, 3]), "offsets": [0, 2]}, "rise from 0 to the 3 rows"),
        ({"points": np.zeros([3, 3]), "offsets": [0, 2, 1, 3]}, "rise from 0"),
        ({"points": np.zeros([3, 3]), "offsets": [0.0, 3.0]}, "integers"),
        ({"points": np.zeros([3, 3]), "offsets": [0, 3], "labels": [0, 1]}, "'labels' must be"),
        (
            {"points": np.zeros([3, 3]), "offsets": [0, 3], "labels": [2], "classes": ["a"]},
            "'classes' must be a text for each of the 3 labels",
        ),
        ({"points": np.zeros([3, 3]), "offsets": [0, 3], "x": [2]}, "array 'x' beside 'points'"),
    ],
)
def test_what_an_archive_must_be(tmp_path, arrays, message):
    path = tmp_path / "d.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message):
        open_strokes("d", [path], CONFIG)
