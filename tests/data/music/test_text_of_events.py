"""A folder of MIDI files is a text of events: split by pieces, with what was left out and why."""

import pytest

from tests.data.music.midi_bytes import END, midi, off, on, simple, track
from tfgen.data import data_kind, open_labeled, open_text
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

pytest.importorskip("symusic")


@pytest.fixture
def folder(tmp_path):
    for number in range(20):
        path = tmp_path / ("in" if number % 2 else "out") / f"{number}.mid"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(simple(pitch=40 + number))
    (tmp_path / "broken.MID").write_bytes(simple()[:-3])
    (tmp_path / "readme.txt").write_text("pieces")
    return tmp_path


def test_a_folder_is_its_pieces_a_line_each(folder):
    assert data_kind(DataConfig(name=str(folder))) == "events"
    source = open_text(str(folder), validation_fraction=0.2)
    lines = "".join(source.chunks("all")).splitlines()
    notes = {int(line.rpartition("Pitch_")[2].split()[0]) for line in lines}
    assert notes == {*range(40, 60)} and len(lines) == 20
    assert lines[0].startswith("Bar Position_0 Program_0 Velocity_62 Pitch_")
    assert source.report.kept == 20
    assert {reason: count for reason, (count, _) in source.report.dropped.items()} == {
        "damaged": 1,
        "a file is no music as events": 1,
    }
    train, held = ("".join(source.chunks(split)) for split in ("train", "validation"))
    assert train + held == "".join(source.chunks("all"))
    assert held.count("\n") == 4 and train.endswith("\n") and held.startswith("Bar ")
    halves = ["".join(source.chunks(split)) for split in ("choice", "test")]
    assert "".join(halves) == held and [half.count("\n") for half in halves] == [2, 2]
    assert source.split_rule.startswith("16 pieces are for training, 4 (")


def test_a_single_file_is_split_at_a_bar(tmp_path):
    notes = [event for _ in range(40) for event in ((0, on(60)), (480, off(60)))]
    path = tmp_path / "a.mid"
    path.write_bytes(midi([track([*notes, END])]))
    source = open_text(str(path))
    held = "".join(source.chunks("validation"))
    assert held.startswith(" Bar Position_0 Pitch_60") and held.count("Bar") == 1
    assert source.split_rule.startswith("9 bars are for training, 1 (")


def test_a_broken_file_alone_is_an_error_of_one_line(tmp_path):
    path = tmp_path / "a.mid"
    path.write_bytes(b"no MIDI")
    with pytest.raises(InputError, match="does not begin with 'MThd'"):
        open_text(str(path))
    with pytest.raises(InputError, match="There is no text in"):
        (tmp_path / "b.mid").write_bytes(b"")
        open_text(str(tmp_path))
    with pytest.raises(InputError, match="has no columns"):
        open_text(str(path), column="words")


def test_folders_and_names_of_files_are_classes(folder):
    source = open_labeled(str(folder), "folder", validation_fraction=0.2)
    assert source.classes == ("in", "out") and source.report.kept == 20
    assert {reason: count for reason, (count, _) in source.report.dropped.items()} == {
        "damaged": 1,
        "a file is no music as events": 1,
    }
    for label, parity in (("in", 1), ("out", 0)):
        texts = source.texts("all")[label]
        assert {int(t.rpartition("Pitch_")[2].split()[0]) % 2 for t in texts} == {parity}
        assert len(texts) == 10 and len(source.texts("validation")[label]) == 2
    source = open_labeled(str(folder), "name:^(1.)[.]")
    assert source.classes == tuple(str(number) for number in range(10, 20))
    assert source.report.dropped["the file's name does not match data.label"][0] == 11
