"""The `tfgen` command: parses, calls the library, prints.

A person's mistake is answered with one line on stderr and exit code 2. TensorFlow is imported only
by the verbs that compute, inside them, so that `tfgen --help` and `tfgen list` answer at once.
"""

import contextlib
import importlib
import json
import os
import re
import signal
import sys
from pathlib import Path

import tfgen
from tfgen import cli_forecast, cli_numbers, cli_text, cli_tune, zoo
from tfgen.arguments import Parser, global_options, integer, parse, seed
from tfgen.cli_common import (
    NAME_HELP,
    add_data_settings,
    add_dtype,
    data_changes,
    data_config,
    find_model,
    open_model,
    show,
    text_hint,
    waiting,
)
from tfgen.errors import InputError, Terminated, printable, unknown
from tfgen.names import normalise
from tfgen.recipe import GenerationConfig, fields_help
from tfgen.signals import ending_signals_raise
from tfgen.startup import (
    finish_output,
    import_tensorflow,
    open_standard_streams,
    told_by_tensorflow,
)
from tfgen.zoo.registry import unknown_name
from tfgen.zoo.usage import command_for, served_calls

# Exit codes: a person's mistake as in argparse; Ctrl-C and a closed pipe as shells count signals.
MISTAKE = 2
SIGNALLED = 128
INTERRUPTED = SIGNALLED + 2
BROKEN_PIPE = SIGNALLED + 13


def main(argv=None):
    """Runs the command line.

    Args:
        argv: The arguments after the program's name; None takes the process's own.

    Returns:
        The exit code.
    """
    open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character shows "?"
            stream.reconfigure(errors="replace")
    try:
        with ending_signals_raise():
            return _outcome(list(sys.argv[1:] if argv is None else argv))
    finally:
        finish_output()


def _outcome(argv):
    """Runs the command line and returns the exit code."""
    try:
        _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:  # `tfgen list | head`
        return BROKEN_PIPE
    except InputError as error:
        return _complain(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}")
    except MemoryError as error:
        return _complain(f"there is not enough memory: {error}".rstrip(": "))
    except Terminated as error:
        _print_error(f"tfgen: ended by {signal.Signals(error.number).name}")
        return SIGNALLED + error.number
    except KeyboardInterrupt:
        _print_error("tfgen: interrupted")
        return INTERRUPTED
    except SystemExit as stop:  # argparse, after --help
        return stop.code or 0
    except Exception as error:
        message = told_by_tensorflow(error)
        if message is None:
            raise
        return _complain(message)
    return 0


def _run(argv):
    """Finds the verb, reads its arguments and calls its function."""
    argv, modules, folders = global_options(argv)
    options = [word for word in argv[:1] if word.startswith("-")]
    if not argv or options in (["-h"], ["--help"]):
        print(_help(), end="")
        return
    if options == ["--version"]:
        print(f"tfgen {tfgen.__version__}")
        return
    if options:
        raise unknown("option", options[0], ["--help", "--version", "--import", "--zoo"])
    verb = normalise(argv[0])
    if verb not in VERBS:
        raise unknown("command", argv[0], VERBS)
    # A mistake in the arguments is told before anything is imported.
    arguments = parse(VERBS[verb](), argv[1:])
    _check_modules(modules)
    if modules:
        import_tensorflow()
    for module in modules:
        _import(module)
    for folder in folders:
        zoo.add_entries(folder)
    arguments.call(arguments)


def _check_modules(modules):
    for module in modules:
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", module):
            raise InputError(
                "--import takes the name of a module that is here or installed, e.g. my_models, "
                f"not a path. Received: --import {module}"
            )


def _import(module):
    """Imports a person's module, so that what it registers has a name."""
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A module that their own module misses is for them to see, with the traceback.
        if error.name is None or module.partition(".")[0] != error.name.partition(".")[0]:
            raise
        hint = " A module is named without .py." if module.endswith(".py") else ""
        raise InputError(f"--import: no module named '{module}' here or installed.{hint}") from None


def _complain(message):
    _print_error("tfgen: error: " + " ".join(printable(message).splitlines()))
    return MISTAKE


def _print_error(line):
    with contextlib.suppress(OSError):  # `tfgen ... 2>&1 | head`, or a full disk
        print(line, file=sys.stderr, flush=True)


# list, info, inspect


def _list_parser():
    parser = Parser("list", _list, "Lists the names of the zoo.")
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", default="*", help="e.g. 'lstm-*'")
    parser.add_argument("--kind", help=f"only one kind: {', '.join(zoo.KINDS)}")
    parser.add_argument("--pretrained", action="store_true", help="only what comes with weights")
    return parser


