"""`Outputs`: the distribution of recorded positions, by the heads and by how data is recorded."""

import numpy as np
import tensorflow as tf

from tfgen.layers.chain_head import ChainHead
from tfgen.layers.negative_binomial_head import Counts
from tfgen.sampling import random
from tfgen.sampling.decode import sizes

_LAST = 1  # level of the category that tells whether a sequence ends with its position


class Outputs:
    """What hidden states say of positions: their likelihood, and samples of them.

    A reference is `(origin, unit)`, `(..., numbers)` and `(..., numbers or 1)`, in which the head
    tells scaled numbers.

    Args:
        positions: `Positions`.
        number_head: `DistributionHead` of the numbers, or a `ChainHead` of all columns; None
            without numbers.
        category_head: `CategoricalHead` of what it does not tell: the categories, and whether a
            sequence ends; None if it tells all.
        recording: `Recording`.
        relative: Whether units of references differ from 1.
    """

    def __init__(self, positions, number_head, category_head, recording, relative):
        self.positions = positions
        self.processor = positions.processor
        self.number_head = number_head
        self.category_head = category_head
        self.recording = recording
        self.relative = relative
        self.chained = isinstance(number_head, ChainHead)

    def log_prob(self, hidden, values, last, counted, reference, scale, training=False):
        """Log-likelihood in nats and the data's units, `(...)`.

        Args:
            hidden: float32 `(..., width)`.
            values: float32 `(..., features)`, NaN is missing.
            last: bool `(...)`: which positions end their sequence; None where this does not count.
            counted: bool, broadcast against the values: what counts of them.
            reference: See above.
            scale: float32 `(..., numbers)` or None.
            training: Whether the heads' own regularisation is on.
        """
        total = tf.zeros(tf.shape(values)[:-1])
        if self.number_head is not None:
            parameters = self.number_head(hidden, training=training)
            log_prob, added = self._number_log_prob(parameters, values, counted, reference, scale)
            numbers = self.processor.numbers(values)
            observed = ~tf.math.is_nan(numbers)
            numbers = tf.where(observed, numbers, 0.0)
            slopes = self.positions.log_slope(numbers, scale)
            added = tf.where(tf.math.is_nan(added), slopes, added)
            total += log_prob + tf.reduce_sum(tf.where(observed, added, 0.0), axis=-1)
        if self.category_head is not None:
            total += self._category_log_prob(hidden, values, last)
        return total

    def weight(self, hidden, values, missing, reference, scale):
        """log p(what is given | what was drawn of the rest) of each row, in scaled units.

        Args:
            hidden: float32 `(rows, width)`.
            values: float32 `(rows, features)`, given and drawn ones.
            missing: bool, broadcast against them: which were drawn.
            reference: See above.
            scale: float32 `(rows, numbers)` or None.
        """
        weight = tf.zeros([tf.shape(values)[0]])
        if self.number_head is not None:
            parameters, rest = self.number_head(hidden), (reference, scale)
            weight += self._number_log_prob(parameters, values, True, *rest)[0]
            weight -= self._number_log_prob(parameters, values, missing, *rest)[0]
        if self.category_head is not None:
            given = tf.where(missing, np.float32(np.nan), values)
            weight += self._category_log_prob(hidden, given, None)
        return weight

    def sample(self, hidden, reference, scale, key, temperature, bias, given=None):
        """Draws one position of every row.

        Args:
            hidden: float32 `(rows, width)`.
            reference: See above.
            scale: float32 `(rows, numbers)` or None.
            key: int32 `(2,)`.
            temperature: See `tfgen.layers.DistributionHead`.
            bias: See there.
            given: float32, broadcast against values `(rows, features)`: what is kept, NaN elsewhere.
                None draws all.

        Returns:
            Values `(rows, features)` in the data's units, which rows end, and the share clipped.
        """
        processor, (rows, _) = self.processor, sizes(hidden)
        numbers = tf.zeros([rows, 0])
        categories = tf.zeros([rows, 0], tf.int32)
        last = tf.zeros([rows], tf.bool)
        clipped = tf.zeros([rows])

        def drawn(head, first, **arguments):
            return head.sample(
                head(hidden),
                random.uniform(random.fold(key, first), [rows, head.uniforms]),
                random.normal(random.fold(key, first + 1), [rows, head.normals]),
                temperature,
                bias,
                **arguments,
            )

        if self.number_head is not None:
            extra = {}
            if self.number_head.has_counts:
                extra["unit"] = self.positions.size(scale)
            if self.chained:
                extra |= self._chained(rows, reference, scale, given)
            told = drawn(self.number_head, 0, **extra)
            told, categories = told if self.chained else (told, categories)
            numbers = self._in_units(told, reference, scale)
            numbers, clipped = self.recording.held(numbers)
        if self.category_head is not None:
            of_head = drawn(self.category_head, 2)
            if processor.ends:
                last = of_head[:, -1] == _LAST
                of_head = of_head[:, :-1]
            categories = tf.concat([categories, of_head], axis=-1)
        values = numbers if self.positions.frame > 1 else processor.join(numbers, categories)
        if given is not None:
            values = tf.where(tf.math.is_nan(given), values, given)
        return values, last, clipped

    def _chained(self, rows, reference, scale, given):
        """What a chain is told in sampling: how columns are recorded, and which are given."""
        origin, unit = reference
        count = self.positions.numbers

        def scaled(numbers):
            return (self.positions.scaled(numbers, scale) - origin) / unit

        def record(number, column):
            alone = tf.pad(number, [[0, 0], [column, count - 1 - column]])
            numbers = self.recording.held(self._in_units(alone, reference, scale))[0]
            return scaled(numbers)[:, column : column + 1]

        told = {"record": record}
        if given is not None:
            given = tf.broadcast_to(given, [rows, self.positions.width])
            told["given"] = scaled(self.processor.numbers(given))
            told["categories"] = self.processor.categories(given)
        return told

    def _in_units(self, told, reference, scale):
        """Numbers in the data's units of what heads sample; counts are in them."""
        origin, unit = reference
        if not self.number_head.has_counts:
            return self.positions.unscaled(told * unit + origin, scale)
        if not self.chained:
            return told
        numbers = self.positions.unscaled(told * unit + origin, scale)
        return tf.where(self.number_head.is_count, told, numbers)

    def _number_log_prob(self, parameters, values, counted, reference, scale):
        """What the head of numbers tells of them, or of all columns, in scaled units.

        Returns:
            The log likelihood of those counted, `(...)`, and what makes a density in the data's
            units of each number: NaN where it is the slope of the scaling.
        """
        (origin, unit), processor, head = reference, self.processor, self.number_head
        numbers = processor.numbers(values)
        scaled = self.positions.scaled(numbers, scale)
        observed = ~tf.math.is_nan(scaled)
        numbers, scaled = tf.where(observed, numbers, 0.0), tf.where(observed, scaled, 0.0)
        added = tf.fill(tf.shape(scaled), np.float32(np.nan))
        counted = tf.broadcast_to(counted, tf.shape(values))
        of_numbers = counted
        if processor.num_categories:
            of_numbers = tf.gather(counted, np.array(processor.number_columns, np.int32), axis=-1)
        of_numbers = of_numbers & observed

        def told(numbers):
            return (self.positions.scaled(numbers, scale) - origin) / unit

        extra = {}
        if len(self.recording.columns):
            extra["cells"], added = self.recording.cells(numbers, told)
        relative = (scaled - origin) / unit
        counts = None
        if head.has_counts:
            size = tf.broadcast_to(self.positions.size(scale), tf.shape(numbers))
            counts = Counts(numbers, size)
        if self.chained:
            relative = tf.where(observed, relative, np.float32(np.nan))
            extra |= {"counts": counts, "categories": processor.categories(values)}
            total = head.log_prob(parameters, relative, counted, **extra)
        elif head.has_counts:
            total = head.log_prob(parameters, counts, of_numbers)
        else:
            total = head.log_prob(parameters, relative, of_numbers, **extra)
        if self.relative:
            count = tf.cast(tf.math.is_nan(added) & of_numbers, tf.float32)
            total -= tf.reduce_sum(count * tf.math.log(unit), axis=-1)
        return total, added

    def _category_log_prob(self, hidden, values, last):
        """The log probability of the categories that the head of numbers does not tell."""
        categories = self.processor.categories(values)
        if self.chained:
            categories = categories[..., :0]
        if self.processor.ends:
            ends = tf.fill(tf.shape(values)[:-1], -1) if last is None else tf.cast(last, tf.int32)
            categories = tf.concat([categories, ends[..., None]], axis=-1)
        return self.category_head.log_prob(self.category_head(hidden), categories)
