"""`SelfForcing`: a diffusion model learns from the windows that it draws itself, one after another.

In training a window's context is data; in a long run it is what the model drew, with its errors,
which are the context of the next window's. Self-Forcing++ (arXiv:2510.02283) trains on that: roll
out windows, give one of them noise again, and let a frozen teacher that knows windows of data say
in which direction it is too unlikely. As the answers of the network become samples, runs of few
steps are enough (distribution matching distillation, arXiv:2311.18828 and arXiv:2405.14867).
"""

import functools

import numpy as np
import tensorflow as tf

from tfgen import models
from tfgen.errors import InputError
from tfgen.models.engines.diffusion_windows import plan_of, window_given
from tfgen.models.numbers.seams import border_steps, spread_change
from tfgen.models.players import CRITIC
from tfgen.report.kinds import Samples, figure_of
from tfgen.sampling import random
from tfgen.sampling.denoising import add_noise
from tfgen.sampling.diffusion import advance, make_solver, sample, start
from tfgen.sampling.windows import WindowState, begin, close_window, held, open_window
from tfgen.training.dashboard import picture

ROLLOUTS = ("self_forcing", "teacher_regression")  # of `training.rollout`
# Strategies whose windows come to their end, and so can be judged as wholes.
STRATEGIES = ("independent", "overlap", "temporal_noise", "backward_noise")
# Purposes of the draws of a step.
_EXIT, _ROLL, _LEVEL, _AGAIN, _CRITIC = range(30, 35)
# What of a batch is told of whole sequences.
_WHOLE = ("label", "static", "scale")
# Places in the schedule from which levels are drawn: at the ends a teacher says nothing.
_LOW, _HIGH = 0.1, 0.9
_LEAST_FAR = 1e-3
_TEACHER_STEPS = 8  # of the ODE that a regression goes down
TEACHER = "teacher/"  # what the paths of its weights begin with


class Copies:
    """What a model was before a training, frozen as its teacher, and a critic that begins so.

    Args:
        model: The model.
        critic_steps: Steps of the critic for one of the model; None for no critic.

    Attributes:
        teacher, critic: Models of these weights; the latter may be None.
        critic_steps: As above.
        trained: Variables that are trained besides the model's weights.
        kept: All that a checkpoint holds besides them.
    """

    def __init__(self, model, critic_steps=None):
        self._model, self.critic_steps = model, critic_steps
        self.teacher, self.critic = self._copy(TEACHER), None
        self.trained, self.kept = [], list(self.teacher.weights)
        if critic_steps is not None:
            self.critic = self._copy(CRITIC)
            self.trained = list(self.critic.trainable_variables)
            self.kept += self.critic.weights

    def _copy(self, name):
        copy = models.build(self._model.recipe, self._model.preprocessing)
        for weight in copy.weights:
            # Optimizers tell players by their paths, and checkpoints weights.
            weight._path = name + weight.path
        return copy

    def begin(self):
        """Takes the weights that the model has now."""
        count = len(self.kept) // len(self._model.weights)
        for theirs, ours in zip(self.kept, [*self._model.weights] * count, strict=True):
            theirs.assign(ours)


