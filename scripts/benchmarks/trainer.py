"""What the loop around a compiled step costs, and what TensorBoard does: measured in one process.

Three contestants train a model of one recipe each and take turns of a few steps: the compiled step
by itself, on batches that are in memory; the Trainer, which logs nothing; and the Trainer as it is
by default. The two Trainers are threads that wait between their turns, so that their loop is what a
person runs, line by line.
"""

import dataclasses
import itertools
import tempfile
import threading
import time
from pathlib import Path

from tfgen.startup import import_tensorflow

import_tensorflow()

import tensorflow as tf  # noqa: E402
from event_files import scalars  # noqa: E402

from benchmarks.figures_trainer import BARE, OFF, ON, PERIOD  # noqa: E402
from benchmarks.peer_tfgen import training_step  # noqa: E402
from tfgen import models  # noqa: E402
from tfgen.recipe import Recipe  # noqa: E402
from tfgen.training import trainer  # noqa: E402
from tfgen.training.data import open_data  # noqa: E402
from tfgen.training.optimizers import make_optimizer  # noqa: E402

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
NEVER = {
    "training.log_every": 10**9, "training.validate_every": 0, "training.sample_every": 0,
    "training.histogram_every": 0, "training.checkpoint_every": 0,
}  # fmt: skip
# Steps: a quarter of a second, for what else the machine does lasts longer and then meets all
# alike.
TURN = 10
BATCHES = 50  # of the step by itself


def measure(family, rounds):
    """Measures a family.

    Args:
        family: A key of `FAMILIES`.
        rounds: Periods of each contestant.

    Returns:
        A dict: `weights`, their number; `seconds`, by contestant a list of the time of each period;
        `events`, a list for each period of `(kind, seconds)` of the Trainer at defaults; `first`,
        from kinds to the seconds that they took the first time; and `waiting`, the shares of the
        time that it logged as spent waiting for data.
    """
    recipe = Recipe(family).override(FAMILIES[family])
    recipe = recipe.override({"training.steps": (rounds + 2) * PERIOD})
    with tempfile.TemporaryDirectory() as folder:
        bare = _Bare(recipe)
        off = _Turns(recipe.override(NEVER), Path(folder, "off"))
        # All is traced and compiled at the end of the first turn.
        on = _Turns(recipe, Path(folder, "on"), begin=PERIOD - TURN)
        contestants = {BARE: bare, OFF: off, ON: on}
        for contestant in contestants.values():
            contestant.take(TURN)
        first = {kind: sum(s for other, s in on.events if other == kind) for kind, _ in on.events}
        seconds, events = {name: [] for name in contestants}, []
        for _ in range(rounds):
            on.events.clear()
            spent = dict.fromkeys(contestants, 0.0)
            for _ in range(PERIOD // TURN):
                for name, contestant in contestants.items():
                    spent[name] += contestant.take(TURN)
            events.append(list(on.events))
            for name, each in spent.items():
                seconds[name].append(each)
        weights = int(on.run.model.count_params())
        off.end()
        on.end()
        logged = scalars(Path(folder, "on", "logs", "train"))["throughput/waiting_for_data"]
        waiting = [share for step, share in logged if step > PERIOD]
    return {
        "weights": weights,
        "seconds": seconds,
        "events": events,
        "first": first,
        "waiting": waiting,
    }


class _Bare:
    """The compiled step of a recipe, on batches in memory."""

    def __init__(self, recipe):
        data = open_data(recipe)
        model = models.build(recipe, data.preprocessing, recipe.training.precision)
        self.step = training_step(model, make_optimizer(recipe.training), model.unpack)
        windows = data.windows["train"]
        count = min(BATCHES, windows.steps_per_epoch)
        batches = [tf.nest.map_structure(tf.constant, windows.batch(k)) for k in range(count)]
        self.batches = itertools.cycle(batches)

    def take(self, steps):
        """Takes so many steps; returns the seconds."""
        start = time.perf_counter()
        for _ in range(steps):
            loss = self.step(next(self.batches))
        loss.numpy()  # waits for the last one
        return time.perf_counter() - start


class _Turns:
    """A run of the Trainer that takes steps when it is told to.

    Attributes:
        run: The run.
        events: `(kind, seconds)` of what it did beside steps, in turn.
    """

    def __init__(self, recipe, folder, begin=0):
        data = open_data(recipe)
        data = dataclasses.replace(data, dashboard=self._clocked(data))
        model = models.build(recipe, data.preprocessing, recipe.training.precision)
        self.run, self.events = trainer.Run(model, recipe, data, folder, False), []
        self.run.state.step = begin
        self._inside, self._left, self._ended, self._failure = False, 0, False, None
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._between = self.run._between_steps
        self.run._between_steps = self._between_steps
        for name in ("_trainable", "_update_ratios", "_check_finite"):
            self._clock(self.run, name, "scalars")
        self._clock(self.run._train_step, "gradients", "histograms")
        self._clock(self.run, "_validate", "validation")
        self._clock(self.run, "_save", "checkpoints")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def take(self, steps):
        """Takes so many steps, and what is due between them; returns the seconds."""
        self._left = steps
        start = time.perf_counter()
        self._go.release()
        self._done.acquire()
        seconds = time.perf_counter() - start
        if self._failure:
            raise self._failure
        return seconds

    def end(self):
        self._ended = True
        self._go.release()
        self._thread.join()
        self.run.dashboard.close()

    def _serve(self):
        self._go.acquire()
        try:
            self.run.train()
        except _Ended:
            return
        except Exception as error:
            self._failure = error
            self._done.release()

    def _between_steps(self, batch):
        self._between(batch)
        self._left -= 1
        if not self._left:
            self._done.release()
            self._go.acquire()  # the run's own clock, of the speed, stands still between steps
            if self._ended:
                raise _Ended

    def _clocked(self, data):
        def make(folder, model):
            dashboard = data.dashboard(folder, model)
            for name, kind in (
                ("progress", "scalars"), ("flush", "scalars"), ("histograms", "histograms"),
                ("samples", "samples"), ("graph", "graph"),
            ):  # fmt: skip
                self._clock(dashboard, name, kind)
            if self.run.state.step:  # it is written at the beginning of a run
                dashboard.graph(self.run._batch(0))
            return dashboard

        return make

    def _clock(self, owner, name, kind):
        """Times a method; within another one that is timed, it is a part of that."""
        original = getattr(owner, name)

        def timed(*arguments):
            if self._inside:
                return original(*arguments)
            self._inside, start = True, time.perf_counter()
            try:
                return original(*arguments)
            finally:
                self._inside = False
                self.events.append((kind, time.perf_counter() - start))

        setattr(owner, name, timed)


class _Ended(Exception):
    """No more turns."""
