"""Thresholding: bounds for the clean sequence that a denoiser predicts at every step.

Each function here returns one that takes `x0_hat (batch, time, channels)` and returns it inside the
bounds; `tfgen.sampling.diffusion.sample` applies it to every answer of the denoiser. Source:
Imagen, arXiv:2205.11487, section 2.3.
"""

import tensorflow as tf

from tfgen.errors import InputError
from tfgen.layers.checks import is_number
from tfgen.sampling.denoising import cast


def static(clip, scale=1.0, shift=0.0):
    """Static thresholding: every number is clipped.

    Args:
        clip: Function of values in the data's units, such as a `tfgen.layers.ClipByValue`.
        scale: Number or `(channels,)`: `x0_hat * scale + shift` is in the data's units.
        shift: Number or `(channels,)`.

    Returns:
        Function `x0_hat` -> `x0_hat`.
    """

    def threshold(x0_hat):
        factor, offset = cast(scale, x0_hat.dtype), cast(shift, x0_hat.dtype)
        return (tf.cast(clip(x0_hat * factor + offset), x0_hat.dtype) - offset) / factor

    return threshold


def dynamic(low=-1.0, high=1.0, quantile=0.995, valid=None):
    """Dynamic thresholding: where too much of a row lies outside, the whole row is drawn in.

    With every number measured from the middle of the bounds, in halves of their distance, s is the
    given quantile of the absolute values of a row. If s exceeds 1, the row is clipped to [-s, s]
    and divided by s; else it is clipped to the bounds.

    Args:
        low: Number or `(channels,)`, lower bound in the units of `x0_hat`.
        high: Number or `(channels,)`, upper bound.
        quantile: Number in [0, 1]; 1 is the largest value of a row. Between two values it is
            interpolated, as NumPy does.
        valid: bool, broadcast against `x0_hat`: which numbers are no padding. The others do not
            count in the quantile.

    Returns:
        Function `x0_hat` -> `x0_hat`.

    Raises:
        InputError: If `quantile` is out of range.
    """
    if not is_number(quantile) or not 0 <= quantile <= 1:
        raise InputError(f"quantile must be a number in [0, 1]. Received: quantile={quantile!r}")

    def threshold(x0_hat):
        dtype = x0_hat.dtype
        lower, upper = cast(low, dtype), cast(high, dtype)
        middle, half = (lower + upper) / 2.0, (upper - lower) / 2.0
        scaled = (x0_hat - middle) / half
        axes = [1] * (len(x0_hat.shape) - 1)
        reach = tf.reshape(_quantile(tf.abs(scaled), quantile, valid), [-1, *axes])
        reach = tf.maximum(reach, 1.0)
        return tf.clip_by_value(scaled, -reach, reach) / reach * half + middle

    return threshold


def _quantile(values, quantile, valid):
    """The quantile of the valid numbers of each row, all at least 0: `(batch,)`."""
    shape = tf.shape(values)
    if valid is not None:
        valid = tf.broadcast_to(valid, shape)
        values = tf.where(valid, values, -1.0)  # before all others in the order
    ordered = tf.sort(tf.reshape(values, [shape[0], -1]), axis=1)
    total = tf.shape(ordered)[1]
    count = tf.fill([shape[0]], total)
    if valid is not None:
        count = tf.reduce_sum(tf.cast(tf.reshape(valid, [shape[0], -1]), tf.int32), axis=1)
    place = cast(quantile, values.dtype) * tf.cast(count - 1, values.dtype)
    left = tf.cast(place, tf.int32)
    share = place - tf.cast(left, values.dtype)
    first = total - count + left
    start, end = (
        tf.gather(ordered, tf.clip_by_value(first + more, 0, total - 1), batch_dims=1)
        for more in (0, 1)
    )
    return start + share * (end - start)
