"""`NumberEmission`: what a position of numbers is, and how the one before it is read."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.kinds import find_kind
from tfgen.layers.categorical_head import CategoricalHead
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
from tfgen.models.numbers.heads import BOUNDINGS, HEADS, make_head
from tfgen.models.numbers.recording import Recording
from tfgen.models.parts import made_of_parts
from tfgen.networks.causal import weight_seed
from tfgen.sampling import random
from tfgen.sampling.decode import sizes

_LAST = 1  # level of the category that tells whether a sequence ends with its position


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
            `"quantized"` or `"regression"`; None takes what fits the kind of data.
        components: Components of a mixture.
        covariance: `"diagonal"` or `"full"`, of a Gaussian mixture.
        bins: Levels of the quantised head.
        min_scale: The least standard deviation of a head, in scaled units. A density without one
            grows without end where data repeats a value.
        bounding: How the head's locations are held inside the data's bounds while training:
            `"hard"`, `"straight_through"`, `"inward"` (the gradients of `ClipByValue`),
            `"squash"` (a sigmoid between two bounds, a softplus above or below one), or
            `"censored"`, which leaves them free: a value at a bound stands for all beyond it, and
            its likelihood is the mass that lies there (Tobin, 1958), which is just what
            `ClipByValue` makes of samples. `"none"` does not bound the samples either. None is
            `"censored"` for data with a resolution, and `"inward"` otherwise.
        linear_skip: Let a linear map of the position before, at first the identity, run beside the
            network: the head then tells how the next position departs from it (the autoregressive
            part of LSTNet, arXiv:1703.07015, section 3.6). For series that drift, such as prices.
            Locations are not bounded then, only what is drawn.
        local_scale: Above 0, the numbers of a position are read and told in units of the root mean
            square of the position before, which is never less than this. For sound and other
            series whose size changes by orders of magnitude. Locations are not bounded then
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
        min_scale=1e-3,
        bounding=None,
        linear_skip=False,
        local_scale=0.0,
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
        stepped = any(processor.steps)
        if bounding is not None:
            check_choice(BOUNDINGS, bounding=bounding)
            fits = not stepped or bounding in ("censored", "none")
            check(
                fits, "bounding must be 'censored' or 'none' with a resolution", bounding=bounding
            )
        self.bounding = bounding
        bounding = bounding or ("censored" if stepped else "inward")
        check_flag(linear_skip=linear_skip)
        check_rate(local_scale=local_scale)
        kind = head or find_kind(processor.kind).head
        fits = kind != "bivariate_mixture" or processor.num_numbers in (0, 2)
        check(fits, f"head must suit {processor.num_numbers} numbers a position", head=kind)
        limited = kind != "quantized" or processor.scaler.limited or not processor.num_numbers
        check(limited, "head must have preprocessing.scaler=min_max or mu_law", head=kind)
        for name, value in {"linear_skip": linear_skip, "local_scale": local_scale}.items():
            fits = not value or kind != "quantized"
            check(fits, f"{name} must be {type(value)()} for the head {kind}", **{name: value})
        check_of_use("mixture" in kind, "mixtures", 10, components=components)
        check_of_use(
            kind == "gaussian_mixture", "head='gaussian_mixture'", "diagonal", covariance=covariance
        )
        check_of_use(kind == "quantized", "head='quantized'", 256, bins=bins)
        check_of_use(kind != "quantized", "other heads than 'quantized'", 1e-3, min_scale=min_scale)
        fits = frame == 1 or kind != "quantized"
        check(fits, f"frame must be 1 for the head {kind}", frame=frame)

        # Layers
        self.context = context
        self.positions = positions
        self.input_projection = None  # made by `join`
        self.number_head = None
        if processor.num_numbers:
            self.number_head = make_head(
                kind,
                positions,
                bounding,
                bool(linear_skip or local_scale),
                weight_seed(seed, 40),
                components=components,
                covariance=covariance,
                bins=bins,
                min_scale=min_scale,
            )
        self.skip = None
        if linear_skip and processor.num_numbers:
            self.skip = keras.layers.Dense(
                positions.numbers,
                use_bias=False,
                kernel_initializer="identity",
                dtype="float32",
                name="linear_skip",
            )
        self.category_head = None
        levels = [*processor.levels, *([2] if processor.ends else [])]
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

        # Config
        self.head = head
        self.components = components
        self.covariance = covariance
        self.bins = bins
        self.min_scale = min_scale
        self.linear_skip = linear_skip
        self.local_scale = local_scale
        self.seed = seed

    def join(self, network):
        """Makes every weight, here and in the network, so that a new model can be inspected."""
        width = self.input_width
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
        if self.skip is not None:
            self.skip.build((None, None, self.positions.numbers))
        self.built = True

    # What a network reads

    @property
    def input_width(self):
        """Features of what a network reads of a position."""
        processor = self.positions.processor
        numbers = self.positions.numbers
        width = numbers * (2 if processor.has_missing else 1)
        if self.local_scale and processor.num_numbers:
            width += numbers + 1
        width += sum(processor.levels) + 1 + processor.covariate_width
        return width + self.context.width

    def inputs(self, previous, first, covariates, whole, scale):
        """What a network reads of positions.

        Args:
            previous: float32 `(..., width)`, the values of the position before, in the data's
                units; NaN is missing.
            first: bool `(...)`: whether there is no position before.
            covariates: float32 `(..., covariates)` of the position itself.
            whole: float32 `(..., width)`, what belongs to the whole sequence.
            scale: float32 `(..., numbers)` of each series; None where there is no such thing.

        Returns:
            `(..., features)`, as wide as the network's inputs.
        """
        processor = self.positions.processor
        parts = []
        if processor.num_numbers:
            scaled = self.positions.scaled(processor.numbers(previous), scale)
            observed = ~tf.math.is_nan(scaled)
            unit = self._unit(scaled)
            scaled = tf.where(observed, scaled, 0.0)
            parts.append(scaled / unit)
            if self.local_scale:
                # The same by orders of magnitude, 1 for a number of size 1 and for a unit of 1.
                range_of_sizes = np.arcsinh(1 / self.local_scale)
                parts.append(tf.asinh(scaled / self.local_scale) / range_of_sizes)
                parts.append(tf.asinh(unit / self.local_scale) / range_of_sizes)
            if processor.has_missing:
                parts.append(tf.cast(observed, tf.float32))
        categories = processor.categories(previous)
        for index, levels in enumerate(processor.levels):
            parts.append(tf.one_hot(categories[..., index], levels))
        parts.append(tf.cast(first, tf.float32)[..., None])
        parts += [covariates, whole]
        return tf.cast(tf.concat(parts, axis=-1), self.compute_dtype)

    def project(self, x):
        """Inputs `(..., features)` in the width that the network reads."""
        return x if self.input_projection is None else self.input_projection(x)

    def before(self, batch):
        """The values before each position, NaN where there are none, and where there are none."""
        values = batch["values"]
        rows, time = tf.unstack(tf.shape(values)[:2])
        before = tf.fill([rows, self.positions.width], np.float32(np.nan))
        begins = tf.ones([rows], tf.bool)
        if "first" in batch:  # windows of whole things may begin in their middle
            before, begins = batch["previous"], batch["first"]
        previous = tf.concat([before[:, None], values[:, :-1]], axis=1)
        return previous, (tf.range(time)[None] == 0) & begins[:, None]

    def _unit(self, scaled):
        """What the head tells the next position in, `(..., 1)`; 1 without `local_scale`."""
        if not self.local_scale:
            return tf.ones([])
        observed = ~tf.math.is_nan(scaled)
        count = tf.reduce_sum(tf.cast(observed, tf.float32), axis=-1, keepdims=True)
        squares = tf.reduce_sum(tf.where(observed, tf.square(scaled), 0.0), axis=-1, keepdims=True)
        unit = tf.sqrt(tf.math.divide_no_nan(squares, count) + self.local_scale**2)
        return tf.where(count > 0, unit, 1.0)

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
        processor, values = self.positions.processor, batch["values"]
        previous, _ = self.before(batch)
        total = tf.zeros(tf.shape(values)[:2])
        if self.number_head is not None:
            numbers = processor.numbers(values)
            scaled = self.positions.scaled(numbers, scale)
            observed = ~tf.math.is_nan(scaled)
            parameters = self.number_head(hidden, training=training)
            partly = observed & batch["valid"][..., None]
            filled = tf.where(observed, scaled, 0.0)
            reference = self._reference(previous, scale)
            numbers = tf.where(observed, numbers, 0.0)
            log_prob, added = self._head_log_prob(
                parameters, numbers, filled, partly, reference, scale
            )
            added = tf.where(tf.math.is_nan(added), processor.log_slope(numbers, scale), added)
            total += log_prob + tf.reduce_sum(tf.where(observed, added, 0.0), axis=-1)
        if self.category_head is not None:
            categories = processor.categories(values)
            if processor.ends:
                last = tf.cast(batch["last"], tf.int32)[..., None]
                categories = tf.concat([categories, last], axis=-1)
            parameters = self.category_head(hidden)
            total += self.category_head.log_prob(parameters, categories)
        return tf.where(batch["valid"], total, 0.0)

    def sample(self, hidden, previous, scale, key, temperature, bias):
        """Draws one position of every row.

        Args:
            hidden: float32 `(rows, width)`.
            previous: float32 `(rows, width)`, the values of the position before.
            scale: float32 `(rows, numbers)` or None.
            key: int32 `(2,)`.
            temperature: See `tfgen.layers.DistributionHead`.
            bias: See there.

        Returns:
            Values `(rows, width)` in the data's units, which rows end, and the share clipped.
        """
        processor = self.positions.processor
        rows, _ = sizes(hidden)
        numbers = tf.zeros([rows, 0])
        categories = tf.zeros([rows, 0], tf.int32)
        last = tf.zeros([rows], tf.bool)
        clipped = tf.zeros([rows])

        def drawn(head, first):
            return head.sample(
                head(hidden),
                random.uniform(random.fold(key, first), [rows, head.uniforms]),
                random.normal(random.fold(key, first + 1), [rows, head.normals]),
                temperature,
                bias,
            )

        if self.number_head is not None:
            scaled = drawn(self.number_head, 0)
            origin, unit = self._reference(previous, scale)
            numbers = self.positions.unscaled(scaled * unit + origin, scale)
            numbers, clipped = self.recording.held(numbers)
        if self.category_head is not None:
            categories = drawn(self.category_head, 2)
            if processor.ends:
                last = categories[:, -1] == _LAST
                categories = categories[:, :-1]
        values = numbers if self.positions.frame > 1 else processor.join(numbers, categories)
        return values, last, clipped

    # What is given of a position of which the rest is drawn

    def gaps(self, values):
        """bool `(width,)`: what is to be drawn of a position."""
        missing = tf.math.is_nan(values)
        processor = self.positions.processor
        if self.positions.frame > 1:
            return tf.fill(tf.shape(missing), tf.reduce_any(missing))
        if not processor.scaler.mixes:
            return missing
        # Where columns are mixed, all numbers are drawn if one is.
        is_number = np.isin(np.arange(processor.num_features), processor.number_columns)
        return missing | (is_number & tf.reduce_any(missing & is_number))

    def weight(self, hidden, previous, values, missing, scale):
        """log p(what is given | what was drawn of the rest) of each row, in scaled units.

        Args:
            hidden: float32 `(rows, width)`.
            previous: float32 `(rows, width)`, the values of the position before.
            values: float32 `(rows, width)`, given and drawn ones.
            missing: bool, as of `gaps`, with an axis for rows.
            scale: float32 `(rows, numbers)` or None.
        """
        processor = self.positions.processor
        weight = tf.zeros([tf.shape(values)[0]])
        if self.number_head is not None:
            parameters = self.number_head(hidden)
            numbers = processor.numbers(values)
            scaled = self.positions.scaled(numbers, scale)
            reference = self._reference(previous, scale)
            drawn = missing
            if processor.num_categories:
                drawn = tf.gather(missing, processor.number_columns, axis=1)
            of_rest = tf.broadcast_to(drawn, tf.shape(numbers))
            weight += self._head_log_prob(parameters, numbers, scaled, None, reference, scale)[0]
            weight -= self._head_log_prob(parameters, numbers, scaled, of_rest, reference, scale)[0]
        if processor.levels:
            given = tf.where(missing, np.float32(np.nan), values)
            categories = processor.categories(given)
            if processor.ends:
                unknown = tf.fill([tf.shape(values)[0], 1], -1)
                categories = tf.concat([categories, unknown], axis=-1)
            weight += self.category_head.log_prob(self.category_head(hidden), categories)
        return weight

    def _reference(self, previous, scale):
        """Origin `(..., numbers)` and unit `(..., 1)` in which the head tells scaled numbers."""
        scaled = self.positions.scaled(self.positions.processor.numbers(previous), scale)
        origin = 0.0
        if self.skip is not None:
            origin = self.skip(tf.where(tf.math.is_nan(scaled), 0.0, scaled))
        return origin, self._unit(scaled)

    def _head_log_prob(self, parameters, numbers, scaled, observed, reference, scale):
        """Log likelihood of numbers, and what makes a density in the data's units of each.

        Of those `observed` alone, unless that is None. The latter is NaN where it is the slope of
        the scaling.
        """
        (origin, unit), cells = reference, {}
        added = tf.fill(tf.shape(scaled), np.float32(np.nan))

        def told(numbers):
            return (self.positions.scaled(numbers, scale) - origin) / unit

        if len(self.recording.columns):
            cells["cells"], added = self.recording.cells(numbers, told)
        total = self.number_head.log_prob(parameters, (scaled - origin) / unit, observed, **cells)
        if self.local_scale:
            counted = tf.math.is_nan(added)
            counted = counted if observed is None else counted & observed
            count = tf.reduce_sum(tf.cast(counted, tf.float32), axis=-1)
            total -= count * tf.math.log(unit[..., 0])
        return total, added

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}

    from_config = made_of_parts
