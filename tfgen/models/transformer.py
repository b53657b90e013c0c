"""`TransformerDecoder`: GPT- and Llama-like text models."""

import keras
import tensorflow as tf

from tfgen.layers.checks import check, check_flag, check_of_use, check_rate, check_whole
from tfgen.layers.condition_encoder import ConditionEncoder
from tfgen.layers.products import as_tensor, look_up
from tfgen.models.autoregressive import AutoregressiveGenerator
from tfgen.models.transformer_network import TransformerNetwork, check_network


@keras.saving.register_keras_serializable(package="tfgen")
class TransformerDecoder(TransformerNetwork, AutoregressiveGenerator):
    """Blocks of causal attention and feed-forward layers, and a softmax over the next token.

    After Radford et al. (GPT-2, 2019), whose choices are the defaults but for the rotary positions
    and the missing biases; with `norm="rms"`, `mlp="swiglu"` it is a Llama (arXiv:2302.13971).

    Args:
        layers: Number of blocks. Keras keeps `model.layers` for itself, so the attribute is
            `num_layers`.
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
        rotary_scaling: How rotary positions are stretched for longer texts: `[factor]`, or Llama
            3.1's `[factor, low, high, length]`, see `RotaryEmbedding`; None is not at all.
        max_length: Number of learned positions; no text may be longer.
        window: Positions that each one attends to, itself included; 0 is all before it. With a
            window the cache is a ring, and a token costs the same however long the text is.
        dropout: Share of the features that is dropped in training, of the embeddings and of what
            each layer adds.
        attention_dropout: Share of the attention's probabilities that is dropped in training.
        tie_embeddings: Use the embedding table as the softmax weights too (arXiv:1608.05859).
        bias: Whether products and layer normalisations have biases.
        qk_norm: Normalise queries and keys.
        conv: Width of a causal convolution of queries, keys and values over the positions, which
            shows each layer the characters just before; 0 is none (arXiv:2109.08668).
        cache_dtype: `"float32"` or `"bfloat16"`: how keys and values are kept in generation; None
            takes the dtype of the computation.
        num_classes: Generate conditioned on one of so many classes, by cross-attention.
        condition_width: Generate conditioned on a sequence of vectors of this width.
        condition_dropout: Share of the samples whose condition is hidden in training, so that
            `generate(guidance_scale=...)` has something to compare with (arXiv:2207.12598).
        tokenizer: A `tfgen.preprocessing` tokenizer; None takes bytes.
        generation: `GenerationConfig` or a dict of its fields.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.

    Example:

    >>> model = TransformerDecoder(layers=1, heads=2, width=8, seed=1)
    >>> model(tf.constant([[104, 105]])).shape
    TensorShape([1, 2, 256])
    """

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
        tie_embeddings=True,
        bias=False,
        qk_norm=False,
        conv=0,
        cache_dtype=None,
        num_classes=None,
        condition_width=None,
        condition_dropout=0.1,
        rotary_scaling=None,
        tokenizer=None,
        generation=None,
        seed=None,
        **kwargs,
    ):
        check_network(
            layers=layers,
            heads=heads,
            width=width,
            mlp=mlp,
            mlp_width=mlp_width,
            norm=norm,
            positions=positions,
            rotary_base=rotary_base,
            max_length=max_length,
            window=window,
            dropout=dropout,
            attention_dropout=attention_dropout,
            bias=bias,
            qk_norm=qk_norm,
            conv=conv,
            cache_dtype=cache_dtype,
        )
        for name, value in {"num_classes": num_classes, "condition_width": condition_width}.items():
            if value is not None:
                check_whole(1, **{name: value})
        check_rate(condition_dropout=condition_dropout)
        check_flag(tie_embeddings=tie_embeddings)
        check(
            num_classes is None or condition_width is None,
            "condition_width must be None where there are num_classes",
            condition_width=condition_width,
        )
        check_of_use(
            bool(num_classes or condition_width), "models with num_classes or condition_width", 0.1,
            condition_dropout=condition_dropout,
        )  # fmt: skip
        super().__init__(tokenizer=tokenizer, generation=generation, seed=seed, **kwargs)

        # Layers
        common = {"dtype": self.dtype_policy}
        self.token_embedding = keras.layers.Embedding(
            self.tokenizer.vocabulary_size,
            width,
            embeddings_initializer=self._normal(0.02, 0),
            name="token_embedding",
            **common,
        )
        self._make_network(
            layers,
            heads,
            kv_heads,
            width,
            head_width,
            mlp,
            mlp_width,
            norm,
            norm_epsilon,
            positions,
            rotary_base,
            max_length,
            window,
            dropout,
            attention_dropout,
            bias,
            qk_norm,
            conv,
            cache_dtype,
            cross_attention=bool(num_classes or condition_width),
            rotary_scaling=rotary_scaling,
        )
        self.head = None
        if not tie_embeddings:
            self.head = keras.layers.Dense(
                self.tokenizer.vocabulary_size,
                use_bias=False,
                kernel_initializer=self._normal(0.02, 8),
                name="head",
                **common,
            )
        self.condition_encoder = None
        if num_classes or condition_width:
            self.condition_encoder = ConditionEncoder(
                width,
                num_classes,
                condition_width,
                self._normal(0.02, 9),
                name="condition",
                **common,
            )

        # Model
        self.tie_embeddings = tie_embeddings
        self.rotary_scaling = rotary_scaling
        self.num_classes = num_classes
        self.condition_width = condition_width
        self.condition_dropout = condition_dropout
        self._check_generation("text", conditional=bool(num_classes or condition_width))
        self._build_weights()

    def _build_weights(self):
        """Makes every weight at once, so that a new model can be inspected and loaded."""
        self.token_embedding.build((None, None))
        self._build_network()
        if self.head is not None:
            self.head.build((None, None, self.width))
        if self.condition_encoder is not None:
            self.condition_encoder.build()
        self.built = True

    def build(self, input_shape=None):
        """Does nothing: every weight exists since the model was made."""

    def activations(self, inputs):
        outputs = {}
        self.hidden_states(inputs, outputs=outputs)
        return outputs

    def logits(self, hidden):
        if self.head is not None:
            return self.head(hidden)
        table = as_tensor(self.token_embedding.embeddings, self.compute_dtype)
        return tf.matmul(hidden, table, transpose_b=True)

    def _embed(self, ids, positions):
        table = as_tensor(self.token_embedding.embeddings, self.compute_dtype)
        return self._with_positions(look_up(table, ids), positions)

    def get_config(self):
        names = "tie_embeddings num_classes condition_width condition_dropout rotary_scaling"
        return {
            **super().get_config(),
            **self._network_config(),
            **{name: getattr(self, name) for name in names.split()},
        }
