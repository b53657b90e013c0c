"""Guidance: denoisers made of denoisers, that heed a condition or what was observed.

A denoiser is a function `(x (batch, time, channels), sigma (batch,), *previous)` -> `x0_hat`; a
previous answer, where the sampler hands one in, is handed on. In what is returned here every solver
of `tfgen.sampling.diffusion` can be used.
"""

import tensorflow as tf

from tfgen.errors import unknown
from tfgen.sampling.denoising import cast, expand

COVARIANCES = ("noise", "prior", "tweedie")


def classifier_free_joint(denoiser, guidance_scale):
    """Classifier-free guidance, arXiv:2207.12598, equation 6 (its w is `guidance_scale - 1`).

    One call answers for both, with twice as many rows.

    Args:
        denoiser: Denoiser that takes `2 * batch` rows, first the conditional ones, then the same
            without the condition.
        guidance_scale: Number, scalar tensor or `(batch,)`. 0 is the unconditional denoiser, 1 the
            conditional one; above 1 the condition is exaggerated.

    Returns:
        A denoiser for `batch` rows.
    """

    def guided(x, sigma, *previous):
        twice = [tf.concat([each, each], axis=0) for each in (x, sigma, *previous)]
        return _guided(*tf.split(denoiser(*twice), 2, axis=0), guidance_scale)

    return guided


def replacement(denoiser, observed, known):
    """A denoiser that answers with what was observed, where it was.

    The sampler then leads the observed numbers to where they belong, at each level with the noise
    that the solver gives them, but the rest does not hear of them except through the network:
    coarse, and free of cost. `tfgen.sampling.repaint` mends that by repetition, `reconstruction` by
    a gradient.

    Args:
        denoiser: A denoiser.
        observed: float, broadcast against x; anything, NaN too, where nothing was observed.
        known: bool, broadcast against x: what was observed.
    """

    def replaced(x, sigma, *previous):
        return tf.where(known, cast(observed, x.dtype), denoiser(x, sigma, *previous))

    return replaced


def reconstruction(
    denoiser,
    observed,
    known,
    weight=1.0,
    covariance="prior",
    sigma_data=1.0,
    noise_std=0.0,
    solve_steps=4,
):
    """A denoiser given observations, by the gradient of how well it reconstructs them.

    Given x, let x0 be Gaussian with mean `x0_hat` and covariance C. Then the expected x0, given the
    observed numbers too, has moved by

        C H' (H C H' + noise_std^2)^-1 (observed - H x0_hat),

    H taking the observed numbers out of a sequence. With J for the Jacobian of the denoiser, C on
    the left is Tweedie's sigma^2 J', and inside the brackets it is, by `covariance`,

    - `"noise"`: sigma^2. The guidance of video diffusion, arXiv:2204.03458, equation 7, whose
      weight is the same as here.
    - `"prior"`: sigma^2 s^2 / (sigma^2 + s^2), s being `sigma_data`: right for white data. The
      guidance of PiGDM (Song et al., "Pseudoinverse-guided diffusion models", ICLR 2023).
    - `"tweedie"`: sigma^2 J', by `solve_steps` steps of conjugate gradients, each one product with
      J' more: arXiv:2310.06721. Exact if the data are Gaussian and there are as many steps as
      observed numbers; a learned J is symmetric only nearly.

    Args:
        denoiser: A denoiser that can be differentiated.
        observed: float, broadcast against x; anything, NaN too, where nothing was observed.
        known: bool, broadcast against x: what was observed.
        weight: Number or scalar tensor: what the move is multiplied by; 0 is no guidance.
        covariance: One of `COVARIANCES`.
        sigma_data: Standard deviation of the data, for `"prior"`.
        noise_std: Standard deviation of the observations' errors, in the units of x.
        solve_steps: Integer from 1 up, for `"tweedie"`.

    Returns:
        A denoiser.

    Raises:
        InputError: For an unknown covariance.
    """
    if covariance not in COVARIANCES:
        raise unknown("covariance", covariance, COVARIANCES)

    def guided(x, sigma, *previous):
        with tf.GradientTape(persistent=covariance == "tweedie") as tape:
            tape.watch(x)
            x0_hat = denoiser(x, sigma, *previous)
        level = tf.square(expand(sigma, x))
        error = tf.square(cast(noise_std, x.dtype))
        wanted = tf.where(known, cast(observed, x.dtype) - x0_hat, 0.0)

        def spread(values):  # sigma^2 J' of values at observed places
            return level * tape.gradient(x0_hat, x, output_gradients=values)

        if covariance == "tweedie":
            solved = _conjugate_gradients(
                lambda values: tf.where(known, spread(values) + error * values, 0.0),
                wanted,
                solve_steps,
            )
        elif covariance == "prior":
            prior = tf.square(cast(sigma_data, x.dtype))
            solved = wanted / (level * prior / (level + prior) + error)
        else:
            solved = wanted / (level + error)
        return x0_hat + cast(weight, x.dtype) * spread(tf.stop_gradient(solved))

    return guided


def _guided(conditional, unconditional, guidance_scale):
    scale = expand(cast(guidance_scale, conditional.dtype), conditional)
    return unconditional + scale * (conditional - unconditional)


def _conjugate_gradients(product, right, steps):
    """Solves `product(values) = right` for each row, the product being symmetric and positive."""
    axes = list(range(1, len(right.shape)))

    def dot(first, second):
        return tf.reduce_sum(first * second, axis=axes, keepdims=True)

    values, residual, direction = tf.zeros_like(right), right, right
    size = begun = dot(right, right)
    tolerance = 1e-28 if right.dtype == tf.float64 else 1e-12
    for _ in range(steps):
        image = product(direction)
        curvature = dot(direction, image)
        # A row that is solved, or whose Jacobian is not positive there, stays as it is.
        going = (curvature > 0) & (size > tolerance * begun)
        length = tf.where(going, size / tf.where(going, curvature, 1.0), 0.0)
        values += length * direction
        residual -= length * image
        new_size = dot(residual, residual)
        ratio = tf.where(going, new_size / tf.where(going, size, 1.0), 0.0)
        direction = residual + ratio * direction
        size = new_size
    return values
