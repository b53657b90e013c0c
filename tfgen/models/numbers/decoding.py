"""What a person gives to `decode` of a model of numbers, checked and as tensors."""

import numpy as np
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.models.numbers.lengths import length_of
from tfgen.models.numbers.told import finite_numbers, for_each


def decoded(model, latents, lengths, told):
    """The arguments of an engine's `decode`, and whether they are of a single sequence.

    Args:
        model: A `NumbersModel`.
        latents: As a person gave them.
        lengths: As well.
        told: `Told`.
    """
    engine = model.engine
    if not hasattr(engine, "latent_size"):
        latents, lengths, time, single = _noise_of(engine, latents, lengths)
        given = {"latents": latents, "lengths": lengths}
        return {**given, **told.of_series(engine, lengths, time)}, single
    if told.times is not None:
        raise InputError("times is for diffusion models; give start_time")
    latents, size = finite_numbers("latents", latents), engine.latent_size
    if latents.ndim not in (1, 2) or latents.shape[-1] != size:
        raise InputError(
            f"latents must be ({size},) or (batch, {size}). "
            f"Received: an array of shape {latents.shape}"
        )
    single, latents = latents.ndim == 1, np.atleast_2d(latents)
    length = length_of(model, lengths)
    given = {"latents": latents, "num_samples": tf.constant(len(latents))}
    given["length"] = tf.constant(length)
    return {**given, **told.of_samples(engine, len(latents), length)}, single


def _noise_of(engine, latents, lengths):
    """Latents that a person gave to a diffusion model, and how long their series are.

    Returns:
        `(latents (batch, positions, channels), lengths int32 (batch,), time, single)`: `time` is
        how long they may be, `single` whether there was no batch axis.
    """
    latents, channels = finite_numbers("latents", latents), engine.emission.channels
    if latents.ndim not in (2, 3) or latents.shape[-1] != channels:
        raise InputError(
            f"latents must be (positions, {channels}) or (batch, positions, "
            f"{channels}). Received: an array of shape {latents.shape}"
        )
    single = latents.ndim == 2
    latents = latents[None] if single else latents
    count, time = latents.shape[0], latents.shape[1] * engine.positions.frame
    lengths = for_each("lengths", time if lengths is None else lengths, count)
    if not ((lengths >= 1) & (lengths <= time) & (lengths % 1 == 0)).all():
        raise InputError(
            f"lengths must be integers from 1 to {time}. Received: lengths={lengths.tolist()}"
        )
    return latents, lengths.astype(np.int32), time, single
