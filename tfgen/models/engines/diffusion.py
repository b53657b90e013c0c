"""`Diffusion`: sequences of numbers drawn from noise, all positions at once."""

import contextlib
import functools

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.errors import InputError, unknown
from tfgen.export import Function
from tfgen.layers.checks import check_kind
from tfgen.models.engines.denoiser import DISTILLED, OF_DENOISERS, Denoiser
from tfgen.models.engines.diffusion_graphs import FILLERS, SCORES, DiffusionGraphs
from tfgen.models.engines.diffusion_runs import METROPOLIS, MOST_ROWS, Choices, Runs, batch_size
from tfgen.models.engines.diffusion_windows import SOLVERS, plan_of
from tfgen.models.first_calls import FirstCalls
from tfgen.models.numbers.channels import ChannelEmission
from tfgen.models.numbers.context import SequenceContext
from tfgen.models.parts import made_of_parts
from tfgen.models.serving import constant
from tfgen.networks.causal import refuse_small_weights, weight_seed
from tfgen.recipe import DiffusionSampling
from tfgen.sampling import random
from tfgen.sampling.rows import in_turn
from tfgen.sampling.windows import begin
from tfgen.values import whole_number

# Sequences that are drawn at once: what more there are is drawn in turn.
ROWS = MOST_ROWS


