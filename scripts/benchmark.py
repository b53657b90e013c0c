#!/usr/bin/env python
"""Measures tfgen beside its peers, in turns on one machine.

    python scripts/benchmark.py        # all but SECTIONS_LONG; an hour
    python scripts/benchmark.py train --model lstm
    python scripts/benchmark.py train generate --model transformer --nanogpt nanoGPT
    python scripts/benchmark.py reach --text input.txt --nanogpt nanoGPT
    python scripts/benchmark.py forecast --entry gru-weather
    python scripts/benchmark.py trainer          # half an hour on 2 cores

SECTIONS_HELP

The peers of lstm and gru are PyTorch and Keras; of the transformer nanoGPT, from a checkout of
https://github.com/karpathy/nanoGPT, and Hugging Face's transformers; of forecasts the naive one
and the DeepAR of GluonTS, which `pip install gluonts[torch]` brings: it wants other versions than
tfgen has, so start the script in an environment with both; of diffusion models lucidrains' Unet1D,
by `pip install denoising-diffusion-pytorch`, and diffusers, each with as many weights.

Every contestant has a process of its own. They take turns, A B C A B C ..., and the ratio of two is
the median of the ratios of the rounds. Every peer is first tried in several ways, of which the
fastest counts. The peers come with `pip install .[benchmark]`; one that is not installed is left
out. How well a model predicts by itself is measured by `tfgen evaluate`.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from benchmarks import contests, forecast, trainer
from benchmarks.contests import LONG, MODELS, SECTIONS
from benchmarks.reach import Text
from benchmarks.report import machine, machine_lines, table
from benchmarks.runner import against, measure
from benchmarks.sizes import TIMESTEPS
from console import Parser, at_least, script

from tfgen import zoo
from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file

# nanoGPT's recipe for CPUs, and its model of tiny-shakespeare.
SHAPES = [(4, 4, 128, 64, 12), (6, 6, 384, 256, 16)]
SHAPE = "LAYERSxHEADSxWIDTHxCONTEXTxBATCH"
NUMBERS_SHAPE = "LAYERSxUNITSxFEATURESxCOMPONENTS"
ENOUGH_ROUNDS = 5


@script
def main(argv):
    """Measures all that is asked for, and shows and writes it."""
    options = parse(argv)
    results = {"machine": machine(), "settings": vars(options), "figures": []}
    print("\n".join(machine_lines(results["machine"])), flush=True)
    if options.repeats < ENOUGH_ROUNDS:
        print(f"{options.repeats} rounds are a trial: results need {ENOUGH_ROUNDS} or more.")
    for section in options.sections:
        for found in contests_of(section, options):
            if not isinstance(found, dict):
                found = measure(found, options.repeats, options.seconds)
            results["figures"].append(found)
            print("\n" + "\n".join(table(found)), flush=True)
            if options.out:  # after every result, so that an interruption costs one
                with atomic_file(options.out) as temporary:
                    temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def contests_of(section, options):
    """Yields the contests of a section, or its results."""
    for contest in SECTIONS[section](options):
        yield from against(contest, options.against) if options.against else [contest]


def parse(argv):
    """Returns the options, checked."""
    told = "\n".join(f"{name:<10}{each.__doc__}" for name, each in SECTIONS.items())
    text = __doc__.replace("SECTIONS_HELP", told).replace("SECTIONS_LONG", ", ".join(LONG))
    parser = Parser(text)
    one, two, eight = at_least(1), at_least(2), at_least(8, unit=8)

    def group(name):
        return parser.add_argument_group(name).add_argument

    add = parser.add_argument
    add("sections", metavar="SECTION", nargs="*", help=f"default: all but {', '.join(LONG)}")
    add("--model", nargs="+", default=list(MODELS), help=f"of {', '.join(MODELS)} (default: all)")
    add("--batch", type=two, default=32, help="texts, windows, and sequences to train on (32)")
    add("--tokens", type=one, help="tokens of a generation (512; transformer: 240)")
    add("--repeats", type=one, default=ENOUGH_ROUNDS, help="rounds (default: 5)")
    add("--seconds", type=float, default=3.0, help="least length of a measurement (default: 3)")
    add("--out", metavar="FILE", help="also write the results as JSON")
    add("--against", metavar="PATH", type=os.path.abspath,
        help="another checkout: its tfgen and this one take turns, without peers, in each "
             "section and in first calls, which compile")  # fmt: skip
    add = group("lstm and gru")
    add("--units", type=one, default=512, help="units of a layer (default: 512)")
    add("--layers", type=one, default=2, help="layers (default: 2)")
    add("--embedding", type=one, nargs="+",
        help="widths of the embedding, each trained; the first one generates (default: units, as "
             "PyTorch's language model example has it, and 128)")  # fmt: skip
    add("--window", type=one, default=128, help="tokens of a window (default: 128)")
    add = group("transformer")
    shown = " ".join("x".join(map(str, each)) for each in SHAPES)
    whole_heads = shape(
        SHAPE, lambda layers, heads, width, *rest: width % heads == 0, ", width a multiple of heads"
    )
    add("--transformer", type=whole_heads, nargs="+", default=SHAPES, metavar=SHAPE,
        help=f"each is trained; the last one generates (default: {shown})")  # fmt: skip
    add("--nanogpt", metavar="PATH", help="a checkout of nanoGPT")
    families, entries = list(trainer.FAMILIES), list(contests.MIXED)
    add = group("trainer")
    add("--families", nargs="+", default=families, help=f"of {', '.join(families)} (all)")
    add = group("precision")
    add("--entries", nargs="+", default=entries, help=f"default: {', '.join(entries)}")
    add = group("reach")
    add("--text", metavar="FILE", help="tiny-shakespeare's input.txt; 90%% are trained on")
    add("--target", type=float, default=1.88, help="validation loss to reach (default: 1.88)")
    add("--eval-batches", type=one, default=20, help="batches of a validation (20)")
    add("--reach-repeats", type=one, default=1, help="rounds (default: 1)")
    add = group("rollout")
    add("--numbers", type=shape(NUMBERS_SHAPE), nargs="+", default=[(2, 128, 8, 10)],
        metavar=NUMBERS_SHAPE, help="the models, of each cell (2x128x8x10)")  # fmt: skip
    add = group("rollout and unet")
    add("--steps", type=one, help="positions of a sequence (512); unet: steps of DDIM (50)")
    add("--rows", type=two, help="sequences side by side (rollout: 64, besides one; unet: 16)")
    add = group("unet")
    add("--width", type=eight, default=32,
        help="channels at the top of tfgen's; the peers' follow from its weights (32)")  # fmt: skip
    # The peers take whole pairs of positions alone, at each of three halvings.
    add("--length", type=eight, default=128, help="positions of a sequence (default: 128)")
    add("--no-attention", action="store_true",
        help="tfgen's without attention, beside diffusers, which has none")  # fmt: skip
    add = group("forecast")
    add("--entry", help=f"a name or a run (default: {contests.FORECASTER})")
    add("--context", type=one, default=168, help="positions before an origin (168)")
    add("--horizon", type=one, default=24, help="positions to forecast (24)")
    add("--samples", type=two, default=100, help="samples of a forecast (100)")
    add("--epochs", type=one, default=100, help="epochs of the peer's training (100)")
    add("--seeds", type=one, default=1, help="trainings of the peer (default: 1)")
    add = group("the machine")
    add("--matrix", type=one, default=4096, help="size of the matrix product (4096)")
    add("--array-mib", type=one, default=1024, help="size of the array read (1024)")
    options = parser.parse_args(argv)
    options.sections = options.sections or [name for name in SECTIONS if name not in LONG]
    if options.embedding is None:
        options.embedding = list(dict.fromkeys([options.units, 128]))
    check(options)
    return options


def check(options):
    """Raises an `InputError` for what would fail only later, in a contestant's process."""
    for kind, names, known in (
        ("section", options.sections, SECTIONS),
        ("model", options.model, MODELS),
        ("family", options.families, trainer.FAMILIES),
        ("entry", options.entries, zoo.list_models(pretrained=True)),
    ):
        for name in names:
            if name not in known:
                raise unknown(kind, name, known)
    sections, endless = options.sections, float("inf")
    longest = max(
        [sizes.prompt + sizes.tokens - sizes.window
         for sizes in contests.transformers(options, options.transformer[-1:])], default=0,
    )  # fmt: skip
    for wrong, message in (
        (not 0 <= options.seconds < endless, f"--seconds must be >= 0: {options.seconds}"),
        (not 0 < options.target < endless, f"--target must be > 0: {options.target}"),
        (options.out and Path(options.out).is_dir(), f"--out: {options.out} is a folder"),
        (options.nanogpt and not Path(options.nanogpt, "model.py").is_file(),
         f"--nanogpt: {options.nanogpt} holds no model.py of nanoGPT"),
        (options.against and not Path(options.against, "scripts", "benchmarks").is_dir(),
         f"--against: {options.against} is no checkout with scripts/benchmarks"),
        (options.against and "forecast" in sections,
         "forecast compares with peers alone: leave it out beside --against"),
        ("unet" in sections and (options.steps or 0) >= TIMESTEPS,
         f"unet samples in fewer than {TIMESTEPS} steps. Received: --steps {options.steps}"),
        ("reach" in sections and not options.text, "reach needs a text: --text FILE"),
        ("generate" in sections and longest > 0,
         f"A prompt and --tokens {options.tokens} are {longest} more than the transformer's "
         f"context. Received: --transformer {options.transformer[-1]}"),
    ):  # fmt: skip
        if wrong:
            raise InputError(message)
    if "forecast" in sections:
        entry = options.entry or contests.FORECASTER
        forecast.task_of(entry, options.context, options.horizon)
    if "reach" in sections:
        Text(options.text)


def shape(names, fits=lambda *sizes: True, hint=""):
    """The type of options that are positive integers between `x`s, as many as there are names."""

    def integers(text):
        parts = text.split("x")
        whole = len(parts) == len(names.split("x")) and all(p.isdecimal() for p in parts)
        sizes = tuple(map(int, parts)) if whole else (0,)
        if not all(sizes) or not fits(*sizes):
            raise argparse.ArgumentTypeError(f"must be {names}{hint}. Received: {text}")
        return sizes

    return integers


if __name__ == "__main__":
    sys.exit(main())
