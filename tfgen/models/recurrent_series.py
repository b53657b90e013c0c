"""`RecurrentSeriesGenerator`: LSTM and GRU models of numbers."""

import keras

from tfgen.models.recurrent_network import RecurrentNetwork, check_network
from tfgen.models.series import SeriesGenerator


@keras.saving.register_keras_serializable(package="tfgen")
class RecurrentSeriesGenerator(RecurrentNetwork, SeriesGenerator):
    """Recurrent layers over numbers, and a distribution of the next position.

    After Graves, "Generating sequences with recurrent neural networks" (arXiv:1308.0850), and
    DeepAR (arXiv:1704.04110). The state has a constant size, so a position costs the same however
    long the sequence already is.

    Args:
        cell: `"lstm"` or `"gru"`.
        units: Units of each layer.
        layers: Number of layers. Keras keeps `model.layers` for itself, so the attribute is
            `num_layers`.
        dropout: Share of each layer's outputs that is dropped in training, the same units at
            every position (arXiv:1512.05287).
        recurrent_dropout: The same for the output that a cell hands to itself.
        layer_norm: Normalise the input of every layer, and of the heads (arXiv:1607.06450).
        residual: Add to each layer's output its input, where their widths agree.
        attention: How many of the last layer's past outputs, the present one included, each
            position attends to before the heads; 0 is no attention.
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

    >>> model = RecurrentSeriesGenerator("gru", units=8, layers=1, head="student_t", seed=1)
    >>> model.generate(num_samples=2, length=5, seed=1).shape
    (2, 5, 1)
    """

    def __init__(
        self,
        cell="lstm",
        units=128,
        layers=2,
        dropout=0.0,
        recurrent_dropout=0.0,
        layer_norm=False,
        residual=False,
        attention=0,
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
            cell, units, layers, dropout, recurrent_dropout, layer_norm, residual, attention
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
            cell, units, layers, dropout, recurrent_dropout, layer_norm, residual, attention
        )
        self._build_network(self.input_width)
        self._build_heads(units)

    def get_config(self):
        return {**super().get_config(), **self._network_config()}
