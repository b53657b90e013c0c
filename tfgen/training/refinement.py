"""`Refinement`: contrastive divergence, which trains the energy of a diffusion model further."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.models.conditions import NO_CLASS
from tfgen.sampling import random
from tfgen.sampling.denoising import add_noise
from tfgen.sampling.energies import exchange, short_chains

# Purposes of the draws of a step, beside those of the denoising loss.
_SPREAD, _NOISE, _BEGIN, _AGAIN, _CHAINS, _EXCHANGE, _HIDDEN = range(20, 27)
# What of a batch tells nothing of a sequence as a whole.
_OF_A_PAST = ("previous", "history")


class Contrast(NamedTuple):
    """Data and chains of a step, each float32 `(rows,)` but for what follows.

    Attributes:
        data: Energies of noisy data.
        chains: Energies of the chains that came from the model.
        counts: 1 of a row whose data are complete, else 0.
        acceptance: Share of the Langevin steps that were taken.
        moved: Root mean square of how far a chain moved, in units of its level.
        changed, paired: bool; which chains changed places with their neighbours, of those that had
            a turn.
        state: What the next step begins with; None without persistent chains.
    """

    data: tf.Tensor
    chains: tf.Tensor
    counts: tf.Tensor
    acceptance: tf.Tensor
    moved: tf.Tensor
    changed: tf.Tensor
    paired: tf.Tensor
    state: dict | None


class Refinement:
    """The denoising loss, and beside it what contrasts data with samples of the model's own energy.

    At each level, minus the log-likelihood of the noisy data has the gradient of the mean energy of
    data less that of samples of the model (Hinton 2002). Denoising says nothing of how much weight
    modes have that lie far apart (arXiv:1907.05600, section 3.2), and nor do samples that never
    leave the mode in which they began. So each `refine_levels` rows in succession are chains of one
    ladder of levels, of which neighbours change places, see `tfgen.sampling.energies.exchange`. A
    ladder begins at a sequence of the data and is told what is told of that.

    A row whose data have gaps is no contrast: what is missing has no energy.

    Args:
        model: A diffusion model with an energy.
        config: A `TrainingConfig` with `refine`.
        rows: Rows of a batch, of a device and of a part, that must hold whole ladders.

    Attributes:
        sigmas: The levels, an array `(refine_levels,)`, rising.
        loss_validates: False: the denoising loss does not see what is learned besides.

    Raises:
        InputError: If the model has no energy, or if ladders and chains do not fit the batch.
    """

    loss_validates = False

    def __init__(self, model, config, rows):
        self.model, self.config = model, config
        self.denoiser = getattr(getattr(model, "engine", None), "denoiser", None)
        if self.denoiser is None or not self.denoiser.energy:
            raise InputError(
                "training.refine trains an energy, which models made with model.energy=true have. "
                f"Received: training.refine='{config.refine}'"
            )
        low, high, levels = config.refine_sigma_min, config.refine_sigma_max, config.refine_levels
        if low > high:
            raise InputError(
                "training.refine_sigma_min must be at most training.refine_sigma_max. Received: "
                f"training.refine_sigma_min={low}, training.refine_sigma_max={high}"
            )
        if rows % levels:
            raise InputError(
                f"training.refine_levels must divide the {rows} rows of a batch, or of a part or a "
                f"device's share of it. Received: training.refine_levels={levels}"
            )
        if config.persistent_chains % config.batch_size:
            raise InputError(
                "training.persistent_chains must be a multiple of training.batch_size. Received: "
                f"training.persistent_chains={config.persistent_chains}, "
                f"training.batch_size={config.batch_size}"
            )
        if config.persistent_chains and config.accumulate > 1:
            raise InputError(
                "training.accumulate takes a batch in parts, and persistent chains are one state "
                f"of it. Received: training.accumulate={config.accumulate}"
            )
        self.sigmas = np.geomspace(low, high, levels).astype(np.float32)

    beside = None

    def follow(self, step):
        """As of a model."""
        self.model.follow(step)

    def initial_state(self, batch):
        """Chains that have not begun, as many as are persistent; None for none.

        Args:
            batch: A batch of all rows.
        """
        if not self.config.persistent_chains:
            return None
        batch = self._kept(self.model.unpack(batch))
        x0, _ = self.denoiser.emission.call(batch)
        fresh = {"age": tf.zeros(x0.shape[:1], tf.int32), "batch": batch, "x": x0}
        count = self.config.persistent_chains

        def zeros(tensor):
            return tf.zeros([count, *tensor.shape[1:]], tensor.dtype)

        return tf.nest.map_structure(zeros, fresh)

    def watch(self, windows, state):
        """What writes to TensorBoard: a `RefinementWatch`."""
        return RefinementWatch(self, windows, state)

    def batch_loss(self, batch, key=None, state=None, training=False):
        """As of a model: see `tfgen.models.base.SequenceGenerator`."""
        total, count, state = self.batch_total(batch, key, state, training)
        return tf.math.divide_no_nan(total, count), state

    def batch_total(self, batch, key=None, state=None, training=False):
        """As of a model, the state being that of the persistent chains."""
        total, count, _ = self.model.batch_total(batch, key, None, training)
        found = self.contrast(batch, key, state)
        gap = tf.reduce_mean(found.counts * (found.data - found.chains))
        return total + self.config.refine_weight * gap * count, count, found.state

    def contrast(self, batch, key, state=None):
        """The `Contrast` of a batch of `Positions`.

        Args:
            batch: The batch; of its rows as many as make whole ladders count.
            key: int32 `(2,)`.
            state: Of the persistent chains, of which the first rows have their turn; or None.
        """
        config, denoiser = self.config, self.denoiser
        levels = config.refine_levels
        rows = batch["valid"].shape[0] // levels * levels
        batch = {name: each[:rows] for name, each in self._kept(batch).items()}
        batch = self._hidden(batch, random.fold(key, _HIDDEN))
        sigma = tf.tile(tf.constant(self.sigmas), [rows // levels])
        x0, observed = denoiser.emission.call(batch, random.fold(key, _SPREAD))
        noise, other = (random.normal(random.fold(key, n), x0.shape) for n in (_NOISE, _BEGIN))
        x = add_noise(x0, noise, sigma)

        # A ladder begins at the first of its rows.
        leader = tf.range(rows) // levels * levels
        first_x0 = tf.gather(x0, leader, axis=0)
        chains = {
            "age": tf.zeros([rows], tf.int32),
            "batch": tf.nest.map_structure(lambda each: tf.gather(each, leader, axis=0), batch),
            "x": add_noise(first_x0, other, sigma),
        }
        if state is not None:
            before = tf.nest.map_structure(lambda each: each[:rows], state)
            draw = random.uniform(random.fold(key, _AGAIN), [rows // levels])
            again = tf.repeat(draw < config.restart_share, levels) | (before["age"] == 0)
            chains = tf.nest.map_structure(
                lambda new, old: tf.where(_as_wide(again, new), new, old), chains, before
            )
        energy = self._energy(chains["batch"], chains["batch"])
        valid = chains["batch"]["valid"][..., None]
        begun = chains["x"]
        x_chains, acceptance = short_chains(
            energy, begun, sigma, random.fold(key, _CHAINS), config.refine_steps,
            config.refine_step_size, valid,
        )  # fmt: skip
        step = tf.square((x_chains - begun) / sigma[:, None, None])
        moved = tf.sqrt(tf.reduce_mean(step, axis=[1, 2]))
        x_chains, changed, paired = exchange(
            energy, x_chains, sigma, levels, random.fold(key, _EXCHANGE), denoiser.sigma_data, valid
        )
        counts = tf.cast(tf.reduce_all(observed | ~batch["valid"][..., None], axis=[1, 2]), x.dtype)
        if state is not None:
            chains = {**chains, "age": chains["age"] + 1, "x": x_chains}
            # What had its turn goes to the end.
            state = tf.nest.map_structure(
                lambda new, old: tf.concat([old[rows:], new], axis=0), chains, state
            )
        energy = self._energy(batch, chains["batch"])
        both = energy(tf.concat([x, x_chains], axis=0), tf.tile(sigma, [2]))
        return Contrast(*tf.split(both, 2), counts, acceptance, moved, changed, paired, state)

    def _energy(self, *batches):
        """The energy of the rows of batches, or of those of the first of them, which is told what
        the rows are told."""
        rows = batches[0]["valid"].shape[0]
        joined = tf.nest.map_structure(lambda *each: tf.concat(each, axis=0), *batches)
        of_all, of_first = (self.denoiser.given(each) for each in (joined, batches[0]))

        def energy(x, sigma):
            given = of_first if x.shape[0] == rows else of_all
            return self.denoiser.energies(given)(x, sigma)

        return energy

    def _kept(self, batch):
        return {name: each for name, each in batch.items() if name not in _OF_A_PAST}

    def _hidden(self, batch, key):
        """The batch without some of its classes, as many as are hidden in any training."""
        rate = self.denoiser.context.condition_dropout
        if "label" not in batch or not rate:
            return batch
        shown = random.uniform(key, batch["label"].shape) >= rate
        return {**batch, "label": tf.where(shown, batch["label"], NO_CLASS)}


def _as_wide(flags, like):
    return tf.reshape(flags, [-1, *[1] * (len(like.shape) - 1)])


class RefinementWatch:
    """Writes the energies of held-out data and of the model's own chains, level by level.

    Args:
        refinement: A `Refinement`.
        windows: Dict of the windows of `"train"` and `"validation"`.
        state: Function that gives the state of the persistent chains.
    """

    def __init__(self, refinement, windows, state):
        self._refinement, self._windows, self._state = refinement, windows, state
        self._graph = tf.function(
            lambda batch, state: refinement.contrast(
                refinement.model.unpack(batch), random.root(0, random.EVALUATION), state
            ),
            autograph=False,
        )

    def write(self, writer, step):
        """Writes them."""
        sigmas = self._refinement.sigmas
        batch = self._windows["validation"].batch(0)
        if len(batch["values"]) < len(sigmas):
            batch = self._windows["train"].batch(0)
        found = self._graph(tf.nest.map_structure(tf.constant, batch), self._state())
        counts, data, chains = (each.numpy() for each in (found.counts, found.data, found.chains))
        gap = (counts * (data - chains)).reshape(-1, len(sigmas))
        weight = np.maximum(counts.reshape(gap.shape).sum(axis=0), 1)
        age = found.acceptance * 0 if found.state is None else found.state["age"]
        paired = tf.cast(found.paired, tf.float32)
        swapped = tf.math.divide_no_nan(
            tf.reduce_sum(tf.cast(found.changed, tf.float32)), tf.reduce_sum(paired)
        )
        shown = {
            "energy_of_data": (np.sum(counts * data) / max(counts.sum(), 1), _DATA),
            "energy_of_chains": (np.mean(chains), "The same of the model's own chains"),
            "gap": (np.sum(gap) / max(counts.sum(), 1), _GAP),
            "acceptance": (np.mean(found.acceptance), "Share of the Langevin steps taken"),
            "movement": (np.mean(found.moved), _MOVED),
            "exchanges": (swapped, _CHANGED),
            "age": (np.mean(age), "Steps since a persistent chain began at data, the mean"),
        }
        with writer.as_default(step):
            for name, (value, description) in shown.items():
                tf.summary.scalar(f"refinement/{name}", value, description=description)
            for sigma, value in zip(sigmas, gap.sum(axis=0) / weight):
                tf.summary.scalar(f"refinement_gap/sigma_{sigma:.3g}", value, description=_GAP)


_DATA = "Of held-out data with noise, the mean over the levels"
_GAP = "Energy of held-out data less that of chains: about 0 where the model is right"
_MOVED = "Root mean square of how far the steps of a turn move a chain, in units of its level"
_CHANGED = "Share of neighbours of the ladder that change places; at 0 no chain leaves its mode"
