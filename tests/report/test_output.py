"""What is written can be read again, and is whole or not there."""

import csv
import types
import wave
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tfgen.data.audio import open_audio
from tfgen.data.contexts import Context
from tfgen.data.sequences import Feature
from tfgen.data.strokes import FEATURES, open_strokes, to_deltas
from tfgen.data.time_series import open_tables
from tfgen.errors import InputError
from tfgen.kinds import KINDS, kinds_of_numbers
from tfgen.recipe import DataConfig
from tfgen.report import kinds, output
from tfgen.report.drawings import svg_sheet
from tfgen.report.kinds import formats_of
from tfgen.report.output import check_output, write_forecasts, write_sequences

WEATHER = (Feature("temp"), Feature("sky", levels=("clear", "rain")), Feature("humid", low=0))
SOUND = (Feature("amplitude", low=-1, high=1),)
RNG = np.random.default_rng(0)


def series():
    first = np.array([[0.1, 0, 1e-7], [np.nan, 1, -3e8], [1 / 3, np.nan, np.nan]], np.float32)
    return [first, first[::-1][:2]]


def drawings():
    shapes = [[[[0, 0], [8, 1], [3, 5]], [[2, 2], [4, 4]]], [[[0, 0], [5, 0.3]], [[1, 1]]]]
    return [to_deltas(shape) for shape in shapes]


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


# Tables


def test_a_table_is_what_a_person_can_read(tmp_path):
    times = [np.array([0, 60, 120]), np.array([1357020000, 1357020060])]
    [path] = write_sequences(tmp_path / "a.csv", series(), WEATHER, times=times)
    assert rows_of(path) == [
        ["sample", "time", "temp", "sky", "humid"],
        ["1", "1970-01-01T00:00:00", "0.1", "clear", "1e-07"],
        ["1", "1970-01-01T00:01:00", "", "rain", "-3e+08"],
        ["1", "1970-01-01T00:02:00", "0.33333334", "", ""],
        ["2", "2013-01-01T06:00:00", "0.33333334", "", ""],
        ["2", "2013-01-01T06:01:00", "", "rain", "-3e+08"],
    ]


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_series_come_back_as_they_were(tmp_path, suffix):
    times = [np.array([0, 60, 120]) + 1357020000, np.array([60, 120]) + 1357020000]
    names = ["north", "south"]
    [path] = write_sequences(tmp_path / f"a{suffix}", series(), WEATHER, times=times, ids=names)
    config = DataConfig(name="a", id="sample")
    back = open_tables("a", [path], config)
    assert back.ids == names
    assert [feature.name for feature in back.features] == ["temp", "sky", "humid"]
    assert back.features[1].levels == ("clear", "rain")
    for values, expected in zip(back.values, series(), strict=True):
        np.testing.assert_array_equal(values, expected)
    for stamps, expected in zip(back.times, times, strict=True):
        np.testing.assert_array_equal(stamps, expected)


def test_a_feature_called_sample_or_time_keeps_its_name(tmp_path):
    features = (Feature("sample"), Feature("time"))
    [path] = write_sequences(tmp_path / "a.csv", [np.ones([1, 2])], features, times=[np.zeros(1)])
    assert rows_of(path)[0] == ["sample_", "time_", "sample", "time"]


# Strokes


def test_drawings_come_back_from_a_table_by_the_pens_name(tmp_path):
    [path] = write_sequences(tmp_path / "a.csv", drawings(), FEATURES, "strokes")
    assert rows_of(path)[0] == ["sample", "dx", "dy", "pen"]
    back = open_tables("a", [path], DataConfig(name="a", id="sample"))
    assert back.features[2].levels == ("down", "up")
    for values, expected in zip(back.values, drawings(), strict=True):
        np.testing.assert_array_equal(values, expected)


def test_drawings_come_back_from_an_archive(tmp_path):
    [path] = write_sequences(tmp_path / "a.npz", drawings(), FEATURES, "strokes")
    back = open_strokes("a", [path], DataConfig(name="a"))
    for values, expected in zip(back.values, drawings(), strict=True):
        np.testing.assert_array_equal(values, expected)


def test_a_drawing_comes_back_from_svg(tmp_path):
    for drawing in drawings():
        [path] = write_sequences(tmp_path / "a.svg", [drawing], FEATURES, "strokes")
        [back] = open_strokes("a", [path], DataConfig(name="a")).values
        np.testing.assert_allclose(back, drawing, atol=1e-5)


