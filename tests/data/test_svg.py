"""What an SVG draws: shapes, what hides and what moves them, and what a hostile one must not take."""

import math

import numpy as np
import pytest

from tests.timing import least_seconds
from tfgen.data import svg
from tfgen.data.readers import Unreadable
from tfgen.data.svg import HIDDEN, read_svg

NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
SEEN = '<path d="M1 1L5 5"/>'


def read(tmp_path, body, attributes="", head=""):
    path = tmp_path / "a.svg"
    path.write_text(f"{head}<svg {NAMESPACES} {attributes}>{body}</svg>", "utf-8")
    return read_svg(path)


def lines_of(tmp_path, body, attributes=""):
    lines, notes = read(tmp_path, body, attributes)
    assert not notes
    return [line.tolist() for line in lines]


# Shapes


def test_shapes_by_hand(tmp_path):
    assert lines_of(tmp_path, '<rect x="1" y="2" width="3" height="4"/>') == [
        [[1, 2], [4, 2], [4, 6], [1, 6], [1, 2]]
    ]
    # A tenth of an inch; and half of the drawing's width, a quarter of its height.
    assert lines_of(tmp_path, '<line x1="0.1in" y1="6pt" x2="1px" y2="3pc"/>') == [
        [[pytest.approx(9.6), 8], [1, 48]]
    ]
    line = '<line x2="50%" y2="25%"/>'
    assert lines_of(tmp_path, line, 'viewBox="0 0 8 16"') == [[[0, 0], [4, 4]]]
    assert lines_of(tmp_path, line, 'width="8" height="16px"') == [[[0, 0], [4, 4]]]
    assert lines_of(tmp_path, '<rect width="3"/><circle/><ellipse rx="3"/>', 'width="100%"') == []


@pytest.mark.parametrize(
    ("shape", "radii"),
    [('<circle cx="3" cy="4" r="5"/>', (5, 5)), ('<ellipse cx="3" cy="4" rx="5" ry="2"/>', (5, 2))],
)
def test_a_circle_and_an_ellipse_are_round(tmp_path, shape, radii):
    [line] = np.array(lines_of(tmp_path, shape))
    assert line[0].tolist() == line[-1].tolist() == [8, 4]
    unit = (line - [3, 4]) / radii
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=5e-3)
    turned = np.unwrap(np.arctan2(unit[:, 1], unit[:, 0]))
    assert turned[-1] - turned[0] == pytest.approx(2 * math.pi)


def test_the_corners_of_a_rectangle_are_rounded(tmp_path):
    # One radius stands for both; none is larger than half of a side.
    [line] = np.array(lines_of(tmp_path, '<rect width="10" height="6" rx="2"/>'))
    assert line.min(axis=0).tolist() == [0, 0] and line.max(axis=0).tolist() == [10, 6]
    corner = line[(line[:, 0] > 8) & (line[:, 1] < 2)]
    np.testing.assert_allclose(np.linalg.norm(corner - [8, 2], axis=1), 2, atol=1e-2)
    [pill] = np.array(lines_of(tmp_path, '<rect width="10" height="6" rx="99" ry="99"/>'))
    np.testing.assert_allclose(np.linalg.norm((pill - [5, 3]) / [5, 3], axis=1), 1, atol=5e-3)


# What is hidden


@pytest.mark.parametrize(
    "hidden",
    [
        '<path style="display:none" d="M0 0L999 999"/>',
        '<g style="stroke:red; display : none !important"><g><path d="M0 0L999 999"/></g></g>',
        '<g display="none"><path visibility="visible" d="M0 0L-999 999"/></g>',
        '<g visibility="hidden"><path d="M0 0L-999 999"/></g>',
        '<g style="visibility:collapse"><g><path d="M0 0L-999 999"/></g></g>',
        '<g opacity="0"><path d="M0 0L-999 999"/></g>',
        '<g style="opacity:0%"><path opacity="1" d="M0 0L-999 999"/></g>',
        # An Inkscape layer switched off.
        '<g inkscape:groupmode="layer" style="display:none"><rect width="9" height="999"/></g>',
        '<style>/* no { */ .guide, line { display: none }</style><rect class="a guide"/>',
        "<style><![CDATA[#a{visibility:hidden}]]></style>"
        '<path style="fill:none" id="a" d="M0 0L-9 9"/>',
    ],
)
def test_what_is_hidden_is_left_out_and_counted(tmp_path, hidden):
    lines, notes = read(tmp_path, hidden + SEEN, 'xmlns:inkscape="urn:i"')
    assert [line.tolist() for line in lines] == [[[1, 1], [5, 5]]]
    assert notes == {HIDDEN: 1}


