"""`tfgen info`: what a name of the zoo, or a run's folder, is."""

from tfgen import zoo
from tfgen.cli.arguments import Parser
from tfgen.cli.models import NAME_HELP
from tfgen.cli.screen import show
from tfgen.startup import import_tensorflow


def parser():
    parser = Parser("info", run, "Tells what a name of the zoo, or a run's folder, is.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    return parser


def run(arguments):
    zoo.find(arguments.name)  # a wrong name is told at once
    import_tensorflow()
    show(zoo.describe(arguments.name))
