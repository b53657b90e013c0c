"""`CrossAttention`: attention to an encoded context."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.causal_self_attention import attend, join_heads, split_heads
from tfgen.layers.checks import check, check_flag, check_whole, check_width
from tfgen.layers.initializers import in_parts
from tfgen.layers.products import dense


@keras.saving.register_keras_serializable(package="tfgen")
class CrossAttention(keras.layers.Layer):
    """Multi-head attention of a sequence to another one, its context (arXiv:1706.03762).

    The context's keys and values are the same at every position of a text: `read` makes them
    once.

    Args:
        heads: Number of heads.
        width: Features in and out.
        kv_heads: Heads of keys and values, a divisor of `heads`; None takes `heads`.
        bias: Whether the products have biases.
        kernel_initializer: Keras initialiser of the products that make queries, keys and values.
        output_initializer: Keras initialiser of the product that joins the heads.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, width)`.
        context: Float `(batch, items, width)`, or the `(keys, values)` that `read` made of it.
        valid: bool `(batch, items)`: which items of the context there are.
        product: See `FeedForward`.
        attended: Function that is called with what every position attends to: shares of the items,
            float `(batch, time, items)`, the mean of the heads; None is not called.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(
        self,
        heads,
        width,
        kv_heads=None,
        bias=False,
        kernel_initializer="glorot_uniform",
        output_initializer="glorot_uniform",
        **kwargs,
    ):
        check_whole(1, heads=heads, width=width)
        kv_heads = heads if kv_heads is None else kv_heads
        check_whole(1, kv_heads=kv_heads)
        check(heads % kv_heads == 0, f"kv_heads must divide heads == {heads}", kv_heads=kv_heads)
        check(width % heads == 0, f"heads must divide width == {width}", heads=heads)
        check_flag(bias=bias)
        super().__init__(autocast=False, **kwargs)  # caches keep their own dtype
        self.heads = heads
        self.width = width
        self.kv_heads = kv_heads
        self.bias = bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)

    def build(self, input_shape=None):
        check_width(self.width, input_shape)
        narrow = self.width // self.heads * self.kv_heads
        sizes = [self.width, narrow, narrow, self.width]
        # As in `CausalSelfAttention`, whose queries, keys and values are one product.
        initializers = [*in_parts(self.kernel_initializer, sizes[:3], 1), self.output_initializer]
        names = ("query", "key", "value", "output")
        for name, size, initializer in zip(names, sizes, initializers, strict=True):
            shape = (self.width, size)
            kernel = self.add_weight(shape, initializer, name=f"{name}_kernel")
            bias = self.add_weight(shape[1:], "zeros", name=f"{name}_bias") if self.bias else None
            setattr(self, f"{name}_kernel", kernel)
            setattr(self, f"{name}_bias", bias)

    @property
    def kernels(self):
        """The matrices of its products."""
        return [self.query_kernel, self.key_kernel, self.value_kernel, self.output_kernel]

    def read(self, context):
        """Keys and values `(batch, kv_heads, items, head_width)` of `(batch, items, width)`."""
        head_width = self.width // self.heads
        keys = dense(context, self.key_kernel, self.key_bias)
        values = dense(context, self.value_kernel, self.value_bias)
        return split_heads(keys, head_width), split_heads(values, head_width)

    def call(self, inputs, context, valid=None, product=dense, attended=None):
        if not isinstance(context, (tuple, list)):
            context = self.read(context)
        queries = product(inputs, self.query_kernel, self.query_bias)
        queries = split_heads(queries, self.width // self.heads)
        visible = None if valid is None else valid[:, None, None, :]

        def told(shares):
            attended(tf.reduce_mean(tf.cast(shares, tf.float32), axis=1))
            return shares

        drop = None if attended is None else told
        outputs = join_heads(attend(queries, *context, visible, drop=drop))
        return product(outputs, self.output_kernel, self.output_bias)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
