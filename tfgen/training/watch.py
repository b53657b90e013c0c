"""`open_watch`: what a validation tells of a model besides its loss."""

from tfgen.models.latents import has_posterior
from tfgen.training.game import GameWatch
from tfgen.training.latents import LatentWatch


def open_watch(model, windows):
    """Returns what has `write(writer, step)`, which gives a warning or None; or None for nothing.

    Args:
        model: A `tfgen.models.SequenceGenerator`.
        windows: Dict of the windows of `"train"` and `"validation"`.
    """
    if has_posterior(model):
        return LatentWatch(model, windows["validation"])
    return None if model.critic_steps is None else GameWatch(model, windows)
