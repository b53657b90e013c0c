"""Scores become notes and frames, through music21."""

import pytest

from tfgen.data import open_sequences
from tfgen.data.music.frames import sounding
from tfgen.data.music.scores import DIVISION, read_score
from tfgen.data.readers import Unreadable
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


@pytest.fixture
def score(tmp_path):
    pytest.importorskip("music21")
    path = tmp_path / "small.abc"
    path.write_text(ABC)
    return path


def test_a_score_by_hand_becomes_its_notes(score):
    piece = read_score(score)
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
            read_score(path)
        assert "\n" not in str(error.value) and name in str(error.value)
