"""`TransformerNetwork`: blocks of causal attention with their cache."""

import functools
import math

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config, handed_on, hands_on_to
from tfgen.layers.causal_self_attention import Places
from tfgen.layers.checks import (
    MOST_LAYERS,
    check,
    check_choice,
    check_most,
    check_of_use,
    check_rate,
    check_whole,
    check_width,
)
from tfgen.layers.decoder_block import DecoderBlock, normalization, normalized
from tfgen.layers.decoding import cache_dtype as kept_dtype
from tfgen.layers.fused import piece
from tfgen.layers.position_embedding import PositionEmbedding
from tfgen.layers.sinusoidal_embedding import SinusoidalEmbedding
from tfgen.networks import slots
from tfgen.networks.block_stack import BlockStack
from tfgen.networks.causal import CausalNetwork, Surroundings
from tfgen.sampling import random

POSITIONS = ("rotary", "learned", "sinusoidal", "alibi", "none")


@keras.saving.register_keras_serializable(package="tfgen")
@hands_on_to(DecoderBlock, without=("kernel_initializer", "output_initializer"))
class TransformerNetwork(CausalNetwork):
    """Blocks of causal attention and feed-forward layers over `(batch, time, width)`.

    After Radford et al. (GPT-2, 2019), whose choices are the defaults but for the rotary positions
    and the missing biases; with `norm="rms"`, `mlp="swiglu"` it is a Llama (arXiv:2302.13971).

    Args:
        layers: Number of blocks.
        heads: Attention heads.
        width: Features of a position.
        positions: How positions are encoded: `"rotary"`, `"learned"`, `"sinusoidal"`,
            `"alibi"` or `"none"` (the causal mask alone).
        max_length: Number of learned positions; no sequence may be longer.
        dropout: Share of the features that is dropped in training, of the inputs and of what each
            layer adds.
        attention_dropout: Share of the attention's probabilities that is dropped in training.
        cache_dtype: `"float32"` or `"bfloat16"`: how keys and values are kept in generation; None
            takes the dtype of the computation.
        seed: Integer that the initial weights are sampled from.
        **kwargs: Further arguments of `DecoderBlock` and of its `CausalSelfAttention`, as
            `mlp`, `norm`, `kv_heads` and `window`; `name`, `dtype` and the like.

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
        width=384,
        positions="rotary",
        max_length=1024,
        dropout=0.0,
        attention_dropout=0.0,
        cache_dtype=None,
        seed=0,
        **kwargs,
    ):
        check_whole(1, layers=layers, heads=heads, width=width, max_length=max_length)
        check_most(MOST_LAYERS, layers=layers)
        check_choice(POSITIONS, positions=positions)
        check_of_use(positions == "learned", "positions='learned'", 1024, max_length=max_length)
        check_rate(dropout=dropout, attention_dropout=attention_dropout)
        if cache_dtype is not None:
            check_choice(("float32", "bfloat16"), cache_dtype=cache_dtype)
        of_blocks = handed_on(TransformerNetwork, kwargs)
        super().__init__(seed=seed, **kwargs)

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
        added = 0.02 / math.sqrt(2 * layers)
        self.blocks = []
        for index in range(layers):
            numbers = {"attention": (2, 3), "cross_attention": (4, 5), "mlp": (6, 7)}
            block = DecoderBlock(
                heads,
                width,
                positions=positions if positions in ("rotary", "alibi") else "none",
                kernel_initializer={
                    part: self._normal(0.02, first, index) for part, (first, _) in numbers.items()
                },
                output_initializer={
                    part: self._normal(added, second, index)
                    for part, (_, second) in numbers.items()
                },
                name=f"block_{index}",
                **of_blocks,
                **common,
            )
            self.blocks.append(block)
        first = self.blocks[0]
        self.final_norm = normalization(
            first.norm, first.norm_epsilon, first.bias, name="final_norm", **common
        )
        self.stack = BlockStack(self.blocks, first.attention.conv)

        # Config
        self.num_layers = layers
        self.heads = heads
        self.width = width
        self.positions = positions
        self.max_length = max_length
        self.window = first.attention.window
        self.conv = first.attention.conv
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.cache_dtype = cache_dtype
        self.has_context = first.cross_attention is not None
        self._of_blocks = of_blocks

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

    # The state, see `tfgen.networks.slots`.

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
        return slots.reserve(state, count, self.window)

    def call(
        self, x, state=None, mask=None, training=False, key=None, record=None, context=None,
        attended=None,
    ):  # fmt: skip
        """The blocks over whole sequences.

        Args:
            x: `(batch, time, width)`.
            state: As of `initial_state`; None is the beginning.
            mask: bool `(batch, time)`: where it is False the state is left alone.
            training: Whether dropout is on.
            key: int32 `(2,)`, what the dropout is drawn from.
            record: Dict into which each block's outputs are put.
            context: As of `context`, where there is no state, which has its own.
            attended: Function that each block calls with what it attends to of the context, see
                `CrossAttention`.

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
        # Nothing but the weights differs between the blocks where there is no dropout.
        alike = state is not None and not training and attended is None
        alike = alike and not tf.executing_eagerly()  # traced, not run
        read = self.stack.block() if alike else None
        for index, block in enumerate(self.blocks):
            own = slots.context_of(context, index)
            cache = None if state is None else slots.cache_of(state, index)
            if alike:
                x, cache = read(index, x, places, cache, own)
            else:
                x, cache = block(
                    x,
                    places=places,
                    cache=cache,
                    drop=lambda tensor, name, index=index: drop(tensor, name, index),
                    fuse=fuse,
                    return_cache=True,
                    attended=attended,
                    **own,
                )
            caches.append(cache)
            if record is not None:
                record[block.name] = x
        x = normalized(self.final_norm, x, fuse)
        if state is None:
            return x, None
        added = time if mask is None else tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
        state = {
            **state,
            **slots.kept(
                [tf.stack(parts, axis=1) for parts in zip(*caches)],
                tf.broadcast_to(added, tf.shape(state["length"])),
                self.conv,
            ),
            "position": places.keys,
            "length": state["length"] + added,
            "cursor": tf.fill(tf.shape(state["cursor"]), tf.shape(places.keys)[1]),
        }
        return x, slots.forget(state, self.window)

    def stepper(self):
        read = self._reader()

        def step(x, state):
            hidden, caches, state = read(x[:, None], state)
            return hidden[:, 0], {
                **state,
                **slots.kept(caches, tf.ones_like(state["length"]), self.conv),
            }

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
                **slots.kept(caches, kept, self.conv),
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
        self.stack.quantize(dtype)

    def _reader(self):
        """A function that reads a few positions `(batch, time, width)` into slots of `reserve`:
        `(x, state)` to the hidden states, the caches, and the state without these."""
        read_blocks = self.stack.reader()

        def read(x, state):
            places, after = slots.written(x.shape[1], state)
            caches = [state[name] for name in ("keys", "values", "past") if name in state]
            x = self._with_positions(x, places.queries)
            x, caches = read_blocks(x, places, caches, state.get("context"))
            return self.final_norm(x), caches, after

        return read

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
            site = random.fold(key, len(SITES) * (index + 1) + SITES.index(name))
            # A piece that is compiled once knows nothing of the part that it is called in.
            return piece(_dropout(rate), fuse and random.current_part() is None)(tensor, site)

        return drop

    def get_config(self):
        others = {**self._of_blocks, "layers": self.num_layers}
        return {**super().get_config(), **constructor_config(self, **others)}


# Where something is dropped in training; a site's number seeds its noise.
SITES = ("embedding", "probabilities", "attention", "context", "mlp")


@functools.cache
def _dropout(rate):
    def drop(tensor, key):
        mask = random.bernoulli_mask(key, tf.shape(tensor), 1 - rate)
        return tensor * tf.cast(mask, tensor.dtype)

    return drop
