"""Forecasts of new series, of which nothing but what belongs to them is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfgen import models
from tfgen.data import Feature, Sequences
from tfgen.data.contexts import read_context
from tfgen.errors import InputError
from tfgen.models.numbers.told import Told
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig

START, HOUR = 1_600_000_000, 3600
NOTHING = np.zeros([0, 1], np.float32)


def series(count=6, time=30, level=10.0):
    """Series whose level is their static number, by the hour, with a known column."""
    rng = np.random.default_rng(0)
    static = level * np.arange(count, dtype=np.float32)[:, None]
    values = [rng.normal(size=[time, 1]).astype(np.float32) + each for each in static]
    known = [np.arange(time, dtype=np.float32)[:, None] % 2] * count
    return Sequences(
        "made", "series", (Feature("a"),), values, [str(number) for number in range(count)],
        times=[START + HOUR * np.arange(time)] * count, known=known, known_names=("k",),
        static=static, static_names=("s",),
    )  # fmt: skip


def processor(**changes):
    return SequenceProcessor.fit(series(), PreprocessingConfig(**changes))


def test_a_series_without_a_position_has_the_time_before_its_start():
    own = processor()
    engine = SimpleNamespace(processor=own)
    lengths = np.array([0, 2], np.int32)
    told = Told([[], [START, START + HOUR]], np.zeros([5, 1]), None, [1.0], START + 5 * HOUR)
    given = told.of_series(engine, lengths, 2, 3)
    np.testing.assert_array_equal(given["times"] - START, [[4 * HOUR, 4 * HOUR], [0, HOUR]])
    alone = Told(None, np.zeros([3, 1]), None, [1.0], None).of_series(engine, lengths[:1], 0, 3)
    np.testing.assert_array_equal(alone["times"], [[own.start_time - HOUR]])
    with pytest.raises(InputError, match="start_time is for a context of length 0"):
        Told([START] * 2, np.zeros([5, 1]), None, [1.0], START).of_series(engine, lengths[1:], 2, 3)
    with pytest.raises(InputError, match="times is needed"):
        Told(None, np.zeros([5, 1]), None, [1.0], START).of_series(engine, lengths, 2, 3)
    with pytest.raises(InputError, match="times must have one time"):
        Told([[], [START]], np.zeros([5, 1]), None, [1.0]).of_series(engine, lengths, 2, 3)


def test_calendar_steps_go_back_as_they_go_on():
    months = np.array(["2020-01-31", "2020-02-29", "2020-03-31"], "M8[s]").astype(np.int64)
    data = series(2, 3)
    data.times = [months, months]
    own = SequenceProcessor.fit(data, PreprocessingConfig())
    assert own.times_after(months[2], np.int64(-1)) == months[1]
    given = Told(None, np.zeros([2, 1]), None, [1.0], months[2])
    if own.needs_times:
        own = SimpleNamespace(processor=own)
        np.testing.assert_array_equal(
            given.of_series(own, np.zeros(1, np.int32), 0, 2)["times"], [[months[1]]]
        )


def test_a_series_of_nothing_has_the_usual_scale():
    model = models.make("gru", "numbers", processor=processor(scaler="mean"), units=4, layers=1)
    values = tf.constant([[[np.nan]], [[4.0]]])
    arguments = {"values": values, "lengths": tf.constant([0, 1])}
    scale = model.engine.positions.series(arguments)["scale"]
    np.testing.assert_allclose(scale[:, 0], [model.processor.scale[0], 4.0])


def test_a_table_tells_of_a_new_series():
    data = series(2, 8)
    data.values[1][:] = np.nan
    context = read_context(data, 1, 99, 3, processor())
    assert context.values.shape == (0, 1) and context.start == START and len(context.times) == 0
    np.testing.assert_array_equal(context.future, START + HOUR * np.arange(3))
    np.testing.assert_array_equal(context.known[:, 0], [0, 1, 0])
    assert context.static == [10] and read_context(data, 0, 99, 0, processor()).start is None
    with pytest.raises(InputError, match="has no value"):
        read_context(data, 1, 99, 3, processor(), backtest=True)
    bare = Sequences("made", "series", data.features, data.values, data.ids)
    with pytest.raises(InputError, match="The series '1' of made has no value"):
        read_context(bare, 1, 99, 3)


@pytest.mark.long
@pytest.mark.parametrize(
    ("family", "scaler", "arguments"),
    [
        ("gru", "mean", {"units": 4, "layers": 1}),
        ("transformer", "standard", {"width": 8, "heads": 1, "layers": 1}),
    ],
)
def test_a_forecast_of_nothing_is_what_is_generated(family, scaler, arguments):
    own = processor(scaler=scaler)
    model = models.make(family, "numbers", processor=own, seed=1, **arguments)
    start, known, static = START + 7 * HOUR, np.array([[1.0], [0], [1]]), [20.0]
    drawn = model.forecast(
        NOTHING, 3, 5, seed=2, known=known, static=static, start_time=start
    ).samples
    told = {"known": known, "static": static, "start_time": start}
    np.testing.assert_array_equal(drawn, model.generate(5, 3, seed=2, **told))
    # Beside a series that has begun, too, each by its own.
    both = model.forecast(
        [NOTHING, np.ones([2, 1])], 3, 5, seed=2, times=[[], [START, START + HOUR]],
        known=np.stack([np.concatenate([known, known[:2]]), np.zeros([5, 1])]),
        static=[static, static], start_time=start,
    ).samples  # fmt: skip
    np.testing.assert_allclose(both[0], drawn, rtol=1e-4, atol=1e-4)
    assert np.any(both[1] != both[0])
