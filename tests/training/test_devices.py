"""Several devices take the steps that one takes, by processes of their own."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scaling import environments

from tests.training.combinations import SMALL, UNWATCHED, kinds_of
from tfgen.errors import InputError
from tfgen.training.checkpoints import Checkpoints
from tfgen.training.devices import Devices, gathered, open_devices
from tfgen.training.step import Step

ROOT = Path(__file__).resolve().parents[2]
TRAIN = [sys.executable, "-m", "tfgen", "train"]

MIRRORED = {
    **{f"{family} {kind}": (family, kind, {}) for family in SMALL for kind in kinds_of(family)},
    "carried, in float16": (
        "lstm",
        "text",
        {
            "training.carry_state": True, "training.accumulate": 1,
            "training.precision": "mixed_float16",
        },
    ),
    "carried, in bfloat16": (
        "transformer",
        "strokes",
        {
            "training.carry_state": True, "training.accumulate": 1, "model.window": 8,
            "training.precision": "mixed_bfloat16",
        },
    ),
    "compiled": ("gru", "text", {"model.dropout": 0.2}),
    "lora": (
        "gru",
        "text",
        {
            "training.lora_rank": 2, "training.freeze": ["token_embedding*"],
            "training.start_from": "FOLDER/gru text/one/final",
        },
    ),
    "muon": ("transformer", "text", {"training.optimizer": "muon", "model.dropout": 0.2}),
    "own samples": ("gru", "series", {"training.rollout": "scheduled_sampling"}),
    "by position": ("unet1d", "plain.csv", {"model.noise_levels": "independent"}),
    "own windows": (
        "unet1d",
        "plain.csv",
        {
            **UNWATCHED, "training.start_from": "FOLDER/by position/one/final",
            "model.noise_levels": "independent", "training.rollout": "self_forcing",
            "training.accumulate": 1, "generation.solver": "consistency",
        },
    ),
    "classes hidden": ("unet1d", "strokes", {"model.condition_dropout": 0.3}),
    "chains": (
        "unet1d",
        "strokes",
        {
            **UNWATCHED, "training.start_from": "FOLDER/classes hidden/one/final",
            "model.energy": True, "training.refine": "contrastive_divergence",
            "training.accumulate": 1, "training.refine_levels": 2, "training.persistent_chains": 8,
        },
    ),
}  # fmt: skip


# Each network once, which the continuous integration trains; its two workers train a text. The
# first is watched, and takes its batches in parts: that the others can is seen on one device
# (test_matrix.py), and by the exhaustive tests.
SHORT = {**UNWATCHED, "training.accumulate": 1, "training.steps": 6}
SOME = ("gru series", "unet1d strokes", "carried, in bfloat16")


@functools.cache
def mirrored(names):
    """What `mirrored.py` found of some of `MIRRORED`, by their names."""
    program = str(Path(__file__).with_name("mirrored.py"))
    chosen = {}
    for name in names:
        family, kind, changes = MIRRORED[name]
        short = SHORT if names == SOME and name != SOME[0] else {}
        chosen[name] = family, kind, {**changes, **short}
    done = subprocess.run(
        [sys.executable, program, json.dumps(chosen)], cwd=ROOT, env=environment(),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def environment():
    # Several processes on the machine's few cores: one thread each.
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    return {**os.environ, "PYTHONPATH": str(ROOT), **threads}


@pytest.mark.parametrize(
    "names, name",
    [
        *(pytest.param(SOME, name, marks=pytest.mark.long) for name in SOME),
        *(pytest.param((*MIRRORED,), name, marks=pytest.mark.exhaustive) for name in MIRRORED),
    ],
)
def test_two_devices_of_a_process_are_one_with_everything_on(names, name):
    found = mirrored(names)[name]
    half = "float16" in name
    assert found["devices"] == 2
    assert found["moved"] > 1e-4
    assert found["apart"] < (1e-2 if half else 2e-6)
    assert found["losses_apart"] < (1e-2 if half else 1e-5)
    assert found["tags_missing"] == []


def test_what_is_not_there_has_no_rows():
    """A state before the first step, or of a model that keeps none, beside a batch that is cut."""
    two = type("Two", (), {"devices": type("D", (), {"count": 2})})
    numbers = tf.range(6)
    batch, state = Step.rows(two, (numbers, {"first": None, "x": numbers[:, None]}), 1)
    assert batch.numpy().tolist() == [3, 4, 5]
    assert state["first"] is None and state["x"].numpy().tolist() == [[3], [4], [5]]
    assert Step.rows(two, (numbers, None), 0)[1] is None


@pytest.mark.parametrize("dtype", ["bool", "uint16", "bfloat16", "float16", "int32", "int64"])
def test_rows_of_every_dtype_of_a_state_are_gathered(dtype):
    class Context:
        """Of two workers: what a collective does not know it refuses, as TensorFlow does."""

        def all_gather(self, rows, axis):
            assert rows.dtype.name in ("float32", "float16", "float64", "int32", "int64")
            return tf.concat([rows, rows], axis)

    rows = tf.cast(tf.constant([[0, 1], [3, 60000 if dtype == "uint16" else 5]]), dtype)
    both = gathered(rows, Context())
    assert both.dtype == rows.dtype
    np.testing.assert_array_equal(
        tf.cast(both, tf.float32), np.tile(tf.cast(rows, tf.float32), [2, 1])
    )
    assert gathered(None, Context()) is None


RUN = {
    "data.name": "names", "model.units": 8, "model.layers": 1, "model.dropout": 0.2,
    "training.window": 12, "training.batch_size": 4, "training.checkpoint_every": 4,
    "training.log_every": 4, "training.validate_every": 6, "training.validation_batches": 3,
    "training.sample_every": 0, "training.histogram_every": 0, "training.ema": 0.9,
    "training.carry_state": True, "training.warmup_steps": 0,
}  # fmt: skip
WATCHED = {"training.sample_every": 6, "training.histogram_every": 6, "training.profile": "3:4"}


def arguments(logdir, **settings):
    pairs = {**RUN, **settings}.items()
    return ["--logdir", str(logdir), *(p for k, v in pairs for p in ("--set", f"{k}={v}"))]


def start(words, workers=2):
    """Starts so many workers; returns their processes."""
    return [
        subprocess.Popen(
            [*TRAIN, *words], cwd=ROOT, env={**each, **environment()}, stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL, text=True,
        )
        for each in environments(workers)
    ]  # fmt: skip


def ended(processes, timeout=600):
    """Exit codes, and what each wrote."""
    texts = [process.communicate(timeout=timeout)[1] for process in processes]
    return [process.returncode for process in processes], texts


def same(one, other, tolerance):
    """Whether the last checkpoints of two runs hold the same."""
    (arrays, record), (others, other_record) = (
        Checkpoints(run / "checkpoints").latest() for run in (one, other)
    )
    assert arrays.keys() == others.keys()
    assert [record["step"], record["worse"]] == [other_record["step"], other_record["worse"]]
    for name in arrays:
        np.testing.assert_allclose(others[name], arrays[name], rtol=0, atol=tolerance)


@pytest.mark.exhaustive
def test_two_workers_learn_latents_as_one_does(tmp_path):
    """Of each row the noise is its own, and so is what is hidden of it."""
    own = {"training.steps": 8, "training.carry_state": False, "model.latent_size": 3}
    for workers in (2, 1):
        words = ["vae", *arguments(tmp_path / str(workers), **own, **{"model.encoder_units": 4})]
        codes, texts = ended(start(words, workers))
        assert codes == [0] * workers, texts
    same(tmp_path / "1", tmp_path / "2", 2e-6)


@pytest.mark.long
def test_two_workers_are_one_and_the_run_goes_on_without_one(tmp_path):
    # Two workers, all 12 steps with everything on, and one that takes them alone.
    whole, alone, lost = (tmp_path / name for name in ("whole", "alone", "lost"))
    codes, texts = ended(start(["lstm", *arguments(whole, **{"training.steps": 12, **WATCHED})]))
    assert codes == [0, 0], texts
    assert "2 workers" in texts[0] and "step/s" not in texts[1]
    codes, texts = ended(start(["lstm", *arguments(alone, **{"training.steps": 12})], workers=1))
    assert codes == [0], texts
    same(alone, whole, 2e-6)
    # Of many steps, one worker is killed: the other ends, and says how to go on.
    workers = start(["lstm", *arguments(lost, **{"training.steps": 100000})])
    while not any((lost / "checkpoints").glob("step-*.npz")):
        assert workers[0].poll() is None, workers[0].stderr.read()
        time.sleep(0.02)
    workers[1].send_signal(signal.SIGKILL)
    began = time.monotonic()
    (code, _), (text, _) = ended(workers)
    assert code == 2 and time.monotonic() - began < 60
    message = text.splitlines()[-1]
    assert message.startswith("tfgen: error: Worker 0 lost another of the 2 workers")
    assert message.endswith(f"Go on with: tfgen train --resume --logdir {lost}")
    # It goes on alone, and another run on two workers ends the same.
    step = Checkpoints(lost / "checkpoints").latest()[1]["step"]
    steps = ["--set", f"training.steps={step + 6}"]
    codes, texts = ended(start(["--resume", "--logdir", str(lost), *steps], workers=1))
    assert codes == [0], texts
    assert Checkpoints(lost / "checkpoints").latest()[1]["step"] == step + 6


@pytest.mark.parametrize(
    "text,message",
    [
        (None, r'need the environment variable TF_CONFIG, e\.g\. \{"cluster"'),
        ("{", r"TF_CONFIG must tell the address of each worker .* Received: TF_CONFIG='\{'$"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "must tell"),
        ('{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}', "must tell"),
        ('{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "must tell"),
    ],
)
def test_addresses_that_are_none(text, message, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=message):
        open_devices("multi-worker")


def test_one_device_is_what_there_is_here(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    devices = open_devices()
    assert not devices.several and devices.count == 1 and devices.chief
    assert devices.any(True) and not devices.any(False)
    devices.check_same(weights=b"1")
    with pytest.raises(InputError, match=r"Unknown strategy 'mirorred'\. Did you mean 'mirrored'"):
        open_devices("mirorred")


def test_workers_that_differ_are_told(monkeypatch):
    class Two(Devices):
        processes = 2

        def __init__(self, others):
            super().__init__()
            self.others, self.processes = others, 2

        def add(self, values):
            return np.add(values, self.others)

    import zlib

    Two([0.0, zlib.crc32(b"same")]).check_same(data=b"same")
    with pytest.raises(InputError, match="do not have the same data"):
        Two([0.0, zlib.crc32(b"other")]).check_same(data=b"same")
