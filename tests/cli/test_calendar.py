"""Monthly data and business days from the file to the forecast, and exported."""

import csv

import numpy as np
import pandas
import pytest
import tensorflow as tf
from eager import eagerly

from tfgen.cli import main
from tfgen.zoo import get

SETTINGS = (
    "training.steps=2", "training.window=12", "training.batch_size=2", "model.units=4",
    "model.layers=1", "training.sample_every=0", "training.histogram_every=0",
    "training.validation_batches=1",
)  # fmt: skip


def spaced(frequency, count, start="2000-01-01"):
    return pandas.date_range(start, periods=count, freq=frequency)


def train(folder, name, dates, *options):
    """Trains for two steps on a table of dates; returns its path and the run's."""
    path, run = folder / f"{name}.csv", folder / name
    rows = "".join(f"{date},{100 + n % 12}\n" for n, date in enumerate(dates))
    path.write_text(f"Date,value\n{rows}", encoding="utf-8")
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    words = ["train", "gru", "--data", str(path), "--logdir", str(run), *settings, *options]
    with eagerly():
        assert main(words) == 0
    return path, run


@pytest.fixture(scope="module")
def monthly(tmp_path_factory):
    folder = tmp_path_factory.mktemp("monthly")
    return train(folder, "monthly", spaced("MS", 120).strftime("%m/%Y"))


@pytest.fixture(scope="module")
def business(tmp_path_factory):
    # The newest row first, the month before the day.
    dates = spaced("B", 120, "2022-01-03").strftime("%m/%d/%Y")[::-1]
    return train(tmp_path_factory.mktemp("business"), "business", dates)


def forecast(capsys, path, run, horizon):
    capsys.readouterr()
    words = ["forecast", str(run), "--data", str(path), "--horizon", str(horizon), "--seed", "0"]
    with eagerly():
        assert main([*words, "--num-samples", "2"]) == 0
    return [row["time"] for row in csv.DictReader(capsys.readouterr().out.splitlines())]


def test_a_forecast_of_months_carries_their_first_days(capsys, monthly):
    path, run = monthly
    times = forecast(capsys, path, run, 14)
    assert times[:3] == ["2010-01-01T00:00:00", "2010-02-01T00:00:00", "2010-03-01T00:00:00"]
    assert times[-1] == "2011-02-01T00:00:00" and all(time[8:10] == "01" for time in times)


@pytest.mark.long
def test_a_forecast_of_business_days_skips_weekends(capsys, business):
    path, run = business  # the last of which is Friday, 2022-06-17
    times = forecast(capsys, path, run, 6)
    days = ["2022-06-20", "2022-06-21", "2022-06-22", "2022-06-23", "2022-06-24", "2022-06-27"]
    assert [time[:10] for time in times] == days


def test_generated_months_begin_where_they_are_told(capsys, monthly):
    capsys.readouterr()
    words = ["generate", str(monthly[1]), "--length", "3", "--start-time", "1999-12-01"]
    with eagerly():
        assert main(words) == 0
    rows = csv.DictReader(capsys.readouterr().out.splitlines())
    assert [row["time"][:10] for row in rows] == ["1999-12-01", "2000-01-01", "2000-02-01"]


def test_training_says_what_was_decided(tmp_path, capsys, business):
    path, run = business
    words = ["train", "gru", "--data", str(path), "--logdir", str(run), "--resume"]
    with eagerly():
        main(words)
    out = capsys.readouterr()
    assert "note: the newest row comes first: rows are sorted by 'Date'" in out.out + out.err


@pytest.mark.long
def test_the_network_is_told_the_phases_of_the_months_to_come(monkeypatch, monthly, tmp_path):
    model = get(str(monthly[1]))
    times = spaced("MS", 150).to_numpy()
    values = np.arange(120, dtype=np.float32)[:, None] % 12
    told = []
    of_class = type(model.processor)
    covariates = of_class.covariates

    def watched(self, times=None, *arguments, **options):
        told.append(times)
        return covariates(self, times, *arguments, **options)

    monkeypatch.setattr(of_class, "covariates", watched)
    model.reset_graphs()
    model.engine._forecast(
        {
            "values": tf.constant(values[None]),
            "lengths": tf.constant([120]),
            "times": tf.constant(times[None, :120].astype("M8[s]").astype(np.int64)),
            "horizon": tf.constant(20),
            "num_samples": tf.constant(1),
            "quantiles": tf.constant([0.5]),
            "seed": tf.constant(0, tf.int64),
            "temperature": tf.constant(1.0),
            "bias": tf.constant(0.0),
        }
    )
    future = told[-1].numpy()[0]
    np.testing.assert_array_equal(future[:30].astype("M8[s]"), times[120:])

    # The SavedModel computes the same of the same times.
    monkeypatch.undo()
    model.reset_graphs()
    model.export(tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served").signatures["forecast"]
    expected = model.forecast(values, 14, num_samples=3, times=times[:120], seed=5, temperature=1.0)
    found = served(
        values=tf.constant(values[None]),
        lengths=tf.constant([120]),
        times=tf.constant(times[None, :120].astype("M8[s]").astype(np.int64)),
        horizon=tf.constant(14),
        num_samples=tf.constant(3),
        quantiles=tf.constant([0.5]),
        seed=tf.constant(5, tf.int64),
        temperature=tf.constant(1.0),
        bias=tf.constant(0.0),
    )
    np.testing.assert_allclose(found["samples"][0], expected.samples, rtol=1e-5)
