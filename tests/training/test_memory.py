"""Training and evaluation on data in memory: to the bit what the same data from a file give."""

import io

import numpy as np
import pandas
import polars
import pytest
import tensorflow as tf
from event_files import scalars

from tfgen import models
from tfgen.cli import main
from tfgen.data.memory import MEMORY
from tfgen.errors import InputError
from tfgen.evaluation import evaluate, evaluate_sequences
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import DataConfig, Recipe
from tfgen.training import train

SETTINGS = {
    "model.units": 6,
    "model.layers": 1,
    "training.steps": 4,
    "training.batch_size": 4,
    "training.window": 8,
    "training.warmup_steps": 2,
    "training.learning_rate": 0.01,
    "training.log_every": 1,
    "training.validate_every": 2,
    "training.validation_batches": 2,
    "training.checkpoint_every": 2,
    "training.sample_every": 0,
    "training.histogram_every": 0,
}
NUMBERS = Recipe("gru").override(
    {**SETTINGS, "data.id": "store", "data.known": ["open"], "data.bounds": ["sold=0:"]}
)
TEXT = Recipe("gru").override(SETTINGS)
TEXTS = [f"line {number} of the play\n" * 3 for number in range(40)]


@pytest.fixture(autouse=True)
def quick(op_by_op):
    pass


def frame():
    rng = np.random.default_rng(0)
    days = pandas.date_range("2024-01-01", periods=60)
    return pandas.concat(
        pandas.DataFrame(
            {
                "day": days,
                "store": store,
                "sold": np.where(rng.random(60) < 0.1, np.nan, rng.gamma(2, size=60)),
                "sky": rng.choice(["clear", "rain"], 60),
                "open": days.dayofweek < 5,
            }
        )
        for store in ("a", "b")
    )


def trained(recipe, folder, **options):
    """Trains; returns the losses that TensorBoard shows, and the weights and preprocessing."""
    final = train(recipe, folder, progress=False, **options)
    losses = {}
    for split in ("train", "validation"):
        shown = scalars(folder / "logs" / split)
        losses |= {f"{split}/{tag}": shown[tag] for tag in shown if "loss" in tag}
    model = models.load(final)
    weights = {weight.path: weight.numpy() for weight in model.weights}
    return losses, weights, model


def check_equal(one, other):
    losses, weights, model = one
    assert len(losses) >= 2 and losses == other[0]
    assert list(weights) == list(other[1])
    for path, weight in weights.items():
        np.testing.assert_array_equal(weight, other[1][path])
    ours, theirs = (each.preprocessing.get_config() for each in (model, other[2]))
    assert ours | {"name": ""} == theirs | {"name": ""}


@pytest.fixture(scope="module")
def run_of_a_file(tmp_path_factory):
    from eager import eagerly

    folder = tmp_path_factory.mktemp("file")
    frame().to_csv(folder / "shops.csv", index=False)
    with eagerly():
        recipe = NUMBERS.override({"data.name": str(folder / "shops.csv")})
        return trained(recipe, folder / "run")


@pytest.mark.parametrize("library", ["pandas", pytest.param("polars", marks=pytest.mark.long)])
def test_a_frame_trains_as_its_csv_file(run_of_a_file, tmp_path, library):
    made = frame() if library == "pandas" else polars.from_pandas(frame())
    found = trained(NUMBERS, tmp_path / "run", data=made)
    check_equal(found, run_of_a_file)
    assert found[2].recipe.data.name == MEMORY and found[2].recipe.data.id == "store"


@pytest.mark.long
def test_arrays_and_a_dataset_train_as_their_npz_file(tmp_path):
    values = np.random.default_rng(0).normal(size=[30, 12, 2]).astype("float32")
    np.savez(tmp_path / "a.npz", values)
    expected = trained(TEXT.override({"data.name": str(tmp_path / "a.npz")}), tmp_path / "file")
    check_equal(trained(TEXT, tmp_path / "array", data=values), expected)
    dataset = tf.data.Dataset.from_tensor_slices(values).batch(7)
    check_equal(trained(TEXT, tmp_path / "dataset", data=dataset), expected)


@pytest.mark.long
def test_texts_train_as_their_file_and_a_run_goes_on_with_them(tmp_path, capfd):
    (tmp_path / "play.txt").write_text("".join(TEXTS))
    expected = trained(TEXT.override({"data.name": str(tmp_path / "play.txt")}), tmp_path / "file")
    check_equal(trained(TEXT, tmp_path / "whole", data=TEXTS), expected)
    # Half of it, and then the rest.
    run = tmp_path / "run"
    train(TEXT.override({"training.steps": 2}), run, progress=False, data=TEXTS)
    more = TEXT.override({"training.steps": 4})
    for recipe in (None, more):
        with pytest.raises(InputError, match="was trained on data in memory: give the same again"):
            train(recipe, run, resume=True, progress=False)
    assert main(["train", "--resume", "--logdir", str(run), "--set", "training.steps=4"]) == 2
    [line] = [each for each in capfd.readouterr().err.splitlines() if "memory" in each]
    assert "data in memory: give the same again, as data=..., or name a file" in line
    check_equal(trained(more, run, resume=True, data=TEXTS), expected)
    # Others are told apart, and a file of the same contents is not.
    train(more, run, resume=True, progress=False, data=str(tmp_path / "play.txt"))
    with pytest.warns(UserWarning, match="data changed since step 4: characters were"):
        train(None, run, resume=True, progress=False, data=TEXTS[:30])