@pytest.mark.parametrize(
    "seen",
    [
        '<g visibility="hidden"><path visibility="visible" d="M1 1L5 5"/></g>',
        '<g display="inline" opacity="0.01"><path d="M1 1L5 5"/></g>',
        "<style>path{display:none} .b{display:none} #a{display:inline}</style>"
        '<path id="a" class="b" d="M1 1L5 5"/>',
        '<style>.b{display:none}</style><path class="b" style="display:inline" d="M1 1L5 5"/>',
        "<style>@media print { path { display: none } } g path{display:none}</style>" + SEEN,
        # Drawn by what refers to it only, or not at all.
        "<clipPath><rect width='9' height='9'/></clipPath><pattern><rect width='9' height='9'/>"
        "</pattern><symbol>" + SEEN + "</symbol>" + SEEN,
    ],
)
def test_what_is_seen_after_all(tmp_path, seen):
    assert lines_of(tmp_path, seen) == [[[1, 1], [5, 5]]]


def test_of_a_switch_the_first_that_is_for_us(tmp_path):
    # As Illustrator saves its files.
    body = f"""<switch><foreignObject requiredExtensions="&lt;ai&gt;"><path d="M0 0L99 99"/>
        </foreignObject><g>{SEEN}</g><path d="M0 0L9 9"/></switch>"""
    assert lines_of(tmp_path, body) == [[[1, 1], [5, 5]]]


# What moves


@pytest.mark.parametrize(
    "body",
    [
        '<g style="transform: translate(10px, 20px)"><path d="M0 0L2 0"/></g>',
        '<style>.m{transform:translate(10px,20px)}</style><path class="m" d="M0 0L2 0"/>',
        # The style wins over the attribute.
        '<path transform="scale(9)" style="transform:translate(10px,20px)" d="M0 0L2 0"/>',
        '<path style="transform:scale(2);transform-origin:-10px -20px" d="M0 0L1 0"/>',
        '<svg x="10" y="20"><path d="M0 0L2 0"/></svg>',
        '<svg x="10" y="20" width="20" height="40" viewBox="5 5 10 20"><path d="M5 5L6 5"/></svg>',
        # Wider than high: its middle is kept, or its beginning, or it is stretched.
        '<svg x="0" y="20" width="40" height="20" viewBox="0 0 10 10"><path d="M0 0L1 0"/></svg>',
        '<svg x="10" y="20" width="40" height="20" viewBox="0 0 10 10" '
        'preserveAspectRatio="xMinYMin"><path d="M0 0L1 0"/></svg>',
        '<svg x="10" y="20" width="20" height="9" viewBox="0 0 10 10" '
        'preserveAspectRatio="none"><path d="M0 0L1 0"/></svg>',
        '<svg x="10" y="20" width="20" height="9" viewBox="0 0 10 10" '
        'preserveAspectRatio="xMinYMin slice"><path d="M0 0L1 0"/></svg>',
        '<defs><path id="a" d="M0 0L2 0"/></defs><use href="#a" x="10" y="20"/>',
        '<use xlink:href="#a" transform="translate(10 20)"/><symbol id="a"><path d="M0 0L2 0"/>'
        "</symbol>",
        '<symbol id="a" viewBox="0 0 4 4"><path d="M0 0L1 0"/></symbol>'
        '<use href="#a" x="10" y="20" width="8" height="8"/>',
        '<defs><g id="a"><use href="#b" y="20"/></g><path id="b" d="M0 0L2 0"/></defs>'
        '<use href="#a" x="10"/>',
    ],
)
def test_what_moves_and_scales(tmp_path, body):
    lines, _ = read(tmp_path, body)
    np.testing.assert_allclose(np.concatenate(lines), [[10, 20], [12, 20]], atol=1e-9)
    assert len(lines) == 1


def test_uses_that_draw_nothing_are_counted(tmp_path):
    body = """<g id="a"><use href="#a"/><path d="M0 0L1 1"/></g><use href="#none"/>
        <use href="other.svg#a"/><use/>"""
    lines, notes = read(tmp_path, body)
    # The group draws itself, and within itself once more.
    assert len(lines) == 2
    assert notes == {
        "a <use> within itself, left out": 1,
        "a <use> of what is not in the file, left out": 3,
    }


# Entities


