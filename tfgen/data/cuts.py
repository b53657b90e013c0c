"""What sequences are cut into to be compared with: windows, and forecasts to make."""

import dataclasses
from typing import NamedTuple

import numpy as np

from tfgen.data.sequences import Sequences
from tfgen.errors import InputError

_FEW = 4  # forecasts that have no position in common


class Parts(NamedTuple):
    """Sequences, taken apart for an evaluation.

    Attributes:
        known: What a naive model learns from: the training split, if there is one.
        held: What is predicted.
        whole: The sequences of `held`, each after what comes before it.
        edges: Of each of `whole` the first position that belongs to `held`.
        split: Which split `held` is.
        surrounded: Whether `held` are blocks, after which comes what was trained on.
    """

    known: Sequences
    held: Sequences
    whole: Sequences
    edges: list
    split: str
    surrounded: bool = False

    def few(self, most):
        """The parts with so many sequences to predict, evenly spread."""
        held, whole = (np.arange(most) * len(each) // most for each in (self.held, self.whole))
        return self._replace(
            held=self.held.select(held),
            whole=self.whole.select(whole),
            edges=[self.edges[number] for number in whole],
        )


@dataclasses.dataclass(frozen=True)
class Cuts:
    """Pieces of one length that were cut from sequences, with all that belongs to them.

    Attributes:
        values: `(number, time, features)`, float32 or as the sequences' own.
        times: int64 `(number, time)`, or None.
        known: float32 `(number, time, known)`, or None.
        static: float32 `(number, static)`, or None.
        labels: int32 `(number,)`, or None.
        texts: Array of texts, or None.
        places: int64 `(number, 2)`: of which sequence each is, and its first position there.
    """

    values: np.ndarray
    times: np.ndarray | None = None
    known: np.ndarray | None = None
    static: np.ndarray | None = None
    labels: np.ndarray | None = None
    texts: np.ndarray | None = None
    places: np.ndarray | None = None

    def __len__(self):
        return len(self.values)

    def take(self, numbers):
        """Returns the pieces of these numbers."""
        return Cuts(**{k: None if v is None else v[numbers] for k, v in vars(self).items()})


def cut_windows(sequences, length, most, rng, gaps=0.0):
    """Cuts windows at random places, no two at the same.

    Of whole things, drawings and clips, each gives one window, from its beginning: it is cut to
    `length`, or zeros are put after its end.

    Args:
        sequences: `tfgen.data.sequences.Sequences`.
        length: Positions of a window.
        most: Windows wanted; there may be less.
        rng: NumPy generator that chooses them.
        gaps: The share of each column that may be missing in a window.

    Returns:
        `Cuts` of at least one window.

    Raises:
        InputError: If there is no such window.
    """
    places = []
    for number in range(len(sequences)):
        starts = np.flatnonzero(_complete(sequences, number, length, gaps))
        places.append(np.stack([np.full(len(starts), number), starts], axis=1))
    places = np.concatenate(places) if places else np.zeros([0, 2], np.int64)
    if not len(places):
        raise InputError(
            f"{sequences.name} has no window of {length} positions in which "
            f"{f'{1 - gaps:.0%} of each column is known' if gaps else 'nothing is missing'}: "
            f"use shorter ones. Received: length={length}"
        )
    if len(places) > most:
        places = places[rng.choice(len(places), most, replace=False)]
    return cut_at(sequences, places, length)


def share_complete(sequences, length):
    """The share of windows that have no missing value, which `cut_windows` chooses from."""
    found = [_complete(sequences, number, length) for number in range(len(sequences))]
    found = np.concatenate(found) if found else np.zeros(0, bool)
    return float(np.mean(found)) if len(found) else 0.0


def _complete(sequences, number, length, gaps=0.0):
    """Of each place where a window of a sequence may begin, whether it has no more gaps."""
    missing = np.isnan(sequences.values[number])
    if sequences.ends:
        return np.array([not missing[:length].any()] if len(missing) else [], bool)
    before = np.pad(np.cumsum(missing, axis=0), [(1, 0), (0, 0)])
    found = before[length:] - before[: max(len(before) - length, 0)]
    return np.all(found <= gaps * length, axis=1)


def filled(windows, features):
    """Windows whose gaps hold what stands around them.

    A number lies on the line between those before and after it; a category and a direction are the
    nearest that is known.

    Args:
        windows: Float array `(windows, time, features)`; NaN is missing.
        features: The `Feature` of each column. In a window, one that is known nowhere is 0.
    """
    windows = np.array(windows)
    positions = np.arange(windows.shape[1])
    for window, number in np.argwhere(np.isnan(windows).any(axis=1)):
        column, feature = windows[window, :, number], features[number]
        known = np.flatnonzero(~np.isnan(column))
        if not len(known):
            column[:] = 0
        elif feature.is_category or feature.circle:
            column[:] = column[known[np.abs(positions[:, None] - known).argmin(axis=1)]]
        else:
            column[:] = np.interp(positions, known, column[known])
    return windows


def held_out_from(sequences, validation_fraction, rule):
    """Of each sequence the first position that was held out; its length if none was.

    Args:
        sequences: `Sequences`.
        validation_fraction: As of `Sequences.split`.
        rule: The same, but for `"blocks"`.
    """
    edges = sequences.split_edges(validation_fraction, rule)
    if edges is not None:
        return edges
    _, rest, _ = sequences.split(validation_fraction, rule)
    held = set(rest.ids)
    sizes = zip(sequences.ids, sequences.values, strict=True)
    return [0 if identity in held else len(values) for identity, values in sizes]


def held_lengths(sequences, edges):
    """Of each sequence, how many positions were held out, given the first of them."""
    return [len(values) - edge for values, edge in zip(sequences.values, edges, strict=True)]


def cut_origins(sequences, edges, context, horizon, most, stops=None, stride=None):
    """Cuts pieces that a forecast is to be made in: `context` positions, then `horizon` more.

    Args:
        sequences: `tfgen.data.sequences.Sequences`, whole ones.
        edges: Of each sequence the first position that may be forecast.
        context: Positions before an origin.
        horizon: Positions after it.
        most: Pieces wanted; of too many origins, those are taken that are evenly spread.
        stops: Of each sequence the position after the last one that may be forecast; None is its
            end.
        stride: Positions from an origin to the next; None is the horizon, so that no position is
            forecast twice, or less where that makes less than four of them.

    Returns:
        `Cuts` of pieces in which something was observed after the origin.

    Raises:
        InputError: If the sequences are too short for one.
    """
    places = []
    stops = [len(values) for values in sequences.values] if stops is None else stops
    if stride is None:
        rooms = [
            max(stop - horizon + 1 - max(edge, context), 0)
            for edge, stop in zip(edges, stops, strict=True)
        ]
        stride = horizon
        if sum(-(-room // horizon) for room in rooms) < _FEW:
            stride = max(1, min(horizon, sum(rooms) // most))
    for number, (values, edge, stop) in enumerate(zip(sequences.values, edges, stops, strict=True)):
        for origin in range(max(edge, context), stop - horizon + 1, stride):
            if not np.isnan(values[origin : origin + horizon]).all():
                places.append([number, origin - context])
    if not places:
        raise InputError(
            f"{sequences.name} is too short for a forecast of {horizon} positions after {context}. "
            f"Received: horizon={horizon}"
        )
    if len(places) > most:
        chosen = np.linspace(0, len(places) - 1, most).round().astype(int)
        places = [places[number] for number in chosen]
    return cut_at(sequences, np.array(places), context + horizon)


def cut_at(sequences, places, length):
    """Cuts pieces of one length at `places`, rows of the number of a sequence and a start."""

    def pieces(parts):
        if parts is None:
            return None
        cut = [parts[number][start : start + length] for number, start in places]
        pads = [[(0, length - len(piece))] + [(0, 0)] * (piece.ndim - 1) for piece in cut]
        return np.stack([np.pad(piece, pad) for piece, pad in zip(cut, pads)])

    whole = places[:, 0]
    return Cuts(
        values=pieces(sequences.values),
        times=pieces(sequences.times),
        known=pieces(sequences.known),
        static=None if sequences.static is None else sequences.static[whole],
        labels=None if sequences.labels is None else sequences.labels[whole],
        texts=None if sequences.texts is None else np.array(sequences.texts)[whole],
        places=places,
    )


def as_numbers(values, features):
    """Values whose distances mean something: a category of more than two levels as 0s and 1s.

    Args:
        values: Float array `(..., features)`.
        features: The `Feature` of each column.
    """
    columns = []
    for number, feature in enumerate(features):
        column = values[..., number : number + 1]
        if len(feature.levels) > 2:
            column = (column == np.arange(len(feature.levels))).astype(np.float32)
        columns.append(column)
    return np.concatenate(columns, axis=-1)


def pad_to(samples, length):
    """Generated sequences as `(number, length, features)`, with zeros after the end of each."""
    padded = [np.pad(s[:length], [(0, max(length - len(s), 0)), (0, 0)]) for s in samples]
    return np.nan_to_num(np.stack(padded), posinf=np.nan, neginf=np.nan)


def one_seed(parts):
    """One seed of 31 bits out of several numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0] >> 1)
