"""Pieces become frames and frames pieces: of JSON and of MIDI, as pitches and as voices."""

import itertools
import json

import numpy as np
import pytest

from tfgen.data import SequenceWindows, data_kind, open_sequences
from tfgen.data.augmentation import open_augmentation
from tfgen.data.gaps import make_gaps
from tfgen.data.music.frames import count_notes, notes_of, sounding
from tfgen.data.music.grid import piece_of, roll_of
from tfgen.data.music.piece import Piece
from tfgen.data.music.voices import split_voices
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

CHORDS = [[60, 64, 67], [60, 65, 69], [], [59, 67], [60, 64, 72]]


def opened(tmp_path, content, **config):
    path = tmp_path / "chords.json"
    path.write_text(json.dumps(content))
    return open_sequences(DataConfig(name=str(path), **config))


def sets(values, features):
    return [sorted({*row} - {-1}) for row in sounding(values, features).tolist()]


def test_a_json_of_pitches_becomes_columns_of_pitches_or_voices(tmp_path):
    pitches = opened(tmp_path, [CHORDS] * 2, pitches="59:72")
    assert data_kind(DataConfig(name=pitches.name)) == "music" and pitches.sample_rate == 2
    assert [feature.name for feature in pitches.features] == [str(p) for p in range(59, 73)]
    assert sets(pitches.values[0], pitches.features) == CHORDS
    assert count_notes(pitches.values[0], pitches.features) == 3 + 3 + 2 + 3
    voices = opened(tmp_path, [CHORDS] * 2, pitches="59:72", voices=3)
    assert sets(voices.values[0], voices.features) == CHORDS
    told = sounding(voices.values[0], voices.features).tolist()
    # The upper pitch of two is sung twice: the middle voice comes from 65 and goes on to 64.
    assert told == [[67, 64, 60], [69, 65, 60], [-1] * 3, [67, 67, 59], [72, 64, 60]]


def test_a_json_of_voices_keeps_their_order_and_rests(tmp_path):
    sung = [[72, 67, -1, 48], [71, 72, 60, 48], [72, 72, 60, 36]]  # a crossing, and a unison
    voices = opened(tmp_path, {"train": [sung] * 4, "test": [sung]}, voices=4)
    assert [feature.name for feature in voices.features] == ["soprano", "alto", "tenor", "bass"]
    assert sounding(voices.values[0], voices.features).tolist() == sung
    assert voices.held_out.tolist() == [False] * 4 + [True] and voices.test is None


def test_the_files_own_splits_are_kept(tmp_path):
    content = {"test": [CHORDS] * 3, "train": [CHORDS] * 5, "valid": [CHORDS] * 2}
    sequences = opened(tmp_path, content)
    sizes = {half: len(sequences.split(0.1, half=half)[1]) for half in (None, "choice", "test")}
    assert sizes == {None: 2, "choice": 2, "test": 3}
    train, rest, how = sequences.split(0.1)
    assert train.ids == [f"train {n}" for n in range(5)] and rest.ids == ["valid 0", "valid 1"]
    assert "3 for scores" in how
    assert sequences.split(0.1, half="test")[1].ids == ["test 0", "test 1", "test 2"]


@pytest.mark.parametrize(
    "content, config, message",
    [
        ([[[60.5]]], {}, r"piece 0, frame 0 must hold pitches from 0 to 127.*Received: 60.5"),
        ([[[60], 61]], {}, r"frame 1 must hold a list of pitches. Received: 61"),
        ([[[60, 200]]], {}, r"Received: 200"),
        ([[[-1, 60]], [[60]]], {}, r"frames of as many pitches each"),
        ([[[]]], {}, r"no piece in .*1 x no note in it"),
        ([[[60]]], {"pitches": "70:60"}, r"Received: data.pitches='70:60'"),
        ([[[60]]], {"frame_step": "1/3"}, r"Received: data.frame_step='1/3'"),
        ([[[60, 64, 67]]], {"voices": 2}, r"1 x more than 2 pitches at once"),
    ],
)
def test_what_is_no_music_gets_one_line(tmp_path, content, config, message):
    with pytest.raises(InputError, match=message) as error:
        opened(tmp_path, content, kind="music", **config)
    assert "\n" not in str(error.value)


def test_notes_outside_the_range_are_dropped_and_counted(tmp_path):
    sequences = opened(tmp_path, [CHORDS], pitches="60:72")
    assert sequences.report.dropped["a note outside data.pitches"][0] == 1


def test_voices_move_as_little_as_they_can():
    rng = np.random.default_rng(0)
    frames = [sorted(rng.choice(np.arange(60, 72), rng.integers(1, 4), False)) for _ in range(6)]
    found = split_voices(frames, 3)
    assert [sorted(set(row)) for row in found.tolist()] == [[*map(int, f)] for f in frames]

    def ways(frame):
        each = itertools.combinations_with_replacement(sorted(frame, reverse=True), 3)
        return [way for way in each if set(way) == set(frame)]

    def moved(rows):
        return np.abs(np.diff(np.array(rows), axis=0)).sum()

    assert moved(found) == min(map(moved, itertools.product(*map(ways, frames))))


