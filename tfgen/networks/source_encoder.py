"""`SourceEncoder`: what a source is to a decoder, a vector for each of its positions."""

import math

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.causal_self_attention import Places
from tfgen.layers.checks import (
    MOST_LAYERS,
    check,
    check_choice,
    check_kind,
    check_most,
    check_of_use,
    check_rate,
    check_whole,
)
from tfgen.layers.decoder_block import DecoderBlock, normalization, normalized
from tfgen.layers.products import as_tensor
from tfgen.networks.both_ways import ENCODERS, both_ways, heads_of, read_both_ways
from tfgen.networks.causal import weight_seed
from tfgen.networks.source_readers import ByteReader, NumberReader
from tfgen.preprocessing import SequenceProcessor
from tfgen.sampling import random

# Sources are padded to a multiple of this, because loops are compiled for their length.
BUCKET = 16
ITEMS = "embedding"  # the encoder that reads each item by itself
# Of the key of a step; no site of a network's dropout has it.
_SITE = -2


@keras.saving.register_keras_serializable(package="tfgen")
class SourceEncoder(keras.layers.Layer):
    """Reads a source in both directions, text or numbers; a decoder attends to what it gives.

    Either blocks of attention in which every position sees all (arXiv:1706.03762), or two recurrent
    networks, one of them backwards (arXiv:1409.0473), whose hidden states stand side by side; or
    each item is a vector by itself, which is enough for a soft window along it (arXiv:1308.0850);
    then a further item says that the source is over, as a recurrent network sees by itself.

    Args:
        encoder: `"transformer"`, `"gru"`, `"lstm"` or `"embedding"`, which has no layers; None is
            of models that are given no source.
        encoder_units: Features of a position of the transformer, or of each recurrent direction.
        encoder_layers: Its layers.
        encoder_dropout: Share of the features that is dropped in training, of the embedded items
            and of what each block adds, or of the hidden states.
        source_processor: A fitted `tfgen.preprocessing.SequenceProcessor` of sources that are
            numbers; None is of texts, which are read as their bytes.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.

    Example:

    >>> encoder = SourceEncoder("gru", encoder_units=4)
    >>> encoder.make_weights(width=6)
    >>> vectors, valid = encoder(tf.constant([[104, 105, 0]]), tf.constant([[True, True, False]]))
    >>> vectors.shape
    TensorShape([1, 3, 6])
    """

    def __init__(
        self,
        encoder=None,
        encoder_units=128,
        encoder_layers=2,
        encoder_dropout=0.0,
        source_processor=None,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if encoder is not None:
            check_choice((*ENCODERS, ITEMS), encoder=encoder)
        check_whole(1, encoder_units=encoder_units, encoder_layers=encoder_layers)
        check_most(MOST_LAYERS, encoder_layers=encoder_layers)
        check_rate(encoder_dropout=encoder_dropout)
        for default, given in (
            (128, {"encoder_units": encoder_units}),
            (2, {"encoder_layers": encoder_layers}),
            (0.0, {"encoder_dropout": encoder_dropout}),
            (None, {"source_processor": source_processor}),
        ):
            check_of_use(encoder is not None, "models with an encoder", default, **given)
        layered = encoder != ITEMS
        check_of_use(layered, "encoders with layers", 2, encoder_layers=encoder_layers)
        fits = encoder != "transformer" or encoder_units % 2 == 0
        check(fits, "encoder_units must be even for a transformer", encoder_units=encoder_units)
        common = {"dtype": self.dtype_policy}
        if source_processor is None:
            self.reader = ByteReader()
        else:
            check_kind(SequenceProcessor, source_processor=source_processor)
            self.reader = NumberReader(source_processor)

        def normal(deviation, *numbers):
            return keras.initializers.RandomNormal(
                0.0, deviation, seed=weight_seed(seed, 70, *numbers)
            )

        # Layers
        self.embedding = self.projection = self.final_norm = None
        self.blocks, self.networks = [], []
        if encoder is not None:
            self.embedding = self.reader.make_layer(encoder_units, normal(0.1, 0), **common)
        if encoder == "transformer":
            added = 0.02 / math.sqrt(2 * encoder_layers)
            self.blocks = [
                DecoderBlock(
                    heads_of(encoder_units),
                    encoder_units,
                    kernel_initializer={
                        part: normal(0.02, 1, number, index) for index, part in enumerate(_PARTS)
                    },
                    output_initializer={
                        part: normal(added, 2, number, index) for index, part in enumerate(_PARTS)
                    },
                    name=f"block_{number}",
                    **common,
                )
                for number in range(encoder_layers)
            ]
            block = self.blocks[0]
            self.final_norm = normalization(
                block.norm, block.norm_epsilon, block.bias, name="final_norm", **common
            )
        elif encoder not in (None, ITEMS):
            self.networks = both_ways(
                encoder, encoder_units, encoder_layers, seed, self.dtype_policy
            )

        # Config
        self.encoder = encoder
        self.encoder_units = encoder_units
        self.encoder_layers = encoder_layers
        self.encoder_dropout = encoder_dropout
        self.source_processor = source_processor
        self.seed = seed

    def make_weights(self, width):
        """Makes every weight, for a decoder that attends to vectors of a width."""
        glorot = keras.initializers.GlorotUniform(weight_seed(self.seed, 71))
        self.projection = keras.layers.Dense(
            width, kernel_initializer=glorot, name="projection", dtype=self.dtype_policy
        )
        shape = (None, None, self.encoder_units)
        # A weight is kept by its path, and the decoder has blocks of the same names.
        with keras.name_scope(self.name):
            self.reader.build(self.embedding)
            if self.tells_end:
                normal = keras.initializers.RandomNormal(0.0, 0.1, weight_seed(self.seed, 72))
                self.end = self.add_weight([self.encoder_units], normal, name="end")
            for layer in [*self.blocks, self.final_norm]:
                if layer is not None:
                    layer.build(shape)
            for network in self.networks:
                with keras.name_scope(network.name):
                    network.make_weights(self.encoder_units)
            directions = len(self.networks) or 1
            self.projection.build((None, None, directions * self.encoder_units))
        self.built = True

    def read(self, given):
        """`(source, valid)` as `call` takes them, padded, of the tensors of `reader.specs`."""
        source, lengths = self.reader.read(given)
        time = tf.maximum(tf.shape(source)[1], 1)
        room = -(-time // BUCKET) * BUCKET - tf.shape(source)[1]
        source = tf.pad(source, [[0, 0], [0, room], [0, 0]][: len(source.shape)])
        return source, tf.range(tf.shape(source)[1])[None] < lengths[:, None]

    def context(self, network, rows, given, key=None):
        """What a network attends to of the sources of so many rows, as it takes it.

        Args:
            network: A `CausalNetwork` with cross-attention.
            rows: Number of them.
            given: Dict with the tensors of `reader.specs`, a row for each or one for all; or with
                `source` and `source_valid` as of `call`. Without, rows are told nothing.
            key: As of `call`.
        """
        if "source_valid" in given:
            source, valid = given["source"], given["source_valid"]
        elif "source" in given:
            source, valid = self.read(given)
        else:
            source, valid = self.reader.empty(rows), tf.zeros([rows, 1], tf.bool)
        vectors, valid = self.call(source, valid, key)
        context = network.context(vectors, valid)
        if valid.shape[0] not in (None, 1):
            return context
        row = tf.minimum(tf.range(rows), tf.shape(valid)[0] - 1)
        return tf.nest.map_structure(lambda x: tf.gather(x, row, axis=0), context)

    def call(self, source, valid, key=None):
        """What a decoder attends to.

        Args:
            source: int32 `(batch, items)`, bytes; or `(batch, items, features)`, numbers in the
                data's units.
            valid: bool `(batch, items)`: which of them there are, from the first on.
            key: int32 `(2,)`, what the dropout is drawn from; None is none.

        Returns:
            `(vectors (batch, items, width), valid (batch, items))`, with an item more of items by
            themselves.
        """
        drop = self._drop(key)
        x = self.reader.vectors(self.embedding, source)
        if self.tells_end:
            x, valid = self._ended(x, valid)
        x = drop(x, 0)
        if self.networks:
            x = drop(read_both_ways(self.networks, x, valid), 1)
        if not self.blocks:
            return self.projection(x), valid
        # As in `TransformerNetwork`, what lies between products is compiled by itself.
        fuse = key is not None and self.compute_dtype != "float32"
        steps = tf.range(tf.shape(source)[1])[None]
        # All keys stand at the beginning, so that every position sees them.
        places = Places(steps, tf.where(valid, 0, -1))
        for number, block in enumerate(self.blocks, 1):
            x = block(
                x,
                places=places,
                drop=lambda x, name, number=number: drop(x, len(_DROPPED) * number, name),
                fuse=fuse,
            )
        return self.projection(normalized(self.final_norm, x, fuse)), valid

    @property
    def tells_end(self):
        """Whether there is an item for the end of a source."""
        return self.encoder == ITEMS

    def _ended(self, x, valid):
        """Items with that of the end after the last; of a source without an item there is none."""
        there = tf.pad(valid, [[0, 0], [0, 1]])
        valid = tf.concat([tf.reduce_any(valid, axis=1, keepdims=True), valid], axis=1)
        ends = (valid & ~there)[..., None]
        x = tf.pad(x, [[0, 0], [0, 1], [0, 0]])
        return tf.where(ends, as_tensor(self.end, x.dtype), x), valid

    def _drop(self, key):
        """A function that drops features, with noise that is the site's own."""

        def drop(tensor, site, name="attention"):
            if key is None or not self.encoder_dropout or name not in _DROPPED:
                return tensor
            own = random.fold(random.fold(key, _SITE), site + _DROPPED.index(name))
            mask = random.bernoulli_mask(own, tf.shape(tensor), 1 - self.encoder_dropout)
            return tensor * tf.cast(mask, tensor.dtype)

        return drop

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}

    @classmethod
    def from_config(cls, config):
        processor = config.get("source_processor")
        processor = keras.saving.deserialize_keras_object(processor) if processor else None
        return cls(**{**config, "source_processor": processor})


# The parts of a block, and what of them is dropped in training.
_PARTS = ("attention", "mlp", "cross_attention")
_DROPPED = ("attention", "mlp")
