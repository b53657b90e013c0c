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
https://github.com/karpathy/nanoGPT, and Hugging Face's transformers; of diffusion models
lucidrains' Unet1D and diffusers, each with as many weights; of forecasts the naive one and the
DeepAR of GluonTS. One that is not installed is left out, and it is said what brings it.

Every contestant has a process of its own. They take turns, A B C A B C ..., and the ratio of two is
the median of the ratios of the rounds. Every peer is first tried in several ways, of which the
fastest counts. How well a model predicts by itself is measured by `tfgen evaluate`.
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
from console import Parser, at_least, script, some_of

from tfgen import zoo
from tfgen.errors import InputError
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
    check(options)
    if options.nanogpt:  # for the process of this contestant
        os.environ["NANOGPT"] = options.nanogpt
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
    """Returns the options."""
    told = "\n".join(f"{name:<10}{each.__doc__}" for name, each in SECTIONS.items())
    text = __doc__.replace("SECTIONS_HELP", told).replace("SECTIONS_LONG", ", ".join(LONG))
    parser = Parser(text)
    one, two = at_least(1), at_least(2)
    usual = [name for name in SECTIONS if name not in LONG]

    def group(name):
        return parser.add_argument_group(name).add_argument

    add = parser.add_argument
    add("sections", **some_of("section", SECTIONS, usual) | {"nargs": "*"})
    add("--model", **some_of("model", MODELS))
    add("--batch", type=two, default=32, help="texts, windows, and sequences to train on (32)")
    add("--tokens", type=one, help="tokens of a generation (512; transformer: 240)")
    add("--repeats", type=one, default=ENOUGH_ROUNDS, help="rounds (5)")
    add("--seconds", type=float, default=3.0, help="least length of a measurement (3)")
    add("--out", metavar="FILE", help="also write the results as JSON")
    add("--against", metavar="PATH", type=os.path.abspath,
        help="another checkout: its tfgen and this one take turns, without peers, in each "
             "section and in first calls, which compile")  # fmt: skip
    add = group("lstm and gru")
    add("--units", type=one, default=512, help="units of a layer (512)")
    add("--layers", type=one, default=2, help="layers (2)")
    add("--embedding", type=one, nargs="+",
        help="widths, each trained; the first one generates (units, as in PyTorch's language "
             "model example, and 128)")  # fmt: skip
    add("--window", type=one, default=128, help="tokens of a window (128)")
    add = group("transformer")
    add("--transformer", type=shape(SHAPE), nargs="+", default=SHAPES, metavar=SHAPE,
        help="each is trained; the last one generates (nanoGPT's two)")  # fmt: skip
    add("--nanogpt", metavar="PATH", type=os.path.abspath, help="a checkout of nanoGPT")
    add = group("trainer and precision")
    add("--families", **some_of("family", trainer.FAMILIES))
    add("--entries", **some_of("entry", zoo.list_models(pretrained=True), contests.MIXED))
    add = group("reach")
    add("--text", metavar="FILE", help="tiny-shakespeare's input.txt; 90%% are trained on")
    add("--target", type=float, default=1.88, help="validation loss to reach (1.88)")
    add("--eval-batches", type=one, default=20, help="batches of a validation (20)")
    add = group("rollout")
    add("--numbers", type=shape(NUMBERS_SHAPE), nargs="+", default=[(2, 128, 8, 10)],
        metavar=NUMBERS_SHAPE, help="the models, of each cell (2x128x8x10)")  # fmt: skip
    add = group("rollout and unet")
    add("--steps", type=one, help="positions of a sequence (512); unet: steps of DDIM (50)")
    add("--rows", type=two, help="sequences side by side (rollout: 64, besides one; unet: 16)")
    add = group("unet")
    add("--width", type=one, default=32, help="channels at the top of tfgen's network (32)")
    add("--length", type=one, default=128, help="positions of a sequence (128)")
    add("--no-attention", action="store_true", help="tfgen's has none, as diffusers' has none")
    add = group("forecast")
    add("--entry", default=contests.FORECASTER, help=f"name or run ({contests.FORECASTER})")
    add("--context", type=one, default=168, help="positions before an origin (168)")
    add("--horizon", type=one, default=24, help="positions to forecast (24)")
    add("--samples", type=two, default=100, help="samples of a forecast (100)")
    add("--epochs", type=one, default=100, help="epochs of the peer's training (100)")
    add("--seeds", type=one, default=1, help="trainings of the peer (1)")
    add = group("the machine")
    add("--matrix", type=one, default=4096, help="size of the matrix product (4096)")
    add("--array-mib", type=one, default=1024, help="size of the array read (1024)")
    options = parser.parse_args(argv)
    options.embedding = options.embedding or list(dict.fromkeys([options.units, 128]))
    return options


def check(options):
    """Raises an `InputError` for what would fail only later, in a contestant's process."""
    sections, endless = options.sections, float("inf")
    asked = contests.transformers(options, options.transformer[-1:])
    longest = max((sizes.prompt + sizes.tokens - sizes.window for sizes in asked), default=0)
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
        (any(width % heads for _, heads, width, *_ in options.transformer),
         f"--transformer: width a multiple of heads. Received: {options.transformer}"),
        # The peers take whole pairs of positions alone, at each of three halvings.
        (options.width % 8 or options.length % 8, "--width and --length are multiples of 8"),
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
        forecast.task_of(options.entry, options.context, options.horizon)
    if "reach" in sections:
        Text(options.text)


def shape(names):
    """The type of options that are positive integers between `x`s, as many as there are names."""

    def integers(text):
        sizes = tuple(int(each) if each.isdecimal() else 0 for each in text.split("x"))
        if len(sizes) != len(names.split("x")) or not all(sizes):
            raise argparse.ArgumentTypeError(f"must be {names}. Received: {text}")
        return sizes

    return integers


if __name__ == "__main__":
    sys.exit(main())
