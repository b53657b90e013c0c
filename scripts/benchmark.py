#!/usr/bin/env python
"""Measures tfgen beside its peers, in turns on one machine.

    python scripts/benchmark.py        # all but trainer, precision, reach and forecast; an hour
    python scripts/benchmark.py train --model lstm
    python scripts/benchmark.py train generate --model transformer --nanogpt nanoGPT
    python scripts/benchmark.py reach --text input.txt --nanogpt nanoGPT
    python scripts/benchmark.py start --entry runs/mine --out start.json
    python scripts/benchmark.py forecast --entry gru-weather
    python scripts/benchmark.py trainer          # half an hour on 2 cores
    python scripts/benchmark.py precision

train     tokens/s of training: tfgen and its peers, and the share of the matrix peak
trainer   ms of a step alone, in the Trainer, and with all that TensorBoard is told
precision steps/s of training entries of the zoo in float32, bfloat16 and float16
generate  characters/s of generating, for one text and for many, and the share of the bandwidth
draft     characters/s of one text by the transformer of the zoo, which its LSTM drafts
rollout   steps/s of drawing sequences of numbers, for one and for many
unet      steps/s of training a diffusion model, and sequences/s of drawing by it
forecast  mean CRPS of forecasts of what was held out; trains a peer, which takes minutes
first     seconds from `import tensorflow` to the first token of a new transformer
start     seconds until `tfgen generate` shows text, and until `tfgen list` answers
reach     seconds of training to nanoGPT's validation loss; a round takes minutes
peak      float32 matrix product and read bandwidth of the machine

The peers of lstm and gru are PyTorch and Keras; of the transformer nanoGPT, from a checkout of
https://github.com/karpathy/nanoGPT, and Hugging Face's transformers; of forecasts the naive one
and the DeepAR of GluonTS, which `pip install gluonts[torch]` brings: it wants other versions than
tfgen has, so start the script in an environment with both; of diffusion models lucidrains' Unet1D,
by `pip install denoising-diffusion-pytorch`, and diffusers, each with as many weights.

Every contestant has a process of its own. They take turns, A B C A B C ..., and the ratio of two is
the median of the ratios of the rounds. The peers come with `pip install .[benchmark]`; one that is
not installed is left out. How well a model predicts by itself is told by `tfgen evaluate`.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from benchmarks import (
    figures,
    figures_precision,
    figures_series,
    figures_trainer,
    figures_transformer,
    figures_unet,
)
from benchmarks.contest import Effort
from benchmarks.machine import machine, machine_lines
from benchmarks.reach import Text
from benchmarks.sizes import (
    GATES,
    TIMESTEPS,
    DiffusionSizes,
    SeriesSizes,
    Sizes,
    TransformerSizes,
)
from benchmarks.tables import table

from tfgen import zoo
from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file

SECTIONS = (
    "train", "trainer", "precision", "generate", "draft", "rollout", "unet", "forecast", "first",
    "start", "reach",
    "peak",
)  # fmt: skip
LONG = ("trainer", "precision", "reach", "forecast")  # only when they are asked for
TRANSFORMER = "transformer"
MODELS = (*GATES, TRANSFORMER)
# nanoGPT's recipe for CPUs, and its model of tiny-shakespeare.
SHAPES = [(4, 4, 128, 64, 12), (6, 6, 384, 256, 16)]
SHAPE = "LAYERSxHEADSxWIDTHxCONTEXTxBATCH"
TOKENS = {"lstm": 512, "gru": 512, TRANSFORMER: 240}
NUMBERS_SHAPE = "LAYERSxUNITSxFEATURESxCOMPONENTS"
STEPS = {"rollout": 512, "unet": 50}
ROWS = {"rollout": 64, "unet": 16}
ENTRY = "lstm-shakespeare"
FORECASTER = "gru-weather"
DRAFTING = "transformer-shakespeare", ENTRY
ENOUGH_REPEATS = 5


def main(argv=None):
    """Runs the script; returns its exit code."""
    try:
        arguments = _parse(argv)
        _measure(arguments)
    except InputError as error:
        print("benchmark.py: error: " + " ".join(str(error).splitlines()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmark.py: interrupted", file=sys.stderr)
        return 130
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError(f"{message} (see benchmark.py --help)")


def _parse(argv):
    parser = _Parser(
        prog="benchmark.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "sections",
        metavar="SECTION",
        nargs="*",
        help=f"of {', '.join(SECTIONS)}; default: all but {', '.join(LONG)}",
    )
    add("--model", nargs="+", default=list(MODELS), help=f"of {', '.join(MODELS)} (default: all)")
    add(
        "--batch",
        type=_at_least(2),
        default=32,
        help="texts, windows of lstm and gru, and sequences that unet trains on (32)",
    )
    add("--tokens", type=_at_least(1), help="tokens of a generation (512; transformer: 240)")
    add("--repeats", type=_at_least(1), default=ENOUGH_REPEATS, help="rounds (default: 5)")
    add("--seconds", type=float, default=3.0, help="least length of a measurement (default: 3)")
    add("--out", metavar="FILE", help="also write the figures as JSON")
    add(
        "--entry",
        help=f"a name or a run: what `start` generates with (default: {ENTRY}), and what "
        f"`forecast` takes ({FORECASTER})",
    )

    add = parser.add_argument_group("lstm and gru").add_argument
    add("--units", type=_at_least(1), default=512, help="units of a layer (default: 512)")
    add("--layers", type=_at_least(1), default=2, help="layers (default: 2)")
    add(
        "--embedding",
        type=_at_least(1),
        nargs="+",
        help="widths of the embedding, each trained; the first one generates (default: units, "
        "as PyTorch's language model example has it, and 128)",
    )
    add("--window", type=_at_least(1), default=128, help="tokens of a window (default: 128)")

    add = parser.add_argument_group("transformer").add_argument
    add(
        "--transformer",
        type=_shape,
        nargs="+",
        default=SHAPES,
        metavar=SHAPE,
        help="each is trained; the last one generates "
        f"(default: {' '.join('x'.join(map(str, shape)) for shape in SHAPES)})",
    )
    add(
        "--dtype",
        default="float32",
        help="float32 (default), or bfloat16 to train in mixed precision",
    )
    add("--nanogpt", metavar="PATH", help="a checkout of nanoGPT")

    add = parser.add_argument_group("trainer").add_argument
    families = figures_trainer.FAMILIES
    add("--families", nargs="+", default=list(families), help=f"of {', '.join(families)} (all)")

    add = parser.add_argument_group("precision").add_argument
    entries = figures_precision.ENTRIES
    add("--entries", nargs="+", default=list(entries), help=f"default: {', '.join(entries)}")

    add = parser.add_argument_group("reach").add_argument
    add(
        "--text", metavar="FILE", help="tiny-shakespeare's input.txt; its first 90%% are trained on"
    )
    add("--target", type=float, default=1.88, help="validation loss to reach (default: 1.88)")
    add("--eval-batches", type=_at_least(1), default=20, help="batches of a validation (20)")
    add("--reach-repeats", type=_at_least(1), default=1, help="rounds (default: 1)")

    add = parser.add_argument_group("rollout").add_argument
    add(
        "--numbers",
        type=_numbers,
        nargs="+",
        default=[(2, 128, 8, 10)],
        metavar=NUMBERS_SHAPE,
        help="the models, of each cell (default: 2x128x8x10)",
    )
    add("--covariance", default="diagonal", help="diagonal (default) or full, of the Gaussians")

    add = parser.add_argument_group("rollout and unet").add_argument
    add(
        "--steps",
        type=_at_least(1),
        help="of rollout: positions of a sequence (512); of unet: of drawing by DDIM (50)",
    )
    add(
        "--rows",
        type=_at_least(2),
        help="sequences side by side (rollout: 64, besides one; unet: 16)",
    )

    add = parser.add_argument_group("unet").add_argument
    add(
        "--width",
        type=_at_least(8, unit=8),
        default=32,
        help="channels at the top of tfgen's; the peers' follow from its weights (default: 32)",
    )
    # The peers take whole pairs of positions alone, at each of three halvings.
    add(
        "--length",
        type=_at_least(8, unit=8),
        default=128,
        help="positions of a sequence (default: 128)",
    )
    add(
        "--no-attention",
        action="store_true",
        help="tfgen's without attention, beside diffusers, which has none",
    )

    add = parser.add_argument_group("forecast").add_argument
    add("--context", type=_at_least(1), default=168, help="positions before an origin (168)")
    add("--horizon", type=_at_least(1), default=24, help="positions to forecast (24)")
    add("--samples", type=_at_least(2), default=100, help="samples of a forecast (100)")
    add("--epochs", type=_at_least(1), default=100, help="epochs of the peer's training (100)")
    add("--seeds", type=_at_least(1), default=1, help="trainings of the peer (default: 1)")

    add = parser.add_argument_group("the machine").add_argument
    add("--matrix", type=_at_least(1), default=4096, help="size of the matrix product (4096)")
    add("--array-mib", type=_at_least(1), default=1024, help="size of the array read (1024)")
    arguments = parser.parse_args(argv)

    arguments.sections = arguments.sections or [name for name in SECTIONS if name not in LONG]
    if arguments.embedding is None:
        arguments.embedding = list(dict.fromkeys([arguments.units, 128]))
    _check(arguments)
    return arguments


def _check(arguments):
    for kind, names, known in (
        ("section", arguments.sections, SECTIONS),
        ("model", arguments.model, MODELS),
        ("family", arguments.families, figures_trainer.FAMILIES),
        ("entry", arguments.entries, zoo.list_models(pretrained=True)),
        ("dtype", [arguments.dtype], ("float32", "bfloat16")),
        ("covariance", [arguments.covariance], ("diagonal", "full")),
    ):
        for name in names:
            if name not in known:
                raise unknown(kind, name, known)
    if not 0 <= arguments.seconds < float("inf"):
        raise InputError(f"--seconds must be >= 0. Received: --seconds {arguments.seconds}")
    if not 0 < arguments.target < float("inf"):
        raise InputError(f"--target must be > 0. Received: --target {arguments.target}")
    if arguments.out and Path(arguments.out).is_dir():
        raise InputError(f"--out: {arguments.out} is a folder")
    if arguments.nanogpt and not (Path(arguments.nanogpt) / "model.py").is_file():
        raise InputError(f"--nanogpt: {arguments.nanogpt} holds no model.py of nanoGPT")
    sections = arguments.sections
    if "start" in sections:
        item = zoo.find(arguments.entry or ENTRY)
        if not getattr(item, "pretrained", False):
            raise InputError(f"'{item.name}' has no weights: choose another --entry")
    if "forecast" in sections:
        # Opened here, so that a mistake is told at once; not a setting.
        _forecast_task(arguments)
    if "unet" in sections and _steps(arguments, "unet") >= TIMESTEPS:
        raise InputError(
            f"unet draws in fewer than {TIMESTEPS} steps. Received: --steps {arguments.steps}"
        )
    if "reach" in sections:
        if not arguments.text:
            raise InputError("reach needs a text: --text FILE")
        Text(arguments.text)
    recurrent = [model for model in arguments.model if model in GATES]
    if arguments.dtype != "float32" and "train" in sections and recurrent:
        raise InputError(f"--dtype is for --model {TRANSFORMER}. Received: --model {recurrent[0]}")
    if "generate" in sections and TRANSFORMER in arguments.model:
        sizes = _transformer(arguments, arguments.transformer[-1])
        if sizes.prompt + sizes.tokens > sizes.window:
            raise InputError(
                f"A prompt of {sizes.prompt} and --tokens {sizes.tokens} do not fit into the "
                f"transformer's context. Received: --transformer {arguments.transformer[-1]}"
            )


def _transformer(arguments, shape, **changes):
    names = ("layers", "heads", "width", "window", "batch")
    tokens = arguments.tokens or TOKENS[TRANSFORMER]
    return TransformerSizes(**{**dict(zip(names, shape, strict=True)), "tokens": tokens, **changes})


def _steps(arguments, section):
    return arguments.steps or STEPS[section]


def _rows(arguments, section):
    return arguments.rows or ROWS[section]


def _forecast_task(arguments):
    entry = arguments.entry or FORECASTER
    return figures_series.entry_task(entry, arguments.context, arguments.horizon)


def _numbers(text):
    """`NUMBERS_SHAPE` as a tuple of numbers."""
    try:
        shape = tuple(map(int, text.split("x")))
        if len(shape) != 4 or min(shape) < 1:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {NUMBERS_SHAPE}. Received: {text}") from None
    return shape


def _shape(text):
    """`SHAPE` as a tuple of numbers."""
    try:
        shape = tuple(map(int, text.split("x")))
        _, heads, width, _, _ = shape
        if min(shape) < 1 or width % heads:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be {SHAPE}, width a multiple of heads. Received: {text}"
        ) from None
    return shape


def _at_least(smallest, unit=1):
    wanted = f"an integer >= {smallest}" if unit == 1 else f"a multiple of {unit}"

    def whole_number(text):
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < smallest or number % unit:
            raise argparse.ArgumentTypeError(f"must be {wanted}. Received: {text}")
        return number

    return whole_number


def _measure(arguments):
    results = {"machine": machine(), "settings": vars(arguments), "figures": []}
    print("\n".join(machine_lines(results["machine"])), flush=True)
    if arguments.repeats < ENOUGH_REPEATS:
        print(f"{arguments.repeats} rounds are a trial: figures need {ENOUGH_REPEATS} or more.")
    for figure in _figures(arguments):
        results["figures"].append(figure)
        print("\n" + "\n".join(table(figure)), flush=True)
        if arguments.out:  # after every figure, so that an interruption costs one
            with atomic_file(arguments.out) as temporary:
                temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _figures(arguments):
    """Yields each figure when it has been measured."""
    names = ("repeats", "seconds", "matrix", "array_mib")
    effort = Effort(**{name: getattr(arguments, name) for name in names})
    sections = arguments.sections
    if "peak" in sections:
        yield from figures.peaks(effort)
    if "start" in sections:
        yield from figures.start(arguments.entry or ENTRY, effort)
    if "first" in sections:
        yield figures_transformer.first_token(
            _transformer(arguments, arguments.transformer[-1]), effort
        )
    if "draft" in sections:
        tokens = arguments.tokens or TOKENS[TRANSFORMER]
        yield figures_transformer.drafting(*DRAFTING, tokens, effort)
    if "trainer" in sections:
        for family in arguments.families:
            yield figures_trainer.overhead(family, effort)
    if "precision" in sections:
        for entry in arguments.entries:
            yield figures_precision.training(entry, effort)
    for model in arguments.model:
        measured = _transformer_figures if model == TRANSFORMER else _recurrent_figures
        yield from measured(model, arguments, effort)
    if "unet" in sections:
        sizes = DiffusionSizes(
            arguments.width,
            length=arguments.length,
            batch=arguments.batch,
            attention=not arguments.no_attention,
        )
        yield figures_unet.training(sizes, effort)
        rows, steps = _rows(arguments, "unet"), _steps(arguments, "unet")
        yield figures_unet.sampling(dataclasses.replace(sizes, batch=rows, steps=steps), effort)
    if "forecast" in sections:
        yield figures_series.forecast(
            arguments.entry or FORECASTER,
            _forecast_task(arguments),
            arguments.samples,
            arguments.epochs,
            arguments.seeds,
        )
    if "reach" in sections:
        yield figures_transformer.reach(
            arguments.text,
            arguments.nanogpt,
            arguments.target,
            arguments.eval_batches,
            arguments.reach_repeats,
        )


def _recurrent_figures(cell, arguments, effort):
    common = {name: getattr(arguments, name) for name in ("units", "layers", "window")}
    common["tokens"] = arguments.tokens or TOKENS[cell]
    if "train" in arguments.sections:
        for embedding in arguments.embedding:
            sizes = Sizes(cell, embedding=embedding, batch=arguments.batch, **common)
            yield figures.training(sizes, effort)
    if "generate" in arguments.sections:
        for batch in (1, arguments.batch):
            sizes = Sizes(cell, embedding=arguments.embedding[0], batch=batch, **common)
            yield figures.generation(sizes, effort)
    if "rollout" in arguments.sections:
        names = ("layers", "units", "features", "components")
        for shape in arguments.numbers:
            for batch in (1, _rows(arguments, "rollout")):
                sizes = SeriesSizes(
                    cell,
                    **dict(zip(names, shape, strict=True)),
                    covariance=arguments.covariance,
                    batch=batch,
                    steps=_steps(arguments, "rollout"),
                )
                yield figures_series.rollout(sizes, effort)


def _transformer_figures(model, arguments, effort):
    checkout = arguments.nanogpt
    if "train" in arguments.sections:
        for shape in arguments.transformer:
            sizes = _transformer(arguments, shape, dtype=arguments.dtype)
            yield figures_transformer.training(sizes, checkout, effort)
    if "generate" in arguments.sections:
        for batch in (1, arguments.batch):
            sizes = _transformer(arguments, arguments.transformer[-1], batch=batch)
            yield figures_transformer.generation(sizes, checkout, effort)


if __name__ == "__main__":
    sys.exit(main())
