"""The figures of the U-Net as a diffusion model. What a figure is stands in `contest.py`."""

from benchmarks.contest import DIFFUSERS, LUCIDRAINS, OURS, compare
from benchmarks.workers import call

MODULES = {
    OURS: "benchmarks.peer_unet",
    LUCIDRAINS: "benchmarks.peer_lucidrains",
    DIFFUSERS: "benchmarks.peer_diffusers",
}
INSTALL = {
    LUCIDRAINS: "pip install denoising-diffusion-pytorch",
    DIFFUSERS: "pip install diffusers torch",
}


def training(sizes, effort):
    """Training steps per second.

    Args:
        sizes: `DiffusionSizes`.
        effort: `contest.Effort`.
    """
    figure = _compare("train", f"training, {_shape(sizes)}", "steps/s", sizes, effort)
    figure["notes"].append(
        "a step draws noise levels and noise, goes forward to the squared error of the noise and "
        "back, and updates the weights by Adam"
    )
    return figure


def sampling(sizes, effort):
    """Sequences per second of drawing by DDIM.

    Args:
        sizes: `DiffusionSizes`.
        effort: `contest.Effort`.
    """
    name = f"drawing by diffusion, {_shape(sizes)}, {sizes.steps} DDIM steps"
    figure = _compare("sample", name, "sequences/s", sizes, effort)
    figure["notes"].append("whole calls; a step is one evaluation of the network for all sequences")
    return figure


def _compare(function, name, unit, sizes, effort):
    # Networks differ in kind; what the peers have in common with tfgen's is the number of weights.
    parameters = call(MODULES[OURS], "parameters", sizes)
    jobs = {
        OURS: (function, sizes),
        **{
            peer: (function, sizes, parameters, effort.seconds / 3)
            for peer in ((LUCIDRAINS, DIFFUSERS) if sizes.attention else (DIFFUSERS,))
        },
    }
    figure, _ = compare(name, unit, jobs, effort, MODULES, INSTALL)
    return figure


def _shape(sizes):
    multipliers = "-".join(map(str, sizes.multipliers))
    return (
        f"U-Net {sizes.width} x {multipliers}, {sizes.features} features, length {sizes.length}, "
        f"batch {sizes.batch}" + ("" if sizes.attention else ", without attention")
    )