class SelfForcing:
    """Windows of the model's own, corrected by what it was before.

    At each step the rows of a batch draw their next window as they would in a run, by what
    `[generation]` says of windows, steps and solver; after `rollout_windows` of them they begin
    anew, told what is told of the batch at hand. The answer W of one evaluation, drawn at random,
    is what is learned by, and no gradient goes into what came before it.

    - `self_forcing`: W moves along the difference of the answers of the teacher and of a critic,
      which learns to denoise the model's own windows, both given W with noise: the gradient of the
      reversed Kullback-Leibler divergence (arXiv:2311.18828, equations 7 and 8). The model learns
      at every few steps of the critic.
    - `teacher_regression`: W moves to where the teacher's ODE leads from W with noise. This costs
      no critic and is a surrogate: where it leads to is one likely window, and a mean of several is
      none.

    Args:
        model: A diffusion model with `noise_levels="independent"`.
        config: A `TrainingConfig` with one of `ROLLOUTS` as `rollout`.

    Attributes:
        plan: The `tfgen.recipe.Windows` of the model's runs.
        beside: The `Copies` of the model that correct it.
        loss_validates: False: of a denoiser's loss on data nothing follows for samples.

    Raises:
        InputError: If the model cannot draw windows to their end, or the recipe asks for what a
            rollout has no use for.
    """

    loss_validates = False

    def __init__(self, model, config):
        self.model, self.config, self.generation = model, config, model.generation
        self.plan = self._plan()
        self.solver = make_solver(self.generation.solver)
        matches = config.rollout == "self_forcing"
        self.beside = Copies(model, config.rollout_critic_steps if matches else None)

    def _plan(self):
        config, generation = self.config, self.generation
        denoiser = getattr(getattr(self.model, "engine", None), "denoiser", None)
        received = f"Received: training.rollout='{config.rollout}'"
        if denoiser is None or denoiser.noise_levels != "independent":
            raise InputError(
                f"training.rollout={config.rollout} is for diffusion models that draw window by "
                f"window, which were trained with model.noise_levels=independent. {received}"
            )
        if denoiser.energy:
            raise InputError(f"training.rollout is for networks, and no energies. {received}")
        if denoiser.emission.positions.processor.known_names:
            raise InputError(
                "training.rollout goes on beyond the windows of the data, where nothing is known "
                f"of data.known. {received}"
            )
        if generation.guidance_scale != 1:
            raise InputError(
                "training.rollout draws as the model does by itself. Received: "
                f"generation.guidance_scale={generation.guidance_scale}"
            )
        if config.accumulate > 1:
            raise InputError(
                "training.accumulate takes a batch in parts, and the windows that are rolled out "
                f"are one state of it. Received: training.accumulate={config.accumulate}"
            )
        if generation.solver == "heun":
            raise InputError(
                "training.rollout takes solvers of one evaluation a step. "
                f"Received: generation.solver='{generation.solver}'"
            )
        plan = plan_of(denoiser, generation.windows, config.window, None, generation.solver)
        if plan is None or plan.strategy not in STRATEGIES:
            raise InputError(
                f"training.rollout needs windows that are drawn to their end: "
                f"{', '.join(STRATEGIES)}. Received: generation.windows='{generation.windows}'"
            )
        return plan

    def follow(self, step):
        """As of a model."""
        self.model.follow(step)

    def initial_state(self, batch):
        """Windows that have not begun.

        Args:
            batch: A batch of all rows.
        """
        told = self._told(self.model.unpack(batch))
        rows = batch["values"].shape[0]
        state = begin(self.plan, rows, self.model.engine.emission.channels)
        told = tf.nest.map_structure(tf.zeros_like, told)
        return {"index": tf.zeros([rows], tf.int32), "x": state.x, "told": told}

    def _told(self, batch):
        """What is told of the windows of a batch, of which the first begins where the data do."""
        told = {name: batch[name] for name in _WHOLE if name in batch}
        if self.model.processor.needs_times:
            told["start_time"] = batch["times"][:, 0]
        return told

    def watch(self, windows, state):
        """What writes to TensorBoard: a `RolloutWatch`."""
        return RolloutWatch(self, windows["validation"].sequences)

    # The loss

    def batch_loss(self, batch, key=None, state=None, training=False):
        """As of a model: see `tfgen.models.base.SequenceGenerator`."""
        total, count, state = self.batch_total(batch, key, state, training)
        return tf.math.divide_no_nan(total, count), state

    def batch_total(self, batch, key=None, state=None, training=False):
        """As of a model, the state being that of the windows that are rolled out."""
        index = state["index"][0] % self.config.rollout_windows
        anew = index == 0
        told = tf.nest.map_structure(
            lambda new, old: tf.where(anew, new, old), self._told(batch), state["told"]
        )
        window = WindowState(index, tf.where(anew, 0.0, state["x"]))
        answer, x = self.drawn(window, told, key)
        given = self._given(self.beside.teacher, window, told)
        valid = given["valid"][..., None] & tf.ones_like(x, tf.bool)
        new = tf.range(self.plan.size) >= self.plan.context
        counted = tf.cast(valid & new[:, None], tf.float32)
        count, clean = tf.reduce_sum(counted), tf.stop_gradient(answer)
        wrong = 0.0
        if self.beside.critic is None:
            wanted = self._regressed(clean, given, key)
        else:
            of_critic = self._given(self.beside.critic, window, told)
            wanted = self._matched(clean, counted, given, of_critic, key)
            sigma = self._levels(random.fold(key, _CRITIC), tf.shape(x)[:1])
            critic = self.beside.critic.engine.denoiser
            wrong = tf.math.divide_no_nan(
                *critic.error(of_critic, clean, valid, sigma, random.fold(key, _CRITIC), False)
            )
        total = tf.reduce_sum(counted * tf.square(answer - wanted)) / 2
        _, window = close_window(self.plan, window, x)
        after = {"index": tf.fill(tf.shape(x)[:1], window.index), "x": window.x, "told": told}
        return total + wrong * count, count, after

    def drawn(self, window, told, key):
        """Draws the next window.

        Args:
            window: The `WindowState` before it.
            told: Of whole sequences, and the times at which they begin.
            key: int32 `(2,)`.

        Returns:
            `(answer, x)`: what one evaluation of the run answers, of which there is a gradient; and
            the window, of which there is none.
        """
        denoiser, num_steps = self.model.engine.denoiser, self.generation.num_steps
        given, own = self._given(self.model, window, told), denoiser.self_condition
        limits, denoise = self.model.engine.runs.limits(given["valid"]), denoiser.denoiser(given)
        denoise = held(denoise, denoiser.sigma_min)
        x, levels, run_key = open_window(
            self.plan, window, denoiser.noise_schedule, num_steps, random.fold(key, _ROLL),
            lowest=self.solver.lowest,
        )  # fmt: skip

        at = tf.cast(_scalar(key, _EXIT) * num_steps, tf.int32)

        def further(run, _):  # to the one evaluation, and then to the end
            count = tf.where(run.index < at, at, num_steps) - run.index
            after = advance(denoise, run, levels, self.solver, run_key, count, limits, own)
            kept = tf.nest.map_structure(functools.partial(tf.where, run.index < at), after, run)
            return after, kept

        # A loop, so that the network is compiled once for both.
        begun = start(x, self.solver)
        run, asked = tf.while_loop(
            lambda run, _: run.index < num_steps, further, (begun, begun), parallel_iterations=1
        )
        run, asked = tf.nest.map_structure(tf.stop_gradient, (run, asked))
        sigma = tf.broadcast_to(tf.gather(levels, at)[None, :, 0], tf.shape(x)[:2])
        answer = denoise(asked.x, sigma, *((asked.previous,) if own else ()))
        return answer, run.x

    def _given(self, model, window, told):
        """What the denoiser of a model is given of the next window."""
        denoiser = model.engine.denoiser
        given = window_given(denoiser, self.plan, window, told)
        covariates = denoiser.covariates(given["covariates"], given["valid"], {})
        return {**given, "covariates": covariates}

    def _levels(self, key, shape):
        places = _place(random.uniform(random.fold(key, _LEVEL), shape))
        return self.model.engine.denoiser.noise_schedule.sigma(places)

    def _matched(self, clean, counted, given, of_critic, key):
        """Where the difference between teacher and critic leads to from a window.

        In units of how far the teacher moves each row (arXiv:2311.18828, equation 8).
        """
        sigma = self._levels(key, tf.shape(clean)[:1])
        noise = random.normal(random.fold(key, _AGAIN), tf.shape(clean))
        x = add_noise(clean, noise, sigma)
        real = self.beside.teacher.engine.denoiser.denoiser(given)(x, sigma)
        fake = self.beside.critic.engine.denoiser.denoiser(of_critic)(x, sigma)
        far = tf.reduce_sum(counted * tf.abs(clean - real), axis=[1, 2], keepdims=True)
        far /= tf.reduce_sum(counted, axis=[1, 2], keepdims=True)
        return tf.stop_gradient(clean - (fake - real) / tf.maximum(far, _LEAST_FAR))

    def _regressed(self, clean, given, key):
        """Where the teacher's ODE leads to from a window with noise, of one level for all rows."""
        schedule = self.model.engine.denoiser.noise_schedule
        place = _place(_scalar(key, _LEVEL))
        sigmas = schedule.sigma(place * tf.linspace(1.0, 0.0, _TEACHER_STEPS))
        noise = random.normal(random.fold(key, _AGAIN), tf.shape(clean))
        denoise = self.beside.teacher.engine.denoiser.denoiser(given)
        x = clean + sigmas[0] * noise
        return tf.stop_gradient(sample(denoise, x, tf.concat([sigmas, [0.0]], axis=0), "ddim"))


