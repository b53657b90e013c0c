"""Drawings as the field has them: files of sketch-rnn, and those of Quick, Draw!."""

import gzip
import json
import pickle
import struct

import numpy as np
import pytest

from tfgen.data.quick_draw import NOT_RECOGNIZED
from tfgen.data.series import data_kind, open_sequences
from tfgen.data.strokes import open_strokes, to_lines
from tfgen.errors import InputError
from tfgen.recipe import DataConfig


def opened(path, **config):
    return open_sequences(DataConfig(name=str(path), **config))


# sketch-rnn


def sketches(path, **splits):
    """Writes drawings as sketch-rnn's files hold them: arrays of int16 arrays."""
    arrays = {}
    for split, lengths in splits.items():
        arrays[split] = np.empty(len(lengths), object)
        for number, length in enumerate(lengths):
            arrays[split][number] = np.full([length, 3], [number, 1, 0], np.int16)
    np.savez_compressed(path, **arrays)
    return path


def test_all_splits_of_a_file_of_sketch_rnn_are_read(tmp_path):
    path = sketches(tmp_path / "sheep.npz", valid=[4, 4], test=[5], train=[3, 2, 6])
    assert data_kind(DataConfig(name=str(path))) == "strokes"
    sequences = opened(path)
    assert sequences.ids == ["train-0", "train-1", "train-2", "valid-0", "valid-1", "test-0"]
    assert [len(values) for values in sequences.values] == [3, 2, 6, 4, 4, 5]
    assert sequences.values[1].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert sequences.report.notes == ["the file's own splits: train 3, valid 2, test 1"]
    assert not sequences.report.dropped and sequences.report.kept == 6
    # They serve as they are meant, unless somebody wants another split.
    train, held, sentence = sequences.split(0.5)
    assert train.ids == ["train-0", "train-1", "train-2"]
    assert held.ids == ["valid-0", "valid-1", "test-0"]
    assert sentence.startswith("3 of 6 sequences, which the data itself holds out")
    assert len(sequences.split(0.5, "sequences")[0]) == 3
    assert sequences.split(0.5, "sequences")[0].ids[1] == "train-2"


def test_one_split_alone_is_parted_like_other_data(tmp_path):
    for split in ("train", "test"):
        sequences = opened(sketches(tmp_path / "a.npz", **{split: [3] * 10}))
        assert [len(part) for part in sequences.split(0.1)[:2]] == [9, 1]
        assert not sequences.report.notes


def test_a_drawing_that_is_none_is_counted(tmp_path):
    train = np.empty(3, object)
    train[:] = [np.ones([4, 3], np.int16), np.ones([4, 2]), np.full([1, 3], 7)]
    path = tmp_path / "a.npz"
    np.savez(path, train=train, mean=np.zeros(2))
    sequences = opened(path)
    assert len(sequences) == 1
    counts = {reason: number for reason, (number, _) in sequences.report.dropped.items()}
    reason = "an array beside the drawings, which is not read"
    assert counts == {"a drawing is none": 2, reason: 1}


def test_hostile_and_huge_objects_are_refused_in_one_line(tmp_path):
    class Calls:
        def __reduce__(self):
            return print, ("executed",)

    path = tmp_path / "a.npz"
    train = np.empty(1, object)
    train[0] = Calls()
    np.savez(path, train=train)
    with pytest.raises(InputError, match="its pickle asks for 'builtins.print'$") as caught:
        opened(path)
    assert str(path) in str(caught.value)
    # One array a thousand times takes no more of the file than once.
    train = np.empty(1000, object)
    train[:] = [np.zeros([100, 3], np.int16)] * 1000
    np.savez(path, train=train)
    with pytest.raises(InputError, match="300,000 numbers in memory.*data.max_numbers=299999"):
        opened(path, max_numbers=299_999)
    assert len(opened(path, max_numbers=300_000)) == 1000
    with pytest.raises(InputError, match="'train' holds Python objects.*data.kind=strokes"):
        opened(path, kind="series")


# Quick, Draw!


def drawing(word="cat", parts=([[0, 50, 100], [0, 20, 60]], [[10, 90], [50, 50]]), **others):
    return {"word": word, "recognized": True, "key_id": "7", "drawing": parts, **others}


