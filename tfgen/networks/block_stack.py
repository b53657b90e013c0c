"""`BlockStack`: the blocks of a transformer as one loop, for reading a few positions at a time."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.errors import unknown
from tfgen.layers.decoding import quantize, vector_product
from tfgen.layers.products import as_tensor, dense
from tfgen.networks.slots import context_of

WEIGHT_DTYPES = ("float32", "int8")


class BlockStack:
    """Blocks that are alike: one of them is traced and compiled, however many there are.

    Args:
        blocks: List of `tfgen.layers.DecoderBlock`s of the same arguments.
        conv: Positions of their convolution; 0 is none.
    """

    def __init__(self, blocks, conv):
        self._blocks = blocks
        self._conv = conv
        # Of each kernel, those of all blocks in 8 bits and their scales; empty is float32.
        self._small = []

    def quantize(self, dtype):
        """Keeps the weights that `reader` reads in 8 bits, and rounds the weights themselves.

        Args:
            dtype: One of `WEIGHT_DTYPES`.

        Raises:
            InputError: For another dtype.
        """
        if dtype not in WEIGHT_DTYPES:
            raise unknown("dtype of weights", dtype, WEIGHT_DTYPES)
        self._small = []
        if dtype == "float32":
            return
        for weights in zip(*(block.kernels for block in self._blocks)):
            rounded = [quantize(weight.numpy().T) for weight in weights]
            for weight, (small, scale) in zip(weights, rounded):
                weight.assign((small * scale[:, None]).T)
            self._small.append([tf.constant(np.stack(parts)) for parts in zip(*rounded)])

    def block(self):
        """A function `(index, x, places, cache, context)` to the output and the cache of a block.

        A block is traced once for all of them.
        """
        first = self._blocks[0]

        @tf.function(autograph=False)
        def read(weights, x, places, cache, context):
            with keras.StatelessScope(zip(first.weights, weights, strict=True)):
                return first(x, places=places, cache=cache, return_cache=True, **context)

        return lambda index, *given: read(
            [tf.convert_to_tensor(weight) for weight in self._blocks[index].weights], *given
        )

    def reader(self):
        """A function that reads a few positions `(batch, time, width)` into slots.

        It is made before the decoding loop, where the weights of the blocks become one tensor of
        each kind, and runs in it: there the blocks are a loop as well.

        Returns:
            Function `(x, places, caches, context)` to the outputs of the last block and the caches
            of all.
        """
        first, conv = self._blocks[0], self._conv
        stacks = [
            tf.stack(list(map(tf.convert_to_tensor, weights)))
            for weights in zip(*(block.weights for block in self._blocks), strict=True)
        ]
        kernels = [id(kernel) for kernel in first.kernels]
        # Those of a single row, for which an output's weights stand side by side.
        rows = self._small or [
            (tf.transpose(tf.cast(stack, tf.float32), [0, 2, 1]),)
            for weight, stack in zip(first.weights, stacks, strict=True)
            if id(weight) in kernels
        ]
        rows = dict(zip(kernels, rows, strict=True))

        def read(x, places, caches, context):
            time = x.shape[1]
            if conv:
                # Room for the new features behind the old ones.
                ends = [[0, 0], [0, 0], [0, time], [0, 0]]
                caches = [*caches[:2], tf.pad(caches[2], ends)]

            def body(index, x, caches):
                def product(inputs, kernel, bias=None):
                    if inputs.shape[0] != 1 or inputs.shape[1] != 1:
                        return dense(inputs, kernel, bias)
                    # Gathered here, from int8 as well, so that XLA does not widen all of them
                    # before the loop.
                    weights = [tf.gather(stack, index) for stack in rows[id(kernel)]]
                    row = vector_product(tf.cast(inputs[0], tf.float32), *weights)
                    outputs = row if bias is None else row + as_tensor(bias, row.dtype)
                    return tf.cast(outputs, inputs.dtype)[None]

                weights = [tf.gather(stack, index) for stack in stacks]
                past = [tf.gather(caches[2], index, axis=1)[:, : conv - 1]] if conv else []
                with keras.StatelessScope(zip(first.weights, weights, strict=True)):
                    x, cache = first(
                        x,
                        places=places._replace(layer=index),
                        cache=(*caches[:2], *past),
                        product=product,
                        **context_of(context, index),
                    )
                if conv:
                    features = cache[2][:, None]
                    features = keras.ops.slice_update(caches[2], [0, index, 0, 0], features)
                    cache = (*cache[:2], features)
                return index + 1, x, list(cache)

            _, x, caches = tf.while_loop(
                lambda index, *_: index < len(self._blocks), body, (tf.constant(0), x, caches)
            )
            return x, caches

        return read
