"""Scores become notes, events and frames, through music21."""

import sys

import pytest

from tfgen.data import data_kind, open_sequences, open_text
from tfgen.data.music.frames import sounding
from tfgen.data.music.piece import DRUMS
from tfgen.data.music.scores import DIVISION, read_scores
from tfgen.data.readers import Unreadable
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

pytestmark = pytest.mark.long  # music21 takes seconds to be there

# Two voices: C5 tied over the bar, then a rest; below it C4, and a quarter of three notes.
ABC = """X:1
T:Small
M:2/4
L:1/4
K:G
V:1
c c-|c z|
V:2
C D|(3E/2^F/2G/2 C|
"""

TUNE = "X:{0}\nT:tune {0}\nM:3/4\nL:1/4\nQ:1/4=100\nK:G\nG B d|{1}2 z|]\n"


@pytest.fixture
def score(tmp_path):
    pytest.importorskip("music21")
    path = tmp_path / "small.abc"
    path.write_text(ABC)
    return path


def test_a_score_by_hand_becomes_its_notes(score):
    [piece] = read_scores(score)
    quarter = piece.ticks_per_quarter
    upper = [row[:3] for row in piece.notes.tolist() if row[5] == 0]
    assert upper == [[0, quarter, 72], [quarter, 2 * quarter, 72]]
    lower = [row[:3] for row in piece.notes.tolist() if row[5] == 1]
    third = DIVISION // 3
    assert lower == [
        [0, quarter, 60], [quarter, quarter, 62],
        *[[2 * quarter + n * third, third, pitch] for n, pitch in enumerate((64, 66, 67))],
        [3 * quarter, quarter, 60],
    ]  # fmt: skip
    assert piece.metres.tolist() == [[0, 2, 4]] and piece.keys[0, 1] == 1


def test_instruments_tempos_loudness_and_drums_are_read(tmp_path):
    music21 = pytest.importorskip("music21")
    violin = music21.stream.Part([music21.instrument.Violin(), music21.tempo.MetronomeMark(90)])
    violin.append(
        [music21.dynamics.Dynamic("ff"), music21.note.Note("A4"), music21.note.Note("B4")]
    )
    snare = music21.note.Unpitched()
    snare.storedInstrument = music21.instrument.SnareDrum()
    drums = music21.stream.Part([music21.instrument.SnareDrum(), snare, music21.note.Rest()])
    path = tmp_path / "a.musicxml"
    music21.stream.Score([violin, drums]).write("musicxml", path)
    [piece] = read_scores(path)
    loud = piece.notes[1, 3]
    assert loud > 90 and piece.tempos.tolist() == [[0, 90]]
    quarter = piece.ticks_per_quarter
    assert piece.notes.tolist() == [
        [0, quarter, 38, 90, DRUMS, 1], [0, quarter, 69, loud, 40, 0],
        [quarter, quarter, 71, loud, 40, 0],
    ]  # fmt: skip


def test_a_score_is_read_as_frames_of_voices(score):
    config = DataConfig(name=str(score), kind="music", voices=2, frame_step="1/12", pitches="60:72")
    sequences = open_sequences(config)
    told = sounding(sequences.values[0], sequences.features).tolist()
    assert told[0] == [72, 60] and told[3] == [72, 62] and told[9:] == [[-1, 60]] * 3
    assert told[6:9] == [[72, 64], [72, 66], [72, 67]]


def test_what_is_no_score_gets_one_line(tmp_path):
    pytest.importorskip("music21")
    for name, content in (("a.musicxml", "<score>"), ("b.mxl", "no zip"), ("c.krn", "")):
        path = tmp_path / name
        path.write_text(content)
        with pytest.raises(Unreadable) as error:
            read_scores(path)
        assert "\n" not in str(error.value) and name in str(error.value)


def test_tunes_of_abc_are_pieces_and_what_is_no_music_is_counted(tmp_path):
    pytest.importorskip("music21")
    (tmp_path / "book.abc").write_text(TUNE.format(1, "g") + "\n" + TUNE.format(2, "c"))
    pieces = read_scores(tmp_path / "book.abc")
    assert [piece.notes[:, 2].tolist() for piece in pieces] == [[67, 71, 74, 79], [67, 71, 74, 72]]
    for piece in pieces:
        quarter = piece.ticks_per_quarter
        assert piece.notes[:, :2].tolist() == [
            [0, quarter], [quarter, quarter], [2 * quarter, quarter], [3 * quarter, 2 * quarter],
        ]  # fmt: skip
        assert piece.tempos.tolist() == [[0, 100]] and piece.metres.tolist() == [[0, 3, 4]]
        assert piece.keys.tolist() == [[0, 1, 0]]
    (tmp_path / "bad.musicxml").write_text("<score-partwise><part")
    assert data_kind(DataConfig(name=str(tmp_path))) == "events"
    source = open_text(str(tmp_path))
    assert "".join(source.chunks("all")).count("\n") == 2
    assert source.report.dropped["no score"][0] == 1
    with pytest.raises(Unreadable, match="is no score"):
        read_scores(tmp_path / "bad.musicxml")


def test_without_music21_a_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(InputError, match=r"pip install 'tfgen-sequences\[music\]'"):
        read_scores(tmp_path / "a.abc")
