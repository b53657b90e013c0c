"""`tfgen interpolate`: a walk through the latent space, from one sequence to another."""

from tfgen.cli.arguments import Parser, check_counts, integer
from tfgen.cli.latents import Sequences, add_options, check_out, open_latent, write


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
    ends, told = (arguments.a, arguments.b), {}
    if modality == "numbers":
        sequences = Sequences(model, arguments.data)
        (first, told), (last, _) = (sequences.find(each) for each in ends)
        ends = first, last
    way = {"steps": arguments.steps, "method": arguments.method, "seed": arguments.seed}
    write(arguments, model, model.interpolate(*ends, **way, **told))
