"""`Score`: a number over several runs, beside those of real data and of a naive model."""

import dataclasses
import math

import numpy as np

from tfgen.errors import unknown

BETTER = ("lower", "higher", "near")


@dataclasses.dataclass(frozen=True)
class Score:
    """A score over several runs, beside what real data and a naive model get.

    Attributes:
        mean: Over the runs; NaN if it could not be computed.
        spread: Standard deviation over the runs (of one run less than there are, as of a sample);
            None for a single one.
        real: The same score of real data against other real data: what the best model gets.
            None where there is no such thing.
        baseline: The same score of the naive model.
        real_spread: Spread of `real`.
        baseline_spread: Spread of `baseline`.
        better: `"lower"`, `"higher"`, or `"near"` for a score that is best at its `target`.
        target: The best value of such a score.
        runs: The values of which `mean` is the mean.
    """

    mean: float
    spread: float | None = None
    real: float | None = None
    baseline: float | None = None
    real_spread: float | None = None
    baseline_spread: float | None = None
    better: str = "lower"
    target: float | None = None
    runs: tuple[float, ...] = ()

    def __post_init__(self):
        if self.better not in BETTER:
            raise unknown("better", self.better, BETTER)

    @classmethod
    def of(cls, values, real=None, baseline=None, better="lower", target=None):
        """Makes a score of its values in the single runs.

        Args:
            values: Numbers, one for each run. NaN are left out.
            real: The same of real data, or None.
            baseline: The same of the naive model, or None.
            better: See `Score`.
            target: See `Score`.
        """
        mean, spread = _moments(values)
        real_mean, real_spread = _moments(real)
        base_mean, base_spread = _moments(baseline)
        return cls(
            mean=math.nan if mean is None else mean,
            spread=spread,
            real=real_mean,
            baseline=base_mean,
            real_spread=real_spread,
            baseline_spread=base_spread,
            better=better,
            target=target,
            runs=tuple(float(value) for value in values),
        )

    def to_dict(self):
        """Returns a dict that JSON can hold: NaN and infinity are None."""
        return plain({**dataclasses.asdict(self), "runs": list(self.runs)})

    @classmethod
    def from_dict(cls, record):
        """The score of what `to_dict` returned."""
        mean = math.nan if record["mean"] is None else record["mean"]
        return cls(**{**record, "mean": mean, "runs": tuple(record["runs"])})


def readable(score):
    """Returns `mean ± spread` of a `Score`, of four digits."""
    return with_spread(score.mean, score.spread)


def with_spread(mean, spread, none="–"):
    """Returns a mean and its spread, if any, of four digits; `none` for no mean."""
    if mean is None or math.isnan(mean):
        return none
    return f"{mean:.4g}" + ("" if spread is None else f" ± {spread:.2g}")


def is_score(value):
    """Whether a value is what `Score.to_dict` returns."""
    return isinstance(value, dict) and {"mean", "spread", "real", "baseline"} <= set(value)


def plain(value):
    """Returns a value as JSON has it: NumPy's numbers as Python's, NaN and infinity as None."""
    if isinstance(value, Score):
        return value.to_dict()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _moments(values):
    """Mean and standard deviation of what is no NaN; None where there is too little."""
    values = np.asarray([] if values is None else values, np.float64)
    values = values[np.isfinite(values)]
    mean = float(np.mean(values)) if len(values) else None
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else None
