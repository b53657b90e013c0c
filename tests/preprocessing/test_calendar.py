"""Processors of monthly data and of business days: what the network is told, and times to come."""

import numpy as np
import pandas
import pytest
import tensorflow as tf

from tfgen.data.sequences import Feature, Sequences
from tfgen.preprocessing import SequenceProcessor
from tfgen.preprocessing.processor_files import load_processor, save_processor
from tfgen.recipe import PreprocessingConfig

YEAR = 31_556_952


def spaced(frequency, count, start="2000-01-01"):
    times = pandas.date_range(start, periods=count, freq=frequency)
    return times.to_numpy().astype("M8[s]").astype(np.int64)


def fitted(times):
    values = [np.arange(len(each), dtype=np.float32)[:, None] for each in times]
    ids = [f"{number}" for number in range(len(times))]
    sequences = Sequences("a", "series", (Feature("a"),), values, ids, times=times)
    return SequenceProcessor.fit(sequences, PreprocessingConfig())


@pytest.mark.parametrize(
    ("frequency", "calendar"),
    [("MS", (YEAR,)), ("B", (604_800, YEAR)),
     *(pytest.param(*each, marks=pytest.mark.long) for each in [
         ("ME", (YEAR,)), ("QS", (YEAR,)), ("QE", (YEAR,)), ("YS", ()), ("BME", (YEAR,)),
         ("BMS", (YEAR,)),
     ])],
)  # fmt: skip
def test_times_to_come_are_of_the_calendar(tmp_path, frequency, calendar):
    times = spaced(frequency, 500)
    processor = fitted([times[:400]])
    assert processor.calendar == calendar and not processor.irregular
    path = tmp_path / "sequence.json"
    save_processor(processor, path)
    for each in (processor, load_processor(path)):
        steps = tf.range(1, 101, dtype=tf.int64)
        found = each.times_after(tf.constant(times[399:400])[:, None], steps)
        np.testing.assert_array_equal(found, times[None, 400:])
        np.testing.assert_array_equal(each.times_after(times[399], np.arange(1, 101)), times[400:])
    compiled = tf.function(processor.times_after, jit_compile=True)
    found = compiled(tf.constant(times[399]), tf.range(1, 101, dtype=tf.int64))
    np.testing.assert_array_equal(found, times[400:])


def test_gaps_are_told_in_steps_of_the_calendar():
    times = np.delete(spaced("B", 300, "2022-01-03"), [7, 8, 90])
    processor = fitted([times])
    assert processor.irregular and processor.calendar_step == "1 business day"
    # Two days over a weekend are one step; where two days are left out there are three.
    shown = processor.covariates(tf.constant(times[None]))[0, :, -1]
    steps = np.ones(len(times))
    steps[7], steps[88] = 3, 2
    np.testing.assert_allclose(shown, np.log1p(steps), rtol=1e-6)


def test_processors_without_a_calendar_count_seconds():
    processor = SequenceProcessor(features=[Feature("a")], step=3600, irregular=True)
    assert processor.calendar_step is None and processor.mean_step == 3600
    assert processor.times_after(np.int64(7200), np.arange(3)).tolist() == [7200, 10800, 14400]
    shown = processor.covariates(tf.constant([[0, 3600, 10800]], tf.int64))
    np.testing.assert_allclose(shown[0, :, 0], np.log1p([1.0, 1, 2]), rtol=1e-6)


@pytest.mark.parametrize("step", ["1 day", 3])
def test_a_step_that_is_none_is_refused(step):
    with pytest.raises((ValueError, TypeError)):
        SequenceProcessor(features=[Feature("a")], step=3600, calendar_step=step)
