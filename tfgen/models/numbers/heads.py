"""The heads of numbers by name, and how one is made for data."""

import keras
import numpy as np

from tfgen.arguments import parameters_of
from tfgen.layers.bivariate_mixture_head import BivariateMixtureHead
from tfgen.layers.categorical_head import CategoricalHead
from tfgen.layers.chain_head import ChainHead
from tfgen.layers.checks import check
from tfgen.layers.clip_by_value import GRADIENTS
from tfgen.layers.gaussian_mixture_head import GaussianMixtureHead
from tfgen.layers.negative_binomial_head import NegativeBinomialHead
from tfgen.layers.quantized_head import QuantizedHead
from tfgen.layers.regression_head import RegressionHead
from tfgen.layers.student_t_head import StudentTHead

HEADS = {
    "gaussian_mixture": GaussianMixtureHead,
    "bivariate_mixture": BivariateMixtureHead,
    "student_t": StudentTHead,
    "quantized": QuantizedHead,
    "regression": RegressionHead,
    "negative_binomial": NegativeBinomialHead,
    "zero_inflated_negative_binomial": NegativeBinomialHead,
    "chain": ChainHead,
    "independent": CategoricalHead,
}
_ADAPTED = 1e-4  # variance of what a head tells at first
COUNTED = "negative_binomial", "zero_inflated_negative_binomial"
_FIXED = {"zero_inflated_negative_binomial": {"zero_inflated": True}}
BOUNDINGS = (*GRADIENTS, "squash", "censored", "none")
_FREE = "censored", "none"  # which leave a head's locations alone


def make_head(kind, positions, bounding, relative, adapted, seed, **arguments):
    """The head of a position's numbers, or, of a chain, of all its columns; None if there are none.

    Args:
        kind: One of `HEADS`.
        positions: `Positions` of data with numbers.
        bounding: One of `BOUNDINGS`.
        relative: Whether the head tells numbers from others, so that bounds are elsewhere for it.
        adapted: Whether what the head departs from is fitted to the data, so that its first word
            had better be that there is no more to tell.
        seed: Of its kernel.
        **arguments: Of all heads; each has its own of them.

    Raises:
        ValueError: If the head has no likelihood of how the data was recorded.
    """
    cls, processor = HEADS[kind], positions.processor
    alone = cls is CategoricalHead
    names = [processor.features[column].name for column in processor.number_columns]
    rule = f"head must suit numbers: {', '.join(names)} (independent is for categories alone)"
    check(not (alone and names), rule, head=kind)
    if alone or not (names or (cls is ChainHead and processor.num_features > 1)):
        return None
    taken = parameters_of(cls)
    own = {name: value for name, value in arguments.items() if name in taken}
    own |= _FIXED.get(kind, {})
    bounds = processor.scaled_bounds()
    if not (relative or positions.mixes or bounding in _FREE or bounds is None):
        if "bounding" in taken and np.isfinite(bounds).any():
            low, high = map(positions.tiled, bounds)
            own |= {"low": low, "high": high, "bounding": bounding}
    if positions.circular and "circular" in taken:
        own["circular"] = positions.circular
    own["kernel_initializer"] = keras.initializers.VarianceScaling(
        _ADAPTED if adapted else 0.1, mode="fan_in", seed=seed
    )
    own["name"] = "number_head"
    columns = [processor.features[column] for column in processor.number_columns]
    if cls is ChainHead:
        each = processor.features * positions.patch
        heads = [_of_column(feature, arguments) for feature in each]
        head = ChainHead(heads, arguments["chain_units"], **own)
    else:
        head = cls(positions.numbers, **own)
        others = [feature.name for feature in columns if not feature.is_count]
        check(
            not (head.has_counts and others),
            f"head must suit numbers that are no counts: {', '.join(others)} (counts have "
            "data.resolution=['name=1'] and data.bounds=['name=0:'])",
            head=kind,
        )
    plain = not positions.mixes
    fits = plain and (head.has_cells or head.has_counts)
    rule = "is for the heads gaussian_mixture (diagonal), student_t, regression and chain"
    check(fits or not any(processor.steps), f"data.resolution {rule}", head=kind)
    check(fits or bounding != "censored", f"bounding='censored' {rule}", bounding=bounding)
    check(plain or kind != "chain", "head='chain' is for columns as they are", head=kind)
    rule = "data.circular is for the heads gaussian_mixture (diagonal), regression and chain"
    fits = "circular" in taken or cls is ChainHead
    check(fits or not processor.circular, rule, head=kind)
    return head


def _of_column(feature, arguments):
    """The head of one column of a chain: the likelihood that fits it."""
    if feature.is_category:
        return CategoricalHead([len(feature.levels)])
    if feature.is_count:
        return NegativeBinomialHead(1)
    return GaussianMixtureHead(
        1,
        components=arguments["components"],
        min_scale=arguments["min_scale"],
        circular=[] if feature.circle is None else [0],
    )
