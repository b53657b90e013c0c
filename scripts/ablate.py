#!/usr/bin/env python
"""Trains a recipe and variants of it, and prints what each change does to the validation loss.

    python scripts/ablate.py zoo/transformer-shakespeare/recipe.toml \
        --set model.layers=4 --set model.width=128 --set training.steps=600 --seeds 2 \
        --variant "no convolution" model.conv=0 \
        --variant "AdamW" training.optimizer=adamw training.learning_rate=0.002

Every variant is the recipe, with what --set changes, and with its own changes. The loss is that of
the best weights of each run, in nats per token, mean and range over the seeds.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from tfgen.errors import InputError
from tfgen.recipe import Recipe
from tfgen.startup import import_tensorflow


def main(argv=None):
    """Runs the script; returns its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="a recipe's TOML file")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument(
        "--variant", action="append", nargs="+", default=[], metavar="NAME SECTION.KEY=VALUE"
    )
    parser.add_argument("--seeds", type=int, default=1, help="runs of each (1)")
    arguments = parser.parse_args(argv)
    try:
        base = Recipe.from_file(arguments.recipe).override(_changes(arguments.set))
        variants = {"the recipe": base}
        for name, *changes in arguments.variant:
            variants[name] = base.override(_changes(changes))
        if arguments.seeds < 1:
            raise InputError(f"--seeds must be >= 1. Received: --seeds {arguments.seeds}")
        import_tensorflow()
        print("| variant | weights | nats per token | range | minutes |\n|---|---|---|---|---|")
        for name, recipe in variants.items():
            _row(name, recipe, arguments.seeds)
    except InputError as error:
        print(f"ablate.py: error: {error}", file=sys.stderr)
        return 2
    return 0


def _changes(settings):
    changes = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"a change is SECTION.KEY=VALUE. Received: {setting}")
        changes[key] = value
    return changes


def _row(name, recipe, seeds):
    from tfgen.training import train
    from tfgen.zoo import get

    losses, begun = [], time.monotonic()
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            final = train(recipe.override({"training.seed": seed}), run, progress=False)
            losses.append(_best(run))
            weights = get(final).count_params()
    mean = sum(losses) / seeds
    minutes = (time.monotonic() - begun) / 60 / seeds
    spread = f"{min(losses):.3f}-{max(losses):.3f}"
    print(f"| {name} | {weights:,} | {mean:.3f} | {spread} | {minutes:.1f} |", flush=True)


def _best(run):
    from tfgen.training.checkpoints import Checkpoints

    _, record = Checkpoints(run / "checkpoints", keep=1).latest()
    return record["best"]["loss"]


if __name__ == "__main__":
    sys.exit(main())
