"""`SequenceWindows`: batches of sequences of numbers, addressed by their number."""

import numpy as np

from tfgen.data.series_scales import series_scale
from tfgen.data.windows import spread
from tfgen.errors import InputError

_BEGINNINGS = 0.5  # share of windows of a series that come without what stands before them
_WITHIN = 0.5  # share of windows that begin within a patch


class SequenceWindows:
    """Cuts sequences into windows and deals them out in batches.

    Batch k is a pure function of the seed and of k, so that a training that starts again at step k
    sees what it would have seen. A sequence that is not longer than the window is one window,
    padded on the right. In training a longer one is cut into full windows, at an offset that
    differs from epoch to epoch so that over the epochs every start occurs. A window that would hold
    no observed value is left out.

    Args:
        sequences: `tfgen.data.sequences.Sequences`.
        window: Positions in a window.
        batch_size: Windows in a batch.
        seed: Integer.
        drop_remainder: Whether the windows of an epoch that fill no batch are left out. If not, an
            epoch's windows go in order through the sequences, from the first position of each, and
            hold every position once. The last batch is smaller then.
        most: Without `drop_remainder`: batches in an epoch at most. Of more windows, some are taken
            that are spread evenly over the sequences and along them.
        augment: Function `(batch, numpy.random.Generator) -> batch`, see
            `tfgen.data.augmentation`. What it draws depends on the seed and on k alone.
        split: What messages call the sequences: `"training"`, `"validation"`.
        context: Without `drop_remainder`: positions before each window that a model reads as well,
            of which nothing counts.
        skip: List of integers, how many positions at the beginning of each sequence are there to be
            read alone; None is 0 for all.
        history: Positions before a window that come with it, for a model that reads lags. In
            training, every other window of a series comes without, as if the series began there:
            so it is with what is drawn from nothing, and at the beginning of a context.
        patch: Positions that a model takes at once. In training, every other window begins
            anywhere in the first patch: so it is with a context whose end is that of a patch.
        statistic: `"mean"` or `"median"` of the absolute values of a sequence, which is its scale.
        sizes: Ascending integers, of which the last holds the longest sequence or is `window`; None
            is `window` alone. A batch has the fewest positions of these that hold its windows, and
            in training windows of about the same length are in a batch together: less is padding.

    Attributes:
        steps_per_epoch: Batches in an epoch.
        positions: Number of positions in the data.
        skip: As an array of integers.

    Raises:
        InputError: If the sequences do not fill one batch, or an argument is out of range.
    """

    # Whether a validation goes along these windows with its state.
    carries_state = False

    def __init__(
        self,
        sequences,
        window,
        batch_size,
        seed=0,
        drop_remainder=True,
        augment=None,
        split=None,
        most=None,
        history=0,
        patch=1,
        statistic="mean",
        context=0,
        skip=None,
        sizes=None,
    ):
        checks = ("window", window, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)
        for name, value, least in checks:
            if value < least:
                raise InputError(f"{name} must be at least {least}. Received: {name}={value}")
        self.sequences = sequences
        self.window = window
        self.batch_size = batch_size
        self.seed = seed
        self.drop_remainder = drop_remainder
        self.augment = augment
        self.history = history
        self.patch = patch if drop_remainder else 1
        self._sizes = np.array(sizes or [window])
        self.context = context
        self.positions = sequences.positions
        self._lengths = np.array([len(values) for values in sequences.values], np.int64)
        self.skip = np.zeros_like(self._lengths) if skip is None else np.array(skip, np.int64)
        self._full = drop_remainder and patch == 1 and bool((self._lengths >= window).all())
        self._bases = np.cumsum(self._lengths) - self._lengths
        exact = any(values.dtype == np.float64 for values in sequences.values)
        self._values = _joined(sequences.values, np.float64 if exact else np.float32)
        self._missing = np.nan if exact else np.float32(np.nan)
        self._times = _joined(sequences.times, np.int64)
        exact = any(known.dtype == np.float64 for known in sequences.known or ())
        self._known = _joined(sequences.known, np.float64 if exact else np.float32)
        self._sources = None if sequences.texts is None else _bytes_of(sequences.texts)
        if self.positions:
            self._scales = np.stack([
                _scale(values, sequences.features, statistic) for values in sequences.values
            ])  # fmt: skip
            observed = ~np.isnan(self._values).all(axis=1)
            # Observed positions before each one: the difference of two tells those between them.
            self._observed = np.concatenate([[0], np.cumsum(observed)])
            self._plan()
            self._windows = len(self._nonempty(*self._cut(None))[0])
        else:
            self._windows = 0
        needed = batch_size if drop_remainder else 1
        if self._windows < needed:
            which = f"{split} split" if split else "data"
            remedy = "Use more data or a smaller training.window or training.batch_size"
            if split == "validation":
                remedy = (
                    "Something is set aside of two positions with a value (data.split=time) or of "
                    "two sequences (data.split=sequences) on: use more data"
                )
            raise InputError(
                f"The {which} is too short: {self.positions:,} positions in {len(sequences):,} "
                f"sequences make {self._windows:,} windows of {window} with a value in them, where "
                f"a batch takes {needed}. {remedy}"
            )
        full = self._windows // batch_size
        self.steps_per_epoch = full if drop_remainder else -(-self._windows // batch_size)
        if most is not None and not drop_remainder:
            self.steps_per_epoch = min(self.steps_per_epoch, most)
        self._dealt = None, None, None

    def batch(self, k):
        """Returns batch number k.

        Returns:
            Dict of arrays: `"values"` `(batch, window, features)`, of the type of the sequences'
            own, NaN where missing or
            padding; `"valid"` bool `(batch, window)`, False on the padding, which is left out where
            there is none in any batch; `"scale"` float32 `(batch, features)`, the mean or median
            absolute value of the whole sequence (1 if unknown, and for a category); `"last"`
            bool `(batch, window)`, True at the last position of a sequence, if that means
            something. If the sequences have them: `"times"` int64 `(batch, window)`, which go on
            over the padding, `"known"` float32 `(batch, window, known)`, whose last row the padding
            repeats, `"static"` float32 `(batch, static)`, `"label"` int32 `(batch,)`, and of texts
            `"source"` int32 `(batch, bytes)` with `"source_valid"`, which of them there are. If the
            sequences are whole things, `"first"` bool `(batch,)` tells which windows begin with the
            beginning of one, and `"previous"` float32 `(batch, features)` is what stands before the
            others (NaN before a beginning). With a `history` that is told of all sequences, and
            `"history"` `(batch, history, features)` is what stands before a window, NaN where there
            is nothing.
        """
        epoch, step = divmod(int(k), self.steps_per_epoch)
        numbers, starts = self._deal(epoch)
        chosen = slice(step * self.batch_size, (step + 1) * self.batch_size)
        starts, lead = starts[chosen], None
        if self.patch > 1:
            generator = np.random.default_rng([self.seed, int(k), 5])
            lead = generator.integers(self.patch, size=len(starts))
            lead *= generator.random(len(starts)) < _WITHIN
        numbers = numbers[chosen]
        size = self._sizes[self._size_of(numbers, starts).max()]
        batch = self._augmented(self._take(numbers, starts, lead, size), k, lead)
        if self._full:
            # Without a mask, a network compiles to less.
            del batch["valid"]
        return batch

    def _augmented(self, batch, k, lead=None):
        if self.augment is not None:
            batch = self.augment(batch, np.random.default_rng([self.seed, int(k), 3]))
        if not self.history:
            return batch
        # A window and what stands before it are changed as one.
        batch["history"] = batch["values"][:, : self.history]
        for name in ("values", "valid", "last"):
            batch[name] = batch[name][:, self.history :]
        if self.drop_remainder and not self.sequences.ends:
            generator = np.random.default_rng([self.seed, int(k), 4])
            begins = generator.random(len(batch["first"])) < _BEGINNINGS
            begins = begins if lead is None else begins | (lead > 0)
            batch["history"] = np.where(begins[:, None, None], self._missing, batch["history"])
            batch["first"] |= begins
        return batch

    def _size_of(self, numbers, starts):
        """Which of the sizes holds what each window has, int `(windows,)`."""
        lengths = np.minimum(self._lengths[numbers] - starts, self.window)
        return np.searchsorted(self._sizes, lengths)

    def _take(self, numbers, starts, lead=None, size=None):
        """The batch of windows of these sequences from these positions on, their history before.

        Before the positions of a window are those of its `lead`, which are padding; it ends so many
        positions earlier.
        """
        places = np.arange(-self.history - self.context, size or self.window)
        positions = starts[:, None] + places
        if lead is not None:
            positions -= lead[:, None]
        ends = self._lengths[numbers][:, None] - 1  # (batch, 1)
        rows = self._bases[numbers][:, None] + np.clip(positions, 0, ends)
        valid = positions <= ends
        if lead is not None:
            valid &= (positions >= starts[:, None]) | (lead == 0)[:, None]
        there = valid & (positions >= 0)
        batch = {
            "values": np.where(there[:, :, None], self._values[rows], self._missing),
            "valid": valid & (places >= 0),
            "scale": self._scales[numbers],
            "last": (positions == ends) & self.sequences.ends,
        }
        if self.sequences.ends or self.history:
            batch["first"] = starts == self.context
        positions, rows = positions[:, self.history :], rows[:, self.history :]  # (batch, window)
        if self.sequences.ends:
            firsts = starts - self.context
            before = self._values[self._bases[numbers] + np.maximum(firsts - 1, 0)]
            batch["previous"] = np.where(firsts[:, None] > 0, before, self._missing)
        if self._times is not None:
            beyond = positions - np.clip(positions, 0, ends)
            batch["times"] = self._times[rows] + beyond * self._steps[numbers][:, None]
        if self._known is not None:
            batch["known"] = self._known[rows]
        if self.sequences.static is not None:
            batch["static"] = self.sequences.static[numbers]
        if self.sequences.labels is not None:
            batch["label"] = self.sequences.labels[numbers].astype(np.int32)
        if self._sources is not None:
            batch["source"], batch["source_valid"] = (part[numbers] for part in self._sources)
        return batch

    def starts_epoch(self, k):
        """Whether batch k begins an epoch."""
        return k % self.steps_per_epoch == 0

    def _plan(self):
        """Sets how many windows each sequence is cut into, and where they may begin."""
        lengths, window = self._lengths, self.window
        lows, highs = np.zeros_like(lengths), lengths.copy()
        self._slacks = np.zeros_like(lengths)
        if self.drop_remainder:
            for number in np.flatnonzero(lengths > window):
                base, length = self._bases[number], lengths[number]
                seen = self._observed[base : base + length + 1]
                if seen[-1] == seen[0]:
                    continue
                # Without what is missing at either end, so that the first window holds a value.
                first = np.searchsorted(seen, seen[0], side="right") - 1
                stop = np.searchsorted(seen, seen[-1])
                lows[number] = min(first, length - window)
                highs[number] = max(stop, lows[number] + window)
            # One less than would fit, where it takes that for the offset to reach every start.
            spans = highs - lows
            counts = np.maximum((spans - window + 1) // window, 1)
            self._slacks = np.maximum(spans - counts * window, 0)
        else:
            lows = self.skip
            counts = -(-(lengths - lows) // window)
        self._lows, self._counts = lows, counts
        if self._times is not None:
            known = [np.diff(times) for times in self.sequences.times]
            usual = max(int(np.median(np.concatenate(known))), 1) if any(map(len, known)) else 1
            self._steps = np.array([part[-1] if len(part) else usual for part in known], np.int64)

    def _cut(self, epoch):
        """Returns `(numbers, starts)`: of each window its sequence and first position in it."""
        offsets = np.zeros_like(self._slacks)
        if epoch is not None:
            generator = np.random.default_rng([self.seed, epoch, 0])
            offsets = generator.integers(self._slacks, endpoint=True)
        numbers = np.repeat(np.arange(len(self._counts)), self._counts)
        firsts = np.cumsum(self._counts) - self._counts
        places = np.arange(len(numbers)) - firsts[numbers]
        return numbers, (self._lows + offsets)[numbers] + places * self.window

    def _nonempty(self, numbers, starts):
        stops = np.minimum(starts + self.window, self._lengths[numbers])
        bases = self._bases[numbers]
        some = self._observed[bases + stops] > self._observed[bases + starts]
        return numbers[some], starts[some]

    def _deal(self, epoch):
        """Returns `(numbers, starts)` of an epoch's windows, in the order in which they come."""
        # Kept for the epoch: it is asked for once a step. Read and replaced as one object, because
        # the thread that makes batches ahead may be elsewhere than another reader.
        kept, numbers, starts = self._dealt
        if kept == epoch:
            return numbers, starts
        if not self.drop_remainder:
            numbers, starts = self._nonempty(*self._cut(None))
            chosen = spread(len(numbers), self.steps_per_epoch * self.batch_size)
            numbers, starts = numbers[chosen], starts[chosen]
        else:
            numbers, starts = self._nonempty(*self._cut(epoch))
            if not len(numbers):
                # The windows of this offset lie in a gap, all of them.
                numbers, starts = self._nonempty(*self._cut(None))
            order = np.random.default_rng([self.seed, epoch, 1]).permutation(len(numbers))
            # With gaps, the number of windows differs a little from offset to offset.
            order = np.resize(order, self._windows)
            if len(self._sizes) > 1:
                order = self._alike(order, self._size_of(numbers, starts), epoch)
            numbers, starts = numbers[order], starts[order]
        self._dealt = epoch, numbers, starts
        return numbers, starts

    def _alike(self, order, sizes, epoch):
        """The order with windows of one size in a batch together; batches are in random order."""
        order = order[: self.steps_per_epoch * self.batch_size]
        order = order[np.argsort(sizes[order], kind="stable")].reshape(-1, self.batch_size)
        batches = np.random.default_rng([self.seed, epoch, 6]).permutation(len(order))
        return order[batches].ravel()


def _bytes_of(texts):
    """The bytes of texts, int32 `(texts, longest)`, and which of them there are."""
    found = [np.frombuffer(text.encode("utf-8", "replace"), np.uint8) for text in texts]
    lengths = np.array([len(each) for each in found])
    valid = np.arange(max(lengths, default=0)) < lengths[:, None]
    source = np.zeros(valid.shape, np.int32)
    source[valid] = np.concatenate(found)
    return source, valid


def _joined(parts, dtype):
    return np.concatenate(parts, dtype=dtype, casting="same_kind") if parts else None


def _scale(values, features, statistic):
    """The scale of each feature of a sequence, float32 `(features,)`; 1 for a category."""
    number = [not feature.is_category for feature in features]
    return np.where(number, series_scale(values, statistic), 1).astype(np.float32)
