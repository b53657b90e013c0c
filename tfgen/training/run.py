"""`Run`: one training, its steps and what happens between them."""

import json
import math
import sys
import time
import warnings

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfgen import models
from tfgen.errors import InputError, printable
from tfgen.files import atomic_file
from tfgen.training.adapters import ADAPTER, Adapters
from tfgen.training.calibration import calibrate_at_end
from tfgen.training.checkpoints import Checkpoints
from tfgen.training.devices import Devices
from tfgen.training.failures import first_not_finite
from tfgen.training.finetuning import open_start
from tfgen.training.fingerprint import difference
from tfgen.training.forecast_validation import ForecastValidation
from tfgen.training.guard import Guard
from tfgen.training.hparams import hyperparameters
from tfgen.training.interrupt import Interrupt
from tfgen.training.objectives import open_objective
from tfgen.training.opened import count_positions
from tfgen.training.optimizers import make_optimizer
from tfgen.training.prefetch import Prefetch
from tfgen.training.profile import Profile
from tfgen.training.resume import go_on_with
from tfgen.training.silent_dashboard import SilentDashboard
from tfgen.training.state import RunState, numbers
from tfgen.training.step import Step
from tfgen.training.validation import Validation
from tfgen.training.watch import open_watch

# Besides the data, what a validation depends on.
MEASURED = {
    "training.window", "training.batch_size", "training.validation_batches", "training.choose_on",
    "training.choose_by",
}  # fmt: skip
# Gradients that float16 cannot hold even as they are, or smaller, are no fault of their scale.
LEAST_SCALE = 1.0
# In the run's folder at the end: the best validation loss, and its step.
BEST = "best.json"


