"""What the heads have in common: one product for all parameters, start values, bounds, draws."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check, check_choice, check_positive, check_whole
from tfgen.layers.clip_by_value import GRADIENTS, ClipByValue

BOUNDINGS = ("none", *GRADIENTS, "squash")

# What the squares below can take in float32. A scaled value so far out is a fault in the data.
_LARGEST = 1e9
_TINY = float(np.finfo(np.float32).tiny)


class DistributionHead(keras.layers.Layer):
    """Turns hidden states into a distribution of the values that follow: the last layer of a model.

    A head is called for the parameters of its distribution, a dict of tensors, which its other
    methods take:

        parameters = head(hidden)
        loss = -tf.reduce_mean(head.log_prob(parameters, scaled))
        values = head.sample(parameters, uniform, normal)

    All parameters come from one product, the layer `dense`, and everything is computed in float32
    whatever the policy: differences of large squares do not survive bfloat16. Values are those that
    a scaler gives, of about unit size. A missing one (NaN) is integrated out exactly, so it says
    nothing and has no gradient.

    A head draws no random numbers: `sample` is handed as many as `uniforms` and `normals` say.

    Args:
        features: Number of values at each position.
        kernel_initializer: Keras initialiser of the product's kernel. None draws with a variance of
            0.1 / inputs: the distributions start near each other and near the scaled data, yet
            each component with a slope of its own. A kernel of zeros would keep equal components
            equal for ever.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        hidden: Float `(..., width)`.
        training: Whether to update the metric of what is clipped, if anything is.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, features, kernel_initializer=None, **kwargs):
        check_whole(1, features=features)
        super().__init__(**kwargs)
        # Keras would round the hidden states to the policy's dtype.
        self.autocast = False
        self.features = features
        if kernel_initializer is None:
            kernel_initializer = keras.initializers.VarianceScaling(0.1, mode="fan_in")
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @property
    def has_cells(self):
        """Whether `log_prob` takes cells."""
        return False

    @property
    def has_categories(self):
        """Whether values are categories, numbers of levels."""
        return False

    @property
    def has_counts(self):
        """Whether values are counts in the data's units, with the size of their series."""
        return False

    def starts(self):
        """What the raw parameters are where the hidden state is 0.

        Returns:
            Dict from the names of what the product gives, in this order, to NumPy arrays, which
            have the shape that it has at one position.
        """
        raise NotImplementedError

    @property
    def uniforms(self):
        """How many uniform numbers in (0, 1) `sample` takes for each row."""
        return 0

    @property
    def normals(self):
        """How many standard normal numbers `sample` takes for each row."""
        return 0

    def build(self, input_shape):
        starts = np.concatenate([start.ravel() for start in self.starts().values()])
        self.dense = keras.layers.Dense(
            len(starts),
            kernel_initializer=self.kernel_initializer,
            bias_initializer=lambda shape, dtype: tf.constant(starts, dtype),
            dtype="float32",
            name="parameters",
        )
        self.dense.build(input_shape)
        self.built = True

    def call(self, hidden, training=False):
        return self.distribution(self.raw(hidden), training)

    def distribution(self, raw, training=False):
        """The parameters of the distribution, of raw ones as `raw` gives them."""
        return raw

    def raw(self, hidden):
        """The product, taken apart: a dict of float32 `(..., *shape)` as `starts` has them."""
        # As one product of matrices: see `tfgen.layers.products`.
        rows = self.dense(tf.reshape(tf.cast(hidden, tf.float32), [-1, hidden.shape[-1]]))
        product = tf.reshape(rows, tf.concat([tf.shape(hidden)[:-1], [rows.shape[-1]]], axis=0))
        return self.taken_apart(tf.ensure_shape(product, [*hidden.shape[:-1], rows.shape[-1]]))

    def taken_apart(self, product):
        """The raw parameters of a product `(..., sum of the sizes of `starts`)`."""
        starts = self.starts()
        parts = tf.split(product, [start.size for start in starts.values()], axis=-1)
        outputs = {}
        for (name, start), part in zip(starts.items(), parts, strict=True):
            shape = tf.concat([tf.shape(product)[:-1], start.shape], axis=0)
            part = tf.reshape(part, shape)
            outputs[name] = tf.ensure_shape(part, [*product.shape[:-1], *start.shape])
        return outputs

    def log_prob(self, parameters, scaled, observed=None, cells=None):
        """The log density of scaled values.

        Args:
            parameters: What a call gave.
            scaled: Float `(..., features)`. NaN is missing.
            observed: bool `(..., features)`: False where a value is not to count, whatever it is.
            cells: `tfgen.layers.cells.Cells`: values that stand for all between two edges, of
                which the mass counts; None is none. For heads with `has_cells`.

        Returns:
            float32 `(...)`, in nats, of the observed features together; 0 where there is none.
        """
        raise NotImplementedError

    def mean(self, parameters):
        """The mean of the distribution, float32 `(..., features)`."""
        raise NotImplementedError

    def sample(self, parameters, uniform, normal, temperature=1.0, bias=0.0):
        """Draws values.

        Args:
            parameters: What a call gave, with one leading axis, `(rows, ...)`.
            uniform: float32 `(rows, uniforms)`, uniform in (0, 1).
            normal: float32 `(rows, normals)`, standard normal.
            temperature: Scalar >= 0. Variances are multiplied by it and logits are divided by it
                (sketch-rnn, arXiv:1704.03477, section 3.2). At 0 the noise does not matter: what is
                drawn is the middle of the most likely component.
            bias: Scalar. Scales are multiplied by exp(-bias) and logits by 1 + bias (Graves,
                arXiv:1308.0850, equations 61 and 62): the larger, the neater and the more alike.

        Returns:
            float32 `(rows, features)`.
        """
        raise NotImplementedError

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}


