"""`tfgen average`: several trained models as one."""

from pathlib import Path

from tfgen.cli.arguments import Parser
from tfgen.cli.models import NAME_HELP, find_model, open_model
from tfgen.cli.screen import show
from tfgen.errors import InputError


def parser():
    parser = Parser(
        "average",
        run,
        "Makes one model of several that were trained alike.\n\n"
        "With --data, their weights are averaged if the loss of that on what is held out is no\n"
        "worse than theirs, as of snapshots of one run or of models fine-tuned from one. Else,\n"
        "and without --data, the model is their mixture: each sample is of one of them, and a\n"
        "score is the log of their mean likelihood.",
    )
    parser.add_argument("names", metavar="RUN", nargs="+", help=NAME_HELP)
    parser.add_argument(
        "--data", help="what they were trained on: a path, or a built-in set's name"
    )
    parser.add_argument("--out", metavar="FOLDER", required=True, help="folder to write, new")
    return parser


def run(arguments):
    """Averages models and writes the one that they become."""
    for number, name in enumerate(arguments.names):
        if name in arguments.names[:number]:
            raise InputError(f"average takes each model once. Received: {name} {name}")
        find_model(name)
    if Path(arguments.out).exists():
        raise InputError(f"{arguments.out} is there already. Received: --out {arguments.out}")
    members = [open_model(name) for name in arguments.names]
    from tfgen.training import average

    model = average(members, arguments.data, names=arguments.names, say=show)
    model.save(arguments.out)
    show(f"Wrote {arguments.out}")
