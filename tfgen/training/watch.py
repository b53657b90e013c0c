"""`open_watch`: what a validation tells of a model besides its loss."""

from tfgen.models.latents import has_posterior
from tfgen.training.game import GameWatch
from tfgen.training.latents import LatentWatch
from tfgen.training.refinement import RefinementWatch


def open_watch(model, windows, refinement=None, state=None):
    """Returns what has `write(writer, step)`, which gives a warning or None; or None for nothing.

    Args:
        model: A `tfgen.models.SequenceGenerator`.
        windows: Dict of the windows of `"train"` and `"validation"`.
        refinement: The `tfgen.training.refinement.Refinement` that trains it, or None.
        state: Function that gives the state of the refinement's chains.
    """
    if refinement is not None:
        return RefinementWatch(refinement, windows, state)
    if has_posterior(model):
        return LatentWatch(model, windows["validation"])
    return None if model.critic_steps is None else GameWatch(model, windows)
