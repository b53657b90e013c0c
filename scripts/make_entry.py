#!/usr/bin/env python3
"""Makes an entry of the zoo of a finished training run.

    python scripts/make_entry.py runs/lstm-shakespeare zoo/lstm-shakespeare

Stores the weights as float16 if that costs no more than 0.001 nats per character, or per value, on
the validation split, and writes what the tests hold an entry to: golden.npz and results.json; of a
model of numbers also samples.png, for its card. The card, README.md, is written by hand from what
this prints.
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from console import Parser, at_least, script

from tfgen import models
from tfgen.data import SequenceWindows, open_pairs, open_sequences, open_text
from tfgen.evaluation import evaluate, evaluate_sequences
from tfgen.evaluation.memorisation import copied_share
from tfgen.files import atomic_file
from tfgen.models.latents import has_posterior
from tfgen.preprocessing import ByteTokenizer
from tfgen.recipe import Recipe
from tfgen.report.drawings import stroke_sheet
from tfgen.report.figures import to_png
from tfgen.report.series import forecast_figure
from tfgen.report.sounds import sound_figure

MOST_LOST = 0.001  # nats per character or value, to float16
GOLDEN_TOKENS = GOLDEN_POSITIONS = 64
GOLDEN_STEPS = 8  # of a diffusion model
SAMPLES, SAMPLE_TOKENS, LINES = 20, 500, 1000
CROPS = 4096
BEAMS = 5
WRITTEN = (  # for a card, by a model that writes
    "hello world", "The quick brown", "fox jumps over", "the lazy dog.", "Pack my box",
    "with five dozen", "liquor jugs!", "Sphinx of black", "quartz, judge", "my vow?", "0123456789",
    "(a + b) * c",
)  # fmt: skip


@script
def main(argv):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("run", type=Path, help="the folder of a finished run")
    add("entry", type=Path, help="the folder of the entry")
    add("--horizon", type=at_least(1), help="positions to forecast, of a model of time series")
    add("--metrics", help="A,B: only these, of a model of numbers; likelihood too")
    add("--length", type=at_least(1), help="positions of the windows that are compared")
    add("--description", help="a line for the zoo; default: that of the run")
    arguments = parser.parse_args(argv)
    numbers = (arguments.run / "final" / models.PROCESSOR).is_file()
    source = Recipe.from_file(arguments.run / "final" / models.RECIPE).data.source
    make = make_numbers if numbers else make_text if source is None else make_pairs
    results = make(arguments)
    with atomic_file(arguments.entry / "results.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


def stored(arguments, scores, unit):
    """The entry's model, its weights as float16 if that costs no more than `MOST_LOST`.

    `scores` is a function of a model to a dict with its `nats_per_<unit>`. Returned is the model
    as it is stored, and its scores.
    """
    model = models.load(arguments.run / "final")
    if arguments.description is not None:
        model.recipe = dataclasses.replace(model.recipe, description=arguments.description)
    full = scores(model)
    store(model, arguments.entry, float16=True)
    found = scores(models.load(arguments.entry))
    lost = found[f"nats_per_{unit}"] - full[f"nats_per_{unit}"]
    print(f"float16 changes the score by {lost:+.6f} nats per {unit}")
    if lost > MOST_LOST:  # saving in float16 has left the model as it was
        store(model, arguments.entry, float16=False)
        found = full
    return models.load(arguments.entry), found


def make_text(arguments):
    def scores(model):
        data = model.recipe.data
        return evaluate(model, data.name, data.column, crops=CROPS)

    model, results = stored(arguments, scores, "character")
    data = model.recipe.data
    source = open_text(data.name, data.column, data.validation_fraction)
    training, held_out = ("".join(source.chunks(split)) for split in ("train", "validation"))
    if has_posterior(model):  # its texts are lines
        samples, known = model.generate([""] * LINES, seed=0), {*training.split("\n")}
        for name, lines in (("", samples), ("_held_out", held_out.split("\n"))):
            results[f"copied_lines{name}"] = float(
                np.mean([each in known for each in lines if each])
            )
    else:
        samples = model.generate("", SAMPLE_TOKENS, num_samples=SAMPLES, seed=0, stop=[])
        # The held-out text is cut as the samples are: a share per text of the same length.
        results["copied_40_characters"] = copied_share(samples, training)
        pieces = [held_out[i : i + SAMPLE_TOKENS] for i in range(0, len(held_out), SAMPLE_TOKENS)]
        results["copied_40_characters_held_out"] = copied_share(pieces, training)
    write_golden(model, held_out, arguments.entry / "golden.npz")
    return results


def make_pairs(arguments):
    def scores(model):
        return evaluate(model, model.recipe.data.name)

    model, results = stored(arguments, scores, "token")
    searched = evaluate(model, model.recipe.data.name, beams=BEAMS)
    rates = ("sequence_error_rate", "token_error_rate")
    results |= {f"{name}_{BEAMS}_beams": searched[name] for name in rates}
    data = model.recipe.data
    pairs = open_pairs(data.name, data.source, data.column, data.validation_fraction)
    (source, (text, *_)), *_ = pairs.references("test").items()
    ids, items = model.tokenizer.encode(text)[None], ByteTokenizer().encode(source)[None]
    condition = items.astype(np.int32), np.ones(items.shape, bool)
    logits = model({"tokens": ids.astype(np.int32), "condition": condition}).numpy()
    text = model.generate(source=source, temperature=0)
    with atomic_file(arguments.entry / "golden.npz") as temporary:
        np.savez_compressed(temporary, ids=ids, logits=logits, source=source, prompt="", text=text)
    return results


def make_numbers(arguments):
    def scores(model):
        found = evaluate_sequences(model, model.recipe.data, metrics=("likelihood",))
        return {"nats_per_value": found["likelihood"]["nats_per_value"]["mean"]}

    model, _ = stored(arguments, scores, "value")
    rules = model.recipe.data
    sequences = model.processor.check(open_sequences(rules))
    half = "test" if model.recipe.training.choose_on == "half" else None
    _, held_out, _ = sequences.split(rules.validation_fraction, rules.split, half)
    report = evaluate_sequences(
        model, rules, horizon=arguments.horizon, length=arguments.length,
        metrics=arguments.metrics and ["likelihood", *arguments.metrics.split(",")],
        say=lambda line: print(line, file=sys.stderr),
    )  # fmt: skip
    found = report["likelihood"]
    results = {
        "parameters": model.count_params(),
        "held_out_values": found["values"],
        "log_likelihood_per_sequence": found["log_likelihood"] / len(held_out),
        "nats_per_value": found["nats_per_value"]["mean"],
        "nats_per_value_of_independent_values": found["nats_per_value"]["baseline"],
    }
    told = found.get("latents", {})
    results |= {name: told[name] for name in told if name != "rate_by_dimension"}
    kept = ("mean", "spread", "real", "baseline")
    for section in ("forecast", "generation"):
        for name, score in report.get(section, {}).get("scores", {}).items():
            results[name] = {key: score[key] for key in kept if score[key] is not None}
    write_golden_numbers(model, held_out, arguments.entry / "golden.npz")
    with atomic_file(arguments.entry / "samples.png") as temporary:
        temporary.write_bytes(to_png(picture(model, held_out)))
    return results


def store(model, entry, float16):
    """Puts the model's files into the entry's folder, beside its card."""
    model.save(entry / "model", float16=float16)
    file = models.preprocessing_file(model.preprocessing)
    calibration = [models.CALIBRATION] if model.calibration is not None else []
    for name in (models.RECIPE, file, models.WEIGHTS, *calibration, models.CHECKSUMS):
        (entry / "model" / name).replace(entry / name)
    (entry / "model").rmdir()


def write_golden(model, held_out, path):
    """A fixed input with its logits, and a greedy continuation."""
    ids = model.tokenizer.encode(held_out[: 4 * GOLDEN_TOKENS]).astype(np.int32)
    rows = np.stack([ids[:GOLDEN_TOKENS], ids[GOLDEN_TOKENS : 2 * GOLDEN_TOKENS]])
    prompt = "" if has_posterior(model) else held_out[:32]
    text = model.generate(prompt, GOLDEN_TOKENS, temperature=0, stop=[], seed=0)
    logits = model(tf.constant(rows)).numpy()
    with atomic_file(path) as temporary:
        np.savez_compressed(temporary, ids=rows, logits=logits, prompt=prompt, text=text)


def write_golden_numbers(model, held_out, path):
    """The beginnings of two held-out sequences with what the model says of them, and a draw."""
    longest = np.argsort([-len(values) for values in held_out.values], kind="stable")[:2]
    count = max(GOLDEN_POSITIONS, 4 * model.engine.positions.frame)
    two = held_out.select(longest)
    batch = SequenceWindows(two, count, 2, drop_remainder=False).batch(0)
    told = {} if two.texts is None else {"source": list(two.texts)}
    outputs = model(batch)
    if model.engine.loss_is_likelihood:
        parameters = {
            f"parameters/{head}/{name}": value.numpy()
            for head, found in outputs.items()
            for name, value in found.items()
        }
        drawn, *_ = model.draw(2, count // 4, temperature=0, seed=0, **told)
    else:
        parameters = {"parameters/x0_hat": outputs.numpy()}
        drawn, *_ = model.draw(2, count // 4, num_steps=GOLDEN_STEPS, seed=0)
    inputs = {f"inputs/{name}": value for name, value in batch.items()}
    with atomic_file(path) as temporary:
        np.savez_compressed(temporary, **inputs, **parameters, **told, drawn=drawn)


def picture(model, held_out):
    """What the model's card shows: a forecast, a sheet of drawings, or sounds."""
    processor = model.processor
    classes = list(processor.classes)
    if held_out.texts is not None:
        drawn = model.generate(len(WRITTEN), seed=0, source=list(WRITTEN))
        return stroke_sheet(drawn, columns=4)
    if processor.kind in ("strokes", "audio"):
        # A column for each class.
        count = 8 if processor.kind == "audio" else 5 * len(classes) or 48
        given = {"condition": np.arange(count) % len(classes)} if classes else {}
        drawn = model.generate(count, seed=0, **given)
        if processor.kind == "audio":
            return sound_figure(drawn, processor.sample_rate, classes[:8])
        if has_posterior(
            model
        ):  # one of each class, what is decoded of it, and the way to the next
            ends = [held_out.values[list(held_out.labels).index(n)] for n in range(len(classes))]
            plain = {"seed": 0, "temperature": 0.0}
            found = [*ends, *model.reconstruct(ends, **plain)]
            for a, b in zip(ends[::2], ends[1::2]):
                found += model.interpolate(a, b, len(classes), **plain)
            drawn = [*found, *drawn[: 3 * len(classes)]]
        return stroke_sheet(drawn, columns=len(classes) or 12)
    horizon, context = 48, 120
    values, times = held_out.values[0], held_out.times and held_out.times[0][: context + horizon]
    told = {} if times is None else {"times": times[:context]}
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    quantiles = model.forecast(values[:context], horizon, 200, levels, seed=0, **told).quantiles
    quantiles = dict(quantiles)
    return forecast_figure(
        values[:context], quantiles.pop(0.5), quantiles, processor.features,
        truth=values[context : context + horizon], times=times,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