def write_rows(path, *rows):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.writelines((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    return path


@pytest.mark.parametrize("name", ["cat.ndjson", "cat.jsonl", "cat.ndjson.gz"])
def test_lines_of_quick_draw_become_drawings(tmp_path, name):
    raw = [[[0.0, 50.5, 100], [0, 20, 60], [0, 12, 99]], [[10, 90], [50, 50], [130, 140]]]
    path = write_rows(tmp_path / name, drawing(), drawing(parts=raw, key_id="8"))
    assert data_kind(DataConfig(name=str(path))) == "strokes"
    sequences = opened(path)
    assert sequences.ids == ["7", "8"] and sequences.report.kept == 2
    assert not sequences.report.dropped
    # The middle of 0..100 and 0..60 is (50, 30).
    expected = [[-50, -30, 0], [50, 20, 0], [50, 40, 1], [-90, -10, 0], [80, 0, 1]]
    assert sequences.values[0].tolist() == expected
    first, second = to_lines(sequences.values[1])
    assert first.tolist() == [[-50, -30], [0.5, -10], [50, 30]]
    assert second.tolist() == [[-40, 20], [40, 20]]
    # Of one word nothing is to be told apart, unless somebody asks.
    assert sequences.labels is None
    assert opened(path, label="word").classes == ("cat",)


def test_several_words_are_classes(tmp_path):
    for word in ("cat", "ant"):
        write_rows(tmp_path / f"{word}.ndjson", drawing(word, countrycode=word[:1]))
    for config in ({}, {"label": "word"}, {"label": r"name:^(\w+)\."}):
        sequences = opened(tmp_path, **config)
        assert sequences.classes == ("ant", "cat") and sequences.labels.tolist() == [0, 1]
    assert opened(tmp_path, label="countrycode").classes == ("a", "c")
    with pytest.raises(InputError, match="no drawing in .*: 2 x the drawing has no 'species'"):
        opened(tmp_path, label="species")


def test_lines_without_a_drawing_are_counted(tmp_path):
    rows = [
        drawing(),
        "{",
        "[1]",
        {"word": "cat"},
        drawing(parts=[]),
        drawing(parts=[[[0, 1]]]),
        drawing(parts=[[[0, 1], [0]]]),
        drawing(parts=[[[0, 1], ["a", "b"]]]),
        drawing(parts=[[[True, False], [True, False]]]),
        drawing(parts=[[[0, 1], [0, 10**400]]]),
        drawing(parts=[[[0, 1], [0, float("nan")]]]),
        drawing(parts=[[[[0], 1], [0, 1]]]),
        drawing(parts="cat"),
        drawing(recognized=False, key_id="8"),
        "",
        drawing(word="\ud83d", key_id="9"),
    ]
    path = write_rows(tmp_path / "a.ndjson", *rows)
    sequences = opened(path, label="word")
    assert sequences.ids == ["7", "8", "9"] and sequences.classes == ("\\ud83d", "cat")
    dropped = {reason: tuple(found) for reason, found in sequences.report.dropped.items()}
    assert dropped == {
        "the line is no JSON object": (2, f"{path}:2"),
        "the line has no 'drawing'": (2, f"{path}:4"),
        "no point is drawn": (1, "7"),
        "a line of a drawing is not [[x, ...], [y, ...]]": (1, f"{path}:6"),
        "a line of a drawing has not as many x as y": (1, f"{path}:7"),
        "a drawing holds what is no number": (4, f"{path}:8"),
        "a drawing holds a number that is too large or not finite": (1, f"{path}:11"),
        NOT_RECOGNIZED: (1, f"{path}:14"),
    }


def test_other_lines_of_json_stay_text(tmp_path):
    for rows in ([{"text": "a"}, drawing()], ["{", "text"], [[1]], [], ["\n\n"]):
        path = write_rows(tmp_path / "a.ndjson", *rows)
        assert data_kind(DataConfig(name=str(path))) == "text"
    path = write_rows(tmp_path / "a.ndjson", drawing())
    assert data_kind(DataConfig(name=str(path), column="word")) == "text"


def test_many_small_drawings_have_a_budget_too(tmp_path):
    path = write_rows(tmp_path / "a.ndjson", *[drawing()] * 4)
    with pytest.raises(InputError, match="15 numbers in memory beside the 45 .*max_numbers=50"):
        opened(path, max_numbers=50)


def test_the_binary_format(tmp_path):
    head = struct.Struct("<Q2sbIH")
    rows = b""
    for key, recognized in ((5, 1), (6, 0)):
        rows += head.pack(key, b"DE", recognized, 1_500_000_000, 2)
        for x, y in (([0, 50, 100], [0, 20, 60]), ([10, 90], [50, 50])):
            rows += struct.pack("<H", len(x)) + bytes(x) + bytes(y)
    path = tmp_path / "cat.bin"
    path.write_bytes(rows)
    assert data_kind(DataConfig(name=str(path))) == "strokes"
    sequences = opened(path)
    assert sequences.ids == ["5", "6"]
    assert sequences.values[1].tolist()[:2] == [[-50, -30, 0], [50, 20, 0]]
    assert sequences.report.dropped == {NOT_RECOGNIZED: [1, f"{path}: drawing 2"]}
    path.write_bytes(rows[:-1])
    sequences = opened(path)
    assert len(sequences) == 1 and "the file ends within a drawing" in sequences.report.dropped
    path.write_bytes(b"\x7fELF" + bytes(100))
    assert data_kind(DataConfig(name=str(path))) == "text"
    with pytest.raises(InputError, match="what follows is no drawing of Quick, Draw!"):
        opened(path, kind="strokes")


# Classes by the names of files


def test_classes_by_a_pattern_in_the_names(tmp_path):
    for name in ("cat_1", "dog_2", "cat_3", "odd"):
        (tmp_path / f"{name}.svg").write_text('<svg><path d="M0 0L1 1"/></svg>')
    sequences = opened(tmp_path, label="name:^([a-z]+)_")
    assert sequences.classes == ("cat", "dog") and sequences.labels.tolist() == [0, 0, 1]
    reason = "the file's name does not match data.label"
    assert sequences.report.dropped == {reason: [1, str(tmp_path / "odd.svg")]}
    for label, message in {
        "name:(": "no regular expression",
        "name:cat": "needs a group",
        "species": "must be 'folder' .* 'name:PATTERN'",
    }.items():
        with pytest.raises(InputError, match=message):
            opened(tmp_path, label=label)


def test_a_folder_whose_name_is_no_utf8(tmp_path):
    for folder in (b"caf\xe9", b"b"):
        folder = tmp_path / folder.decode("utf-8", "surrogateescape")
        folder.mkdir()
        (folder / "a.svg").write_text('<svg><path d="M0 0L1 1"/></svg>')
    sequences = opened(tmp_path, label="folder")
    assert sequences.classes == ("b", "caf\\udce9")
    "".join(sequences.classes).encode("utf-8")


def test_a_pickle_is_not_read_by_numpy(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle, "loads", None)
    monkeypatch.setattr(pickle, "load", None)
    path = sketches(tmp_path / "a.npz", train=[3])
    assert len(open_strokes("a", [path], DataConfig(name="a"))) == 1
