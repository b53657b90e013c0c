"""Printed music becomes pieces."""

import sys

import pytest

from tfgen.data import data_kind, open_text
from tfgen.data.music.notation import read_notation
from tfgen.data.readers import Unreadable
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

TUNE = "X:{0}\nT:tune {0}\nM:3/4\nL:1/4\nQ:1/4=100\nK:G\nG B d|{1}2 z|]\n"


@pytest.mark.long
def test_tunes_of_abc_are_pieces_and_what_is_no_music_is_counted(tmp_path):
    pytest.importorskip("music21")
    pytest.importorskip("symusic")
    (tmp_path / "book.abc").write_text(TUNE.format(1, "g") + "\n" + TUNE.format(2, "c"))
    pieces = read_notation(tmp_path / "book.abc")
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
    assert source.report.dropped["damaged"][0] == 1
    with pytest.raises(Unreadable, match="is damaged"):
        read_notation(tmp_path / "bad.musicxml")


def test_without_music21_a_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(InputError, match=r"pip install 'tfgen-sequences\[notation\]'"):
        read_notation(tmp_path / "a.abc")
