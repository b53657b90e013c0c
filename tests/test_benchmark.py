"""scripts/benchmark.py: that a number is what it is called. No speed is tested."""

import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import benchmark
import numpy as np
import pytest
from benchmarks import contests, forecast, reach, runner, workers
from benchmarks.contests import PRODUCT, READ
from benchmarks.report import table
from benchmarks.runner import Contest
from benchmarks.sizes import (
    SYMBOLS,
    DiffusionSizes,
    NumbersSizes,
    TextSizes,
    TransformerSizes,
    as_text,
    random_prompts,
    random_sequences,
    random_windows,
    vocabulary,
)

from tfgen.data.sequences import Feature, Sequences

ROOT = Path(__file__).parents[1]
DECODER = TransformerSizes(layers=2, heads=2, width=4, window=8, batch=3, tokens=3, prompt=2)
NUMBERS = NumbersSizes("gru", units=5, features=3, components=4, steps=4)
NOISED = DiffusionSizes(8, (1, 2), features=3, length=16, batch=2, steps=3)


# Turns, units, medians


def test_ratios_are_of_the_rounds_not_of_the_medians():
    ours, theirs = [8.0, 30.0, 12.0], [4.0, 10.0, 24.0]
    assert runner.ratios(ours, theirs) == [2.0, 3.0, 0.5]
    assert runner.ratios(ours, theirs, scale=10) == [20.0, 30.0, 5.0]
    # The quotient of the medians would be 1.2.
    assert runner.spread(runner.ratios(ours, theirs)) == {
        "median": 2.0, "min": 0.5, "max": 3.0, "values": [2.0, 3.0, 0.5],
    }  # fmt: skip
    with pytest.raises(ValueError):
        runner.ratios(ours, theirs[:2])


def test_contestants_take_turns_and_each_turn_counts():
    order = []

    def contestant(name, amount, seconds):
        return lambda number: order.append(f"{name}{number}") or (amount, seconds)

    turns = {"a": contestant("a", 10, 2.0), "b": contestant("b", 3, 0.5)}
    assert runner.alternate(turns, 7, count=3) == {"a": (30, 6.0), "b": (9, 1.5)}
    assert order == ["a7", "b7"] * 3


def test_values_are_in_their_units():
    assert runner.value_of("tokens/s", 600, 3.0) == 200.0
    assert runner.value_of("ms/step", 600, 3.0) == 5.0
    assert runner.value_of("s", 1, 3.0) == 3.0


