"""`tfgen shift`: a sequence with more of what others have, by their latents."""

from tfgen.cli.arguments import Parser, integer
from tfgen.cli.latents import add_options, check_out, open_latent, opened, write


def parser():
    parser = Parser("shift", run, "Gives a sequence more of what some have and others have not.")
    add_options(parser, ("X", "what is changed"))
    for name, what in (("positive", "have it"), ("negative", "have not")):
        parser.add_argument(
            f"--{name}", metavar="X", nargs="+", required=True, help=f"those that {what}"
        )
    parser.add_argument("--amount", type=float, default=1.0, help="how much; below 0 less (1)")
    parser.add_argument("--seed", type=integer, help="the same seed gives the same sequence")
    parser.add_argument("--out", metavar="FILE", help="the file to write")
    return parser


def run(arguments):
    """Moves a sequence along a direction of the latent space: `tfgen shift`."""
    modality = check_out(arguments)
    model = open_latent(arguments, "shift")
    named = [arguments.x], arguments.positive, arguments.negative
    find = opened(model, modality, arguments.data)
    ((x, told),), *sides = [[find(each) for each in names] for names in named]
    latents = [[model.encode(each, **own) for each, own in side] for side in sides]
    way = sum(latents[0]) / len(latents[0]) - sum(latents[1]) / len(latents[1])
    found = model.shift(x, way, arguments.amount, arguments.seed, **told)
    write(arguments, model, [found])
