"""`tfgen train`: a model on data."""

import json

from tfgen.cli.arguments import Parser, seed
from tfgen.cli.data import add_data_settings, data_changes, settings_of, text_hint
from tfgen.cli.screen import show
from tfgen.errors import InputError
from tfgen.names import normalise
from tfgen.recipe import fields_help
from tfgen.startup import import_tensorflow
from tfgen.zoo.usage import command_for


def parser():
    fields = fields_help()
    width = max(len(field.key) for field in fields)
    lines = [
        f"  {field.key:<{width}}  {field.help} [{field.type}; {_readable_default(field.default)}]"
        for field in fields
    ]
    parser = Parser(
        "train",
        run,
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


def run(arguments):
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
    from tfgen.models.families import FAMILIES
    from tfgen.training import choose, train

    with text_hint():
        if not arguments.resume and start is None and normalise(arguments.target) in FAMILIES:
            recipe, sentence = choose(recipe, settings_of(arguments))
            if sentence is not None:
                show(sentence)
        final = train(
            recipe,
            logdir,
            resume=arguments.resume,
            start=start,
            strategy=arguments.strategy,
        )
    show(f"The model is in {final}. To use it: {command_for(recipe, logdir, arguments.everywhere)}")


def _readable_default(default):
    if isinstance(default, tuple):
        default = list(default)
    return "none" if default is None else json.dumps(default)
