"""Pieces become words and words pieces: the same on the grid, and whatever the words."""

import numpy as np
import pytest

from tests.data.music.midi_bytes import fuzzed
from tfgen.data.music.events import DURATIONS, TEMPOS, VELOCITIES, to_piece, to_words, vocabulary
from tfgen.data.music.midi import read_midi, write_midi
from tfgen.data.music.piece import DRUMS, Piece

WALTZ = (
    "Bar Metre_3/4 Position_0 Tempo_120 Program_40 Velocity_66 Pitch_60 Duration_12 "
    "Velocity_98 Pitch_64 Duration_24 Position_12 Drum_36 Bar Bar Position_4 Program_0 Pitch_67 "
    "Duration_8"
)


def test_words_by_hand():
    notes = [
        [0, 480, 60, 65, 40, 0],
        [3, 957, 64, 99, 40, 0],  # a little late
        [480, 10, 36, 99, DRUMS, 1],
        [2880 + 160, 320, 67, 97, 0, 2],  # in a triplet
    ]
    metres = [[0, 3, 4]]
    piece = Piece(notes=notes, tempos=[[0, 120]], metres=metres)
    assert " ".join(to_words(piece)) == WALTZ
    back = to_piece(WALTZ)
    assert back.ticks_per_quarter == 12 and back.metres.tolist() == metres
    assert back.tempos.tolist() == [[0, 120]]
    assert back.notes.tolist() == [
        [0, 12, 60, 66, 40, 1],
        [0, 24, 64, 98, 40, 1],
        [12, 1, 36, 98, DRUMS, 2],
        [76, 8, 67, 98, 0, 0],
    ]


def random_piece(seed):
    """A piece on the grid, of random notes, metres and tempos."""
    random = np.random.default_rng(seed)
    bars = random.choice(["4/4", "3/4", "6/8", "5/16", "7/8", "2/2"], 6)
    metres, place = [], 0
    for metre in bars:
        over, under = map(int, metre.split("/"))
        metres += [] if metres and metres[-1][1:] == [over, under] else [[place, over, under]]
        place += over * 48 // under
    count = 80
    notes = {}
    for _ in range(count):
        program = int(random.choice([0, 33, DRUMS]))
        start, pitch = int(random.integers(place)), int(random.integers(50, 70))
        notes[program, pitch, start] = int(random.choice(VELOCITIES))
    rows = []
    for (program, pitch, start), velocity in notes.items():
        after = [s for own, p, s in notes if (own, p) == (program, pitch) and s > start]
        room = min(after, default=9999) - start
        fits = [each for each in DURATIONS if each <= room]
        duration = 1 if program == DRUMS else int(random.choice(fits))
        track = [0, 33, DRUMS].index(program)
        rows.append([start, duration, pitch, velocity, program, track])
    places = [0, *np.unique([row[0] for row in rows])[1:4]]
    tempos, tempo = [], None
    for each in places:
        new = random.choice([each for each in TEMPOS if each != tempo])
        tempos, tempo = [*tempos, [each, new]], new
    rows = np.array(rows)
    return Piece(notes=rows, ticks_per_quarter=12, tempos=tempos, metres=metres)


@pytest.mark.parametrize("seed", range(12))
def test_a_piece_on_the_grid_comes_back_as_it_was(seed):
    piece = random_piece(seed)
    back = to_piece(" ".join(to_words(piece)) + "\n")
    np.testing.assert_array_equal(back.notes, piece.notes)
    np.testing.assert_array_equal(back.tempos, piece.tempos)
    # A metre that begins behind the last note is not heard of.
    last = piece.notes[:, 0].max()
    np.testing.assert_array_equal(back.metres, piece.metres[piece.metres[:, 0] <= last])


def test_any_words_are_a_piece_and_the_words_of_a_piece_are_its_own(tmp_path):
    pytest.importorskip("symusic")
    words = [
        *vocabulary().split(),
        "Bar",
        "Pitch_",
        "Pitch_999",
        "Pitch_-3",
        "Metre_0/4",
        "Metre_4/0",
    ]
    words += [
        "Metre_1/32",
        "Metre_99/1",
        "Position_99999",
        "Duration_0",
        "Tempo_0",
        "ROMEO:",
        "_",
        "٣",
    ]
    for seed in range(10):
        random = np.random.default_rng(seed)
        piece = to_piece(random.choice(words, random.integers(0, 400)).tolist())
        assert (piece.notes[:, 1] > 0).all() and (piece.notes[:, 0] >= 0).all()
        own = to_words(piece)
        assert to_words(to_piece(own)) == own
        if len(piece.notes):
            write_midi(piece, tmp_path / "a.mid")
            again = read_midi(tmp_path / "a.mid")
            np.testing.assert_array_equal(again.notes[:, :5], piece.notes[:, :5])
            assert to_words(again) == own
    assert not len(to_piece("").notes)


def test_a_file_off_the_grid_has_words_of_the_vocabulary_alone(tmp_path):
    pytest.importorskip("symusic")
    known = set(vocabulary().split())
    for seed in range(10):
        path = tmp_path / "a.mid"
        path.write_bytes(fuzzed(np.random.default_rng(seed))[0])
        words = to_words(read_midi(path))
        assert set(words) <= known
        assert to_words(to_piece(words)) == words


def test_a_piece_ends_with_its_line():
    assert len(to_piece("Bar Position_0 Pitch_60 Duration_12\nBar Pitch_61\n").notes) == 1
