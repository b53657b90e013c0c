"""`TransformerNetwork`: blocks of causal attention with their cache."""

import functools

import keras
import numpy as np
import tensorflow as tf

from tfgen.errors import unknown
from tfgen.layers.causal_self_attention import Places
from tfgen.layers.checks import (
    MOST_LAYERS,
    MOST_PARTS,
    check,
    check_choice,
    check_flag,
    check_most,
    check_of_use,
    check_rate,
    check_whole,
    check_width,
)
from tfgen.layers.decoder_block import NORMS, DecoderBlock, normalization, normalized
from tfgen.layers.decoding import cache_dtype as kept_dtype
from tfgen.layers.decoding import quantize, vector_product
from tfgen.layers.feed_forward import KINDS, usual_width
from tfgen.layers.fused import piece
from tfgen.layers.position_embedding import PositionEmbedding
from tfgen.layers.products import as_tensor, dense
from tfgen.layers.sinusoidal_embedding import SinusoidalEmbedding
from tfgen.networks.causal import CausalNetwork, Surroundings
from tfgen.sampling import random

WEIGHT_DTYPES = ("float32", "int8")
POSITIONS = ("rotary", "learned", "sinusoidal", "alibi", "none")
# Slots of a cache are reserved by at least so many; a window's ring has so many more than it needs,
# so that what `verifier` reads at once does not overwrite what is still attended to.
SLOTS = 64


