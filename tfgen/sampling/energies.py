"""Energies: a density known up to its constant, its denoiser, and chains that sample it.

An energy is a function `(x (batch, time, channels), sigma (batch,))` -> `(batch,)`: minus the
logarithm of the density of the noisy data at that level, up to a constant at each level. Its
gradient is minus the score, so that it is a denoiser as well; and with the energy itself at hand
`tfgen.sampling.langevin.mala` has an exact accept step.
"""

import tensorflow as tf

from tfgen.sampling import random
from tfgen.sampling.denoising import cast, expand
from tfgen.sampling.langevin import mala


def energy_denoiser(energy):
    """Returns the denoiser of an energy, `x - sigma**2 * gradient` by Tweedie's formula.

    It can be differentiated again, to train the energy as a denoiser: denoising score matching.

    Args:
        energy: Function `(x, sigma (batch,), *previous)` -> `(batch,)`. Where sigma is
            `(batch, time)`, the gradient at a position is scaled by its own level.
    """

    def denoiser(x, sigma, *previous):
        with tf.GradientTape() as tape:
            tape.watch(x)
            values = energy(x, sigma, *previous)
        return x - tf.square(expand(sigma, x)) * tape.gradient(values, x)

    return denoiser


def quadratic_energy(denoiser):
    """Returns the energy `|x - D(x, sigma)|**2 / (2 * sigma**2)` of a network shaped as a denoiser.

    It makes a scalar of a network that gives a sequence (Salimans & Ho 2021, "Should EBMs model the
    energy or the score?"). Its gradient is `(I - J') (x - D) / sigma^2`, J being the Jacobian of D:
    not the score that D stands for. So train `energy_denoiser` of it, not D.

    Args:
        denoiser: Function `(x, sigma (batch,), *previous)` -> `(batch, time, channels)`.
    """

    def energy(x, sigma, *previous):
        residual = (x - denoiser(x, sigma, *previous)) / expand(sigma, x)
        return tf.reduce_sum(tf.square(residual), axis=list(range(1, len(x.shape)))) / 2.0

    return energy


def weighted_energy(energies, weights):
    """Returns the weighted sum of energies, that of a product of their densities' powers.

    With the weights `(w, 1 - w)` of a conditional and an unconditional energy it is classifier-free
    guidance (see `tfgen.sampling.guidance`): its denoiser is the guided one.

    Args:
        energies: Functions `(x, sigma (batch,), *previous)` -> `(batch,)`.
        weights: Numbers or scalar tensors, as many.
    """

    def energy(x, sigma, *previous):
        parts = (cast(w, x.dtype) * one(x, sigma, *previous) for w, one in zip(weights, energies))
        return tf.add_n(list(parts))

    return energy


def short_chains(energy, x, sigma, key, steps=10, step_size=0.2, valid=None):
    """Runs short Metropolis-adjusted Langevin chains, each at its level.

    Begun at data they are the negatives of contrastive divergence, CD-k (Hinton 2002, "Training
    products of experts by minimizing contrastive divergence"); begun where the last ones ended, of
    persistent contrastive divergence (Tieleman 2008); begun at samples of the model they correct
    those.

    Args:
        energy: An energy.
        x: float `(batch, time, channels)`, at that level: noisy data, not clean.
        sigma: Number above 0, or float `(batch,)`.
        key: int32 `(2,)`.
        steps: Integer from 0 up.
        step_size: Steps are `step_size * sigma**2`.
        valid: bool, broadcast against x: which numbers are no padding. The others stay.

    Returns:
        `(x, acceptance (batch,))`, through which no gradient passes.
    """
    x = tf.stop_gradient(tf.convert_to_tensor(x))
    sigmas = tf.reshape(cast(sigma, x.dtype), [1, -1])
    chain = mala(energy, x, sigmas, key, steps, step_size, predictor=False, valid=valid)
    return tf.stop_gradient(chain.x), tf.stop_gradient(chain.acceptance[0])


def exchange(energy, x, sigma, levels, key, sigma_data=1.0, valid=None):
    """Replica exchange: chains of neighbouring levels change places, where Metropolis agrees.

    What is stationary stays so at each level (Swendsen & Wang 1986, "Replica Monte Carlo simulation
    of spin glasses"; of negatives, Desjardins et al. 2010, "Parallel tempering for training of
    restricted Boltzmann machines"). So chains get from mode to mode by way of levels at which there
    is one mode. A chain that goes to another level is scaled by the ratio of the levels' standard
    deviations, `sqrt(sigma**2 + sigma_data**2)`. It takes two evaluations of the energy.

    Args:
        energy: An energy, the same of each `levels` rows in succession, but for their sigma.
        x: float `(batch, time, channels)`.
        sigma: float `(batch,)`, falling or rising in each `levels` rows in succession.
        levels: Integer that divides the batch.
        key: int32 `(2,)`, which also tells which of two neighbours a chain has its turn with.
        sigma_data: Number from 0 up, the standard deviation of clean data.
        valid: As of `short_chains`.

    Returns:
        `(x, changed (batch,), paired (batch,))`: which chains changed places, of those that had a
        turn; no gradient passes.
    """
    x = tf.stop_gradient(x)
    rows = tf.range(tf.shape(x)[0])
    first = random.uniform(random.fold(key, 0), [tf.shape(x)[0] // levels]) < 0.5
    first = tf.repeat(tf.cast(first, tf.int32), levels)
    place = rows % levels
    partner = place + tf.where((place - first) % 2 == 0, 1, -1)
    paired = (partner >= 0) & (partner < levels)
    other = tf.where(paired, rows + partner - place, rows)
    spread = tf.sqrt(tf.square(sigma) + cast(sigma_data, x.dtype) ** 2)
    moved = tf.gather(x, other, axis=0) * expand(spread / tf.gather(spread, other, axis=0), x)
    moved = moved if valid is None else tf.where(valid, moved, x)
    both = energy(tf.concat([x, moved], axis=0), tf.concat([sigma, sigma], axis=0))
    gain = tf.subtract(*tf.split(both, 2))
    draw = tf.cast(random.uniform(random.fold(key, 1), tf.shape(rows)), x.dtype)
    draw = tf.gather(draw, tf.minimum(rows, other), axis=0)  # one for both
    changed = paired & (tf.math.log(draw) < gain + tf.gather(gain, other, axis=0))
    x = tf.where(changed[(..., *[None] * (len(x.shape) - 1))], moved, x)
    return tf.stop_gradient(x), changed, paired
