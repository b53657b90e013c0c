"""What a training learns by, where that is not the model's own loss."""

import dataclasses

from tfgen.errors import InputError
from tfgen.training.refinement import Refinement
from tfgen.training.scheduled_sampling import ScheduledSampling
from tfgen.training.self_forcing import ROLLOUTS, SelfForcing


def open_objective(model, config, rows):
    """Returns what has `batch_loss` and `batch_total`, as a model has, and more; None is the model.

    Such an objective also has

    - `follow(step)`, as a model has;
    - `initial_state(batch)`: the state that it carries from step to step, or None;
    - `loss_validates`: whether the model's own loss on held-out data tells which weights are the
      best; else the last ones are taken;
    - `beside`: what there is besides the model's weights, see `tfgen.training.self_forcing.Copies`,
      or None;
    - `watch(windows, state)`: what writes to TensorBoard at each validation, see
      `tfgen.training.watch.open_watch`.

    Args:
        model: A `tfgen.models.SequenceGenerator`.
        config: A `TrainingConfig`.
        rows: Rows of a batch, of a device and of a part.

    Raises:
        InputError: If the model cannot be trained so.
    """
    if config.refine:
        return Refinement(model, config, rows)
    if config.rollout in ROLLOUTS:
        return SelfForcing(model, config)
    return ScheduledSampling(model, config) if config.rollout else None


def settle_objective(recipe, start=None):
    """Returns a recipe with what follows from what is learned by, and a sentence for people.

    Args:
        recipe: The `tfgen.recipe.Recipe` of a training.
        start: The `tfgen.training.finetuning.Start` that it begins from, if it does.

    Returns:
        `(recipe, sentence)`; the sentence is None if nothing that a person may have set changes.

    Raises:
        InputError: If a model that draws in few steps would be trained as another, or once more.
    """
    training, rolls = recipe.training, recipe.training.rollout in ROLLOUTS
    if not rolls and recipe.model.get("distilled"):
        raise InputError(
            "A model that draws in few steps is trained by training.rollout, from one that "
            "denoises. Received: model.distilled=true"
        )
    if rolls and start is not None and getattr(start.model.engine, "refusals", None):
        raise InputError(
            f"training.rollout needs a teacher that denoises, and {start.name} is none. "
            f"Received: training.rollout='{training.rollout}'"
        )
    if rolls:
        recipe = dataclasses.replace(recipe, model={**recipe.model, "distilled": True})
    if not ((rolls or training.refine) and training.patience):
        return recipe, None
    training = dataclasses.replace(training, patience=0)
    return (
        dataclasses.replace(recipe, training=training),
        "training.patience=0: the validation loss does not see what is learned, so that the last "
        "weights are taken",
    )