def test_the_entities_of_a_drawing_program_are_read(tmp_path):
    head = """<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x" [
        <!ENTITY ns_svg "http://www.w3.org/2000/svg"><!ENTITY off "display:none">
        <!ENTITY st0 "fill:none;">]>"""
    body = '<path style="&st0;&off;" d="M0 0L99 99"/>' + SEEN
    lines, notes = read(tmp_path, body, 'xmlns:x="&ns_svg;"', head)
    assert [line.tolist() for line in lines] == [[[1, 1], [5, 5]]] and notes == {HIDDEN: 1}


@pytest.mark.parametrize(
    "entity",
    [
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY % a "b">',
        '<!ENTITY b "lol"><!ENTITY a "&b;&b;">',
        '<!ENTITY a "&#38;b;">',
        '<!ENTITY a "&lt;path/>">',
        f'<!ENTITY a "{"x" * 300}">',
    ],
)
def test_other_entities_are_refused_with_a_way_out(tmp_path, entity):
    with pytest.raises(Unreadable, match="declares the entity 'a'.*save the drawing as plain SVG"):
        read(tmp_path, "&a;" + SEEN, head=f"<!DOCTYPE svg [{entity}]>")


def test_short_entities_must_not_make_a_long_text_either(tmp_path):
    head = f'<!DOCTYPE svg [<!ENTITY a "{"x" * 200}">]>'
    with pytest.raises(Unreadable, match="entity 'a'"):
        read(tmp_path, f'<g id="{"&a;" * 100_000}"/>', head=head)


# Time and memory


def uses(depth, width=10):
    groups = [f'<g id="u0">{SEEN}</g>']
    for level in range(depth):
        inner = f'<use href="#u{level}"/>' * width
        groups.append(f'<g id="u{level + 1}">{inner}</g>')
    return "<defs>" + "".join(groups) + f'</defs><use href="#u{depth}"/>'


HOSTILE = {
    "spaces of a transform": lambda n: f'<path transform="{" " * n}!" d="M0 0L1 1"/>',
    "open transforms": lambda n: f'<path transform="{"a(" * (n // 2)}" d="M0 0L1 1"/>',
    "many transforms": lambda n: f'<path transform="{"scale(1)" * (n // 8)}" d="M0 0L1 1"/>',
    "spaces of a path": lambda n: f'<path d="M0 0{" " * n}x"/>',
    "digits": lambda n: f'<path d="M0 0L{"1" * n}"/>',
    "points": lambda n: f'<polyline points="{"1 2 " * (n // 4)}"/>',
    "spaces of a length": lambda n: f'<rect width="1{" " * n}x" height="3"/>',
    "classes": lambda n: f'<style>.a{{display:none}}</style><path class="{"a " * (n // 2)}"/>',
    "braces": lambda n: f"<style>{'{' * n}</style>",
    "comments": lambda n: f"<style>{'/*' * (n // 2)}</style>",
    "depth": lambda n: "<g>" * (n // 7) + "</g>" * (n // 7),
    "moves": lambda n: f'<path d="{"M0 0h1" * (n // 6)}"/>',
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_time_grows_with_the_size(tmp_path, fault):
    small, large = (HOSTILE[fault](size) for size in (10_000, 80_000))
    # Eight times the size; 64 times the time would be the square.
    most = 24 * least_seconds(lambda: read(tmp_path, small)) + 0.3
    assert least_seconds(lambda: read(tmp_path, large), most) < most


def test_what_uses_multiply_is_bounded(tmp_path, monkeypatch):
    assert len(read(tmp_path, uses(2))[0]) == 100
    monkeypatch.setattr(svg, "MAX_ELEMENTS", 20_000)
    with pytest.raises(Unreadable, match="draws more than 20,000 elements"):
        read(tmp_path, uses(9))
    with pytest.raises(Unreadable, match="draws more than 20,000 elements"):
        read(tmp_path, "<g/>" * 20_001)
    monkeypatch.setattr(svg, "MAX_POINTS", 2000)
    long = f'<path id="p" d="M0 0{"h1" * 300}"/>' + '<use href="#p"/>' * 30
    with pytest.raises(Unreadable, match="has more than 2,000 points"):
        read(tmp_path, long)


def test_numbers_too_large_are_left_out_without_a_warning(tmp_path):
    body = '<g transform="scale(1e300)"><path transform="scale(1e300)" d="M0 0L1 1"/></g>' + SEEN
    lines, notes = read(tmp_path, body)
    assert len(lines) == 1 and notes == {"a path with numbers too large, left out": 1}
    assert read(tmp_path, '<rect width="1e400" height="1"/>' + SEEN)[0]
