"""`ClipByValue`: activations held between two bounds, with a choice of gradient."""

import functools
import math
import sys

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_flag

GRADIENTS = ("hard", "straight_through", "inward")


@keras.saving.register_keras_serializable(package="tfgen")
class ClipByValue(keras.layers.Layer):
    """Limits every value to the interval from `min_value` to `max_value`.

    The forward pass is `tf.clip_by_value`. What differs from it is the gradient of the values that
    lie outside the bounds (a value right at a bound lies inside):

    - `"inward"`, the default, passes outside only the gradient whose descent step would bring the
      value back: the positive one above `max_value`, the negative one below `min_value`. Nothing
      gets stuck that the loss wants inside, and nothing is pushed further out.
    - `"hard"` is TensorFlow's own: zero outside. A unit that is outside for every example no longer
      learns: an output that begins outside everywhere never does.
    - `"straight_through"` passes every gradient as if nothing had been clipped (Bengio et al.,
      arXiv:1308.3432). Nothing gets stuck, but the gradient is biased, and a value outside may be
      pushed ever further out.

    When bounding helps: the bounds are known and the model need not spend capacity on learning them
    (a share in [0, 1], a physical limit, data that were scaled to [-1, 1]); a sampler feeds its own
    output back and errors would grow, as in the static thresholding of predicted clean samples in
    diffusion (Imagen, arXiv:2205.11487, section 2.3); low-precision arithmetic needs activations of
    a known range (ReLU6 in MobileNetV2, arXiv:1801.04381).

    What it costs: clipped values carry no information and, with `"hard"`, no gradient; probability
    piles up at the bounds (in Imagen, saturated pixels); an output that ought to be outside is
    wrong without notice. Hausknecht & Stone, arXiv:1511.04143, compare ways to train outputs that
    are bounded. So watch the share that is clipped, and start with outputs that are inside. Where
    the loss sees only the clipped value, `penalty` gives values outside a gradient whatever the
    choice above.

    The share of clipped values: `clip_fraction(inputs)` computes it, with no state. In addition,
    every call with `training=True`, and those of a model's `test_step`, update the metric
    `clip_tracker`, named `<layer name>_clip_fraction`. Keras finds it among `model.metrics`: `fit`
    shows it for training and validation, resets it at each epoch and hands it to the TensorBoard
    callback; a custom loop reads `layer.clip_tracker.result()`, which is NaN where nothing was
    measured. A metric's variables are not weights: they are neither in `model.weights` nor saved,
    and inference and exported functions do not touch them.

    Precision: bounds are the float32 numbers nearest to what was given (float64 under a float64
    policy), as in `tf.clip_by_value`. In float16 and bfloat16 they are then rounded to the inside,
    so that no output leaves the interval: 0.1 as an upper bound is 0.09961 in bfloat16, not
    0.10010. Only where the type has no number between the bounds the nearest one is taken. NaN
    stays NaN.

    Example:

    >>> layer = ClipByValue(0.0, 1.0)
    >>> layer(np.array([-0.5, 0.25, 3.0])).numpy().tolist()
    [0.0, 0.25, 1.0]
    >>> round(float(layer.clip_fraction(np.array([-0.5, 0.25, 3.0]))), 4)
    0.6667

    Args:
        min_value: Lower bound: a number, or a sequence with one number for each feature (the last
            axis of the inputs). None, or -inf for a feature, leaves the lower side open.
        max_value: Upper bound, likewise; None or inf leaves the upper side open. At least one of
            the two is needed.
        gradient: `"inward"`, `"hard"` or `"straight_through"`.
        penalty: Non-negative number. If positive, `penalty` times the mean squared distance by
            which the inputs lie outside the bounds is added to the model's losses (`add_loss`), in
            training and evaluation. The mean runs over all values, those inside included.
        report: Whether there is a metric of the share of clipped values.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Float tensor `(..., features)` of rank 1 or more. Integers are cast to the compute
            dtype.
        training: Whether to update `clip_tracker`.
        mask: Optional bool tensor whose shape is the inputs' or leaves out trailing axes, such as
            `(batch, time)`. Masked positions are clipped like others but count neither in the
            penalty nor in the fraction. The mask is passed on.

    Output shape:
        As the inputs'.

    Raises:
        ValueError: If an argument is out of range, or if per-feature bounds do not fit the inputs.
    """

    def __init__(
        self, min_value=None, max_value=None, gradient="inward", penalty=0.0, report=True, **kwargs
    ):
        super().__init__(**kwargs)

        # Layers.
        self.report = check_flag(report=report)
        self.clip_tracker = ClipFraction(name=f"{self.name}_clip_fraction") if report else None

        # Config.
        self.min_value = _check_bound("min_value", min_value, refused=math.inf)
        self.max_value = _check_bound("max_value", max_value, refused=-math.inf)
        self.gradient = _check_gradient(gradient)
        self.penalty = _check_penalty(penalty)
        self.supports_masking = True
        self._check_order()

    def _check_order(self):
        received = f"Received: min_value={self.min_value}, max_value={self.max_value}"
        if self.min_value is None and self.max_value is None:
            raise ValueError(f"min_value and max_value must not both be None. {received}")
        if self.features is not None and len({len(b) for b in self._sequences()}) > 1:
            raise ValueError(
                f"min_value and max_value must have the same number of features. {received}"
            )
        if None not in (self.min_value, self.max_value):
            if np.any(np.array(self.min_value) > np.array(self.max_value)):
                raise ValueError(f"min_value must not exceed max_value. {received}")

    def _sequences(self):
        return [bound for bound in (self.min_value, self.max_value) if isinstance(bound, tuple)]

    @property
    def features(self):
        """The number of features that per-feature bounds are for; None if both are numbers."""
        sequences = self._sequences()
        return len(sequences[0]) if sequences else None

    def build(self, input_shape):
        if len(input_shape) == 0:
            raise ValueError(
                f"The inputs must have at least one axis. Received: input_shape={input_shape}"
            )
        if self.features is not None:
            if input_shape[-1] != self.features:
                raise ValueError(
                    f"The inputs' last axis must have {self.features} features, one for each "
                    f"bound. Received: input_shape={tuple(input_shape)}"
                )
            self.input_spec = keras.layers.InputSpec(min_ndim=1, axes={-1: self.features})
        self.built = True

    def call(self, inputs, training=None, mask=None):
        inputs = tf.cast(inputs, self.compute_dtype)
        low, high = _bounds(self.min_value, self.max_value, inputs.dtype.name)
        if self.penalty:
            self.add_loss(self.penalty * self._mean_squared_excess(inputs, mask))
        if self.report and (training or _in_test_step()):
            fraction, count = self._fraction(inputs, mask)
            self.clip_tracker.update_state(fraction, sample_weight=count)
        if self.gradient == "hard":
            return tf.clip_by_value(inputs, low, high)
        return _clip_with_gradient(inputs, low, high, self.gradient)

    def clip_fraction(self, inputs, mask=None):
        """Returns the share of the values of `inputs` that lie outside the bounds.

        Args:
            inputs: Tensor or array `(..., features)`, taken in the layer's compute dtype.
            mask: As in a call.

        Returns:
            float32 scalar tensor in [0, 1]; 0 if every position is masked.
        """
        return self._fraction(tf.cast(inputs, self.compute_dtype), mask)[0]

    def _fraction(self, inputs, mask):
        low, high = _bounds(self.min_value, self.max_value, inputs.dtype.name)
        weights = _weights(inputs, mask, tf.float32)
        outside = tf.cast((inputs < low) | (inputs > high), tf.float32)
        count = tf.reduce_sum(weights)
        return tf.math.divide_no_nan(tf.reduce_sum(outside * weights), count), count

    def _mean_squared_excess(self, inputs, mask):
        # In float32 at least: squares overflow float16 above 256.
        dtype = tf.float64 if inputs.dtype == tf.float64 else tf.float32
        low, high = _bounds(self.min_value, self.max_value, dtype.name)
        weights = _weights(inputs, mask, dtype)
        inputs = tf.cast(inputs, dtype)
        excess = tf.where(inputs > high, inputs - high, 0.0)
        excess = tf.where(inputs < low, low - inputs, excess)
        excess = tf.where(tf.math.is_nan(inputs), inputs, excess)
        excess = tf.where(weights > 0, excess, 0.0)  # not a product: masked values may be NaN
        return tf.math.divide_no_nan(tf.reduce_sum(tf.square(excess)), tf.reduce_sum(weights))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}


