"""What can be done in the latent space of any model that has one, by its `encode` and `decode`."""

import numpy as np
import tensorflow as tf

from tfgen.errors import InputError, unknown
from tfgen.models.numbers.options import options_of
from tfgen.sampling import inversion, random
from tfgen.values import whole_number

METHODS = ("slerp", "linear")
# Sequences by which the latents of a model are judged.
LOOKED_AT = 512
# What a model of numbers is told of a sequence by itself, and not of its latents.
_TOLD = ("times", "known", "condition", "static", "source")


def has_posterior(model):
    """Whether a model has an encoder, whose posteriors can be looked at."""
    return hasattr(getattr(model, "engine", None), "posterior_of")


def posterior_graph(model):
    """The posterior of a batch of `tfgen.data`, compiled."""
    return tf.function(
        lambda batch: model.engine.posterior_of(model.unpack(batch)), autograph=False
    )


def posterior_of_windows(graph, windows):
    """The `Posterior`, or `Codes`, of the first `LOOKED_AT` sequences, or so, of windows of `tfgen.data`.

    Args:
        graph: A `posterior_graph`.
        windows: Such as are in order.
    """
    count = min(-(-LOOKED_AT // windows.batch_size), windows.steps_per_epoch)
    found = [
        graph(tf.nest.map_structure(tf.constant, windows.batch(number))) for number in range(count)
    ]
    return type(found[0])(*(tf.concat(parts, axis=0) for parts in zip(*found)))


def check_latents(model, method):
    """Refuses a model without latents."""
    if not model.has_latents:
        raise InputError(
            f"{method} is for models with latents, as of the families 'vae' and 'gan' or of "
            "diffusion; this one has none"
        )


def split_options(options):
    """`(told, rest)`: what is told of sequences, and how is sampled."""
    told = {name: options[name] for name in _TOLD if name in options}
    return told, {name: options[name] for name in options if name not in told}


def reconstruct(model, x, seed, options):
    """What the latents of sequences are decoded to."""
    told, rest = split_options(options)
    return _decoded(model, model.encode(x, **told), x, seed, told, rest)


def shift(model, x, direction, amount, seed, options):
    """Sequences, moved in the latent space by so much of a direction, and decoded."""
    told, rest = split_options(options)
    latents = model.encode(x, **told)
    direction = np.asarray(direction, np.float32)
    if direction.shape not in (latents.shape, latents.shape[1:]):
        raise InputError(
            f"direction must have the shape of latents, {latents.shape}. "
            f"Received: an array of shape {direction.shape}"
        )
    return _decoded(model, latents + amount * direction, x, seed, told, rest)


def direction(model, positive, negative, told):
    """The mean of the latents of some sequences less that of others."""
    means = [np.mean(_rows(model, each, told), axis=0) for each in (positive, negative)]
    return means[0] - means[1]


def interpolate(model, a, b, steps, method, seed, options):
    """A list of sequences from one to another, equally far apart in the latent space."""
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    steps = whole_number("steps", steps, 2)
    told, rest = split_options(options)
    ends = [model.encode(each, **told) for each in (a, b)]
    if ends[0].shape != ends[1].shape or ends[0].shape[:1] == (0,):
        raise InputError(
            "interpolate leads from one sequence to another one, of the same length in a diffusion "
            f"model. Received: latents of shapes {ends[0].shape} and {ends[1].shape}"
        )
    seed = random.new_seed() if seed is None else seed
    found = []
    shares = np.linspace(0.0, 1.0, steps, dtype=np.float32)
    if method == "slerp":
        latents = inversion.interpolate(*(each[None] for each in ends), shares)[0].numpy()
    else:
        latents = np.stack([(1 - share) * ends[0] + share * ends[1] for share in shares])
    for each in latents:
        # One after the other, so that all have the same noise.
        found.append(_decoded(model, each, a, seed, told, rest))
    return found


def neighbours(model, x, of, count, told):
    """Which of many sequences have the nearest latents to each of `x`, and how near they are."""
    own, others = _rows(model, x, told), _rows(model, of, told)
    count = min(whole_number("count", count, 1), len(others))
    own, others = (each.reshape(len(each), -1).astype(np.float64) for each in (own, others))
    squares = np.sum(own**2, 1)[:, None] + np.sum(others**2, 1)[None] - 2 * own @ others.T
    distances = np.sqrt(np.maximum(squares, 0.0))
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return nearest, np.take_along_axis(distances, nearest, axis=1)


def _rows(model, x, told):
    """Latents with a batch axis."""
    latents = model.encode(x, **told)
    single = isinstance(x, str) or (not isinstance(x, (list, tuple)) and np.ndim(x) == 2)
    return latents[None] if single else latents


def _decoded(model, latents, x, seed, told, options):
    if isinstance(x, str) or (isinstance(x, (list, tuple)) and len(x) and isinstance(x[0], str)):
        return model.decode(latents, seed=seed, **options)
    told = dict(told)
    if not hasattr(model.engine, "latent_size"):  # a diffusion model draws nothing anew
        return model.decode(latents, **told, **options)
    if "seed" in options_of(model.engine, "decode"):
        options = {**options, "seed": seed}
    times = told.pop("times", None)
    if times is not None:
        times = np.asarray(times)
        told["start_time"] = times[..., 0]
    if not model.processor.ends and "lengths" not in options:
        several = isinstance(x, (list, tuple))
        longest = max(map(len, x)) if several else np.shape(x)[-2]
        options = {**options, "lengths": longest}
    return model.decode(latents, **told, **options)
