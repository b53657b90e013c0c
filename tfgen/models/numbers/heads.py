"""The heads of numbers by name, and how one is made for data."""

import keras
import numpy as np

from tfgen.arguments import parameters_of
from tfgen.layers.bivariate_mixture_head import BivariateMixtureHead
from tfgen.layers.checks import check
from tfgen.layers.clip_by_value import GRADIENTS
from tfgen.layers.gaussian_mixture_head import GaussianMixtureHead
from tfgen.layers.quantized_head import QuantizedHead
from tfgen.layers.regression_head import RegressionHead
from tfgen.layers.student_t_head import StudentTHead

HEADS = {
    "gaussian_mixture": GaussianMixtureHead,
    "bivariate_mixture": BivariateMixtureHead,
    "student_t": StudentTHead,
    "quantized": QuantizedHead,
    "regression": RegressionHead,
}
BOUNDINGS = (*GRADIENTS, "squash", "censored", "none")
_FREE = "censored", "none"  # which leave a head's locations alone


def make_head(kind, positions, bounding, relative, seed, **arguments):
    """The head of a position's numbers.

    Args:
        kind: One of `HEADS`.
        positions: `Positions` of data with numbers.
        bounding: One of `BOUNDINGS`.
        relative: Whether the head tells numbers from others, so that bounds are elsewhere for it.
        seed: Of its kernel.
        **arguments: Of all heads; each has its own of them.

    Raises:
        ValueError: If the head has no likelihood of how the data was recorded.
    """
    cls, processor = HEADS[kind], positions.processor
    taken = parameters_of(cls)
    own = {name: value for name, value in arguments.items() if name in taken}
    bounds = processor.scaled_bounds()
    if not (relative or positions.frame > 1 or bounding in _FREE or bounds is None):
        if "bounding" in taken and np.isfinite(bounds).any():
            own |= {"low": bounds[0], "high": bounds[1], "bounding": bounding}
    initializer = keras.initializers.VarianceScaling(0.1, mode="fan_in", seed=seed)
    head = cls(positions.numbers, **own, kernel_initializer=initializer, name="number_head")
    fits = head.has_cells and positions.frame == 1 and not processor.scaler.mixes
    rule = "is for the heads gaussian_mixture (diagonal), student_t and regression"
    check(fits or not any(processor.steps), f"data.resolution {rule}", head=kind)
    check(fits or bounding != "censored", f"bounding='censored' {rule}", bounding=bounding)
    return head
