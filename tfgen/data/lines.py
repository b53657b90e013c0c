"""`LineWindows`: batches of the lines of a text, each a sequence of its own."""

import numpy as np

from tfgen.data.windows import spread
from tfgen.errors import InputError

# Lines are padded to a multiple of so many tokens, which is what a training step is compiled for.
_BUCKET = 8


class LineWindows:
    """Deals out the lines of a text in batches, for models of whole lines.

    Batch k is a pure function of the seed and of k, as of `Windows`. A line longer than a window is
    cut into pieces, each of which begins as a line does; empty lines are left out.

    Args:
        tokens: 1-D integer array; it may be memory-mapped.
        window: Tokens to predict in a line at most, its line break included.
        batch_size: Lines in a batch.
        line_break: The token that ends a line.
        seed: Integer.
        drop_remainder: Whether an epoch is in random order, without lines that fill no batch. If
            not, it is in the order of the text, and the last batch is smaller.
        augment: As of `Windows`.
        split: What messages call the tokens.
        most: Without `drop_remainder`: batches in an epoch at most, spread evenly over the text.

    Raises:
        InputError: If there are not enough lines for a batch.
    """

    carries_state = False

    def __init__(
        self,
        tokens,
        window,
        batch_size,
        line_break,
        seed=0,
        drop_remainder=True,
        augment=None,
        split=None,
        most=None,
    ):
        self.tokens = tokens
        self.batch_size = batch_size
        self.line_break = line_break
        self.seed = seed
        self.drop_remainder = drop_remainder
        self.augment = augment
        self._spans = _pieces(np.asarray(tokens), line_break, window)
        needed = batch_size if drop_remainder else 1
        if len(self._spans) < needed:
            which = f"{split} split" if split else "data"
            raise InputError(
                f"The {which} is too short: {len(self._spans):,} lines, where {needed} are needed. "
                "Use more data or a smaller training.batch_size"
            )
        longest = int(np.max(self._spans[:, 1] - self._spans[:, 0])) + 1
        self.window = min(-(-longest // _BUCKET) * _BUCKET, window)
        if drop_remainder:
            self.steps_per_epoch = len(self._spans) // batch_size
        else:
            most = len(self._spans) if most is None else most * batch_size
            self._spans = self._spans[spread(len(self._spans), most)]
            self.steps_per_epoch = -(-len(self._spans) // batch_size)

    def batch(self, k):
        """Returns batch number k.

        Returns:
            `(inputs, targets, weights)`, `(batch_size, window)` each: int32 tokens after a line
            break, int32 those tokens and the line break after them, and float32 1 where there is a
            target and 0 after the line.
        """
        epoch, step = divmod(int(k), self.steps_per_epoch)
        rows = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        if self.drop_remainder:
            order = np.random.default_rng([self.seed, epoch, 1]).permutation(len(self._spans))
            rows = order[rows]
        rows = rows[rows < len(self._spans)] if not self.drop_remainder else rows
        spans = self._spans[rows]
        sizes = (spans[:, 1] - spans[:, 0])[:, None]
        places = np.arange(self.window)[None]
        index = np.minimum(spans[:, :1] + places, len(self.tokens) - 1)
        tokens = np.where(places < sizes, self.tokens[index], self.line_break).astype(np.int32)
        starts = np.full([len(spans), 1], self.line_break, np.int32)
        inputs = np.concatenate([starts, tokens[:, :-1]], axis=1)
        # The end of a piece is an end if the line ends there.
        weights = (places < sizes + spans[:, 2:]).astype(np.float32)
        if self.augment is not None:
            generator = np.random.default_rng([self.seed, int(k), 3])
            inputs, tokens = self.augment((inputs, tokens), generator)
        return inputs, tokens, weights

    def starts_epoch(self, k):
        """Whether batch k is the first of an epoch."""
        return k % self.steps_per_epoch == 0


def _pieces(tokens, line_break, window):
    """Where lines begin and end, and whether an end is told: int64 `(pieces, 3)`."""
    breaks = np.flatnonzero(tokens == line_break)
    starts = np.concatenate([[0], breaks + 1])
    stops = np.concatenate([breaks, [len(tokens)]])
    counts = -(-(stops - starts) // window)  # of an empty line none
    which = np.repeat(np.arange(len(starts)), counts)
    number = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = starts[which] + number * window
    end = np.minimum(begin + window, stops[which])
    told = (end == stops[which]) & (end - begin < window)
    return np.stack([begin, end, told], axis=1)