def test_what_is_wrong_leaves_nothing_behind(tmp_path):
    endless = tf.data.Dataset.from_tensors(np.zeros([9, 1])).repeat()
    for data, message in (
        ([], "There is nothing in the data"),
        (["a", 3], "Received: '3' of type int at place 1"),
        (endless, "The dataset has no end"),
        (["abc"], "too short"),
        (
            frame()[["day", "sold"]],
            "Unknown column of data in memory, asked for by data.id, 'store'",
        ),
    ):
        with pytest.raises(InputError, match=message):
            train(NUMBERS if hasattr(data, "columns") else TEXT, tmp_path / "run", data=data)
        assert not (tmp_path / "run").exists()


def test_a_run_says_how_it_goes_on(tmp_path, monkeypatch, capfd):
    from tfgen.training import run

    class Stopped(run.Interrupt):
        def __enter__(self):
            event = super().__enter__()
            event.set()
            return event

    monkeypatch.setattr(run, "Interrupt", Stopped)
    with pytest.raises(KeyboardInterrupt):
        train(TEXT, tmp_path / "run", data=TEXTS)
    told = capfd.readouterr().err
    call = f"tfgen.training.train(None, '{tmp_path / 'run'}', resume=True, data=...)"
    assert f"Go on with: {call}" in told and "data in memory: " in told


@pytest.mark.long
def test_a_model_starts_from_another_on_data_in_memory(run_of_a_file, tmp_path):
    start = run_of_a_file[2]
    found = trained(NUMBERS, tmp_path / "run", data=frame(), start=start)
    assert found[2].recipe.training.start_from == "a model in memory"
    ours, theirs = (each.preprocessing.get_config() for each in (found[2], start))
    assert ours | {"name": ""} == theirs | {"name": ""}
    with pytest.raises(InputError, match="a model of numbers, and these data are text"):
        train(TEXT, tmp_path / "text", data=TEXTS, start=start)


def test_numbers_in_memory_are_evaluated_as_their_file(run_of_a_file):
    model = run_of_a_file[2]
    options = {"metrics": ["likelihood"], "runs": 1}
    expected = evaluate_sequences(model, model.recipe.data, **options)
    for made in (frame(), polars.from_pandas(frame())):
        found = evaluate_sequences(model, made, **options)
        assert found == expected | {"data": MEMORY}
    with pytest.raises(InputError, match="must have each column that the model was trained on"):
        evaluate_sequences(model, frame().drop(columns="sky"), **options)


def with_days_to_come(horizon=3):
    """The frame, and for each store days of which is known only whether it is open."""
    days = pandas.date_range("2024-03-01", periods=horizon)
    to_come = [
        pandas.DataFrame({"day": days, "store": store, "open": days.dayofweek < 5})
        for store in ("a", "b")
    ]
    return pandas.concat([frame(), *to_come], ignore_index=True)


@pytest.mark.parametrize("library", ["pandas", pytest.param("polars", marks=pytest.mark.long)])
def test_a_frame_is_forecast_as_by_the_command_line(run_of_a_file, tmp_path, capfd, library):
    given = with_days_to_come()
    given.to_csv(tmp_path / "b.csv", index=False)
    run_of_a_file[2].save(tmp_path / "model")
    command = ["forecast", str(tmp_path / "model"), "--data", str(tmp_path / "b.csv")]
    options = ["--horizon", "3", "--num-samples", "4", "--seed", "1", "--quantiles", "0.25,0.5"]
    assert main([*command, *options]) == 0
    rows = pandas.read_csv(io.StringIO(capfd.readouterr().out), parse_dates=["time"])
    given["note"] = "no column of the model"
    given = given if library == "pandas" else polars.from_pandas(given)
    found = run_of_a_file[2].forecast(given, 3, num_samples=4, seed=1, quantiles=[0.25, 0.5])
    assert isinstance(found, type(given))
    found = found if library == "pandas" else found.to_pandas()
    assert list(found) == ["id", "time", "feature", "mean", "q0.25", "q0.5"] == list(rows)
    assert found.time.dtype.kind == "M" and found["q0.5"].dtype == "float32"
    for name in ("id", "time", "feature"):
        assert found[name].tolist() == rows[name].tolist()
    for name in ("mean", "q0.25", "q0.5"):
        np.testing.assert_array_equal(found[name], rows[name].astype("float32"))
    assert found.feature[:3].tolist() == ["sold", "sky=clear", "sky=rain"]
    assert found.time[0] == pandas.Timestamp("2024-03-01") and found["q0.5"].isna().sum() == 12


