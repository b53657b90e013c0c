"""`NumberEmission`: what a position of numbers is, and how the one before it is read."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.kinds import find_kind
from tfgen.layers.categorical_head import CategoricalHead
from tfgen.layers.chain_head import ChainHead
from tfgen.layers.checks import (
    MOST_PARTS,
    check,
    check_choice,
    check_flag,
    check_kind,
    check_most,
    check_of_use,
    check_rate,
    check_whole,
)
from tfgen.layers.gaussian_mixture_head import COVARIANCES
from tfgen.models.numbers.context import SequenceContext
from tfgen.models.numbers.heads import BOUNDINGS, COUNTED, HEADS, make_head
from tfgen.models.numbers.outputs import Outputs
from tfgen.models.numbers.reading import Lags, Reading
from tfgen.models.numbers.recording import Recording
from tfgen.models.numbers.reference import Reference
from tfgen.models.parts import made_of_parts
from tfgen.networks.causal import weight_seed


@keras.saving.register_keras_serializable(package="tfgen")
class NumberEmission(keras.layers.Layer):
    """The distribution of each position of numbers, and what a network reads of the one before.

    A network reads what was at the position before (the scaled numbers, which of them were
    observed, the categories), the covariates of the position itself (the calendar and what else is
    known beforehand) and what belongs to the whole sequence (its class, its static numbers, its
    scale). A head turns what it says into a distribution of the numbers, and another one into those
    of the categories and of the sequence's end. Where the data has bounds, samples are held between
    them by a `ClipByValue` layer.

    Args:
        context: A `SequenceContext`; None is that of one unscaled number.
        head: `"gaussian_mixture"`, `"bivariate_mixture"` (of two numbers), `"student_t"`,
            `"quantized"`, `"regression"`, `"negative_binomial"` or
            `"zero_inflated_negative_binomial"` (of counts), or `"chain"`: the columns one after the
            other, each by the likelihood that fits it; or, of categories alone, `"independent"`.
            None takes what fits the kind of data.
        components: Components of a mixture.
        covariance: `"diagonal"` or `"full"`, of a Gaussian mixture.
        bins: Levels of the quantised head.
        chain_units: Hidden units of each column of a chain.
        min_scale: The least standard deviation of a head, in scaled units. A density without one
            grows without end where data repeats a value.
        bounding: How the head's locations are held inside the data's bounds while training:
            `"hard"`, `"straight_through"`, `"inward"` (the gradients of `ClipByValue`),
            `"squash"` (a sigmoid between two bounds, a softplus above or below one), or
            `"censored"`, which leaves them free: a value at a bound stands for all beyond it, and
            its likelihood is the mass that lies there (Tobin, 1958), which is just what
            `ClipByValue` makes of samples. `"none"` does not bound the samples either. None is
            `"censored"` for data with a resolution, and `"inward"` otherwise.
        linear_skip: Let a linear autoregression run beside the network: the head then tells how the
            next position departs from it (the autoregressive part of LSTNet, arXiv:1703.07015,
            section 3.6). It is a linear map of the position before, at first the identity, and
            shares of each number's own values at the `lags` and one position before each of these.
            A training starts it at its least squares solution. Locations are not bounded then, only
            what is drawn.
        local_scale: Above 0, the numbers of a position are read and told in units of the root mean
            square of the position before, which is never less than this. For sound and other
            series whose size changes by orders of magnitude. Locations are not bounded then
            either.
        lags: Of series: how many positions before those stand whose values the network reads
            besides the position before, such as `[24, 168]` for a day and a week of hours, each
            with whether it is known (DeepAR, arXiv:1704.04110, section 3.4). `"auto"` takes 2, the
            seasons that the processor found, and two and three times these where the data are long
            enough.
        seasonal_skip: Above 0, how many positions before that one stands which the head tells the
            departure from: `lags` has it, too. A learned share of it is taken for each number, 1 at
            first; with `linear_skip`, the share of the position before it is -1 at first. `"auto"`
            takes the strongest season that the processor found. Locations are not bounded then
            either.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range, or a head that does not fit the data.
    """

    def __init__(
        self,
        context=None,
        head=None,
        components=10,
        covariance="diagonal",
        bins=256,
        chain_units=32,
        min_scale=1e-3,
        bounding=None,
        linear_skip=False,
        local_scale=0.0,
        lags=(),
        seasonal_skip=0,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        context = SequenceContext(dtype=self.dtype_policy) if context is None else context
        check_kind(SequenceContext, context=context)
        positions, processor = context.positions, context.processor
        frame = positions.frame
        if head is not None:
            check_choice(HEADS, head=head)
        check_whole(1, components=components)
        check_whole(2, bins=bins)
        check_most(MOST_PARTS, components=components, bins=bins)
        check_choice(COVARIANCES, covariance=covariance)
        check_whole(1, chain_units=chain_units)
        kind = head or find_kind(processor.kind).head
        counted = kind in COUNTED
        exact = any(processor.steps) or kind == "chain"
        if bounding is not None:
            check_choice(BOUNDINGS, bounding=bounding)
            fits = not exact or bounding in ("censored", "none")
            rule = "bounding must be 'censored' or 'none' with a resolution or head='chain'"
            check(fits, rule, bounding=bounding)
        self.bounding = bounding
        bounding = bounding or ("censored" if exact else "inward")
        check_flag(linear_skip=linear_skip)
        check_rate(local_scale=local_scale)
        fits = kind != "bivariate_mixture" or (processor.num_numbers in (0, 2) and frame == 1)
        check(fits, f"head must suit {processor.num_numbers} numbers a position", head=kind)
        limited = kind != "quantized" or processor.scaler.limited or not processor.num_numbers
        check(limited, "head must have preprocessing.scaler=min_max or mu_law", head=kind)
        found = Lags.of(processor, lags, seasonal_skip, linear_skip, positions.patch)
        skips = {"linear_skip": linear_skip, "local_scale": local_scale}
        for name, value in {**skips, "seasonal_skip": found.season}.items():
            fits = not value or (kind != "quantized" and not counted)
            check(fits, f"{name} must be {type(value)()} for the head {kind}", **{name: value})
        fits = not local_scale or not processor.circular
        check(fits, "local_scale must be 0 with data.circular", local_scale=local_scale)
        mixed = kind in ("gaussian_mixture", "bivariate_mixture", "chain")
        check_of_use(mixed, "mixtures", 10, components=components)
        check_of_use(kind == "chain", "head='chain'", 32, chain_units=chain_units)
        check_of_use(
            kind == "gaussian_mixture", "head='gaussian_mixture'", "diagonal", covariance=covariance
        )
        check_of_use(kind == "quantized", "head='quantized'", 256, bins=bins)
        scaled = kind not in ("quantized", "independent") and not counted
        check_of_use(scaled, "heads with a scale", 1e-3, min_scale=min_scale)
        fits = frame == 1 or kind != "quantized"
        check(fits, f"frame must be 1 for the head {kind}", frame=frame)

        # Layers
        self.context = context
        self.positions = positions
        self.input_projection = None  # made by `join`
        self.number_head = make_head(
            kind,
            positions,
            bounding,
            bool(linear_skip or local_scale or found.season),
            linear_skip and frame == 1,
            weight_seed(seed, 40),
            components=components,
            covariance=covariance,
            bins=bins,
            chain_units=chain_units,
            min_scale=min_scale,
        )
        self.reading = Reading(context, found, local_scale)
        self.reference = Reference(self.reading, linear_skip)
        self.skip, self.lagged = self.reference.linear, self.reference.lagged
        self.residual = self.reference.residual
        self.category_head = None
        levels = () if isinstance(self.number_head, ChainHead) else processor.levels
        levels = [*levels, *([2] if processor.ends else [])]
        if levels:
            self.category_head = CategoricalHead(
                levels,
                kernel_initializer=keras.initializers.VarianceScaling(
                    0.1, mode="fan_in", seed=weight_seed(seed, 41)
                ),
                name="category_head",
            )
        self.recording = Recording(positions, bounding != "none", bounding == "censored")
        self.bounds = self.recording.bounds
        self.outputs = Outputs(
            positions,
            self.number_head,
            self.category_head,
            self.recording,
            bool(local_scale or linear_skip),
        )

        # Config
        self.head = head
        self.components = components
        self.covariance = covariance
        self.bins = bins
        self.chain_units = chain_units
        self.min_scale = min_scale
        self.linear_skip = linear_skip
        self.local_scale = local_scale
        self.lags = lags if isinstance(lags, str) else tuple(lags)
        self.seasonal_skip = seasonal_skip
        self.seed = seed

    def join(self, network):
        """Makes every weight, here and in the network, so that a new model can be inspected."""
        width = self.reading.width
        if network.input_width is not None:
            self.input_projection = keras.layers.Dense(
                network.input_width,
                kernel_initializer=keras.initializers.VarianceScaling(
                    0.3, mode="fan_in", seed=weight_seed(self.seed, 0)
                ),
                dtype=self.dtype_policy,
                name="input_projection",
            )
            self.input_projection.build((None, None, width))
            width = network.input_width
        if not network.built:
            network.make_weights(width)
        for layer in (self.number_head, self.category_head):
            if layer is not None:
                layer.build((None, None, network.output_width))
        self.reference.build()
        self.built = True

    # What a network reads

    def inputs(self, past, covariates, whole, scale):
        """What a network reads of positions.

        Args:
            past: `tfgen.models.numbers.reading.Past`.
            covariates: float32 `(..., covariates)` of the position itself.
            whole: float32 `(..., width)`, what belongs to the whole sequence.
            scale: float32 `(..., numbers)` of each series; None where there is no such thing.

        Returns:
            `(..., features)`, as wide as the network's inputs.
        """
        features = self.reading.features(past, covariates, whole, scale)
        return tf.cast(features, self.compute_dtype)

    def project(self, x):
        """Inputs `(..., features)` in the width that the network reads."""
        return x if self.input_projection is None else self.input_projection(x)

    # What a position is

    def call(self, hidden):
        """The parameters of the distributions of positions, of hidden states `(..., width)`."""
        heads = {"numbers": self.number_head, "categories": self.category_head}
        return {name: head(hidden) for name, head in heads.items() if head is not None}

    def log_prob(self, hidden, batch, scale, training=False):
        """Log-likelihood of each position `(batch, time)`, in nats and the data's units.

        Args:
            hidden: float32 `(batch, time, width)`, what the network says of each position.
            batch: As of `Positions`.
            scale: float32 `(batch, 1, numbers)` or None.
            training: Whether the heads' own regularisation is on.
        """
        total = self.outputs.log_prob(
            hidden,
            batch["values"],
            batch.get("last"),
            batch["valid"][..., None],
            self.reference(self.reading.before(batch), scale),
            scale,
            training,
        )
        return tf.where(batch["valid"], total, 0.0)

    def sample(self, hidden, past, scale, key, temperature, bias, given=None):
        """Draws one position of every row, after a `Past`; the rest as of `Outputs.sample`."""
        reference = self.reference(past, scale)
        return self.outputs.sample(hidden, reference, scale, key, temperature, bias, given)

    # What is given of a position of which the rest is drawn

    def gaps(self, values):
        """bool `(width,)`: what is to be drawn of a position."""
        missing = tf.math.is_nan(values)
        positions, processor = self.positions, self.positions.processor
        if not positions.mixes:
            return missing
        # Where numbers are mixed, all of them are drawn if one is.
        if positions.frame > 1:
            each = tf.reshape(missing, [positions.patch, -1])
            every = tf.broadcast_to(tf.reduce_any(each, axis=1, keepdims=True), tf.shape(each))
            return tf.reshape(every, tf.shape(missing))
        is_number = np.isin(np.arange(processor.num_features), processor.number_columns)
        return missing | (is_number & tf.reduce_any(missing & is_number))

    def weight(self, hidden, past, values, missing, scale):
        """As `Outputs.weight`, after a `Past`."""
        reference = self.reference(past, scale)
        return self.outputs.weight(hidden, values, missing, reference, scale)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}

    from_config = made_of_parts