@pytest.mark.parametrize("seconds, runs", [(0, 1), (1, 1), (1.5, 2), (3, 3)])
def test_a_turn_counts_whole_runs_and_their_time(seconds, runs, monkeypatch):
    clock = iter([0.0, 1.0, 2.0, 4.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    calls = []
    elapsed = {1: 1.0, 2: 2.0, 3: 4.0}[runs]
    assert workers.turn(lambda: calls.append(1) or 10, seconds) == (10 * runs, elapsed)
    assert len(calls) == runs


def test_the_fastest_way_counts(monkeypatch):
    speeds = iter([100.0, 2.5, 90.0, 300.0])
    monkeypatch.setattr(workers, "turn", lambda run, seconds: (run() and 2 * next(speeds), 2.0))

    def fail():
        raise ValueError("no compiler\nat all")

    def hang():
        raise workers.TooLong

    ways = {"torch.compile": fail, "one": lambda: "1", "two": lambda: "2", "torch.compile, x": hang}
    run, note = workers.fastest(ways, 1.0)
    assert run() == "2"
    assert note == (
        "two (tried: torch.compile fails: no compiler; torch.compile, x takes longer than 240 s; "
        "one 100; two 300)"
    )
    with pytest.raises(ValueError, match="no compiler"):
        workers.fastest({"eager": fail}, 1.0)
    assert workers.fastest({"alone": lambda: "3"}, 1.0)[1] == "alone"  # nothing to try


def test_a_worker_ends_with_who_asked(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, time\nfrom benchmarks.workers import Worker\n"
        "if __name__ == '__main__':\n"
        "    with Worker() as worker:\n"
        "        print(worker.ask(os.getpid), flush=True)\n"
        "        worker.submit(time.sleep, 600)\n"
        "        time.sleep(600)\n"
    )
    paths = {**os.environ, "PYTHONPATH": f"{ROOT / 'scripts'}{os.pathsep}{ROOT}"}
    parent = subprocess.Popen(
        [sys.executable, program], env=paths, stdout=subprocess.PIPE, text=True
    )
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    until = time.monotonic() + 30
    while Path(f"/proc/{worker}").exists() and "Z" not in Path(f"/proc/{worker}/stat").read_text():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_time_limit():
    with pytest.raises(workers.TooLong), workers.time_limit(1):
        time.sleep(5)
    assert signal.alarm(0) == 0  # none is left


# A contestant that keeps a diary of what it was asked, and in which process.
CONTESTANT = """\
import os, time

def note(diary, what):
    with open(diary, "a") as file:
        file.write(f"{what} {os.getpid()}\\n")

def ways(amount, diary):
    return {"a way": lambda: note(diary, amount) or time.sleep(0.01) or amount}, "a note"

def afresh(seconds, diary, number):
    return note(diary, number) or seconds + number, f"round {number}"
"""


def test_a_contest_in_processes(tmp_path, monkeypatch):
    (tmp_path / "of_a_test").mkdir()
    (tmp_path / "of_a_test" / "contestant.py").write_text(CONTESTANT)
    (tmp_path / "of_a_test" / "missing.py").write_text("import no_such_library_of_a_test\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    diary = tmp_path / "diary"

    def noted():
        return zip(*(line.split() for line in diary.read_text().splitlines()), strict=True)

    job = "of_a_test.contestant.ways"
    contestants = {"tfgen": (job, 40, diary), "peer": (job, 10, diary)}
    contestants["other"] = ("of_a_test.missing.ways",)
    contest = Contest("made up", "things/s", contestants)
    result = runner.measure(contest, 2, 0.0)
    ours, theirs = (result["contestants"][name] for name in ("tfgen", "peer"))
    assert ours["note"] == "a note; a way"
    assert 0 < theirs["max"] <= 1000 and ours["max"] <= 4000  # a run takes a hundredth of a second
    expected = [a / b for a, b in zip(ours["values"], theirs["values"], strict=True)]
    assert result["ratios"]["tfgen"]["peer"]["values"] == expected
    assert set(result["skipped"]) == {"other"}
    assert "_of_a_test': pip install .[benchmark]" in result["skipped"]["other"]
    amounts, processes = noted()
    assert amounts[-4:] == ("40", "10", "40", "10") and len(set(processes)) == 2

    diary.unlink()
    job = ("of_a_test.contestant.afresh", 2.0, diary)
    result = runner.measure(Contest("made up", "s", {"tfgen": job}, warm=True), 3, 1.0)
    assert result["contestants"]["tfgen"]["values"] == [2.0, 3.0, 4.0]  # and not round -1
    numbers, processes = noted()
    assert numbers == ("-1", "0", "1", "2") and len(set(processes)) == 4


def test_another_checkout_runs_its_own_code_in_the_same_turns(tmp_path):
    (tmp_path / "tfgen").mkdir()
    (tmp_path / "tfgen" / "__init__.py").write_text("SPEED = 3\n")
    (tmp_path / "scripts" / "benchmarks").mkdir(parents=True)
    (tmp_path / "scripts" / "benchmarks" / "__init__.py").touch()
    (tmp_path / "scripts" / "benchmarks" / "sizes.py").write_text(
        "import tfgen\ndef random_windows(amount):\n    return {'': lambda: tfgen.SPEED * amount}\n"
    )
    # Its `sizes` has other functions than this checkout's, and its tfgen another content.
    job = ("sizes.random_windows", 10)
    with workers.Worker(str(tmp_path)) as worker:
        assert worker.ask(workers.prepare, 0.0, *job) == ""
        assert worker.ask(workers.take_turn, 0.0)[0] == 30
    contest = Contest("made up", "s", {"tfgen": job, "tfgen, int8": job, "peer": job})
    [both] = runner.against(contest, "elsewhere")
    assert list(both.contestants) == [
        "tfgen", "tfgen, other checkout", "tfgen, int8", "tfgen, int8, other checkout",
    ]  # fmt: skip
    assert both.checkouts == dict.fromkeys(list(both.contestants)[1::2], "elsewhere")
    speed, first = runner.against(dataclasses.replace(contest, unit="tokens/s"), "elsewhere")
    assert speed.unit == "tokens/s" and first.unit == "s" and first.checkouts == speed.checkouts
    assert first.contestants["tfgen, other checkout"] == ("workers.first_call", None, *job)


def test_a_result_and_its_table():
    values = {
        "tfgen": [8.0, 30.0, 12.0], "tfgen, int8": [16.0, 30.0, 6.0], "peer": [4.0, 10.0, 24.0],
        PRODUCT: [1e9, 2e9, 4e9], READ: [2e9, 2e9, 2e9],
    }  # fmt: skip
    shares = {"of the peak": (PRODUCT, 2e7), "of the bandwidth": (READ, {"tfgen": 1e7})}
    contest = Contest("made up", "chars/s", {}, shares=shares, notes=("a note",))
    result = runner.result_of(contest, values, {"tfgen": "its way"})
    assert result["ratios"]["tfgen"]["peer"]["values"] == [2.0, 3.0, 0.5]
    assert result["ratios"]["tfgen, int8"]["tfgen"]["values"] == [2.0, 1.0, 0.5]
    assert set(result["ratios"]) == {"tfgen", "tfgen, int8"}  # and of no ceiling
    assert result["shares"]["of the peak"]["peer"]["values"] == pytest.approx([0.08, 0.1, 0.12])
    assert result["shares"]["of the bandwidth"]["tfgen"]["max"] == pytest.approx(0.15)
    assert result["notes"][:2] == [
        "a note", "tfgen varied by a factor of 3.8 between rounds: was the machine busy?",
    ]  # fmt: skip
    json.dumps(result)
    lines = table(result)
    shown = "| chars/s | median | min | max | tfgen is | tfgen, int8 is | of the peak | of the bandwidth |"
    assert lines[2] == shown
    peer = (
        "| peer | 10.00 | 4.00 | 24.00 | 2.00 x (0.50 to 3.00) | 3.00 x (0.25 to 4.00) | 10% |  |"
    )
    assert peer in lines
    assert "| matrix product, GFLOP/s | 2.00 | 1.00 | 4.00 |  |  |  |  |" in lines
    assert "- tfgen: its way" in lines and "- a note" in lines


# What a token costs, and what contestants see


def test_costs_by_hand():
    # Gates 4 x 3 = 12: 5 x 12 first input, 3 x 12 second, 2 x 3 x 12 recurrent, 3 x 65 softmax.
    sizes = TextSizes("lstm", units=3, layers=2, embedding=5)
    assert sizes.product_weights() == 60 + 36 + 72 + 195 == 363
    assert sizes.training_flops() == 6 * 363
    # tfgen looks the first input's product up.
    assert sizes.read_weights() == 303 and sizes.generating_flops() == 2 * 303
    assert TextSizes("gru", units=3, layers=1, embedding=5).product_weights() == 45 + 27 + 195


def test_costs_of_a_transformer_by_hand():
    # Two blocks: 4 x 12 for queries, keys and values, 4 x 4, 4 x 16 and 16 x 4; softmax 4 x 65.
    assert DECODER.product_weights() == 2 * (48 + 16 + 64 + 64) + 260 == 644
    # Queries by keys, probabilities by values: 2 x 2 x 4 x 8 for a block, and three times that.
    assert DECODER.training_flops() == 6 * 644 + 3 * 2 * (2 * 2 * 4 * 8)
    assert (
        DECODER.read_weights() == 644 and DECODER.mean_length() == 4
    )  # the three tokens attend to 3, 4 and 5 positions
    assert DECODER.generating_flops() == 2 * 644 + 2 * (2 * 2 * 4 * 4)


def matrices(shapes):
    """Entries of the matrices among some shapes."""
    return sum(int(np.prod(shape)) for shape in shapes if len(shape) == 2)


@pytest.mark.long
@pytest.mark.parametrize("cell", ["gru", pytest.param("lstm", marks=pytest.mark.long)])
def test_recurrent_models_have_the_same_weights(cell):
    from benchmarks import peer_keras, peer_tfgen

    sizes = TextSizes(cell, units=6, layers=2, embedding=5, batch=2)
    ours = peer_tfgen.build(sizes).weights
    kernels = [weight.shape for weight in ours if "kernel" in weight.name]
    assert matrices(kernels) == sizes.product_weights()
    # Besides what a token is multiplied by there is the embedding.
    expected = sizes.product_weights() + SYMBOLS * 5
    keras_weights = peer_keras.network(sizes, (2, 1)).weights
    # Keras' GRU has two biases, as one matrix.
    shapes = [weight.shape for weight in keras_weights if "bias" not in weight.name]
    assert matrices(shapes) == expected
    pytest.importorskip("torch")
    from benchmarks import peer_pytorch

    for as_cells in (False, True):
        network = peer_pytorch.Network(sizes, as_cells)
        assert matrices(weight.shape for weight in network.parameters()) == expected


@pytest.mark.long
def test_transformers_have_the_same_weights():
    from benchmarks import peer_tfgen

    sizes = TransformerSizes(layers=2, heads=2, width=8, window=16, batch=2, prompt=5)
    model = peer_tfgen.build(sizes)
    positions = 16 * 8
    # The embedding is the softmax too.
    assert matrices(w.shape for w in model.weights) == sizes.product_weights() + positions
    # tfgen reads the very prompts that its peers get.
    prompts = random_prompts(sizes)
    texts = peer_tfgen.texts_of(prompts)
    ids = [model.tokenizer.encode("\n" + text).tolist() for text in texts]
    assert ids == prompts.tolist()
    pytest.importorskip("transformers")
    from benchmarks import peer_transformers

    theirs = peer_transformers.network(sizes).parameters()
    assert matrices(w.shape for w in theirs) == sizes.product_weights() + positions


def test_contestants_see_the_same():
    prompts = random_prompts(TransformerSizes(batch=3, prompt=7))
    assert prompts.shape == (3, 7) and len({as_text(row) for row in prompts}) == 3
    assert {as_text(row)[0] for row in prompts} == {"\n"}  # tfgen puts it there by itself
    assert len(set(vocabulary())) == SYMBOLS - 1  # and tfgen's "unknown"
    windows = random_windows(TextSizes(batch=3, window=5))
    assert windows.shape == (4, 3, 6) and windows.min() >= 1 and windows.max() < SYMBOLS
    sequences = random_sequences(NOISED)
    assert sequences.shape == (4, 2, 16, 3) and (sequences == random_sequences(NOISED)).all()


@pytest.mark.long
def test_pytorch_counts_what_it_does(monkeypatch):
    torch = pytest.importorskip("torch")
    from benchmarks import peer_pytorch, ways

    sizes = TextSizes("lstm", units=4, layers=2, embedding=3, window=5, batch=2, tokens=7)
    before = torch.get_num_threads(), torch.backends.mkldnn.enabled
    try:
        for way, run in peer_pytorch.generate(sizes).items():
            assert run() == 2 * 7, way  # characters of both texts
            assert torch.backends.mkldnn.enabled == ("without" not in way)
            assert torch.get_num_threads() == (1 if "1 thread" in way else ways.COUNT)
        assert {run() for run in peer_pytorch.train(sizes).values()} == {2 * 5}
        for run in peer_pytorch.rollout(dataclasses.replace(NUMBERS, batch=3)).values():
            assert run() == 3 * 4
    finally:
        torch.set_num_threads(before[0])
        torch.backends.mkldnn.enabled = before[1]


@pytest.mark.long
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_pytorch_has_the_same_model_of_numbers(cell):
    torch = pytest.importorskip("torch")
    from benchmarks import peer_pytorch, peer_tfgen

    sizes = dataclasses.replace(NUMBERS, cell=cell)
    model = peer_tfgen.build(sizes)
    likely = model.generate(num_samples=1, length=4, temperature=0.0, seed=0)
    assert likely.std() > 0.01  # or else there would be nothing to compare

    def swapped(array):  # PyTorch's GRU has its gates as reset, update, candidate
        parts = np.split(np.asarray(array), 3, axis=-1)
        return np.concatenate([parts[1], parts[0], parts[2]], axis=-1)

    for as_cells in (False, True):
        network = peer_pytorch.Network(sizes, as_cells)
        with torch.no_grad():
            for index, layer in enumerate(model.network.recurrent):
                of = swapped if cell == "gru" else np.asarray
                bias = of(layer.cell.bias)
                both = bias if cell == "gru" else [bias, np.zeros_like(bias)]
                target = network.recurrent[index] if as_cells else network.recurrent
                ending = "" if as_cells else f"_l{index}"
                for name, array in (
                    ("weight_ih", of(layer.cell.kernel).T),
                    ("weight_hh", of(layer.cell.recurrent_kernel).T),
                    ("bias_ih", both[0]),
                    ("bias_hh", both[1]),
                ):
                    getattr(target, name + ending).copy_(torch.from_numpy(array.copy()))
            head = model.engine.emission.number_head.dense
            network.head.weight.copy_(torch.from_numpy(np.asarray(head.kernel).T.copy()))
            network.head.bias.copy_(torch.from_numpy(np.asarray(head.bias).copy()))
        theirs = peer_pytorch.sample(network, sizes, 1, 4, most_likely=True)
        np.testing.assert_allclose(theirs, likely, atol=1e-5)
        sampled = peer_pytorch.sample(network, sizes, 3, 4)
        assert sampled.shape == (3, 4, 3) and sampled.std(axis=0).min() > 0.01


def test_a_peer_is_as_wide_as_its_weights_say():
    torch = pytest.importorskip("torch")
    from benchmarks.ways import nearest_width

    def make(width):  # width squared weights
        return torch.nn.Linear(width, width, bias=False)

    assert nearest_width(make, 24**2) == (24, "576 weights (+0.0%), width 24")
    assert nearest_width(make, 560)[0] == 24 and nearest_width(make, 1)[0] == 8
    assert nearest_width(make, 300) == (
        16, "256 weights (-14.7%), width 16, too far off to compare",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["lucidrains", "diffusers"])
def test_peers_have_as_many_weights_as_the_diffusion_model(peer):
    pytest.importorskip("torch")
    try:
        peer = importlib.import_module(f"benchmarks.peer_{peer}")
    except (ImportError, RuntimeError) as error:
        pytest.skip(str(error))
    from benchmarks import peer_tfgen, ways

    count = peer_tfgen.parameters(DiffusionSizes())
    width, note = ways.nearest_width(lambda n: peer.network(DiffusionSizes(), n), count)
    assert width == 32 and "compare" not in note
    noised = dataclasses.replace(NOISED, parameters=peer_tfgen.parameters(NOISED))
    for function, amount in ((peer.train, 1), (peer.sample, 2)):
        found, _ = function(noised)
        assert next(run() for way, run in found.items() if way.startswith("eager")) == amount


# Forecasts


def hours(rows, gaps=(), start=0):
    """Times of so many rows, an hour apart but where hours are left out."""
    return start + 3600 * np.setdiff1d(np.arange(rows + len(gaps)), gaps)


def two_series():
    """Two series of 20 rows whose values are their hours; in the first the hour 15 is missing."""
    times = [hours(20, gaps=[15]), hours(20, start=7200)]
    values = [
        np.stack([(part - part[0]) / 3600, (part - part[0]) / 36], axis=1).astype(np.float32)
        for part in times
    ]
    values[1][3, 1] = np.nan
    features = (Feature("a"), Feature("b", low=0.0, high=5000.0))
    return Sequences("made up", "series", features, values, ["x", "y"], times)


def test_what_forecasts_are_asked_for():
    task = forecast.make_task(two_series(), 0.35, context=3, horizon=2)
    assert (task.names, task.step, task.edges) == (("a", "b"), 3600, (13, 13))
    # Row 13 is the first one held out. The first series has 21 hours, of which one has no row.
    assert [len(values) for values in task.values] == [21, 20]
    assert task.origins.tolist() == [
        [0, 13], [0, 15], [0, 17], [0, 19], [1, 13], [1, 15], [1, 17],
    ]  # fmt: skip
    assert task.days.tolist() == [0, 1, 2, 3, 0, 1, 2]
    truth, before = task.cut(0, 2), task.cut(-3, 0)
    assert truth[0, :, 0].tolist() == [13, 14] and before[0, :, 0].tolist() == [10, 11, 12]
    assert np.isnan(truth[1, 0]).all() and truth[1, 1, 0] == 16
    assert np.isnan(before[2, :, 0]).tolist() == [False, True, False]
    # What has no row is left out of the rows, but for the hour before the origin.
    values, times = task.rows_before()
    assert values[2][:, 0].tolist() == [14, 16]
    assert times[2].tolist() == [14 * 3600, 16 * 3600]
    assert times[4].tolist() == [12 * 3600, 13 * 3600, 14 * 3600]  # the second begins at 2
    mean, deviation = task.moments()
    expected = np.delete(np.tile(np.arange(13), 2), 3) * 100
    assert (mean[1], deviation[1]) == pytest.approx((expected.mean(), expected.std()))
    with pytest.raises(benchmark.InputError, match="no room for"):
        forecast.make_task(two_series(), 0.35, 30, 2)


def test_scores_of_forecasts_by_hand():
    task = forecast.make_task(two_series(), 0.35, context=3, horizon=2)
    truth = np.nan_to_num(task.cut(0, 2), nan=5.0)
    # Off by 1, by 2 and 3 in two trainings, and by a day's naive forecast.
    drawn = {
        "tfgen": [np.stack([truth + 1, truth + 1], axis=1)],
        "DeepAR": [np.stack([truth - off] * 2, axis=1) for off in (2, 3)],
        "naive": [np.full([7, 1, 2, 2], -1e6)],
    }
    result = forecast.score(task, drawn, dict.fromkeys(drawn, "a note"))
    _, deviation = task.moments()
    ours, theirs, naive = (result["scores"][name] for name in drawn)
    assert ours["a"] == pytest.approx(1 / deviation[0])
    assert ours["mean"] == pytest.approx((1 / deviation).mean())
    assert theirs["b"] == pytest.approx(2.5 / deviation[1])
    assert ours["in 80%"] == 0.0 and "in 80%" not in naive
    assert result["ratios"]["tfgen"]["DeepAR"] == pytest.approx(
        {"median": 0.4, "min": 0.4, "max": 0.4}
    )
    # The bounds of the data hold for all: "b" is at least 0.
    assert naive["b"] == pytest.approx(np.nanmean(task.cut(0, 2)[..., 1]) / deviation[1])
    assert any("26 of 28 values were observed" in note for note in result["notes"])
    lines = table(result | {"skipped": {}})
    assert lines[2] == "| mean CRPS / std | mean | tfgen is | a | b | in 80% |"
    assert any("0.40 x (0.40 to 0.40)" in line for line in lines)
    drawn["tfgen"][0][0, 0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="tfgen sampled NaN or infinity"):
        forecast.score(task, drawn, dict.fromkeys(drawn, "a note"))


@pytest.mark.parametrize("season", [1, 24])
@pytest.mark.parametrize("with_errors", [False, True])
def test_the_naive_forecast_has_the_season_that_serves_it_best(season, with_errors):
    rng = np.random.default_rng(0)
    value = np.cumsum(rng.normal(size=240)) if season == 1 else rng.normal(size=season)
    values = [np.resize(value, [240, 1]).astype(np.float32)]
    made = Sequences("made", "series", (Feature("a"),), values, ["x"], [hours(240)])
    task = forecast.make_task(made, 0.35, context=48, horizon=2)
    samples, note = forecast.best_naive(task, 3, with_errors)
    begin = "the last value" if season == 1 else f"the values of {season} positions before"
    assert note.startswith(f"{begin}, ") and "24: " in note and "1: " in note
    assert samples.shape == (len(task.origins), 3 if with_errors else 1, 2, 1)
    if season > 1:
        truth = task.cut(0, 2)[:, None]
        np.testing.assert_allclose(samples, np.repeat(truth, samples.shape[1], 1))


def test_the_ratio_of_forecasts_is_drawn_anew_by_days():
    days = np.array([0, 1, 0, 1])
    ours, theirs = np.ones([4, 2, 1]), np.ones([4, 2, 1])
    theirs[[1, 3]] = 3.0
    theirs[0, 0] = ours[0, 0] = np.nan
    # 3 values of the first day and 4 of the second: 15 in all; only one of the days gives 1 or 3.
    ratio = forecast.day_ratio(ours, theirs, days)
    assert ratio == pytest.approx({"median": 7 / 15, "min": 1 / 3, "max": 1.0})


# Training to a loss


def test_a_race_ends_at_the_target(monkeypatch, tmp_path):
    (tmp_path / "text").write_text("ab" * 500)

    def race(clock, losses, steps):
        clock, losses, taken = iter(clock), iter([*losses, *[2.5] * reach.CONTROLS]), []
        monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
        recipe = {"steps": steps, "validate_every": 2, "window": 5, "batch": 3}

        def step(number, windows):
            assert windows.shape == (3, 6)
            taken.append(number)

        def loss(windows):  # on two batches
            assert windows.shape == (2 * reach.BATCH, reach.WINDOW + 1)
            return next(losses)

        def make(characters):
            assert characters == "ab"
            return step, loss

        goal = reach.Goal(tmp_path / "text", loss=1.5, batches=2)
        found = reach.race(make, goal, recipe, seed=0)
        return *found, taken

    seconds, note, taken = race([100.0, 104.0, 109.0], [3.0, 1.5], 9)
    assert (seconds, taken) == (9.0, [1, 2, 3, 4])
    assert note == "1.500 after 4 steps, 2.500 on more crops"
    # The last step is validated too, and the target may be missed.
    seconds, note, taken = race([0.0, 2.0, 3.0], [3.0, 2.0], 3)
    assert (seconds, taken) == (3.0, [1, 2, 3])
    assert note.startswith("NOT REACHED: 2.000 after 3 steps")


def test_the_text_of_a_race(tmp_path):
    path = tmp_path / "input.txt"
    path.write_text("".join(chr(ord("a") + index % 7) for index in range(1000)))
    text = reach.Text(path)
    assert text.characters == "abcdefg"
    assert (len(text.train), len(text.validation)) == (900, 100)
    crops = reach.crops_of(text.train, 5, seed=1)(400)
    assert crops.shape == (400, 6) and ((crops[:, 1:] - crops[:, :-1]) % 7 == 1).all()
    # Every start that there is room for, and none beyond.
    whole = reach.crops_of(text.validation[:8], 5, seed=1)(50)
    assert set(whole[:, 0].tolist()) == set(text.validation[:3].tolist())
    assert (crops == reach.crops_of(text.train, 5, seed=1)(400)).all()
    rates = [
        reach.learning_rate(reach.NANOGPT, iteration) for iteration in (0, 99, 100, 1050, 2000)
    ]
    assert rates == pytest.approx([1e-3 / 101, 1e-1 / 101, 1e-3, 5.5e-4, 1e-4])


# The command line


@pytest.mark.parametrize(
    "argv, message",
    [
        ("trian", "Unknown section 'trian'. Did you mean 'train'"),
        ("train --transformer 4x3x128x64x12", "width a multiple of heads. Received: [(4, 3"),
        (
            "generate --tokens 241",
            "A prompt and --tokens 241 are 1 more than the transformer's context",
        ),
        ("reach", "reach needs a text: --text FILE"),
        (f"reach --text {ROOT}/.gitignore", "each part needs 66 characters"),
        ("--repeats 0", "--repeats: must be an integer >= 1. Received: 0"),
        ("unet --steps 1000", "unet samples in fewer than 1000 steps. Received: --steps 1000"),
        ("forecast --entry lstm-shakespeare", "'lstm-shakespeare' is of text"),
    ],
)
def test_mistakes_are_told_in_one_line(argv, message, capsys):
    assert benchmark.main(argv.split()) == 2
    output = capsys.readouterr()
    assert message in output.err and output.out == ""
    assert output.err.startswith("benchmark.py: error: ") and output.err.count("\n") == 1


def asked(argv, section):
    """The sizes that the contests of a section are asked about."""
    found = contests.SECTIONS[section](benchmark.parse(argv.split()))
    return [contest.contestants["tfgen"][1] for contest in found]


def test_options_reach_the_contests():
    argv = "--model gru --units 16 --layers 3 --embedding 8 4 --window 7 --batch 5 --tokens 9"
    one = TextSizes("gru", 16, 3, 8, 7, 5, 9)
    assert asked(argv, "train") == [one, dataclasses.replace(one, embedding=4)]
    assert asked(argv, "generate") == [dataclasses.replace(one, batch=1), one]
    # By default an embedding as wide as a layer, and one of 128; nanoGPT's two models.
    found = asked("--units 256", "train")
    assert [each.embedding for each in found[:4]] == [256, 128, 256, 128]
    assert found[4:] == [TransformerSizes(4, 4, 128, 64, 12), TransformerSizes()]
    found = asked("--model transformer", "generate")
    assert found == [TransformerSizes(batch=1), TransformerSizes(batch=32)]
    one = NumbersSizes("lstm", 1, 4, 3, 2, 1, 9)
    found = asked("--model lstm --numbers 1x4x3x2 --steps 9 --rows 5", "rollout")
    assert found == [one, dataclasses.replace(one, batch=5)]


def test_every_peer_does_the_same_work_as_tfgen():
    """Each contest's peers are asked for the same function of the very same model."""
    options = benchmark.parse(["--numbers", "1x4x3x2"])
    for section in ("train", "generate", "rollout"):
        for contest in contests.SECTIONS[section](options):
            ours, model = contest.contestants["tfgen"]
            peers = [
                job for name, job in contest.contestants.items()
                if not runner.is_ours(name) and name not in runner.CEILINGS
            ]  # fmt: skip
            assert peers
            for function, *given in peers:
                assert function.partition(".")[2] == ours.partition(".")[2]
                assert given == [model] and function != ours


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
        self.table = torch.nn.Embedding(config.vocab_size, config.n_embd)
        self.head = torch.nn.Linear(config.n_embd, config.vocab_size)

    def configure_optimizers(self, weight_decay, learning_rate, betas, device_type):
        assert (weight_decay, betas, device_type) == (0.1, (0.9, 0.99), "cpu")
        return torch.optim.AdamW(self.parameters(), lr=learning_rate, betas=betas)

    def forward(self, idx, targets):
        logits = self.head(self.table(idx))
        return logits, torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
"""


@pytest.mark.long
def test_a_small_run(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "model.py").write_text(CHECKOUT)
    (tmp_path / "input.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 100)
    out = tmp_path / "results.json"
    argv = (
        "train rollout reach --model gru transformer --units 16 --embedding 8 --window 8 --batch 2 "
        "--transformer 1x2x8x32x2 --numbers 1x8x3x4 --rows 3 --steps 6 --target 100 "
        "--eval-batches 2 --repeats 1 --seconds 0 --matrix 32"
    ).split()
    argv += ["--nanogpt", tmp_path, "--text", tmp_path / "input.txt", "--out", out]
    # Without compilation, which takes PyTorch a minute.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCHDYNAMO_DISABLE": "1"}
    command = [sys.executable, ROOT / "scripts" / "benchmark.py", *map(str, argv)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())["figures"]
    assert len(found) == 2 + 2 + 1  # by section
    for result in found:
        assert all(min(each["values"]) > 0 for each in result["contestants"].values())
        for others in result["ratios"].values():
            assert all(ratio["median"] > 0 for ratio in others.values())

    for name, recipe in {"tfgen": reach.TFGEN, "nanoGPT": reach.NANOGPT}.items():
        assert f"after {recipe['validate_every']} steps" in found[-1]["contestants"][name]["note"]
