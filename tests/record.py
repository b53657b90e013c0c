"""A record of what the models compute, to hold a change of their code against.

    python -m tests.record --out tests/record.json     # writes the record; hours on a small machine
    python -m tests.record --only "lstm text" ...      # prints the lines of some models

A line tells of one array or number: a hash of its bytes, which is the same on the same kind of
machine alone, and a few figures that hold on any.
"""

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests import event_files
from tests.training.combinations import kinds_of, settings, write_data
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import Recipe
from tfgen.training import train
from tfgen.zoo import get, list_models

PATH = Path(__file__).with_name("record.json")
ENTRIES = list_models(kind="entry")
SMALL = [
    f"{family} {kind}"
    for family in ("lstm", "gru", "transformer", "unet1d")
    for kind in kinds_of(family)
]
STEPS = {
    "training.steps": 20, "training.log_every": 1, "training.profile": None, "training.accumulate": 1,
    "training.histogram_every": 0, "training.sample_every": 0, "training.checkpoint_every": 20,
    "training.validate_every": 20, "training.warmup_steps": 2,
}  # fmt: skip
# What rounding does not change much: nothing of it is sampled.
STEADY = ("new weights", "losses")
# What the inputs of a served function are, by their names.
INPUTS = {
    "seed": 7, "num_samples": 2, "length": 40, "horizon": 8, "temperature": 0.9, "bias": 0.5,
    "num_steps": 4, "guidance_scale": 1.0, "resamplings": 2, "quantiles": [0.1, 0.9],
    "max_new_tokens": 30, "top_k": 20, "top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.1,
    "stop": ["\n\n"], "strip_prompt": False, "prompts": ["ROMEO:", "To be"], "texts": ["To be", ""],
    "sigma": [0.5], "condition": [0], "start_time": [1372636800],
}  # fmt: skip


def line_of(value):
    """The line of an array, a number or a text."""
    if isinstance(value, (str, bytes)):
        raw = value.encode() if isinstance(value, str) else value
        return {"sha": _sha(raw), "begins": raw.decode(errors="replace")[:40]}
    array = np.asarray(value)
    if array.dtype.kind in "OSU":
        return line_of("\0".join(str(one) for one in array.reshape(-1)))
    finite = array[np.isfinite(array)].astype(np.float64)
    return {
        "sha": _sha(np.ascontiguousarray(array).tobytes()),
        "shape": list(array.shape),
        "finite": int(finite.size),
        "mean": float(f"{finite.mean():.6g}") if finite.size else None,
        "std": float(f"{finite.std():.6g}") if finite.size else None,
    }


def _sha(raw):
    return hashlib.sha256(raw).hexdigest()[:16]


def lines_of(name, folder):
    """The record of an entry, or of a small model `"family kind"` trained in a folder, as a dict."""
    if name in ENTRIES:
        model = get(name)
        return {**computed(model), **served(model, folder)}
    family, kind = name.split()
    write_data(folder)
    recipe = Recipe(family).override(settings(family, kind, folder, **STEPS))
    train(recipe, folder / "run", progress=False)
    model = get(str(folder / "run"))
    losses = _losses(folder / "run")
    new = get(str(folder / "run" / "final"), weights=False)
    return {
        "new weights": line_of(_joined(new)),
        "losses": line_of(losses),
        "trained weights": line_of(_joined(model)),
        **computed(model),
        **served(model, folder),
    }


def _losses(folder):
    return [value for _, value in event_files.scalars(folder / "logs" / "train")["Loss/loss"]]


def _joined(model):
    weights = sorted((str(w.shape), w.numpy().tobytes()) for w in model.weights)
    return np.frombuffer(b"".join(raw for _, raw in weights), np.float32)


def computed(model):
    """What a model generates, scores, forecasts and fills with fixed seeds."""
    if isinstance(model.preprocessing, SequenceProcessor):
        return _of_numbers(model)
    text = model.generate(["To be", ""], max_new_tokens=60, seed=1)
    found = {
        "generate": line_of("\n".join(text)),
        "greedy": line_of(model.generate("To", max_new_tokens=40, temperature=0.0)),
        "filtered": line_of(
            model.generate(
                "To", max_new_tokens=40, seed=2, top_k=9, top_p=0.9, min_p=0.01,
                repetition_penalty=1.2, stop=["\n\n"],
            )
        ),
        "stream": line_of("".join(model.stream("To", max_new_tokens=20, seed=3))),
        "encode": line_of(model.encode("To be, or not to be")),
    }  # fmt: skip
    scores = model.score(["To be, or not to be", ""])
    return found | {f"score {name}": line_of(value) for name, value in scores.items()}