def _list(arguments):
    shown = arguments.kind is None and arguments.pattern == "*"
    names = zoo.list_models(
        arguments.pattern, kind=arguments.kind, pretrained=arguments.pretrained or None
    )
    if not names and set(arguments.pattern) & set("*?["):
        raise InputError(f"No name matches '{arguments.pattern}'; tfgen list shows all")
    if not names:
        raise unknown_name(arguments.pattern)
    # What can be used first; layers are for those who build models, and ask for them.
    items = sorted((zoo.find(name) for name in names), key=lambda item: zoo.KINDS.index(item.kind))
    listed = [item for item in items if item.kind != "layer"] if shown else items
    width = max(len(item.name) for item in listed)
    for item in listed:
        show(f"{item.name:<{width}}  {item.kind:<6}  {item.summary}".rstrip())
    if len(listed) < len(items):
        hidden = len(items) - len(listed)
        show(f"{hidden} layers: tfgen list --kind layer", file=sys.stderr)


def _info_parser():
    parser = Parser("info", _info, "Tells what a name of the zoo, or a run's folder, is.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    return parser


def _info(arguments):
    zoo.find(arguments.name)  # a wrong name is told at once
    import_tensorflow()
    show(zoo.describe(arguments.name))


def _inspect_parser():
    parser = Parser("inspect", _inspect, "Tells what tfgen reads from data, and what it drops.")
    parser.add_argument("path", metavar="PATH", help="a file, a folder, or a built-in set's name")
    add_data_settings(parser)
    parser.add_argument("--out", metavar="FILE.png", help="also plot sequences of numbers")
    return parser


def _inspect(arguments):
    from tfgen.data import data_kind, inspect_text

    config = data_config(arguments, arguments.path)
    kind = data_kind(config)
    config.check_used(kind)
    if kind != "text":
        with text_hint():
            cli_numbers.inspect(config, kind, arguments.out)
        return
    if arguments.out is not None:
        raise InputError(f"--out draws sequences of numbers, and {arguments.path} is text")
    with waiting(f"reading {arguments.path}"):
        told = inspect_text(config.name, config.column, config.validation_fraction)
    show(told)


# train


def _train_parser():
    fields = fields_help()
    width = max(len(field.key) for field in fields)
    lines = [
        f"  {field.key:<{width}}  {field.help} [{field.type}; {_readable_default(field.default)}]"
        for field in fields
    ]
    parser = Parser(
        "train",
        _train,
        "Trains a model on data.\n\n"
        "It writes a run folder: the recipe, logs for TensorBoard, checkpoints and, at the end,\n"
        "final/. Every command opens the model by the run folder's path.",
        epilog="Fields for --set, with their types and defaults:\n"
        + "\n".join(lines)
        + "\n  model.*: the arguments of the family (tfgen info FAMILY)",
    )
    parser.add_argument(
        "target",
        metavar="ENTRY|FAMILY|RECIPE.toml",
        nargs="?",
        help="where the recipe comes from; the weights are new (with --resume: not needed)",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="ENTRY|RUN",
        help="fine-tune: begin with this model's weights, and with its recipe if no other is named "
        "(training.start_from)",
    )
    parser.add_argument("--data", help="a path, or a built-in set's name (data.name)")
    add_data_settings(parser)
    parser.add_argument("--seed", type=seed, help="the seed (training.seed)")
    parser.add_argument("--logdir", help="the run's own folder (default: runs/NAME)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --logdir")
    parser.add_argument(
        "--strategy",
        choices=("auto", "one", "mirrored", "multi-worker"),
        default="auto",
        help="which devices train: one, all GPUs of this machine (mirrored), or several processes "
        "that TF_CONFIG names (multi-worker); auto decides",
    )
    return parser


def _train(arguments):
    from tfgen.zoo.runs import new_run, resumed_run, start_folder

    changes = data_changes(arguments, arguments.data)
    if arguments.seed is not None:
        changes["training.seed"] = arguments.seed

    if arguments.resume:
        if arguments.start is not None:
            raise InputError(
                "--from begins a run, and --resume goes on with one: give one of the two"
            )
        recipe, logdir = resumed_run(arguments.logdir, arguments.target, changes)
    else:
        recipe, logdir = new_run(arguments.target, arguments.logdir, changes, arguments.start)
    start = start_folder(recipe, logdir)
    import_tensorflow()
    from tfgen.training import train

    with text_hint():
        final = train(
            recipe,
            logdir,
            resume=arguments.resume,
            start=start,
            strategy=arguments.strategy,
        )
    show(f"The model is in {final}. To use it: {command_for(recipe, logdir)}")


# generate, evaluate, export


def _generate_parser():
    temperature = GenerationConfig.__dataclass_fields__["temperature"].metadata["help"]
    parser = Parser("generate", _generate, "Generates with a model: text goes on from prompts.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    parser.add_argument(
        "prompts", metavar="PROMPT", nargs="*", help="of text; default: one empty prompt"
    )
    parser.add_argument("--temperature", type=float, help=temperature)
    parser.add_argument("--seed", type=seed, help="the same seed gives the same samples")
    parser.add_argument(
        "--num-samples", type=integer, default=1, help="how many; of text, for each prompt"
    )
    parser.add_argument("--condition", metavar="CLASS", help="the class to generate")
    parser.add_argument(
        "--guidance-scale", type=float, help="with --condition: above 1 keeps closer to the class"
    )
    parser.add_argument("--stream", action="store_true", help="print samples as they come")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write to a file: text, .jsonl (one object a line); numbers .csv, .npz, .png; strokes "
        ".svg; sound .wav",
    )
    add_dtype(parser)
    cli_text.add_generate_options(parser)
    cli_numbers.add_generate_options(parser)
    return parser


