"""scripts/benchmark.py: how figures are made of measurements. No speed is tested."""

import dataclasses
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]

import benchmark
from benchmarks import (
    contest,
    figures,
    figures_series,
    figures_transformer,
    figures_unet,
    forecast_task,
    pairing,
    reach,
    shell,
    workers,
)
from benchmarks.sizes import (
    SYMBOLS,
    DiffusionSizes,
    SeriesSizes,
    Sizes,
    TransformerSizes,
    as_text,
    random_prompts,
    random_sequences,
    random_windows,
    vocabulary,
)
from benchmarks.tables import table

from tfgen.data.sequences import Feature, Sequences

TINY = "--units 16 --embedding 8 --window 8 --batch 2 --tokens 4 --repeats 2 --seconds 0".split()
TINY += "--matrix 32 --array-mib 1 --transformer 1x2x8x32x2".split()


# The arithmetic


def test_ratios_are_of_the_pairs_not_of_the_medians():
    ours, theirs = [8.0, 30.0, 12.0], [4.0, 10.0, 24.0]
    assert pairing.ratios(ours, theirs) == [2.0, 3.0, 0.5]
    assert pairing.ratios(ours, theirs, scale=10) == [20.0, 30.0, 5.0]
    # The quotient of the medians would be 1.2.
    assert pairing.spread(pairing.ratios(ours, theirs)) == {
        "median": 2.0,
        "min": 0.5,
        "max": 3.0,
        "values": [2.0, 3.0, 0.5],
    }
    assert pairing.differences(ours, theirs) == [4.0, 20.0, -12.0]
    with pytest.raises(ValueError):
        pairing.ratios(ours, theirs[:2])


def test_contestants_take_turns():
    turns = []

    def contestant(name):
        def measure():
            turns.append(name)
            return len(turns)

        return measure

    values = pairing.alternate({name: contestant(name) for name in "abc"}, repeats=2)
    assert "".join(turns) == "abcabc"
    assert values == {"a": [1, 4], "b": [2, 5], "c": [3, 6]}