def _of_numbers(model):
    given = _given(model, 40, 0)
    given.pop("times", None)
    made = model.generate(num_samples=2, length=40, seed=1, **given)
    series = np.asarray(made[0], np.float32)
    time = len(series)
    found = {"generate": line_of(np.concatenate([np.ravel(one) for one in made]))}
    given = _given(model, time, 0)
    scores = model.score(series, **given)
    found |= {f"score {name}": line_of(value) for name, value in scores.items()}
    found["encode"] = line_of(model.encode(series, **given))
    gaps = series.copy()
    gaps[time // 3 : time // 2] = np.nan
    options = {"particles": 16} if "particles" in model.options["impute"] else {"num_steps": 4}
    found["impute"] = line_of(model.impute(gaps, num_samples=2, seed=3, **options, **given))
    forecast = model.forecast(
        series, 8, num_samples=3, seed=2, **_given(model, time, 8),
        **({"num_steps": 4} if "num_steps" in model.options["forecast"] else {}),
    )  # fmt: skip
    found |= {"forecast": line_of(forecast.samples), "forecast mean": line_of(forecast.mean)}
    return found


def _given(model, time, horizon):
    """What a series is given besides its values."""
    processor, given = model.processor, {}
    if processor.needs_times:
        start = processor.start_time or 0
        given["times"] = processor.times_after(
            tf.constant([[start]], tf.int64), tf.range(time, dtype=tf.int64)[None]
        ).numpy()[0]
    if processor.known_names:
        given["known"] = np.zeros([time + horizon, len(processor.known_names)], np.float32)
    if processor.static_width:
        given["static"] = np.ones([processor.static_width], np.float32)
    if processor.num_classes:
        given["condition"] = 0
    return given


def served(model, folder):
    """What the signatures of its SavedModel return."""
    path = str(folder / "served" / "1")
    model.export(path)
    signatures = tf.saved_model.load(path).signatures
    found = {}
    for name, function in signatures.items():
        if (
            name == "stream"
        ):  # of which the pieces are what `generate` gives: test_served_streams.py
            continue
        if name.endswith("_default"):
            if name == "serving_default":  # with a new seed for every call
                found[name] = line_of(",".join(sorted(function.structured_outputs)))
            continue
        specs = function.structured_input_signature[1]
        result = function(**{key: _input(model, key, spec) for key, spec in specs.items()})
        found |= {f"{name} {key}": line_of(value.numpy()) for key, value in result.items()}
    return {f"served {name}": line for name, line in found.items()}


def _input(model, name, spec):
    if name in INPUTS:
        return tf.constant(INPUTS[name], spec.dtype)
    if name == "lengths":
        return tf.constant([24], spec.dtype)
    shape = [1, *([24] if spec.shape.rank == 3 else []), *spec.shape[-1:]]
    shape = [32 if name == "known" and size == 24 else size for size in shape]
    if name == "latents":
        shape[1] = -(-24 // model.engine.positions.frame)
    if name == "times":
        times = _given(model, 24, 0)["times"]
        return tf.constant(times[None], spec.dtype)
    wave = np.sin(np.arange(np.prod(shape))).reshape(shape)
    if name == "values" and len(model.processor.category_columns):
        wave[..., model.processor.category_columns] = 0
    return tf.constant(wave, spec.dtype)


def differences(before, now, exact):
    """What two records of a model differ in, in words."""
    found = [f"{name} is only in one of them" for name in sorted(before.keys() ^ now.keys())]
    for name in before.keys() & now.keys():
        one, other = dict(before[name]), dict(now[name])
        if exact and one["sha"] != other["sha"]:
            found.append(f"{name}: {one} before, {other} now")
        elif one.get("shape") != other.get("shape"):
            found.append(f"{name}: shape {one.get('shape')} before, {other.get('shape')} now")
        elif name in STEADY and not np.isclose(one["std"], other["std"], rtol=1e-3):
            found.append(f"{name}: {one} before, {other} now")
    return found


def machine():
    """What decides about rounding: the processor's vector instructions and the versions."""
    flags = [
        line.split(":")[1].split()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("flags")
    ]
    vectors = sorted(flag for flag in (flags or [[]])[0] if flag.startswith(("avx", "fma", "amx")))
    return {"vectors": vectors, "tensorflow": tf.__version__, "numpy": np.__version__}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="file to write; else the record is compared")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[*ENTRIES, *SMALL])
    arguments = parser.parse_args()
    known = json.loads(PATH.read_text("utf-8")) if PATH.is_file() else {"models": {}}
    recorded = [*SMALL, *ENTRIES] if arguments.out else list(known["models"])
    names = arguments.only or recorded
    models = (
        json.loads(arguments.out.read_text())["models"]
        if (arguments.out and arguments.out.is_file())
        else {}
    )
    failed = False
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            found = lines_of(name, Path(folder))
        if arguments.out:
            models[name] = found
            record = {"machine": machine(), "models": models}
            arguments.out.write_text(json.dumps(record, indent=1) + "\n")
            print(f"{name}: {len(found)} lines", flush=True)
            continue
        told = differences(known["models"][name], found, exact=machine() == known["machine"])
        failed |= bool(told)
        print(f"{name}: {len(found)} lines, {len(told)} differ", *told, sep="\n  ", flush=True)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
