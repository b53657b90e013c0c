"""`tfgen tune`: a search for settings with a lower validation loss."""

import importlib.util
import shlex
import sys

from tfgen.cli.arguments import Parser, integer, seed
from tfgen.cli.data import add_data_settings, data_changes, text_hint
from tfgen.cli.screen import show
from tfgen.errors import InputError
from tfgen.files import home_path
from tfgen.recipe import Recipe
from tfgen.report.words import aligned
from tfgen.startup import import_tensorflow
from tfgen.zoo.usage import command_for

# Rows of the table of trials.
SHOWN = 10


def parser():
    parser = Parser(
        "tune",
        run,
        "Searches for settings with a lower validation loss.\n\n"
        "It trains one model after the other, with settings sampled from a space, and writes\n"
        "the best recipe to LOGDIR/best.toml, for `tfgen train`.",
    )
    parser.add_argument(
        "target",
        metavar="ENTRY|FAMILY|RECIPE.toml",
        nargs="?",
        help="the recipe that all trials have in common (with --resume: not needed)",
    )
    parser.add_argument(
        "--space",
        metavar="FILE.toml",
        help="the settings to search, e.g. training.learning_rate = {low = 1e-3, high = 1e-2, "
        "log = true} or model.layers = {choices = [1, 2]}; default: learning rate, width, dropout",
    )
    parser.add_argument(
        "--method",
        choices=("bayesian", "hyperband", "random"),
        help="default: bayesian; hyperband begins many short trainings and goes on with the best",
    )
    parser.add_argument(
        "--trials", type=integer, help="how many (20; of hyperband one round, which is 23)"
    )
    parser.add_argument("--data", help="a path, or a built-in set's name (data.name)")
    add_data_settings(parser)
    parser.add_argument("--seed", type=seed, help="of the search (0); a run's is training.seed")
    parser.add_argument("--logdir", help="the search's own folder (default: runs/tune-NAME)")
    parser.add_argument("--resume", action="store_true", help="go on with the search in --logdir")
    return parser


def run(arguments):
    from tfgen.zoo.runs import new_run

    for module in ("keras_tuner", "sklearn", "scipy"):
        if importlib.util.find_spec(module) is None:
            raise InputError('tfgen tune needs keras-tuner: pip install "tfgen-sequences[tune]"')
    changes = data_changes(arguments, arguments.data)
    recipe, logdir = None, arguments.logdir
    if arguments.target is not None:
        recipe, logdir = new_run(arguments.target, arguments.logdir, changes)
        if arguments.logdir is None:
            logdir = logdir.with_name(f"tune-{logdir.name}")
    if arguments.resume:
        if arguments.logdir is None:
            raise InputError("--resume needs --logdir, the folder of the search")
        if arguments.target is None and changes:
            raise InputError(
                "A resumed search goes on as it began: with --resume leave out what changes its "
                f"recipe. Received: {next(iter(changes))}"
            )
    elif recipe is None:
        raise InputError("What to tune? Name an entry, a family or a recipe.toml (tfgen list)")
    import_tensorflow()
    from tfgen.training.tuning import tune

    with text_hint():
        search = tune(
            recipe,
            home_path(logdir),
            arguments.space,
            method=arguments.method,
            trials=arguments.trials,
            seed=arguments.seed,
            resume=arguments.resume,
            say=lambda line: show(line, file=sys.stderr, flush=True),
        )
    show(_table(search))
    failed = sum(trial.loss is None for trial in search.trials)
    minutes = sum(trial.seconds for trial in search.trials) / 60
    show(f"\n{len(search.trials)} trials, {failed} of them failed; {minutes:.1f} minutes")
    folder = search.logdir / search.best.name
    best = Recipe.from_file(search.best_recipe)
    command = command_for(best, folder, arguments.everywhere)
    show(f"The best model is in {folder}. To use it: {command}")
    again = shlex.quote(str(search.best_recipe))
    again = " ".join([again, *map(shlex.quote, arguments.everywhere)])
    show(f"To train it again, or for longer: tfgen train {again}")


def _table(search):
    """The best trials, one a line."""
    finished = sorted(
        (trial for trial in search.trials if trial.loss is not None), key=lambda trial: trial.loss
    )
    keys = list(search.best.changes)
    rows = [["validation", "trial", "steps", *keys]]
    for trial in finished[:SHOWN]:
        values = [f"{trial.loss:.4f}", trial.name, trial.steps]
        rows.append([str(value) for value in [*values, *trial.changes.values()]])
    return aligned(rows)
