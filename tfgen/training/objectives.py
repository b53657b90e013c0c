"""`open_objective`: what a training learns by, where that is not the model's own loss."""

from tfgen.training.refinement import Refinement


def open_objective(model, config, rows):
    """Returns what has `batch_loss` and `batch_total`, as a model has, and more; None is the model.

    Such an objective also has `initial_state(batch)`, the state that it carries from step to step,
    or None, and `watch(windows, state)`: what writes to TensorBoard at each validation, see
    `tfgen.training.watch.open_watch`.

    Args:
        model: A `tfgen.models.SequenceGenerator`.
        config: A `TrainingConfig`.
        rows: Rows of a batch, of a device and of a part.

    Raises:
        InputError: If the model cannot be trained so.
    """
    return Refinement(model, config, rows) if config.refine else None
