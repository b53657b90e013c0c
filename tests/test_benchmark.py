"""scripts/benchmark.py: how figures are made of measurements. No speed is tested."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import benchmark  # noqa: E402
from benchmarks import figures, pairing, shell, workers  # noqa: E402
from benchmarks.sizes import SYMBOLS, Sizes, random_windows, vocabulary  # noqa: E402
from benchmarks.tables import table  # noqa: E402

TINY = "--units 16 --embedding 8 --window 8 --batch 2 --tokens 4 --repeats 2 --seconds 0".split()
TINY += "--matrix 32 --array-mib 1".split()


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


def test_contestants_see_the_same_symbols():
    assert len(set(vocabulary())) == SYMBOLS - 1  # and tfgen's "unknown"
    windows = random_windows(Sizes(batch=3, window=5))
    assert windows.shape == (4, 3, 6)
    assert windows.min() >= 1 and windows.max() < SYMBOLS


# Figures of made-up measurements


class FakeWorker:
    """A worker whose measurements are given beforehand."""

    values = {}  # by module and function
    missing = ()

    def __init__(self, module, environment):
        self.module, self.environment = module, environment

    def prepare(self, function, *arguments):
        if self.module in self.missing:
            raise workers.Missing("No module named 'torch'")
        one = "one " if self.environment else ""
        self.iterator = iter(self.values[f"{one}{self.module} {function}"])
        return "as told"

    def measure(self, seconds):
        return None if seconds == 0 else next(self.iterator)

    def stop(self):
        pass


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(figures, "Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "missing", ())
    values = {
        "benchmarks.peer_tfgen train": [8.0, 30.0, 12.0],
        "benchmarks.peer_pytorch train": [4.0, 10.0, 24.0],
        "benchmarks.peer_keras train": [2.0, 3.0, 4.0],
        "benchmarks.peer_tfgen generate": [8.0, 30.0, 12.0],
        "benchmarks.peer_pytorch generate": [4.0, 10.0, 24.0],
        "benchmarks.peer_keras generate": [2.0, 3.0, 4.0],
        "benchmarks.ceilings matrix_product": [1e5, 2e5, 4e5],
        "benchmarks.peer_pytorch matrix_product": [5e4, 5e4, 5e4],
        "benchmarks.ceilings read": [1e5, 1e5, 1e5],
        "one benchmarks.ceilings read": [5e4, 1e5, 1e5],
    }
    monkeypatch.setattr(FakeWorker, "values", values)
    return FakeWorker


SIZES = Sizes("lstm", units=3, layers=2, embedding=5, window=7, batch=2)
EFFORT = figures.Effort(repeats=3, seconds=1.0)


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
    json.dumps(figure)

    lines = "\n".join(table(figure))
    assert "2.00 x (0.50 to 3.00)" in lines and "4.00 x (3.00 to 10.00)" in lines


def test_a_generation_figure(fake):
    figure = figures.generation(SIZES, EFFORT)
    assert set(figure["ratios"]) == {"PyTorch"}  # a predict loop is for one text
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
        (["train", "--cell", "rnn"], "Unknown cell 'rnn'"),
        (["--repeats", "0"], "--repeats: must be a whole number >= 1. Received: 0"),
        (["--units", "many"], "--units: must be a whole number >= 1. Received: many"),
        (["--batch", "1"], "--batch: must be a whole number >= 2"),
        (["--seconds", "nan"], "--seconds must be >= 0. Received: --seconds nan"),
        (["--rounds", "3"], "--rounds"),
        (["start", "--entry", "lstm"], "'lstm' has no weights"),
        (["start", "--entry", "./nothing"], "nothing"),
        (["train", "--out", str(ROOT)], "is a folder"),
    ],
)
def test_mistakes_are_told_in_one_line(argv, message, capsys):
    assert benchmark.main(argv) == 2
    output = capsys.readouterr()
    assert message in output.err and output.out == ""
    assert output.err.startswith("benchmark.py: error: ") and output.err.count("\n") == 1


def test_every_option_reaches_the_figures(monkeypatch, capsys, tmp_path):
    calls = []
    figure = figures._figure("made up", "tokens/s", {"tfgen": [1.0]})

    def fake(name, result):
        return lambda *arguments: calls.append((name, *arguments)) or result

    monkeypatch.setattr(figures, "training", fake("training", figure))
    monkeypatch.setattr(figures, "generation", fake("generation", figure))
    monkeypatch.setattr(figures, "peaks", fake("peaks", [figure]))
    argv = "train generate peak --cell gru --units 16 --layers 3 --embedding 8 4 --window 7"
    argv += " --batch 5 --tokens 9 --repeats 2 --seconds 0.5 --matrix 32 --array-mib 6"
    argv += f" --out {tmp_path}/x"
    assert benchmark.main(argv.split()) == 0
    effort = figures.Effort(repeats=2, seconds=0.5, matrix=32, array_mib=6)
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
    assert results["settings"]["cell"] == ["gru"]
    assert {"cpu", "cores", "versions"} <= set(results["machine"])

    # By default an embedding as wide as a layer, and one of 128; both cells.
    calls.clear()
    assert benchmark.main(["train", "--units", "256"]) == 0
    assert [(call[1].cell, call[1].embedding) for call in calls] == [
        ("lstm", 256), ("lstm", 128), ("gru", 256), ("gru", 128),
    ]  # fmt: skip
    assert calls[0][2] == figures.Effort()


def run(*argv, path=""):
    """What the script writes as JSON, and what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "benchmark.py", *map(str, argv)],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_small_run_of_all_that_computes(tmp_path):
    out = tmp_path / "results.json"
    printed = run("train", "generate", "--cell", "gru", *TINY, "--out", out)
    training, single, many = json.loads(out.read_text())["figures"]
    assert "training, GRU 2 x 16, embedding 8" in printed
    for figure, peers in ((training, 2), (single, 2), (many, 1)):
        assert {"tfgen", "matrix product"} <= set(figure["contestants"])
        assert len(figure["ratios"]) + len({"PyTorch"} & set(figure["skipped"])) == peers
        ours = figure["contestants"]["tfgen"]["values"]
        assert len(ours) == 2 and min(ours) > 0
        for peer, ratio in figure["ratios"].items():
            theirs = figure["contestants"][peer]["values"]
            assert ratio["values"] == [a / b for a, b in zip(ours, theirs, strict=True)]
        for share in figure["shares"].values():
            assert "tfgen" in share


@pytest.mark.slow
def test_without_pytorch_its_rows_are_skipped(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch in this test')\n")
    printed = run("peak", *TINY, path=tmp_path)
    assert "skipped: no torch in this test: pip install .[benchmark]" in printed
    assert "reading, one thread" in printed


@pytest.mark.slow
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
