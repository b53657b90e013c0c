"""`WhiteningScaler`: columns that go together, turned into columns that do not."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.preprocessing.scaler import Scaler, as_float, finite_numbers, keep_missing

# A direction with less than this share of a column's variance is a relation that always holds, up
# to rounding. Stretched to unit variance, the rounding would become the data.
_LEAST_VARIANCE = 1e-9


@keras.saving.register_keras_serializable(package="tfgen")
class WhiteningScaler(Scaler):
    """Principal components of the standardised columns, each stretched to unit variance.

    For columns that nearly repeat each other, such as the open, high, low and close of a price:
    what they share becomes one component, and each of the small ways in which they differ another
    one as large. A model need not then learn to tell numbers apart that differ in their third
    digit. A component along which the data do not vary keeps its width.

    The scaled numbers are no longer the columns', so bounds cannot be told in them; and a position
    of which a number is missing is missing altogether.

    Args:
        mean: A number for each column; None until `adapt` has found them.
        matrix: List with a row for each column: `(values - mean) @ matrix` are the components.
        **kwargs: `name` and the like of a Keras layer.

    Raises:
        ValueError: If they are no such numbers, do not fit, or the matrix has no inverse.
    """

    mixes = True

    def __init__(self, mean=None, matrix=None, **kwargs):
        super().__init__(**kwargs)
        self._set(mean, matrix)

    def _set(self, mean, matrix):
        self.mean = finite_numbers("mean", mean)
        self.matrix = None
        self._constants = None
        if (mean is None) != (matrix is None):
            raise ValueError("mean and matrix must be given together")
        if mean is None:
            return
        if not isinstance(matrix, (list, tuple)) or len(matrix) != len(self.mean):
            raise ValueError(f"matrix must have a row for each of {len(self.mean)} columns")
        rows = [finite_numbers("matrix", list(row)) for row in matrix]
        if any(len(row) != len(rows) for row in rows):
            raise ValueError(f"matrix must be square, {len(rows)} x {len(rows)}")
        self.matrix = [list(row) for row in rows]
        square = np.array(rows, np.float64)
        sign, self._log_determinant = np.linalg.slogdet(square)
        if not sign or not np.isfinite(self._log_determinant):
            raise ValueError("matrix must have an inverse")
        self._constants = (
            np.array(self.mean, np.float32),
            square.astype(np.float32),
            np.linalg.inv(square).astype(np.float32),
        )

    def adapt(self, values, names=None):
        super().adapt(
            values, names
        )  # a column without a value, or with an infinite one, is refused
        values = np.asarray(values, np.float64)
        whole = values[~np.isnan(values).any(axis=1)]
        if len(whole) < 2:
            raise InputError(
                "preprocessing.scaler=whiten needs positions at which no number is missing. "
                f"Received: {len(whole)} of them"
            )
        mean, std = whole.mean(axis=0), whole.std(axis=0)
        std = np.where(std > 0, std, 1.0)
        standard = (whole - mean) / std
        variances, directions = np.linalg.eigh(standard.T @ standard / len(whole))
        # The largest first; of the two signs the one with a positive sum, for all machines alike.
        variances, directions = variances[::-1], directions[:, ::-1]
        directions = directions * np.where(directions.sum(axis=0) < 0, -1.0, 1.0)
        widths = np.where(variances > _LEAST_VARIANCE, np.sqrt(np.maximum(variances, 0)), 1.0)
        self._set(mean.tolist(), (directions / widths / std[:, None]).tolist())
        return self

    def check_width(self, width):
        found = 0 if self.mean is None else len(self.mean)
        if found != width:
            raise ValueError(f"mean must have {width} numbers. Received: mean={self.mean}")

    def _tensors(self):
        if self._constants is None:
            raise ValueError("WhiteningScaler has no constants yet: call adapt first")
        return tuple(tf.constant(each) for each in self._constants)

    def call(self, values, scale=None):
        mean, matrix, _ = self._tensors()
        return _product(as_float(values) - mean, matrix)

    def inverse(self, scaled, scale=None):
        mean, _, inverse = self._tensors()
        return _product(as_float(scaled), inverse) + mean

    def log_slope(self, values, scale=None):
        """Each column's share of the log determinant, by which the density of all changes."""
        self._tensors()
        values = as_float(values)
        return keep_missing(values, tf.constant(self._log_determinant / len(self.mean), tf.float32))

    def get_config(self):
        return {
            **super().get_config(),
            "mean": self.mean and list(self.mean),
            "matrix": self.matrix,
        }


def _product(values, matrix):
    """A product over the last axis that is the same, number by number, for any number of rows."""
    return tf.reduce_sum(values[..., :, None] * matrix, axis=-2)
