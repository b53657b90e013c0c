"""Data of each kind are told and drawn by one call."""

import numpy as np
import pytest

from tfgen.recipe import DataConfig
from tfgen.report import inspection
from tfgen.report.inspection import draw_data, inspect_data


def test_each_kind_is_told_in_its_own_words(tmp_path):
    text, table = tmp_path / "a.txt", tmp_path / "a.csv"
    text.write_text("abc" * 40)
    table.write_text("x,y\n" + "".join(f"{row},{row % 3}\n" for row in range(40)))
    assert "vocabulary: 3 characters" in inspect_data(DataConfig(name=str(text)))
    assert "kept: 40 rows" in inspect_data(DataConfig(name=str(table)))
    assert "105 clips" in inspect_data(DataConfig(name="drums"))


@pytest.mark.parametrize(
    ("name", "count", "titles"),
    [("pendigits", 100, "classes"), ("drums", 6, "classes"), ("kanji", 100, None)],
)
def test_so_many_as_a_picture_holds_are_drawn_evenly_spread(
    monkeypatch, tmp_path, name, count, titles
):
    calls = []
    monkeypatch.setattr(
        inspection, "write_sequences", lambda *given, **options: calls.append((given, options))
    )
    draw_data(DataConfig(name=name), tmp_path / "a.png")
    [((_, arrays, *_), options)] = calls
    assert len(arrays) == count and options["title"] == name
    if titles is None:
        assert options["ids"] is None
    else:
        assert len(options["ids"]) == count and len(set(options["ids"])) > 4


def test_a_picture_is_written(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x\n" + "".join(f"{row}\n" for row in np.arange(30)))
    [written] = draw_data(DataConfig(name=str(path)), tmp_path / "a.png")
    assert written.read_bytes().startswith(b"\x89PNG")
