"""`Windows`: batches of a long sequence of tokens, addressed by their number."""

import numpy as np

from tfgen.errors import InputError


class Windows:
    """Cuts tokens into windows and deals them out in batches.

    Batch k is a pure function of the seed and of k, so that a training that starts again at step k
    sees what it would have seen. A window holds `window + 1` tokens, the last of which is the first
    of the window after it: inputs are all but the last, targets all but the first.

    Args:
        tokens: 1-D integer array; it may be memory-mapped.
        window: Tokens to predict in a window.
        batch_size: Windows in a batch.
        seed: Integer.
        carry_state: False deals the windows of an epoch in random order, cut at an offset that
            differs from epoch to epoch. True lays `batch_size` lanes through the tokens and goes
            along them, so that window j + 1 of a lane follows window j.
        drop_remainder: Whether the windows of an epoch that fill no batch are left out. If not,
            an epoch's windows go in order from the first token and predict every token after it
            once, but for a rest at the end that fills no window. The last batch is smaller then.
            With `carry_state` there are at most as many lanes as windows, and all are full.
        most: Without `drop_remainder`: batches in an epoch at most. Of more, windows are taken that
            are spread evenly over the tokens; with `carry_state` stretches of a few windows are.
        augment: Function `((inputs, targets), numpy.random.Generator) -> (inputs, targets)`, see
            `tfgen.data.augmentation`: what a model is shown instead of the tokens that stand there.
            What it draws depends on the seed and on k alone. Every token is an input once an epoch,
            so with `carry_state` a lane goes on as it was shown.
        split: What messages call the tokens: `"training"`, `"validation"`.

    Attributes:
        carries_state: Whether a validation goes along these windows with its state.

    Raises:
        InputError: If the tokens do not fill one batch, or an argument is out of range.
    """

    def __init__(
        self,
        tokens,
        window,
        batch_size,
        seed=0,
        carry_state=False,
        drop_remainder=True,
        augment=None,
        split=None,
        most=None,
    ):
        checks = ("window", window, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)
        for name, value, least in checks:
            if value < least:
                raise InputError(f"{name} must be at least {least}. Received: {name}={value}")
        self.tokens = tokens
        self.window = window
        self.batch_size = batch_size
        self.seed = seed
        self.carry_state = carry_state
        self.drop_remainder = drop_remainder
        self.augment = augment
        # The offset of an epoch may take up to a window from the start.
        spare = window if drop_remainder else 1
        windows = max(len(tokens) - spare, 0) // window
        needed = batch_size if drop_remainder else 1
        if windows < needed:
            which = f"{split} split" if split else "data"
            remedy = "Use more data or a smaller training.window or training.batch_size"
            if split == "validation":
                smaller = f"training.window to at most {len(tokens) - 1} or "
                remedy = f"Set {smaller * (len(tokens) > 1)}data.validation_fraction higher"
            raise InputError(
                f"The {which} is too short: {len(tokens):,} tokens, where {needed} windows of "
                f"{window} need {needed * window + spare}. {remedy}"
            )
        self.carries_state = carry_state and not drop_remainder
        self._windows = windows
        if drop_remainder:
            self.steps_per_epoch = windows // batch_size
        else:
            self._starts = self._in_order(most) * window
            self.steps_per_epoch = -(-len(self._starts) // self.batch_size)
        self._order = None, None

    def _in_order(self, most):
        """The windows of an epoch, one batch after the other."""
        most = self._windows if most is None else most
        if not self.carry_state:
            return spread(self._windows, most * self.batch_size)
        self.batch_size = lanes = min(self.batch_size, self._windows)
        groups, self._stretch = 1, self._windows // lanes
        if self._stretch > most:
            # Shorter stretches at more places.
            self._stretch = max(round(most**0.5), 1)
            groups = most // self._stretch
        begins = np.arange(lanes * groups) * self._windows // (lanes * groups)
        begins = begins.reshape(lanes, groups).T[:, None]  # (groups, 1, lanes)
        return (begins + np.arange(self._stretch)[:, None]).ravel()

    def batch(self, k):
        """Returns batch number k.

        Returns:
            int32 `(batch_size, window + 1)`; with `augment` a pair of inputs and targets, int32
            `(batch_size, window)` both.
        """
        epoch, step = divmod(int(k), self.steps_per_epoch)
        if not self.drop_remainder:
            starts = self._starts[step * self.batch_size : (step + 1) * self.batch_size]
        elif self.carry_state:
            lanes = np.arange(self.batch_size) * self.steps_per_epoch
            starts = self._offset(epoch) + (lanes + step) * self.window
        else:
            rows = self._permutation(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
            starts = self._offset(epoch) + rows * self.window
        tokens = self.tokens[starts[:, None] + np.arange(self.window + 1)].astype(np.int32)
        if self.augment is None:
            return tokens
        generator = np.random.default_rng([self.seed, int(k), 3])
        return self.augment((tokens[:, :-1], tokens[:, 1:]), generator)

    def starts_epoch(self, k):
        """Whether a carried state starts from nothing again at batch k: at an epoch, or a
        stretch."""
        place = k % self.steps_per_epoch
        return place % self._stretch == 0 if self.carries_state else place == 0

    def _offset(self, epoch):
        return int(np.random.default_rng([self.seed, epoch, 0]).integers(self.window))

    def _permutation(self, epoch):
        # Kept for the epoch: it is asked for once a step. Read and replaced as one object, because
        # the thread that makes batches ahead may be elsewhere than another reader.
        kept, order = self._order
        if kept != epoch:
            order = np.random.default_rng([self.seed, epoch, 1]).permutation(self._windows)
            self._order = epoch, order
        return order


def spread(total, most):
    """The numbers of so many things, or of `most` of them that are spread evenly, int64."""
    count = min(total, most)
    return ((np.arange(count) + 0.5) * total / max(count, 1)).astype(np.int64)
