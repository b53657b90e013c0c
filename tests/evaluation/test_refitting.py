"""Backtests of models that are trained again: on what, when, and what is forecast by which."""

import numpy as np
import pytest

from tests.evaluation.test_backtesting import Model, rows_of, sequences
from tfgen.errors import InputError
from tfgen.evaluation import backtest


def trained_on(found):
    """A `refit` that notes what it was given; its models forecast the last value of the first
    series that they were trained on."""

    def refit(model, data):
        found.append([len(values) for values in data.values])
        centre = float(data.values[0][-1, 0])
        return Model(data, centre, spread=0.0, name=f"of {len(found)}")

    return refit


def test_models_are_trained_on_what_comes_before_every_so_manieth_origin():
    data, trainings = sequences(features=("a",)), []
    data.values[0][:] = np.arange(100)[:, None]
    data.values[1][:] = 0.0
    # A tenth is held out, from positions 90 and 108 on: origins are 0, 2, 4, ... after these.
    options = {"horizon": 2, "origins": 100, "num_samples": 3, "season": 1, "context": 4}
    found = backtest(
        {"m": Model(data)}, data, refit=trained_on(trainings), refit_every=2, **options
    )
    assert trainings == [[90, 108], [94, 112], [98, 116]]
    # The forecast of 90, 92, then 94, 96, then 98 is the value before the first of each.
    truth = np.arange(90, 100)
    error = np.abs(truth - np.repeat([89, 93, 97], [4, 4, 2])).mean()
    assert rows_of(found)["m", "s0", "a"]["mase"] == pytest.approx(error)  # its scale is 1
    trainings.clear()
    backtest({"m": Model(data)}, data, refit=trained_on(trainings), refit_every=100, **options)
    assert trainings == [[90, 108]]


def test_the_seasonal_naive_forecast_is_as_without():
    data = sequences(features=("a",))
    options = {"horizon": 2, "season": 3, "num_samples": 5}
    plain = backtest(["seasonal-naive", Model(data)], data, **options)
    again = backtest(["seasonal-naive", Model(data)], data, refit=lambda model, _: model, **options)
    assert plain.table == again.table


def test_nothing_to_train_on_is_refused():
    data = sequences(features=("a",))
    with pytest.raises(InputError, match=r"refit trains on .* Received: split='all'"):
        backtest([Model(data)], data, split="all", refit=lambda model, _: model)
    with pytest.raises(InputError, match="refit_every"):
        backtest([Model(data)], data, refit=lambda model, _: model, refit_every=0)
