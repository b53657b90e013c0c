"""`tune`: many runs of one recipe with different settings, the better ones found by an oracle."""

import dataclasses
import json
import math
import shutil
import time
from pathlib import Path

import keras
import tensorflow as tf

from tfgen.data import data_kind
from tfgen.data.memory import MEMORY, not_given
from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file, atomic_folder, read_json
from tfgen.recipe import Recipe
from tfgen.training.data import open_data
from tfgen.training.resume import held, named
from tfgen.training.run import BEST
from tfgen.training.space import default_space, make_space, read_space
from tfgen.training.trainer import train

SEARCH, BEST_RECIPE = "search.json", "best.toml"
METHODS = ("bayesian", "hyperband", "random")
TRIALS = 20
# So many in a row are rather the recipe's fault than the settings'.
MAX_FAILED = 5
# What is read of a search that was begun.
MOST_OF_SEARCH = 1 << 24
# A trial is short: compiling what draws samples and histograms would take longer than many a one.
QUIET = {"training.sample_every": 0, "training.histogram_every": 0}


@dataclasses.dataclass
class Trial:
    """One run of a search.

    Attributes:
        number: Its place in the search, from 0.
        drawn: What the oracle drew, by key.
        changes: The same as values of a recipe.
        steps: Steps of training.
        parent: Number of the trial that proved good with fewer steps, or None.
        loss: Best validation loss, nats per position; None if the trial failed.
        seconds: What it took.
        error: Why it failed.
    """

    number: int
    drawn: dict
    changes: dict
    steps: int
    parent: int | None = None
    loss: float | None = None
    seconds: float = 0.0
    error: str | None = None

    @property
    def name(self):
        """Name of the run's folder."""
        return f"trial-{self.number:03d}"


@dataclasses.dataclass
class Search:
    """A search that has ended.

    Attributes:
        logdir: `pathlib.Path` of its folder.
        trials: The `Trial`s, in their order.
        best: The one of the least loss.
        best_recipe: `pathlib.Path` of its recipe, which `tfgen train` takes.
    """

    logdir: Path
    trials: list
    best: Trial
    best_recipe: Path


def tune(
    recipe,
    logdir,
    space=None,
    method=None,
    trials=None,
    seed=None,
    resume=False,
    say=None,
    data=None,
):
    """Searches for settings with a lower validation loss.

    The folder holds `search.json`, what was tried and what came of it; a run folder for every
    trial, `trial-000` and so on, whose logs are rows of one HParams table; and `best.toml`. Of the
    best trial the model is kept as well.

    A search that was stopped at any moment goes on with `resume`, to the same trials as one that
    was not: a trial depends on the seed, its number and the losses before it.

    Args:
        recipe: A `tfgen.recipe.Recipe`, the same in all trials but for what is searched; None when
            resuming takes the search's own.
        logdir: The search's folder. Without `resume` it must be new or empty.
        space: From a key to its table, or the path of a TOML file of such, see
            `tfgen.training.space`; None is learning rate, width and dropout, or the search's own.
        method: `"bayesian"` (the default), `"hyperband"` or `"random"`.
        trials: How many; None is 20, and of Hyperband one round. A resumed search may have more.
        seed: What the oracle draws from; None is 0. The runs keep the recipe's `training.seed`.
        resume: Go on with the search in the folder.
        say: Function that is given lines for a person; None is silent.
        data: What to train on in place of what `recipe.data.name` names, see
            `tfgen.training.train`; a search on data in memory is resumed with the same data.

    Returns:
        A `Search`.

    Raises:
        InputError: For a wrong argument, a folder in use, data that cannot be read, what a resumed
            search cannot change, or if too many trials fail in a row.
        KeyboardInterrupt: After Ctrl-C, with the trial saved.
    """
    logdir = Path(logdir)
    given = held(recipe, data)
    if recipe is not None and data is not None:
        recipe = named(recipe, data)
        recipe = recipe.override({"data.kind": data_kind(recipe.data, given)})
    plan, done = _settle(recipe, logdir, space, method, trials, seed, resume, data)
    if data is None and plan.recipe.data.name == MEMORY:
        raise not_given()
    open_data(plan.recipe, data=given)  # what is wrong with the data is no trial's fault
    return _Searching(logdir, plan, done, say or (lambda line: None), given).run()


@dataclasses.dataclass
class _Plan:
    """What a search is made of, besides how long it goes on."""

    recipe: Recipe
    space: tuple
    method: str
    trials: int | None
    seed: int


