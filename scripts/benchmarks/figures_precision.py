"""The figure of training in mixed precision. What a figure is stands in `contest.py`."""

from benchmarks.contest import OURS, compare, variant

ENTRIES = ("lstm-shakespeare", "gru-weather", "transformer-shakespeare", "unet1d-pendigits")
PRECISIONS = ("mixed_bfloat16", "mixed_float16")
MODULES = {OURS: "benchmarks.precision"}


def training(entry, effort):
    """Training steps per second in float32, and in mixed precision beside it.

    Args:
        entry: One of the zoo, whose recipe is trained.
        effort: `contest.Effort`.
    """
    jobs = {OURS: ("train", entry, "float32")}
    jobs |= {variant(name): ("train", entry, name) for name in PRECISIONS}
    name = f"training in mixed precision, the recipe of {entry}"
    figure, _ = compare(name, "steps/s", jobs, effort, MODULES)
    figure["notes"].append("tfgen by itself is float32; batches are in memory")
    return figure