@pytest.mark.long
def test_a_forecast_keeps_the_zone_of_times_and_integer_ids(run_of_a_file, tmp_path):
    start = run_of_a_file[2]
    given = with_days_to_come().assign(store=lambda f: f.store.map({"a": 7, "b": 30}))
    given["day"] = given.day.dt.tz_localize("Asia/Tokyo")
    for made in (given, polars.from_pandas(given)):
        found = start.forecast(made, 3, num_samples=2)
        found = found if made is given else found.to_pandas()
        assert found.id.unique().tolist() == [7, 30] and found.id.dtype.kind == "i"
        assert str(found.time.dtype.tz) == "Asia/Tokyo"
        assert found.time[0] == pandas.Timestamp("2024-03-01", tz="Asia/Tokyo")


@pytest.mark.long
def test_a_frame_of_one_series_without_times_is_forecast(tmp_path):
    values = np.random.default_rng(0).normal(size=[30, 12, 2]).astype("float32")
    model = trained(TEXT, tmp_path / "run", data=values)[2]
    found = model.forecast(pandas.DataFrame(values[0], columns=["x0", "x1"]), 2, 3, seed=1)
    assert list(found) == ["step", "feature", "mean", "q0.1", "q0.5", "q0.9"]
    assert found.step.tolist() == [1, 1, 2, 2] and found.feature.tolist() == ["x0", "x1"] * 2
    expected = model.forecast([values[0]], 2, 3, seed=1)
    np.testing.assert_array_equal(found["mean"], expected.mean[0].ravel())
    np.testing.assert_array_equal(found["q0.1"], expected.quantiles[0.1][0].ravel())


@pytest.mark.long
@pytest.mark.slow
def test_a_diffusion_model_forecasts_frames():
    given = frame()[["day", "store", "sold"]]
    processor = SequenceProcessor.fit(given, data=DataConfig(id="store"))
    small = {"width": 8, "multipliers": [1], "blocks": 1, "groups": 2, "heads": 1, "head_width": 4}
    recipe = Recipe("unet1d", model=small).override({"data.id": "store"})
    model = models.build(recipe, processor)
    found = model.forecast(given, 2, num_samples=2, num_steps=2, seed=1)
    assert found.id.tolist() == ["a", "a", "b", "b"]
    # The last value of "a" is missing, so that its forecast begins a day earlier.
    assert found.time.dt.day.tolist() == [29, 1, 1, 2] and found["mean"].notna().all()


def test_what_a_frame_to_forecast_cannot_be(run_of_a_file):
    model, given = run_of_a_file[2], with_days_to_come()
    for changes, message in (
        ({"times": given.day}, "leave times out. Received: times of type Series"),
        ({"condition": 1}, "leave condition out"),
        ({"num_samples": 0}, "num_samples must be an integer >= 1. Received: num_samples=0"),
        ({"horizon": 0}, "horizon must be an integer >= 1"),
        ({"horizon": 4}, "has 3 rows after its last value"),
        ({"context": given.drop(columns="open")}, "asked for by data.known, 'open'"),
        ({"context": given.drop(columns="sold")}, "missing: 'sold'"),
        ({"context": given.drop(columns="day")}, "trained on data with times, and these data have"),
        ({"context": frame()}, "has 0 rows after its last value"),
    ):
        with pytest.raises(InputError, match=message) as error:
            model.forecast(**{"context": given, "horizon": 3, "num_samples": 2, **changes})
        assert "\n" not in str(error.value)
    strange = given.replace({"sky": {"rain": "hail"}})
    with pytest.warns(UserWarning, match="x level of 'sky' that the model does not know"):
        model.forecast(strange, 3, num_samples=2)


@pytest.mark.long
@pytest.mark.slow
def test_texts_in_memory_are_evaluated_as_their_file(tmp_path, capfd, as_graphs):
    final = train(TEXT, tmp_path / "run", progress=False, data=TEXTS)
    model = models.load(final)
    texts = TEXTS[:2]
    (tmp_path / "play.txt").write_text("".join(texts))
    expected = evaluate(model, str(tmp_path / "play.txt"), crops=4)
    assert expected["split"] == "all"
    dataset = tf.data.Dataset.from_tensor_slices(texts)
    for data, options in (
        (texts, {}),
        (dataset, {}),
        (pandas.DataFrame({"x": texts}), {"column": "x"}),
    ):
        found = evaluate(model, data, crops=4, **options)
        assert found == expected | {"data": MEMORY}
    capfd.readouterr()
    assert main(["evaluate", str(tmp_path / "run")]) == 2
    assert "--data" in capfd.readouterr().err
    assert main(["evaluate", str(tmp_path / "run"), "--data", MEMORY]) == 2
    assert "name a file that holds them (--data)" in capfd.readouterr().err
