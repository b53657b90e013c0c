"""The command line with models of time series, pen strokes and sound."""

import json
import textwrap

import numpy as np
import pytest
from eager import eagerly
from fakes import rows_of

from tfgen import cli, models, zoo
from tfgen.data import open_sequences
from tfgen.errors import InputError

# What the zoo tells of models of numbers


def test_a_family_tells_the_arguments_of_both_its_classes():
    page = str(zoo.describe("lstm"))
    common, _, rest = page.partition("\nArguments for text:\n")
    of_text, _, of_numbers = rest.partition("\nArguments for sequences of numbers:\n")
    assert "\n  units = " in common and "\n  head" not in common
    assert "tie_embeddings = False" in of_text and "\n  units = " not in of_text
    for name in ("head = None", "components = 10", "bounding = None"):
        assert f"\n  {name}\n" in "\n" + of_numbers
    assert all(argument.help for argument in zoo.describe("lstm").number_arguments)


def test_an_entry_tells_the_arguments_of_its_own_class(fakes, tmp_path):
    (tmp_path / "entries" / "weather-model" / "model.weights.h5").unlink()
    names = {argument.name for argument in zoo.describe("weather-model").arguments}
    assert "head" in names and "tie_embeddings" not in names
    assert zoo.find("weather-model").data_kind == "series"
    assert zoo.find("sound-model").data_kind == "audio"
    assert zoo.find("lstm").data_kind is None


def test_get_of_numbers_is_a_model_of_numbers():
    model = zoo.get("lstm", of="numbers", head="student_t", units=4, layers=1, temperature=0.5)
    head = model.engine.emission.head
    assert (head, model.network.units, model.generation.temperature) == ("student_t", 4, 0.5)
    assert model.processor.num_features == 1
    with pytest.raises(InputError, match="Did you mean 'components'"):
        zoo.get("lstm", of="numbers", head="gaussian_mixture", component=3)
    with pytest.raises(
        InputError, match=r"'components' is for models of numbers: get\('lstm', of='numbers'"
    ):
        zoo.get("lstm", components=3)


# From a table to a SavedModel, with nothing faked


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A table of two hundred hours with gaps, and the run of a model that was trained on it."""
    folder = tmp_path_factory.mktemp("numbers")
    rng = np.random.default_rng(1)
    lines = ["time,temp,rain"]
    for hour in range(200):
        time = np.datetime64("2024-01-01T00") + hour
        temp = "" if hour % 50 == 7 else f"{10 + 5 * np.sin(hour / 24 * 2 * np.pi):.2f}"
        lines.append(f"{time}:00,{temp},{max(0, rng.normal()):.2f}")
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    with eagerly():
        code = cli.main(
            ["train", "lstm", "--data", str(folder / "data.csv"), "--logdir", str(folder / "run")]
            + ["--set=model.units=8", "--set=model.layers=1", "--set=training.window=16"]
            + [
                "--set=training.batch_size=4",
                "--set=training.steps=2",
                "--set=training.sample_every=0",
            ]
            + ["--set=training.histogram_every=0", "--set=data.bounds=rain=0:"]
            + ["--set=model.head=gaussian_mixture"]  # compiles sooner than what the data choose
        )
    assert code == 0
    # Opened once, so that what is compiled is compiled once.
    return folder / "data.csv", folder / "run", zoo.get(folder / "run")


@pytest.fixture
def opened(trained, monkeypatch):
    data, folder, model = trained
    monkeypatch.setattr(zoo, "get", lambda name, **_: model)
    with eagerly():
        yield data, folder, model


def test_a_table_of_numbers_trains_a_model_of_numbers(trained):
    _, folder, model = trained
    assert isinstance(model, models.family("lstm").row("numbers").load())
    assert model.processor.feature_names == ("temp", "rain")
    assert zoo.find(folder).data_kind == "series"


def test_a_mistake_in_the_model_names_the_arguments_for_numbers(fails, trained, tmp_path):
    wrong = ["train", "lstm", "--data", trained[0], "--logdir", tmp_path / "x"]
    few = ["--set", "training.window=16", "--set", "training.batch_size=4"]
    error = fails(*wrong, *few, "--set", "model.component=3")
    assert "Did you mean 'components'" in error and "bounding" in error
    assert "tie_embeddings" not in error
    assert not (tmp_path / "x").exists()


def test_what_is_printed_is_what_the_model_draws(run, opened):
    _, folder, model = opened
    arguments = ["generate", folder, "--length", "6", "--num-samples", "2", "--seed", "4"]
    rows = rows_of(run(*arguments)[1])
    drawn = np.array([[row["temp"], row["rain"]] for row in rows], np.float32)
    expected = np.concatenate(model.generate(num_samples=2, length=6, seed=4))
    assert np.array_equal(drawn, expected)
    streamed = rows_of(run("generate", folder, "--length", "6", "--seed", "4", "--stream")[1])
    single = model.generate(length=6, seed=4)[0]
    np.testing.assert_allclose([float(row["temp"]) for row in streamed], single[:, 0], rtol=1e-4)


def test_what_is_forecast_is_what_the_model_forecasts(run, opened):
    data, folder, model = opened
    arguments = ["--horizon", "3", "--num-samples", "5", "--context", "20", "--seed", "2"]
    rows = rows_of(run("forecast", folder, "--data", data, *arguments)[1])
    sequences = open_sequences(model.recipe.data)
    expected = model.forecast(
        [sequences.values[0][-20:]], 3, num_samples=5, seed=2, times=[sequences.times[0][-20:]]
    )
    for number, feature in enumerate(("temp", "rain")):
        mine = [row for row in rows if row["feature"] == feature]
        assert [float(row["mean"]) for row in mine] == pytest.approx(expected.mean[0, :, number])
        high = expected.quantiles[0.9][0, :, number]
        assert [float(row["q0.9"]) for row in mine] == pytest.approx(high)
        assert mine[0]["time"] == "2024-01-09T08:00:00"
    assert min(float(row["q0.1"]) for row in rows if row["feature"] == "rain") >= 0


@pytest.mark.long
def test_what_is_missing_is_filled_and_the_rest_is_left(run, opened, tmp_path):
    data, folder, _ = opened
    arguments = ["--num-samples", "1", "--seed", "1", "--particles", "4", "--out"]
    assert run("impute", folder, "--data", data, *arguments, tmp_path / "full.csv")[0] == 0
    before, after = rows_of(data.read_text()), rows_of((tmp_path / "full.csv").read_text())
    gaps = [number for number, row in enumerate(before) if not row["temp"]]
    assert len(gaps) == 4 and all(after[number]["temp"] for number in gaps)
    for number, row in enumerate(before):
        if number not in gaps:
            assert float(after[number]["temp"]) == pytest.approx(float(row["temp"]))


def test_a_real_report(run, opened, tmp_path):
    data, folder, _ = opened
    out = tmp_path / "report.json"
    assert run("evaluate", folder, "--data", data, "--metrics", "likelihood", "--out", out)[0] == 0
    assert json.loads(out.read_text())["likelihood"]["values"] == 40


@pytest.mark.long
def test_the_python_that_export_prints_calls_the_model(run, trained, tmp_path):
    code, out, _ = run("export", trained[1], tmp_path / "served")
    assert code == 0
    names = {}
    exec(textwrap.dedent(out.partition("\n\n")[2]), names)
    assert names["outputs"]["values"].shape == (2, trained[2].processor.length, 2)
