"""What the loop around a compiled step costs, and what TensorBoard does.

The Trainers are threads that wait between their turns, so that their loop is what a person runs,
line by line. Imports no TensorFlow by itself, because the command line imports it.
"""

import tempfile
import threading
from pathlib import Path

from tfgen.recipe import Recipe

# Like the entries of the zoo, but narrower where theirs take long: what is done now and then weighs
# more beside a short step, so these are strict.
FAMILIES = {
    "lstm": {
        "data.name": "shakespeare", "training.window": 64, "training.batch_size": 16,
        "model.units": 192, "model.layers": 2, "model.embedding": 64, "model.dropout": 0.25,
    },
    "transformer": {
        "data.name": "shakespeare", "training.window": 64, "training.batch_size": 8,
        "model.layers": 3, "model.heads": 4, "model.width": 128, "model.dropout": 0.15,
    },
    "gru": {
        "data.name": "weather", "training.window": 168, "training.batch_size": 16,
        "model.units": 128, "model.components": 8, "model.covariance": "full",
        "model.dropout": 0.3,
    },
    "unet1d": {
        "data.name": "pendigits", "training.window": 8, "training.batch_size": 128,
        "model.width": 32, "model.multipliers": [1, 2], "model.blocks": 1,
    },
}  # fmt: skip
# The Trainers neither validate nor write checkpoints; logging, they do all else by default.
LOGGING = {"training.steps": 10**6, "training.validate_every": 0, "training.checkpoint_every": 0}
SILENT = {"training.log_every": 10**9, "training.sample_every": 0, "training.histogram_every": 0}
# Steps of a round: after so many all has been done that is done now and then. Steps of a turn: a
# quarter of a second, for what else the machine does lasts longer and then meets all alike.
PERIOD, TURN = 500, 10
NOTES = (
    "the compiled step alone, on batches in memory; the Trainer without logging, validation and "
    "checkpoints; and with TensorBoard as it is by default: in a round ten lines of scalars, a set "
    "of histograms and a set of samples",
)


def recipe_of(family, logging):
    """The recipe of a family for a run that logs as it does by default, or not; None is neither."""
    changes = {None: {}, True: LOGGING, False: LOGGING | SILENT}[logging]
    return Recipe(family).override(FAMILIES[family] | changes)


class Loop:
    """A run of the Trainer of which a call takes a turn of steps, and what is due after them."""

    def __init__(self, recipe, begin):
        from tfgen import models
        from tfgen.training.data import open_data
        from tfgen.training.run import Run

        data = open_data(recipe)
        model = models.build(recipe, data.preprocessing, recipe.training.precision)
        self._folder = tempfile.TemporaryDirectory()
        self.run = Run(model, recipe, data, Path(self._folder.name, "run"), False)
        self.run.state.step = begin
        self._left, self._failure = 0, None
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._between, self.run.between_steps = self.run.between_steps, self.between_steps
        threading.Thread(target=self._serve, daemon=True).start()

    def __call__(self):
        self._left = TURN
        self._go.release()
        self._done.acquire()
        if self._failure:
            raise self._failure
        return TURN

    def _serve(self):
        self._go.acquire()
        try:
            self.run.train()
        except Exception as error:
            self._failure = error
            self._done.release()

    def between_steps(self, batch):
        self._between(batch)
        self._left -= 1
        if not self._left:
            self._done.release()
            self._go.acquire()  # the run's own clock, of the speed, stands still between steps