class Run:
    """One training: the compiled step, and what happens between steps."""

    def __init__(
        self, model, recipe, data, logdir, progress, devices=None, shown=(), adapted=False
    ):
        self.model, self.recipe, self.config = model, recipe, recipe.training
        self.data, self.windows = data, data.windows
        self.logdir, self.progress, self.shown = logdir, progress, shown
        self.adapted = adapted  # whether the first weights are worth something
        self.devices = devices = devices or Devices()
        rows = self.windows["train"].batch_size
        with devices.scope():
            own = rows // (devices.count * self.config.accumulate)
            self._objective = objective = open_objective(model, self.config, own)
            self._beside = beside = None if objective is None else objective.beside
            self.optimizer = make_optimizer(self.config, (beside or model).critic_steps)
            trained, kept = ((), ()) if beside is None else (beside.trained, beside.kept)
            self.adapters = Adapters(model, self.config, trained)
            self.optimizer.build(self.adapters.variables)
        self.checkpoints = Checkpoints(logdir / "checkpoints", self.config.keep_checkpoints)
        carried = None
        if self.config.carry_state:
            carried = model.initial_state(rows)
        if self._objective is not None:
            carried = self._objective.initial_state(self._batch(0))
        averages = bool(self.config.ema)
        self.state = RunState(model, self.optimizer, self.adapters, carried, averages, kept)
        self._train_step = Step(
            model,
            self.optimizer,
            self.config,
            rows,
            self.adapters,
            devices,
            self._objective,
        )
        self._guard = Guard(self._warn)
        self._watch = open_watch(model, self.windows, self._objective, lambda: self.state.carried)
        self._validation = Validation(model, self.windows["validation"], devices)
        self._forecasts = self._open_forecasts()

    def train(self):
        config = self.config
        if config.start_from and not self.state.step:
            self._save()  # what a resumed run starts from is in its own folder
        self.dashboard = SilentDashboard()
        if self.devices.chief:
            self.dashboard = self.data.dashboard(self.logdir / "logs", self.model)
        self.dashboard.begin(self.state.step, hyperparameters(self.recipe, self.shown))
        if config.histogram_every and not self.state.step:
            with self._guard("the graph"):
                self.dashboard.graph(self._train_step.rows(self._batch(0), 0))
        self._say(
            f"{self._summary()}\nWatch it with: tensorboard --logdir {self.logdir}; its tab Custom "
            "Scalars has loss, gradients and speed on one page"
        )
        if self.adapted and config.validate_every:
            with self.state.averaged():
                self._validate()
        bar = tqdm(
            total=config.steps,
            initial=self.state.step,
            unit="step",
            disable=not self.progress,
            dynamic_ncols=True,
        )
        batches = Prefetch(self._batch, self.state.step)
        started, timed, waited = time.perf_counter(), 0, 0.0
        steps = config.profiled_steps() if self.devices.chief else range(0)
        profile = Profile(steps, self.logdir / "logs" / "train")
        with Interrupt() as stopped, bar, profile, batches:
            while self.state.step < config.steps:
                logged = self.devices.chief and self._due(config.log_every, 1)
                before = self._trainable() if logged else None
                with profile.step(self.state.step + 1):
                    asked = time.perf_counter()
                    batch = next(batches)
                    waited += time.perf_counter() - asked
                    loss, norms = self.one_step(batch)
                self.state.losses.append(loss)
                self.state.norms.append(norms)
                self.state.step += 1
                timed += count_positions(batch)
                bar.update()
                if self._due(config.log_every):
                    # Reading the losses waits for the device, so it is done for a stretch at once.
                    self._check_finite()
                    mean = float(np.mean(numbers(self.state.losses)))
                    elapsed = time.perf_counter() - started
                    speed = timed / elapsed
                    self.dashboard.progress(
                        self.state.step,
                        mean,
                        float(self.optimizer.learning_rate),
                        speed,
                        waited / elapsed,
                        dict(zip(self._train_step.groups, numbers(self.state.norms).T)),
                        self._update_ratios(before) if logged else {},
                        config.clip_norm,
                        self._loss_scale(),
                    )
                    bar.set_postfix_str(
                        f"loss {mean:.4f}, {speed:,.0f} {self.data.unit}/s{self._best_so_far()}"
                    )
                    self.state.losses, self.state.norms, timed, waited = [], [], 0, 0.0
                paused = time.perf_counter()
                self.between_steps(batch)
                if self._all_stop(stopped.is_set()):
                    self._save()
                    bar.close()
                    self._say(
                        f"Stopped after step {self.state.step}. "
                        f"Go on with: {go_on_with(self.recipe, self.logdir)}"
                    )
                    raise stopped.error()
                # The speed is that of training: validation and samples stop the clock.
                now = time.perf_counter()
                started = now if not timed else started + (now - paused)
                if config.patience and self.state.worse >= config.patience:
                    self._say(f"No improvement in {self.state.worse} validations: stopped early.")
                    break
        return self._finish()

    def check_workers(self):
        """Refuses to begin if another worker would not train the same model on the same data."""
        if self.devices.processes > 1:
            batch = tf.nest.flatten(self._batch(self.state.step))
            self.devices.check_same(
                recipe=self.recipe.to_toml().encode(),
                checkpoint=str(self.state.step).encode(),
                data=b"".join(part.numpy().tobytes() for part in batch),
                weights=b"".join(weight.tobytes() for weight in self.state.weights().values()),
            )

    def _all_stop(self, here):
        """Whether to stop because somebody asked for it, here or at another worker."""
        if self.devices.processes == 1:
            return here
        # Asking costs a message to each, so it is not done at every step.
        return self._due(self.config.log_every) and self.devices.any(here)

    def _loss_scale(self):
        scale = self._train_step.loss_scale
        return None if scale is None else float(scale.numpy())

    def one_step(self, batch):
        loss, norms, state = self._train_step(batch, self._state_before())
        if self.state.carried is not None:
            self.state.carried = state
        return loss, norms

    def _state_before(self):
        """The state that the next step begins with."""
        windows = self.windows["train"]
        if self.config.carry_state and windows.starts_epoch(self.state.step):
            return self.model.initial_state(windows.batch_size)
        return self.state.carried

    def _trainable(self):
        return [variable.numpy() for variable in self.adapters.variables]

    def _update_ratios(self, before):
        """By group, how far the last step moved the weights, in norms of them."""
        moved = [new - old for new, old in zip(self._trainable(), before)]
        groups = zip(*map(self._train_step.grouped, (moved, before)))
        ratios = [_norm(update) / max(_norm(weights), 1e-30) for update, weights in groups]
        return dict(zip(self._train_step.groups, ratios))

    def between_steps(self, batch):
        config = self.config
        last = self.state.step == config.steps
        if self._due(config.validate_every) or last:
            with self.state.averaged():
                self._validate()
        # Before anything that is only to be looked at: a process that dies of it loses nothing.
        if self._due(config.checkpoint_every) or last:
            self.dashboard.flush()
            self._save()
        if self._due(config.sample_every):
            with self.state.averaged(), self._guard("samples"):
                self.dashboard.samples(self.state.step)
        if self._due(config.histogram_every):
            with self._guard("histograms"):
                self._histograms(batch)

    def _histograms(self, batch):
        if self.devices.chief:
            _, gradients = self._train_step.gradients(batch, self._state_before(), 0)
            batch = self._train_step.rows(batch, 0)
            self.dashboard.histograms(self.state.step, batch, gradients)

    def _due(self, every, ahead=0):
        """Whether something is due that is done every so many steps, or will be so many later."""
        step = self.state.step + ahead
        return bool(every) and (step % every == 0 or step == self.config.steps)

    def _validate(self):
        self._check_finite()
        loss = self._validation.loss()
        self.dashboard.validated(self.state.step, loss)
        if self._watch is not None and self.devices.chief:
            with self._guard("what is watched of the model"):
                found = self._watch.write(self.dashboard.validation, self.state.step)
                if found is not None:
                    self._warn(found)
        if self._forecasts is not None:
            loss = self._forecasts.score()
            self.dashboard.forecasts_validated(self.state.step, loss)
        elif self._objective is not None and not self._objective.loss_validates:
            self.state.forget_best()  # the last weights are taken
        self.state.validated(loss)

    def _open_forecasts(self):
        """What chooses by forecasts, if the recipe asks for that and the data have room for any."""
        if self.config.choose_by != "forecasts":
            return None
        try:
            if self.data.held is None:
                raise InputError("no end of the time is held out for forecasts")
            return ForecastValidation(self.model, *self.data.held)
        except InputError as error:
            self._say(f"The likelihood chooses the best weights: {error}")
            return None

    def _finish(self):
        if self.state.best_weights is not None:
            self.state.assign(self.state.best_weights)
        if self.config.histogram_every:
            with self._guard("the projector"):
                self.dashboard.embeddings()
        self.dashboard.close(succeeded=True)
        final = self.logdir / "final"
        if self.devices.chief:
            if self.adapters.own:
                self.adapters.save(self.logdir / ADAPTER)
            calibrate_at_end(self.model, self.recipe, self.data.sequences, self._say)
            self.model.save(final)
            loss = self.state.best["loss"] if math.isfinite(self.state.best["loss"]) else None
            with atomic_file(self.logdir / BEST) as temporary:
                temporary.write_text(json.dumps({"loss": loss, "step": self.state.best["step"]}))
        self.devices.any(False)  # none ends before it is there
        self._say(f"Saved {final}{self._best_so_far().replace(', ', ': ', 1)}")
        return final

    # Saving and resuming

    def begin(self, start):
        """Takes the weights of a `tfgen.training.finetuning.Start`."""
        taken = start.give(self.model)
        self.adapters.rebase()
        if self._beside is not None:
            self._beside.begin()
        self._say(taken)

    def _save(self):
        self._check_finite()
        if not self.devices.chief:
            return
        try:
            record = {**self.state.record(), "data": self.data.fingerprint}
            self.checkpoints.save(self.state.step, self.state.arrays(), record)
        except OSError as error:
            raise InputError(
                f"{self.checkpoints.folder}: the checkpoint of step {self.state.step} could not be "
                f"written: {error.strerror or error}. What was there before is untouched; "
                f"go on with: {go_on_with(self.recipe, self.logdir)}"
            ) from error

    def restore(self, changes, start=None):
        """Goes back to the latest checkpoint; `changes` are those of the recipe since.

        Without one it begins from `start`, see `train`, if it began from something.
        """
        if self.devices.chief:
            self.checkpoints.clean()
        for key, old, new in changes:
            self._say(f"Changed: {key} was {_shown(old)} and is {_shown(new)}")
        found = self.checkpoints.latest(
            lambda arrays, record: self.state.load(arrays, record, changes)
        )
        if found is None:
            self._say("There is no checkpoint to go on from: starting from the first step.")
            begin = open_start(self.recipe, start)
            if begin is not None:
                self.begin(begin)
            return
        # A checkpoint of before there were fingerprints has none.
        changed = difference(found[1].get("data"), self.data.fingerprint)
        if changed:
            self._warn(f"The data changed since step {self.state.step}: {changed}")
        if changed or any(key.startswith("data.") or key in MEASURED for key, _, _ in changes):
            self._say("Validation is another one now: what was best so far does not count.")
            self.state.forget_best()
        if self.state.step > self.config.steps:
            raise InputError(
                f"The run has done {self.state.step} steps already. "
                f"Received: training.steps={self.config.steps}"
            )
        if self.state.step == self.config.steps:
            self._say(f"All {self.state.step} steps are done; --set training.steps=N trains on.")

    # What a person sees

    def _summary(self):
        trained = self.adapters.summary
        return (
            f"{self.recipe.family}: {self.model.count_params():,} weights; "
            f"{self.recipe.data.name}: {self.data.summary}; {self.config.steps} steps are "
            f"{self.config.steps / self.windows['train'].steps_per_epoch:.1f} epochs"
            + (f"; {self.devices}" if self.devices.several else "")
            + (f"\n{trained}" if trained else "")
        )

    def _best_so_far(self):
        if not math.isfinite(self.state.best["loss"]):
            return ""
        best, name = self.state.best, "validation" if self._forecasts is None else "forecast CRPS"
        return f", {name} {best['loss']:.4f} at step {best['step']}"

    def _check_finite(self):
        """Ends the run if a loss or a gradient since the last line of the log was not finite."""
        losses = numbers(self.state.losses)
        norms = [*map(np.linalg.norm, numbers(self.state.norms))]
        scale = self._loss_scale()
        if scale is not None and scale >= LEAST_SCALE:
            # A gradient that float16 could not hold is left out, and the next ones are scaled less.
            norms = np.zeros_like(norms)
        bad = np.flatnonzero(~(np.isfinite(losses) & np.isfinite(norms)))
        if not len(bad):
            return
        step = self.state.step - len(losses) + int(bad[0])  # done before it
        loss, norm = losses[bad[0]], norms[bad[0]]
        self._say(f"Step {step + 1} went wrong: going back to see where it began.")
        found = self._go_back()
        while self.state.step < step:
            self.one_step(self._batch(self.state.step))
            self.state.step += 1
        where = self._first_not_finite(self._batch(step))
        self.dashboard.close()
        kept = f"checkpoint of step {found['step']} is kept" if found else "there is no checkpoint"
        raise InputError(
            f"Step {step + 1} gave a loss of {loss} and a gradient of norm {norm}. The first that "
            f"was not finite: {where}; {kept}. Try a lower training.learning_rate, or "
            f"training.clip_norm. Received: training.learning_rate={self.config.learning_rate}"
        )

    def _first_not_finite(self, batch):
        if not self.devices.chief:
            return "worker 0 tells"
        for number in range(self.devices.count):
            rows = self._train_step.rows(batch, number)
            where = first_not_finite(
                self.model,
                rows,
                lambda: self.dashboard.activations(rows),
                lambda: self._train_step.gradients(batch, self._state_before(), number),
            )
            if where is not None:
                return where
        return "the gradient's norm, of finite gradients"

    def _batch(self, k):
        return tf.nest.map_structure(tf.constant, self.windows["train"].batch(k))

    def _go_back(self):
        """Undoes what is not in a checkpoint; returns the record of the latest, or None."""
        found = self.checkpoints.latest()
        if found is None:
            with self.devices.scope():
                fresh = models.build(self.recipe, self.data.preprocessing, self.config.precision)
                optimizer = make_optimizer(self.config, (self._beside or self.model).critic_steps)
                optimizer.build(self.adapters.variables)
            first = {weight.path: weight.numpy() for weight in fresh.weights}
            self.state.assign(self.state.weights() | first)
            for old, new in zip(self.optimizer.variables, optimizer.variables):
                old.assign(new)
            self.state.step = 0
            return None
        self.state.load(*found)
        return found[1]

    def _say(self, text):
        if self.progress:
            tqdm.write(printable(text), file=sys.stderr)

    def _warn(self, text):
        if self.progress:
            self._say(f"Warning: {text}")
        else:
            warnings.warn(text, stacklevel=2)


def _norm(arrays):
    return float(np.sqrt(sum(np.sum(np.square(array)) for array in arrays)))


def _shown(value):
    return "not set" if value is None else repr(value)
