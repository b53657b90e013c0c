"""`ChainHead`: columns of any kinds one after the other, as one exact joint distribution."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.layers.checks import check, check_whole
from tfgen.layers.distribution_head import DistributionHead, draw
from tfgen.layers.negative_binomial_head import Counts
from tfgen.layers.products import as_tensor, dense

# Of a number that the next columns read: further out it says no more than that it is far out.
_FURTHEST = 30.0


@keras.saving.register_keras_serializable(package="tfgen")
class ChainHead(DistributionHead):
    """The columns of a position one after the other, each given the recorded values before it.

    p(x) = product of p(x[j] | x[0], ..., x[j - 1]), where each factor is the distribution of a head
    of its own: a mixture of Gaussians, of angles, counts, categories. So columns that are bounded,
    in steps, circular, counted or no numbers at all have one joint distribution, and its likelihood
    is exact. All factors come from one masked network with a hidden layer (Germain et al., "MADE",
    arXiv:1502.03509): one pass in training, and one a column in sampling.

    A column that is missing is left out: it adds nothing, and those after it are told that it is
    missing.

    Args:
        heads: The columns: for each a `DistributionHead` of one feature, whose parameters all come
            from its product. One of `CategoricalHead` is a category, all others are numbers.
        units: Width of the hidden layer of each column.
        kernel_initializer: As of `DistributionHead`.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, heads, units=32, kernel_initializer=None, **kwargs):
        right = isinstance(heads, (list, tuple)) and len(heads) > 0
        right = right and all(isinstance(h, DistributionHead) and h.features == 1 for h in heads)
        check(right, "heads must be a list of heads of one feature", heads=heads)
        check_whole(1, units=units)
        super().__init__(len(heads), kernel_initializer, **kwargs)
        self.heads = list(heads)
        self.units = units
        for head in self.heads:
            head.built = True  # without a product: the one of all is here
        # Of each column: which of the numbers, or of the categories, and what the next ones read.
        self.is_category = [head.has_categories for head in self.heads]
        counts = np.cumsum([[kind, not kind] for kind in self.is_category], axis=0) - 1
        self._own = [int(row[0 if kind else 1]) for row, kind in zip(counts, self.is_category)]
        widths = [sum(head.levels) if head.has_categories else 3 for head in self.heads]
        self._read_edges = np.cumsum([0, *widths])
        sizes = [sum(start.size for start in head.starts().values()) for head in self.heads]
        self._edges = np.cumsum([0, *sizes])
        # The levels of each column, where all are categories of as many: pitches, voices.
        alike = all(self.is_category) and len(set(widths)) == 1
        self._levels = widths[0] if alike and len(widths) > 1 else None

    @property
    def numbers(self):
        """How many of the columns are numbers."""
        return self.is_category.count(False)

    @property
    def is_count(self):
        """bool `(numbers,)`: which of the numbers are counts."""
        return np.array([head.has_counts for head in self.heads if not head.has_categories])

    @property
    def has_cells(self):
        return True

    @property
    def has_categories(self):
        return any(self.is_category)

    @property
    def has_counts(self):
        return any(head.has_counts for head in self.heads)

    def starts(self):
        raw = [start.ravel() for head in self.heads for start in head.starts().values()]
        return {"hidden": np.zeros(self.units * len(self.heads)), "raw": np.concatenate(raw)}

    @property
    def uniforms(self):
        return sum(head.uniforms for head in self.heads)

    @property
    def normals(self):
        return sum(head.normals for head in self.heads)

    def build(self, input_shape):
        super().build(input_shape)
        read, raw, hidden = self._read_edges[-1], self._edges[-1], self.units * len(self.heads)

        def weight(name, shape, initializer):
            return self.add_weight(shape, initializer, dtype="float32", autocast=False, name=name)

        self.before = weight("before", (read, hidden), self.kernel_initializer)
        self.before_raw = weight("before_raw", (read, raw), "zeros")
        self.outputs_kernel = weight("outputs", (self.units, raw), self.kernel_initializer)
        # Column i is read by those after it alone.
        of_read = np.repeat(np.arange(len(self.heads)), np.diff(self._read_edges))
        of_raw = np.repeat(np.arange(len(self.heads)), np.diff(self._edges))
        of_hidden = np.repeat(np.arange(len(self.heads)), self.units)
        after = np.concatenate([of_hidden, of_raw])
        self._mask = (of_read[:, None] < after[None]).astype(np.float32)

    def log_prob(self, parameters, scaled, observed=None, cells=None, counts=None, categories=None):
        """The log likelihood of the columns.

        Args:
            parameters: What a call gave.
            scaled: Float `(..., numbers)`. NaN is missing, and told so to the columns after it.
            observed: bool `(..., columns)`: False where a column's own likelihood is not to count.
                It is read by the columns after it all the same.
            cells: As of `DistributionHead`; its columns are those of numbers.
            counts: `Counts` `(..., numbers)`, of which those that are counts matter.
            categories: int32 `(..., categories)`, numbers of levels; one below 0 is missing.
        """
        if self._levels is not None:
            read = self._as_row(tf.one_hot(categories, self._levels))
        else:
            values = (self._value(j, scaled, categories) for j in range(self.features))
            read = tf.concat([self._reading(j, value) for j, value in enumerate(values)], axis=-1)
        kernel = tf.concat([as_tensor(each, tf.float32) for each in self._before], axis=1)
        added = dense(read, kernel * self._mask)
        width = self.units * self.features
        hidden, raw = (
            parameters["hidden"] + added[..., :width],
            parameters["raw"] + added[..., width:],
        )
        if self._levels is not None:
            return self._log_prob_alike(hidden, raw, categories, observed)
        total = 0.0
        for j, head in enumerate(self.heads):
            own = self._of_column(j, hidden, raw)
            value, extra = self._value(j, scaled, categories), {}
            if head.has_counts:
                value = Counts(*(each[..., self._own[j] :][..., :1] for each in counts))
            elif cells is not None and not self.is_category[j]:
                extra = {"cells": cells.of_column(self._own[j])}
            there = None if observed is None else observed[..., j : j + 1]
            total += head.log_prob(own, value, there, **extra)
        return total

    def sample(
        self, parameters, uniform, normal, temperature=1.0, bias=0.0, unit=1.0, record=None,
        given=None, categories=None,
    ):  # fmt: skip
        """Draws one column after the other.

        Args:
            parameters, uniform, normal, temperature, bias: As of `DistributionHead.sample`.
            unit: Of `Counts`, `(rows, numbers)`.
            record: Function of `(number, column)`, `(rows, 1)` as the head of a column of numbers
                samples it, to what is recorded of it, scaled, which the next columns read; None is
                the same.
            given: float32 `(rows, numbers)`, scaled: what is not to be drawn; NaN elsewhere. None
                draws all.
            categories: int32 `(rows, categories)`: the same of categories, -1 elsewhere.

        Returns:
            Numbers `(rows, numbers)` as the heads sample them, and categories int32 `(rows,
            categories)`.
        """
        width, drawn = self.units * self.features, {True: [], False: []}
        hidden, raw = parameters["hidden"], parameters["raw"]
        kernel = tf.concat([as_tensor(each, tf.float32) for each in self._before], axis=1)
        kernel *= self._mask
        if self._levels is not None:
            levels = self._sample_alike(hidden, raw, kernel, uniform, temperature, categories)
            return tf.zeros([tf.shape(uniform)[0], 0]), levels
        unit = tf.broadcast_to(unit, [tf.shape(uniform)[0], self.numbers])
        u = n = 0
        for j, head in enumerate(self.heads):
            which, extra = slice(self._own[j], self._own[j] + 1), {}
            if head.has_counts:
                extra["unit"] = unit[:, which]
            value = head.sample(
                self._of_column(j, hidden, raw),
                uniform[:, u : u + head.uniforms],
                normal[:, n : n + head.normals],
                temperature,
                bias,
                **extra,
            )
            u, n = u + head.uniforms, n + head.normals
            drawn[self.is_category[j]].append(value)
            if self.is_category[j]:
                if categories is not None:
                    value = tf.where(categories[:, which] < 0, value, categories[:, which])
            else:
                value = value if record is None else record(value, self._own[j])
                if given is not None:
                    own = given[:, which]
                    value = tf.where(tf.math.is_nan(own), value, own)
            start, stop = self._read_edges[j : j + 2]
            if j + 1 < self.features:
                added = tf.matmul(self._reading(j, value), kernel[start:stop])
                hidden, raw = hidden + added[:, :width], raw + added[:, width:]
        rows = tf.shape(uniform)[0]
        numbers = tf.concat(drawn[False], -1) if drawn[False] else tf.zeros([rows, 0])
        levels = tf.concat(drawn[True], -1) if drawn[True] else tf.zeros([rows, 0], tf.int32)
        return numbers, levels

    def _log_prob_alike(self, hidden, raw, categories, observed):
        """`log_prob` of categories of as many levels each, all in one go."""
        own = tf.nn.gelu(self._by_column(hidden), approximate=True)  # (..., columns, units)
        logits = self._by_column(raw) + tf.einsum("...ju,ujl->...jl", own, self._outputs_alike())
        there = categories >= 0
        if observed is not None:
            there = there & observed
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=tf.where(there, categories, 0), logits=logits
        )
        return -tf.reduce_sum(tf.where(there, nats, 0.0), axis=-1)

    def _sample_alike(self, hidden, raw, kernel, uniform, temperature, given):
        """`sample` of categories of as many levels each, by a loop over the columns."""
        kernels = tf.transpose(self._outputs_alike(), [1, 0, 2])  # (columns, units, levels)
        told = tf.reshape(kernel, [self.features, self._levels, -1])
        width = self.units * self.features

        def column(j, hidden, raw, drawn):
            own = tf.nn.gelu(tf.gather(self._by_column(hidden), j, axis=1), approximate=True)
            logits = tf.gather(self._by_column(raw), j, axis=1)
            logits += tf.matmul(own, tf.gather(kernels, j, axis=0))
            value = draw(logits, tf.gather(uniform, j, axis=1), temperature)
            kept = value
            if given is not None:
                known = tf.gather(given, j, axis=1)
                kept = tf.where(known < 0, value, known)
            added = tf.gather(tf.gather(told, j, axis=0), kept, axis=0)
            drawn = tf.where(tf.range(self.features) == j, value[:, None], drawn)
            return j + 1, hidden + added[:, :width], raw + added[:, width:], drawn

        drawn = tf.zeros([tf.shape(uniform)[0], self.features], tf.int32)
        begun = tf.constant(0), hidden, raw, drawn
        return tf.while_loop(
            lambda j, *_: j < self.features, column, begun, maximum_iterations=self.features
        )[-1]

    def _by_column(self, values):
        """What belongs to columns of one size, `(..., columns, size)`."""
        shape = [self.features, values.shape[-1] // self.features]
        found = tf.reshape(values, tf.concat([tf.shape(values)[:-1], shape], axis=0))
        return tf.ensure_shape(found, [*values.shape[:-1], *shape])

    def _as_row(self, values):
        """The opposite of `_by_column`."""
        size = values.shape[-1] * values.shape[-2]
        values = tf.reshape(values, tf.concat([tf.shape(values)[:-2], [size]], axis=0))
        return tf.ensure_shape(values, [*values.shape[:-1], size])

    def _outputs_alike(self):
        kernel = as_tensor(self.outputs_kernel, tf.float32)
        return tf.reshape(kernel, [self.units, self.features, self._levels])

    @property
    def _before(self):
        return self.before, self.before_raw

    def _value(self, j, scaled, categories):
        """The values of a column `(..., 1)`."""
        values = categories if self.is_category[j] else scaled
        return values[..., self._own[j] : self._own[j] + 1]

    def _reading(self, j, value):
        """What the columns after it are told of a column `(..., 1)`."""
        if self.is_category[j]:
            return tf.one_hot(value[..., 0], sum(self.heads[j].levels))  # zeros where missing
        observed = ~tf.math.is_nan(value)
        value = tf.where(observed, value, 0.0)
        if getattr(self.heads[j], "circular", ()):
            parts = [tf.sin(value), tf.cos(value)]
        else:
            value = tf.clip_by_value(value, -_FURTHEST, _FURTHEST)
            parts = [value, tf.asinh(value)]
        there = tf.cast(observed, tf.float32)
        return tf.concat([*(part * there for part in parts), there], axis=-1)

    def _of_column(self, j, hidden, raw):
        """The parameters of a column's own distribution."""
        start, stop = self._edges[j : j + 2]
        own = tf.nn.gelu(hidden[..., j * self.units : (j + 1) * self.units], approximate=True)
        kernel = as_tensor(self.outputs_kernel, tf.float32)[:, start:stop]
        head = self.heads[j]
        return head.distribution(head.taken_apart(raw[..., start:stop] + dense(own, kernel)))

    @classmethod
    def from_config(cls, config):
        heads = [keras.saving.deserialize_keras_object(head) for head in config["heads"]]
        return cls(**{**config, "heads": heads})