class ClipFraction(keras.metrics.Mean):
    """A mean that is NaN, not 0, before the first update: nothing was measured."""

    def __init__(self, name="clip_fraction"):
        super().__init__(name=name, dtype="float32")

    def result(self):
        return self.total / self.count

    def get_config(self):
        return {"name": self.name}


def _in_test_step():
    """Whether this call, or the tracing of it, is part of an evaluation.

    Keras tells a layer nothing of that but `training=False`, which exports and predictions say too.
    """
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "test_step":
        frame = frame.f_back
    return frame is not None


def _clip_with_gradient(inputs, low, high, gradient):
    @tf.custom_gradient
    def clip(inputs):
        def inward(upstream):
            inside = (inputs >= low) & (inputs <= high)
            back = ((inputs > high) & (upstream > 0)) | ((inputs < low) & (upstream < 0))
            return tf.where(inside | back, upstream, tf.zeros_like(upstream))

        def straight_through(upstream):
            return upstream

        backward = {"inward": inward, "straight_through": straight_through}[gradient]
        return tf.clip_by_value(inputs, low, high), backward

    return clip(inputs)


def _weights(inputs, mask, dtype):
    """Returns ones and zeros in the shape of `inputs`, 0 where masked."""
    if mask is None:
        return tf.ones_like(inputs, dtype)
    mask = tf.convert_to_tensor(mask)
    missing = inputs.shape.rank - mask.shape.rank
    if missing < 0:
        raise ValueError(
            "mask must not have more axes than the inputs. "
            f"Received: mask={tuple(mask.shape)}, inputs={tuple(inputs.shape)}"
        )
    mask = tf.cast(mask, dtype)[(..., *[None] * missing)]
    return tf.broadcast_to(mask, tf.shape(inputs))


