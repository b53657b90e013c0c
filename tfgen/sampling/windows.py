"""Sequences longer than what a denoiser sees at once: window after window.

A window is `context | commit | look-ahead`: positions that are there, those that the window adds to
the sequence, and those that it draws on the way and leaves to the next window. What tells one
strategy from another is the noise level of every position at every step:

| strategy | context | commit | look-ahead |
|---|---|---|---|
| `independent` | none | from noise | none |
| `overlap` | clean | from noise | from noise, and forgotten |
| `temporal_noise` | clean | from the position before, re-noised | the same, and forgotten |
| `backward_noise` | clean | first the look-ahead of before, re-noised, then noise | from noise |
| `rolling` | clean | falls to 0 | rises with the position: arXiv:2402.09470 |
| `diffusion_forcing` | clean | each position some steps after the one before it | from noise |

`backward_noise` re-noises a model's own clean sample of positions, x0_hat + sigma_init * eps, which
is equation 1 of Self-Forcing++ (arXiv:2510.02283) in the variance-exploding form. There it is a way
to train; to begin a window with it is ours. It needs fewer steps as far as the look-ahead was a
*sample*: one evaluation's expectation has too little variance. `temporal_noise` is what the same
equation says if its t is read as the index along the sequence; docs/windows.md compares the two.

The position n counts along the sequence, the step k the evaluations of a window.

    plan = Windows("backward_noise", context=32, commit=16, look_ahead=16)
    state = begin(plan, rows=8, channels=1)
    for _ in range(10):
        new, state = advance_window(draw, plan, state, noise_schedule, num_steps=12, key=key)
"""

from typing import Any, NamedTuple

import tensorflow as tf

from tfgen.sampling import random
from tfgen.sampling.noise_schedules import places

_START, _SOLVER = 0, 1  # purposes of the draws of a window


def window_levels(plan, noise_schedule, num_steps, first, rows=None, lowest=True):
    """The noise level of each position before each step: `(rows, size, 1)`.

    Args:
        plan: A `Windows`.
        noise_schedule: A `tfgen.sampling.noise_schedules.NoiseSchedule`.
        num_steps: Evaluations of the denoiser for a window, integer or int32 scalar.
        first: bool scalar: whether no window came before.
        rows: At least `num_steps + 1`, which is the default; those after it hold -1.
        lowest: Whether what is denoised in a single window is asked for at the lowest level last.
    """
    num_steps = tf.convert_to_tensor(num_steps)
    step = tf.range(num_steps + 1 if rows is None else rows)
    return _levels_before(step[:, None], plan, noise_schedule, num_steps, first, lowest)


def _levels_before(step, plan, noise_schedule, num_steps, first, lowest):
    """`window_levels` before each of `step`, int32 `(count, 1)`."""
    behind = tf.range(plan.size)[None] - plan.context  # of the context
    done = tf.minimum(tf.cast(step, tf.float32) / tf.cast(num_steps, tf.float32), 1.0)
    if plan.strategy in ("rolling", "diffusion_forcing"):
        place = _rolling_places(plan, tf.cast(behind, tf.float32), done, first)
        levels = tf.where(place > 0, noise_schedule.sigma(tf.maximum(place, 0.0)), 0.0)
    else:
        place = places(step, num_steps, lowest)
        if plan.strategy in ("backward_noise", "temporal_noise"):
            begun = tf.cast(noise_schedule.n(plan.sigma_init), tf.float32)
            known = behind < (plan.look_ahead if plan.strategy == "backward_noise" else plan.size)
            # Each from where it begins, in as many steps.
            place = place * tf.where(known & ~first, begun, 1.0)
        levels = tf.where(step < num_steps, noise_schedule.sigma(place), 0.0)
    levels = tf.where(behind < 0, plan.context_sigma, levels)
    return tf.where(step > num_steps, -1.0, levels)[..., None]


def _rolling_places(plan, behind, done, first):
    """Places in the schedule, from 1 (the highest level) to 0, of what is not context."""
    if plan.strategy == "diffusion_forcing":
        later = 1.0 / plan.commit
        return tf.clip_by_value(
            1.0 + behind * later - done * (2.0 - later), 0.0, 1.0
        ) * tf.ones_like(done)
    ramp = (behind + 1.0) / plan.look_ahead
    end = tf.clip_by_value(ramp - plan.commit / plan.look_ahead, 0.0, 1.0)
    start = tf.where(first, 1.0, tf.minimum(ramp, 1.0))
    return start + (end - start) * done


