"""`Sequences.split`: what is set aside for validation, of little data and of data with gaps."""

import numpy as np
import pytest

from tfgen.data import Feature, Sequences
from tfgen.data.carried_windows import CarriedWindows
from tfgen.data.sequence_windows import SequenceWindows
from tfgen.data.windows import Windows
from tfgen.errors import InputError


def made(lengths, ends=False, labels=None, missing_after=None, times=False):
    """Sequences whose values number all positions; those from `missing_after` on are missing."""
    starts = np.cumsum([0, *lengths])
    values = [np.arange(a, b, dtype=np.float32)[:, None] for a, b in zip(starts, starts[1:])]
    if missing_after is not None:
        for each, stop in zip(values, missing_after):
            each[stop:] = np.nan
    return Sequences(
        "made", "audio" if ends else "series", (Feature("x"),), values,
        [str(number) for number in range(len(lengths))], ends=ends,
        times=[np.arange(length) * 60 for length in lengths] if times else None,
        labels=None if labels is None else np.array(labels, np.int32),
        classes=() if labels is None else tuple("abcdefgh"[: max(labels) + 1]),
    )  # fmt: skip


def numbers(sequences):
    return [each[:, 0].astype(int).tolist() for each in sequences.values]


@pytest.mark.parametrize(
    ("rows", "train", "rest"),
    [
        (1, [[0]], []),
        (2, [[0]], [[1]]),
        (3, [[0, 1]], [[2]]),
        (10, [list(range(9))], [[9]]),
        (25, [list(range(23))], [[23, 24]]),
    ],
)
def test_of_a_small_table_one_position_is_set_aside(rows, train, rest):
    parts = made([rows]).split(0.1)
    assert numbers(parts[0]) == train and numbers(parts[1]) == rest


def test_the_split_is_made_of_what_has_values():
    future = made([42], missing_after=[30], times=True)
    train, rest, sentence = future.split(0.1)
    assert numbers(train) == [list(range(27))] and numbers(rest) == [[27, 28, 29]]
    assert sentence == (
        "the last 10% of the sequence in time are for validation (of what has values: 12 rows at "
        "the end have none)"
    )
    assert [len(times) for times in rest.times] == [3]
    assert future.split_edges(0.1) == [27]


def test_gaps_are_not_counted():
    gappy = made([40])
    gappy.values[0][10:30] = np.nan
    _, rest, _ = gappy.split(0.25)
    assert numbers(rest) == [[35, 36, 37, 38, 39]]  # a quarter of the 20 that were observed


def test_sequences_of_unequal_length_are_each_cut():
    train, rest, _ = made([1, 30, 4]).split(0.1)
    # Of the short ones a tenth is no position.
    assert list(map(len, train.values)) == [1, 27, 4] and numbers(rest) == [[28, 29, 30]]
    # Where none would have one, each that has two gives its last.
    train, rest, _ = made([1, 3, 4]).split(0.1)
    assert list(map(len, train.values)) == [1, 2, 3] and numbers(rest) == [[3], [7]]


def test_a_sequence_without_values_is_nothing_to_validate_on():
    train, rest, _ = made([20, 5], missing_after=[20, 0]).split(0.1)
    assert list(map(len, train.values)) == [18, 5] and numbers(rest) == [[18, 19]]


@pytest.mark.parametrize("count", range(2, 10))
def test_one_of_few_clips_is_set_aside(count):
    train, rest, sentence = made([3] * count, ends=True).split(0.1)
    assert len(train) == count - 1 and len(rest) == 1 and rest.ends
    assert sentence == f"1 of {count} sequences (10%), evenly spread, is for validation"


def test_a_sequence_without_values_is_not_set_aside():
    train, rest, _ = made([3] * 5, ends=True, missing_after=[3, 3, 3, 3, 0]).split(0.1)
    assert numbers(rest) == [[9, 10, 11]] and len(train) == 4


def test_a_single_clip_is_cut_in_time_and_has_no_end_to_learn():
    train, rest, sentence = made([20], ends=True).split(0.1)
    assert numbers(rest) == [[18, 19]] and not train.ends and not rest.ends
    assert "no other sequence" in sentence


def test_a_class_of_one_stays_where_it_can_be_learned():
    for labels in ([0, 0, 0, 0, 1], [0, 1, 2, 3, 3], [0] * 9 + [1]):
        train, rest, _ = made([3] * len(labels), ends=True, labels=labels).split(0.1)
        assert set(train.labels) == set(labels) and len(rest) == 1
    # With one of each, one has to go.
    train, rest, _ = made([3] * 3, ends=True, labels=[0, 1, 2]).split(0.1)
    assert len(train) == 2 and len(rest) == 1


def test_nothing_is_set_aside_of_a_fraction_of_nothing():
    for ends in (False, True):
        train, rest, _ = made([5, 5], ends=ends).split(0.0)
        assert len(train) == 2 and not len(rest)


# What messages say


def message(make, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        make(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_messages_say_which_split_is_too_short_and_what_to_set():
    text = message(Windows, np.arange(100), 128, 4, drop_remainder=False, split="validation")
    assert text == (
        "The validation split is too short: 100 tokens, where 1 windows of 128 need 129. Set "
        "training.window to at most 99 or data.validation_fraction higher"
    )
    text = message(Windows, np.arange(100), 128, 4, split="training")
    assert text.startswith("The training split is too short: 100 tokens")
    assert text.endswith("a smaller training.window or training.batch_size")
    nothing = made([1]).split(0.1)[1]
    for windows in (SequenceWindows, CarriedWindows):
        text = message(windows, nothing, 16, 1, split="validation")
        assert text.startswith("The validation split is too short: 0 positions in 0 sequences")
        assert "two positions with a value" in text and "data.split" in text
    assert message(SequenceWindows, nothing, 16, 1).startswith("The data is too short")