class LocationScaleHead(DistributionHead):
    """A head whose distribution has locations, which may be bounded, and scales.

    Only the locations are bounded. What is drawn about them may lie outside all the same.

    Args:
        features: Number of values at each position.
        low: Lower bounds of the locations, after scaling: a sequence of `features` numbers, -inf
            where there is none; or None.
        high: Upper bounds, likewise; inf where there is none.
        bounding: How the bounds are kept. `"hard"`, `"straight_through"` and `"inward"` clip by a
            `ClipByValue` of that gradient, the layer `clip`, whose `clip_tracker` says how often.
            `"squash"` maps all numbers into the bounds: by a sigmoid between two, by a softplus
            from one. `"none"` does not keep them. A feature without a bound is left as it is.
        min_scale: Least scale: without one a likelihood grows for ever at a value that is repeated.
        kernel_initializer: As of `DistributionHead`.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(
        self,
        features,
        low=None,
        high=None,
        bounding="none",
        min_scale=1e-3,
        kernel_initializer=None,
        **kwargs,
    ):
        check_choice(BOUNDINGS, bounding=bounding)
        check_positive(min_scale=min_scale)
        super().__init__(features, kernel_initializer, **kwargs)
        self.low = _check_bounds(features, low=low)
        self.high = _check_bounds(features, high=high)
        self.bounding = bounding
        self.min_scale = min_scale
        # Open sides are infinite from here on.
        self._low = np.array([-np.inf] * features if self.low is None else self.low, np.float32)
        self._high = np.array([np.inf] * features if self.high is None else self.high, np.float32)
        check((self._low < self._high).all(), f"low must be less than high={self.high}", low=low)
        self.bounded = bool(np.isfinite([self._low, self._high]).any()) and bounding != "none"
        self.clip = None
        if self.bounded and bounding != "squash":
            self.clip = ClipByValue(
                self._low.tolist(), self._high.tolist(), bounding, dtype="float32", name="clip"
            )

    def locations(self, raw, training=False):
        """Raw locations `(..., features)` within their bounds."""
        if not self.bounded:
            return raw
        if self.clip is not None:
            return self.clip(raw, training=training)
        # The infinite ones are chosen away below, but their product with 0 would be NaN.
        low, high, below, above = self._finite_bounds()
        between = low + (high - low) * tf.sigmoid(raw)
        one_sided = tf.where(below, low + softplus(raw), high - softplus(-raw))
        return tf.where(below & above, between, tf.where(below | above, one_sided, raw))

    def location_starts(self, wanted):
        """Raw locations that come out as near to `wanted` as the bounds allow.

        They lie inside the bounds: those outside might have no gradient, or hardly any.

        Args:
            wanted: NumPy `(..., features)`.
        """
        if not self.bounded:
            return wanted
        margin = np.minimum(0.1, 0.1 * (self._high - self._low))
        inside = np.clip(wanted, self._low + margin, self._high - margin)
        if self.clip is not None:
            return inside
        low, high, below, above = self._finite_bounds()
        share = np.clip((inside - low) / (high - low), 1e-6, 1 - 1e-6)
        between = np.log(share / (1 - share))
        from_low = inverse_softplus(np.maximum(inside - low, 1e-6))
        from_high = -inverse_softplus(np.maximum(high - inside, 1e-6))
        one_sided = np.where(below, from_low, from_high)
        return np.where(below & above, between, np.where(below | above, one_sided, inside))

    def scales(self, raw):
        """Positive scales of any raw numbers; 1 of what `scale_starts` gives."""
        return self.min_scale + softplus(raw)

    def scale_starts(self, shape):
        """Raw scales for scales of 1, NumPy."""
        return np.full(shape, inverse_softplus(max(1 - self.min_scale, 0.1)))

    def _finite_bounds(self):
        """Bounds, made up where there are none, and which of the two sides there are."""
        below, above = np.isfinite(self._low), np.isfinite(self._high)
        low = np.where(below, self._low, np.where(above, self._high - 1, -1))
        high = np.where(above, self._high, low + 1)
        return low.astype(np.float32), high.astype(np.float32), below, above


def spread(components, features):
    """Where the components of a mixture start: about 0, half as far apart as normal numbers.

    Each feature has them in an order of its own, so that they do not lie on a line.

    Returns:
        NumPy `(components, features)`, the same at each call.
    """
    levels = (np.arange(components) + 0.5) / components
    heights = 0.5 * np.log(levels / (1 - levels)) / 1.7  # near the normal quantiles
    orders = [
        np.random.default_rng([components, f]).permutation(components) for f in range(features)
    ]
    return np.stack([heights[order] for order in orders], axis=-1)


def observed_values(scaled, observed):
    """Values without NaN, and which are observed: float32 and bool `(..., features)`."""
    scaled = tf.cast(scaled, tf.float32)
    there = ~tf.math.is_nan(scaled)
    if observed is not None:
        there = there & observed
    return tf.clip_by_value(tf.where(there, scaled, 0.0), -_LARGEST, _LARGEST), there


def mixture_log_prob(logits, log_probs):
    """Log density of a mixture: of its logits and its components' densities, both `(..., K)`."""
    # This difference is 0, gradient and all, where each component has a log density of 0.
    return tf.reduce_logsumexp(logits + log_probs, -1) - tf.reduce_logsumexp(logits, -1)


