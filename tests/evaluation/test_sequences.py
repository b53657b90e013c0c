"""`evaluate_sequences` on models whose right answers are known."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from tfgen.data import Feature, Sequences
from tfgen.data.cuts import Parts, as_numbers, cut_origins, cut_windows, filled, share_complete
from tfgen.errors import InputError
from tfgen.evaluation import evaluate_sequences, generation
from tfgen.evaluation.fidelity import marginal_distance
from tfgen.evaluation.likelihood import score_likelihood
from tfgen.recipe import DataConfig

RHO = 0.9
FAST = ("correlational", "marginal", "autocorrelation", "mmd", "memorisation")


def walk(rng, before, steps):
    """The next `steps` of AR(1) processes of variance 1, `(..., steps, features)`."""
    values = []
    for _ in range(steps):
        before = RHO * before + np.sqrt(1 - RHO**2) * rng.normal(size=before.shape)
        values.append(before)
    return np.stack(values, axis=-2).astype(np.float32)


class Oracle:
    """The process itself as a model; `fault` breaks it."""

    name, max_positions, state_is_constant, recipe, generation = "oracle", None, True, None, None
    draws_in_order = True

    def __init__(self, needs_times=False, known=(), classes=0, static=0, fault=None):
        self.processor = SimpleNamespace(
            needs_times=needs_times, known_names=known, num_classes=classes, static_width=static,
            step=3600 if needs_times else None, mean_step=3600 if needs_times else None,
            check=lambda sequences: sequences,
        )  # fmt: skip
        self.fault = fault
        self.calls = []

    def generate(self, num_samples, length, seed, **given):
        self.calls.append(("generate", num_samples, length, seed, given))
        rng = np.random.default_rng(seed)
        if self.fault == "copies":
            return np.stack(
                [self.copied[i : i + length] for i in rng.integers(500, size=num_samples)]
            )
        values = walk(rng, rng.normal(size=(num_samples, 2)), length)
        return values * (3 if self.fault == "wide" else 1)

    def forecast(self, context, horizon, num_samples, seed, **given):
        self.calls.append(("forecast", context, horizon, seed, given))
        last = np.repeat(context[:, None, -1], num_samples, axis=1)
        return SimpleNamespace(samples=walk(np.random.default_rng(seed), last, horizon))

    def score(self, values, **given):
        self.calls.append(("score", values, given))
        nats = []
        for rows in values if isinstance(values, list) else [values]:
            first = stats.norm.logpdf(rows[0])
            later = stats.norm.logpdf(rows[1:], RHO * rows[:-1], np.sqrt(1 - RHO**2))
            nats.append(np.sum(first) + np.sum(later))
        counts = np.array([np.size(v) for v in (values if isinstance(values, list) else [values])])
        return {"log_likelihood": np.array(nats), "values": counts}


def data(number=3, length=1200, seed=0, **fields):
    rng = np.random.default_rng(seed)
    values = list(walk(rng, rng.normal(size=(number, 2)), length))
    ids = [str(i) for i in range(number)]
    return Sequences("walks", "series", (Feature("a"), Feature("b")), values, ids, **fields)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    model = Oracle()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(sys.modules, "sklearn.manifold", None)  # t-SNE takes long
        results = evaluate_sequences(
            model, data(), runs=2, horizon=8, num_samples=50, length=12, windows=200, origins=30,
            context=20, metrics=("likelihood", "forecast", *FAST), report=folder,
        )  # fmt: skip
    return model, results, folder


def test_likelihood_is_that_of_the_held_out_positions(found):
    model, results, _ = found
    held = [values[-120:] for values in data().values]
    [(_, given, _)] = [call for call in model.calls if call[0] == "score"]
    assert sorted(v[0, 0] for v in given) == sorted(v[0, 0] for v in held)
    assert results["likelihood"]["values"] == 720
    score = results["likelihood"]["nats_per_value"]
    assert score["mean"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * (1 - RHO**2)), abs=0.1)
    train = np.concatenate([values[:-120] for values in data().values])
    naive = -stats.norm.logpdf(np.concatenate(held), train.mean(0), train.std(0)).mean()
    assert score["baseline"] == pytest.approx(naive, rel=1e-5)


def test_forecasts_roll_over_the_held_out_positions(found):
    _model, results, _ = found
    section = results["forecast"]
    assert (section["forecasts"], section["horizon"], section["context"]) == (30, 8, 20)
    scores = section["scores"]
    assert scores["crps"]["mean"] < 0.9 * scores["crps"]["baseline"]
    assert scores["coverage_80"]["mean"] == pytest.approx(0.8, abs=0.1)
    assert scores["coverage_80"]["better"] == "near" and scores["coverage_80"]["target"] == 0.8
    assert scores["weighted_quantile_loss"]["mean"] < scores["weighted_quantile_loss"]["baseline"]
    assert len(set(scores["crps"]["runs"])) == 2
    # The score in the data's units over the spread of the training data is the one without units.
    single = section["crps in units of the data"]
    spread = np.concatenate([values[:-120] for values in data().values]).std(axis=0)
    units = [single["crps of a"]["mean"], single["crps of b"]["mean"]]
    assert scores["crps"]["mean"] == pytest.approx(np.mean(units / spread))


def test_generation_is_compared_with_real_and_with_noise(found):
    _, results, _ = found
    section = results["generation"]
    assert section["against"] == "all" and section["windows"] == 200
    scores = section["scores"]
    for name in ("autocorrelation", "mmd"):
        assert scores[name]["baseline"] > 5 * max(scores[name]["mean"], scores[name]["real"])
    ratio = scores["nearest_neighbour_ratio"]
    assert ratio["mean"] == pytest.approx(1, abs=0.15) and ratio["baseline"] > 1.5
    assert scores["copied_share"]["mean"] < 0.1
    assert results["notes"] == []


def test_the_report_is_written(found):
    _, results, folder = found
    assert json.loads((folder / "report.json").read_text("utf-8")) == results
    text = (folder / "report.html").read_text("utf-8")
    assert text.count("data:image/png;base64,") == 5
    assert "crps of a" in text and "nearest neighbour ratio" in text


def test_a_broken_model_is_seen():
    def scores(model):
        found = evaluate_sequences(model, data(), runs=1, length=12, windows=200, metrics=FAST)
        return {name: score["mean"] for name, score in found["generation"]["scores"].items()}

    good, wide, copies = Oracle(), Oracle(fault="wide"), Oracle(fault="copies")
    copies.copied = data().values[0]
    good, wide, copies = scores(good), scores(wide), scores(copies)
    assert wide["marginal"] > 5 * good["marginal"] and wide["mmd"] > 20 * abs(good["mmd"])
    assert copies["nearest_neighbour_ratio"] < 0.01 and copies["copied_share"] == 1


def test_masses_are_told_in_percentage_points():
    """Real values are zero, or at a bound, more often than a model's that knows of neither."""
    sequences = data()
    sequences.features = (Feature("rain", low=0.0, high=2.0), Feature("b"))
    for values in sequences.values:
        values[:, 0] = np.clip(values[:, 0], 0, 2)

    class Clipped(Oracle):
        def generate(self, *args, **given):
            samples = super().generate(*args, **given)
            samples[..., 0] = np.clip(samples[..., 0], 0, 2)
            return samples

    def section(model):
        arguments = {"runs": 2, "length": 12, "windows": 300, "metrics": ("masses",)}
        return evaluate_sequences(model, sequences, **arguments)["generation"]

    smeared, exact = section(Oracle()), section(Clipped())
    table = smeared["masses in percent"]
    assert list(table) == ["rain = 0", "rain = 2"]  # of the second column none is as large
    share = 100 * np.mean(np.concatenate(sequences.values)[:, 0] == 0)
    assert table["rain = 0"]["target"] == table["rain = 0"]["real"]
    assert table["rain = 0"]["real"] == pytest.approx(share, abs=3)
    assert table["rain = 0"]["mean"] == 0
    score = smeared["scores"]["masses"]
    assert score["mean"] == pytest.approx(table["rain = 0"]["real"])
    assert exact["scores"]["masses"]["mean"] < 5 > exact["scores"]["masses"]["real"]
    assert exact["masses in percent"]["rain = 0"]["mean"] == pytest.approx(share, abs=5)