def test_a_piece_on_the_grid_and_back_is_what_it_was():
    notes = [[0, 480, 60, 80, 0, 0], [480, 960, 64, 80, 0, 0], [0, 230, 48, 80, 0, 1]]
    notes += [[250, 10, 50, 80, 0, 1], [0, 99, 36, 80, 128, 2]]
    piece = Piece(notes=notes, ticks_per_quarter=480)
    roll = roll_of(piece, rate=8)  # sixteenths, of 120 ticks
    assert [set(frame) for frame in roll.frames] == [
        *[{60, 48}] * 2, {60, 50}, {60}, *[{64}] * 8
    ]  # fmt: skip
    sung = roll_of(piece, rate=8, voices=2)
    assert sung.by_voice and sung.frames[:4] == [[60, 48], [60, 48], [60, 50], [60, -1]]
    again = piece_of([[0, 4, 60, 0], [4, 8, 64, 0]], rate=8)
    assert again.ticks_per_quarter == 480
    assert again.notes[:, :3].tolist() == [[0, 480, 60], [480, 960, 64]]


def test_a_note_that_is_too_short_for_the_grid_makes_no_chord_with_the_next():
    sixteenths = [[240 * n, 240, 60 + n, 80, 0, 0] for n in range(4)]
    lower = [[0, 960, 48, 80, 0, 1]]
    piece = Piece(notes=sixteenths + lower, ticks_per_quarter=960)
    assert roll_of(piece, rate=4).frames == [[48, 60], [48, 62]]  # eighths
    sung = roll_of(piece, rate=4, voices=2)
    assert sung.by_voice and sung.frames == [[60, 48], [62, 48]]


def test_frames_become_notes_that_last(tmp_path):
    sequences = opened(tmp_path, [CHORDS], pitches="59:72", voices=3)
    rows = notes_of(sequences.values[0], sequences.features).tolist()
    assert [0, 2, 60, 2] in rows and [0, 1, 67, 0] in rows and [3, 1, 59, 2] in rows
    assert sum(duration for _, duration, *_ in rows) == 12


@pytest.mark.parametrize("voices", [0, 3])
def test_transposition_moves_every_note_alike_within_the_range(tmp_path, voices):
    chords = [frame for frame in CHORDS for _ in range(2)]
    sequences = opened(tmp_path, [chords] * 30, pitches="57:75", voices=voices)
    changed = open_augmentation(["transpose=6"], "music", sequences)
    plain = SequenceWindows(sequences, 10, 16, seed=1)
    moved = SequenceWindows(sequences, 10, 16, seed=1, augment=changed)
    shifts = set()
    for k in range(3):
        for before, after in zip(plain.batch(k)["values"], moved.batch(k)["values"], strict=True):
            before, after = (sets(values, sequences.features) for values in (before, after))
            shift = {b - a for x, y in zip(before, after, strict=True) for a, b in zip(x, y)}
            assert len(shift) == 1 and [*map(len, before)] == [*map(len, after)]
            shifts |= shift
    assert shifts == {-2, -1, 0, 1, 2, 3}  # 59 to 72 within 57 to 75


def test_what_stands_before_a_window_is_moved_with_it(tmp_path):
    for voices in (0, 3):
        sequences = opened(tmp_path, [CHORDS * 4] * 8, pitches="57:75", voices=voices)
        changed = open_augmentation(["transpose=2"], "music", sequences)
        batches = [SequenceWindows(sequences, 5, 8, seed=1, augment=a) for a in (None, changed)]
        before, after = (each.batch(0) for each in batches)
        for row in np.flatnonzero(~before["first"]):
            joined = [np.stack([b["previous"][row], b["values"][row, 0]]) for b in (before, after)]
            first, second = (sets(values, sequences.features) for values in joined)
            assert len({b - a for x, y in zip(first, second) for a, b in zip(x, y)}) <= 1


def test_gaps_leave_a_melody_or_voices_and_some_rows(tmp_path):
    pitches = opened(tmp_path, [CHORDS], pitches="59:72")
    values = make_gaps(pitches, ["melody"], "1:4").values[0]
    assert np.isnan(values[0, :8]).all() and values[0, 8] == 1 and not values[0, 9:].any()
    assert not values[2].any()  # nothing is sung under a rest
    np.testing.assert_array_equal(values[4], pitches.values[0][4])
    voices = opened(tmp_path, [CHORDS], pitches="59:72", voices=3)
    name = voices.features[0].name
    values = make_gaps(voices, [name]).values[0]
    assert np.isnan(values[:, 1:]).all()
    np.testing.assert_array_equal(values[:, 0], voices.values[0][:, 0])
    with pytest.raises(InputError, match="Received: --rows 9:12"):
        make_gaps(voices, None, "9:12")
    with pytest.raises(InputError, match="Unknown column of --keep 'alto'"):
        make_gaps(voices, ["alto"])