@functools.lru_cache(maxsize=128)
def _bounds(min_value, max_value, dtype):
    """Returns the two bounds as NumPy arrays of a dtype, rounded to the inside of the interval."""
    exact = "float64" if dtype == "float64" else "float32"
    low = _nearest(np.float64(-np.inf if min_value is None else min_value), exact)
    high = _nearest(np.float64(np.inf if max_value is None else max_value), exact)
    low, high = np.broadcast_arrays(low, high)
    lower = _round_inside(low, dtype, sign=1)
    upper = _round_inside(high, dtype, sign=-1)
    # Where no number of the dtype lies between the bounds, both become the one that is nearest.
    crossed = lower > upper
    single = np.where(crossed & (lower - high > low - upper), upper, lower)
    number = tf.as_dtype(dtype).as_numpy_dtype
    lower = np.where(crossed, single, lower).astype(number)
    upper = np.where(crossed, single, upper).astype(number)
    return lower, upper


def _nearest(values, dtype):
    """Rounds float64 numbers to a dtype and back; a finite one stays finite."""
    dtype = tf.as_dtype(dtype)
    with np.errstate(over="ignore"):
        rounded = values.astype(dtype.as_numpy_dtype).astype(np.float64)
    overflow = np.isinf(rounded) & np.isfinite(values)
    return np.where(overflow, np.copysign(float(dtype.max), values), rounded)


def _round_inside(values, dtype, sign):
    """Rounds float64 numbers to a dtype and back, towards `sign` times infinity."""
    number = tf.as_dtype(dtype).as_numpy_dtype
    nearest = _nearest(values, dtype)
    with np.errstate(over="ignore"):
        stepped = np.nextafter(nearest.astype(number), np.array(sign * np.inf).astype(number))
    outside = sign * nearest < sign * values
    return _nearest(np.where(outside & np.isfinite(stepped), stepped, nearest), dtype)


def _check_bound(name, value, refused):
    """Returns a bound as None, a float or a tuple of floats."""
    if value is None:
        return None
    try:
        array = np.array(value)
    except (TypeError, ValueError):  # rows of different lengths; a symbolic tensor
        array = np.array(None)
    if array.dtype.kind in "bOSUMmc" or array.ndim > 1 or array.size == 0:
        raise ValueError(
            f"{name} must be None, a number or a sequence of one number for each feature. "
            f"Received: {name}={value!r}"
        )
    array = array.astype(np.float64)
    if np.isnan(array).any() or (array == refused).any():
        raise ValueError(f"{name} must not be NaN or {refused}. Received: {name}={value!r}")
    return float(array) if array.ndim == 0 else tuple(array.tolist())


def _check_gradient(gradient):
    if gradient not in GRADIENTS:
        allowed = ", ".join(f"'{name}'" for name in GRADIENTS)
        raise ValueError(f"gradient must be one of {allowed}. Received: gradient={gradient!r}")
    return gradient


def _check_penalty(penalty):
    try:
        number = math.nan if isinstance(penalty, (bool, str)) else float(penalty)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(f"penalty must be a number from 0 up. Received: penalty={penalty!r}")
    return number