def _settle(recipe, logdir, space, method, trials, seed, resume, data):
    """Returns the `_Plan` of a search, and what `search.json` holds of the trials that are done."""
    if method is not None and method not in METHODS:
        raise unknown("method", method, METHODS)
    for name, value, low in (("trials", trials, 1), ("seed", seed, 0)):
        if value is not None and value < low:
            raise InputError(f"{name} must be >= {low}. Received: {name}={value}")
    path, begun, done = logdir / SEARCH, {}, []
    if resume:
        if not path.is_file():
            raise InputError(f"{logdir} holds no search to resume: {SEARCH} is missing")
        try:
            begun = read_json(path, MOST_OF_SEARCH)
            saved, done = Recipe.from_dict(begun["recipe"]), begun["done"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} cannot be read as a search ({error})") from error
        for key, old, new in named(recipe or saved, data).changes(saved):
            raise InputError(
                f"A resumed search cannot change {key} from {old!r}. Received: {key}={new!r}"
            )
        recipe = saved
    elif logdir.exists() and (not logdir.is_dir() or any(logdir.iterdir())):
        raise InputError(f"{logdir} is not empty: choose another --logdir, or add --resume")
    given = {"method": method, "seed": seed}
    for key, value in given.items():
        if resume and value is not None and value != begun[key]:
            raise InputError(
                f"A resumed search cannot change {key} from {begun[key]!r}. Received: {key}={value}"
            )
    method, seed = method or begun.get("method", METHODS[0]), begun.get("seed", seed or 0)
    if space is None:
        dimensions = default_space(recipe)
    else:
        read = make_space if isinstance(space, dict) else read_space
        dimensions = read(space, recipe)
    if resume and space is not None and _tables(dimensions) != begun["space"]:
        raise InputError(f"A resumed search cannot change its space, which {path} tells")
    if resume:
        dimensions = make_space(begun["space"], recipe)
    if trials is None:
        trials = begun["trials"] if resume else None if method == "hyperband" else TRIALS
    if trials is not None and trials < len(done):
        raise InputError(f"{len(done)} trials are done already. Received: trials={trials}")
    if method == "hyperband":
        _check_budgets(recipe, dimensions)
    return _Plan(recipe, dimensions, method, trials, seed), done


def _check_budgets(recipe, space):
    from tfgen.training.oracles import FULL_BUDGET

    if "training.steps" in [dimension.key for dimension in space]:
        raise InputError(
            "Hyperband tries less than training.steps itself: take it out of the space"
        )
    if recipe.training.steps < FULL_BUDGET:
        raise InputError(
            f"Hyperband divides training.steps by {FULL_BUDGET}. "
            f"Received: training.steps={recipe.training.steps}"
        )


def _tables(space):
    return {dimension.key: dimension.to_dict() for dimension in space}


