"""What models of numbers answer: forecasts, likelihoods, quantiles."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

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


def likelihoods_of(total, values, positions):
    """What `score` tells of log-likelihoods float64 `(batch,)` of so many values and positions."""
    return {
        "log_likelihood": total,
        "values": values,
        "nats_per_value": -total / tf.cast(values, tf.float64),
        "nats_per_position": -total / tf.cast(positions, tf.float64),
    }


def summary_of(samples, levels):
    """What `forecast` tells of samples `(batch, samples, horizon, features)`."""
    # Differences in float64: the mean of large numbers that are nearly equal lies among them.
    first = tf.cast(samples[:, :1], tf.float64)
    mean = first[:, 0] + tf.reduce_mean(tf.cast(samples, tf.float64) - first, axis=1)
    return {
        "mean": tf.cast(mean, samples.dtype),
        "quantiles": _quantiles(samples, levels),
        "samples": samples,
    }


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