class WindowState(NamedTuple):
    """Where a sequence of windows is.

    Attributes:
        index: int32 scalar: windows drawn.
        x: float `(rows, size, channels)`, the last of them at the levels at which it ended; zeros
            before the first.
    """

    index: Any
    x: Any


def begin(plan, rows, channels):
    """Returns the `WindowState` before the first window of so many sequences."""
    return WindowState(tf.constant(0), tf.zeros([rows, plan.size, channels]))


def there(plan, state):
    """Which positions of the next window there are, bool `(size,)`: none before the beginning."""
    return tf.range(plan.size) - plan.context + state.index * plan.commit >= 0


def advance_window(draw, plan, state, noise_schedule, num_steps, key, rows=None, lowest=True):
    """Draws the next window.

    Args:
        draw: Function `(x, levels, key)` -> x, a run from `levels[0]` to the last of the levels,
            e.g. of `tfgen.sampling.diffusion.sample`.
        plan: A `Windows`.
        state: A `WindowState`.
        noise_schedule: As of `window_levels`.
        num_steps: As of `window_levels`.
        key: int32 `(2,)`, of the whole sequence.
        rows: As of `window_levels`.
        lowest: As of `window_levels`.

    Returns:
        `(new, state)`: the positions that the window adds, float `(rows, commit, channels)`, and
        the `WindowState` after it.
    """
    x, levels, key = open_window(plan, state, noise_schedule, num_steps, key, rows, lowest)
    return close_window(plan, state, draw(x, levels, key))


def close_window(plan, state, x):
    """What `advance_window` returns when the run of a window has come to `x`."""
    x = tf.ensure_shape(x, state.x.shape)
    new = x[:, plan.context : plan.context + plan.commit]
    return new, WindowState(state.index + 1, x)


def open_window(plan, state, noise_schedule, num_steps, key, rows=None, lowest=True):
    """What the run of the next window begins with.

    Args: as of `advance_window`.

    Returns:
        `(x, levels, key)`: x at `levels[0]`, and the key of the run.
    """
    first = state.index == 0
    key = random.fold(key, state.index)
    levels = window_levels(plan, noise_schedule, num_steps, first, rows, lowest)
    # Each position is further on than in the window before, and at the level at which that ended.
    # What is new is 0, without noise.
    last = tf.convert_to_tensor(num_steps)
    ended = _levels_before(last[None, None], plan, noise_schedule, last, state.index == 1, lowest)[
        0
    ]
    ended = tf.pad(ended[plan.commit :], [[0, plan.commit], [0, 0]])
    moved = tf.pad(state.x[:, plan.commit :], [[0, 0], [0, plan.commit], [0, 0]])
    if plan.strategy == "temporal_noise":
        before, rest = tf.split(moved, [plan.context, plan.size - plan.context], axis=1)
        last = plan.correlation * before[:, -1:]
        moved = tf.concat([before, tf.broadcast_to(last, tf.shape(rest))], axis=1)
    x, ended = tf.where(first, state.x, moved), tf.where(first, 0.0, ended)
    x += _missing(levels[0], ended) * random.normal(random.fold(key, _START), tf.shape(x))
    return x, levels, random.fold(key, _SOLVER)


def _missing(wanted, level):
    """Standard deviation of the noise that lifts one level to another; 0 where that is lower."""
    # As a product, which is exactly 0 for equal levels.
    return tf.sqrt(tf.maximum((wanted - level) * (wanted + level), 0.0))


def held(denoiser, floor):
    """A denoiser `(x, sigma (batch, time))` that leaves what is clean as it is.

    Args:
        denoiser: One that was trained on levels by position, the lowest `floor`.
        floor: Level that a clean position is told to have.
    """

    def denoise(x, sigma, *previous):
        estimate = denoiser(x, tf.maximum(sigma, floor), *previous)
        return tf.where(sigma[..., None] > 0, estimate, x)

    return denoise


def raised(denoiser, noise):
    """A denoiser `(x, sigma (batch, time))` of one that knows a single level for all positions.

    The positions of lower levels are told with more noise on them, up to the highest: the context
    is replaced at every step (arXiv:2011.13456, appendix I.2).

    Args:
        denoiser: Function `(x, sigma (batch,))`.
        noise: Standard normal noise, shaped as x.
    """

    def denoise(x, sigma, *previous):
        highest = tf.reduce_max(sigma, axis=1)
        estimate = denoiser(
            x + _missing(highest[:, None], sigma)[..., None] * noise, highest, *previous
        )
        return tf.where(sigma[..., None] > 0, estimate, x)

    return denoise
