"""Notes become sound: at their pitch, when they begin, and bounded."""

import numpy as np
import pytest

from tfgen.data.music.piece import DRUMS, Piece
from tfgen.data.music.synthesis import synthesise
from tfgen.errors import InputError


def piece(*notes):
    """Of notes `(start, duration, pitch, velocity, program)`: 480 ticks are half a second."""
    return Piece(notes=[(*note, 0) for note in notes])


@pytest.mark.parametrize("program", [0, 16, 40, 71])
def test_an_a_has_its_energy_at_440_hz_and_its_multiples(program):
    sound = synthesise(piece((0, 960, 69, 100, program)), sample_rate=16000)
    power = np.abs(np.fft.rfft(sound)) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1 / 16000)
    assert abs(frequency[power.argmax()] - 440) < 2
    near = np.abs(frequency / 440 - np.round(frequency / 440)) < 0.03
    assert power[near].sum() > 0.97 * power.sum()


def test_it_is_heard_when_it_is_played_and_louder_notes_are_louder():
    notes = (480, 240, 60, 40, 0), (1440, 240, 60, 120, 0)
    sound = synthesise(piece(*notes), sample_rate=8000)
    rms = np.sqrt(np.mean(sound[:16000].reshape(-1, 2000) ** 2, axis=1))  # quarter seconds
    assert sound.dtype == np.float32 and np.abs(sound).max() == pytest.approx(0.9)
    assert rms[[0, 1]].max() < 1e-6 and rms[2] > 0.01 and rms[5] < 1e-3 and rms[6] > 2 * rms[2]


def test_many_notes_at_once_and_drums_are_bounded_and_silence_is_silence():
    crowd = [(0, 480, 24 + i % 80, 127, (i % 16) * 8) for i in range(200)]
    crowd += [(0, 1, pitch, 127, DRUMS) for pitch in range(27, 88)]
    sound = synthesise(piece(*crowd), sample_rate=8000)
    assert np.isfinite(sound).all() and np.abs(sound).max() <= 0.9001
    assert not synthesise(piece()).any()


def test_a_high_note_is_not_heard_as_a_low_one():
    sound = synthesise(piece((0, 960, 127, 100, 16)), sample_rate=8000)  # 12.5 kHz
    assert not sound.any()


def test_a_long_piece_fades_out_where_it_is_told_to():
    sound = synthesise(piece((0, 480 * 100, 60, 100, 19)), sample_rate=8000, max_seconds=2)
    assert len(sound) == 16001 and np.abs(sound[-3:]).max() < 1e-3 < np.abs(sound[-4000:]).max()


@pytest.mark.parametrize("wrong", [{"sample_rate": 10}, {"max_seconds": 0}, {"max_seconds": 1e9}])
def test_wrong_arguments(wrong):
    with pytest.raises(InputError, match="Received"):
        synthesise(piece(), **wrong)
