"""Voice leading and copies of pieces, by chords whose faults are known."""

import numpy as np
import pytest

from tfgen.data.cuts import Parts
from tfgen.data.music.frames import features_of
from tfgen.data.sequences import Sequences
from tfgen.errors import InputError
from tfgen.evaluation.generation import score_generation
from tfgen.evaluation.music import copied_pieces, voice_leading
from tfgen.preprocessing import SequenceProcessor

FEATURES = features_of(4, 21, 108)


def _frames(*chords):
    """Chords as pitches, 0 a rest, to frames."""
    chords = np.array(chords, np.float32)
    return np.where(chords > 0, chords - 20, 0)


def test_two_chords_with_a_fifth_and_an_octave_in_parallel():
    # C major to D minor, all up a tone: tenor over bass a fifth, soprano over bass two octaves.
    found = voice_leading([_frames((72, 64, 55, 48), (74, 65, 57, 50))], FEATURES)
    # Soprano and bass: octaves. Tenor and bass: a fifth. No other pair keeps such an interval.
    assert found["parallel_fifths"] == 100 and found["parallel_octaves"] == 100
    assert found["crossings"] == 0 and found["out_of_range"] == 0


def test_held_repeated_and_contrary_voices_have_no_parallels():
    held = _frames((72, 64, 55, 48), (72, 64, 55, 48))
    contrary = _frames((72, 64, 55, 48), (71, 62, 55, 43))  # bass down to an octave of the tenor
    rests = _frames((72, 64, 55, 48), (0, 0, 0, 0), (74, 65, 57, 50))
    for piece in (contrary, rests):
        found = voice_leading([piece], FEATURES)
        assert found["parallel_fifths"] == found["parallel_octaves"] == 0
    assert np.isnan(voice_leading([held], FEATURES)["parallel_fifths"])


def test_crossings_and_ranges_are_counted():
    # In the second of two frames the tenor is above the alto, and the bass below its range.
    found = voice_leading([_frames((72, 64, 55, 48), (72, 60, 62, 38))], FEATURES)
    assert found["crossings"] == 50 and found["out_of_range"] == 12.5
    with pytest.raises(InputError, match="of 4 voices. Received: features=3"):
        voice_leading([], features_of(3, 21, 108))


def test_evaluation_sets_a_model_beside_real_pieces():
    # The model sings chords in parallel where real pieces hold one of them.
    first, second = (72, 64, 55, 48), (74, 65, 57, 50)
    real = [_frames(*[first, (72, 64, 57, 48)] * 16) for _ in range(10)]
    pieces = Sequences("pieces", "music", FEATURES, real, [str(n) for n in range(10)])
    parts = Parts(pieces, pieces, pieces, [0] * 10, "all", False)

    class Model:
        generation, draws_in_order = None, True
        processor = SequenceProcessor.fit(pieces)

        def generate(self, number, length, seed):
            return [_frames(*[first, second] * 16)] * number

    wanted = ["voice_leading", "memorisation"]
    section, _ = score_generation(Model(), parts, pieces, wanted, 1, 32, 10, 0, lambda line: None)
    scores = section["scores"]
    assert scores["parallel_fifths"]["mean"] == scores["parallel_octaves"]["mean"] == 100
    assert scores["parallel_fifths"]["real"] == scores["parallel_octaves"]["real"] == 0
    # What is held out is what was trained on, here.
    assert scores["copied_pieces"]["mean"] == 0 and scores["copied_pieces"]["real"] == 1


def test_copies_are_found_in_any_key():
    rng = np.random.default_rng(0)
    known = rng.integers(40, 70, (10, 4)).astype(np.float32)
    known[3, 2] = 0  # a rest, which is not moved
    moved = np.where(known > 0, known + 3, 0)
    other = rng.integers(40, 70, (10, 4)).astype(np.float32)
    assert copied_pieces([moved], [known], FEATURES, 4) == 1
    assert copied_pieces([other], [known], FEATURES, 4) == 0
    # Of 2 * 7 stretches of 4 frames a half is known; with one pitch changed none of it is.
    assert copied_pieces([moved, other], [known], FEATURES, 4) == 0.5
    moved[[0, 4, 8], 0] += 1
    assert copied_pieces([moved], [known], FEATURES, 4) == 0
    assert np.isnan(copied_pieces([moved], [known], FEATURES, 11))
