"""`Sequences`: sequences of numbers in memory, and what is known of them."""

import dataclasses

import numpy as np

from tfgen.data.blocks import split_blocks
from tfgen.data.features import Feature
from tfgen.data.readers import Report
from tfgen.errors import InputError, unknown
from tfgen.kinds import find_kind, kinds_of_numbers

# Of what is set aside: what chooses the best weights of a training, and what scores are of.
HALVES = ("choice", "test")
SPLIT_RULES = ("auto", "time", "sequences", "blocks", "blocks+time")
# With fewer sequences than this, each is cut in time; with more, whole ones are set aside.
FEW = 20


@dataclasses.dataclass
class Sequences:
    """Sequences of numbers, each with a length of its own.

    Attributes:
        name: As the data was asked for.
        kind: One of `tfgen.kinds.KINDS`, but `"text"`.
        features: Tuple of `Feature`, one for each column of the values.
        values: List of float32 arrays `(time, features)`, of float64 where float32 would lose what
            changes in a column, see `needs_float64`. NaN is missing; a category is the number of
            its level.
        ids: List of texts: the value of the id column, or the file's name.
        times: List of int64 arrays `(time,)`, seconds since 1970 without a time zone; None where
            there is no timestamp.
        known: List of float32 arrays `(time, known)`: covariates that are known beforehand.
        known_names: Their names.
        static: float32 array `(sequences, static)`: numbers that belong to a whole sequence.
        static_names: Their names.
        labels: int32 array `(sequences,)`: the class of each sequence.
        classes: What the classes are called.
        texts: What each sequence says, as a drawing of handwriting does; None where that is not
            known.
        sample_rate: Of audio, positions a second.
        ends: Whether a sequence is a whole thing, a drawing or a clip, whose end means something.
            A part that was cut from a long series has no end to learn. None is as the kind is.
        held_out: bool array `(sequences,)`: those that the data itself keeps for validation; None
            where it does not say.
        test: bool array `(sequences,)`: of these, those that the data itself keeps for scores: they
            are not for validation, which the others are alone. None where it does not say.
        report: `tfgen.data.readers.Report` of what was kept and dropped.
        time_form: Of which column times were read, and how they are written there, for a person.
    """

    name: str
    kind: str
    features: tuple[Feature, ...]
    values: list
    ids: list
    times: list | None = None
    known: list | None = None
    known_names: tuple[str, ...] = ()
    static: np.ndarray | None = None
    static_names: tuple[str, ...] = ()
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    texts: list | None = None
    sample_rate: int | None = None
    ends: bool | None = None
    held_out: np.ndarray | None = None
    test: np.ndarray | None = None
    report: Report = dataclasses.field(default_factory=Report)
    time_form: str | None = None

    def __post_init__(self):
        if self.kind not in kinds_of_numbers():
            raise unknown("kind of sequences", self.kind, kinds_of_numbers())
        if self.ends is None:
            self.ends = find_kind(self.kind).ends

    def __len__(self):
        return len(self.values)

    @property
    def positions(self):
        """Number of positions in all sequences together."""
        return sum(len(values) for values in self.values)

    def select(self, numbers):
        """Returns the sequences of these numbers, in this order."""
        numbers = [int(number) for number in numbers]

        def some(values):
            return None if values is None else [values[number] for number in numbers]

        return dataclasses.replace(
            self,
            values=some(self.values),
            ids=some(self.ids),
            times=some(self.times),
            known=some(self.known),
            static=None if self.static is None else self.static[numbers],
            labels=None if self.labels is None else self.labels[numbers],
            texts=some(self.texts),
            held_out=None if self.held_out is None else self.held_out[numbers],
            test=None if self.test is None else self.test[numbers],
        )

    def cut(self, bounds):
        """Returns of each sequence the positions from `start` to `stop`; empty ones are left out.

        Args:
            bounds: List of `(start, stop)`, one for each sequence.
        """

        def some(parts):
            if parts is None:
                return None
            return [part[start:stop] for part, (start, stop) in zip(parts, bounds, strict=True)]

        parts = dataclasses.replace(
            self, values=some(self.values), times=some(self.times), known=some(self.known)
        )
        kept = [number for number, part in enumerate(parts.values) if len(part)]
        return parts.select(kept)

    def split(self, validation_fraction, rule="auto", half=None):
        """Sets a part aside for validation.

        What has values is divided: rows at the end in which nothing was observed, such as those
        of what is known of the future, belong to neither part. Unless the fraction is 0, at least
        one sequence, or one position, is set aside if there are two.

        Args:
            validation_fraction: At least 0, less than 1.
            rule: `"time"` takes the last part of each sequence, `"sequences"` takes every so
                manieth sequence as a whole (evenly spread, so that neither kind nor order
                matters); `"auto"` takes what the data itself holds out, if it does, else `"time"`
                where there are timestamps or fewer than 20 sequences, and `"sequences"` elsewhere.
                `"blocks"` takes blocks out of the whole time, see `tfgen.data.blocks`, so that
                what is generated can be compared with seasons that were learned. `"blocks+time"`
                holds out both, each a half: the last part of each sequence, which is neither
                trained on nor for validation but for forecasts, see `split_edges`, and for
                validation blocks out of the time before it.
                Drawings and clips are set aside as a whole, but for a single one, which is cut in
                time and has no end to learn then.
            half: `"choice"` or `"test"`: only that half of what is set aside. They are every other
                of what was set aside (whole sequences, blocks, ends of 20 sequences or more); of
                less, the earlier and the later half in time. Where the data itself keeps some for
                scores, these are the test, and the others for choice.

        Returns:
            `(train, validation, sentence)`, the last of which tells the rule to a person.
        """
        bounds = self.held_bounds(validation_fraction, rule, half)
        if holds_blocks(rule) and validation_fraction and len(self):
            return self._split_blocks(validation_fraction, rule, half)
        share = f"{100 * validation_fraction:g}%"
        if bounds is not None:
            stops = [_stop(values) for values in self.values]
            edges = self.split_edges(validation_fraction, rule)
            train, rest = self.cut([(0, edge) for edge in edges]), self.cut(bounds)
            which = "the sequence" if len(self) == 1 else f"each of {len(self):,} sequences"
            sentence = f"the last {share} of {which} in time are for validation"
            unknown = sum(len(v) - stop for v, stop in zip(self.values, stops) if stop)
            if unknown:
                sentence += f" (of what has values: {unknown:,} rows at the end have none)"
            if rule == "auto" and self.ends:
                train, rest = (dataclasses.replace(part, ends=False) for part in (train, rest))
                sentence += " (there is no other sequence to set aside)"
            return train, rest, sentence
        own = rule == "auto" and self._holds_out()
        aside = self.held_out if own else self._set_aside(validation_fraction)
        train = self.select(np.flatnonzero(~aside))
        rest = self.select(np.flatnonzero(aside))
        which = "which the data itself holds out" if own else "evenly spread"
        if own and self.test is not None:
            kept = np.flatnonzero(aside & self.test)
            rest = self.select(kept if half == "test" else np.flatnonzero(aside & ~self.test))
            which, half = f"{which} besides {len(kept):,} for scores", None
        are = "is" if len(rest) == 1 else "are"
        share = "" if own else f" ({share})"
        sentence = f"{len(rest):,} of {len(self):,} sequences{share}, {which}, {are} for validation"
        if half is not None:
            rest = rest.select(np.arange(len(rest))[HALVES.index(half) :: 2])
        return train, rest, sentence

    def held_bounds(self, validation_fraction, rule="auto", half=None):
        """Of each sequence `(start, stop)` of what is set aside in time, see `split`.

        Returns:
            List of pairs, equal ones where nothing is; None where sequences, or blocks of them, are
            set aside as a whole.
        """
        if half is not None and half not in HALVES:
            raise unknown("half", half, HALVES)
        edges = self.split_edges(validation_fraction, rule)
        if edges is None or holds_blocks(rule):
            return None
        stops = [max(edge, _stop(values)) for edge, values in zip(edges, self.values)]
        if half is None:
            return list(zip(edges, stops))
        some = [number for number, edge in enumerate(edges) if edge < stops[number]]
        if len(some) >= FEW:
            chosen = set(some[HALVES.index(half) :: 2])
            return [(edges[i] if i in chosen else stop, stop) for i, stop in enumerate(stops)]
        middles = [(edge + stop + 1) // 2 for edge, stop in zip(edges, stops)]
        return list(zip(edges, middles) if half == "choice" else zip(middles, stops))

    def split_edges(self, validation_fraction, rule="auto"):
        """Of each sequence the first position of the end that is set aside, see `split`.

        Returns:
            List of integers; None where sequences, or blocks alone, are set aside as a whole.
        """
        if rule not in SPLIT_RULES:
            raise unknown("data.split", rule, SPLIT_RULES)
        if not 0 <= validation_fraction < 1:
            raise InputError(
                "validation_fraction must be at least 0 and less than 1. "
                f"Received: validation_fraction={validation_fraction}"
            )
        if rule == "blocks" or (rule == "auto" and self._holds_out()):
            return None
        if rule == "auto":
            in_time = not self.ends and (self.times is not None or len(self) < FEW)
            rule = "time" if in_time or len(self) == 1 else "sequences"
        if rule == "sequences":
            return None
        if rule == "blocks+time":
            validation_fraction /= 2
        observed = [np.flatnonzero(_observed(values)) for values in self.values]
        counts = np.array([len(rows) for rows in observed], np.int64)
        # As a person counts: the whole positions of the last part, rounded.
        aside = np.array([round(validation_fraction * count) for count in counts.tolist()], int)
        if validation_fraction and not aside.any():
            aside = np.where(counts > 1, 1, 0)
        return [
            int(rows[-number]) if number else len(values)
            for values, rows, number in zip(self.values, observed, aside.tolist())
        ]

    def _split_blocks(self, fraction, rule, half):
        """`split` by blocks; with an end that is held out as well, of the time before it."""
        before, prefix = self, ""
        if rule == "blocks+time":
            edges = self.split_edges(fraction, rule)
            before = self.cut([(0, edge) for edge in edges])
            prefix = f"the last {50 * fraction:.3g}% in time are for forecasts; of what is before, "
            fraction = fraction / (2 - fraction)  # a half of the fraction, of what is left
        observed = [np.flatnonzero(_observed(values)) for values in before.values]
        turn = None if half is None else HALVES.index(half)
        train, rest, sentence = split_blocks(before, observed, fraction, turn, rule)
        return train, rest, prefix + sentence

    def _holds_out(self):
        """Whether the data itself keeps some of its sequences for validation, and not all."""
        return self.held_out is not None and 0 < np.count_nonzero(self.held_out) < len(self)

    def _set_aside(self, fraction):
        """bool `(sequences,)`: which whole ones are for validation."""
        aside = np.zeros(len(self), bool)
        seen = np.flatnonzero([_observed(values).any() for values in self.values])
        # Number i is set aside where the count of those set aside has to grow.
        wanted = np.floor(np.arange(len(seen) + 1) * fraction + 1e-9)
        aside[seen] = np.diff(wanted) > 0
        if fraction and len(seen) > 1 and not aside.any():
            aside[seen[-1]] = True
        if self.labels is not None and aside.any():
            # A class of which nothing was left could not be learned.
            classes, members = np.unique(self.labels, return_counts=True)
            alone = np.isin(self.labels, classes[members == 1])
            aside &= ~alone
            if not aside.any():
                aside[np.flatnonzero(~alone)[-1] if not alone.all() else -1] = True
        return aside


def holds_blocks(rule):
    """Whether a rule for splitting holds out blocks, between which is trained."""
    return rule in ("blocks", "blocks+time")


def needs_float64(column):
    """Whether float32 loses what changes in a column of numbers, such as a counter's last digits.

    That is so where the distance of two float32 of its size is more than a hundredth of the usual
    change from row to row.

    Args:
        column: Float array `(time,)`; NaN is missing.
    """
    seen = np.asarray(column, np.float64)
    seen = seen[np.isfinite(seen)]
    with np.errstate(over="ignore"):
        if np.array_equal(seen.astype(np.float32), seen):
            return False
    changes = np.abs(np.diff(seen))
    changes = changes[changes > 0]
    if not len(changes):
        return False
    largest = min(float(np.abs(seen).max()), float(np.finfo(np.float32).max))
    if np.spacing(np.float32(largest)) <= changes.min() / 100:  # so it is of any other, too
        return False
    size = min(float(np.median(np.abs(seen))), float(np.finfo(np.float32).max))
    return bool(np.spacing(np.float32(size)) > np.median(changes) / 100)


def _observed(values):
    """bool `(time,)`: where anything was observed."""
    return ~np.isnan(values).all(axis=1)


def _stop(values):
    """The position after the last one at which anything was observed; 0 if there is none."""
    observed = np.flatnonzero(_observed(values))
    return int(observed[-1]) + 1 if len(observed) else 0
