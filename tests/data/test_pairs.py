"""Pairs of a source and a text: reading them, splitting them, and batches of them."""

import numpy as np
import pytest

from tfgen.data import PairWindows, open_pairs
from tfgen.errors import InputError

ROWS = [
    ("ab", "X Y"),
    ("c", "Z"),
    ("ab", "X"),
    ("d", ""),
    ("", "Q"),
    ("e", "two\nlines"),
    ("ab", "X"),
]


@pytest.fixture(params=[".csv", ".tsv", ".jsonl"])
def table(request, tmp_path):
    path = tmp_path / f"pairs{request.param}"
    if request.param == ".jsonl":
        import json

        lines = [json.dumps({"n": 1, "source": a, "target": b}) for a, b in ROWS]
    else:
        mark = "," if request.param == ".csv" else "\t"
        quoted = [(a, f'"{b}"' if "\n" in b else b) for a, b in ROWS]
        lines = [
            mark.join(row) for row in [("n", "source", "target"), *(("1", *r) for r in quoted)]
        ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_rows_become_sources_with_all_their_texts(table):
    pairs = open_pairs(table, "source", "target")
    # A text that comes twice is one, and what lacks a side is counted and left out.
    assert pairs.references("all") in (
        {"ab": ["X Y", "X"], "c": ["Z"]},
        {"c": ["Z"], "ab": ["X Y", "X"]},
    )
    assert pairs.report.kept == 4
    assert {reason: count for reason, (count, _) in pairs.report.dropped.items()} == {
        "'target' is empty": 1,
        "'source' is empty": 1,
        "'target' has a line break, which ends a text": 1,
    }
    assert sorted("".join(pairs.chunks("all")).split("\n")) == ["", "X", "X Y", "Z"]
    assert pairs.characters["all"] == 5


def test_all_texts_of_a_source_are_on_one_side_whatever_the_order(tmp_path):
    words = [f"word{number}" for number in range(200)]
    found = []
    for name, order in (("a.tsv", words), ("b.tsv", words[::-1])):
        rows = [f"{word}\t{word}{end}" for end in "xy" for word in order]
        (tmp_path / name).write_text("\n".join(["source\ttarget", *rows]))
        found.append(open_pairs(tmp_path / name, "source", "target"))
    for pairs in found:
        train, held = pairs.references("train"), pairs.references("validation")
        assert len(train) == 180 and len(held) == 20 and not train.keys() & held.keys()
        assert all(len(texts) == 2 for texts in [*train.values(), *held.values()])
        halves = [*pairs.references("choice"), *pairs.references("test")]
        assert halves == list(held) and len(pairs.references("choice")) == 10
    assert list(found[0].references("test")) == list(found[1].references("test"))


def message(*arguments, **given):
    with pytest.raises(InputError) as caught:
        open_pairs(*arguments, **given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_table_of_pairs_is_refused_in_a_line(table, tmp_path):
    assert "Did you mean 'source'?" in message(table, "sourc", "target")
    assert "Unknown" in message(table, "source", "missing")
    assert "another column" in message(table, "source", "source")
    assert "data.column" in message(table, "source")
    assert "There is no file" in message(tmp_path / "no.tsv", "a", "b")
    assert "validation_fraction" in message(table, "source", "target", 1.0)
    (tmp_path / "plain.txt").write_text("a b")
    assert "no columns" in message(tmp_path / "plain.txt", "a", "b")
    (tmp_path / "empty.csv").write_text("a,b\n,x\n")
    assert "There is no pair" in message(tmp_path / "empty.csv", "a", "b")


def test_a_frame_holds_pairs():
    import pandas

    frame = pandas.DataFrame(ROWS[:3], columns=["source", "target"])
    pairs = open_pairs("data in memory", "source", "target", data=frame)
    assert {key: len(texts) for key, texts in pairs.references("all").items()} == {"ab": 2, "c": 1}
    assert "the columns of a frame" in message(
        "data in memory", "source", "target", data=["a", "b"]
    )


def arrays(*texts):
    return [np.frombuffer(text, np.uint8) for text in texts]


def test_a_batch_is_padded_sources_inputs_targets_and_weights():
    pairs = [arrays(b"abc", b"XY"), arrays(b"d", b"Z")]
    windows = PairWindows(pairs, 16, 2, 10, drop_remainder=False)
    given, targets, weights = windows.batch(0)
    inputs, (sources, valid) = given["tokens"], given["condition"]
    rest = [10] * 5
    np.testing.assert_array_equal(targets, [[88, 89, 10, *rest], [90, 10, 10, *rest]])
    np.testing.assert_array_equal(inputs, [[10, 88, 89, *rest], [10, 90, 10, *rest]])
    np.testing.assert_array_equal(weights.sum(axis=1), [3, 2])
    np.testing.assert_array_equal(sources[:, :4], [[97, 98, 99, 0], [100, 0, 0, 0]])
    np.testing.assert_array_equal(valid.sum(axis=1), [3, 1])


def test_an_epoch_deals_each_pair_once_in_batches_of_about_one_length():
    rng = np.random.default_rng(0)
    pairs = [(np.full(rng.integers(1, 30), n % 250), np.full(3, n % 250)) for n in range(64)]
    windows = PairWindows(pairs, 24, 8, 10, seed=3)
    assert windows.dropped == sum(len(source) > 24 for source, _ in pairs)
    epoch = [windows.batch(k) for k in range(windows.steps_per_epoch)]
    again = PairWindows(pairs, 24, 8, 10, seed=3).batch(2)[0]["tokens"]
    np.testing.assert_array_equal(epoch[2][0]["tokens"], again)
    shown = [row[0] for given, _, _ in epoch for row in given["condition"][0]]
    assert len(shown) == len(set(shown)) == (64 - windows.dropped) // 8 * 8
    lengths = {given["tokens"].shape[1] for given, _, _ in epoch}
    assert lengths == {8, 16, 24}
    with pytest.raises(InputError, match="too short: 2 pairs"):
        PairWindows(pairs[:2], 30, 8, 10, split="training")
