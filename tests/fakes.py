"""What stands for trained models of numbers in tests of the command line."""

import csv
import io

import numpy as np

from tfgen.data import Feature
from tfgen.models.engines.rollout import Rollout
from tfgen.models.numbers.options import sampling_options
from tfgen.models.numbers.results import Forecast
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import Recipe

START = 1704067200  # 2024-01-01, a Monday
HOUR = 3600


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


class FakeNumbers:
    """Stands for a trained model of numbers: it writes down how it was called."""

    max_positions = calibration = None
    ends = False
    engine, options = Rollout, sampling_options(Rollout)
    rows_at_once, history, tells_progress = Rollout.rows_at_once, 0, False

    def __init__(self, processor, data=()):
        self.processor = processor
        self.recipe = Recipe("lstm").override({f"data.{key}": v for key, v in dict(data).items()})
        self.calls = []

    def can(self, method):
        return hasattr(self, method)

    def generate(self, **options):
        self.calls.append(options)
        length = options["length"] or 4
        steps = np.arange(length, dtype=np.float32)[:, None] * 0.5
        values = [steps + np.zeros(self.processor.num_features)] * options["num_samples"]
        # A drawing or a clip has a length of its own.
        return [v[: length - row] if self.processor.ends else v for row, v in enumerate(values)]

    def stream(self, **options):
        (whole,) = self.generate(num_samples=1, **options)
        yield from np.array_split(whole, 2)

    def forecast(self, context, horizon, num_samples, quantiles=(0.5,), **options):
        """Sample s of every position is the last value and s."""
        self.calls.append({"context": context, **options})
        last = np.stack([values[-1] for values in context])[:, None, None]
        samples = last + np.arange(num_samples)[None, :, None, None] + np.zeros([1, 1, horizon, 1])
        by_level = {q: np.quantile(samples, q, axis=1) for q in quantiles}
        return Forecast(samples.mean(axis=1), by_level, samples)

    def impute(self, values, num_samples, **options):
        """Sample s has s wherever something is missing."""
        self.calls.append(options)
        filled = np.arange(num_samples, dtype=np.float32)[:, None, None]
        return np.where(np.isnan(values), filled, values)


PROCESSORS = {
    "weather-model": SequenceProcessor(
        features=[Feature("temp"), Feature("sky", ("clear", "cloudy", "rain"))],
        step=HOUR,
        start_time=START,
        calendar=[86400],
        length=4,
        classes=["coast", "1", "hill"],
        has_missing=True,
    ),
    "plain-model": SequenceProcessor(features=[Feature("x"), Feature("time")], length=3),
    "pen-model": SequenceProcessor(
        kind="strokes",
        features=[Feature("dx"), Feature("dy"), Feature("pen", ("down", "up"))],
        ends=True,
        length=4,
    ),
    "sound-model": SequenceProcessor(
        kind="audio", features=[Feature("amplitude", (), -1, 1)], ends=True, sample_rate=8000,
        length=4,
    ),
}  # fmt: skip
