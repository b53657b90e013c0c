"""`CarriedWindows`: windows that go along whole sequences, for a state that is carried on."""

import bisect

import numpy as np

from tfgen.data.sequence_windows import SequenceWindows
from tfgen.errors import InputError


class CarriedWindows(SequenceWindows):
    """Deals out sequences in groups of `batch_size`, each group window by window to its end.

    Row r of batch k + 1 goes on where row r of batch k ended, until a new group begins
    (`starts_epoch`), so a model can carry its state along a sequence that is much longer than a
    window (truncated backpropagation through time). A group is of sequences of nearly equal length,
    because a row is padding once its sequence has ended. Who is with whom, and the order of the
    groups, differ from epoch to epoch; sequences that fill no group wait for another epoch.

    Args:
        sequences: `tfgen.data.sequences.Sequences`.
        window: Positions in a window.
        batch_size: Sequences in a group.
        seed: Integer.
        augment: As of `SequenceWindows`, but drawn anew for each group, not for each window of it.
        split: As of `SequenceWindows`.

    Raises:
        InputError: If there are fewer sequences than `batch_size`, or an argument is out of range.
    """

    carries_state = True

    def __init__(self, sequences, window, batch_size, seed=0, augment=None, split=None):
        if 0 < len(sequences) < batch_size:
            raise InputError(
                "training.carry_state goes along whole sequences: training.batch_size must be at "
                f"most their number, {len(sequences)}. Received: training.batch_size={batch_size}"
            )
        super().__init__(sequences, window, 1, seed, augment=augment, split=split)
        self.batch_size = batch_size
        self._ends = [0]  # of each epoch so far, in batches
        self._epochs = []
        self.steps_per_epoch = self._epoch(0)[1]

    def batch(self, k):
        """Returns batch number k; see `SequenceWindows.batch`."""
        rows, step = self._place(int(k))
        starts = np.full(self.batch_size, step * self.window)
        # A sequence that has ended stands still on its last position, which does not count.
        stops = self._lengths[rows] - 1
        batch = self._take(rows, np.minimum(starts, stops))
        ended = (starts > stops)[:, None]
        batch["valid"] &= ~ended
        batch["last"] &= ~ended
        return self._augmented(batch, k - step)  # the batch at which this group began

    def starts_epoch(self, k):
        """Whether batch k begins a group, where a carried state starts from nothing again."""
        return self._place(int(k))[1] == 0

    def _place(self, k):
        """The sequences of batch k, and how many windows of them came before it."""
        while self._ends[-1] <= k:
            self._ends.append(self._ends[-1] + self._epoch(len(self._ends) - 1)[1])
        epoch = bisect.bisect_right(self._ends, k) - 1
        groups, _ = self._epoch(epoch)
        k -= self._ends[epoch]
        for rows, steps in groups:
            if k < steps:
                return rows, k
            k -= steps

    def _epoch(self, epoch):
        """The groups of an epoch, each with its number of batches; and that of them all."""
        if self._epochs and self._epochs[0] == epoch:
            return self._epochs[1:]
        generator = np.random.default_rng([self.seed, epoch, 2])
        count = len(self._lengths) // self.batch_size
        chosen = generator.permutation(len(self._lengths))[: count * self.batch_size]
        # Nearly equal lengths, and still not always the same company.
        jitter = generator.uniform(0.8, 1.25, len(chosen))
        chosen = chosen[np.argsort(self._lengths[chosen] * jitter, kind="stable")]
        groups = chosen.reshape(count, self.batch_size)[generator.permutation(count)]
        steps = [-(-int(self._lengths[rows].max()) // self.window) for rows in groups]
        self._epochs = [epoch, list(zip(groups, steps)), sum(steps)]
        return self._epochs[1:]
