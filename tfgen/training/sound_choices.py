"""`sound_choices`: sound as the zoo's own models tell it, by its sample rate and lengths."""

import math

import numpy as np

# Whoever says one of these tells sound in another way, to which the rest does not belong.
OTHERWISE = ("model.head", "model.bins", "preprocessing.scaler")
# Of these only together: one that is said leaves the other to the family.
_TOGETHER = ("model.width", "model.heads"), ("training.optimizer", "training.learning_rate")
# As of zoo/transformer-drums and zoo/unet1d-drums, whose sound has 16,000 samples a second.
_RATE = 16_000
_FRAME = {"autoregressive": 128, "diffusion": 32, "adversarial": 64}
# Frames of a window at most: what a step takes grows with them.
_MOST_FRAMES = {"autoregressive": 256, "diffusion": 1024, "adversarial": 256}
# Of the root mean square of all samples: what is quieter does not count, or counts less.
_QUIET, _COMPANDED = 0.1, 0.15
_LEAST = 1e-4  # of full scale
_TRAINING = {
    "transformer": {
        "optimizer": "muon", "learning_rate": 0.004, "batch_size": 16, "ema": 0.98,
        "validate_every": 100,
    },
    "recurrent": {"batch_size": 16, "ema": 0.98},
    "unet": {"learning_rate": 0.0015, "batch_size": 8, "ema": 0.998},
    "game": {"batch_size": 16},
}  # fmt: skip


def sound_choices(sequences, recipe, said, arguments, engine):
    """What a recipe of a family says of sound, where nothing else is said.

    A position is a frame of about 8 ms (a diffusion model's of 2 ms), told by its frequencies,
    relative to the loudness of the one before; a window has room for the longest clip, as far as
    there are no more than 256 frames (1,024).

    Args:
        sequences: `Sequences` of sound.
        recipe: The `Recipe`.
        said: The keys that a person has set.
        arguments: Names of what the family takes.
        engine: `"autoregressive"`, `"diffusion"` or `"adversarial"`.

    Returns:
        A dict of changes by the recipe's keys; empty for a family that has no frames.
    """
    if "frame" not in arguments:
        return {}
    rate = sequences.sample_rate or _RATE
    frame = recipe.model.get("frame", _near(_FRAME[engine] * rate / _RATE))
    loud = np.sqrt(np.mean(np.square(np.concatenate(sequences.values), dtype=np.float64)))
    longest = max(map(len, sequences.values))
    window = frame * min(-(-longest // frame), _MOST_FRAMES[engine])
    changes = {"preprocessing.scaler": "none", "model.frame": frame}
    if engine != "autoregressive":
        changes["model.companding"] = _rounded(_COMPANDED * loud)
        training, augment = "game", ["gain=6", "flip=0.5", "pitch=1"]
        if engine == "diffusion":
            training = "unet"
            changes |= {
                "model.width": 64, "model.multipliers": [1, 1, 2, 4], "model.dropout": 0.05,
            }  # fmt: skip
        if longest > window:  # a whole one has no room
            changes["generation.length"] = window
    else:
        changes |= {
            "model.head": "gaussian_mixture", "model.components": 4, "model.min_scale": 0.1,
            "model.local_scale": _rounded(_QUIET * loud), "model.dropout": 0.1,
        }  # fmt: skip
        transformer = "heads" in arguments
        if transformer:
            changes |= {"model.width": 192, "model.heads": 6, "model.qk_norm": True}
        training, augment = "transformer" if transformer else "recurrent", ["gain=6", "flip=0.5"]
    changes |= {
        "training.window": window,
        "training.augment": augment,
        **{f"training.{key}": value for key, value in _TRAINING[training].items()},
    }
    left = {*said, *(key for pair in _TOGETHER if said.intersection(pair) for key in pair)}
    return {key: value for key, value in changes.items() if key not in left}


def _near(number):
    """The power of two that is nearest by ratio, at least 1."""
    return 2 ** max(0, round(math.log2(number)))


def _rounded(number):
    """A share of full scale, to one digit."""
    return float(f"{max(number, _LEAST):.1g}")
