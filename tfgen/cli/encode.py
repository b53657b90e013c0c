"""`tfgen encode`: the latents or hidden states of sequences, in a file."""

from pathlib import Path

from tfgen.cli.arguments import Parser
from tfgen.cli.latents import kind_of, opened
from tfgen.cli.models import NAME_HELP, open_model
from tfgen.cli.screen import show
from tfgen.errors import InputError

_SUFFIXES = (".csv", ".npz")


def parser():
    parser = Parser("encode", run, "Embeds sequences: latents, or the last hidden states.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    parser.add_argument("x", metavar="X", nargs="+", help="a text, or the id of one in --data")
    parser.add_argument(
        "--data", metavar="DATA", help="drawings, clips or series; the model's own without it"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        required=True,
        help="a row for each: .csv (vectors alone), or .npz with the names in x and an array each",
    )
    return parser


def run(arguments):
    """Writes what a model makes of each sequence as a whole: `tfgen encode`."""
    path = Path(arguments.out)
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"--out must end in {' or '.join(_SUFFIXES)}. Received: --out {path}")
    _, modality = kind_of(arguments)
    model = open_model(arguments.name)
    find = opened(model, modality, arguments.data)
    found = [model.encode(each, **told) for each, told in map(find, arguments.x)]
    if path.suffix.lower() == ".csv" and found[0].ndim > 1:
        raise InputError(
            "The latents of a diffusion model are of every position, and no row of a table: --out "
            f"must end in .npz. Received: --out {path}"
        )
    import numpy as np

    from tfgen.files import atomic_file
    from tfgen.report.tables import save_csv, save_npz

    with atomic_file(path) as temporary:
        if path.suffix.lower() == ".csv":
            columns = enumerate(np.stack(found, axis=1).tolist())
            save_csv(temporary, {"x": arguments.x, **{f"z{n}": cells for n, cells in columns}})
        else:
            arrays = {f"latents_{number}": each for number, each in enumerate(found)}
            save_npz(temporary, {"x": np.array(arguments.x), **arrays})
    show(f"Wrote {path}")
