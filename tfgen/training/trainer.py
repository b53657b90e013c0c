"""`train`: from a recipe to a run folder."""

import dataclasses
import sys
from pathlib import Path

from tqdm import tqdm

from tfgen import models
from tfgen.errors import InputError
from tfgen.models.numbers.least_squares import adapt
from tfgen.training.data import open_data
from tfgen.training.devices import open_devices
from tfgen.training.finetuning import open_start
from tfgen.training.objectives import settle_objective
from tfgen.training.resume import go_on_with, held, settle
from tfgen.training.run import Run
from tfgen.values import check_text


def train(
    recipe, logdir, resume=False, progress=True, start=None, strategy="auto", shown=(), data=None
):
    """Trains a model and leaves a run folder.

    The folder holds `recipe.toml`, the preprocessing, `logs/` for TensorBoard, `checkpoints/`,
    and at the end `final/`: the model with its best weights by validation loss, which
    `tfgen.zoo.get` opens; `best.json` tells that loss and its step.

    Batch k depends on the seed and on k alone, and a checkpoint holds every variable, so a run that
    was stopped and resumed ends with the same weights, to the bit, as one that was not, on the same
    machine. Ctrl-C finishes the step, writes a checkpoint and raises `KeyboardInterrupt`; a second
    one does not wait. SIGTERM and SIGHUP do the same, and raise `tfgen.errors.Terminated`, which is
    a `KeyboardInterrupt`.

    Args:
        recipe: A `tfgen.recipe.Recipe`; None when resuming takes the run's own.
        logdir: The run's folder. Without `resume` it must be new or empty.
        resume: Continue the run in the folder from its last checkpoint.
        progress: Show a progress bar on stderr.
        start: What to start from, in place of new weights: a model, which is only read, or the
            path of a model's or a run's folder. None takes `training.start_from`, if that is a
            path. The preprocessing is the start's too, where it fits the data, see
            `training.vocabulary`. A resumed run does not need it any more.
        strategy: Which devices train: `"auto"`, `"one"`, `"mirrored"` or `"multi-worker"`, see
            `tfgen.training.devices.open_devices`. It is no part of the recipe: a run may go on with
            other devices, and takes the same steps but for rounding. Of several workers the first
            writes.
        shown: Keys of the recipe that the HParams table shows even where they are the default.
        data: What to train on in place of what `recipe.data.name` names: arrays
            `(sequences, time, features)`, a frame, texts or a `tf.data.Dataset` of such, see
            `tfgen.data.memory.hold`; or another name. All else that `recipe.data` says holds as it
            does for files. A run on data in memory is resumed with the same data given again.

    Returns:
        `pathlib.Path` of `final/`.

    Raises:
        InputError: For data that is too short, a folder in use, a recipe that cannot continue the
            run, a start that does not fit, a loss that is no longer finite, or another worker that
            is lost.
        KeyboardInterrupt: After Ctrl-C, with the run saved.
    """
    logdir = Path(check_text("logdir", logdir))  # TensorFlow writes to no other paths
    given = held(recipe, data)
    recipe, changes = settle(recipe, logdir, resume, data)
    # Before TensorFlow computes anything, or workers could not find each other any more.
    devices = open_devices(strategy, lambda text: progress and tqdm.write(text, file=sys.stderr))
    with devices.watched(f"Go on with: {go_on_with(recipe, logdir)}"):
        return _train(recipe, logdir, resume, progress, start, devices, shown, changes, given)


def _train(recipe, logdir, resume, progress, start, devices, shown, changes, given):
    begin = None if resume else open_start(recipe, start)
    if begin is None:
        data = open_data(recipe, models.load_preprocessing(logdir) if resume else None, given)
    else:
        recipe, data = begin.open_data(recipe, given)
    # The recipe that is saved tells an evaluation what was chosen on.
    settled = dataclasses.replace(recipe.training, choose_on=data.choose_on)
    model = {**recipe.model, **data.model}
    recipe = dataclasses.replace(recipe, training=settled, model=model)
    recipe, said = settle_objective(recipe, begin)
    if said and progress and devices.chief:
        tqdm.write(said, file=sys.stderr)
    with devices.scope():
        model = models.build(recipe, data.preprocessing, recipe.training.precision)
    check_fits(recipe, model)
    adapted = not resume and begin is None and adapt(model, data.train)
    run = Run(model, recipe, data, logdir, progress and devices.chief, devices, shown, adapted)
    if resume:
        run.restore(changes, start)
    elif begin is not None:
        run.begin(begin)
    run.check_workers()
    # All has proved good: the first that is written.
    if devices.chief:
        recipe.save(logdir / models.RECIPE)
        if not resume:
            models.save_preprocessing(data.preprocessing, logdir)
    return run.train()


def check_fits(recipe, model):
    """Refuses a training that a model cannot do.

    Args:
        recipe: The `Recipe` of the training.
        model: The model that was built of it.

    Raises:
        InputError: The window is too long, or the model has no state to carry.
    """
    config = recipe.training
    if model.max_positions is not None and config.window > model.max_positions:
        raise InputError(
            f"training.window must be at most model.max_length, {model.max_positions}. "
            f"Received: training.window={config.window}"
        )
    if config.choose_by == "forecasts" and not model.can("forecast"):
        raise InputError(
            f"training.choose_by=forecasts is for models that forecast, and a {recipe.family} does "
            "not. Received: training.choose_by='forecasts'"
        )
    if config.carry_state and not hasattr(model, "initial_state"):
        raise InputError(
            "training.carry_state is for models that go from position to position, and "
            f"{recipe.family} takes all at once. Received: training.carry_state=true"
        )
    if config.carry_state and models.family(recipe.family).engine == "latent":
        raise InputError(
            "training.carry_state is for models without latents, which are those of a whole "
            f"sequence in a {recipe.family}. Received: training.carry_state=true"
        )
    if config.carry_state and not model.state_is_constant:
        needed = "positions without an end" if model.max_positions else "a state of constant size"
        remedy = "positions=rotary" if model.max_positions else f"window={config.window}"
        raise InputError(
            f"training.carry_state needs {needed}: give the model e.g. model.{remedy}. "
            "Received: training.carry_state=true"
        )
