"""Sequences of a diffusion model that are longer than its window: how its runs go on."""

import tensorflow as tf

from tfgen.errors import InputError, unknown
from tfgen.models.engines.diffusion_runs import MOST_STEPS
from tfgen.recipe import Windows
from tfgen.sampling.diffusion import make_solver
from tfgen.sampling.windows import advance_window, begin, there
from tfgen.uses import listed

# Strategies by the noise levels that a model was trained on; the first is the best that it can do.
STRATEGIES_OF = {
    "shared": ("overlap", "temporal_noise", "independent"),
    "independent": (
        "backward_noise",
        "overlap",
        "diffusion_forcing",
        "rolling",
        "temporal_noise",
        "independent",
    ),
    "rolling": ("rolling",),
}
# Whose steps are of one level to the next, at every position by itself.
SOLVERS = ("dpmpp_2m", "dpmpp_2m_sde", "ddim", "ddpm", "euler", "heun", "consistency")


def plan_of(denoiser, chosen, window, length, solver):
    """The `Windows` in which a sequence is drawn; None draws it at once.

    Args:
        denoiser: A `Denoiser`.
        chosen: A `Windows`, or text as of `generation.windows`.
        window: Positions that the network was trained on at once; None if that is not known.
        length: Positions to draw; None is without end.
        solver: Name of the solver.

    Raises:
        InputError: For what the network was not trained for.
    """
    levels, given = denoiser.noise_levels, chosen
    able = STRATEGIES_OF[levels]
    if chosen == "auto":
        long = length is None or (window is not None and length > window)
        go_on = levels == "rolling" or length is None or (long and levels != "shared")
        chosen = able[0] if go_on else "whole"
    if chosen == "whole":
        if levels == "rolling":
            raise InputError(
                "A model with noise_levels='rolling' draws window by window, not the whole at "
                f"once. Received: windows={given!r}"
            )
        return None
    if not isinstance(chosen, Windows):
        if not isinstance(chosen, str):
            raise InputError(
                f"windows must be a name or a tfgen.recipe.Windows. Received: windows={given!r}"
            )
        chosen = Windows.parse(chosen, window)
    if denoiser.emission.positions.processor.ends:
        raise InputError(
            "windows are for series; drawings and clips end by themselves. "
            f"Received: windows={given!r}"
        )
    if chosen.strategy not in able:
        for_it = [f"'{name}'" for name in STRATEGIES_OF if chosen.strategy in STRATEGIES_OF[name]]
        raise InputError(
            f"windows='{chosen.strategy}' is for models that were trained with noise_levels="
            f"{' or '.join(for_it)}, and this one was with '{levels}': it can do "
            f"{listed(able)}. Received: windows={given!r}"
        )
    if window is not None and chosen.size > window:
        raise InputError(
            f"windows of context, commit and look_ahead have {chosen.size} positions, and the "
            f"model was trained on {window} at once. Received: windows={given!r}"
        )
    if chosen.context_sigma and levels == "shared":
        raise InputError(
            "context_sigma is for models that were trained with noise_levels='independent' or "
            f"'rolling'. Received: windows={given!r}"
        )
    if not denoiser.sigma_min < chosen.sigma_init <= denoiser.sigma_max:
        raise InputError(
            f"sigma_init must be between the model's sigma_min, {denoiser.sigma_min}, and "
            f"sigma_max, {denoiser.sigma_max}. Received: windows={given!r}"
        )
    if solver not in SOLVERS:
        raise unknown("solver of windows", solver, SOLVERS)
    return chosen


def draw_windows(runs, choices, arguments, rows, count, key):
    """Channels `(rows, count, channels)` of sequences, window after window, in one loop.

    Args:
        runs: A `Runs`.
        choices: `Choices` with windows.
        arguments: As of `Runs.draw`.
        rows: int32 scalar.
        count: int32 scalar, positions.
        key: int32 `(2,)`.
    """
    plan, channels = choices.windows, runs.emission.channels
    total = -(-count // plan.commit)
    known = arguments.get("known")
    if known is not None:
        known = tf.pad(known, [[0, 0], [plan.context, plan.size], [0, 0]])

    def body(state, parts):
        own = dict(arguments)
        if known is not None:
            place = tf.minimum(state.index * plan.commit, tf.shape(known)[1] - plan.size)
            own["known"] = known[:, place : place + plan.size]
        index = state.index
        new, state = draw_window(runs, choices, own, state, key)
        if choices.reports:
            new = runs.after_report(new, state.index, total)
        return state, parts.write(index, new)

    parts = tf.TensorArray(tf.float32, total, element_shape=[None, plan.commit, channels])
    _, parts = tf.while_loop(
        lambda state, _: state.index < total,
        body,
        (begin(plan, rows, channels), parts),
        parallel_iterations=1,
    )
    x = tf.transpose(parts.stack(), [1, 0, 2, 3])
    return tf.reshape(x, [rows, total * plan.commit, channels])[:, :count]


def draw_window(runs, choices, arguments, state, key):
    """Channels `(rows, commit, channels)` of the next window, and the `WindowState` after it.

    Args:
        runs: A `Runs`.
        choices: `Choices` with windows.
        arguments: As of `Runs.draw`; `known` is of the positions of the window.
        state: A `WindowState`.
        key: int32 `(2,)`, of the whole sequence.
    """
    plan, denoiser = choices.windows, runs.denoiser
    given = window_given(denoiser, plan, state, arguments)
    covariates = given.pop("covariates")
    # What was trained on one level for all and to fill in is told the context as it is.
    tells = bool(denoiser.infilling) and denoiser.noise_levels == "shared"

    def draw(x, levels, key):
        own, told, origin, unit = dict(given), None, 0.0, 1.0
        if tells:
            before = given["valid"] & (tf.range(plan.size) < plan.context)
            before = tf.broadcast_to(before[..., None], tf.shape(x))
            own |= denoiser.told(x, before)
            told = own["told"]
            origin, unit = own.get("units", (origin, unit))
            x = tf.where(before, told[0], x)
        own["covariates"] = denoiser.covariates(covariates, given["valid"], {}, told)
        silent = choices._replace(reports=False)
        return runs.run(silent, arguments, own, x, levels, key) * unit + origin

    return advance_window(
        draw, plan, state, denoiser.noise_schedule, arguments["num_steps"], key, MOST_STEPS + 1,
        make_solver(choices.solver).lowest,
    )  # fmt: skip


def window_given(denoiser, plan, state, arguments):
    """What is known of the positions of the next window: `valid`, `whole` and `covariates`.

    Args:
        denoiser: A `Denoiser`.
        plan: A `Windows`.
        state: A `WindowState`.
        arguments: Dict that may hold `start_time` int64 `(rows,)` or `(1,)`; `known` of the
            positions of the window; and what `SequenceContext.of_rows` takes.
    """
    positions, rows = denoiser.emission.positions, tf.shape(state.x)[0]
    times = None
    if positions.processor.needs_times:
        place = state.index * plan.commit - plan.context + tf.range(plan.size)
        times = positions.times_after(arguments["start_time"], place)
        times = tf.broadcast_to(times, [rows, plan.size])
    known = arguments.get("known")
    if known is not None:
        known = tf.broadcast_to(known, [rows, plan.size, known.shape[-1]])
    return {
        "valid": tf.broadcast_to(there(plan, state), [rows, plan.size]),
        "whole": denoiser.context.of_rows(rows, arguments)[0],
        "covariates": positions.covariates({"times": times, "known": known}, rows, plan.size),
    }
