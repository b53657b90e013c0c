"""The chorales that music21 carries, as its own reader has them."""

import zipfile

import numpy as np
import pytest

from tfgen.data import open_sequences
from tfgen.data.music import chorales
from tfgen.data.music.frames import sounding
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

_NOTE = "<note>{}<pitch><step>{}</step>{}<octave>{}</octave></pitch>{}{}</note>"


def _note(step, octave, length, alter=0, chord="", tie=""):
    alter = f"<alter>{alter}</alter>" if alter else ""
    duration = f"<duration>{length}</duration>" if length else "<grace/>"
    return _NOTE.format(chord, step, alter, octave, duration, tie and f'<tie type="{tie}"/>')


def _score(path, *parts):
    divisions = "<attributes><divisions>2</divisions></attributes>"
    text = "".join(
        "<part>" + "".join(f"<measure>{divisions * (n == 0)}{bar}</measure>"
                           for n, bar in enumerate(bars)) + "</part>"
        for bars in parts
    )  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("score.musicxml", f"<score-partwise>{text}</score-partwise>")


def test_a_score_by_hand_becomes_its_notes(tmp_path):
    path = tmp_path / "bwv0.mxl"
    upper = (
        _note("C", 5, 2),
        _note("B", 4, 0) + _note("A", 4, 1) + _note("B", 4, 3, alter=-1, tie="start"),
        _note("B", 4, 2, tie="stop", alter=-1) + "<note><rest/><duration>2</duration></note>",
    )
    lower = (
        _note("C", 3, 2),
        _note("F", 3, 4, alter=1) + "<backup><duration>2</duration></backup>" + _note("E", 3, 2),
        _note("C", 3, 4) + _note("G", 3, 4, chord="<chord/>"),
    )
    _score(path, upper, lower)
    piece = chorales.read_chorale(path)
    eighth = piece.ticks_per_quarter // 2
    rows = [(s / eighth, d / eighth, pitch, track) for s, d, pitch, *_, track in piece.notes]
    # An upbeat's bar is as long as what is in it, a grace note has no length, a tie makes one note.
    assert sorted(rows) == [
        (0, 2, 48, 1), (0, 2, 72, 0), (2, 1, 69, 0), (2, 4, 54, 1), (3, 5, 70, 0), (4, 2, 52, 1),
        (6, 4, 48, 1), (6, 4, 55, 1),
    ]  # fmt: skip


def test_without_music21_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(chorales.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'tfgen-sequences\[music\]'") as error:
        open_sequences(DataConfig(name="chorales"))
    assert "\n" not in str(error.value)


def test_only_four_voices_are_sung():
    with pytest.raises(InputError, match="has 4 voices. Received: data.voices=3"):
        open_sequences(DataConfig(name="chorales", voices=3))


@pytest.mark.long
def test_the_chorales_are_those_of_music21(monkeypatch):
    pytest.importorskip("music21")
    paths = chorales.find_chorales()
    monkeypatch.setattr(chorales, "find_chorales", lambda: paths[::60])
    found = open_sequences(DataConfig(name="chorales"))
    assert [feature.name for feature in found.features] == ["soprano", "alto", "tenor", "bass"]
    assert found.sample_rate == 4 and found.kind == "music" and len(found) >= 4
    for name, values in zip(found.ids, found.values):
        [path] = [path for path in paths if path.stem == name]
        config = DataConfig(name=str(path), kind="music", voices=4, frame_step="1/8")
        np.testing.assert_array_equal(open_sequences(config).values[0], values)
        assert sounding(values, found.features).max() <= 81
