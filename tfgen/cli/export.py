"""`tfgen export`: a SavedModel that needs only TensorFlow."""

from pathlib import Path

from tfgen.cli.arguments import Parser, numbers_of
from tfgen.cli.models import NAME_HELP, open_model
from tfgen.cli.screen import show, waiting
from tfgen.errors import InputError
from tfgen.values import whole_number
from tfgen.zoo.usage import served_calls


def parser():
    parser = Parser("export", run, "Writes a SavedModel that needs only TensorFlow.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    parser.add_argument("folder", metavar="DIR", help="the model is written to DIR/1")
    parser.add_argument(
        "--warm", metavar="ROWS",
        help="prompts or samples, e.g. 1,16, that TensorFlow Serving compiles for before it serves",
    )  # fmt: skip
    return parser


def run(arguments):
    folder = Path(arguments.folder) / "1"
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder}: there is something already; choose another folder")
    warm = [] if arguments.warm is None else numbers_of("--warm", arguments.warm)
    warm = [whole_number("--warm", int(each) if each % 1 == 0 else each, 1) for each in warm]
    model = open_model(arguments.name)
    with waiting(f"writing {folder}"):
        model.export(folder, warm=warm)
    # Not indented, so that it can be pasted.
    show(f"Wrote {folder}. To call it:\n\n{served_calls(folder, model)}")