@keras.saving.register_keras_serializable(package="tfgen")
class Diffusion:
    """Runs from noise to sequences, and back, of a denoiser.

    A whole run is one compiled loop over the noise levels. The first call compiles it, and so does
    another length; another number of steps does not, nor another number of samples: one is drawn
    alone, more go through the loop 4 at a time, and more than 32 as the next of 64, 128 and 256.

    Args:
        denoiser: A `Denoiser`.
    """

    kind = "diffusion"  # of `tfgen.uses.ENGINES`
    loss_is_likelihood = False
    draws_in_order = False
    rows_at_once = ROWS  # futures, for their memory
    history = 0  # positions before a window that are of use to it
    max_positions = None
    # A loss of differences of noise has no state to carry.
    state_is_constant = False
    jit_compile_training = True

    def __init__(self, denoiser):
        check_kind(Denoiser, denoiser=denoiser)
        self.denoiser = denoiser
        self.network, self.emission = denoiser.network, denoiser.emission
        self.context, self.positions = denoiser.context, denoiser.emission.positions
        self.processor = self.positions.processor
        self.refusals = dict.fromkeys(OF_DENOISERS, DISTILLED) if denoiser.distilled else {}
        self._progress = None
        self.runs = Runs(denoiser, lambda done, total: self._progress(done, total))
        self.graphs = DiffusionGraphs(self.runs)
        self._first_call = FirstCalls()

    @classmethod
    def compose(cls, take, network):
        """Returns the engine of a class of networks; `take` is of `tfgen.models.families`."""
        emission = take(
            ChannelEmission, context=take(SequenceContext, name="context"), name="emission"
        )
        seed = weight_seed(take.shared["seed"], 50)
        network = functools.partial(take, network, seed=seed, name="unet")
        return cls(take(Denoiser, network=network, emission=emission))

    @property
    def layers(self):
        """What has weights, in the order in which these are kept."""
        return [self.context, self.network, self.emission]

    def reset_graphs(self):
        """Forgets what was compiled, after a change of what the functions read besides weights."""
        self.runs.reset()
        self.graphs.reset()
        self._first_call = FirstCalls()

    def without_xla(self):
        """Has the loops run as graphs, for a few calls that are done before XLA has compiled them.

        The samples are the same but for rounding.
        """
        self.runs.xla = False
        self.reset_graphs()

    def initial_state(self, batch_size):
        """None: no state is carried."""

    def quantize_weights(self, dtype):
        refuse_small_weights(dtype)

    # Training

    def loss(self, batch, key=None, state=None, training=False):
        """As of the `Denoiser`."""
        return self.denoiser.loss(batch, key, state, training)

    def outputs(self, batch, seed, training=False):
        """As of the `Denoiser`."""
        return self.denoiser.outputs(batch, seed)

    def activations(self, batch):
        """What the layers give for a batch: a dict from names to tensors."""
        return self.denoiser.activations(batch)

    # What a person calls; the keywords are the options

    def generate(
        self, arguments, defaults, seed, *,
        num_steps=None, solver=None, guidance_scale=None, windows=None, progress=None,
    ):  # fmt: skip
        """Samples from noise.

        Args:
            arguments: Tensors of `Positions.generate_specs` but for the sampling.
            defaults: `Defaults`.
            seed: An integer, or None for a new one.
            num_steps: Steps from noise to a sequence, at most 1000. More are nearer to the model's
                own distribution.
            solver: How a step is taken: `"dpmpp_2m"`, `"ddim"`, `"euler"`, `"heun"` (two evaluations
                a step), `"ddpm"`, `"dpmpp_2m_sde"`, `"langevin"` or `"predictor_corrector"`; see
                `tfgen.sampling.diffusion`. Of a model with `energy=True` also `"mala"`, ten
                proposals at each level; see `tfgen.sampling.langevin`.
            guidance_scale: Above 1 exaggerates the class (arXiv:2207.12598), at the cost of a second
                evaluation; 1 takes it as it is, 0 ignores it.
            windows: How a series that is longer than the training window is drawn: `"whole"`, at
                once; or window by window, each of `num_steps`: `"independent"`, `"overlap"`,
                `"temporal_noise"`, `"backward_noise"`, `"rolling"` or `"diffusion_forcing"`, if the model was trained
                with the `noise_levels` that it needs, with sizes if wanted, e.g.
                `"overlap:context=64,commit=32"`; or a `tfgen.recipe.Windows`. `"auto"` takes what
                the model was trained for; see `tfgen.sampling.windows`.
            progress: Function `(done, total)` of evaluations, called about 20 times in the course
                of the run, and with `done` equal to `total` at its end.

        Returns:
            `values` `(num_samples, length, features)`, `lengths` and `clip_fraction`, as arrays.
        """
        sampling = self._sampling(defaults, seed, num_steps, guidance_scale)
        self._check_guided(guidance_scale, arguments)
        num_samples, length = (int(arguments[name]) for name in ("num_samples", "length"))
        choices = self._choices(defaults, solver, windows, length, sampling, progress is not None)
        graph = self.graphs.get("generate", choices)
        parts, turns = [], list(in_turn(arguments, num_samples, ROWS))
        for part, own in enumerate(turns):
            begin = part * ROWS
            count = min(ROWS, num_samples - begin)
            own |= {**sampling, "num_samples": tf.constant(count)}
            own["seed"] += begin * 2**40  # another part, other noise
            place = part, len(turns)
            with self._calling(progress, place, "generate", choices, count, length):
                parts.append((count, graph(own)))
        values, lengths = (
            np.concatenate([part[name].numpy() for _, part in parts])
            for name in ("values", "lengths")
        )
        clipped = sum(count * float(part["clip_fraction"]) for count, part in parts) / num_samples
        return {"values": values, "lengths": lengths, "clip_fraction": clipped}

    def stream(
        self, told, length, defaults, seed, *,
        num_steps=None, solver=None, guidance_scale=None, windows=None,
    ):  # fmt: skip
        """An iterator of the pieces of one series, of the positions that a window adds.

        Time and memory of a piece do not depend on how many came before. Joined, they are what
        `generate` draws with the same windows.

        Args:
            told: As of `tfgen.models.numbers.told.Told.of_samples`.
            length: Positions in all.
            defaults: `Defaults`.
            seed: As for `generate`.
            num_steps, solver, guidance_scale: As for `generate`.
            windows: As for `generate`, but `"auto"` never draws the whole.
        """
        sampling = self._sampling(defaults, seed, num_steps, guidance_scale)
        self._check_guided(guidance_scale, told)
        choices = self._choices(defaults, solver, windows, None, sampling)
        if choices.windows is None:
            raise InputError("stream draws window by window. Received: windows='whole'")
        return self._pieces(choices, length, {**told, **sampling})

    def _pieces(self, choices, length, arguments):
        plan, graph = choices.windows, self.graphs.get("stream", choices)
        state = begin(plan, 1, self.emission.channels)
        run = {"state": state.x, "index": state.index}
        known = arguments.get("known")
        if known is not None:
            known = np.pad(known, [[0, 0], [plan.context, plan.size], [0, 0]])
        for done in range(0, length, plan.commit):
            if known is not None:
                arguments["known"] = tf.constant(known[:, done : done + plan.size])
            with self._first_call("stream", choices):
                run = graph({**arguments, "state": run["state"], "index": run["index"]})
            yield run["values"][0, : length - done].numpy()

    def forecast(
        self, arguments, defaults, seed, *,
        num_steps=None, method=None, resamplings=None, guidance_scale=None, progress=None,
    ):  # fmt: skip
        """Samples what comes after series: a gap at their end, filled as `impute` does.

        Of a context that is longer than what the model was trained on, the last part counts.
        """
        arguments, choices = self._filling(
            arguments, defaults, seed, num_steps, method, resamplings, guidance_scale, progress
        )
        rows = len(arguments["lengths"]) * int(arguments["num_samples"])
        horizon = int(arguments["horizon"])
        graph = self.graphs.get("forecast", choices, defaults.window)
        with self._calling(progress, (0, 1), "fill", choices, rows, horizon):
            return graph(arguments)

    def impute(
        self, arguments, defaults, seed, *,
        num_steps=None, method=None, resamplings=None, guidance_scale=None, progress=None,
    ):  # fmt: skip
        """Fills the gaps of one series: an array `(num_samples, time, features)`.

        Args:
            arguments: Tensors of `Positions.series_specs`, and `num_samples`.
            defaults: `Defaults`.
            seed: As for `generate`.
            num_steps: As for `generate`.
            method: `"network"` is what a model with `infilling` does by itself, and then the
                default. Any model can do without: `"repaint"`, else the default, comes back to each
                noise level several times (arXiv:2201.09865); `"guidance"` follows the gradient of
                how well the estimate reconstructs what was observed (PiGDM, ICLR 2023), whose
                gradient each evaluation takes.
            resamplings: Of `"repaint"` alone: how often each step is taken, U in the paper.
            guidance_scale: As for `generate`.
            progress: As for `generate`.
        """
        arguments, choices = self._filling(
            arguments, defaults, seed, num_steps, method, resamplings, guidance_scale, progress
        )
        rows, time = int(arguments["num_samples"]), arguments["values"].shape[1]
        graph = self.graphs.get("impute", choices)
        with self._calling(progress, (0, 1), "fill", choices, rows, time):
            return graph(arguments)["samples"].numpy()[0]

    def score(self, arguments, defaults, *, num_steps=None, seed=0, method="ode"):
        """How likely the model finds series: by its probability-flow ODE (arXiv:2011.13456).

        The density is that of the data with noise of `sigma_min` of the scaled unit, and is
        estimated: along the way the trace of a Jacobian is, with one random probe for each
        evaluation. Categories are taken as given. Missing values do not count, but stand at their
        mean beside the others at every level: with gaps it is exact for independent values only.

        With `method="elbo"` it is a lower bound of the log-likelihood instead (arXiv:2107.00630,
        section 5), in expectation over the noise: one draw for each of `num_steps` levels, whose
        own scatter more levels make smaller.

        Args:
            arguments: Tensors of `Positions.series_specs`.
            defaults: `Defaults`.
            num_steps: Levels, at least 2; the ODE takes four evaluations each, the bound one.
            seed: Of the probes, or of the noise.
            method: `"ode"` or `"elbo"`.
        """
        sampling = self._sampling(defaults, seed, num_steps, None, least=2)
        if method not in SCORES:
            raise unknown("method", method, SCORES)
        own = {name: sampling[name] for name in ("seed", "num_steps")}
        return self.graphs.get("score", method)({**arguments, **own})

    def encode(self, arguments, defaults, *, num_steps=None):
        """The latents of series: the noise from which the model's ODE leads to each of them.

        An array `(batch, positions, channels)` of about unit variance. `decode` turns it back;
        between two latents, `tfgen.sampling.inversion.interpolate` leads. `num_steps` are the
        levels that the ODE goes through, at least 2; two evaluations each.
        """
        steps = self._sampling(defaults, 0, num_steps, None, least=2)["num_steps"]
        return self.graphs.get("encode")({**arguments, "num_steps": steps})["latents"].numpy()

    def decode(self, arguments, defaults, *, num_steps=None):
        """The series of latents: the opposite of `encode`, up to the error of the steps."""
        steps = self._sampling(defaults, 0, num_steps, None, least=2)["num_steps"]
        return self.graphs.get("decode")({**arguments, "num_steps": steps})["values"].numpy()

    def denoise(self, arguments, defaults):
        """What noisy series are taken for; `arguments` have a `sigma` for each."""
        return self.graphs.get("denoise")(arguments)["values"].numpy()

    def functions(self, defaults):
        """What is served: `Function`s of tensors in the data's units."""
        solver, filler = self._solver(defaults, None), self._filler(defaults, None)

        def plan(windows, length):
            return plan_of(self.denoiser, windows, defaults.window, length, solver)

        usual = defaults.generation.windows
        choices = {
            "generate": (Choices(solver, windows=plan(usual, 0)),),
            "forecast": (Choices(filler), defaults.window),
            "impute": (Choices(filler),),
            "score": (SCORES[0],),
            "encode": (),
            "decode": (),
            "denoise": (),
        }
        if not self.processor.ends and defaults.window is not None and solver in SOLVERS:
            go_on = plan("auto" if usual == "whole" else usual, None)
            choices["stream"] = (Choices(solver, windows=go_on),)
        found = [
            Function(name, self.graphs.get(name, *own), self.graphs.specs(name))
            for name, own in choices.items()
            if name not in self.refusals
        ]
        if "stream" in choices:  # whoever calls it sees the size of a state
            shape = [None, go_on.size, self.emission.channels]
            found[-1].specs["state"] = tf.TensorSpec(shape, tf.float32)
        return found

    def serving_defaults(self, defaults):
        """The defaults of the inputs of `functions` that say how is sampled."""
        steps = defaults.generation.num_steps
        return {
            "guidance_scale": constant(float(defaults.generation.guidance_scale)),
            "num_steps": constant(steps),
            # What follows the ODE needs two levels.
            **{
                f"{each}.num_steps": constant(max(2, steps))
                for each in ("score", "encode", "decode")
            },
            "resamplings": constant(defaults.generation.resamplings),
        }

    # What a person gave, as tensors and choices

    def _sampling(self, defaults, seed, num_steps, guidance_scale, least=1):
        options = DiffusionSampling.of(
            defaults.generation, num_steps=num_steps, guidance_scale=guidance_scale
        )
        return {
            "seed": random.call_seed(seed),
            "num_steps": tf.constant(whole_number("num_steps", options.num_steps, least)),
            "guidance_scale": tf.constant(options.guidance_scale),
        }

    def _choices(self, defaults, solver, windows, length, sampling, reports=False):
        """The `Choices` of a function that draws from nothing."""
        solver = self._solver(defaults, solver)
        chosen = defaults.generation.windows if windows is None else windows
        plan = plan_of(self.denoiser, chosen, defaults.window, length, solver)
        return Choices(solver, reports, _is_guided(sampling), plan)

    def _check_guided(self, guidance_scale, arguments):
        """Refuses a scale that a person gave where there is nothing to exaggerate."""
        if guidance_scale in (None, 1):
            return
        if not self.processor.num_classes:
            raise InputError(
                "guidance_scale is for models trained with classes; this one has none. "
                f"Received: guidance_scale={guidance_scale!r}"
            )
        if (arguments["condition"].numpy() < 0).all():
            raise InputError(
                "guidance_scale does nothing without a condition. "
                f"Received: guidance_scale={guidance_scale!r}"
            )

    def _filling(
        self, arguments, defaults, seed, num_steps, method, resamplings, guidance_scale, progress
    ):
        """The arguments of a function that fills gaps, with its sampling, and its `Choices`."""
        filler = self._filler(defaults, method)
        if resamplings is not None and filler != "repaint":
            used = "guidance" if filler in FILLERS else "network"
            raise InputError(
                f"resamplings is for method='repaint', and gaps are filled by '{used}' here. "
                f"Received: resamplings={resamplings!r}"
            )
        options = DiffusionSampling.of(defaults.generation, resamplings=resamplings)
        sampling = self._sampling(defaults, seed, num_steps, guidance_scale)
        self._check_guided(guidance_scale, arguments)
        arguments = {**arguments, **sampling, "resamplings": tf.constant(options.resamplings)}
        return arguments, Choices(filler, progress is not None, _is_guided(sampling))

    def _solver(self, defaults, solver):
        solver = DiffusionSampling.of(defaults.generation, solver=solver).solver
        if solver == METROPOLIS and not self.denoiser.energy:
            raise InputError(
                f"solver='{METROPOLIS}' needs a model that was made with energy=True. "
                f"Received: solver='{solver}'"
            )
        return solver

    def _filler(self, defaults, method):
        """The solver that fills gaps by a method: one of `FILLERS`, or that of the network."""
        if method is None:
            method = "network" if self.denoiser.infilling else "repaint"
        if method not in (*FILLERS, "network"):
            raise unknown("method", method, (*FILLERS, "network"))
        if method in FILLERS:
            return method
        if not self.denoiser.infilling:
            raise InputError(
                "method='network' needs a model that was trained with infilling above 0. "
                "Received: method='network'"
            )
        return self._solver(defaults, None)

    @contextlib.contextmanager
    def _calling(self, progress, place, name, choices, rows, *sizes):
        """Surrounds a run, which is one of several equal parts, and tells of its progress.

        Args:
            progress: As a person gave it, or None.
            place: The number of the part, and how many there are.
            name: What is compiled, with its `choices`, for so many `rows` and `sizes`.
        """
        (part, parts), last = place, 0
        with self._first_call(name, choices, int(batch_size(rows)), *sizes) as compiled:

            def report(done, total):
                nonlocal last
                compiled()
                if done > last:  # several batches share the evaluations of one
                    last = done
                    progress(part * total + done, parts * total)

            self._progress = report
            yield

    def get_config(self):
        return constructor_config(self)

    from_config = made_of_parts


def _is_guided(sampling):
    return float(sampling["guidance_scale"]) != 1
