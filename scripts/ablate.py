#!/usr/bin/env python
"""Trains a recipe and variants of it, and prints what each change does to the validation loss.

    python scripts/ablate.py zoo/transformer-shakespeare/recipe.toml \
        --set model.layers=4 --set model.width=128 --set training.steps=600 --seeds 2 \
        --variant "no convolution" model.conv=0 \
        --variant "AdamW" training.optimizer=adamw training.learning_rate=0.002

Every variant is the recipe, with what --set changes, and with its own changes. The loss is that of
the best weights of each run, in nats per token, mean and range over the seeds.
"""

import sys
import tempfile
import time
from pathlib import Path

from console import Parser, at_least, head, row, script

from tfgen.errors import InputError
from tfgen.recipe import Recipe
from tfgen.startup import import_tensorflow


@script
def main(argv):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("recipe", help="a recipe's TOML file")
    add("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    add("--variant", action="append", nargs="+", default=[], metavar="NAME SECTION.KEY=VALUE")
    add("--seeds", type=at_least(1), default=1, help="runs of each (1)")
    arguments = parser.parse_args(argv)
    base = Recipe.from_file(arguments.recipe).override(_changes(arguments.set))
    variants = {name: base.override(_changes(changes)) for name, *changes in arguments.variant}
    import_tensorflow()
    head("variant", "weights", "nats per token", "range", "minutes")
    for name, recipe in {"the recipe": base, **variants}.items():
        row(name, *_cells(recipe, arguments.seeds))


def _changes(settings):
    for setting in settings:
        if "=" not in setting:
            raise InputError(f"a change is SECTION.KEY=VALUE. Received: {setting}")
    return dict(setting.split("=", 1) for setting in settings)


def _cells(recipe, seeds):
    from tfgen.training import train
    from tfgen.training.checkpoints import Checkpoints
    from tfgen.zoo import get

    losses, begun = [], time.monotonic()
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            final = train(recipe.override({"training.seed": seed}), run, progress=False)
            _, record = Checkpoints(run / "checkpoints", keep=1).latest()
            losses.append(record["best"]["loss"])
            weights = get(final).count_params()
    minutes = f"{(time.monotonic() - begun) / 60 / seeds:.1f}"
    spread = f"{min(losses):.3f}-{max(losses):.3f}"
    return f"{weights:,}", f"{sum(losses) / seeds:.3f}", spread, minutes


if __name__ == "__main__":
    sys.exit(main())
