"""`tfgen export`: a SavedModel that needs only TensorFlow."""

from pathlib import Path

from tfgen.cli.arguments import Parser
from tfgen.cli.models import NAME_HELP, open_model
from tfgen.cli.screen import show, waiting
from tfgen.errors import InputError
from tfgen.zoo.usage import served_calls


def parser():
    parser = Parser("export", run, "Writes a SavedModel that needs only TensorFlow.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    parser.add_argument("folder", metavar="DIR", help="the model is written to DIR/1")
    return parser


def run(arguments):
    folder = Path(arguments.folder) / "1"
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder}: there is something already; choose another folder")
    model = open_model(arguments.name)
    with waiting(f"writing {folder}"):
        model.export(folder)
    # Not indented, so that it can be pasted.
    show(f"Wrote {folder}. To call it:\n\n{served_calls(folder, model)}")
