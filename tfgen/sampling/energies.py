"""Energies: a density known up to its constant, its denoiser, and contrastive divergence.

An energy is a function `(x (batch, time, channels), sigma (batch,))` -> `(batch,)`: minus the
logarithm of the density of the noisy data at that level, up to a constant at each level. Its
gradient is minus the score, so that it is a denoiser as well; and with the energy itself at hand
`tfgen.sampling.langevin.mala` has an exact accept step.
"""

import tensorflow as tf

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
    """Runs short Metropolis-adjusted Langevin chains at one level.

    Begun at data they are the negatives of contrastive divergence, CD-k (Hinton 2002, "Training
    products of experts by minimizing contrastive divergence"); begun where the last ones ended, of
    persistent contrastive divergence (Tieleman 2008); begun at samples of the model they correct
    those.

    Args:
        energy: An energy.
        x: float `(batch, time, channels)`, at that level: noisy data, not clean.
        sigma: Number or scalar tensor above 0.
        key: int32 `(2,)`.
        steps: Integer from 0 up.
        step_size: Steps are `step_size * sigma**2`.
        valid: bool, broadcast against x: which numbers are no padding. The others stay.

    Returns:
        `(x, acceptance (batch,))`, through which no gradient passes.
    """
    x = tf.stop_gradient(tf.convert_to_tensor(x))
    sigmas = tf.reshape(cast(sigma, x.dtype), [1])
    chain = mala(energy, x, sigmas, key, steps, step_size, predictor=False, valid=valid)
    return tf.stop_gradient(chain.x), tf.stop_gradient(chain.acceptance[0])


def contrastive_divergence_loss(energy, data, negatives, sigma, penalty=0.0):
    """Returns the loss whose gradient lowers the energy of data and raises that of negatives.

    The gradient of its mean is that of the negative log-likelihood of the noisy data if the
    negatives are samples of the model; with short chains begun at data, that of contrastive
    divergence without its last term, as is usual.

    What it can mend that denoising cannot, and what not: at a low level the score is the same
    whatever the weights of modes far apart, so that denoising says nothing of them. Short chains
    begun at data do not leave their mode either and say as little. Negatives that come from the
    model, by chains annealed from high noise, do: there are too many of them in a mode that is too
    heavy. `tests/sampling/test_energies.py` has the measurements.

    Args:
        energy: An energy.
        data: float `(batch, time, channels)`, noisy data of level sigma.
        negatives: float `(batch, time, channels)`; no gradient passes through them.
        sigma: float `(batch,)`.
        penalty: Number from 0 up: `penalty` times the squares of both energies is added, to keep
            them near 0 (arXiv:1903.08689).

    Returns:
        float `(batch,)`.
    """
    of_data = energy(data, sigma)
    of_negatives = energy(tf.stop_gradient(negatives), sigma)
    squares = tf.square(of_data) + tf.square(of_negatives)
    return of_data - of_negatives + cast(penalty, squares.dtype) * squares