@keras.saving.register_keras_serializable(package="tfgen")
class TransformerNetwork(CausalNetwork):
    """Blocks of causal attention and feed-forward layers over `(batch, time, width)`.

    After Radford et al. (GPT-2, 2019), whose choices are the defaults but for the rotary positions
    and the missing biases; with `norm="rms"`, `mlp="swiglu"` it is a Llama (arXiv:2302.13971).

    Args:
        layers: Number of blocks.
        heads: Attention heads.
        kv_heads: Heads of keys and values, which several heads then share; None takes `heads`.
        width: Features of a position.
        head_width: Features of a head; None takes `width / heads`.
        mlp: `"gelu"`, `"swiglu"` or `"relu2"`, see `FeedForward`.
        mlp_width: Features inside the feed-forward layer; None takes `4 * width`, for swiglu two
            thirds of that, which has as many weights.
        norm: `"layer"` or `"rms"`.
        norm_epsilon: Added to the variance or the mean square.
        positions: How positions are encoded: `"rotary"`, `"learned"`, `"sinusoidal"`,
            `"alibi"` or `"none"` (the causal mask alone).
        rotary_base: The longest wavelength of rotary positions is `2 pi` times this.
        rotary_scaling: How rotary positions are stretched for longer sequences: `[factor]`, or
            Llama 3.1's `[factor, low, high, length]`, see `RotaryEmbedding`; None is not at all.
        max_length: Number of learned positions; no sequence may be longer.
        window: Positions that each one attends to, itself included; 0 is all before it. With a
            window the cache is a ring, and a position costs the same however long the sequence is.
        dropout: Share of the features that is dropped in training, of the inputs and of what each
            layer adds.
        attention_dropout: Share of the attention's probabilities that is dropped in training.
        bias: Whether products and layer normalisations have biases.
        qk_norm: Normalise queries and keys.
        conv: Width of a causal convolution of queries, keys and values over the positions, which
            shows each layer the positions just before; 0 is none (arXiv:2109.08668).
        cache_dtype: `"float32"` or `"bfloat16"`: how keys and values are kept in generation; None
            takes the dtype of the computation.
        cross_attention: Whether every block also attends to a sequence of vectors
            `(batch, items, width)`, see `context`.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.

    Example:

    >>> network = TransformerNetwork(layers=1, heads=2, width=8)
    >>> hidden, state = network(tf.zeros([2, 5, 8]))
    >>> hidden.shape
    TensorShape([2, 5, 8])
    """

    surroundings = Surroundings(0.02, 0.02, head_bias=False)

    def __init__(
        self,
        layers=6,
        heads=6,
        kv_heads=None,
        width=384,
        head_width=None,
        mlp="gelu",
        mlp_width=None,
        norm="layer",
        norm_epsilon=1e-5,
        positions="rotary",
        rotary_base=10000.0,
        max_length=1024,
        window=0,
        dropout=0.0,
        attention_dropout=0.0,
        bias=False,
        qk_norm=False,
        conv=0,
        cache_dtype=None,
        rotary_scaling=None,
        cross_attention=False,
        seed=0,
        **kwargs,
    ):
        check_whole(1, layers=layers, heads=heads, width=width, max_length=max_length)
        check_most(MOST_LAYERS, layers=layers)
        check_most(MOST_PARTS, heads=heads, conv=conv)
        check_whole(0, window=window, conv=conv)
        if mlp_width is not None:
            check_whole(1, mlp_width=mlp_width)
        check_choice(KINDS, mlp=mlp)
        check_choice(NORMS, norm=norm)
        check_choice(POSITIONS, positions=positions)
        check_of_use(positions == "learned", "positions='learned'", 1024, max_length=max_length)
        check_of_use(positions == "rotary", "positions='rotary'", 10000.0, rotary_base=rotary_base)
        check_rate(dropout=dropout, attention_dropout=attention_dropout)
        check_flag(bias=bias, qk_norm=qk_norm)
        if cache_dtype is not None:
            check_choice(("float32", "bfloat16"), cache_dtype=cache_dtype)
        super().__init__(seed=seed, **kwargs)
        mlp_width = usual_width(width, mlp) if mlp_width is None else mlp_width

        # Layers
        common = {"dtype": self.dtype_policy}
        self.position_embedding = None
        if positions == "learned":
            self.position_embedding = PositionEmbedding(
                max_length, width, self._normal(0.02, 1), name="position_embedding", **common
            )
        elif positions == "sinusoidal":
            self.position_embedding = SinusoidalEmbedding(width, **common)
        # What a block adds is drawn smaller the more of them there are, as in GPT-2.
        added = 0.02 / np.sqrt(2 * layers)
        self.blocks = []
        for index in range(layers):
            numbers = {"attention": (2, 3), "cross_attention": (4, 5), "mlp": (6, 7)}
            block = DecoderBlock(
                heads,
                width,
                kv_heads=kv_heads,
                head_width=head_width,
                mlp=mlp,
                mlp_width=mlp_width,
                norm=norm,
                norm_epsilon=norm_epsilon,
                positions=positions if positions in ("rotary", "alibi") else "none",
                rotary_base=rotary_base,
                rotary_scaling=rotary_scaling,
                window=window,
                qk_norm=qk_norm,
                conv=conv,
                bias=bias,
                cross_attention=cross_attention,
                kernel_initializer={
                    part: self._normal(0.02, first, index) for part, (first, _) in numbers.items()
                },
                output_initializer={
                    part: self._normal(added, second, index)
                    for part, (_, second) in numbers.items()
                },
                name=f"block_{index}",
                **common,
            )
            self.blocks.append(block)
        self.final_norm = normalization(norm, norm_epsilon, bias, name="final_norm", **common)

        # Config
        self.num_layers = layers
        self.heads = heads
        self.kv_heads = kv_heads
        self.width = width
        self.head_width = head_width
        self.mlp = mlp
        self.mlp_width = mlp_width
        self.norm = norm
        self.norm_epsilon = norm_epsilon
        self.positions = positions
        self.rotary_base = rotary_base
        self.max_length = max_length
        self.window = window
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.bias = bias
        self.qk_norm = qk_norm
        self.conv = conv
        self.cache_dtype = cache_dtype
        self.rotary_scaling = rotary_scaling
        self.has_context = cross_attention
        self.small_weights = []  # for each kind of kernel, those of all blocks and their scales

    def _normal(self, deviation, *numbers):
        return keras.initializers.RandomNormal(0.0, deviation, seed=self.weight_seed(*numbers))

    @property
    def input_width(self):
        return self.width

    @property
    def output_width(self):
        return self.width

    def build(self, input_shape):
        check_width(self.width, input_shape)
        self.make_weights(self.width)

    def make_weights(self, width):
        # Not in `build`, whose scope would come before the names of the weights.
        shape = (None, None, width)
        for layer in [self.position_embedding, *self.blocks, self.final_norm]:
            if layer is not None:
                layer.build(shape)
        self.built = True

    @property
    def jit_compile_training(self):
        # TensorFlow's bfloat16 products are twice as fast as XLA's on a CPU: see `layers.fused`.
        return self.compute_dtype == "float32"

    # The state: keys and values of the blocks (batch, blocks, kv_heads, slots, head_width), and
    # with `conv` the `past` features (batch, blocks, conv - 1, features) that the next position
    # still needs; for all blocks the `position` that each slot holds (batch, slots), -1 for none;
    # the `length` of the sequence so far (batch,); the `cursor` (batch,), the slot to write next,
    # the same in each row; and the `context`.

    def initial_state(self, batch_size, context=None):
        attention = self.blocks[0].attention
        shape = [batch_size, self.num_layers, attention.kv_heads, 0, attention.head_width]
        dtype = kept_dtype(self.cache_dtype or self.compute_dtype)
        state = {
            "keys": tf.zeros(shape, dtype),
            "values": tf.zeros(shape, dtype),
            "position": tf.zeros([batch_size, 0], tf.int32),
            "length": tf.zeros([batch_size], tf.int32),
            "cursor": tf.zeros([batch_size], tf.int32),
        }
        if self.conv:
            features = (attention.heads + 2 * attention.kv_heads) * attention.head_width
            shape = [batch_size, self.num_layers, self.conv - 1, features]
            state["past"] = tf.zeros(shape, self.compute_dtype)
        if context is not None:
            state["context"] = context
        return state

    def state_invariants(self, state):
        shapes = tf.nest.map_structure(lambda tensor: tensor.shape, state)
        for name in ("keys", "values"):
            batch, blocks, heads, _, width = shapes[name]
            shapes[name] = tf.TensorShape([batch, blocks, heads, None, width])
        shapes["position"] = tf.TensorShape([shapes["position"][0], None])
        return shapes

    @property
    def state_is_constant(self):
        return bool(self.window) and self.max_positions is None

    @property
    def max_positions(self):
        return self.max_length if self.positions == "learned" else None

    def reserve(self, state, count):
        slots, cursor = tf.shape(state["position"])[1], state["cursor"]
        used = tf.reduce_max(tf.concat([cursor, [0]], axis=0))  # no row is no cursor
        wanted = _round_up(used + count)
        if self.window:
            wanted = tf.minimum(wanted, self._ring)
        return _pad_slots(state, tf.maximum(wanted - slots, 0))

    @property
    def _ring(self):
        """Slots of a window's ring."""
        return -(-self.window // SLOTS) * SLOTS + SLOTS

    def call(self, x, state=None, mask=None, training=False, key=None, record=None, context=None):
        """The blocks over whole sequences.

        Args:
            x: `(batch, time, width)`.
            state: As of `initial_state`; None is the beginning.
            mask: bool `(batch, time)`: where it is False the state is left alone.
            training: Whether dropout is on.
            key: int32 `(2,)`, what the dropout is drawn from.
            record: Dict into which each block's outputs are put.
            context: As of `context`, where there is no state, which has its own.

        Returns:
            `(hidden (batch, time, width), state)`; without a state, None in its place.
        """
        time = tf.shape(x)[1]
        steps = tf.range(time)[None]  # (1, time)
        if state is None:
            # With a state, what is too much may be padding.
            if self.max_positions is not None and x.shape[1] is not None:
                rule = f"the window must be at most max_length == {self.max_length} positions long"
                check(x.shape[1] <= self.max_length, rule, window=x.shape[1])
            places = Places(steps, steps)
        else:
            positions = state["length"][:, None] + steps  # (batch, time)
            held = positions if mask is None else tf.where(mask, positions, -1)
            places = Places(positions, tf.concat([state["position"], held], axis=1))
            context = state.get("context")
        # Where XLA does not compile the whole step, it compiles what lies between the products.
        fuse = training and not self.jit_compile_training
        drop = self._drop(training, key, fuse)
        x = drop(self._with_positions(x, places.queries), "embedding", -1)
        caches = []
        for index, block in enumerate(self.blocks):
            x, cache = block(
                x,
                places=places,
                cache=None if state is None else _cache(state, index),
                drop=lambda tensor, name, index=index: drop(tensor, name, index),
                fuse=fuse,
                return_cache=True,
                **_context_of(context, index),
            )
            caches.append(cache)
            if record is not None:
                record[block.name] = x
        x = normalized(self.final_norm, x, fuse)
        if state is None:
            return x, None
        added = time if mask is None else tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
        slots = tf.shape(places.keys)[1]
        state = {
            **state,
            **self._kept(
                [tf.stack(parts, axis=1) for parts in zip(*caches)],
                tf.broadcast_to(added, tf.shape(state["length"])),
            ),
            "position": places.keys,
            "length": state["length"] + added,
            "cursor": tf.fill(tf.shape(state["cursor"]), slots),
        }
        return x, self._forget(state)

    def _kept(self, caches, count):
        """The caches as parts of a state, after so many `(batch,)` of the positions read."""
        state = {"keys": caches[0], "values": caches[1]}
        if self.conv:
            last = count[:, None] + tf.range(self.conv - 1)[None]
            state["past"] = tf.gather(caches[2], last, axis=2, batch_dims=1)
        return state

    def _forget(self, state):
        """Drops what no later position attends to, and the holes that padding left."""
        if not self.window:
            return state
        slots = tf.shape(state["position"])[1]
        kept = tf.minimum(self.window - 1, slots)
        # The latest positions, in their order, stand at the end of a sorted row.
        order = tf.argsort(state["position"], axis=1, stable=True)[:, slots - kept :]

        def select(tensor, axis):
            return tf.gather(tensor, order, axis=axis, batch_dims=1)

        return {
            **state,
            "keys": select(state["keys"], 3),
            "values": select(state["values"], 3),
            "position": select(state["position"], 1),
            "cursor": tf.fill(tf.shape(state["cursor"]), kept),
        }

    def stepper(self):
        read = self._reader()

        def step(x, state):
            hidden, caches, state = read(x[:, None], state)
            return hidden[:, 0], {**state, **self._kept(caches, tf.ones_like(state["length"]))}

        return step

    def verifier(self):
        read = self._reader()

        def verify(x, state):
            hidden, caches, after = read(x, state)
            return hidden, (state["length"], state["cursor"], caches, after)

        def rewind(marks, kept):
            length, cursor, caches, after = marks
            # What was read too much keeps its slots, which are free to be overwritten.
            length += kept
            unread = after["position"] >= length[:, None]
            return {
                **after,
                **self._kept(caches, kept),
                "position": tf.where(unread, -1, after["position"]),
                "length": length,
                "cursor": cursor + tf.reduce_max(kept),
            }

        return verify, rewind

    def quantize_weights(self, dtype):
        """Keeps the weights of the blocks in 8 bits for generating a single text.

        The weights themselves are rounded as well, so that `score` and everything else tell what
        the smaller ones are worth; the embeddings and the head stay as they are.

        Args:
            dtype: `"int8"`, symmetric with a scale for each output, or `"float32"`, which leaves
                the weights alone.

        Raises:
            InputError: For another dtype.
        """
        if dtype not in WEIGHT_DTYPES:
            raise unknown("dtype of weights", dtype, WEIGHT_DTYPES)
        self.small_weights = []
        if dtype == "float32":
            return
        for weights in zip(*(self._kernels(block) for block in self.blocks)):
            rounded = [quantize(weight.numpy().T) for weight in weights]
            for weight, (small, scale) in zip(weights, rounded):
                weight.assign((small * scale[:, None]).T)
            self.small_weights.append([tf.constant(np.stack(parts)) for parts in zip(*rounded)])

    @staticmethod
    def _kernels(block):
        return [
            weight
            for weight in block.weights
            if weight.path.endswith("_kernel") and "conv" not in weight.path
        ]

    def _reader(self):
        """A function that reads a few positions `(batch, time, width)` into slots of `reserve`.

        It is made before the decoding loop, where the weights of the blocks become one tensor of
        each kind, and runs in it: there the blocks are a loop as well, so that one of them is
        traced and compiled, however many there are.

        Returns:
            Function `(x, state)` to the hidden states, the caches of the blocks, and the state
            without these.
        """
        stacks = [
            tf.stack(list(map(tf.convert_to_tensor, weights))) for weights in self._of_blocks()
        ]
        kernels = [kernel.path for kernel in self._kernels(self.blocks[0])]
        # Those of a single row, for which an output's weights stand side by side.
        rows = self.small_weights or [
            (tf.transpose(tf.cast(stack, tf.float32), [0, 2, 1]),)
            for weight, stack in zip(self.blocks[0].weights, stacks, strict=True)
            if weight.path in kernels
        ]
        rows = dict(zip(kernels, rows, strict=True))

        def read(x, state):
            time = x.shape[1]
            places, state_after = self._written(time, state)
            names = [name for name in ("keys", "values", "past") if name in state]
            caches = [state[name] for name in names]
            if self.conv:
                # Room for the new features behind the old ones.
                caches[2] = tf.pad(caches[2], [[0, 0], [0, 0], [0, time], [0, 0]])

            def body(index, x, caches):
                def product(inputs, kernel, bias=None):
                    if inputs.shape[0] != 1 or inputs.shape[1] != 1:
                        return dense(inputs, kernel, bias)
                    # Gathered here, from int8 as well, so that XLA does not widen all of them
                    # before the loop.
                    weights = [tf.gather(stack, index) for stack in rows[kernel.path]]
                    row = vector_product(tf.cast(inputs[0], tf.float32), *weights)
                    outputs = row if bias is None else row + as_tensor(bias, row.dtype)
                    return tf.cast(outputs, inputs.dtype)[None]

                block = self.blocks[0]
                weights = [tf.gather(stack, index) for stack in stacks]
                past = (
                    [tf.gather(caches[2], index, axis=1)[:, : self.conv - 1]] if self.conv else []
                )
                with keras.StatelessScope(zip(block.weights, weights, strict=True)):
                    x, cache = block(
                        x,
                        places=places._replace(layer=index),
                        cache=(*caches[:2], *past),
                        product=product,
                        **_context_of(state.get("context"), index),
                    )
                if self.conv:
                    features = cache[2][:, None]
                    features = keras.ops.slice_update(caches[2], [0, index, 0, 0], features)
                    cache = (*cache[:2], features)
                return index + 1, x, list(cache)

            x = self._with_positions(x, places.queries)
            _, x, caches = tf.while_loop(
                lambda index, *_: index < self.num_layers, body, (tf.constant(0), x, caches)
            )
            return self.final_norm(x), caches, state_after

        return read

    def _of_blocks(self):
        """For each weight of a block, those of all blocks."""
        return zip(*(block.weights for block in self.blocks), strict=True)

    def _written(self, time, state):
        """The `Places` of so many positions read into slots, and the state without the caches."""
        slots = tf.shape(state["position"])[1]
        queries = state["length"][:, None] + tf.range(time)[None]  # (batch, time)
        targets = (state["cursor"][0] + tf.range(time)) % slots
        held = state["position"]
        for index in range(time):
            hit = tf.range(slots)[None] == tf.gather(targets, index)
            held = tf.where(hit, queries[:, index : index + 1], held)
        used = tf.minimum(state["cursor"][0] + time, slots)
        state = {
            **state,
            "position": held,
            "length": state["length"] + time,
            "cursor": state["cursor"] + time,
        }
        return Places(queries, held, targets, used=used), state

    def _with_positions(self, x, positions):
        return x if self.position_embedding is None else x + self.position_embedding(positions)

    def context(self, vectors, valid):
        """What the blocks attend to besides: keys and values of `vectors (batch, items, width)`.

        Args:
            vectors: What a condition is told by.
            valid: bool `(batch, items)`: which of them there are.
        """
        return {
            "valid": valid,
            "blocks": tuple(
                tf.stack(parts, axis=1)
                for parts in zip(*(block.cross_attention.read(vectors) for block in self.blocks))
            ),
        }

    def _drop(self, training, key, fuse):
        """A function that drops features, with noise that is the site's own."""

        def drop(tensor, name, index):
            rate = self.attention_dropout if name == "probabilities" else self.dropout
            if not training or not rate:
                return tensor
            site = random.fold(key, len(_SITES) * (index + 1) + _SITES.index(name))
            # A piece that is compiled once knows nothing of the part that it is called in.
            return piece(_dropout(rate), fuse and random.current_part() is None)(tensor, site)

        return drop

    def get_config(self):
        names = (
            "heads kv_heads width head_width mlp mlp_width norm norm_epsilon positions rotary_base "
            "max_length window dropout attention_dropout bias qk_norm conv cache_dtype "
            "rotary_scaling"
        )
        return {
            **super().get_config(),
            "layers": self.num_layers,
            "cross_attention": self.has_context,
            **{name: getattr(self, name) for name in names.split()},
        }


# Where something is dropped in training; a site's number seeds its noise.
_SITES = ("embedding", "probabilities", "attention", "context", "mlp")


@functools.cache
def _dropout(rate):
    def drop(tensor, key):
        mask = random.bernoulli_mask(key, tf.shape(tensor), 1 - rate)
        return tensor * tf.cast(mask, tensor.dtype)

    return drop


def _cache(state, index):
    names = [name for name in ("keys", "values", "past") if name in state]
    return tuple(tf.gather(state[name], index, axis=1) for name in names)


def _context_of(context, index):
    if context is None:
        return {}
    keys_and_values = tuple(tf.gather(x, index, axis=1) for x in context["blocks"])
    return {"context": keys_and_values, "valid": context["valid"]}


def _pad_slots(state, count):
    """Adds empty slots to the caches of a state."""

    added = [[0, 0], [0, 0], [0, 0], [0, count], [0, 0]]
    return {
        **state,
        "keys": tf.pad(state["keys"], added),
        "values": tf.pad(state["values"], added),
        "position": tf.pad(state["position"], [[0, 0], [0, count]], constant_values=-1),
    }


def _round_up(count):
    """Slots for `count` tokens: the sizes grow by an eighth to a quarter, and are few."""
    eighth = tf.cast(tf.maximum(count, 1), tf.float64) / 4.0
    step = tf.pow(tf.constant(2.0, tf.float64), tf.math.floor(tf.math.log(eighth) / np.log(2.0)))
    step = tf.maximum(tf.cast(step + 0.5, tf.int32), SLOTS)
    return (count + step - 1) // step * step
