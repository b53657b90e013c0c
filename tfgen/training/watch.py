"""`open_watch`: what a validation tells of a model besides its loss."""

from tfgen.models.latents import has_posterior
from tfgen.training.game import GameWatch
from tfgen.training.latents import LatentWatch


def open_watch(model, windows, objective=None, state=None):
    """Returns what has `write(writer, step)`, which gives a warning or None; or None for nothing.

    Args:
        model: A `tfgen.models.SequenceGenerator`.
        windows: Dict of the windows of `"train"` and `"validation"`.
        objective: What trains it, of `tfgen.training.objectives`, or None.
        state: Function that gives the state that the objective carries.
    """
    if objective is not None:
        return objective.watch(windows, state)
    if has_posterior(model):
        return LatentWatch(model, windows["validation"])
    return None if model.critic_steps is None else GameWatch(model, windows)
