"""`tfgen interpolate`: a walk through the latent space, from one sequence to another."""

from tfgen.cli.arguments import Parser, check_counts, integer
from tfgen.cli.latents import add_options, check_out, open_latent, opened, write


def parser():
    parser = Parser("interpolate", run, "Walks through the latents from one sequence to another.")
    add_options(parser, ("A", "where it begins"), ("B", "where it ends"))
    parser.add_argument("--steps", type=integer, default=8, help="sequences, both ends too (8)")
    parser.add_argument(
        "--method", choices=("slerp", "linear"), default="slerp", help="the way (slerp)"
    )
    parser.add_argument("--seed", type=integer, help="the same seed gives the same sequences")
    parser.add_argument("--out", metavar="FILE", help="the file to write")
    return parser


def run(arguments):
    """Decodes latents between those of two sequences: `tfgen interpolate`."""
    check_counts(arguments, "steps")
    modality = check_out(arguments)
    model = open_latent(arguments, "interpolate")
    find = opened(model, modality, arguments.data)
    (first, told), (last, _) = find(arguments.a), find(arguments.b)
    way = {"steps": arguments.steps, "method": arguments.method, "seed": arguments.seed}
    write(arguments, model, model.interpolate(first, last, **way, **told))
