"""`tfgen evaluate`: how well a model predicts data."""

from tfgen.cli import evaluate_numbers, evaluate_text
from tfgen.cli.arguments import Parser, seed
from tfgen.cli.models import NAME_HELP, add_dtype, find_model, way_of
from tfgen.errors import InputError

WAYS = {"text": evaluate_text, "numbers": evaluate_numbers}


def parser():
    parser = Parser("evaluate", run, "Measures how well a model predicts data.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    parser.add_argument("--data", required=True, help="a path, or a built-in set's name")
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test", "all"),
        help="default: test, the half of validation on which no weights were chosen, if there is "
        "one, else validation; for text that is neither built in nor the model's own, all",
    )
    parser.add_argument("--seed", type=seed, help="seed of the random numbers (0)")
    parser.add_argument(
        "--out", metavar="FILE", help="also write the results: .json; of numbers, .html as well"
    )
    add_dtype(parser)
    for way in WAYS.values():
        way.add_options(parser)
    return parser


def run(arguments):
    """Measures a model on data, and prints and writes what was found."""
    if arguments.seed is not None and arguments.seed < 0:
        raise InputError(f"--seed must be >= 0. Received: --seed {arguments.seed}")
    way_of(find_model(arguments.name).data_kind, WAYS, arguments).run(arguments)