def test_a_sheet_of_svg_has_a_path_in_every_cell():
    many = [drawings()[0]] * 5
    tree = ET.fromstring(svg_sheet(many, titles=["a", "<b>", "&", "d", "e"], columns=3))
    space = "{http://www.w3.org/2000/svg}"
    _, _, width, height = map(float, tree.get("viewBox").split())
    assert width / 3 == pytest.approx(height / 2)
    paths = tree.findall(f".//{space}path")
    assert [path.findtext(f"{space}title") for path in paths] == ["a", "<b>", "&", "d", "e"]
    cell = width / 3
    for number, path in enumerate(paths):
        words = path.get("d").replace("M", " ").replace("L", " ").split()
        points = np.array([[float(x) for x in word.split(",")] for word in words])
        assert (points // cell == [number % 3, number // 3]).all()
        assert len(points) == 5 and path.get("d").count("M") == 2


# Sound


def test_sound_comes_back_to_16_bits(tmp_path):
    sound = RNG.uniform(-1, 1, [500, 1]).astype(np.float32)
    sound[:3, 0] = [1, -1, 0]
    [path] = write_sequences(tmp_path / "a.wav", [sound], SOUND, "audio", sample_rate=8000)
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
    back = open_audio("a", [path], DataConfig(name="a"))
    assert back.sample_rate == 8000
    np.testing.assert_allclose(back.values[0], sound, atol=2**-15)
    assert back.values[0][:3, 0].tolist() == [1 - 2**-15, -1, 0]


def test_what_is_too_loud_is_clipped(tmp_path):
    [path] = write_sequences(
        tmp_path / "a.wav", [[[3.0], [-3.0]]], SOUND, "audio", sample_rate=8000
    )
    back = open_audio("a", [path], DataConfig(name="a")).values[0]
    assert back[:, 0].tolist() == [1 - 2**-15, -1]
    with pytest.raises(ValueError, match="finite"):
        write_sequences(path, [[[np.nan]]], SOUND, "audio", sample_rate=8000)


def test_several_sounds_are_several_files(tmp_path):
    sounds = [np.full([length, 1], 0.5) for length in (10, 20)]
    paths = write_sequences(tmp_path / "x.wav", sounds, SOUND, "audio", sample_rate=4000)
    assert [path.name for path in paths] == ["x-1.wav", "x-2.wav"]
    back = open_audio("x", paths, DataConfig(name="x"))
    assert [len(values) for values in back.values] == [10, 20]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x-1.wav", "x-2.wav"]


def test_sound_as_an_archive_keeps_its_rate(tmp_path):
    sounds = [np.full([3, 1], 0.5), np.zeros([2, 1])]
    [path] = write_sequences(tmp_path / "x.npz", sounds, SOUND, "audio", sample_rate=4000)
    with np.load(path, allow_pickle=False) as archive:
        assert archive["sample_rate"] == 4000
        assert archive["sample"].tolist() == [1, 1, 1, 2, 2]
        assert archive["amplitude"].tolist() == [0.5] * 3 + [0] * 2
    with pytest.raises(ValueError, match="sample_rate=None"):
        write_sequences(path, sounds, SOUND, "audio")


# Pictures


def captured(monkeypatch, module, name):
    """Makes a function that draws tell with what it was called."""
    calls, draw = [], getattr(module, name)

    def record(*arguments, **options):
        calls.append([*arguments, *options.values()])
        return draw(*arguments, **options)

    monkeypatch.setattr(module, name, record)
    return calls


@pytest.mark.parametrize(
    ("kind", "arrays", "features", "options", "drawn"),
    [
        ("series", series(), WEATHER, {"times": [np.arange(3), np.arange(2)]}, "series_figure"),
        ("strokes", drawings(), FEATURES, {"ids": ["a", "b"]}, "stroke_sheet"),
        ("audio", [np.zeros([900, 1])], SOUND, {"sample_rate": 8000}, "sound_figure"),
    ],
)
def test_a_picture_fits_its_kind(tmp_path, monkeypatch, kind, arrays, features, options, drawn):
    calls = captured(monkeypatch, kinds, drawn)
    [path] = write_sequences(tmp_path / "a.PNG", arrays, features, kind, title="Title", **options)
    assert path.read_bytes().startswith(b"\x89PNG")
    [given] = calls
    assert any(value == "Title" for value in given if isinstance(value, str))
    for value in options.values():
        assert any(value is one for one in given)


# Forecasts


def forecasts():
    """Two forecasts of four steps, of what five rows before them say, with two samples each."""
    contexts, found = [], []
    for name, start, level in (("north", 6000, 7.0), ("south", 60000, 9.0)):
        context = Context(name, np.full([5, 2], level))
        context.times = start + 60 * np.arange(5)
        context.future = start + 60 * np.arange(5, 9)
        samples = np.stack([np.full([4, 2], level), np.full([4, 2], level + 2)])
        samples[:, :, 1] = [[0], [1]]  # clear and rain
        quantiles = {0.1: samples[0], 0.9: samples[1]}
        contexts.append(context)
        found.append(
            types.SimpleNamespace(mean=samples.mean(axis=0), quantiles=quantiles, samples=samples)
        )
    return contexts, found, WEATHER[:2], (0.1, 0.9)


def test_forecasts_as_a_table_have_a_row_for_each_step_and_feature(tmp_path):
    [path] = write_forecasts(tmp_path / "a.csv", *forecasts())
    rows = rows_of(path)
    assert len(rows) == 1 + 2 * 4 * 3
    assert rows[:4] == [
        ["id", "time", "feature", "mean", "q0.1", "q0.9"],
        ["north", "1970-01-01T01:45:00", "temp", "8.0", "7.0", "9.0"],
        ["north", "1970-01-01T01:45:00", "sky=clear", "0.5", "", ""],
        ["north", "1970-01-01T01:45:00", "sky=rain", "0.5", "", ""],
    ]


def test_forecasts_as_an_archive(tmp_path):
    contexts, found, features, levels = forecasts()
    [path] = write_forecasts(tmp_path / "a.npz", contexts, found, features, levels)
    with np.load(path) as content:
        assert content["ids"].tolist() == ["north", "south"]
        assert content["times"][0, 0] == np.datetime64("1970-01-01T01:45")
        assert content["samples"].shape == (2, 2, 4, 2)
        assert content["quantiles"][1, 1, 0].tolist() == [11, 1]
    for context in contexts:
        context.future = None
    [path] = write_forecasts(tmp_path / "b.npz", contexts, found, features, levels)
    with np.load(path) as content:
        assert "times" not in content


def test_a_picture_of_each_forecast(tmp_path, monkeypatch):
    calls = captured(monkeypatch, output, "forecast_figure")
    paths = write_forecasts(tmp_path / "a.png", *forecasts())
    assert [path.name for path in paths] == ["a-1.png", "a-2.png"]
    history, median, quantiles, _, times = calls[1]
    assert (history == 9).all() and (median[:, 0] == 10).all()
    assert (quantiles[0.1][:, 0] == 9).all() and (quantiles[0.9][:, 0] == 11).all()
    np.testing.assert_array_equal(times, 60000 + np.arange(9) * 60)
    assert paths[0].read_bytes() != paths[1].read_bytes()


# What cannot be written


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("a.txt", "series", "Unknown suffix '.txt'.*Known: .csv, .npz, .png"),
        ("a", "audio", "Unknown suffix ''.*Known: .csv, .npz, .png, .wav"),
        (
            "a.svg",
            "series",
            r"\.svg is for strokes, and this is series: choose one of .*path=a.svg",
        ),
        ("a.wav", "strokes", r"\.wav is for audio and music, and this is strokes: .*\.svg"),
    ],
)
def test_a_suffix_that_does_not_fit(name, kind, message):
    with pytest.raises(InputError, match=message):
        check_output(name, kind)
    with pytest.raises(InputError, match=message):
        write_sequences(name, [np.zeros([1, 3])], FEATURES, kind)


def test_arrays_must_have_the_features(tmp_path):
    with pytest.raises(ValueError, match=r"shape \(time, 3\). Received: shape=\(4, 2\)"):
        write_sequences(tmp_path / "a.csv", [np.zeros([4, 2])], WEATHER)
    with pytest.raises(ValueError, match="at least one"):
        write_sequences(tmp_path / "a.csv", [], WEATHER)


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    good = [np.zeros([5, 1])] * 2
    write_sequences(path, good, SOUND, "audio", sample_rate=4000)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    bad = [np.ones([5, 1]), np.full([5, 1], np.nan)]
    with pytest.raises(ValueError, match="finite"):
        write_sequences(path, bad, SOUND, "audio", sample_rate=4000)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_sequences(blocked / "a.csv", [np.zeros([1, 3])], WEATHER)


def test_what_a_person_wants_most_is_a_format_of_the_kind():
    usual = {name: KINDS[name].usual_suffix for name in kinds_of_numbers()}
    assert usual == {"series": ".csv", "strokes": ".svg", "audio": ".wav", "music": ".mid"}
    assert all(suffix in formats_of(name) for name, suffix in usual.items())
