"""`Cells`: values that stand for all that lies between two edges, as recorded data has them."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfgen.layers.masses import log_normal_mass, log_student_t_mass
from tfgen.layers.normal_features import put
from tfgen.layers.wrapped_normal import log_wrapped_normal_mass


class Cells(NamedTuple):
    """What recorded values stand for, where that is more than a point.

    A value at a bound stands for all beyond it (Tobin, "Estimation of relationships for limited
    dependent variables", 1958), one of a column recorded in steps for what is rounded to it
    (arXiv:1701.05517, section 2.1). Its likelihood is the mass between the edges.

    Attributes:
        columns: NumPy int `(cells,)`: the features that have any.
        lower: float32 `(..., cells)`, lower edges after scaling; `-inf` is open.
        upper: The same of upper edges; `inf` is open. Where it equals `lower` the value is a point.
    """

    columns: Any
    lower: Any
    upper: Any

    def of_components(self):
        """The same for parameters that have an axis of components before that of features."""
        return self._replace(lower=self.lower[..., None, :], upper=self.upper[..., None, :])

    def normal(self, log_probs, locations, scales, circular=()):
        """Log densities `(..., features)` of normal features, the masses of cells among them.

        Those of angles, the features `circular`, are wrapped normal.
        """
        angles = np.isin(self.columns, circular)
        if not angles.any():
            return self._among(log_probs, log_normal_mass(*self._edges(locations, scales)))
        turned, straight = self._some(angles), self._some(~angles)
        if len(straight.columns):
            log_probs = straight.normal(log_probs, locations, scales)
        locations, scales = (
            tf.gather(each, turned.columns, axis=-1) for each in (locations, scales)
        )
        edges = (edge - locations for edge in (turned.lower, turned.upper))
        return turned._among(log_probs, log_wrapped_normal_mass(*edges, scales))

    def of_column(self, column):
        """The cells of one column as of one that is alone; None where it has none."""
        which = self.columns == column
        return self._some(which)._replace(columns=np.zeros(1, int)) if which.any() else None

    def _some(self, which):
        """Those of some columns."""
        index = np.flatnonzero(which)
        lower, upper = (tf.gather(edge, index, axis=-1) for edge in (self.lower, self.upper))
        return Cells(self.columns[index], lower, upper)

    def student_t(self, log_probs, locations, scales, df, log_constant):
        """The same of Student-t features."""
        own = (tf.gather(each, self.columns, axis=-1) for each in (df, log_constant))
        edges = self._edges(locations, scales)
        return self._among(log_probs, log_student_t_mass(*edges, *own))

    @property
    def _are(self):
        return self.upper > self.lower

    def _edges(self, locations, scales):
        """The edges in scales from the locations; those of points are made up."""
        locations, scales = (tf.gather(each, self.columns, axis=-1) for each in (locations, scales))
        for edge, other in ((self.lower, -1.0), (self.upper, 1.0)):
            # Of an infinite edge the slopes by location and scale would be NaN.
            infinite = tf.math.is_inf(edge)
            finite = (tf.where(infinite, 0.0, edge) - locations) / scales
            yield tf.where(self._are, tf.where(infinite, edge, finite), other)

    def _among(self, log_probs, masses):
        """Log densities in which masses take the place of those of cells."""
        masses = tf.where(self._are, masses, tf.gather(log_probs, self.columns, axis=-1))
        return put(log_probs, self.columns, masses)
