"""What models of numbers answer: forecasts, likelihoods, quantiles."""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfgen.layers.normal_features import put

QUANTILES = (0.1, 0.5, 0.9)


class Forecast(NamedTuple):
    """What a model expects to come.

    Attributes:
        mean: float32 `(horizon, features)`, or `(batch, horizon, features)`.
        quantiles: Dict from each quantile to an array of that shape.
        samples: `(num_samples, horizon, features)`, or with a batch axis before.
    """

    mean: np.ndarray
    quantiles: dict
    samples: np.ndarray

    @classmethod
    def of(cls, result, quantiles, single):
        """The forecast of what the graph returns: tensors with a batch axis.

        Args:
            result: Dict with `mean`, `quantiles` `(batch, quantiles, ...)` and `samples`.
            quantiles: As a person gave them.
            single: Whether there is one context, without a batch axis.
        """
        arrays = {name: tensor.numpy() for name, tensor in result.items()}
        arrays["quantiles"] = np.moveaxis(arrays["quantiles"], 1, 0)
        by_level = zip(np.atleast_1d(quantiles), arrays["quantiles"])
        by_level = {float(level): values for level, values in by_level}
        if not single:
            return cls(arrays["mean"], by_level, arrays["samples"])
        by_level = {level: values[0] for level, values in by_level.items()}
        return cls(arrays["mean"][0], by_level, arrays["samples"][0])


def scores_of(result, single):
    """What `score` returns of its graph's tensors: arrays, or numbers of a single series."""
    result = {name: value.numpy() for name, value in result.items()}
    return {name: value[0] for name, value in result.items()} if single else result


def observed_of(arguments):
    """How many values of series are observed, int32 `(batch,)`, of `Positions.series_specs`."""
    valid = tf.sequence_mask(arguments["lengths"], tf.shape(arguments["values"])[1])[..., None]
    observed = ~tf.math.is_nan(arguments["values"]) & valid
    return tf.reduce_sum(tf.cast(observed, tf.int32), axis=[1, 2])


def likelihoods_of(total, values, positions):
    """What `score` tells of log-likelihoods float64 `(batch,)` of so many values and positions."""
    return {
        "log_likelihood": total,
        "values": values,
        "nats_per_value": -total / tf.cast(values, tf.float64),
        "nats_per_position": -total / tf.cast(positions, tf.float64),
    }


def summary_of(samples, levels, processor):
    """What `forecast` tells of samples `(batch, samples, horizon, features)`.

    The mean of a circular column is the direction of its samples, and its quantiles are counted
    from half a turn before to half a turn after it.
    """
    columns = [processor.number_columns[number] for number in processor.circular]
    if not columns:
        return {
            "mean": _mean(samples),
            "quantiles": _quantiles(samples, levels),
            "samples": samples,
        }
    circles = [processor.circles[number] for number in processor.circular]
    start, period = (np.array([circle[i] for circle in circles], np.float32) for i in (1, 0))

    def changed(values, change):
        angles = change(tf.cast(tf.gather(values, columns, axis=-1), tf.float32))
        return put(values, columns, tf.cast(angles, values.dtype))

    turns = tf.gather(tf.cast(samples, tf.float32), columns, axis=-1) * (2 * math.pi / period)
    across, along = (tf.reduce_mean(f(turns), axis=1, keepdims=True) for f in (tf.sin, tf.cos))
    centre = tf.atan2(across, along) * (period / (2 * math.pi))
    near = changed(samples, lambda x: (x - centre) - period * tf.round((x - centre) / period))

    def turned(x):
        return start + tf.math.floormod(x + centre - start, period)

    quantiles = changed(_quantiles(near, levels), turned)
    mean = changed(_mean(near), lambda _: turned(tf.zeros_like(centre))[:, 0])
    return {"mean": mean, "quantiles": quantiles, "samples": samples}


def _mean(samples):
    """The mean over the samples, axis 1."""
    # Differences in float64: the mean of large numbers that are nearly equal lies among them.
    first = tf.cast(samples[:, :1], tf.float64)
    mean = first[:, 0] + tf.reduce_mean(tf.cast(samples, tf.float64) - first, axis=1)
    return tf.cast(mean, samples.dtype)


def _quantiles(samples, levels):
    """Quantiles `(batch, levels, horizon, features)` of `(batch, samples, horizon, features)`.

    Between two samples they are interpolated, as NumPy's default does.
    """
    ordered = tf.sort(samples, axis=1)
    count = tf.shape(samples)[1]
    place = levels * tf.cast(count - 1, tf.float32)
    below = tf.cast(tf.math.floor(place), tf.int32)
    share = tf.cast(place - tf.cast(below, tf.float32), samples.dtype)[None, :, None, None]
    lower = tf.gather(ordered, below, axis=1)
    upper = tf.gather(ordered, tf.minimum(below + 1, count - 1), axis=1)
    # Not a weighted sum, which of two equal numbers makes another one.
    return lower + share * (upper - lower)
