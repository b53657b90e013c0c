"""`tfgen inspect`: what tfgen reads from data, and what it drops."""

from pathlib import Path

from tfgen.cli.arguments import Parser
from tfgen.cli.data import add_data_settings, data_config, text_hint
from tfgen.cli.screen import show, waiting
from tfgen.errors import InputError
from tfgen.kinds import find_kind


def parser():
    parser = Parser("inspect", run, "Tells what tfgen reads from data, and what it drops.")
    parser.add_argument("path", metavar="PATH", help="a file, a folder, or a built-in set's name")
    add_data_settings(parser)
    parser.add_argument("--out", metavar="FILE.png", help="also plot sequences of numbers")
    return parser


def run(arguments):
    """Tells what is in data, and draws them if there is an `--out`."""
    from tfgen.data import data_kind
    from tfgen.report.inspection import draw_data, inspect_data

    config = data_config(arguments, arguments.path)
    kind = data_kind(config)
    config.check_used(kind)
    if arguments.out is not None:
        _check_picture(arguments, kind)
    with text_hint(), waiting(f"reading {config.name}"):
        told = inspect_data(config)
    show(told)
    if arguments.out is not None:
        for written in draw_data(config, arguments.out):
            show(f"Wrote {written}")


def _check_picture(arguments, kind):
    row = find_kind(kind)
    if row.modality == "text" and row.inspect is None:
        raise InputError(f"--out draws sequences of numbers, and {arguments.path} is text")
    if Path(arguments.out).suffix.lower() != ".png":
        raise InputError(f"inspect draws a .png. Received: --out {arguments.out}")
