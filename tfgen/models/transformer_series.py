"""`TransformerSeriesDecoder`: transformer models of numbers."""

import keras

from tfgen.models.series import SeriesGenerator
from tfgen.models.transformer_network import TransformerNetwork, check_network


@keras.saving.register_keras_serializable(package="tfgen")
class TransformerSeriesDecoder(TransformerNetwork, SeriesGenerator):
    """Blocks of causal attention over numbers, and a distribution of the next position.

    The blocks are those of `TransformerDecoder`; a product takes the place of the embedding.

    Args:
        layers: Number of blocks. Keras keeps `model.layers` for itself, so the attribute is
            `num_layers`.
        heads: Attention heads.
        kv_heads: Heads of keys and values, which several heads then share; None takes `heads`.
        width: Features of a position inside the network.
        head_width: Features of a head; None takes `width / heads`.
        mlp: `"gelu"`, `"swiglu"` or `"relu2"`, see `FeedForward`.
        mlp_width: Features inside the feed-forward layer; None takes `4 * width`, for swiglu two
            thirds of that.
        norm: `"layer"` or `"rms"`.
        norm_epsilon: Added to the variance or the mean square.
        positions: `"rotary"`, `"learned"`, `"sinusoidal"`, `"alibi"` or `"none"`.
        rotary_base: The longest wavelength of rotary positions is `2 pi` times this.
        max_length: Number of learned positions; no sequence may be longer.
        window: Positions that each one attends to, itself included; 0 is all before it.
        dropout: Share of the features that is dropped in training.
        attention_dropout: Share of the attention's probabilities that is dropped in training.
        bias: Whether products and layer normalisations have biases.
        qk_norm: Normalise queries and keys.
        conv: Width of a causal convolution of queries, keys and values; 0 is none.
        cache_dtype: `"float32"` or `"bfloat16"`: how keys and values are kept in generation; None
            takes the dtype of the computation.
        head: `"gaussian_mixture"`, `"bivariate_mixture"` (of two numbers), `"student_t"`,
            `"quantized"` or `"regression"`; None takes what fits the kind of data.
        components: Components of a mixture.
        covariance: `"diagonal"` or `"full"`, of a Gaussian mixture.
        bins: Levels of the quantised head.
        min_scale: The least standard deviation of a head, in scaled units.
        bounding: How locations are held inside the data's bounds: `"hard"`,
            `"straight_through"`, `"inward"`, `"squash"` or `"none"`.
        linear_skip: Let a linear map of the position before run beside the network, for series
            that drift.
        local_scale: Above 0, a position is scaled by the size of the one before.
        frame: Samples of one number over time that make one position, as for sound.
        condition_dropout: Share of the sequences whose class is hidden in training.
        processor: A fitted `tfgen.preprocessing.SequenceProcessor`; None is one unscaled number.
        generation: `GenerationConfig` or a dict of its fields.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range, or a head that does not fit the data.

    Example:

    >>> model = TransformerSeriesDecoder(layers=1, heads=2, width=8, head="student_t", seed=1)
    >>> model.generate(num_samples=2, length=5, seed=1).shape
    (2, 5, 1)
    """

    def __init__(
        self,
        layers=4,
        heads=4,
        kv_heads=None,
        width=128,
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
        head=None,
        components=10,
        covariance="diagonal",
        bins=256,
        min_scale=1e-3,
        bounding="inward",
        linear_skip=False,
        local_scale=0.0,
        frame=1,
        condition_dropout=0.1,
        processor=None,
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
        super().__init__(
            head=head,
            components=components,
            covariance=covariance,
            bins=bins,
            min_scale=min_scale,
            bounding=bounding,
            linear_skip=linear_skip,
            local_scale=local_scale,
            frame=frame,
            condition_dropout=condition_dropout,
            processor=processor,
            generation=generation,
            seed=seed,
            **kwargs,
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
        )
        self.input_projection = keras.layers.Dense(
            width,
            kernel_initializer=keras.initializers.VarianceScaling(
                0.3, mode="fan_in", seed=self.layer_seed(0)
            ),
            dtype=self.dtype_policy,
            name="input_projection",
        )
        self.input_projection.build((None, None, self.input_width))
        self._build_network()
        self._build_heads(width)

    @property
    def max_positions(self):
        frames = super().max_positions
        return None if frames is None else frames * self.frame

    def _network(self, x, state=None, mask=None, training=False, key=None, outputs=None):
        return self.hidden_states(x, state, mask, training, key, outputs)

    def _network_stepper(self):
        return self.stepper()

    def _embed(self, inputs, positions):
        return self._with_positions(self.input_projection(inputs), positions)

    def get_config(self):
        return {**super().get_config(), **self._network_config()}
