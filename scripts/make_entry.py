#!/usr/bin/env python3
"""Makes an entry of the zoo of a finished training run.

    python scripts/make_entry.py runs/lstm-shakespeare zoo/lstm-shakespeare

Stores the weights as float16 if that costs no more than 0.001 nats per character on the validation
split, and writes what the tests hold an entry to: golden.npz and results.json. The card, README.md,
is written by hand from what this prints.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout that is not installed

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfgen import models  # noqa: E402
from tfgen.data import open_text  # noqa: E402
from tfgen.evaluation import evaluate  # noqa: E402
from tfgen.evaluation.memorisation import copied_share  # noqa: E402
from tfgen.files import atomic_file  # noqa: E402

MOST_LOST = 0.001  # nats per character, to float16
GOLDEN_TOKENS = 64
SAMPLES, SAMPLE_TOKENS = 20, 500
CROPS = 4096


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("entry", type=Path, help="the folder of the entry")
    arguments = parser.parse_args()

    model = models.load(arguments.run / "final")
    data, column = model.recipe.data.name, model.recipe.data.column
    full = evaluate(model, data, column, crops=CROPS)
    store(model, arguments.entry, float16=True)
    model = models.load(arguments.entry)
    results = evaluate(model, data, column, crops=CROPS)
    lost = results["nats_per_character"] - full["nats_per_character"]
    print(f"float16 changes the score by {lost:+.6f} nats per character")
    if lost > MOST_LOST:
        store(model := models.load(arguments.run / "final"), arguments.entry, float16=False)
        results = full

    source = open_text(data, column, model.recipe.data.validation_fraction)
    training = "".join(source.chunks("train"))
    held_out = "".join(source.chunks("validation"))
    samples = model.generate("", SAMPLE_TOKENS, num_samples=SAMPLES, seed=0, stop=[])
    # The held-out text is cut as the samples are: a share per text of the same length.
    results["copied_40_characters"] = copied_share(samples, training)
    pieces = [held_out[i : i + SAMPLE_TOKENS] for i in range(0, len(held_out), SAMPLE_TOKENS)]
    results["copied_40_characters_held_out"] = copied_share(pieces, training)
    write_json(arguments.entry / "results.json", results)
    write_golden(model, held_out, arguments.entry / "golden.npz")
    print(json.dumps(results, indent=2))
    for seed in range(3):
        print(f"--- seed {seed}\n{model.generate('', 300, seed=seed)}")


def store(model, entry, float16):
    """Puts the model's files into the entry's folder, beside its card."""
    model.save(entry / "model", float16=float16)
    for name in (models.RECIPE, models.TOKENIZER, models.WEIGHTS, models.CHECKSUMS):
        (entry / "model" / name).replace(entry / name)
    (entry / "model").rmdir()


def write_golden(model, held_out, path):
    """A fixed input with its logits, and a greedy continuation."""
    ids = model.tokenizer.encode(held_out[: 4 * GOLDEN_TOKENS]).astype(np.int32)
    rows = np.stack([ids[:GOLDEN_TOKENS], ids[GOLDEN_TOKENS : 2 * GOLDEN_TOKENS]])
    prompt = held_out[:32]
    text = model.generate(prompt, GOLDEN_TOKENS, temperature=0, stop=[])
    with atomic_file(path) as temporary:
        np.savez_compressed(
            temporary, ids=rows, logits=model(tf.constant(rows)).numpy(), prompt=prompt, text=text
        )


def write_json(path, value):
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