class _Searching:
    """One search: what the oracle proposes is run, and it is told what came of it."""

    def __init__(self, logdir, plan, done, say, data):
        from tfgen.training.oracles import Oracle

        self.logdir, self.plan, self.say, self.data = logdir, plan, say, data
        self.recorded = done
        self.trials = []
        self.oracle = Oracle(
            plan.method, plan.space, plan.trials, plan.seed, [each["drawn"] for each in done]
        )

    def run(self):
        for record in self.recorded:
            trial = self._next()
            if trial is None:
                break  # fewer trials are asked for
            self._check_same(trial, record)
            trial.loss, trial.seconds, trial.error = (
                record[key] for key in ("loss", "seconds", "error")
            )
            self.trials.append(trial)
            self.oracle.tell(trial.loss)
        self._write()
        self._tidy()
        if self.trials:
            self.say(f"Done already: {len(self.trials)}")
        while (trial := self._next()) is not None:
            self._run(trial)
            self.trials.append(trial)
            self._check_failures()
            self.oracle.tell(trial.loss)
            self._write()
            self._tidy()
        return self._finish()

    def _next(self):
        """Returns the oracle's next `Trial`, or None."""
        from tfgen.training.oracles import FULL_BUDGET

        proposal = self.oracle.ask()
        if proposal is None:
            return None
        drawn = proposal.drawn
        changes = {
            dimension.key: dimension.value(drawn[dimension.key]) for dimension in self.plan.space
        }
        full = self.plan.recipe.override(changes).training.steps
        steps = math.ceil(full * proposal.budget / FULL_BUDGET)
        return Trial(len(self.trials), drawn, changes, steps, proposal.parent)

    def recipe_of(self, trial):
        """Returns the recipe of a trial, with samples and histograms as its owner wants them."""
        recipe = self.plan.recipe.override(trial.changes)
        config = recipe.training
        changes = {"training.steps": trial.steps}
        if config.schedule != "constant":
            # A shorter training is the whole in small: it warms up and cools down as well.
            warmup = round(config.warmup_steps * trial.steps / config.steps)
            changes["training.warmup_steps"] = warmup
        return recipe.override(changes)

    def _run(self, trial):
        """Trains a trial and writes down what came of it."""
        folder = self.logdir / trial.name
        self.say(f"{trial.name}: {trial.steps} steps, {settings(trial.changes)}")
        started = time.perf_counter()
        # Layers' names are counted on from model to model otherwise, and memory is kept.
        keras.backend.clear_session()
        try:
            recipe = self.recipe_of(trial)
            train(
                recipe.override(QUIET),
                folder,
                resume=self._begin(trial, recipe, folder),
                progress=False,
                shown=tuple(trial.changes),
                data=self.data,
            )
            trial.loss = read_json(folder / BEST, 1 << 16)["loss"]
            if trial.loss is None:
                trial.error = "No validation gave a finite loss"
        except KeyboardInterrupt:
            again = f"tfgen tune --resume --logdir {self.logdir}"
            if self.data is not None:
                again = f"tune(None, {str(self.logdir)!r}, resume=True, data=...)"
            self.say(f"Stopped. Go on with: {again}")
            raise
        except (InputError, MemoryError, tf.errors.ResourceExhaustedError) as error:
            if isinstance(error.__cause__, OSError):
                raise  # a full disk is no trial's fault
            message = str(error) or type(error).__name__
            trial.error = message.splitlines()[0]
        trial.seconds = time.perf_counter() - started
        if trial.loss is None:
            self.say(f"{trial.name} failed: {trial.error}")
            return
        best = min(each.loss for each in [*self.trials, trial] if each.loss is not None)
        self.say(
            f"{trial.name}: validation {trial.loss:.4f}, best {best:.4f}, {trial.seconds:.0f} s"
        )

    def _begin(self, trial, recipe, folder):
        """Makes the folder ready; returns whether there is a run in it that goes on."""
        if _has_checkpoint(folder):
            return True
        shutil.rmtree(folder, ignore_errors=True)
        # At a constant rate a longer training begins as a shorter one did. Where it falls, it had
        # fallen too early.
        if trial.parent is not None and recipe.training.schedule == "constant":
            parent = self.logdir / self.trials[trial.parent].name
            if _has_checkpoint(parent):
                with atomic_folder(folder) as temporary:
                    left = shutil.ignore_patterns("final", BEST)
                    shutil.copytree(parent, temporary, dirs_exist_ok=True, ignore=left)
                return True
        return False

    def _check_same(self, trial, record):
        """A trial that was done must be the one that is proposed now."""
        was = (record["drawn"], record["steps"], record["parent"])
        now = (trial.drawn, trial.steps, trial.parent)
        if was != now:
            raise InputError(
                f"{self.logdir / SEARCH}: {trial.name} was {was} and would be {now} now, by other "
                "versions of the libraries: begin a new search"
            )

    def _check_failures(self):
        last = self.trials[-MAX_FAILED:]
        if len(last) < MAX_FAILED or any(trial.loss is not None for trial in last):
            return
        # They are tried again when the search goes on, for the cause may be gone.
        del self.trials[-MAX_FAILED:]
        self._write()
        raise InputError(
            f"{MAX_FAILED} trials in a row failed, the last one, {last[-1].name}: {last[-1].error}"
        )

    def _write(self):
        plan = self.plan
        content = {
            "recipe": plan.recipe.to_dict(),
            "space": _tables(plan.space),
            "method": plan.method,
            "trials": plan.trials,
            "seed": plan.seed,
            "done": [dataclasses.asdict(trial) for trial in self.trials],
        }
        with atomic_file(self.logdir / SEARCH) as temporary:
            temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")

    def _best(self):
        """Returns the trial of the least loss, the first of several; None if all failed."""
        finished = [trial for trial in self.trials if trial.loss is not None]
        return min(finished, key=lambda trial: trial.loss, default=None)

    def _tidy(self, ended=False):
        """Removes the checkpoints of trials that are done, and all models but the best."""
        best = self._best()
        for trial in self.trials:
            folder = self.logdir / trial.name
            if trial is not best:
                shutil.rmtree(folder / "final", ignore_errors=True)
            if ended or not self._may_go_on(trial):
                shutil.rmtree(folder / "checkpoints", ignore_errors=True)

    def _may_go_on(self, trial):
        """Whether Hyperband may have the trial trained on from its checkpoint."""
        if self.plan.method != "hyperband" or trial.loss is None:
            return False
        recipe = self.plan.recipe.override(trial.changes)
        return recipe.training.schedule == "constant" and trial.steps < recipe.training.steps

    def _finish(self):
        best = self._best()
        if best is None:
            raise InputError(f"No trial of {self.logdir} succeeded: {self.trials[-1].error}")
        self._tidy(ended=True)
        path = self.logdir / BEST_RECIPE
        self.recipe_of(best).save(path)
        return Search(self.logdir, self.trials, best, path)


def settings(changes):
    """Returns the settings of a trial as people write them."""
    return ", ".join(f"{key}={value}" for key, value in changes.items())


def _has_checkpoint(folder):
    return any((folder / "checkpoints").glob("step-*.npz"))
