"""`synthesise`: notes as sound, by adding up sines."""

import numpy as np

from tfgen.data.music.piece import DRUMS
from tfgen.errors import InputError

# What a note of a family of General MIDI (8 programs each) sounds like: the amplitude of harmonic k
# is 1 / k ** slope, odd ones alone of reeds; a note that is held fades to 1 / e in so many seconds.
_PIANO, _ORGAN, _STRINGS, _REEDS = (
    (1.5, False, 0.8),
    (0.9, False, 1e9),
    (1.1, False, 4),
    (1, True, 6),
)
_FAMILIES = (
    _PIANO, (2.0, False, 0.5), _ORGAN, (1.3, False, 0.6), (1.6, False, 0.7), _STRINGS, _STRINGS,
    _STRINGS, _REEDS, _REEDS, _STRINGS, _STRINGS, _STRINGS, (1.3, False, 0.6), _PIANO, _PIANO,
)  # fmt: skip
_HARMONICS, _ATTACK, _RELEASE = 10, 0.006, 0.06  # the times in seconds
_DRUM = 0.25  # seconds that a drum is heard
_BASS_DRUMS = (35, 36)
MOST_SECONDS = 3600


def synthesise(piece, sample_rate=22050, max_seconds=None):
    """The sound of a piece: harmonics that decay, and of drums bursts of noise.

    It is for hearing which notes there are; a synthesiser with a sound font plays the MIDI file
    better. The same piece is the same sound.

    Args:
        piece: A `tfgen.data.music.piece.Piece`.
        sample_rate: Samples a second, from 4,000 to 192,000.
        max_seconds: Where a longer piece fades out; None is an hour.

    Returns:
        float32 `(samples,)` within [-1, 1]; the loudest sample of any piece with notes is 0.9.

    Raises:
        InputError: An argument is out of range.
    """
    if not 4000 <= sample_rate <= 192000:
        raise InputError(
            f"sample_rate must be from 4,000 to 192,000. Received: sample_rate={sample_rate!r}"
        )
    longest = MOST_SECONDS if max_seconds is None else max_seconds
    if not 0 < longest <= MOST_SECONDS:
        raise InputError(
            f"max_seconds must be above 0 and at most {MOST_SECONDS:,}. "
            f"Received: max_seconds={max_seconds!r}"
        )
    start, duration, pitch, velocity, program, _ = piece.notes.T
    begins = piece.seconds(start)
    lasts = piece.seconds(start + duration) - begins
    there = begins < longest
    length = min(float((begins + lasts).max(initial=0, where=there)) + _DRUM, longest)
    sound = np.zeros(int(length * sample_rate) + 1, np.float32)
    for number in np.flatnonzero(there):
        make = _drum if program[number] == DRUMS else _tone
        tone = make(int(pitch[number]), int(program[number]), float(lasts[number]), sample_rate)
        first = int(begins[number] * sample_rate)
        tone = tone[: len(sound) - first]
        sound[first : first + len(tone)] += (velocity[number] / 127) ** 1.5 * tone
    if length == longest:
        fade = min(len(sound), sample_rate // 4)
        sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    loudest = np.abs(sound).max()
    return sound if loudest == 0 else sound * np.float32(0.9 / loudest)


def _tone(pitch, program, seconds, rate):
    """One note at full velocity, float32 `(samples,)`: as long as it is held, and its release."""
    slope, odd, fade = _FAMILIES[program // 8]
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    seconds = min(seconds, 8 * fade, MOST_SECONDS)  # it is not heard any more
    time = np.arange(int((seconds + _RELEASE) * rate) + 1, dtype=np.float32) / np.float32(rate)
    # sin(k x) = 2 cos(x) sin((k - 1) x) - sin((k - 2) x): one sine for all harmonics.
    angle = ((frequency * np.arange(len(time)) / rate) % 1 * 2 * np.pi).astype(np.float32)
    before, sine, twice = np.zeros_like(angle), np.sin(angle), 2 * np.cos(angle)
    total = np.zeros_like(angle)
    for k in range(1, _HARMONICS + 1):
        if k * frequency >= rate / 2:  # would be heard as another tone
            break
        if k % 2 or not odd:
            # Higher harmonics fade faster, as in anything that is struck.
            total += sine * np.exp(-time * (k - 1) / fade / 2) / np.float32(k**slope)
        before, sine = sine, twice * sine - before
    envelope = np.minimum(time / _ATTACK, 1) * np.exp(-time / fade)
    return total * envelope * np.clip((seconds + _RELEASE - time) / _RELEASE, 0, 1)


def _drum(pitch, program, seconds, rate):
    """A burst of noise, brighter and shorter the higher the number; bass drums are a low thump."""
    time = np.arange(int(_DRUM * rate), dtype=np.float32) / np.float32(rate)
    if pitch in _BASS_DRUMS:
        return np.sin(2 * np.pi * 55 * time + 4 * (1 - np.exp(-time / 0.02))) * np.exp(-time / 0.07)
    noise = np.random.default_rng(pitch).uniform(-1, 1, len(time)).astype(np.float32)
    if pitch > 41:  # cymbals: what changes from sample to sample
        noise = np.diff(noise, prepend=np.float32(0)) / 2
    return noise * np.exp(-time / (0.12 if pitch in (49, 52, 55, 57) else 0.04))
