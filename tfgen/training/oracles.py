"""keras-tuner's searches, asked for one trial after the other.

This module imports keras-tuner, which only `tfgen tune` needs.
"""

import math
import warnings
from typing import NamedTuple

import keras_tuner
import numpy as np
from keras_tuner import oracles

# Hyperband's budgets, in parts of the full one: 1, 3 and 9 ninths.
FULL_BUDGET, FACTOR = 9, 3
# Of keras-tuner, which runs one trial at a time.
_TUNER = "tfgen"


class Proposal(NamedTuple):
    """A trial that is to be run.

    Attributes:
        drawn: From the key of a `Dimension` to what was drawn of it.
        budget: Share of the training's steps, in `FULL_BUDGET`ths; the full one except in
            Hyperband.
        parent: Number of the trial that proved good with less, or None.
    """

    drawn: dict
    budget: int
    parent: int | None


class Oracle:
    """Proposes trials, and is told what they gave.

    Trial k depends on the seed, on k and on what the trials before it gave, and on nothing else:
    an oracle that was told the same proposes the same.

    Args:
        method: A key of `METHODS`.
        space: The `Dimension`s.
        trials: How many trials at most; None, of Hyperband alone, is one round.
        seed: Integer.
        recorded: What was drawn of the trials that are done, in their order. Bayesian optimization
            need not find it again, which takes seconds a trial.
    """

    def __init__(self, method, space, trials, seed, recorded=()):
        hyperparameters = keras_tuner.HyperParameters()
        for dimension in space:
            _declare(hyperparameters, dimension)
        options = {
            "objective": keras_tuner.Objective("loss", "min"),
            "hyperparameters": hyperparameters,
            "tune_new_entries": False,
            "allow_new_entries": False,
            # Keras-tuner takes 0 for none.
            "seed": seed + 1,
            # How many are too many, the caller decides.
            "max_consecutive_failed_trials": math.inf,
        }
        if method == "hyperband":
            options |= {"max_epochs": FULL_BUDGET, "factor": FACTOR}
            options["hyperband_iterations"] = 1 if trials is None else None
        if method == "bayesian":
            options["num_initial_points"] = initial_points(space)
        self._oracle = METHODS[method](**options)
        self._oracle.max_trials = trials
        self._oracle.verbose = 0
        self._oracle.dimensions = {dimension.key: dimension for dimension in space}
        self._oracle.recorded = recorded
        self._keys = [dimension.key for dimension in space]
        self._imputes = method == "bayesian"
        self._losses = []

    def ask(self):
        """Returns the next `Proposal`, or None at the end of the search."""
        with warnings.catch_warnings():
            # Of fits that stopped early, and of Python's own names that keras-tuner uses.
            warnings.simplefilter("ignore")
            self._trial = self._oracle.create_trial(_TUNER)
        if self._trial.status != "RUNNING":
            return None
        values = self._trial.hyperparameters.values
        parent = values.get("tuner/trial_id")
        return Proposal(
            {key: values[key] for key in self._keys},
            values.get("tuner/epochs", FULL_BUDGET),
            None if parent is None else int(parent),
        )

    def tell(self, loss):
        """Says what the proposal of the last `ask` gave; None if it failed."""
        if loss is not None:
            self._losses.append(loss)
        elif self._imputes and self._losses:
            # The model of the losses passes over a failure, and would propose its place again.
            loss = max(self._losses)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if loss is not None:
                self._oracle.update_trial(self._trial.trial_id, {"loss": loss})
            self._trial.status = "FAILED" if loss is None else "COMPLETED"
            self._oracle.end_trial(self._trial)


def initial_points(space):
    """How many trials Bayesian optimization draws at random before it has a model of the losses."""
    return 2 * len(space) + 1


def _declare(hyperparameters, dimension):
    """Adds a dimension to keras-tuner's; of choices, it draws the position."""
    if dimension.choices:
        hyperparameters.Choice(dimension.key, list(range(len(dimension.choices))))
        return
    kind = hyperparameters.Int if dimension.whole else hyperparameters.Float
    kind(
        dimension.key,
        dimension.low,
        dimension.high,
        step=dimension.step,
        sampling="log" if dimension.log else "linear",
    )


class _Proposing:
    """What tfgen changes in keras-tuner's oracles."""

    def populate_space(self, trial_id):
        return self._legal(super().populate_space(trial_id))

    def _legal(self, answer):
        for key, value in (answer.get("values") or {}).items():
            if key in self.dimensions:
                answer["values"][key] = self.dimensions[key].legal(value)
        return answer

    # What there is to keep of a search, its owner keeps.
    def save(self):
        pass

    def _save_trial(self, trial):
        pass


class _Random(_Proposing, oracles.RandomSearchOracle):
    pass


class _Hyperband(_Proposing, oracles.HyperbandOracle):
    pass


class _Bayesian(_Proposing, oracles.BayesianOptimizationOracle):
    def populate_space(self, trial_id):
        number = len(self.trials)
        if number < len(self.recorded):
            return {"status": "RUNNING", "values": dict(self.recorded[number])}
        # Both go on from trial to trial in keras-tuner, which would have to be remembered.
        self._random_state = np.random.default_rng([self.seed, number, 0])
        self._seed_state = int(np.random.default_rng([self.seed, number, 1]).integers(2**31))
        answer = super().populate_space(trial_id)
        if answer["status"] == "RUNNING" and self._duplicate(answer["values"]):
            # Where values are few, the best place by the model may be one that is known.
            answer = self._legal(self._random_populate_space())
        return answer


METHODS = {"bayesian": _Bayesian, "hyperband": _Hyperband, "random": _Random}
