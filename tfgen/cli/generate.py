"""`tfgen generate`: samples of a model."""

from tfgen.cli import generate_numbers, generate_text
from tfgen.cli.arguments import Parser, add_fields, integer, seed
from tfgen.cli.models import NAME_HELP, add_dtype, find_model, way_of
from tfgen.kinds import KINDS
from tfgen.recipe import TokenSampling

WAYS = {"text": generate_text, "numbers": generate_numbers}


def parser():
    parser = Parser("generate", run, "Generates with a model: text goes on from prompts.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    parser.add_argument(
        "prompts",
        metavar="PROMPT",
        nargs="*",
        help="of text; default: one empty prompt; of music: a file to go on with",
    )
    add_fields(parser, ("temperature", "guidance_scale"), TokenSampling)  # not of text alone
    parser.add_argument("--seed", type=seed, help="the same seed gives the same samples")
    parser.add_argument(
        "--num-samples", type=integer, default=1, help="how many; of text, for each prompt"
    )
    parser.add_argument("--condition", metavar="CLASS", help="the class to generate")
    parser.add_argument(
        "--source",
        metavar="TEXT",
        action="append",
        help="what a model with an encoder makes a text or a drawing of, or the file of it; may be "
        "repeated",
    )
    parser.add_argument("--stream", action="store_true", help="print samples as they come")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write to a file: text, or .jsonl (one object a line); events of music .mid, .wav, "
        ".png; numbers .csv, .npz, .png; "
        + "; ".join(f"{row.words} {row.usual_suffix}" for row in KINDS.values() if row.formats),
    )
    add_dtype(parser)
    for way in WAYS.values():
        way.add_options(parser)
    return parser


def run(arguments):
    """Draws samples and prints or writes them."""
    item = find_model(arguments.name)
    way_of(item.data_kind, WAYS, arguments).run(arguments, item.data_kind)
