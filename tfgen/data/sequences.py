"""`Sequences`: sequences of numbers in memory, and what is known of them."""

import dataclasses

import numpy as np

from tfgen.data.readers import Report
from tfgen.errors import InputError, unknown

KINDS = ("series", "strokes", "audio")
SPLIT_RULES = ("auto", "time", "sequences")
# With fewer sequences than this, each is cut in time; with more, whole ones are set aside.
FEW = 20


@dataclasses.dataclass(frozen=True)
class Feature:
    """One channel of a sequence.

    Attributes:
        name: The column's name.
        levels: Of a category, what its values 0, 1, ... stand for; empty for a number.
        low: The least value there can be, in the data's units; None where there is no such bound.
        high: The greatest, likewise.
    """

    name: str
    levels: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def is_category(self):
        return bool(self.levels)


@dataclasses.dataclass
class Sequences:
    """Sequences of numbers, each with a length of its own.

    Attributes:
        name: As the data was asked for.
        kind: `"series"`, `"strokes"` or `"audio"`.
        features: Tuple of `Feature`, one for each column of the values.
        values: List of float32 arrays `(time, features)`. NaN is missing; a category is the number
            of its level.
        ids: List of texts: the value of the id column, or the file's name.
        times: List of int64 arrays `(time,)`, seconds since 1970 without a time zone; None where
            there is no timestamp.
        known: List of float32 arrays `(time, known)`: covariates that are known beforehand.
        known_names: Their names.
        static: float32 array `(sequences, static)`: numbers that belong to a whole sequence.
        static_names: Their names.
        labels: int32 array `(sequences,)`: the class of each sequence.
        classes: What the classes are called.
        sample_rate: Of audio, positions a second.
        ends: Whether a sequence is a whole thing, a drawing or a clip, whose end means something.
            A part that was cut from a long series has no end to learn.
        report: `tfgen.data.readers.Report` of what was kept and dropped.
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
    sample_rate: int | None = None
    ends: bool = False
    report: Report = dataclasses.field(default_factory=Report)

    def __post_init__(self):
        if self.kind not in KINDS:
            raise unknown("kind of sequences", self.kind, KINDS)

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

    def split(self, validation_fraction, rule="auto"):
        """Sets a part aside for validation.

        Args:
            validation_fraction: At least 0, less than 1.
            rule: `"time"` takes the last part of each sequence, `"sequences"` takes every so
                manieth sequence as a whole (evenly spread, so that neither kind nor order
                matters); `"auto"` takes `"time"` where there are timestamps or fewer than 20
                sequences, and `"sequences"` elsewhere.

        Returns:
            `(train, validation, sentence)`, the last of which tells the rule to a person.
        """
        if rule not in SPLIT_RULES:
            raise unknown("data.split", rule, SPLIT_RULES)
        if not 0 <= validation_fraction < 1:
            raise InputError(
                "validation_fraction must be at least 0 and less than 1. "
                f"Received: validation_fraction={validation_fraction}"
            )
        if rule == "auto":
            in_time = not self.ends and (self.times is not None or len(self) < FEW)
            rule = "time" if in_time else "sequences"
        share = f"{100 * validation_fraction:g}%"
        if rule == "time":
            # As a person counts: the whole positions of the last part, rounded up.
            edges = [len(v) - round(validation_fraction * len(v)) for v in self.values]
            train = self.cut([(0, edge) for edge in edges])
            rest = self.cut([(edge, len(v)) for edge, v in zip(edges, self.values)])
            which = "the sequence" if len(self) == 1 else f"each of {len(self):,} sequences"
            sentence = f"the last {share} of {which} in time are for validation"
            return train, rest, sentence
        # Number i is set aside where the count of those set aside has to grow.
        wanted = np.floor(np.arange(len(self) + 1) * validation_fraction + 1e-9)
        aside = np.diff(wanted) > 0
        train = self.select(np.flatnonzero(~aside))
        rest = self.select(np.flatnonzero(aside))
        sentence = (
            f"{len(rest):,} of {len(self):,} sequences ({share}), evenly spread, are for validation"
        )
        return train, rest, sentence
