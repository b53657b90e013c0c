"""`inspect_events`: what is in files of music before anybody trains on them."""

import collections
import contextlib

import numpy as np

from tfgen.data import readers
from tfgen.data.converted import files_in
from tfgen.data.music.piece import DRUMS, DURATION, PITCH, PROGRAM
from tfgen.data.music.scores import read_pieces
from tfgen.data.text import open_text
from tfgen.files import home_path
from tfgen.kinds import find_kind
from tfgen.report.music import MOST_PIECES, class_name, pitch_span, roll_figure

# The families of General MIDI, of 8 programs each.
_FAMILIES = (
    "piano", "chromatic percussion", "organ", "guitar", "bass", "strings", "ensemble", "brass",
    "reed", "pipe", "synth lead", "synth pad", "synth effects", "ethnic", "percussive", "effects",
)  # fmt: skip
# How well each pitch class fits to a key on the first: Krumhansl and Kessler, 1982.
_MAJOR = 6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88
_MINOR = 6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17
_SHOWN, _WORDS = 8, 24


def inspect_events(config):
    """Tells what was kept and dropped and why, the instruments, tempos, metres, keys and pitches.

    Args:
        config: A `tfgen.recipe.DataConfig` of MIDI files.

    Returns:
        `(text, figure)`: lines without characters that a terminal would obey, and the piano rolls
        of a few pieces, spread evenly.
    """
    source = open_text(config.name, config.column, config.validation_fraction)
    found, shown = _Facts(), []
    every = max(source.report.kept // MOST_PIECES, 1)
    for piece in _pieces(config.name):
        if found.pieces % every == 0 and len(shown) < MOST_PIECES:
            shown.append(piece)
        found.add(piece)
    report = source.report
    words = next(source.chunks("all")).split(maxsplit=_WORDS)[:_WORDS]
    lines = [
        f"{source.name}: music as events, {found.pieces:,} pieces, {found.notes:,} notes, "
        f"{sum(chunk.count(' ') + 1 for chunk in source.chunks('all')):,} words",
        f"kept: {found.pieces:,} piece{'s' * (found.pieces != 1)}",
        *(f"dropped: {reason}" for reason in report.reasons() or ["nothing"]),
        f"split: {source.split_rule}",
        *found.lines(),
        f"sample: {' '.join(words)} ...",
    ]
    figure = roll_figure(shown, [piece.name for piece in shown], source.name)
    return "\n".join(_shown(line) for line in lines), figure


class _Facts:
    """What is told of pieces, gathered one by one."""

    def __init__(self):
        self.pieces = self.notes = 0
        self._lengths, self._tracks, self._together = [], [], []
        self._counts = collections.defaultdict(collections.Counter)
        self._pitches = np.zeros([128], np.int64)

    def add(self, piece):
        start, duration, pitch, _, program, track = piece.notes.T
        self.pieces += 1
        self.notes += len(piece.notes)
        self._lengths.append((piece.end / piece.ticks_per_quarter, piece.seconds(piece.end)))
        self._tracks.append(len(np.unique(track)))
        for name, values in (
            ("instruments", np.unique(program).tolist()),
            ("tempos", sorted({round(tempo) for tempo in piece.tempos[:, 1]}) or ["120 (none)"]),
            ("metres", sorted({f"{a}/{b}" for _, a, b in piece.metres.tolist()}) or ["none"]),
            ("keys", [_key_of(piece)]),
        ):
            self._counts[name].update(values)
        pitched = program != DRUMS
        self._pitches += np.bincount(pitch[pitched], minlength=128)
        self._together.append(_polyphony(start[pitched], duration[pitched]))

    def lines(self):
        quarters, seconds = np.array(self._lengths, float).T
        yield (
            f"lengths: {_range(quarters)} quarter notes, {_range(seconds)} seconds, "
            f"{seconds.sum() / 3600:.3g} hours in all"
        )
        yield f"tracks: {_range(self._tracks)}"
        for name, counts in self._counts.items():
            told = [
                f"{_instrument(each) if name == 'instruments' else each} {number:,}"
                for each, number in counts.most_common(_SHOWN)
            ]
            more = len(counts) - _SHOWN
            yield f"{name}, in pieces: {', '.join(told)}{f' and {more} more' * (more > 0)}"
        sung = np.flatnonzero(self._pitches)
        if len(sung):
            low, high = sung[[0, -1]].tolist()
            yield f"pitches: {pitch_span(low, high)}"
            most, mean = np.max(self._together, axis=0)[0], np.mean(self._together, axis=0)[1]
            yield f"notes at once: {mean:.3g} while any sounds, {most:.0f} at most"


def _pieces(name):
    """Yields the pieces of a file or a folder that can be read."""
    path, suffixes = home_path(name), find_kind("events").suffixes
    for file in files_in(path) if path.is_dir() else [path]:
        if file.is_file() and readers.suffix_of(file) in suffixes:
            with contextlib.suppress(readers.Unreadable):
                yield from read_pieces(file)


def _polyphony(start, duration):
    """The most notes at once, and their mean while any sounds."""
    if not len(start):
        return 0, 0.0
    times = np.concatenate([start, start + duration])
    steps = np.concatenate([np.ones(len(start), int), -np.ones(len(start), int)])
    order = np.lexsort([steps, times])  # what ends is over before what begins then
    counts, lasts = np.cumsum(steps[order])[:-1], np.diff(times[order])
    sounding = lasts[counts > 0].sum()
    return int(counts.max()), float((counts * lasts).sum() / max(sounding, 1))


def _key_of(piece):
    """The first key that a file says, or the one that its pitch classes fit best to, with a `~`."""
    if len(piece.keys):
        _, sharps, minor = piece.keys[0].tolist()
        return f"{class_name(7 * sharps + 9 * minor)} {'minor' if minor else 'major'}"
    pitched = piece.notes[piece.notes[:, PROGRAM] != DRUMS]
    if not len(pitched):
        return "none"
    weights = np.bincount(pitched[:, PITCH] % 12, pitched[:, DURATION] + 1.0, 12)
    if np.ptp(weights) == 0:
        return "none"
    fits = {
        f"~{class_name(first)} {mode}": np.corrcoef(np.roll(profile, first), weights)[0, 1]
        for mode, profile in (("major", _MAJOR), ("minor", _MINOR))
        for first in range(12)
    }
    return max(fits, key=fits.get)


def _instrument(program):
    return "drums" if program == DRUMS else f"{_FAMILIES[program // 8]} ({program})"


def _range(values):
    low, high, usual = np.min(values), np.max(values), np.median(values)
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}, median {usual:.4g}"


def _shown(text):
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