@pytest.mark.parametrize("seconds, runs", [(0, 1), (1, 1), (1.5, 2), (3, 3)])
def test_a_rate_counts_whole_runs_and_their_time(seconds, runs, monkeypatch):
    clock = iter([0.0, 1.0, 2.0, 4.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    calls = []
    elapsed = {1: 1.0, 2: 2.0, 3: 4.0}[runs]
    assert workers.rate(lambda: calls.append(1) or 10, seconds) == 10 * runs / elapsed
    assert len(calls) == runs


def test_costs_by_hand():
    # Gates 4 x 3 = 12: 5 x 12 first input, 3 x 12 second, 2 x 3 x 12 recurrent, 3 x 65 softmax.
    sizes = Sizes("lstm", units=3, layers=2, embedding=5, window=7, batch=2)
    assert sizes.product_weights() == 60 + 36 + 72 + 195 == 363
    assert sizes.product_weights(table=True) == 303
    assert sizes.bytes_read() == 4 * 363 and sizes.bytes_read(table=True) == 4 * 303
    assert sizes.training_flops() == 6 * 363
    # The table, 65 x 5 by 5 x 12, serves 14 tokens; its rows are looked up by 65 x 12 weights.
    expected = 6 * 303 + 6 * 65 * 5 * 12 / 14 + 4 * 65 * 12
    assert sizes.training_flops(table=True) == pytest.approx(expected)
    # Gates 3 x 3 = 9, one layer.
    sizes = Sizes("gru", units=3, layers=1, embedding=5)
    assert sizes.product_weights() == 45 + 27 + 195


def test_costs_of_a_transformer_by_hand():
    # Two blocks: 4 x 12 for queries, keys and values, 4 x 4, 4 x 16 and 16 x 4; softmax 4 x 65.
    sizes = TransformerSizes(layers=2, heads=2, width=4, window=8, batch=3, tokens=3, prompt=2)
    assert sizes.product_weights() == 2 * (48 + 16 + 64 + 64) + 260 == 644
    # Queries by keys, probabilities by values: 2 x 2 x 4 x 8 for a block, and three times that.
    assert sizes.training_flops() == 6 * 644 + 3 * 2 * (2 * 2 * 4 * 8)
    # The three tokens attend to 3, 4 and 5 positions.
    assert sizes.mean_length() == 4
    assert sizes.generating_flops() == 2 * 644 + 2 * (2 * 2 * 4 * 4)
    assert sizes.cache_bytes_read() == 2 * 2 * 4 * 4 * 4  # keys and values, blocks
    for weights, size in {"float32": 4, "bfloat16": 2, "int8": 1}.items():
        assert sizes.bytes_read(weights) == size * 644


def test_contestants_see_the_same_prompts():
    sizes = TransformerSizes(batch=3, prompt=7)
    prompts = random_prompts(sizes)
    assert prompts.shape == (3, 7)
    assert prompts.min() >= 1 and prompts.max() < SYMBOLS
    assert len({as_text(row) for row in prompts}) == 3
    assert {as_text(row)[0] for row in prompts} == {"\n"}  # tfgen puts it there by itself


def test_contestants_see_the_same_symbols():
    assert len(set(vocabulary())) == SYMBOLS - 1  # and tfgen's "unknown"
    windows = random_windows(Sizes(batch=3, window=5))
    assert windows.shape == (4, 3, 6)
    assert windows.min() >= 1 and windows.max() < SYMBOLS


# Figures of made-up measurements


class FakeWorker:
    """A worker whose measurements are given beforehand."""

    values = {}  # by module and function
    asked = []
    missing = ()

    def __init__(self, module, environment):
        self.module, self.environment = module, environment

    def prepare(self, function, *arguments):
        if self.module in self.missing:
            raise workers.Missing("No module named 'torch'")
        one = "one " if self.environment else ""
        self.iterator = iter(self.values[f"{one}{self.module} {function}"])
        self.asked.append((self.module, function, *arguments))
        return "as told"

    def measure(self, seconds):
        return None if seconds == 0 else next(self.iterator)

    def stop(self):
        pass


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(contest, "Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "missing", ())
    monkeypatch.setattr(FakeWorker, "asked", [])
    values = {
        "benchmarks.peer_tfgen train": [8.0, 30.0, 12.0],
        "benchmarks.peer_pytorch train": [4.0, 10.0, 24.0],
        "benchmarks.peer_keras train": [2.0, 3.0, 4.0],
        "benchmarks.peer_tfgen generate": [8.0, 30.0, 12.0],
        "benchmarks.peer_tfgen draft": [5.0, 6.0, 7.0],
        "benchmarks.peer_pytorch generate": [4.0, 10.0, 24.0],
        "benchmarks.peer_keras generate": [2.0, 3.0, 4.0],
        "benchmarks.peer_nanogpt train": [4.0, 5.0, 6.0],
        "benchmarks.peer_nanogpt generate": [1.0, 1.0, 1.0],
        "benchmarks.peer_transformers generate": [2.0, 5.0, 24.0],
        "benchmarks.ceilings matrix_product": [1e5, 2e5, 4e5],
        "benchmarks.peer_pytorch matrix_product": [5e4, 5e4, 5e4],
        "benchmarks.ceilings read": [1e5, 1e5, 1e5],
        "one benchmarks.ceilings read": [5e4, 1e5, 1e5],
    }
    monkeypatch.setattr(FakeWorker, "values", values)
    return FakeWorker


SIZES = Sizes("lstm", units=3, layers=2, embedding=5, window=7, batch=2)
EFFORT = contest.Effort(repeats=3, seconds=1.0)


def test_a_training_figure(fake):
    figure = figures.training(SIZES, EFFORT)
    assert figure["unit"] == "tokens/s"
    assert figure["contestants"]["tfgen"]["values"] == [8.0, 30.0, 12.0]
    assert figure["contestants"]["tfgen"]["note"] == "as told"
    assert figure["ratios"]["PyTorch"]["values"] == [2.0, 3.0, 0.5]
    assert figure["ratios"]["PyTorch"]["median"] == 2.0
    assert figure["ratios"]["Keras"]["values"] == [4.0, 10.0, 3.0]
    assert set(figure["ratios"]) == {"PyTorch", "Keras"}
    model, executed = figure["shares"]["of the peak, model"], figure["shares"]["executed"]
    assert model["tfgen"]["values"] == pytest.approx(
        [8 * 2178 / 1e5, 30 * 2178 / 2e5, 12 * 2178 / 4e5]
    )
    assert executed["tfgen"]["values"][0] == pytest.approx(8 * SIZES.training_flops(True) / 1e5)
    assert executed["PyTorch"] == model["PyTorch"]
    assert any("25% of TensorFlow's" in note for note in figure["notes"])
    assert any("projected embedding table" in note for note in figure["notes"])
    assert any("tfgen varied by a factor of 3.8" in note for note in figure["notes"])
    assert not any("PyTorch varied" in note for note in figures.peaks(EFFORT)[0]["notes"])
    json.dumps(figure)

    lines = "\n".join(table(figure))
    assert "2.00 x (0.50 to 3.00)" in lines and "4.00 x (3.00 to 10.00)" in lines


def test_a_generation_figure(fake):
    figure = figures.generation(SIZES, EFFORT)
    assert set(figure["ratios"]) == {"PyTorch", "Keras"}
    # Two characters for each position: 4 x 303 bytes, or 363, are read for both.
    assert figure["shares"]["of the bandwidth"]["tfgen"]["values"] == pytest.approx(
        [8 * 606 / 1e5, 30 * 606 / 1e5, 12 * 606 / 1e5]
    )
    assert figure["shares"]["of one thread's"]["PyTorch"]["values"] == pytest.approx(
        [4 * 726 / 5e4, 10 * 726 / 1e5, 24 * 726 / 1e5]
    )
    assert figure["shares"]["of the peak"]["tfgen"]["values"][0] == pytest.approx(8 * 606 / 1e5)
    single = figures.generation(Sizes("gru", batch=1), EFFORT)
    assert set(single["ratios"]) == {"PyTorch", "Keras"}


def test_the_peaks(fake):
    product, bandwidth = figures.peaks(EFFORT)
    assert product["ratios"]["matrix product, PyTorch"]["values"] == [2.0, 4.0, 8.0]
    assert bandwidth["contestants"]["reading, one thread"]["min"] == 5e4


def test_a_missing_peer_is_left_out(fake, monkeypatch):
    monkeypatch.setattr(fake, "missing", ("benchmarks.peer_pytorch",))
    figure = figures.training(SIZES, EFFORT)
    assert set(figure["contestants"]) == {"tfgen", "Keras", "matrix product"}
    assert set(figure["ratios"]) == {"Keras"}
    line = "PyTorch skipped: No module named 'torch': pip install .[benchmark]"
    assert line in "\n".join(table(figure))
    assert set(figures.generation(SIZES, EFFORT)["skipped"]) == {"PyTorch"}
    assert figures.peaks(EFFORT)[0]["ratios"] == {}


# Figures of the transformer

DECODER = TransformerSizes(layers=2, heads=2, width=4, window=8, batch=3, tokens=3, prompt=2)


def test_a_training_figure_of_a_transformer(fake):
    sizes = dataclasses.replace(DECODER, dtype="bfloat16")
    figure = figures_transformer.training(sizes, "a checkout", EFFORT)
    assert figure["name"].endswith("2 x 4, 2 heads, context 8, batch 3, mixed bfloat16, AdamW")
    assert figure["unit"] == "tokens/s"
    assert figure["ratios"]["nanoGPT"]["values"] == [2.0, 6.0, 2.0]
    share = figure["shares"]["of the float32 peak"]
    assert share["tfgen"]["values"] == pytest.approx(
        [8 * 4632 / 1e5, 30 * 4632 / 2e5, 12 * 4632 / 4e5]
    )
    assert share["nanoGPT"]["values"][0] == pytest.approx(4 * 4632 / 1e5)
    assert any("6 x 644 weights" in note for note in figure["notes"])
    assert any("25% of TensorFlow's" in note for note in figure["notes"])
    assert ("benchmarks.peer_nanogpt", "train", sizes, "a checkout", 1 / 3) in fake.asked
    json.dumps(figure)


def test_a_generation_figure_of_a_transformer(fake):
    figure = figures_transformer.generation(DECODER, "a checkout", EFFORT)
    assert set(figure["ratios"]) == {"transformers"}  # nanoGPT is for one text
    assert ("benchmarks.peer_tfgen", "generate", DECODER, "float32", "bfloat16") in fake.asked
    # Three characters for each position.
    assert figure["shares"]["of the bandwidth"]["tfgen"]["values"] == pytest.approx(
        [8 * 4 * 644 / 3 / 1e5, 30 * 4 * 644 / 3 / 1e5, 12 * 4 * 644 / 3 / 1e5]
    )
    peak = figure["shares"]["of the peak"]["transformers"]
    assert peak["values"][0] == pytest.approx(2 * DECODER.generating_flops() / 1e5)

    single = dataclasses.replace(DECODER, batch=1)
    fake.asked.clear()
    figure = figures_transformer.generation(single, "a checkout", EFFORT)
    assert figure["ratios"]["nanoGPT"]["values"] == [8.0, 30.0, 12.0]
    assert figure["ratios"]["transformers"]["values"] == [4.0, 6.0, 0.5]
    # Their measurements are the same, so that the ratio is 1 and the share a quarter.
    variant = figure["variants"]["tfgen, int8"]
    assert variant["tfgen"]["values"] == [1.0, 1.0, 1.0]
    assert variant["transformers"]["values"] == [4.0, 6.0, 0.5]
    share = figure["shares"]["of the bandwidth"]
    assert share["tfgen, int8"]["median"] == pytest.approx(share["tfgen"]["median"] / 4)
    assert ("benchmarks.peer_tfgen", "generate", single, "int8", "float32") in fake.asked
    lines = "\n".join(table(figure))
    assert "tfgen, int8: 1.00 x (1.00 to 1.00) tfgen, 12.00 x (8.00 to 30.00) nanoGPT" in lines


def test_without_a_checkout_nanogpt_is_left_out(fake):
    sizes = dataclasses.replace(DECODER, batch=1)
    for measure in (figures_transformer.training, figures_transformer.generation):
        figure = measure(sizes, None, EFFORT)
        assert "nanoGPT" not in figure["contestants"]
        assert any(
            "nanoGPT skipped: give" in line and "--nanogpt" in line for line in table(figure)
        )


def test_a_figure_of_drafts(fake):
    figure = figures_transformer.drafting("large", "small", 9, EFFORT)
    assert ("benchmarks.peer_tfgen", "draft", "large", 9) in fake.asked
    assert ("benchmarks.peer_tfgen", "draft", "large", 9, "small", 4) in fake.asked
    # Their measurements are the same.
    assert figure["variants"]["tfgen, drafts of 4"]["tfgen"]["values"] == [1.0, 1.0, 1.0]
    assert any("tfgen, drafts of 6: 1.00 x" in line for line in table(figure))


def test_the_first_token(monkeypatch):
    calls = []
    seconds = iter([(9.0, 9.0), (1.0, 8.0), (1.0, 3.0), (2.0, 7.0), (1.5, 4.0)])

    def call(module, environment, function, sizes):
        calls.append(environment.get("TF_XLA_FLAGS"))
        assert (module, function, sizes.batch) == ("benchmarks.first_token", "first_token", 1)
        return next(seconds)

    monkeypatch.setattr(figures_transformer, "_call", call)
    figure = figures_transformer.first_token(DECODER, contest.Effort(repeats=2))
    # The first process brings files into the cache, and does not count.
    assert figure["contestants"]["first start"]["values"] == [8.0, 7.0]
    assert figure["contestants"]["second start"]["values"] == [3.0, 4.0]
    assert figure["differences"]["saved by the second start"]["values"] == [5.0, 3.0]
    assert figure["differences"]["of the first start, until the model is built"]["max"] == 2.0
    # Each round has a folder for what XLA leaves behind.
    assert calls[0] is None and calls[1] == calls[2] != calls[3] == calls[4]
    json.dumps(figure)


# Figures of numbers

DRAWN = SeriesSizes("gru", layers=2, units=5, features=3, components=4, covariance="full", batch=2)


def test_a_figure_of_drawing_numbers(fake, monkeypatch):
    calls = []
    monkeypatch.setattr(figures_series, "call", lambda *arguments: calls.append(arguments))
    monkeypatch.setitem(fake.values, "benchmarks.peer_series rollout", [8.0, 30.0, 12.0])
    monkeypatch.setitem(fake.values, "benchmarks.peer_pytorch_series rollout", [4.0, 10.0, 24.0])
    figure = figures_series.rollout(DRAWN, EFFORT)
    assert figure["unit"] == "steps/s"
    assert figure["name"].startswith("drawing numbers, GRU 2 x 5, 3 features, 4 Gaussians (full)")
    assert figure["name"].endswith("512 steps, batch 2")
    assert figure["ratios"]["PyTorch"]["values"] == [2.0, 3.0, 0.5]
    # The peer reads what tfgen has written before.
    ((module, function, sizes, path),) = calls
    assert (module, function, sizes) == ("benchmarks.peer_series", "write_reference", DRAWN)
    assert fake.asked == [
        ("benchmarks.peer_series", "rollout", DRAWN),
        ("benchmarks.peer_pytorch_series", "rollout", DRAWN, path, 1 / 3),
    ]
    monkeypatch.setattr(fake, "missing", ("benchmarks.peer_pytorch_series",))
    figure = figures_series.rollout(DRAWN, EFFORT)
    assert set(figure["skipped"]) == {"PyTorch"} and figure["ratios"] == {}


def hours(rows, gaps=(), start=0):
    """Times of so many rows, an hour apart but where hours are left out."""
    return start + 3600 * np.setdiff1d(np.arange(rows + len(gaps)), gaps)


def two_series(**changes):
    """Two series of 20 rows whose values are their hours; in the first the hour 15 is missing."""
    times = [hours(20, gaps=[15]), hours(20, start=7200)]
    values = [
        np.stack([(part - part[0]) / 3600, (part - part[0]) / 36], axis=1).astype(np.float32)
        for part in times
    ]
    values[1][3, 1] = np.nan
    features = (Feature("a"), Feature("b", low=0.0, high=5000.0))
    sequences = Sequences("made up", "series", features, values, ["x", "y"], times)
    return dataclasses.replace(sequences, **changes)


def test_what_forecasts_are_asked_for():
    task = forecast_task.make_task(two_series(), 0.35, context=3, horizon=2)
    assert (task.names, task.ids, task.step) == (("a", "b"), ("x", "y"), 3600)
    # Row 13 is the first one held out. The first series has 21 hours, of which one has no row.
    assert task.edges == (13, 13) and [len(values) for values in task.values] == [21, 20]
    assert task.origins.tolist() == [
        [0, 13], [0, 15], [0, 17], [0, 19], [1, 13], [1, 15], [1, 17],
    ]  # fmt: skip
    assert task.days.tolist() == [0, 1, 2, 3, 0, 1, 2]
    truth, before = task.truth(), task.before()
    assert truth[0, :, 0].tolist() == [13, 14] and before[0, :, 0].tolist() == [10, 11, 12]
    assert np.isnan(truth[1, 0]).all() and truth[1, 1, 0] == 16
    assert np.isnan(before[2, :, 0]).tolist() == [False, True, False]

    # What has no row is left out of the rows, but for the hour before the origin.
    values, times = task.rows_before()
    assert values[2][:, 0].tolist() == [14, 16]
    assert times[2].tolist() == [14 * 3600, 16 * 3600]
    assert times[4].tolist() == [12 * 3600, 13 * 3600, 14 * 3600]  # the second begins at 2
    later = dataclasses.replace(task, origins=np.array([[0, 16]]))
    values, times = later.rows_before()
    assert np.isnan(values[0][:, 0]).tolist() == [False, False, True]
    assert times[0].tolist() == [13 * 3600, 14 * 3600, 15 * 3600]

    mean, deviation = task.moments()
    assert mean[0] == 6.0 and deviation[0] == pytest.approx(np.std(np.arange(13)))
    expected = np.delete(np.tile(np.arange(13), 2), 3) * 100
    assert (mean[1], deviation[1]) == pytest.approx((expected.mean(), expected.std()))
    assert task.bounded(np.array([[-1.0, -1.0], [9000.0, 9000.0]])).tolist() == [
        [-1.0, 0.0], [9000.0, 5000.0],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"times": None}, "needs timestamps"),
        ({"features": (Feature("a"), Feature("b", levels=("u", "v")))}, "has categories"),
        ({"times": [hours(20), np.arange(20) * 3600 + np.arange(20) // 10]}, "on a grid of 3600 s"),
    ],
)
def test_what_cannot_be_asked_for(changes, message):
    with pytest.raises(benchmark.InputError, match=message):
        forecast_task.make_task(two_series(**changes), 0.35, 3, 2)
    for arguments in ((0.05, 3, 2), (0.35, 30, 2)):
        with pytest.raises(benchmark.InputError, match="no room for a context"):
            forecast_task.make_task(two_series(), *arguments)
    with pytest.raises(benchmark.InputError, match="needs a split in time"):
        forecast_task.make_task(two_series(), 0.5, 3, 2, split="sequences")


def forecast_figure(monkeypatch, seeds, missing=False, broken=False):
    """The figure of forecasts that are off by 1 (tfgen) and by 2 and more (DeepAR)."""
    task = forecast_task.make_task(two_series(), 0.35, context=3, horizon=2)
    truth = np.nan_to_num(task.truth(), nan=5.0)
    calls = []

    def call(module, function, *arguments):
        calls.append((module, function, *arguments))
        if module == "benchmarks.peer_series":
            samples = np.stack([truth + 1, truth + 1], axis=1)
            samples[:, 1, 1, 0] = np.inf if broken else samples[:, 1, 1, 0]
            return samples, 1234, "note of ours"
        if missing:
            raise workers.Missing("No module named 'gluonts'")
        return np.stack([truth - 2 - arguments[-1]] * 2, axis=1), 1250, "note of the peer"

    monkeypatch.setattr(figures_series, "call", call)
    return task, calls, figures_series.forecast("mine", task, 2, 7, seeds)


def test_a_figure_of_forecasts(monkeypatch):
    task, calls, figure = forecast_figure(monkeypatch, seeds=2)
    peer = ("benchmarks.peer_deepar", "forecast", task, 1234, 2, 7)
    assert calls == [("benchmarks.peer_series", "forecast", "mine", task, 2, 0), *(
        (*peer, seed) for seed in (0, 1))]  # fmt: skip
    # The hour that is missing does not count. The errors are 1, and 2 and 3 of DeepAR's two.
    _, deviation = task.moments()
    ours, theirs = figure["scores"]["tfgen"], figure["scores"]["DeepAR"]
    assert ours["a"] == pytest.approx(1 / deviation[0])
    assert ours["mean"] == pytest.approx((1 / deviation).mean())
    assert theirs["b"] == pytest.approx(2.5 / deviation[1])
    assert figure["ratios"]["DeepAR"] == pytest.approx({"median": 0.4, "min": 0.4, "max": 0.4})
    # Three hours before an origin are less than a day: the last value is repeated.
    last = np.nan_to_num(task.before()[:, -1:, 0], nan=14.0)
    error = np.nanmean(np.abs(task.truth()[..., 0] - last))
    assert figure["scores"]["naive"]["a"] == pytest.approx(error / deviation[0])
    assert "in 80%" not in figure["scores"]["naive"]
    assert ours["in 80%"] == 0.0  # off by 1, all samples alike
    assert {"tfgen", "naive", "naive, residuals", "DeepAR"} == set(
        figure["scores"]
    )
    assert any("26 of 28 values were observed" in note for note in figure["notes"])
    low, high = ((n / deviation).mean() for n in (2, 3))
    assert figure["contestants"]["DeepAR"]["note"] == (
        f"1,250 weights, note of the peer; note of the peer; means {low:.3f} to {high:.3f}"
    )
    json.dumps(figure)
    lines = table(figure)
    assert lines[0] == "forecasts of 2 hours from 7 origins in 2 series, 2 samples"
    assert lines[1].split() == "mean CRPS / std mean tfgen is a b in 80%".split()
    assert any("0.40 x (0.40 to 0.40)" in line for line in lines)

    # The bounds of the data hold for all: "b" is at least 0.
    far = {name: [np.full([7, 2, 2, 2], -1e6)] for name in ("tfgen", "naive")}
    figure = figures_series.score(task, far, dict.fromkeys(far, ""), {})
    expected = np.nanmean(task.truth()[..., 1]) / deviation[1]
    assert figure["scores"]["tfgen"]["b"] == pytest.approx(expected)


@pytest.mark.parametrize("season", [1, 4, 24])
@pytest.mark.parametrize("spread", [False, True])
def test_the_naive_forecast_has_the_season_that_serves_it_best(season, spread):
    rng = np.random.default_rng(0)
    value = np.cumsum(rng.normal(size=240)) if season == 1 else rng.normal(size=season)
    values = [np.resize(value, [240, 1]).astype(np.float32)]
    made = Sequences("made", "series", (Feature("a"),), values, ["x"], [hours(240)])
    task = forecast_task.make_task(made, 0.35, context=48, horizon=2)
    (samples,), note = figures_series._best_naive(task, 3, spread)
    begin = "the last value" if season == 1 else f"the values of {season} positions before"
    assert note.startswith(f"{begin}, ") and "24: " in note and "1: " in note
    assert samples.shape == (len(task.origins), 3 if spread else 1, 2, 1)
    if season > 1:
        np.testing.assert_allclose(samples, np.repeat(task.truth()[:, None], samples.shape[1], 1))


def test_a_figure_of_forecasts_without_a_peer_and_with_a_broken_one(monkeypatch):
    _, _, figure = forecast_figure(monkeypatch, seeds=1, missing=True)
    assert "DeepAR" not in figure["scores"] and "DeepAR" not in figure["ratios"]
    line = "DeepAR skipped: No module named 'gluonts': pip install gluonts[torch]"
    assert line in "\n".join(table(figure))
    with pytest.raises(ValueError, match="tfgen drew NaN or infinity"):
        forecast_figure(monkeypatch, seeds=1, broken=True)


def test_the_ratio_of_forecasts_is_drawn_anew_by_days():
    days = np.array([0, 1, 0, 1])
    ours, theirs = np.ones([4, 2, 1]), np.ones([4, 2, 1])
    theirs[[1, 3]] = 3.0
    theirs[0, 0] = ours[0, 0] = np.nan
    # 3 values of the first day and 4 of the second: 15 in all; only one of the days gives 1 or 3.
    ratio = figures_series._ratio(ours, theirs, days)
    assert ratio == pytest.approx({"median": 7 / 15, "min": 1 / 3, "max": 1.0})


@pytest.mark.parametrize("cell, covariance", [("gru", "full"), ("lstm", "diagonal")])
def test_pytorch_has_the_same_model_of_numbers(cell, covariance, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from benchmarks import peer_pytorch_series, peer_series

    sizes = dataclasses.replace(DRAWN, cell=cell, covariance=covariance, steps=4)
    peer_series.write_reference(sizes, tmp_path / "reference.npz")
    arrays = dict(np.load(tmp_path / "reference.npz"))
    model = peer_series.build(sizes)
    assert sum(sizes.outputs().values()) == model.number_head.dense.kernel.shape[1]
    assert arrays["likeliest"].std() > 0.01  # or else there would be nothing to compare
    for as_cells in (False, True):
        network = peer_pytorch_series.Network(sizes, arrays, as_cells)
        assert peer_pytorch_series.check(network, arrays) < 1e-5
        drawn = network.generate(3, 4)
        assert drawn.shape == (3, 4, 3) and np.isfinite(drawn).all() and drawn.std(0).min() > 0.01
    for name in ("recurrent_1", "bias_0", "head_kernel"):
        broken = {**arrays, name: arrays[name] + np.linspace(0, 0.5, arrays[name].shape[-1])}
        network = peer_pytorch_series.Network(sizes, broken)
        with pytest.raises(ValueError, match="differs from tfgen's"):
            peer_pytorch_series.check(network, arrays)

    # From the same noise, both draw the same numbers of the same Gaussian.
    rng = np.random.default_rng(0)
    raw = {name: rng.normal(size=[6, size]).astype(np.float32) for name, size in
           sizes.outputs().items()}  # fmt: skip
    raw["logits"] = np.eye(6, sizes.components, dtype=np.float32) * 100
    raw["logits"][4:, 2] = 100
    noise = rng.normal(size=[6, 3]).astype(np.float32)
    monkeypatch.setattr(torch, "randn_like", lambda like: torch.from_numpy(noise))
    with torch.inference_mode():
        theirs = network.draw({name: torch.from_numpy(array) for name, array in raw.items()})
    shapes = {"logits": [6, 4], "couplings": [6, 4, 3]}
    parameters = {name: array.reshape(shapes.get(name, [6, 4, 3])) for name, array in raw.items()}
    parameters["scales"] = network.min_scale + np.logaddexp(0, parameters["scales"])
    ours = model.number_head.sample(parameters, np.full([6, 1], 0.5, np.float32), noise)
    np.testing.assert_allclose(theirs.numpy(), ours.numpy(), atol=1e-5)


# Figures of the diffusion model

NOISED = DiffusionSizes(8, (1, 2), features=3, length=16, batch=2, steps=3)


@pytest.mark.parametrize(
    "measure, function, unit, ending",
    [
        (figures_unet.training, "train", "steps/s", "3 features, length 16, batch 2"),
        (figures_unet.sampling, "sample", "sequences/s", "length 16, batch 2, 3 DDIM steps"),
    ],
)
def test_a_figure_of_the_diffusion_model(fake, monkeypatch, measure, function, unit, ending):
    calls = []
    monkeypatch.setattr(figures_unet, "call", lambda *arguments: calls.append(arguments) or 1234)
    peers = {"denoising-diffusion-pytorch": "lucidrains", "diffusers": "diffusers"}
    for name, values in {"unet": [8.0, 30.0, 12.0], "lucidrains": [4.0, 10.0, 24.0],
                         "diffusers": [2.0, 3.0, 4.0]}.items():  # fmt: skip
        monkeypatch.setitem(fake.values, f"benchmarks.peer_{name} {function}", values)
    figure = measure(NOISED, EFFORT)
    assert figure["unit"] == unit and figure["name"].endswith(ending)
    assert "U-Net 8 x 1-2, 3 features" in figure["name"]
    assert figure["ratios"]["denoising-diffusion-pytorch"]["values"] == [2.0, 3.0, 0.5]
    assert figure["ratios"]["diffusers"]["values"] == [4.0, 10.0, 3.0]
    # The peers are told how many weights tfgen's network has.
    assert calls == [("benchmarks.peer_unet", "parameters", NOISED)]
    assert fake.asked == [
        ("benchmarks.peer_unet", function, NOISED),
        *((f"benchmarks.peer_{peer}", function, NOISED, 1234, 1 / 3) for peer in peers.values()),
    ]
    json.dumps(figure)
    plain = measure(dataclasses.replace(NOISED, attention=False), EFFORT)
    assert list(plain["ratios"]) == ["diffusers"] and "without attention" in plain["name"]

    monkeypatch.setattr(fake, "missing", [f"benchmarks.peer_{peer}" for peer in peers.values()])
    lines = "\n".join(table(measure(NOISED, EFFORT)))
    for peer, more in (("denoising-diffusion-pytorch", ""), ("diffusers", " torch")):
        assert f"{peer} skipped: No module named 'torch': pip install {peer}{more}" in lines


def test_contestants_see_the_same_sequences():
    sequences = random_sequences(NOISED)
    assert sequences.shape == (4, 2, 16, 3) and sequences.dtype == np.float32
    assert abs(sequences.std() - 1) < 0.1 and (sequences == random_sequences(NOISED)).all()


def test_the_fastest_way_in_pytorch_counts(monkeypatch):
    torch = pytest.importorskip("torch")
    from benchmarks import pytorch_ways

    before = torch.get_num_threads()
    speeds = iter([100.0, 2.5, 90.0, 300.0])
    monkeypatch.setattr(pytorch_ways, "rate", lambda run, seconds: run() and next(speeds))

    def fail():
        raise ValueError("no compiler\nat all")

    def hang():
        raise pytorch_ways.TooLong

    ways = {"torch.compile": fail, "one": lambda: "1", "two": lambda: "2", "torch.compile, x": hang}
    run, note = pytorch_ways.fastest(ways, 1.0)
    assert run() == "2"
    assert note == (
        "two (tried: torch.compile fails: no compiler; torch.compile, x takes longer than 240 s; "
        "one 100; two 300)"
    )
    with pytest.raises(ValueError, match="no compiler"):
        pytorch_ways.fastest({"eager": fail}, 1.0)

    # Each way runs with its own number of threads.
    torch.set_num_threads(2)
    monkeypatch.setattr(torch, "compile", lambda network: f"compiled {network}")
    ways = pytorch_ways.eager_and_compiled(
        lambda wrap: lambda: (wrap("it"), torch.get_num_threads())
    )
    try:
        assert {name: run() for name, run in ways.items()} == {
            "eager, 1 thread": ("it", 1),
            "eager, 2 threads": ("it", 2),
            "torch.compile, 2 threads": ("compiled it", 2),
        }
    finally:
        torch.set_num_threads(before)


def test_a_peer_is_as_wide_as_its_weights_tell():
    torch = pytest.importorskip("torch")
    from benchmarks.pytorch_ways import nearest_width

    def make(width):  # width squared weights
        return torch.nn.Linear(width, width, bias=False)

    assert nearest_width(make, 24**2) == (24, "576 weights (+0.0%)")
    assert nearest_width(make, 560)[0] == 24
    assert nearest_width(make, 300) == (16, "256 weights (-14.7%), too far off to compare")
    assert nearest_width(make, 430) == (24, "576 weights (+34.0%), too far off to compare")
    assert nearest_width(make, 1)[0] == 8


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["lucidrains", "diffusers"])
def test_peers_have_as_many_weights_as_the_diffusion_model(peer, monkeypatch):
    pytest.importorskip("torch")
    try:
        peer = importlib.import_module(f"benchmarks.peer_{peer}")
    except ImportError as error:
        pytest.skip(str(error))
    from benchmarks import peer_unet, pytorch_ways

    count = peer_unet.parameters(DiffusionSizes())
    assert abs(count / 4e6 - 1) < 0.01
    assert peer_unet.parameters(DiffusionSizes(attention=False)) < count
    width, note = pytorch_ways.nearest_width(lambda n: peer.network(DiffusionSizes(), n), count)
    assert width == 32 and "compare" not in note
    # What it trains and draws is of the shape that was asked for.
    monkeypatch.setattr(
        pytorch_ways, "eager_and_compiled", lambda make: {"eager": make(lambda network: network)}
    )
    monkeypatch.setattr(peer, "eager_and_compiled", pytorch_ways.eager_and_compiled)
    for function, amount in ((peer.train, 1), (peer.sample, 2)):
        run, note = function(NOISED, peer_unet.parameters(NOISED), 0.0)
        assert run() == amount and "eager (tried: eager" in note


@pytest.mark.slow
def test_a_forecast_of_a_run_and_of_deepar(tmp_path):
    from benchmarks import peer_series

    from tfgen import models
    from tfgen.data import open_sequences
    from tfgen.preprocessing import SequenceProcessor
    from tfgen.recipe import Recipe

    rows = ["time,id,a,b"]
    for name in "xy":
        for hour in range(200):
            if (name, hour) != ("x", 180):
                stamp = np.datetime64("2013-01-01T00") + np.timedelta64(hour, "h")
                wave = np.sin(hour * np.pi / 12)
                rows.append(f"{stamp}:00,{name},{1000 + 5 * wave:.3f},{3 + wave:.3f}")
    (tmp_path / "waves.csv").write_text("\n".join(rows) + "\n")
    recipe = Recipe(family="gru").override(
        {"data.name": str(tmp_path / "waves.csv"), "data.id": "id", "data.kind": "series",
         "data.validation_fraction": 0.2, "model.units": 4, "model.layers": 1}
    )  # fmt: skip
    sequences = open_sequences(recipe.data)
    train, _, _ = sequences.split(0.2)
    processor = SequenceProcessor.fit(train, recipe.preprocessing)
    models.build(recipe, processor).save(tmp_path / "run")
    task = figures_series.entry_task(str(tmp_path / "run"), 24, 12)
    assert task.edges == (159, 160) and task.names == ("a", "b")
    samples, parameters, _ = peer_series.forecast(str(tmp_path / "run"), task, 5, seed=0)
    assert samples.shape == (len(task.origins), 5, 12, 2) and np.isfinite(samples).all()
    # In the data's units.
    assert abs(samples[..., 0].mean() - 1000) < 20 and abs(samples[..., 1].mean() - 3) < 4
    assert 50 < parameters < 1000

    pytest.importorskip("gluonts")
    pytest.importorskip("lightning")
    from benchmarks import peer_deepar

    units = peer_deepar.units_for(task, 20000)
    count = peer_deepar.count_parameters(peer_deepar._estimator(task, units))
    assert abs(count - 20000) < 600
    for other in (units - 1, units + 1):
        near = peer_deepar.count_parameters(peer_deepar._estimator(task, other))
        assert abs(near - 20000) >= abs(count - 20000)
    task = dataclasses.replace(task, origins=task.origins[:1], days=task.days[:1])

    def train(task, seed=0):
        return peer_deepar.forecast(task, 3000, 7, epochs=1, seed=seed, batches=3)

    theirs, count, note = train(task)
    assert theirs.shape == (1, 7, 12, 2) and "epoch 1 of 1" in note
    assert abs(theirs[..., 0].mean() - 1000) < 20 and abs(theirs[..., 1].mean() - 3) < 4
    # It forecasts without the future, from the past, and as the seed says.
    future, past = ([values.copy() for values in task.values] for _ in range(2))
    future[0][task.origins[0, 1] :] += 100
    past[0][: task.origins[0, 1]] += np.linspace(0, 5, task.origins[0, 1])[:, None]
    np.testing.assert_array_equal(train(dataclasses.replace(task, values=future))[0], theirs)
    assert (train(dataclasses.replace(task, values=past))[0] != theirs).any()
    assert (train(task, seed=1)[0] != theirs).any()


# Training to a loss


def test_a_race_ends_at_the_target(monkeypatch):
    clock = iter([100.0, 104.0, 109.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    losses, steps = iter([3.0, 1.5, *range(reach.CONTROLS)]), []

    def race():
        return reach.race(
            lambda: (steps.append, lambda: next(losses)), steps=9, validate_every=2, target=1.5
        )

    result = race()
    assert steps == [1, 2, 3, 4]
    assert result["history"] == [(2, 4.0, 3.0), (4, 9.0, 1.5)]
    assert (result["seconds"], result["step"], result["loss"]) == (9.0, 4, 1.5)
    assert result["reached"] is True and result["control"] == 4.5

    # The last step is validated too, and the target may be missed.
    clock, losses = iter([0.0, 2.0, 3.0]), iter([3.0, 2.0, *[2.5] * reach.CONTROLS])
    steps.clear()
    result = reach.race(lambda: (steps.append, lambda: next(losses)), 3, 2, target=1.5)
    assert steps == [1, 2, 3] and result["step"] == 3
    assert result["reached"] is False and result["control"] == 2.5


def test_the_text_of_a_race(tmp_path):
    path = tmp_path / "input.txt"
    path.write_text("".join(chr(ord("a") + index % 7) for index in range(1000)))
    text = reach.Text(path)
    assert text.characters == "abcdefg"
    assert (len(text.train), len(text.validation)) == (900, 100)
    assert text.validation[:3].tolist() == [900 % 7, 901 % 7, 902 % 7]
    crops = reach.Crops(text.train, 5, seed=1).draw(400)
    assert crops.shape == (400, 6)
    assert ((crops[:, 1:] - crops[:, :-1]) % 7 == 1).all()
    # Every start that there is room for, and none beyond.
    whole = reach.Crops(text.validation[:8], 5, seed=1).draw(50)
    assert set(whole[:, 0].tolist()) == set(text.validation[:3].tolist())
    assert (crops == reach.Crops(text.train, 5, seed=1).draw(400)).all()
    assert (crops != reach.Crops(text.train, 5, seed=2).draw(400)).any()


def test_the_figure_of_a_race(monkeypatch):
    results = {
        "benchmarks.peer_tfgen": [(20.0, True), (30.0, True)],
        "benchmarks.peer_nanogpt": [(80.0, True), (90.0, False)],
    }
    calls = []

    def call(module, environment, function, *arguments):
        calls.append((module, function, *arguments))
        seconds, reached = results[module].pop(0)
        return {
            "seconds": seconds, "step": 7, "loss": 1.7, "control": 1.75, "reached": reached,
            "history": [],
        }  # fmt: skip

    monkeypatch.setattr(figures_transformer, "_call", call)
    spec = sys.__spec__  # of anything: PyTorch need not be installed here
    monkeypatch.setattr(figures_transformer.importlib.util, "find_spec", lambda name: spec)
    figure = figures_transformer.reach("a text", sys.prefix, 1.8, 3, rounds=2)
    assert [call[:2] for call in calls] == 2 * [
        ("benchmarks.peer_tfgen", "reach"),
        ("benchmarks.peer_nanogpt", "reach"),
    ]
    assert [call[2:] for call in calls[2:]] == [
        ("a text", 1.8, 3, 1),
        ("a text", sys.prefix, 1.8, 3, 1),
    ]
    assert figure["ratios"]["nanoGPT"]["values"] == [0.25, 1 / 3]
    notes = {name: result["note"] for name, result in figure["contestants"].items()}
    assert notes["tfgen"].startswith("1.700 after 7 steps, 1.750 on more crops; 1.700")
    assert notes["nanoGPT"].count("NOT REACHED") == 1
    json.dumps(figure)

    # Where tfgen fails there is no ratio, and without a checkout nobody to compare with.
    results["benchmarks.peer_tfgen"] = [(20.0, False), (10.0, True)]
    results["benchmarks.peer_nanogpt"] = [(80.0, True)]
    assert figures_transformer.reach("a text", sys.prefix, 1.8, 3, rounds=1)["ratios"] == {}
    figure = figures_transformer.reach("a text", None, 1.8, 3, rounds=1)
    assert set(figure["contestants"]) == {"tfgen"} and "nanoGPT" in figure["skipped"]
    monkeypatch.setattr(figures_transformer.importlib.util, "find_spec", lambda name: None)
    results["benchmarks.peer_tfgen"].append((10.0, True))
    figure = figures_transformer.reach("a text", sys.prefix, 1.8, 3, rounds=1)
    assert set(figure["contestants"]) == {"tfgen"} and "PyTorch" in figure["skipped"]["nanoGPT"]


def test_nanogpts_learning_rate():
    pytest.importorskip("torch")
    from benchmarks.peer_nanogpt import _learning_rate

    rates = [_learning_rate(reach.NANOGPT, iteration) for iteration in (0, 99, 100, 1050, 2000)]
    assert rates == pytest.approx([1e-3 / 101, 1e-1 / 101, 1e-3, 5.5e-4, 1e-4])


def test_a_time_limit():
    pytest.importorskip("torch")
    from benchmarks.pytorch_ways import TooLong, time_limit

    with pytest.raises(TooLong), time_limit(1):
        time.sleep(5)
    with time_limit(1):
        pass
    time.sleep(1.1)  # no alarm is left


# The processes


@pytest.fixture
def contestant(tmp_path, monkeypatch):
    """The name of a module with work in it."""
    (tmp_path / "contestant_of_a_test.py").write_text(
        "import os, time\n"
        "def work(amount):\n"
        "    return (lambda: time.sleep(0.01) or amount), os.environ.get('GREETING', '')\n"
        "def fail():\n"
        "    raise ValueError('out of order')\n"
        "def answer(number):\n"
        "    return number + 1\n"
        "def die():\n"
        "    os._exit(7)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "contestant_of_a_test"


def test_a_worker_measures_when_asked(contestant):
    worker = workers.Worker(contestant, {"GREETING": "hello"})
    assert worker.prepare("work", 5) == "hello"
    assert 0 < worker.measure(0.05) <= 500
    with pytest.raises(RuntimeError, match="out of order"):
        worker.prepare("fail")
    assert worker.call("answer", 5) == 6
    assert worker.prepare("work", 0) == "hello"
    assert worker.measure(0) == 0
    with pytest.raises(RuntimeError, match="ended with exit code 7"):
        worker.prepare("die")
    worker.stop()


def test_a_worker_tells_what_is_missing():
    worker = workers.Worker("no_such_library_of_a_test")
    with pytest.raises(workers.Missing, match="no_such_library_of_a_test"):
        worker.prepare("work")
    worker.stop()


# The command line


@pytest.mark.parametrize(
    "argv, message",
    [
        (["trian"], "Unknown section 'trian'. Did you mean 'train'"),
        (["train", "--model", "gur"], "Unknown model 'gur'. Did you mean 'gru'"),
        (["train", "--dtype", "float16"], "Unknown dtype 'float16'"),
        (["train", "--dtype", "bfloat16"], "--dtype is for --model transformer"),
        (["train", "--nanogpt", str(ROOT)], "holds no model.py of nanoGPT"),
        (["train", "--transformer", "4x4x128x64"], "must be LAYERSxHEADSxWIDTHxCONTEXTxBATCH"),
        (["train", "--transformer", "4x3x128x64x12"], "width a multiple of heads. Received: 4x3"),
        (["train", "--transformer", "4x4x128x0x12"], "must be LAYERSx"),
        (["generate", "--tokens", "241"], "A prompt of 16 and --tokens 241 do not fit into"),
        (["reach"], "reach needs a text: --text FILE"),
        (["reach", "--text", "./nothing"], "--text: ./nothing cannot be read"),
        (["reach", "--text", str(ROOT / "pyproject.toml")], "each part needs 66 characters"),
        (["peak", "--target", "0"], "--target must be > 0. Received: --target 0.0"),
        (["--repeats", "0"], "--repeats: must be an integer >= 1. Received: 0"),
        (["--units", "many"], "--units: must be an integer >= 1. Received: many"),
        (["--batch", "1"], "--batch: must be an integer >= 2"),
        (["--seconds", "nan"], "--seconds must be >= 0. Received: --seconds nan"),
        (["--rounds", "3"], "--rounds"),
        (["start", "--entry", "lstm"], "'lstm' has no weights"),
        (["start", "--entry", "./nothing"], "nothing"),
        (["train", "--out", str(ROOT)], "is a folder"),
        (["rollout", "--numbers", "2x128x8"], "must be LAYERSxUNITSxFEATURESxCOMPONENTS. Received"),
        (["rollout", "--numbers", "2x0x8x10"], "must be LAYERSxUNITSxFEATURESxCOMPONENTS"),
        (["rollout", "--covariance", "ful"], "Unknown covariance 'ful'. Did you mean 'full'"),
        (["rollout", "--rows", "1"], "--rows: must be an integer >= 2"),
        (["unet", "--width", "12"], "--width: must be a multiple of 8. Received: 12"),
        (["unet", "--width", "0"], "--width: must be a multiple of 8. Received: 0"),
        (["unet", "--length", "100"], "--length: must be a multiple of 8. Received: 100"),
        (
            ["unet", "--steps", "1000"],
            "unet draws in fewer than 1000 steps. Received: --steps 1000",
        ),
        (["forecast", "--samples", "1"], "--samples: must be an integer >= 2"),
        (["forecast", "--entry", "lstm-shakespeare"], "'lstm-shakespeare' is of text"),
        (["forecast", "--entry", "gru"], "'gru' has no weights"),
    ],
)
def test_mistakes_are_told_in_one_line(argv, message, capsys):
    assert benchmark.main(argv) == 2
    output = capsys.readouterr()
    assert message in output.err and output.out == ""
    assert output.err.startswith("benchmark.py: error: ") and output.err.count("\n") == 1


def test_every_option_reaches_the_figures(monkeypatch, capsys, tmp_path):
    calls = []
    figure = contest.new_figure("made up", "tokens/s", {"tfgen": [1.0]})

    def fake(name, result):
        return lambda *arguments: calls.append((name, *arguments)) or result

    monkeypatch.setattr(figures, "training", fake("training", figure))
    monkeypatch.setattr(figures, "generation", fake("generation", figure))
    monkeypatch.setattr(figures, "peaks", fake("peaks", [figure]))
    argv = "train generate peak --model gru --units 16 --layers 3 --embedding 8 4 --window 7"
    argv += " --batch 5 --tokens 9 --repeats 2 --seconds 0.5 --matrix 32 --array-mib 6"
    argv += f" --out {tmp_path}/x"
    assert benchmark.main(argv.split()) == 0
    effort = contest.Effort(repeats=2, seconds=0.5, matrix=32, array_mib=6)
    common = {"cell": "gru", "units": 16, "layers": 3, "window": 7, "tokens": 9}
    assert calls == [
        ("peaks", effort),
        ("training", Sizes(embedding=8, batch=5, **common), effort),
        ("training", Sizes(embedding=4, batch=5, **common), effort),
        ("generation", Sizes(embedding=8, batch=1, **common), effort),
        ("generation", Sizes(embedding=8, batch=5, **common), effort),
    ]
    assert "2 rounds are a trial" in capsys.readouterr().out
    results = json.loads((tmp_path / "x").read_text())
    assert results["figures"] == [figure] * 5
    assert results["settings"]["model"] == ["gru"]
    assert {"cpu", "cores", "versions"} <= set(results["machine"])

    # By default an embedding as wide as a layer, and one of 128.
    calls.clear()
    assert benchmark.main(["train", "--units", "256", "--model", "lstm", "gru"]) == 0
    assert [(call[1].cell, call[1].embedding) for call in calls] == [
        ("lstm", 256), ("lstm", 128), ("gru", 256), ("gru", 128),
    ]  # fmt: skip
    assert calls[0][2] == contest.Effort()


def test_every_option_reaches_the_figures_of_the_transformer(monkeypatch, capsys, tmp_path):
    calls = []
    figure = contest.new_figure("made up", "tokens/s", {"tfgen": [1.0]})
    for name in ("training", "generation", "drafting", "first_token", "reach"):
        monkeypatch.setattr(
            figures_transformer,
            name,
            lambda *arguments, name=name: calls.append((name, *arguments)) or figure,
        )
    (tmp_path / "model.py").write_text("")
    (tmp_path / "input.txt").write_text("ab" * 1000)
    argv = (
        "train generate draft first reach --model transformer --transformer 1x2x4x40x3 2x1x6x50x4"
    )
    argv += f" --batch 5 --tokens 9 --dtype bfloat16 --nanogpt {tmp_path} --repeats 2 --target 2"
    argv += f" --text {tmp_path}/input.txt --eval-batches 6 --reach-repeats 3 --out {tmp_path}/x"
    assert benchmark.main(argv.split()) == 0
    effort, checkout = contest.Effort(repeats=2), str(tmp_path)
    small = TransformerSizes(1, 2, 4, 40, 3, 9, dtype="bfloat16")
    large = TransformerSizes(2, 1, 6, 50, 4, 9)
    assert calls == [
        ("first_token", large, effort),
        ("drafting", "transformer-shakespeare", "lstm-shakespeare", 9, effort),
        ("training", small, checkout, effort),
        ("training", dataclasses.replace(large, dtype="bfloat16"), checkout, effort),
        ("generation", dataclasses.replace(large, batch=1), checkout, effort),
        ("generation", dataclasses.replace(large, batch=5), checkout, effort),
        ("reach", str(tmp_path / "input.txt"), checkout, 2.0, 6, 3),
    ]
    assert len(json.loads((tmp_path / "x").read_text())["figures"]) == 7

    # By default nanoGPT's recipe for CPUs and its larger model, which generates 240 tokens.
    calls.clear()
    assert benchmark.main(["train", "generate", "--model", "transformer"]) == 0
    assert [call[1] for call in calls] == [
        TransformerSizes(4, 4, 128, 64, 12),
        TransformerSizes(6, 6, 384, 256, 16),
        TransformerSizes(6, 6, 384, 256, 1),
        TransformerSizes(6, 6, 384, 256, 32),
    ]
    assert calls[2][1].tokens == 240 and calls[2][2] is None


def test_every_option_reaches_the_figures_of_numbers(monkeypatch):
    calls = []
    figure = contest.new_figure("made up", "steps/s", {"tfgen": [1.0]})
    for name in ("rollout", "forecast", "entry_task"):
        monkeypatch.setattr(
            figures_series,
            name,
            lambda *arguments, name=name: calls.append((name, *arguments)) or figure,
        )
    argv = "rollout forecast --model gru lstm --numbers 1x4x3x2 2x5x6x7 --covariance full --steps 9"
    argv += " --rows 5 --entry ./mine --context 30 --horizon 6 --samples 8 --epochs 3 --seeds 2"
    assert benchmark.main([*argv.split(), "--repeats", "2"]) == 0
    effort = contest.Effort(repeats=2)
    task = ("entry_task", "./mine", 30, 6)
    assert calls[0] == task and calls[-2] == task
    assert calls[-1] == ("forecast", "./mine", figure, 8, 3, 2)
    assert calls[1:-2] == [
        ("rollout", SeriesSizes(cell, *shape, "full", batch, 9), effort)
        for cell in ("gru", "lstm")
        for shape in ((1, 4, 3, 2), (2, 5, 6, 7))
        for batch in (1, 5)
    ]
    calls.clear()
    assert benchmark.main(["rollout", "forecast", "--model", "lstm"]) == 0
    default = SeriesSizes("lstm", 2, 128, 8, 10, "diagonal", 1, 512)
    assert [call[1] for call in calls[1:3]] == [default, dataclasses.replace(default, batch=64)]
    assert calls[0] == ("entry_task", "gru-weather", 168, 24)
    assert calls[-1] == ("forecast", "gru-weather", figure, 100, 100, 1)


def test_every_option_reaches_the_figures_of_the_diffusion_model(monkeypatch):
    calls = []
    figure = contest.new_figure("made up", "steps/s", {"tfgen": [1.0]})
    for name in ("training", "sampling"):
        monkeypatch.setattr(
            figures_unet,
            name,
            lambda *arguments, name=name: calls.append((name, *arguments)) or figure,
        )
    argv = "unet --width 16 --length 24 --batch 5 --rows 3 --steps 7 --repeats 2 --no-attention"
    assert benchmark.main(argv.split()) == 0
    effort = contest.Effort(repeats=2)
    sizes = DiffusionSizes(16, length=24, batch=5, attention=False)
    assert calls == [
        ("training", sizes, effort),
        ("sampling", dataclasses.replace(sizes, batch=3, steps=7), effort),
    ]
    calls.clear()
    assert benchmark.main(["unet"]) == 0
    assert [
        (call[1].batch, call[1].steps, call[1].length, call[1].attention) for call in calls
    ] == [(32, 50, 128, True), (16, 50, 128, True)]


def run(*argv, path="", **variables):
    """What the script writes as JSON, and what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(path), **variables}
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "benchmark.py", *map(str, argv)],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_a_small_run_of_all_that_computes(tmp_path):
    out = tmp_path / "results.json"
    printed = run("train", "generate", "--model", "gru", *TINY, "--out", out)
    training, single, many = json.loads(out.read_text())["figures"]
    assert "training, GRU 2 x 16, embedding 8" in printed
    for figure, peers in ((training, 2), (single, 2), (many, 2)):
        if "PyTorch" in figure["contestants"]:  # the ways that it was tried in
            note = figure["contestants"]["PyTorch"]["note"]
            assert "without oneDNN" in note and (figure is training or "nn.GRUCell" in note)
        assert {"tfgen", "matrix product"} <= set(figure["contestants"])
        assert len(figure["ratios"]) + len({"PyTorch"} & set(figure["skipped"])) == peers
        ours = figure["contestants"]["tfgen"]["values"]
        assert len(ours) == 2 and min(ours) > 0
        for peer, ratio in figure["ratios"].items():
            theirs = figure["contestants"][peer]["values"]
            assert ratio["values"] == [a / b for a, b in zip(ours, theirs, strict=True)]
        for share in figure["shares"].values():
            assert "tfgen" in share


@pytest.mark.long
def test_a_small_run_of_drawing_numbers(tmp_path):
    out = tmp_path / "results.json"
    argv = "rollout --model gru --numbers 1x8x3x4 --steps 6 --rows 3 --repeats 1 --seconds 0"
    printed = run(*argv.split(), "--out", out, OMP_NUM_THREADS="1")
    single, many = json.loads(out.read_text())["figures"]
    assert "drawing numbers, GRU 1 x 8, 3 features, 4 Gaussians (diagonal), 6 steps" in printed
    for figure in (single, many):
        assert min(figure["contestants"]["tfgen"]["values"]) > 0
        assert set(figure["ratios"]) | set(figure["skipped"]) == {"PyTorch"}
    if single["ratios"]:
        assert "at temperature 0 as tfgen up to" in single["contestants"]["PyTorch"]["note"]


@pytest.mark.long
def test_a_small_run_of_the_diffusion_model(tmp_path):
    out = tmp_path / "results.json"
    argv = "unet --width 8 --length 8 --batch 2 --rows 3 --steps 2 --repeats 1 --seconds 0".split()
    # Without compilation, which takes PyTorch a minute.
    printed = run(*argv, "--out", out, OMP_NUM_THREADS="1", TORCHDYNAMO_DISABLE="1")
    assert "training, U-Net 8 x 1-2-4-8, 8 features, length 8, batch 2" in printed
    for figure in json.loads(out.read_text())["figures"]:
        ours = figure["contestants"]["tfgen"]
        assert min(ours["values"]) > 0 and "348,680 weights, width 8" in ours["note"]
        peers = {"denoising-diffusion-pytorch", "diffusers"}
        assert set(figure["ratios"]) | set(figure["skipped"]) == peers


# What the benchmark takes from a checkout of nanoGPT.
CHECKOUT = """\
import dataclasses, torch

@dataclasses.dataclass
class GPTConfig:
    block_size: int; vocab_size: int; n_layer: int; n_head: int; n_embd: int
    dropout: float; bias: bool

class GPT(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        print("number of parameters: not for the table")
        self.config = config
        self.table = torch.nn.Embedding(config.vocab_size, config.n_embd)
        self.head = torch.nn.Linear(config.n_embd, config.vocab_size)

    def configure_optimizers(self, weight_decay, learning_rate, betas, device_type):
        assert (weight_decay, betas, device_type) == (0.1, (0.9, 0.99), "cpu")
        return torch.optim.AdamW(self.parameters(), lr=learning_rate, betas=betas)

    def forward(self, idx, targets=None):
        assert idx.shape[1] <= self.config.block_size
        logits = self.head(self.table(idx))
        loss = torch.nn.functional.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))
        return logits, loss

    def generate(self, idx, max_new_tokens):
        return torch.cat([idx, idx[:, :1].expand(-1, max_new_tokens)], dim=1)
"""


@pytest.mark.long
def test_a_small_run_of_the_transformer(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "model.py").write_text(CHECKOUT)
    text = tmp_path / "input.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 100)
    out = tmp_path / "results.json"
    # A loss that both reach at once; without compilation, which takes PyTorch a minute.
    argv = [*TINY, "--nanogpt", tmp_path, "--text", text, "--target", 100, "--repeats", 1]
    printed = run(
        "train", "generate", "first", "reach", "--model", "transformer", *argv, "--out", out,
        "--eval-batches", 2, TORCHDYNAMO_DISABLE="1",
        OMP_NUM_THREADS="1",  # PyTorch's threads wait for each other where others work too
    )  # fmt: skip
    first, training, single, many, race = json.loads(out.read_text())["figures"]
    assert "training, transformer 1 x 8, 2 heads, context 32, batch 2, float32" in printed
    assert "not for the table" not in printed
    assert set(training["ratios"]) == {"nanoGPT"}
    assert "nanoGPT" in single["ratios"] and "nanoGPT" not in many["contestants"]
    for figure in (single, many):
        assert "transformers" in {**figure["ratios"], **figure["skipped"]}
    for name in ("first start", "second start"):
        assert first["contestants"][name]["median"] > 0
    for contestant, recipe in {"tfgen": reach.TFGEN, "nanoGPT": reach.NANOGPT}.items():
        (result,) = race["contestants"][contestant]["results"]
        assert result["reached"] and result["step"] == recipe["validate_every"]
        assert 0 < result["loss"] < 4  # of 28 characters
    assert race["ratios"]["nanoGPT"]["median"] > 0


@pytest.mark.long
def test_without_pytorch_its_rows_are_skipped(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch in this test')\n")
    printed = run("peak", *TINY, path=tmp_path)
    assert "skipped: no torch in this test: pip install .[benchmark]" in printed
    assert "reading, one thread" in printed


@pytest.mark.long
def test_the_start_from_a_shell(tmp_path):
    from tfgen.models.recurrent import RecurrentGenerator
    from tfgen.preprocessing import CharacterTokenizer

    tokenizer = CharacterTokenizer("\nabc")
    RecurrentGenerator("gru", units=4, layers=1, tokenizer=tokenizer, seed=0).save(tmp_path / "run")
    out = tmp_path / "results.json"
    printed = run("start", "--entry", tmp_path / "run", "--repeats", 1, "--out", out)
    generating, listing = json.loads(out.read_text())["figures"]
    first, imported = (generating["contestants"][name]["values"] for name in (
        "first text", "import tensorflow"))  # fmt: skip
    beyond = generating["differences"]["first text beyond import tensorflow"]
    assert beyond["values"] == [first[0] - imported[0]]
    for name in ("tfgen --help", "tfgen list"):
        assert listing["contestants"][name]["imports_tensorflow"] is False
    assert "tfgen list does not import tensorflow" in printed


@pytest.mark.slow
def test_an_import_of_tensorflow_is_seen():
    assert shell.imports_tensorflow(["info", "lstm"])
    with pytest.raises(benchmark.InputError, match="Unknown name"):
        shell.imports_tensorflow(["info", "nothing"])


def test_the_first_output_after_the_prompt_is_awaited():
    code = "import time; print('ab', end='', flush=True); time.sleep(0.3); print('c')"
    command = [sys.executable, "-c", code]
    assert shell.first_output(command, after=2) >= 0.3
    with pytest.raises(benchmark.InputError, match="too little"):
        shell.first_output(command, after=100)
    with pytest.raises(benchmark.InputError, match="no such thing"):
        shell.first_output([sys.executable, "-c", "raise SystemExit('no such thing')"])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_costs_are_those_of_the_model(cell):
    from tfgen.models.recurrent import RecurrentGenerator
    from tfgen.preprocessing import CharacterTokenizer

    tokenizer = CharacterTokenizer(vocabulary())
    model = RecurrentGenerator(cell, 6, 2, embedding=5, tokenizer=tokenizer, seed=0)
    kernels = [w for w in model.weights if len(w.shape) == 2 and "kernel" in w.name]
    expected = sum(int(w.shape[0] * w.shape[1]) for w in kernels)
    assert Sizes(cell, units=6, layers=2, embedding=5).product_weights() == expected


def test_the_costs_are_those_of_the_transformer():
    from benchmarks.peer_tfgen import build, texts_of

    sizes = TransformerSizes(layers=2, heads=2, width=8, window=16, prompt=5)
    model = build(sizes)
    positions = model.position_embedding.embeddings
    # The embedding is the softmax too.
    weights = [w for w in model.weights if len(w.shape) == 2 and w is not positions]
    assert sizes.product_weights() == sum(int(w.shape[0] * w.shape[1]) for w in weights)
    assert model.compute_dtype == "float32"
    mixed = build(dataclasses.replace(sizes, dtype="bfloat16"))
    assert (mixed.compute_dtype, mixed.variable_dtype) == ("bfloat16", "float32")
    # tfgen reads the very prompts that its peers get.
    prompts = random_prompts(sizes)
    ids = [model.tokenizer.encode("\n" + text).tolist() for text in texts_of(prompts)]
    assert ids == prompts.tolist()