def _generate(arguments):
    kind = find_model(arguments.name).data_kind
    if kind == "text":
        cli_numbers.refuse_generate_options(arguments)
        cli_text.generate(arguments)
        return
    cli_text.refuse_generate_options(arguments, kind)
    cli_numbers.generate(arguments, kind)


def _evaluate_parser():
    parser = Parser("evaluate", _evaluate, "Measures how well a model predicts data.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    parser.add_argument("--data", required=True, help="a path, or a built-in set's name")
    parser.add_argument(
        "--split",
        choices=("train", "validation", "all"),
        help="default: validation; for text that is neither built in nor the model's own, all",
    )
    parser.add_argument("--seed", type=seed, help="seed of the random numbers (0)")
    parser.add_argument(
        "--out", metavar="FILE", help="also write the results: .json; of numbers, .html as well"
    )
    add_dtype(parser)
    cli_text.add_evaluate_options(parser)
    cli_numbers.add_evaluate_options(parser)
    return parser


def _evaluate(arguments):
    if arguments.seed is not None and arguments.seed < 0:
        raise InputError(f"--seed must be >= 0. Received: --seed {arguments.seed}")
    kind = find_model(arguments.name).data_kind
    if kind == "text":
        cli_numbers.refuse_evaluate_options(arguments)
        cli_text.evaluate(arguments)
        return
    cli_text.refuse_evaluate_options(arguments, kind)
    cli_numbers.evaluate(arguments)


def _export_parser():
    parser = Parser("export", _export, "Writes a SavedModel that needs only TensorFlow.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    parser.add_argument("folder", metavar="DIR", help="the model is written to DIR/1")
    return parser


def _export(arguments):
    folder = Path(arguments.folder) / "1"
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder}: there is something already; choose another folder")
    model = open_model(arguments.name)
    with waiting(f"writing {folder}"):
        model.export(folder)
    # Not indented, so that it can be pasted.
    show(f"Wrote {folder}. To call it:\n\n{served_calls(folder, model)}")


def _readable_default(default):
    if isinstance(default, tuple):
        default = list(default)
    return "none" if default is None else json.dumps(default)


VERBS = {
    "list": _list_parser,
    "info": _info_parser,
    "inspect": _inspect_parser,
    "train": _train_parser,
    "tune": cli_tune.tune_parser,
    "generate": _generate_parser,
    "forecast": cli_forecast.forecast_parser,
    "impute": cli_forecast.impute_parser,
    "evaluate": _evaluate_parser,
    "export": _export_parser,
}


def _help():
    lines = {verb: make().description.partition("\n")[0] for verb, make in VERBS.items()}
    verbs = "\n".join(f"  {verb:<9} {line}" for verb, line in lines.items())
    return f"""\
usage: tfgen COMMAND ... [--import MODULE] [--zoo PATH]

{(tfgen.__doc__ or "").strip().partition(chr(10))[0]}

commands (tfgen COMMAND --help tells more):
{verbs}

options that every command takes:
  --import MODULE  import your own module, for the families and layers that it registers
  --zoo PATH       add your own entries: a folder of them, or one
  --version        print the version
"""
