"""`open_objective`: what a training learns by, where that is not the model's own loss."""

from tfgen.training.refinement import Refinement
from tfgen.training.scheduled_sampling import ScheduledSampling


def open_objective(model, config, rows):
    """Returns what has `batch_loss` and `batch_total`, as a model has, and more; None is the model.

    Such an objective also has `follow(step)` as a model; `initial_state(batch)`, the state that it
    carries from step to step, or None; `watch(windows, state)`: what writes to TensorBoard at each
    validation, see `tfgen.training.watch.open_watch`; and `loss_validates`: whether the model's own
    loss on held-out data tells which weights are the best, or else the last ones are taken.

    Args:
        model: A `tfgen.models.SequenceGenerator`.
        config: A `TrainingConfig`.
        rows: Rows of a batch, of a device and of a part.

    Raises:
        InputError: If the model cannot be trained so.
    """
    if config.rollout:
        return ScheduledSampling(model, config)
    return Refinement(model, config, rows) if config.refine else None