def test_conditions_are_those_of_the_real_windows():
    """Labels, static columns, times and known columns go along with each piece."""
    number, length = 4, 200
    times = [1_000_000 * i + 3600 * np.arange(length) for i in range(number)]
    sequences = data(
        number, length, times=times, known=[time[:, None] / 10.0 for time in times],
        known_names=("k",), static=np.arange(number, dtype=np.float32)[:, None],
        static_names=("s",), labels=np.arange(number, dtype=np.int32), classes=tuple("abcd"),
    )  # fmt: skip
    model = Oracle(True, ("k",), classes=4, static=1)
    evaluate_sequences(
        model, sequences, runs=1, horizon=5, num_samples=3, length=6, windows=70,
        metrics=("likelihood", "forecast", "marginal"), context=7, season=6, origins=1000,
    )  # fmt: skip
    for name, *rest, given in model.calls:
        assert set(given) >= {"condition", "static", "known"}
        condition = np.asarray(given["condition"])
        np.testing.assert_array_equal(condition, given["static"][..., 0])
        if name == "forecast":
            assert given["times"].shape == (16, 7) and given["known"].shape == (16, 12, 1)
            np.testing.assert_array_equal(given["known"][:, :7, 0], given["times"] / 10)
            np.testing.assert_array_equal(given["times"][:, 0] // 1_000_000, condition)
            for row, time in zip(rest[0], given["times"]):
                which, first = divmod(time[0], 1_000_000)
                start = first // 3600
                np.testing.assert_array_equal(row, sequences.values[which][start : start + 7])
        if name == "generate":
            assert rest[0] == 70 and given["known"].shape == (70, 6, 1)
            np.testing.assert_array_equal(given["start_time"], given["known"][:, 0, 0] * 10)
            assert len(set(given["start_time"])) == 70
    assert sum(call[0] == "generate" for call in model.calls) == 1


def test_generated_windows_are_compared_with_the_held_out_blocks():
    sequences = data(number=2, length=2000, times=[3600 * np.arange(2000)] * 2)
    blocks = sequences.split(0.2, "blocks")[1]
    model = Oracle(True)
    model.recipe = SimpleNamespace(data=DataConfig(validation_fraction=0.2, split="blocks"))
    results = evaluate_sequences(
        model, sequences, runs=1, length=12, windows=150, num_samples=5,
        metrics=("likelihood", "forecast", "marginal", "memorisation"),
    )  # fmt: skip
    assert results["generation"]["against"] == "validation"
    assert results["likelihood"]["values"] == 2 * blocks.positions
    (note,) = results["notes"]
    assert "was trained on" in note and "forecast" not in results
    held = {time for times in blocks.times for time in times[: len(times) - 11].tolist()}
    starts = [call[-1]["start_time"] for call in model.calls if call[0] == "generate"]
    assert len(np.unique(starts)) > 100 and held.issuperset(np.ravel(starts).tolist())


def test_of_blocks_and_an_end_forecasts_are_of_the_end():
    sequences = data(number=2, length=2000, times=[3600 * np.arange(2000)] * 2)
    blocks = sequences.split(0.2, "blocks+time", "test")[1]
    model = Oracle(True)
    rules = DataConfig(name="x", validation_fraction=0.2, split="blocks+time")
    model.recipe = SimpleNamespace(
        data=rules, training=SimpleNamespace(window=20, choose_on="half")
    )
    results = evaluate_sequences(
        model, sequences, runs=1, length=12, windows=50, num_samples=5, horizon=10, origins=99,
        metrics=("likelihood", "forecast", "marginal"),
    )  # fmt: skip
    assert results["split"] == results["generation"]["against"] == "test"
    assert results["likelihood"]["values"] == 2 * blocks.positions
    assert results["forecast"]["forecasts"] == 2 * 20 and not results["notes"]
    assert results["forecast"]["of"] == "the end, which nothing was chosen on"
    times = np.unique([call[-1]["times"] for call in model.calls if call[0] == "forecast"])
    assert times.min() == 3600 * (1800 - 20) and times.max() == 3600 * 1989
    few = evaluate_sequences(
        model, sequences, runs=1, num_samples=5, horizon=10, max_sequences=1,
        metrics=("likelihood", "forecast"),
    )  # fmt: skip
    assert few["forecast"]["forecasts"] == 20


@pytest.fixture
def quick(monkeypatch):
    """Without the scores that train networks, which have tests of their own."""
    monkeypatch.setattr(
        generation, "_distances", lambda names, *rest: {name: [1.0, 2.0, 3.0] for name in names}
    )


def test_every_argument_changes_what_is_done():
    def run(**arguments):
        model = Oracle()
        defaults = dict(runs=1, horizon=4, num_samples=20, length=8, windows=50, origins=5,
                        context=6, metrics=("forecast", "marginal"))  # fmt: skip
        results = evaluate_sequences(model, data(number=2, length=400), **(defaults | arguments))
        return results, model.calls

    first, calls = run()
    again, _ = run()
    assert again == first
    assert run(seed=1)[0]["generation"]["scores"] != first["generation"]["scores"]
    assert run(seed=1)[0]["forecast"]["scores"] != first["forecast"]["scores"]
    contexts = [call[1].shape for call in calls if call[0] == "forecast"]
    assert contexts == [(16, 6, 2)]
    assert run(context=9)[1][0][1].shape == (16, 9, 2)
    seasonal = run(season=3)[0]["forecast"]["scores"]["crps"]
    assert seasonal["baseline"] != first["forecast"]["scores"]["crps"]["baseline"]
    assert run(reference="validation")[0]["generation"]["against"] == "validation"
    assert run(split="train")[0]["forecast"]["scores"] != first["forecast"]["scores"]
    default = run(horizon=None, length=None)[0]
    assert default["forecast"]["horizon"] == 24 and default["generation"]["length"] == 24
    assert run(runs=3)[0]["generation"]["scores"]["marginal"]["spread"] > 0
    told = []
    run(say=told.append, runs=2)
    assert "run 2 of 2" in told[-2]
    own = run(unscaled=True)[0]["generation"]
    assert own["scale"] == "the data's own"
    assert own["scores"] != first["generation"]["scores"]
    with pytest.raises(InputError, match="metric"):
        run(metrics=("fid",))
    with pytest.raises(InputError, match="runs=0"):
        run(runs=0)
    with pytest.raises(InputError, match="split"):
        run(split="tests")
    for season in (0, 1.5, [3, -1]):
        with pytest.raises(InputError, match="season"):
            run(season=season)
    with pytest.raises(InputError, match="too short"):
        run(horizon=100, metrics=("forecast",))
    # What was asked for beside it is computed all the same.
    short = run(horizon=100)[0]
    assert "forecast" not in short and "too short" in short["notes"][0]
    assert short["generation"]["scores"].keys() == {"marginal"}


def test_of_a_short_series_what_can_be_had_is_computed(quick):
    results = evaluate_sequences(Oracle(), data(number=1, length=10), runs=1, num_samples=5)
    assert results["likelihood"]["values"] == 2
    assert results["forecast"]["horizon"] == 1 and results["forecast"]["forecasts"] == 1
    (note,) = [note for note in results["notes"] if "generated windows" in note]
    assert "no window of 24 positions" in note and "generation" not in results
    with pytest.raises(InputError, match="no window of 24"):
        evaluate_sequences(Oracle(), data(number=1, length=10), runs=1, metrics=("marginal",))


def weeks(count=12):
    """Numbers that go up and down every day, but not at weekends."""
    hours = np.arange(168 * count)
    rng = np.random.default_rng(0)
    load = np.sin(2 * np.pi * hours / 24) * ((hours // 24) % 7 < 5)
    values = np.stack([load, load], axis=1) + 0.1 * rng.normal(size=(len(hours), 2))
    return Sequences(
        "weeks", "series", (Feature("a"), Feature("b")), [values.astype(np.float32)], ["0"],
        times=[3600 * hours],
    )  # fmt: skip


def test_the_naive_forecast_takes_the_best_of_the_seasons_of_the_training_data():
    def forecast(**options):
        return evaluate_sequences(
            Oracle(True), weeks(), runs=1, num_samples=50, metrics=("forecast",), context=24,
            **options,
        )["forecast"]  # fmt: skip

    best = forecast()
    assert best["season"] == 168 and best["horizon"] == 24
    by_season = best["crps of the naive forecast by season"]
    assert list(by_season) == ["1", "24", "168"]
    assert by_season["168"] < 0.6 * by_season["24"]
    assert best["scores"]["crps"]["baseline"] == pytest.approx(by_season["168"])
    day = forecast(season=24)
    assert day["season"] == 24 and list(day["crps of the naive forecast by season"]) == ["24"]
    assert day["scores"]["crps"]["baseline"] > best["scores"]["crps"]["baseline"]
    assert forecast(season=[24, 168])["season"] == 168


def test_few_sequences_of_a_split_are_predicted():
    settings = {"runs": 1, "horizon": 4, "num_samples": 5, "origins": 50, "context": 6}
    settings |= {"metrics": ("likelihood", "forecast"), "split": "all"}
    sequences = data(number=10, length=40)
    results = evaluate_sequences(Oracle(), sequences, max_sequences=3, **settings)
    assert results["sequences"] == "3 of 10, evenly spread"
    chosen = evaluate_sequences(Oracle(), sequences.select(np.array([0, 3, 6])), **settings)
    assert results["likelihood"]["values"] == chosen["likelihood"]["values"] < 10 * 40 * 2
    whole = evaluate_sequences(Oracle(), sequences, max_sequences=10, **settings)
    assert "sequences" not in whole
    with pytest.raises(InputError, match="max_sequences=0"):
        evaluate_sequences(Oracle(), sequences, max_sequences=0, **settings)


def test_all_that_can_be_had_is_computed_by_default(quick):
    settings = {"runs": 1, "num_samples": 5, "windows": 20}
    results = evaluate_sequences(Oracle(), data(number=2, length=400), **settings)
    assert list(results["generation"]["scores"]) == [
        *generation.DISTANCES[:-4], "nearest_neighbour_ratio", "copied_share", "masses"
    ]  # fmt: skip
    assert results["generation"]["scores"]["mmd"]["baseline"] == 3
    assert {"likelihood", "forecast"} < set(results) and not results["notes"]
    results = evaluate_sequences(
        Oracle(), data(number=2, length=400), "all", horizon=500, **settings
    )
    assert "nearest_neighbour_ratio" not in results["generation"]["scores"]
    short, trained = results["notes"]
    assert "too short" in short and "not trained on" in trained


def test_drawings_end_and_are_held_out_whole(quick):
    rng = np.random.default_rng(1)
    features = (Feature("dx"), Feature("dy"), Feature("pen", ("down", "up", "end")))

    def drawings(number):
        rows = [rng.normal(size=(rng.integers(5, 12), 3)).astype(np.float32) for _ in range(number)]
        for row in rows:
            row[:, 2] = rng.integers(3, size=len(row))
        return rows

    def marks(number):
        return Sequences("marks", "strokes", features, drawings(number), [""] * number, ends=True)

    sequences = marks(1200)
    model = Oracle()
    model.generate = lambda num_samples, length, seed: drawings(num_samples)
    results = evaluate_sequences(model, sequences, runs=1, metrics=("marginal", "memorisation"))
    section = results["generation"]
    assert section["against"] == "validation" and section["windows"] == 120
    assert section["length"] == np.median([len(v) for v in sequences.split(0.1)[1].values]).astype(
        int
    )
    # What is not drawn in order is drawn as a whole, and cut.
    asked = []
    whole = Oracle()
    whole.draws_in_order = False
    whole.generate = lambda count, length, seed: asked.append(length) or drawings(count)
    evaluate_sequences(whole, sequences, runs=1, metrics=("marginal",))
    assert set(asked) == {None}
    skipped = evaluate_sequences(model, marks(300), runs=1, metrics=None, windows=30, length=5)
    assert skipped["generation"]["against"] == "all"  # 30 held out are too few
    assert skipped["notes"] == ["no forecasts: strokes are not forecast: they are generated whole"]


def test_class_accuracy_is_the_share_of_samples_that_are_what_was_asked_for():
    # Two classes far apart; a model that gives the class asked for in three cases of four.
    labels = np.arange(300, dtype=np.int32) % 2

    def drawn(classes, rng):
        noise = 0.1 * rng.normal(size=(len(classes), 6, 2))
        return (noise + 3 * np.asarray(classes)[:, None, None]).astype(np.float32)

    values = list(drawn(labels, np.random.default_rng(0)))
    sequences = data(number=300, length=6)
    sequences = Sequences(
        "two", "series", sequences.features, values, sequences.ids, labels=labels,
        classes=("low", "high"),
    )  # fmt: skip
    model = Oracle(classes=2)

    def generate(num_samples, length, seed, condition):
        wrong = np.arange(num_samples) % 8 < 2  # of either class as many
        return drawn(
            np.where(wrong, 1 - np.asarray(condition), condition), np.random.default_rng(seed)
        )

    model.generate = generate
    results = evaluate_sequences(
        model, sequences, runs=1, length=6, windows=120, metrics=("class_accuracy",)
    )
    score = results["generation"]["scores"]["class_accuracy"]
    assert score["mean"] == pytest.approx(0.75, abs=0.02) and score["real"] == 1
    assert score["baseline"] == pytest.approx(0.5, abs=0.15) and score["better"] == "higher"
    plain = evaluate_sequences(
        Oracle(), data(), runs=1, length=6, windows=50, metrics=("marginal", "class_accuracy")
    )
    assert set(plain["generation"]["scores"]) == {"marginal"}


def test_gaps_of_real_windows_are_made_in_generated_ones(monkeypatch):
    sequences = data(number=4, length=60)
    rng = np.random.default_rng(0)
    for values in sequences.values:
        values[rng.random(values.shape) < 0.2] = np.nan

    def generate(model, real, length, ends, seeds):
        return np.where(np.isnan(real.values), 99.0, real.values)

    monkeypatch.setattr(generation, "_generate", generate)
    results = evaluate_sequences(
        Oracle(), sequences, split="all", runs=1, length=12, metrics=("marginal", "masses")
    )
    for score in results["generation"]["scores"].values():
        assert score["mean"] == 0 < score["real"]
    assert results["generation"]["windows"] > 50


def test_windows_hold_nothing_missing_and_origins_something():
    sequences = data(number=2, length=40)
    sequences.values[0][10] = np.nan
    sequences.values[1][25:33] = np.nan
    rng = np.random.default_rng(0)
    windows = cut_windows(sequences, 8, 1000, rng)
    # Of 33 starts, those whose window touches a gap fall away.
    assert len(windows) == (33 - 8) + (33 - 15) and not np.isnan(windows.values).any()
    assert len(cut_windows(sequences, 8, 7, rng)) == 7
    assert share_complete(sequences, 8) == (25 + 18) / 66
    # Half of a window may be missing, and is filled by what stands around it.
    half = cut_windows(sequences, 8, 1000, rng, gaps=0.5)
    assert len(half) == 33 + (33 - 7) and np.isnan(half.values).any()
    column = np.array([np.nan, 1, np.nan, np.nan, 4, np.nan], np.float32)
    levels = Feature("l", levels=("a", "b", "c", "d", "e"))
    windows = filled(np.stack([column, column, np.full(6, np.nan)], axis=1)[None], [
        Feature("x"), levels, Feature("y")])  # fmt: skip
    expected = [[1, 1, 0], [1, 1, 0], [2, 1, 0], [3, 4, 0], [4, 4, 0], [4, 4, 0]]
    np.testing.assert_array_equal(windows[0], expected)
    with pytest.raises(InputError, match="length=30"):
        cut_windows(sequences, 30, 7, rng)
    pieces = cut_origins(sequences, [20, 20], 5, 4, 100)
    starts = [(0, s) for s in (20, 24, 28, 32, 36)] + [(1, s) for s in (20, 24, 32, 36)]
    assert len(pieces) == len(starts)
    for piece, (number, start) in zip(pieces.values, starts):
        np.testing.assert_array_equal(piece, sequences.values[number][start - 5 : start + 4])


def test_categories_of_many_levels_are_no_numbers():
    features = (Feature("x"), Feature("two", ("a", "b")), Feature("three", ("a", "b", "c")))
    values = np.array([[[0.5, 1, 2], [0.1, 0, 0]]], np.float32)
    expected = [[[0.5, 1, 0, 0, 1], [0.1, 0, 1, 0, 0]]]
    np.testing.assert_allclose(as_numbers(values, features), expected)
    assert marginal_distance(as_numbers(values, features), as_numbers(values, features)) == 0


def test_the_naive_likelihood_of_categories_is_their_frequency():
    features = (Feature("x"), Feature("c", ("a", "b", "c")))
    train = np.array([[0, 0], [2, 0], [4, 1], [np.nan, np.nan]], np.float32)
    held = np.array([[1, 0], [np.nan, 2]], np.float32)
    sides = [Sequences("s", "series", features, [values], ["s"]) for values in (train, held)]
    parts = Parts(*sides, sides[1], [0], "validation")
    found = score_likelihood(Oracle(), parts)["nats_per_value"]["baseline"]
    # Three of the training data and one more of each: 3, 2 and 1 of 6.
    expected = [stats.norm.logpdf(1, 2, np.sqrt(8 / 3)), np.log(3 / 6), np.log(1 / 6)]
    assert found == pytest.approx(-np.mean(expected))


def test_a_configuration_or_a_name_is_opened(tmp_path):
    path = tmp_path / "x.csv"
    rows = data(number=1, length=300).values[0]
    np.savetxt(path, rows, delimiter=",", header="a,b", comments="")
    settings = {"runs": 1, "metrics": ("marginal",), "length": 8, "windows": 40}
    one = evaluate_sequences(Oracle(), str(path), **settings)
    two = evaluate_sequences(Oracle(), DataConfig(name=str(path)), **settings)
    assert one == two and one["generation"]["windows"] == 40
