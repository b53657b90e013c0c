"""`FeedForward`: the layer of a transformer that treats each position by itself."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_choice, check_flag, check_whole, check_width
from tfgen.layers.fused import piece
from tfgen.layers.products import dense


def _gelu(hidden):
    return tf.nn.gelu(hidden, approximate=True)


def _swiglu(hidden):
    gate, up = tf.split(hidden, 2, axis=-1)
    return tf.nn.silu(gate) * up


def _relu2(hidden):
    return tf.square(tf.nn.relu(hidden))


KINDS = {"gelu": _gelu, "swiglu": _swiglu, "relu2": _relu2}


def usual_width(width, kind):
    """Four times the width; for swiglu, which has a product more, as many weights as that."""
    return -(-8 * width // 3 // 32) * 32 if kind == "swiglu" else 4 * width


@keras.saving.register_keras_serializable(package="tfgen")
class FeedForward(keras.layers.Layer):
    """Two products with a non-linearity between them.

    Args:
        width: Features in and out.
        hidden_width: Features between the two products; None takes `usual_width(width, kind)`.
        kind: `"gelu"`, in its tanh form (arXiv:1606.08415), as in GPT-2; `"swiglu"`,
            `silu(gate) * up` with two products of `hidden_width` (arXiv:2002.05202), as in Llama;
            `"relu2"`, the square of a ReLU (arXiv:2109.08668), as in Primer.
        bias: Whether the products have biases.
        kernel_initializer: Keras initialiser of the first product.
        output_initializer: Keras initialiser of the second.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(..., width)`.
        product: Function `(inputs, kernel, bias)`; another than `dense` may hold the weights in
            another form.
        fuse: See `tfgen.layers.fused`.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(
        self,
        width,
        hidden_width=None,
        kind="gelu",
        bias=False,
        kernel_initializer="glorot_uniform",
        output_initializer="glorot_uniform",
        **kwargs,
    ):
        check_whole(1, width=width)
        check_choice(KINDS, kind=kind)
        hidden_width = usual_width(width, kind) if hidden_width is None else hidden_width
        check_whole(1, hidden_width=hidden_width)
        check_flag(bias=bias)
        super().__init__(**kwargs)
        self.width = width
        self.hidden_width = hidden_width
        self.kind = kind
        self.bias = bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)

    def build(self, input_shape=None):
        check_width(self.width, input_shape)
        inner = self.hidden_width * (2 if self.kind == "swiglu" else 1)
        self.input_kernel = self.add_weight(
            (self.width, inner), self.kernel_initializer, name="input_kernel"
        )
        self.output_kernel = self.add_weight(
            (self.hidden_width, self.width), self.output_initializer, name="output_kernel"
        )
        self.input_bias = self.output_bias = None
        if self.bias:
            self.input_bias = self.add_weight((inner,), "zeros", name="input_bias")
            self.output_bias = self.add_weight((self.width,), "zeros", name="output_bias")

    @property
    def kernels(self):
        """The matrices of its products."""
        return [self.input_kernel, self.output_kernel]

    def call(self, inputs, product=dense, fuse=False):
        hidden = product(inputs, self.input_kernel, self.input_bias)
        hidden = piece(KINDS[self.kind], fuse)(hidden)
        return product(hidden, self.output_kernel, self.output_bias)

    def compute_output_shape(self, input_shape, **kwargs):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
