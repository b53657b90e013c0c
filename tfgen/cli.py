"""The `tfgen` command: parses, calls the library, prints.

A person's mistake is answered with one line on stderr and exit code 2. TensorFlow is imported only
by the verbs that compute, inside them, so that `tfgen --help` and `tfgen list` answer at once.
"""

import contextlib
import importlib
import json
import os
import sys
from pathlib import Path

import tfgen
from tfgen import zoo
from tfgen.arguments import Parser, global_options, parse
from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file
from tfgen.names import normalise
from tfgen.recipe import GenerationConfig, fields_help
from tfgen.startup import import_tensorflow
from tfgen.zoo.folders import as_argument

# Exit codes: a person's mistake as in argparse; Ctrl-C and a closed pipe as shells count signals.
MISTAKE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


def main(argv=None):
    """Runs the command line.

    Args:
        argv: The arguments after the program's name; None takes the process's own.

    Returns:
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character shows "?"
            stream.reconfigure(errors="replace")
    try:
        _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:  # `tfgen list | head`
        # Python flushes once more at exit, which must not complain.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except InputError as error:
        return _complain(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        print("tfgen: interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as stop:  # argparse, after --help
        return stop.code or 0
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
    if modules:
        import_tensorflow()
    for module in modules:
        _import(module)
    for folder in folders:
        zoo.add_entries(folder)
    arguments.call(arguments)


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
    print("tfgen: error: " + " ".join(message.splitlines()), file=sys.stderr)
    return MISTAKE


# list, info, inspect


def _list_parser():
    parser = Parser("list", _list, "Lists the names of the zoo.")
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", default="*", help="e.g. 'lstm-*'")
    parser.add_argument("--kind", help=f"only one kind: {', '.join(zoo.KINDS)}")
    parser.add_argument("--pretrained", action="store_true", help="only what comes with weights")
    return parser


def _list(arguments):
    names = zoo.list_models(
        arguments.pattern, kind=arguments.kind, pretrained=arguments.pretrained or None
    )
    if not names and set(arguments.pattern) & set("*?["):
        raise InputError(f"No name matches '{arguments.pattern}'; tfgen list shows all")
    if not names:
        raise unknown("name", arguments.pattern, zoo.list_models())
    items = [zoo.find(name) for name in names]
    width = max(len(name) for name in names)
    for item in items:
        print(f"{item.name:<{width}}  {item.kind:<6}  {item.summary}".rstrip())


def _info_parser():
    parser = Parser("info", _info, "Tells what a name of the zoo, or a run's folder, is.")
    parser.add_argument("name", metavar="NAME", help=_NAME_HELP)
    return parser


def _info(arguments):
    zoo.find(arguments.name)  # a wrong name is told at once
    import_tensorflow()
    print(zoo.describe(arguments.name))


def _inspect_parser():
    parser = Parser("inspect", _inspect, "Tells what tfgen reads from data, and what it drops.")
    parser.add_argument("path", metavar="PATH", help="a file, a folder, or a built-in set's name")
    parser.add_argument("--column", help="the column of a CSV file, or the key of a JSONL file")
    return parser


def _inspect(arguments):
    from tfgen.data import inspect_text

    print(inspect_text(arguments.path, column=arguments.column))


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
    parser.add_argument("--data", help="a path, or a built-in set's name (data.name)")
    parser.add_argument("--column", help="the column or key to read (data.column)")
    parser.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="changes a field of the recipe; may be repeated",
    )
    parser.add_argument("--seed", type=int, help="the seed (training.seed)")
    parser.add_argument("--logdir", help="the run's own folder (default: runs/NAME)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --logdir")
    return parser


def _train(arguments):
    from tfgen.zoo.runs import new_run, resumed_run

    changes = {}
    for setting in arguments.set:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set takes SECTION.KEY=VALUE. Received: --set {setting}")
        changes[key.strip()] = value
    if arguments.data is not None:
        # A column belongs to its data, so the recipe's own goes with the recipe's data.
        changes |= {"data.name": _quoted(arguments.data), "data.column": None}
    if arguments.column is not None:
        changes["data.column"] = _quoted(arguments.column)
    if arguments.seed is not None:
        changes["training.seed"] = arguments.seed

    if arguments.resume:
        recipe, logdir = resumed_run(arguments.logdir, arguments.target, changes)
    else:
        recipe, logdir = new_run(arguments.target, arguments.logdir, changes)
    import_tensorflow()
    from tfgen.training import train

    final = train(recipe, logdir, resume=arguments.resume)
    print(f"The model is in {final}. To use it: tfgen generate {as_argument(logdir)} PROMPT")


# generate


def _generate_parser():
    fields = GenerationConfig.__dataclass_fields__
    parser = Parser("generate", _generate, "Continues prompts with a model.")
    parser.add_argument("name", metavar="NAME", help=_NAME_HELP)
    parser.add_argument("prompts", metavar="PROMPT", nargs="*", help="default: one empty prompt")
    for name, kind in _SAMPLING.items():
        parser.add_argument(f"--{normalise(name)}", type=kind, help=fields[name].metadata["help"])
    parser.add_argument(
        "--stop",
        action="append",
        help="a string that ends the text; may be repeated ($'\\n' is a newline in bash)",
    )
    parser.add_argument("--seed", type=int, help="the same seed gives the same text")
    parser.add_argument("--num-samples", type=int, default=1, help="texts for each prompt")
    parser.add_argument("--strip-prompt", action="store_true", help="leave the prompt out")
    parser.add_argument("--stream", action="store_true", help="print the text as it comes")
    parser.add_argument("--beams", type=int, help="look for the likeliest text: beam search")
    parser.add_argument(
        "--length-penalty", type=float, help="with --beams: above 0 favours long texts (1)"
    )
    parser.add_argument(
        "--contrastive",
        metavar="ALPHA",
        type=float,
        help="contrastive search, 0 to 1: among --top-k likely tokens (4) avoid what repeats",
    )
    parser.add_argument("--draft", metavar="NAME", help="a smaller model that guesses ahead")
    parser.add_argument("--draft-tokens", type=int, help="with --draft: tokens guessed at once (4)")
    _add_dtype(parser)
    parser.add_argument("--condition", type=int, help="the class to generate")
    parser.add_argument(
        "--guidance-scale", type=float, help="with --condition: above 1 keeps closer to the class"
    )
    parser.add_argument("--out", metavar="FILE", help="write to a file; .jsonl: one object a line")
    return parser


_SAMPLING = {
    "max_new_tokens": int,
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "min_p": float,
    "repetition_penalty": float,
}


def _generate(arguments):
    options = {name: getattr(arguments, name) for name in (*_SAMPLING, "stop")}
    options = {name: value for name, value in options.items() if value is not None}
    GenerationConfig(**options)  # a value out of range is told before the model is loaded
    if arguments.num_samples < 1:
        raise InputError(f"--num-samples must be >= 1. Received: {arguments.num_samples}")
    prompts = [_unicode(prompt) for prompt in arguments.prompts] or [""]
    if arguments.stream and (len(prompts) > 1 or arguments.num_samples > 1 or arguments.out):
        raise InputError("--stream is for one prompt, one sample, and no --out")
    options |= {"seed": arguments.seed, "strip_prompt": arguments.strip_prompt}
    if arguments.condition is not None:
        options["condition"] = arguments.condition
    if arguments.guidance_scale is not None:
        options["guidance_scale"] = arguments.guidance_scale
    kind = _search_kind(arguments)

    model = _model(arguments.name, arguments.dtype)
    search = _search(kind, arguments) if kind else None
    if kind:
        options["search"] = search
    if arguments.stream:
        for piece in model.stream(prompts[0], **options):
            print(piece, end="", flush=True)
        print()
        return
    texts = model.generate(prompts, num_samples=arguments.num_samples, **options)
    samples = [[text] if isinstance(text, str) else list(text) for text in texts]
    if kind == "draft":
        told = search.statistics
        print(
            f"{told['accepted']} of {told['proposed']} guesses accepted "
            f"({told['acceptance']:.0%}): {told['tokens_per_pass']:.2f} tokens for each pass of "
            f"{arguments.name}",
            file=sys.stderr,
        )
    if arguments.out is None:
        print(_as_text(samples))
        return
    lines = arguments.out.lower().endswith(".jsonl")
    with atomic_file(arguments.out) as temporary:
        content = _as_json_lines(prompts, samples) if lines else _as_text(samples) + "\n"
        Path(temporary).write_text(content, "utf-8")
    print(f"Wrote {arguments.out}")


def _search_kind(arguments):
    """Which search the options ask for, or None."""
    kinds = {"beams": ["length_penalty"], "contrastive": [], "draft": ["draft_tokens"]}
    chosen = [name for name in kinds if getattr(arguments, name) is not None]
    if len(chosen) > 1:
        raise InputError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    for name, details in kinds.items():
        for detail in details:
            if getattr(arguments, detail) is not None and name not in chosen:
                raise InputError(f"--{detail.replace('_', '-')} goes with --{name}")
    if chosen and arguments.stream:
        raise InputError(f"--stream draws token by token: leave --{chosen[0]} out")
    return chosen[0] if chosen else None


def _search(kind, arguments):
    from tfgen.sampling.search import BeamSearch, ContrastiveSearch, Speculative

    if kind == "beams":
        penalty = arguments.length_penalty
        return BeamSearch(arguments.beams, 1.0 if penalty is None else penalty)
    if kind == "contrastive":
        return ContrastiveSearch(arguments.top_k or 4, arguments.contrastive)
    return Speculative(_model(arguments.draft), arguments.draft_tokens or 4)


def _as_text(samples):
    """Returns texts one below the other; more than one are told apart by a line above each."""
    if len(samples) == 1 and len(samples[0]) == 1:
        return samples[0][0]
    blocks = []
    for row, texts in enumerate(samples, start=1):
        for number, text in enumerate(texts, start=1):
            sample = f", sample {number}" if len(texts) > 1 else ""
            blocks.append(f"--- prompt {row}{sample} ---\n{text}")
    return "\n".join(blocks)


def _as_json_lines(prompts, samples):
    return "".join(
        json.dumps({"prompt": prompt, "sample": number, "text": text}, ensure_ascii=False) + "\n"
        for prompt, texts in zip(prompts, samples, strict=True)
        for number, text in enumerate(texts, start=1)
    )


# evaluate, export


def _evaluate_parser():
    parser = Parser("evaluate", _evaluate, "Measures how well a model predicts data.")
    parser.add_argument("name", metavar="NAME", help=_NAME_HELP)
    parser.add_argument("--data", required=True, help="a path, or a built-in set's name")
    parser.add_argument("--column", help="the column of a CSV file, or the key of a JSONL file")
    parser.add_argument(
        "--split",
        choices=("train", "validation", "all"),
        help="default: validation for a built-in set and the model's own data, all of other data",
    )
    _add_dtype(parser)
    parser.add_argument("--window", type=int, help="tokens in a random crop (256)")
    parser.add_argument("--crops", type=int, help="number of random crops (1024)")
    parser.add_argument("--seed", type=int, help="chooses the crops (0)")
    parser.add_argument("--out", metavar="FILE", help="also write the results as JSON")
    return parser


_CROPS = ("split", "window", "crops", "seed")


def _evaluate(arguments):
    for name in ("window", "crops"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} must be >= 1. Received: {value}")
    if arguments.seed is not None and arguments.seed < 0:
        raise InputError(f"--seed must be >= 0. Received: {arguments.seed}")
    model = _model(arguments.name, arguments.dtype)
    from tfgen.evaluation import evaluate
    from tfgen.zoo.description import readable

    options = {name: getattr(arguments, name) for name in ("column", *_CROPS)}
    options = {name: value for name, value in options.items() if value is not None}
    results = evaluate(model, arguments.data, **options)
    width = max(len(key) for key in results)
    for key, value in results.items():
        print(f"{key.replace('_', ' '):<{width}}  {readable(value)}")
    if arguments.out:
        with atomic_file(arguments.out) as temporary:
            Path(temporary).write_text(json.dumps(results, indent=2) + "\n", "utf-8")


def _export_parser():
    parser = Parser("export", _export, "Writes a SavedModel that needs only TensorFlow.")
    parser.add_argument("name", metavar="NAME", help=_NAME_HELP)
    parser.add_argument("folder", metavar="DIR", help="the model is written to DIR/1")
    return parser


def _export(arguments):
    folder = Path(arguments.folder) / "1"
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder}: there is something already; choose another folder")
    _model(arguments.name).export(folder)
    print(f"Wrote {folder}. To call it:\n\n{_CALL.format(folder=str(folder))}")


_CALL = """\
    import tensorflow as tf

    served = tf.saved_model.load({folder!r})
    outputs = served.signatures["serving_default"](prompts=tf.constant(["Once"]))
    print(outputs["texts"][0].numpy().decode())"""


# Common parts

_NAME_HELP = "a name of the zoo, or the path of a run (./mine, runs/mine)"


def _add_dtype(parser):
    parser.add_argument(
        "--dtype", choices=("float32", "int8"), help="int8 rounds a transformer's weights"
    )


def _model(name, dtype=None):
    """Returns the model of an entry or a run, with its weights."""
    item = zoo.find(name)
    if item.kind != "entry":
        examples = ", ".join(zoo.list_models(pretrained=True)) or "there is none yet"
        raise InputError(
            f"'{item.name}' is a {item.kind} and has no weights: train it, or take a model that "
            f"has them ({examples})"
        )
    import_tensorflow()
    return zoo.get(name, **({} if dtype is None else {"dtype": dtype}))


def _quoted(text):
    """Returns a text as a TOML string, so that `--data none` is data called none."""
    return json.dumps(_unicode(text), ensure_ascii=False)


def _unicode(text):
    """Returns an argument with bytes that are no UTF-8 as U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _readable_default(default):
    if isinstance(default, tuple):
        default = list(default)
    return "none" if default is None else json.dumps(default)


VERBS = {
    "list": _list_parser,
    "info": _info_parser,
    "inspect": _inspect_parser,
    "train": _train_parser,
    "generate": _generate_parser,
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
