"""`TokenEmission`: how tokens are read, the distribution of the next one, and conditions."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check, check_flag, check_kind, check_of_use, check_rate, check_whole
from tfgen.layers.condition_encoder import ConditionEncoder
from tfgen.layers.products import as_tensor
from tfgen.models.parts import made_of_parts
from tfgen.networks.causal import weight_seed
from tfgen.networks.source_encoder import SourceEncoder
from tfgen.preprocessing import ByteTokenizer, Tokenizer
from tfgen.sampling import random

_CONDITION = -1  # no site of a network's dropout has it


@keras.saving.register_keras_serializable(package="tfgen")
class TokenEmission(keras.layers.Layer):
    """An embedding of tokens, a softmax over them, and what they may be conditioned on.

    Args:
        tokenizer: A `tfgen.preprocessing` tokenizer; None takes bytes.
        embedding: Width of the token embedding; None takes what the network reads, or if it reads
            any width its `output_width` with `tie_embeddings`, else the lesser of that and 128.
        tie_embeddings: Use the embedding table as the softmax weights too (arXiv:1608.05859);
            needs an embedding as wide as what the network outputs.
        num_classes: Generate conditioned on one of so many classes, by cross-attention.
        classes: What the classes are called; None are numbers. A training with `data.label` takes
            those of its data.
        condition_width: Generate conditioned on a sequence of vectors of this width.
        condition_dropout: Share of the samples whose condition is hidden in training, so that
            `generate(guidance_scale=...)` has something to compare with (arXiv:2207.12598).
        latents: Numbers of a latent vector that a text is generated from; 0 is none.
        source_encoder: A `tfgen.networks.source_encoder.SourceEncoder`, if texts are made of
            sources.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(
        self,
        tokenizer=None,
        embedding=None,
        tie_embeddings=False,
        num_classes=None,
        classes=None,
        condition_width=None,
        condition_dropout=0.1,
        latents=0,
        source_encoder=None,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        tokenizer = ByteTokenizer() if tokenizer is None else tokenizer
        check_kind(Tokenizer, tokenizer=tokenizer)
        check_rate(condition_dropout=condition_dropout)
        check_flag(tie_embeddings=tie_embeddings)
        if embedding is not None:
            check_whole(1, embedding=embedding)
        for name, value in {"num_classes": num_classes, "condition_width": condition_width}.items():
            if value is not None:
                check_whole(1, **{name: value})
        if classes is not None:
            named = isinstance(classes, (list, tuple)) and all(
                isinstance(name, str) and name for name in classes
            )
            check(
                named and len(classes) > 0 and len({*classes}) == len(classes)
                and num_classes in (None, len(classes)),
                "classes must be different names, as many as num_classes if that is given",
                classes=classes,
            )  # fmt: skip
            num_classes, classes = len(classes), tuple(classes)
        check(
            num_classes is None or condition_width is None,
            "condition_width must be None where there are num_classes",
            condition_width=condition_width,
        )
        if source_encoder is not None:
            check_kind(SourceEncoder, source_encoder=source_encoder)
            for name, value in {
                "num_classes": num_classes,
                "condition_width": condition_width,
            }.items():
                check(
                    value is None, f"{name} must be None where there is an encoder", **{name: value}
                )
        check_of_use(
            bool(num_classes or condition_width), "models with num_classes or condition_width",
            0.1, condition_dropout=condition_dropout,
        )  # fmt: skip

        # Layers, but for the first made by `join`
        self.source_encoder = source_encoder
        self.token_embedding = None
        self.head = None
        self.condition_encoder = None
        self.latent_projection = None

        # Config
        self.tokenizer = tokenizer
        self.embedding = embedding
        self.tie_embeddings = tie_embeddings
        self.num_classes = num_classes
        self.classes = classes
        self.condition_width = condition_width
        self.condition_dropout = condition_dropout
        self.latents = latents
        self.seed = seed

    @property
    def conditional(self):
        """Whether texts may be conditioned on something."""
        return self.guided or bool(self.latents) or self.reads_source

    @property
    def reads_source(self):
        """Whether texts are made of sources, each of which it has to be given."""
        return self.source_encoder is not None

    @property
    def guided(self):
        """Whether a text may be told nothing of its condition, with which guidance compares."""
        return bool(self.num_classes or self.condition_width)

    @property
    def ends_lines(self):
        """Whether what it is given is of a line, with which a text then ends."""
        return bool(self.latents) or self.reads_source

    @property
    def blank_id(self):
        """The token that stands for one that is not shown: the unknown one, or a line break."""
        unknown_id = self.tokenizer.unknown_id
        return self.tokenizer.start_id if unknown_id is None else unknown_id

    def join(self, network):
        """Makes every weight, here and in the network, so that a new model can be inspected."""
        read, units, begin = network.input_width, network.output_width, network.surroundings
        check(
            self.embedding is None or read in (None, self.embedding),
            f"embedding must be None or {read}, as wide as what the network reads",
            embedding=self.embedding,
        )
        check(
            not self.tie_embeddings or (read or self.embedding or units) == units,
            f"tie_embeddings needs embedding == units == {units}",
            embedding=self.embedding,
        )
        check(
            not self.conditional or network.has_context,
            "num_classes, condition_width and encoder need a network with cross_attention",
            network=network,
        )
        width = read or self.embedding or (units if self.tie_embeddings else min(units, 128))
        common = {"dtype": self.dtype_policy}
        self.token_embedding = keras.layers.Embedding(
            self.tokenizer.vocabulary_size,
            width,
            embeddings_initializer=self._normal(begin.embedding_deviation, 0),
            name="token_embedding",
            **common,
        )
        if not self.tie_embeddings:
            glorot = keras.initializers.GlorotUniform(weight_seed(self.seed, 4))
            deviation = begin.head_deviation
            self.head = keras.layers.Dense(
                self.tokenizer.vocabulary_size,
                use_bias=begin.head_bias,
                kernel_initializer=glorot if deviation is None else self._normal(deviation, 8),
                name="head",
                **common,
            )
        if self.latents:
            glorot = keras.initializers.GlorotUniform(weight_seed(self.seed, 10))
            self.latent_projection = keras.layers.Dense(
                width, use_bias=False, kernel_initializer=glorot, name="latents", **common
            )
            self.latent_projection.build((None, self.latents))
        elif self.guided:
            self.condition_encoder = ConditionEncoder(
                units,
                self.num_classes,
                self.condition_width,
                self._normal(begin.embedding_deviation, 9),
                name="condition",
                **common,
            )
        self.token_embedding.build((None, None))
        if not network.built:
            network.make_weights(width)
        if self.head is not None:
            self.head.build((None, None, units))
        if self.condition_encoder is not None:
            self.condition_encoder.build()
        if self.reads_source:
            self.source_encoder.make_weights(units)
        self.built = True

    def _normal(self, deviation, *numbers):
        seed = weight_seed(self.seed, *numbers)
        return keras.initializers.RandomNormal(0.0, deviation, seed=seed)

    @property
    def table(self):
        """The embeddings `(vocabulary, width)` in the compute dtype."""
        return as_tensor(self.token_embedding.embeddings, self.compute_dtype)

    def call(self, hidden):
        """Logits `(..., vocabulary)` of hidden states `(..., width)`."""
        if self.head is not None:
            return self.head(hidden)
        return tf.matmul(hidden, self.table, transpose_b=True)

    @property
    def forbidden(self):
        """bool `(vocabulary,)`: the tokens that are never sampled."""
        unknown_id = -1 if self.tokenizer.unknown_id is None else self.tokenizer.unknown_id
        return tf.range(self.tokenizer.vocabulary_size) == unknown_id

    def context(self, batch, condition=None, valid=None, hidden=None, key=None):
        """What a network attends to of a condition.

        Args:
            batch: Number of texts.
            condition: int32 `(batch,)` or float32 `(batch, items, width)`; None is none. Latents
                are float32 `(batch, latents)`, sources as of `SourceEncoder`.
            valid: bool `(batch, items)`, of vectors and sources.
            hidden: bool `(batch,)`: which texts are to know nothing of their condition.
            key: int32 `(2,)`, in training: what the dropout of sources is drawn from.

        Returns:
            `(vectors (batch, items, width), valid (batch, items))`.
        """
        if self.latents:
            vectors = self.latent_projection(condition)[:, None]
            return vectors, tf.ones([batch, 1], tf.bool)
        if self.reads_source:
            if condition is None:  # of a text that nothing is told of
                condition = self.source_encoder.reader.empty(batch)
                valid = tf.zeros([batch, 1], tf.bool)
            return self.source_encoder.call(condition, valid, key)
        if condition is None:
            items = [batch] if self.num_classes else [batch, 1, self.condition_width]
            condition = tf.zeros(items, tf.int32 if self.num_classes else tf.float32)
            hidden = tf.ones([batch], tf.bool)
        hidden = tf.zeros([batch], tf.bool) if hidden is None else hidden
        if self.num_classes:
            hidden |= condition < 0
            condition = tf.maximum(condition, 0)
        elif valid is not None:
            hidden |= ~tf.reduce_any(valid, axis=1)
        vectors = self.condition_encoder(condition, hidden=hidden)
        valid = tf.ones(tf.shape(vectors)[:2], tf.bool) if valid is None else valid
        # A sample that knows nothing attends to "nothing", wherever its items end.
        return vectors, valid | hidden[:, None]

    def hide(self, batch, key):
        """bool `(batch,)`: whose condition is hidden in this step of the training."""
        if not self.guided or not self.condition_dropout:
            return None
        kept = random.bernoulli_mask(
            random.fold(key, _CONDITION), [batch], 1 - self.condition_dropout
        )
        return kept == 0

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}

    from_config = made_of_parts
