"""`SeriesDensity`: the distribution of each position of numbers, given those before it."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.kinds import find_kind
from tfgen.layers.bivariate_mixture_head import BivariateMixtureHead
from tfgen.layers.categorical_head import CategoricalHead
from tfgen.layers.checks import (
    MOST_PARTS,
    check,
    check_choice,
    check_flag,
    check_most,
    check_of_use,
    check_rate,
    check_whole,
)
from tfgen.layers.clip_by_value import GRADIENTS
from tfgen.layers.gaussian_mixture_head import GaussianMixtureHead
from tfgen.layers.quantized_head import QuantizedHead
from tfgen.layers.regression_head import RegressionHead
from tfgen.layers.student_t_head import StudentTHead
from tfgen.models.base import check_kind
from tfgen.models.numbers import NumbersGenerator
from tfgen.networks import CausalNetwork
from tfgen.sampling import random
from tfgen.sampling.decode import sizes

HEADS = {
    "gaussian_mixture": GaussianMixtureHead,
    "bivariate_mixture": BivariateMixtureHead,
    "student_t": StudentTHead,
    "quantized": QuantizedHead,
    "regression": RegressionHead,
}
COVARIANCES = ("diagonal", "full")
BOUNDINGS = (*GRADIENTS, "squash", "none")
_LAST = 1  # level of the category that tells whether a sequence ends with its position


class SeriesDensity(NumbersGenerator):
    """A model of sequences of numbers, position by position.

    At each position the network reads what was at the position before (the scaled numbers, which
    of them were observed, the categories), the covariates of the position itself (the calendar and
    what else is known beforehand) and what belongs to the whole sequence (its class, its static
    numbers, its scale). A head turns what it says into a distribution of the numbers, and another
    one into those of the categories and of the sequence's end.

    A person's numbers go in and come out in the data's own units. Where the data has bounds, what
    the model draws is held between them by a `ClipByValue` layer.

    Args:
        network: A `tfgen.networks.CausalNetwork`; without weights yet, it gets them here.
        head: `"gaussian_mixture"`, `"bivariate_mixture"` (of two numbers), `"student_t"`,
            `"quantized"` or `"regression"`; None takes what fits the kind of data.
        components: Components of a mixture.
        covariance: `"diagonal"` or `"full"`, of a Gaussian mixture.
        bins: Levels of the quantised head.
        min_scale: The least standard deviation of a head, in scaled units. A density without one
            grows without end where data repeats a value.
        bounding: How the head's locations are held inside the data's bounds while training:
            `"hard"`, `"straight_through"`, `"inward"` (the gradients of `ClipByValue`),
            `"squash"` (a sigmoid between two bounds, a softplus above or below one) or `"none"`,
            which does not bound the samples either.
        linear_skip: Let a linear map of the position before, at first the identity, run beside the
            network: the head then tells how the next position departs from it (the autoregressive
            part of LSTNet, arXiv:1703.07015, section 3.6). For series that drift, such as prices.
            Locations are not bounded then, only what is drawn.
        local_scale: Above 0, the numbers of a position are read and told in units of the root mean
            square of the position before, which is never less than this. For sound and other
            series whose size changes by orders of magnitude. Locations are not bounded then
            either.
        **kwargs: Arguments of `NumbersGenerator`.

    Raises:
        ValueError: For an argument out of its range, or a head that does not fit the data.
    """

    def __init__(
        self,
        network,
        head=None,
        components=10,
        covariance="diagonal",
        bins=256,
        min_scale=1e-3,
        bounding="inward",
        linear_skip=False,
        local_scale=0.0,
        **kwargs,
    ):
        check_kind(CausalNetwork, network=network)
        super().__init__(**kwargs)
        processor, frame = self.processor, self.frame
        if head is not None:
            check_choice(HEADS, head=head)
        check_whole(1, components=components)
        check_whole(2, bins=bins)
        check_most(MOST_PARTS, components=components, bins=bins)
        check_choice(COVARIANCES, covariance=covariance)
        check_choice(BOUNDINGS, bounding=bounding)
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
        self.network = network
        self.input_projection = None
        if network.input_width is not None:
            self.input_projection = keras.layers.Dense(
                network.input_width,
                kernel_initializer=keras.initializers.VarianceScaling(
                    0.3, mode="fan_in", seed=self.layer_seed(0)
                ),
                dtype=self.dtype_policy,
                name="input_projection",
            )
        self.number_head = None
        if processor.num_numbers:
            own = {
                "gaussian_mixture": {"components": components, "covariance": covariance},
                "bivariate_mixture": {"components": components},
                "quantized": {"bins": bins},
            }.get(kind, {})
            low, high = processor.scaled_bounds() or (None, None)
            if kind != "quantized":
                own |= {"min_scale": min_scale}
                apart = linear_skip or local_scale or frame > 1
                if not apart and low is not None and np.isfinite([*low, *high]).any():
                    own |= {"low": low, "high": high, "bounding": bounding}
            self.number_head = HEADS[kind](
                processor.num_numbers * frame,
                **own,
                kernel_initializer=keras.initializers.VarianceScaling(
                    0.1, mode="fan_in", seed=self.layer_seed(40)
                ),
                name="number_head",
            )
        self.skip = None
        if linear_skip and processor.num_numbers:
            self.skip = keras.layers.Dense(
                processor.num_numbers * frame,
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
                    0.1, mode="fan_in", seed=self.layer_seed(41)
                ),
                name="category_head",
            )
        if bounding != "none":
            self._make_bounds()

        # Model
        self.head = head
        self.components = components
        self.covariance = covariance
        self.bins = bins
        self.min_scale = min_scale
        self.bounding = bounding
        self.linear_skip = linear_skip
        self.local_scale = local_scale
        self._make_weights()

    def _make_weights(self):
        """Makes every weight at once, so that a new model can be inspected and loaded."""
        width = self.input_width
        if self.input_projection is not None:
            self.input_projection.build((None, None, width))
            width = self.network.input_width
        if not self.network.built:
            self.network.make_weights(width)
        for layer in (self.number_head, self.category_head):
            if layer is not None:
                layer.build((None, None, self.network.output_width))
        if self.skip is not None:
            self.skip.build((None, None, self.processor.num_numbers * self.frame))
        self.built = True

    # The network over inputs `(batch, time, input_width)`

    @property
    def max_positions(self):
        frames = self.network.max_positions
        return None if frames is None else frames * self.frame

    @property
    def state_is_constant(self):
        """Whether a sequence may go on without end, its state of the same size all along."""
        return self.network.state_is_constant

    @property
    def jit_compile_training(self):
        return self.network.jit_compile_training

    def initial_state(self, batch_size):
        """The state before a sequence: a nest of tensors `(batch, ...)`."""
        return self.network.initial_state(batch_size)

    def reserve(self, state, count):
        """A state in which `count` more positions have room."""
        return self.network.reserve(state, count)

    def quantize_weights(self, dtype):
        self.network.quantize_weights(dtype)
        self.reset_graphs()

    def _network_stepper(self):
        step = self.network.stepper()
        if self.input_projection is None:
            return step
        return lambda x, state: step(self.input_projection(x[:, None])[:, 0], state)

    # What the network reads

    @property
    def input_width(self):
        processor = self.processor
        width = processor.num_numbers * self.frame * (2 if processor.has_missing else 1)
        if self.local_scale and processor.num_numbers:
            width += processor.num_numbers * self.frame + 1
        width += sum(processor.levels) + 1 + processor.covariate_width + processor.static_width
        if self.class_embedding is not None:
            width += self.class_embedding.output_dim
        return width + (processor.num_numbers if processor.scaler.needs_scale else 0)

    def _inputs(self, previous, first, covariates, whole):
        """The network's inputs.

        Args:
            previous: float32 `(..., position_width)`, the values of the position before, in the data's
                units; NaN is missing.
            first: bool `(...)`: whether there is no position before.
            covariates: float32 `(..., covariates)` of the position itself.
            whole: float32 `(..., width)`, what belongs to the whole sequence, see `_whole`.

        Returns:
            `(..., input_width)`.
        """
        processor = self.processor
        whole, scale = whole
        parts = []
        if processor.num_numbers:
            scaled = self._scaled(processor.numbers(previous), scale)
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

    def _unit(self, scaled):
        """What the head tells the next position in, `(..., 1)`; 1 without `local_scale`."""
        if not self.local_scale:
            return tf.ones([])
        observed = ~tf.math.is_nan(scaled)
        count = tf.reduce_sum(tf.cast(observed, tf.float32), axis=-1, keepdims=True)
        squares = tf.reduce_sum(tf.where(observed, tf.square(scaled), 0.0), axis=-1, keepdims=True)
        unit = tf.sqrt(tf.math.divide_no_nan(squares, count) + self.local_scale**2)
        return tf.where(count > 0, unit, 1.0)

    def _frame_of_reference(self, previous, scale):
        """Origin `(..., numbers)` and unit `(..., 1)` in which the head tells scaled numbers."""
        scaled = self._scaled(self.processor.numbers(previous), scale)
        origin = 0.0
        if self.skip is not None:
            origin = self.skip(tf.where(tf.math.is_nan(scaled), 0.0, scaled))
        return origin, self._unit(scaled)

    def _head_log_prob(self, parameters, scaled, observed, reference):
        """Log density of scaled numbers; of those `observed` alone, unless that is None."""
        origin, unit = reference
        total = self.number_head.log_prob(parameters, (scaled - origin) / unit, observed)
        if self.local_scale:
            if observed is None:
                observed = tf.ones_like(scaled, tf.bool)
            count = tf.reduce_sum(tf.cast(observed, tf.float32), axis=-1)
            total -= count * tf.math.log(unit[..., 0])
        return total

    def _read(self, batch, state=None, training=False, key=None, outputs=None, masked=False):
        """The network over sequences `batch["values"]` `(batch, time, features)`.

        Returns:
            `(hidden, state, scale)`: hidden `(batch, time, width)` from which each position is
            predicted, given those before it, and the scale of each series `(batch, 1, numbers)`.
        """
        with tf.name_scope("position_inputs"):  # one box in TensorBoard's graph
            rows, time = tf.unstack(tf.shape(batch["values"])[:2])
            previous, first = self._before(batch)
            covariates = self._covariates(batch)
            whole, scale = self._whole(rows, batch, key)
            whole = tf.broadcast_to(whole[:, None], [rows, time, whole.shape[-1]])
            scale = None if scale is None else scale[:, None]
            x = self._inputs(previous, first, covariates, (whole, scale))
        mask = batch["valid"] if masked else None
        if self.input_projection is not None:
            x = self.input_projection(x)
        hidden, state = self.network.call(x, state, mask, training, key, outputs)
        return tf.cast(hidden, tf.float32), state, scale

    def _before(self, batch):
        """The values before each position, NaN where there are none, and where there are none."""
        values = batch["values"]
        rows, time = tf.unstack(tf.shape(values)[:2])
        before = tf.fill([rows, self.position_width], np.float32(np.nan))
        begins = tf.ones([rows], tf.bool)
        if "first" in batch:  # windows of whole things may begin in their middle
            before, begins = batch["previous"], batch["first"]
        previous = tf.concat([before[:, None], values[:, :-1]], axis=1)
        return previous, (tf.range(time)[None] == 0) & begins[:, None]

    def _log_prob(self, hidden, batch, scale, training=False):
        """Log-likelihood of each position `(batch, time)`, in nats and the data's units."""
        processor, values = self.processor, batch["values"]
        previous, _ = self._before(batch)
        total = tf.zeros(tf.shape(values)[:2])
        if self.number_head is not None:
            numbers = processor.numbers(values)
            scaled = self._scaled(numbers, scale)
            observed = ~tf.math.is_nan(scaled)
            parameters = self.number_head(hidden, training=training)
            # Without missing values the likelihood is had with less work.
            partly = observed & batch["valid"][..., None] if processor.has_missing else None
            filled = tf.where(observed, scaled, 0.0)
            reference = self._frame_of_reference(previous, scale)
            total += self._head_log_prob(parameters, filled, partly, reference)
            slopes = processor.log_slope(tf.where(observed, numbers, 0.0), scale)
            total += tf.reduce_sum(tf.where(observed, slopes, 0.0), axis=-1)
        if self.category_head is not None:
            categories = processor.categories(values)
            if processor.ends:
                last = tf.cast(batch["last"], tf.int32)[..., None]
                categories = tf.concat([categories, last], axis=-1)
            parameters = self.category_head(hidden)
            total += self.category_head.log_prob(parameters, categories)
        return tf.where(batch["valid"], total, 0.0)

    # Training

    def batch_total(self, batch, key=None, state=None, training=False):
        hidden, state, scale = self._read(
            batch, state, training=training, key=key if training else None
        )
        nats = -tf.reduce_sum(self._log_prob(hidden, batch, scale, training))
        positions = tf.reduce_sum(tf.cast(batch["valid"], tf.float32))
        return nats, positions, state

    def call(self, inputs, training=False):
        """The parameters of the distribution of each position, given those before it.

        Args:
            inputs: As for `unpack`.

        Returns:
            A dict with the parameters of the `numbers` and of the `categories`.
        """
        batch = self.unpack(inputs)
        key = random.root(self.seed, random.DROPOUT) if training else None
        hidden, _, _ = self._read(batch, training=training, key=key)
        heads = {"numbers": self.number_head, "categories": self.category_head}
        return {name: head(hidden) for name, head in heads.items() if head is not None}

    def activations(self, inputs):
        outputs = {}
        self._read(self.unpack(inputs), outputs=outputs)
        return outputs

    # Drawing

    def _drawer(self):
        """A function that draws one position of every row, for `tfgen.sampling.rollout`."""
        step = self._network_stepper()

        def draw(rollout, state, previous, first, covariates, key):
            whole = rollout.whole, self._own_scale(rollout)
            hidden, state = step(self._inputs(previous, first, covariates, whole), state)
            hidden = tf.cast(hidden, tf.float32)
            values, last, clipped = self._draw(hidden, previous, rollout, key)
            return values, last, clipped, state

        return draw

    def _guided_drawer(self):
        """The same for `tfgen.sampling.particles`: what is given of a position is kept."""
        step = self._network_stepper()

        def draw(rollout, state, previous, first, covariates, key, given):
            whole = rollout.whole, self._own_scale(rollout)
            hidden, state = step(self._inputs(previous, first, covariates, whole), state)
            hidden = tf.cast(hidden, tf.float32)
            drawn, _, _ = self._draw(hidden, previous, rollout, key)
            missing = self._gaps(given)[None]
            values = tf.where(missing, drawn, given[None])
            return values, self._weight(hidden, previous, values, missing, rollout), state

        return draw

    def _gaps(self, values):
        """bool `(features,)`: what is to be drawn of a position."""
        missing = tf.math.is_nan(values)
        if self.frame > 1:
            return tf.fill(tf.shape(missing), tf.reduce_any(missing))
        if not self.processor.scaler.mixes:
            return missing
        # Where columns are mixed, all numbers are drawn if one is.
        is_number = np.isin(np.arange(self.processor.num_features), self.processor.number_columns)
        return missing | (is_number & tf.reduce_any(missing & is_number))

    def _weight(self, hidden, previous, values, missing, rollout):
        """log p(what is given | what was drawn of the rest) of each row, in scaled units."""
        processor = self.processor
        weight = tf.zeros([tf.shape(values)[0]])
        if self.number_head is not None:
            head = self.number_head
            parameters = head(hidden)
            numbers = processor.numbers(values)
            scale = self._own_scale(rollout)
            scaled = self._scaled(numbers, scale)
            reference = self._frame_of_reference(previous, scale)
            drawn = missing
            if processor.num_categories:
                drawn = tf.gather(missing, processor.number_columns, axis=1)
            of_rest = tf.broadcast_to(drawn, tf.shape(numbers))
            weight += self._head_log_prob(parameters, scaled, None, reference)
            weight -= self._head_log_prob(parameters, scaled, of_rest, reference)
        if processor.levels:
            given = tf.where(missing, np.float32(np.nan), values)
            categories = processor.categories(given)
            if processor.ends:
                unknown = tf.fill([tf.shape(values)[0], 1], -1)
                categories = tf.concat([categories, unknown], axis=-1)
            weight += self.category_head.log_prob(self.category_head(hidden), categories)
        return weight

    def _own_scale(self, rollout):
        return rollout.scale if self.processor.scaler.needs_scale else None

    def _draw(self, hidden, previous, rollout, key):
        """Values `(rows, features)` in the data's units, which rows end, and the share clipped."""
        processor = self.processor
        rows, _ = sizes(hidden)
        numbers = tf.zeros([rows, 0])
        categories = tf.zeros([rows, 0], tf.int32)
        last = tf.zeros([rows], tf.bool)
        clipped = tf.zeros([rows])
        if self.number_head is not None:
            head = self.number_head
            scaled = head.sample(
                head(hidden),
                random.uniform(random.fold(key, 0), [rows, head.uniforms]),
                random.normal(random.fold(key, 1), [rows, head.normals]),
                rollout.temperature,
                rollout.bias,
            )
            scale = self._own_scale(rollout)
            origin, unit = self._frame_of_reference(previous, scale)
            numbers = self._unscaled(scaled * unit + origin, scale)
            numbers, clipped = self._bounded(numbers)
        if self.category_head is not None:
            head = self.category_head
            categories = head.sample(
                head(hidden),
                random.uniform(random.fold(key, 2), [rows, head.uniforms]),
                random.normal(random.fold(key, 3), [rows, head.normals]),
                rollout.temperature,
                rollout.bias,
            )
            if processor.ends:
                last = categories[:, -1] == _LAST
                categories = categories[:, :-1]
        values = numbers if self.frame > 1 else processor.join(numbers, categories)
        return values, last, clipped

    def get_config(self):
        names = (
            "head", "components", "covariance", "bins", "min_scale", "bounding", "linear_skip",
            "local_scale",
        )  # fmt: skip
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            **{name: getattr(self, name) for name in names},
        }
