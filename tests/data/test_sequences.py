"""`Sequences.split`: what is set aside for validation, of little data and of data with gaps."""

import numpy as np
import pytest

from tfgen.data import Feature, Sequences
from tfgen.data.carried_windows import CarriedWindows
from tfgen.data.cuts import held_out_from
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


def places_of(part, ids=None):
    """The positions of the pieces of one sequence, or of all: lists of integers."""
    return [
        (times // 60).tolist() for times, own in zip(part.times, part.ids) if ids in (None, own)
    ]


def test_blocks_are_spread_over_the_time_with_gaps_around_them():
    train, rest, sentence = made([1000], times=True).split(0.32, "blocks")
    blocks, pieces = numbers(rest), numbers(train)
    assert [len(each) for each in blocks] == [40] * 8 and len(pieces) == 9
    middles = [np.mean(each) for each in blocks]
    np.testing.assert_allclose(middles, 1000 * (np.arange(8) + 0.5) / 8, atol=1)
    order = sorted([*blocks, *pieces])
    assert order[0][0] == 0 and order[-1][-1] == 999
    gaps = [later[0] - earlier[-1] - 1 for earlier, later in zip(order, order[1:])]
    assert gaps == [10] * 16  # a quarter of a block
    assert sentence == (
        "32% in 8 blocks of 40 positions, evenly spread over the time, are for validation; 10 before "
        "and after each are left out"
    )
    for part in (train, rest):
        assert part.ends is False and set(part.ids) == {"0"}
        assert places_of(part) == numbers(part)  # what belongs to the values is cut as they are


def test_of_few_positions_there_are_fewer_blocks():
    _, rest, sentence = made([640]).split(0.1, "blocks")
    assert numbers(rest) == [list(range(144, 176)), list(range(464, 496))]  # 2 of 32
    train, rest, sentence = made([20]).split(0.1, "blocks")
    assert numbers(rest) == [[9, 10]] and numbers(train) == [list(range(8)), list(range(12, 20))]
    assert sentence.startswith("10% in a block of 2 positions")
    with pytest.raises(InputError, match="too short for held-out blocks.*data.split='blocks'"):
        made([1]).split(0.1, "blocks")
    with pytest.raises(InputError, match="too short.*: 0 positions with a value"):
        made([9], missing_after=[0]).split(0.1, "blocks")
    with pytest.raises(InputError, match="audio are set aside whole.*Received: data.split"):
        made([30, 30], ends=True).split(0.1, "blocks")
    assert numbers(made([30]).split(0.0, "blocks")[0]) == [list(range(30))]


def test_blocks_are_the_same_time_in_every_sequence():
    """Sequences that begin and end at different times, some of them sparse."""
    sequences = made([2000, 700, 40], times=True)
    sequences.times[1] += 60 * 900
    sequences.times[2] = 60 * 50 * np.arange(40)
    train, rest, _ = sequences.split(0.2, "blocks")
    learned, held = ({p for piece in places_of(part) for p in piece} for part in (train, rest))
    assert not learned & held
    assert rest.positions / 2740 == pytest.approx(0.2, abs=0.02)
    assert set(rest.ids) == {"0", "1", "2"}
    for number, times in enumerate(sequences.times):  # nowhere do two of one sequence touch
        ours, theirs = (
            np.searchsorted(times // 60, np.concatenate(places_of(part, str(number))))
            for part in (train, rest)
        )
        assert np.abs(theirs[:, None] - ours).min() >= 2


def test_blocks_and_the_end_are_both_held_out():
    """A fifth: the last tenth of each, and a tenth in blocks of the time before it."""
    sequences = made([1600, 1600], missing_after=[1600, 1500], times=True)
    train, rest, sentence = sequences.split(0.2, "blocks+time")
    assert sequences.split_edges(0.2, "blocks+time") == [1440, 1350]
    assert sequences.held_bounds(0.2, "blocks+time") is None
    before = sequences.cut([(0, 1440), (0, 1350)])
    expected = before.split(1 / 9, "blocks")
    assert numbers(train) == numbers(expected[0]) and numbers(rest) == numbers(expected[1])
    assert 0.09 < rest.positions / 3100 < 0.11
    assert sentence.startswith("the last 10% in time are for forecasts; of what is before, 11.11")
    both = halves(sequences, 0.2, "blocks+time")
    assert both == halves(before, 1 / 9, "blocks")
    assert held_out_from(sequences, 0.2, "blocks+time") == [1440, 1350]
    whole = made([30]).split(0.0, "blocks+time")
    assert numbers(whole[0]) == [list(range(30))] and not len(whole[1])
    with pytest.raises(InputError, match=r"too short.*data.split='blocks\+time'"):
        made([2]).split(0.5, "blocks+time")
    with pytest.raises(InputError, match=r"audio are set aside.*data.split='blocks\+time'"):
        made([30, 30], ends=True).split(0.1, "blocks+time")


def test_blocks_are_of_what_has_values():
    future = made([400, 400], missing_after=[300, 0], times=True)
    train, rest, _ = future.split(0.1, "blocks")
    assert numbers(rest) == [list(range(135, 165))]
    assert max(map(max, numbers(train))) == 299 and set(train.ids) == {"0"}
    windows = SequenceWindows(train, 16, 4)
    held = set(range(135 - 7, 165 + 7))
    for k in range(20):
        values = windows.batch(k)["values"]
        assert not held & set(values[np.isfinite(values)].astype(int).tolist())


def halves(sequences, *rule):
    """What chooses, and what scores are of, as numbers, which are all that is set aside."""
    whole = sequences.split(*rule)
    parts = [sequences.split(*rule, half=half) for half in ("choice", "test")]
    for part in parts:
        assert numbers(part[0]) == numbers(whole[0]) and part[2].split()[-1] == whole[2].split()[-1]
    found = [numbers(part[1]) for part in parts]
    together = sorted(number for half in found for piece in half for number in piece)
    assert together == sorted(number for piece in numbers(whole[1]) for number in piece)
    return found


def test_what_is_set_aside_is_halved():
    assert halves(made([50]), 0.1) == [[[45, 46, 47]], [[48, 49]]]
    assert halves(made([30], missing_after=[20]), 0.2, "time") == [[[16, 17]], [[18, 19]]]
    assert made([50]).held_bounds(0.1, half="test") == [(48, 50)]
    # The ends of many sequences: those of every other one.
    choice, test = halves(made([10] * 20, times=True), 0.2)
    assert choice[:2] == [[8, 9], [28, 29]] and test[0] == [18, 19] and len(choice) == len(test)
    assert made([10] * 20).held_bounds(0.2, "time", "test")[:2] == [(10, 10), (8, 10)]
    # Whole ones.
    choice, test = halves(made([1] * 40), 0.1)
    assert choice == [[9], [29]] and test == [[19], [39]]
    # Every other block; of a single one the earlier and the later half.
    choice, test = halves(made([640, 640], times=True), 0.1, "blocks")
    assert [piece[0] for piece in choice] == [144, 784] and [each[0] for each in test] == [
        464,
        1104,
    ]
    assert halves(made([40]), 0.1, "blocks") == [[[18, 19]], [[20, 21]]]
    with pytest.raises(InputError, match="half"):
        made([50]).split(0.1, "auto", "third")


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
