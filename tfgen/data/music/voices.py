"""`split_voices`: which voice sings which of the pitches of a frame."""

import functools
import itertools

import numpy as np

from tfgen.data.music.rolls import REST

_NO_CROSSING = 1e-3  # of a choice between equal ways: the lower voice doubles


def split_voices(frames, voices):
    """Gives the pitches of each frame to voices that do not cross and move as little as can be.

    A chord of fewer pitches than voices is sung by all of them, some in unison; none sings where
    there is no pitch. Of all ways the one is taken in which the voices together move by the fewest
    semitones from each chord to the next (by dynamic programming).

    Args:
        frames: List of lists of pitches.
        voices: Number of voices.

    Returns:
        int32 `(frames, voices)` from the highest voice to the lowest, -1 where it rests; None if
        a frame has more pitches than there are voices.
    """
    found = np.full([len(frames), voices], REST, np.int32)
    places, options = [], []
    for place, frame in enumerate(frames):
        pitches = sorted(set(frame), reverse=True)
        if len(pitches) > voices:
            return None
        if pitches:
            places.append(place)
            options.append(np.array(pitches)[_ways(len(pitches), voices)])
    if not places:
        return found
    costs, steps = [np.arange(len(options[0])) * _NO_CROSSING], []
    for before, after in itertools.pairwise(options):
        moved = np.abs(after[:, None] - before[None]).sum(axis=-1) + costs[-1][None]
        steps.append(moved.argmin(axis=1))
        costs.append(moved.min(axis=1) + np.arange(len(after)) * _NO_CROSSING)
    chosen = int(np.argmin(costs[-1]))
    for number in range(len(options) - 1, -1, -1):
        found[places[number]] = options[number][chosen]
        chosen = int(steps[number - 1][chosen]) if number else chosen
    return found


@functools.lru_cache(None)
def _ways(pitches, voices):
    """Which of the pitches each voice sings, int `(ways, voices)`: all of them, in order."""
    cuts = itertools.combinations(range(1, voices), pitches - 1)
    # The lowest one in unison first: chords are doubled from below.
    rows = [np.searchsorted(cut, np.arange(voices), "right") for cut in cuts]
    return np.array(rows[::-1]).reshape(-1, voices)
