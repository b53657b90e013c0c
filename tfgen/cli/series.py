"""What the verbs that read time series share: forecast and impute."""

from tfgen.cli.arguments import add_fields, seed
from tfgen.errors import InputError
from tfgen.kinds import find_kind
from tfgen.recipe import DiffusionSampling

# Options of a diffusion model: fields of `DiffusionSampling`, and all.
FILLING_FIELDS = "num_steps", "resamplings", "guidance_scale"
FILLING = *FILLING_FIELDS, "method"


def add_series_options(parser):
    parser.add_argument(
        "--data", required=True, help="a path, or a built-in set's name; read as the model's own"
    )
    parser.add_argument("--id", help="only the series of this id")
    parser.add_argument("--seed", type=seed, help="the same seed gives the same samples")


def add_diffusion_options(parser):
    group = parser.add_argument_group("diffusion models")
    add_fields(group, FILLING_FIELDS, DiffusionSampling)
    group.add_argument(
        "--method",
        help="how gaps are filled: by the network, if it was trained with infilling; else by "
        "repaint (default), or guidance",
    )


def series_only(verb, name, kind, whole=False):
    """Refuses models of what is whole, unless the verb is for `whole` pieces of music as well."""
    row = find_kind(kind)
    if row.goes_on or (whole and row.continues):
        return
    what = "time series and of music" if whole else "time series"
    raise InputError(
        f"{verb} is for models of {what}, and {name} is one of {row.words}: tfgen generate {name}"
    )
