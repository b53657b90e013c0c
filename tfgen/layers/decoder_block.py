"""`DecoderBlock`: one layer of a transformer decoder."""

import functools

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config, handed_on, hands_on_to
from tfgen.layers.causal_self_attention import CausalSelfAttention
from tfgen.layers.checks import check_choice, check_flag, check_positive, check_whole, check_width
from tfgen.layers.cross_attention import CrossAttention
from tfgen.layers.feed_forward import KINDS, FeedForward
from tfgen.layers.fused import fused
from tfgen.layers.products import dense

NORMS = ("layer", "rms")


@keras.saving.register_keras_serializable(package="tfgen")
@hands_on_to(CausalSelfAttention)
class DecoderBlock(keras.layers.Layer):
    """Attention to the past, attention to a context if there is one, and a feed-forward layer.

    Each is added to its input and normalises that first (pre-norm, arXiv:2002.04745).

    Args:
        heads: Number of heads.
        width: Features in and out.
        mlp: Kind of the feed-forward layer, see `FeedForward`.
        mlp_width: Features inside it; None takes the usual ones.
        norm: `"layer"` or `"rms"`, see `normalization`.
        norm_epsilon: Added to the variance or the mean square.
        bias: Whether products and layer normalisations have biases.
        cross_attention: Whether there is an attention to a context.
        kernel_initializer: Keras initialiser of the products that read the block's input; or a dict
            of one for each of `"attention"`, `"cross_attention"` and `"mlp"`.
        output_initializer: The same for the products whose outputs are added to it.
        **kwargs: Further arguments of `CausalSelfAttention`; `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, width)`.
        places, cache, return_cache: See `CausalSelfAttention`.
        context, valid, attended: See `CrossAttention`.
        drop: Function `(tensor, name) -> tensor` that drops in training, or None; the names are
            `"probabilities"`, `"attention"`, `"context"` and `"mlp"`.
        product: See `FeedForward`.
        fuse: See `tfgen.layers.fused`.

    Returns:
        Float `(batch, time, width)`; with the cache `(outputs, cache)`.

    Raises:
        ValueError: For an argument out of its range.

    Example:

    >>> block = DecoderBlock(heads=2, width=8)
    >>> block(tf.zeros((1, 5, 8))).shape
    TensorShape([1, 5, 8])
    """

    def __init__(
        self,
        heads,
        width,
        mlp="gelu",
        mlp_width=None,
        norm="layer",
        norm_epsilon=1e-5,
        bias=False,
        cross_attention=False,
        kernel_initializer="glorot_uniform",
        output_initializer="glorot_uniform",
        **kwargs,
    ):
        check_choice(NORMS, norm=norm)
        check_choice(KINDS, mlp=mlp)
        check_positive(norm_epsilon=norm_epsilon)
        check_flag(bias=bias, cross_attention=cross_attention)
        if mlp_width is not None:
            check_whole(1, mlp_width=mlp_width)
        self_attention = handed_on(DecoderBlock, kwargs)
        super().__init__(autocast=False, **kwargs)  # caches keep their own dtype
        kernels, outputs = map(_of_parts, (kernel_initializer, output_initializer))

        def options(name):
            return {
                "bias": bias,
                "kernel_initializer": kernels[name],
                "output_initializer": outputs[name],
                "name": name,
                "dtype": self.dtype_policy,
            }

        # Layers
        self.attention = CausalSelfAttention(
            heads, width, norm_epsilon=norm_epsilon, **self_attention, **options("attention")
        )
        self.mlp = FeedForward(width, mlp_width, kind=mlp, **options("mlp"))
        self.cross_attention = None
        if cross_attention:
            self.cross_attention = CrossAttention(
                heads, width, kv_heads=self_attention["kv_heads"], **options("cross_attention")
            )
        norms = {"epsilon": norm_epsilon, "bias": bias, "dtype": self.dtype_policy}
        self.attention_norm = normalization(norm, name="attention_norm", **norms)
        self.mlp_norm = normalization(norm, name="mlp_norm", **norms)
        self.cross_norm = None
        if cross_attention:
            self.cross_norm = normalization(norm, name="cross_norm", **norms)

        # Config
        self.norm = norm
        self.norm_epsilon = norm_epsilon
        self.bias = bias
        self.kernel_initializer = kernels
        self.output_initializer = outputs
        self._self_attention = self_attention

    def build(self, input_shape=None):
        check_width(self.attention.width, input_shape)
        shape = (None, None, self.attention.width)
        for layer in (
            self.attention,
            self.cross_attention,
            self.mlp,
            self.attention_norm,
            self.cross_norm,
            self.mlp_norm,
        ):
            if layer is not None:
                layer.build(shape)

    @property
    def kernels(self):
        """The matrices of its products, in the order of its weights."""
        parts = [self.attention, self.cross_attention, self.mlp]
        found = {id(each) for part in parts if part is not None for each in part.kernels}
        return [weight for weight in self.weights if id(weight) in found]

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
        return_cache=None,
        attended=None,
    ):
        return_cache = cache is not None if return_cache is None else return_cache
        drop = drop or (lambda tensor, name: tensor)
        outputs, cache = self.attention(
            normalized(self.attention_norm, inputs, fuse),
            places=places,
            cache=cache,
            drop=lambda weights: drop(weights, "probabilities"),
            product=product,
            fuse=fuse,
            return_cache=True,
        )
        x = inputs + drop(outputs, "attention")
        if self.cross_attention is not None:
            outputs = self.cross_attention(
                normalized(self.cross_norm, x, fuse),
                context=context,
                valid=valid,
                product=product,
                attended=attended,
            )
            x += drop(outputs, "context")
        outputs = self.mlp(normalized(self.mlp_norm, x, fuse), product=product, fuse=fuse)
        x += drop(outputs, "mlp")
        return (x, cache) if return_cache else x

    def get_config(self):
        others = {
            **self._self_attention,
            "heads": self.attention.heads,
            "width": self.attention.width,
            "mlp": self.mlp.kind,
            "mlp_width": self.mlp.hidden_width,
            "cross_attention": self.cross_attention is not None,
        }
        return {**super().get_config(), **constructor_config(self, **others)}


def _of_parts(initializer):
    """The initialiser of each part of a block, of one for all or of a dict of them."""
    parts = ("attention", "cross_attention", "mlp")
    given = initializer if isinstance(initializer, dict) and "class_name" not in initializer else {}
    if not given:
        given = dict.fromkeys(parts, initializer)
    return {part: keras.initializers.get(given[part]) for part in parts}


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