def _place(uniform):
    return _LOW + (_HIGH - _LOW) * uniform


def _scalar(key, purpose):
    """A uniform number that all devices and parts of a batch draw alike."""
    return random.to_uniform(random.fold(random.fold(key, purpose), 0)[0])


class RolloutWatch:
    """Writes how the model's own windows change along a long run, and draws some.

    Args:
        objective: A `SelfForcing`.
        held_out: `tfgen.data.Sequences` whose static features the windows are told.
    """

    def __init__(self, objective, held_out):
        self._model, self._plan = objective.model, objective.plan
        processor, self._told = self._model.processor, {}
        if processor.classes:
            self._told["condition"] = [n % len(processor.classes) for n in range(_ROWS)]
        if processor.static_names:
            self._told["static"] = np.resize(held_out.static, (_ROWS, held_out.static.shape[1]))

    def write(self, writer, step):
        """Writes it."""
        length = _WATCHED * self._plan.commit
        given = {"num_samples": _ROWS, "length": length, "windows": self._plan, "seed": 0}
        x = np.stack(self._model.generate(**given, **self._told))
        shown = {
            "change_of_spread": (spread_change(x), _CHANGE),
            "steps_at_borders": (border_steps(x, self._plan.commit), _BORDERS),
        }
        with writer.as_default(step):
            for name, (value, description) in shown.items():
                tf.summary.scalar(f"rollout/{name}", value, description=description)
            some = Samples(list(x[:_DRAWN]), self._model.processor.features)
            picture("rollout/windows", figure_of(self._model.processor.kind, some, quick=True))


_ROWS, _WATCHED, _DRAWN = 8, 24, 2  # sequences, windows of each, and those that are drawn
_CHANGE = "Mean over columns of |standard deviation of the last third over that of the first - 1|"
_BORDERS = "Squared steps across the borders of windows over those within: 1 without seams"
