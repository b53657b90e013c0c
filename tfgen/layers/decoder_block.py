"""`DecoderBlock`: one layer of a transformer decoder."""

import functools

import keras
import tensorflow as tf

from tfgen.layers.checks import check_choice, check_flag, check_positive
from tfgen.layers.fused import fused
from tfgen.layers.products import dense

NORMS = ("layer", "rms")


@keras.saving.register_keras_serializable(package="tfgen")
class DecoderBlock(keras.layers.Layer):
    """Attention to the past, attention to a context if there is one, and a feed-forward layer.

    Each is added to its input and normalises that first (pre-norm, arXiv:2002.04745).

    Args:
        attention: A `CausalSelfAttention`.
        mlp: A `FeedForward`.
        cross_attention: A `CrossAttention`, or None.
        norm: `"layer"` or `"rms"`, see `normalization`.
        norm_epsilon: Added to the variance or the mean square.
        norm_bias: Whether a `"layer"` normalisation has a learned offset.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, width)`.
        places, cache: See `CausalSelfAttention`.
        context, valid: See `CrossAttention`.
        drop: Function `(tensor, name) -> tensor` that drops in training, or None; the names are
            `"probabilities"`, `"attention"`, `"context"` and `"mlp"`.
        product: See `FeedForward`.
        fuse: See `tfgen.layers.fused`.

    Returns:
        `(outputs, cache)`.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(
        self,
        attention,
        mlp,
        cross_attention=None,
        norm="layer",
        norm_epsilon=1e-5,
        norm_bias=False,
        **kwargs,
    ):
        check_choice(NORMS, norm=norm)
        check_positive(norm_epsilon=norm_epsilon)
        check_flag(norm_bias=norm_bias)
        super().__init__(autocast=False, **kwargs)  # caches keep their own dtype
        self.attention = attention
        self.mlp = mlp
        self.cross_attention = cross_attention
        self.norm = norm
        self.norm_epsilon = norm_epsilon
        self.norm_bias = norm_bias
        options = {"dtype": self.dtype_policy, "bias": norm_bias}
        self.attention_norm = normalization(norm, norm_epsilon, name="attention_norm", **options)
        self.mlp_norm = normalization(norm, norm_epsilon, name="mlp_norm", **options)
        self.cross_norm = None
        if cross_attention is not None:
            self.cross_norm = normalization(norm, norm_epsilon, name="cross_norm", **options)

    def build(self, input_shape=None):
        shape = (None, None, self.attention.width)
        for layer in (self.attention, self.cross_attention, self.mlp):
            # What was read from a configuration may be built already.
            if layer is not None and not layer.built:
                layer.build(shape)
        for norm in (self.attention_norm, self.cross_norm, self.mlp_norm):
            if norm is not None:
                norm.build(shape)

    def call(
        self,
        inputs,
        places=None,
        cache=None,
        context=None,
        valid=None,
        drop=None,
        product=dense,
        fuse=False,
    ):
        drop = drop or (lambda tensor, name: tensor)
        outputs, cache = self.attention(
            normalized(self.attention_norm, inputs, fuse),
            places=places,
            cache=cache,
            drop=lambda weights: drop(weights, "probabilities"),
            product=product,
            fuse=fuse,
        )
        x = inputs + drop(outputs, "attention")
        if self.cross_attention is not None:
            outputs = self.cross_attention(
                normalized(self.cross_norm, x, fuse), context=context, valid=valid, product=product
            )
            x += drop(outputs, "context")
        outputs = self.mlp(normalized(self.mlp_norm, x, fuse), product=product, fuse=fuse)
        return x + drop(outputs, "mlp"), cache

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        cross = self.cross_attention
        return {
            **super().get_config(),
            "attention": serialize(self.attention),
            "mlp": serialize(self.mlp),
            "cross_attention": None if cross is None else serialize(cross),
            "norm": self.norm,
            "norm_epsilon": self.norm_epsilon,
            "norm_bias": self.norm_bias,
        }

    @classmethod
    def from_config(cls, config):
        layers = ("attention", "mlp", "cross_attention")
        made = {name: keras.saving.deserialize_keras_object(config[name]) for name in layers}
        return cls(**{**config, **made})


def normalization(kind, epsilon, bias=False, **kwargs):
    """A normalisation of the last axis, with a learned gain.

    Args:
        kind: `"layer"` takes the mean off and divides by the standard deviation (arXiv:1607.06450);
            `"rms"` divides by the root mean square (arXiv:1910.07467).
        epsilon: Added to the variance or the mean square.
        bias: Whether `"layer"` adds a learned offset.
        **kwargs: `name`, `dtype` and the like.
    """
    check_choice(NORMS, norm=kind)
    if kind == "rms":
        return keras.layers.RMSNormalization(epsilon=epsilon, **kwargs)
    return keras.layers.LayerNormalization(epsilon=epsilon, center=bias, **kwargs)


def normalized(layer, inputs, fuse=False):
    """`layer(inputs)` for a layer of `normalization`."""
    if not fuse:
        return layer(inputs)
    if isinstance(layer, keras.layers.RMSNormalization):
        return fused(_rms(layer.epsilon))(inputs, layer.scale)
    gains = [layer.gamma] if layer.beta is None else [layer.gamma, layer.beta]
    return fused(_layer(layer.epsilon))(inputs, *gains)


@functools.cache
def _rms(epsilon):
    def normalize(inputs, gain):
        x = tf.cast(inputs, tf.float32)
        mean_square = tf.reduce_mean(tf.square(x), axis=-1, keepdims=True)
        return tf.cast(
            x * tf.math.rsqrt(mean_square + epsilon) * tf.cast(gain, x.dtype), inputs.dtype
        )

    return normalize


@functools.cache
def _layer(epsilon):
    def normalize(inputs, gain, offset=None):
        x = tf.cast(inputs, tf.float32)
        x -= tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.square(x), axis=-1, keepdims=True)
        x *= tf.math.rsqrt(variance + epsilon) * tf.cast(gain, x.dtype)
        if offset is not None:
            x += tf.cast(offset, x.dtype)
        return tf.cast(x, inputs.dtype)

    return normalize
