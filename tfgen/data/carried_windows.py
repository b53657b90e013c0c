"""`CarriedWindows`: windows that go along whole sequences, for a state that is carried on."""

import bisect

import numpy as np

from tfgen.data.sequence_windows import SequenceWindows
from tfgen.data.windows import spread
from tfgen.errors import InputError

# The golden ratio's fraction: its multiples, modulo 1, are spread evenly however many there are.
_GOLDEN = (5**0.5 - 1) / 2


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
        drop_remainder: Whether sequences that fill no group wait. If not, every epoch is of all
            sequences, by their length; rows that the last group lacks are padding, and with fewer
            sequences than `batch_size` a group is of all of them.
        most: Without `drop_remainder`: batches in an epoch at most. Groups are then of sequences
            that are spread evenly over all lengths; if one group alone takes more batches, its rows
            begin with nothing at places that are spread over their sequences.
        augment: As of `SequenceWindows`, but drawn anew for each group, not for each window of it.
        split: As of `SequenceWindows`.
        history, statistic: As there.

    Raises:
        InputError: If there are fewer sequences than `batch_size`, or an argument is out of range.
    """

    carries_state = True

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
        statistic="mean",
    ):
        if not drop_remainder:
            batch_size = max(min(batch_size, len(sequences)), 1)
        if 0 < len(sequences) < batch_size:
            raise InputError(
                "training.carry_state goes along whole sequences: training.batch_size must be at "
                f"most their number, {len(sequences)}. Received: training.batch_size={batch_size}"
            )
        given = {"augment": augment, "split": split, "history": history, "statistic": statistic}
        super().__init__(sequences, window, 1, seed, **given)
        self.batch_size = batch_size
        self._fixed = None if drop_remainder else self._of_all(most)
        self._ends = [0]  # of each epoch so far, in batches
        self._epochs = []
        self.steps_per_epoch = self._epoch(0)[1]

    def batch(self, k):
        """Returns batch number k; see `SequenceWindows.batch`."""
        rows, begins, step = self._place(int(k))
        starts = (begins + step) * self.window
        # A sequence that has ended stands still on its last position, which does not count.
        stops = self._lengths[rows] - 1
        batch = self._take(rows, np.minimum(starts, stops))
        ended = (starts > stops)[:, None]
        batch["valid"] &= ~ended
        batch["last"] &= ~ended
        return self._augmented(batch, k - step)  # the batch at which this group began

    def starts_epoch(self, k):
        """Whether batch k begins a group, where a carried state starts from nothing again."""
        return self._place(int(k))[2] == 0

    def _place(self, k):
        """The sequences of batch k, the windows they begin with, and how many batches came
        since."""
        while self._ends[-1] <= k:
            self._ends.append(self._ends[-1] + self._epoch(len(self._ends) - 1)[1])
        epoch = bisect.bisect_right(self._ends, k) - 1
        groups, _ = self._epoch(epoch)
        k -= self._ends[epoch]
        for rows, begins, steps in groups:
            if k < steps:
                return rows, begins, k
            k -= steps

    def _epoch(self, epoch):
        """The groups of an epoch, each with its first windows and its number of batches; their
        sum."""
        if self._epochs and self._epochs[0] == epoch:
            return self._epochs[1:]
        groups = self._fixed or self._of_random(epoch)
        self._epochs = [epoch, groups, sum(steps for *_, steps in groups)]
        return self._epochs[1:]

    def _of_random(self, epoch):
        generator = np.random.default_rng([self.seed, epoch, 2])
        count = len(self._lengths) // self.batch_size
        chosen = generator.permutation(len(self._lengths))[: count * self.batch_size]
        # Nearly equal lengths, and still not always the same company.
        jitter = generator.uniform(0.8, 1.25, len(chosen))
        chosen = chosen[np.argsort(self._lengths[chosen] * jitter, kind="stable")]
        groups = chosen.reshape(count, self.batch_size)[generator.permutation(count)]
        begins = np.zeros(self.batch_size, np.int64)
        return [(rows, begins, int(self._windows_of(rows).max())) for rows in groups]

    def _of_all(self, most):
        order, size = np.argsort(self._lengths, kind="stable"), self.batch_size
        full = -(-len(order) // size)
        for count in range(full if most is None else min(full, most), 0, -1):
            chosen = order[spread(len(order), count * size)]
            groups = [chosen[first : first + size] for first in range(0, len(chosen), size)]
            steps = [int(self._windows_of(rows).max()) for rows in groups]
            if most is None or sum(steps) <= most or count == 1:
                break
        begins = [np.zeros(len(rows), np.int64) for rows in groups]
        if most is not None and sum(steps) > most:
            # Not even one group fits: stretches of several, neighbours of which, being of like
            # length, begin at places far apart.
            count = min(full, max(round(most**0.5), 1))
            chosen = order[spread(len(order), count * size)]
            groups = [chosen[first : first + size] for first in range(0, len(chosen), size)]
            places = np.arange(len(chosen)) * _GOLDEN % 1
            spare = np.maximum(self._windows_of(chosen) - most // count, 0)
            starts = np.round(spare * places).astype(int)
            begins = [starts[first : first + size] for first in range(0, len(chosen), size)]
            steps = [most // count] * count
        # What a row lacks has ended before it begins.
        spare = size - len(groups[-1])
        groups[-1] = np.pad(groups[-1], (0, spare), mode="edge")
        begins[-1] = np.pad(
            begins[-1], (0, spare), constant_values=self._windows_of(groups[-1]).max()
        )
        return list(zip(groups, begins, steps))

    def _windows_of(self, rows):
        return -(-self._lengths[rows] // self.window)