def draw(logits, uniform, temperature=1.0, bias=0.0):
    """Draws from categories by the inverse of their distribution function.

    Args:
        logits: float32 `(..., n)`.
        uniform: float32 `(...)` in (0, 1).
        temperature: Scalar >= 0. At 0 the first of the largest logits is taken.
        bias: Scalar; the logits are multiplied by 1 + bias.

    Returns:
        int32 `(...)`.
    """
    temperature = tf.cast(temperature, tf.float32)
    # Finite, as 0 times it has to be 0.
    sharpness = tf.minimum((1.0 + bias) / tf.maximum(temperature, _TINY), 1e30)
    largest = tf.reduce_max(logits, axis=-1, keepdims=True)
    sums = tf.cumsum(tf.exp((logits - largest) * sharpness), axis=-1)
    # Against noise that picks one of several that are equally likely.
    height = tf.where(temperature > 0, uniform, 0.0)[..., None] * sums[..., -1:]
    passed = tf.reduce_sum(tf.cast(sums <= height, tf.int32), axis=-1)
    return tf.minimum(passed, logits.shape[-1] - 1)


def noise_scale(temperature, bias):
    """What temperature and bias multiply scales with."""
    return tf.sqrt(tf.cast(temperature, tf.float32)) * tf.exp(-tf.cast(bias, tf.float32))


@tf.custom_gradient
def softplus(raw):
    """`log(1 + exp(raw))`, of functions that XLA computes in vectors, which log1p is not.

    Far below 0 it rounds to 0: nothing, beside the constant that a scale has added.
    """
    value = tf.maximum(raw, 0.0) + tf.math.log(1.0 + tf.exp(-tf.abs(raw)))
    return value, lambda upstream: upstream * tf.sigmoid(raw)


def inverse_softplus(value):
    """`x` of which `log(1 + exp(x))` is `value`, NumPy."""
    return value + np.log(-np.expm1(-value))


def _check_bounds(features, **received):
    """Returns bounds as None or a list of floats."""
    ((name, value),) = received.items()
    if value is None:
        return None
    rule = f"{name} must be None or a sequence of {features} numbers, one for each feature"
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    check(array.shape == (features,) and not np.isnan(array).any(), rule, **received)
    return array.tolist()
