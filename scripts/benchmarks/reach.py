"""How long a training takes to a validation loss: the recipes, the text and the clock.

Imports neither TensorFlow nor PyTorch, because each contestant's process imports it.
"""

import math
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfgen.errors import InputError

# nanoGPT's recipe for CPUs, as its README gives it: train_shakespeare_char.py with --device=cpu
# --compile=False --eval_iters=20 --block_size=64 --batch_size=12 --n_layer=4 --n_head=4
# --n_embd=128 --max_iters=2000 --lr_decay_iters=2000 --dropout=0.0.
NANOGPT = {
    "layers": 4, "heads": 4, "width": 128, "window": 64, "batch": 12, "steps": 2000,
    "learning_rate": 1e-3, "final_learning_rate": 1e-4, "warmup_steps": 100, "beta_2": 0.99,
    "weight_decay": 0.1, "clip_norm": 1.0, "validate_every": 250,
}  # fmt: skip
# tfgen's own: a model of that size, whose positions, convolution and optimizer bring it there in
# fewer steps.
TFGEN = NANOGPT | {
    "steps": 360, "learning_rate": 1e-2, "final_learning_rate": 2e-4, "warmup_steps": 30,
    "validate_every": 50, "optimizer": "muon", "positions": "rotary", "norm": "rms",
    "qk_norm": True, "conv": 4,
}  # fmt: skip
# Validation is the same for both: batches of so many crops of so many tokens.
BATCH, WINDOW = NANOGPT["batch"], NANOGPT["window"]
TRAIN_FRACTION = 0.9
# Validations whose mean is taken after the clock has stopped: of many looks at noisy estimates the
# luckiest ends the race.
CONTROLS = 10


class Goal(NamedTuple):
    """Where a race ends: at a validation `loss` on so many `batches` of a text."""

    path: str
    loss: float
    batches: int


class Text:
    """A file's `characters`, and their int64 ids: `train`, the first 90%, and `validation`."""

    def __init__(self, path):
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--text: {path} cannot be read: {error}") from error
        code_points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        found, ids = np.unique(code_points, return_inverse=True)
        self.characters = "".join(map(chr, found))
        count = int(TRAIN_FRACTION * len(ids))
        self.train, self.validation = ids[:count], ids[count:]
        needed = max(WINDOW, TFGEN["window"]) + 2
        if min(len(self.train), len(self.validation)) < needed:
            received = f"{path} with {len(text)}"
            raise InputError(f"--text: each part needs {needed} characters. Received: {received}")


def crops_of(ids, window, seed):
    """Returns a function of a count: random crops int64 `(count, window + 1)`, as nanoGPT draws
    them; the last token is the last target."""
    generator, offsets = np.random.default_rng(seed), np.arange(window + 1)

    def draw(count):
        starts = generator.integers(len(ids) - window, size=count)
        return ids[starts[:, None] + offsets]

    return draw


def learning_rate(recipe, iteration):
    """That of nanoGPT's train.py: linear to the peak, then a cosine to its end."""
    names = ("learning_rate", "final_learning_rate", "warmup_steps")
    peak, end, warmup = (recipe[name] for name in names)
    if iteration < warmup:
        return peak * (iteration + 1) / (warmup + 1)
    share = (iteration - warmup) / (recipe["steps"] - warmup)
    return end + 0.5 * (1 + math.cos(math.pi * share)) * (peak - end)


def race(make, goal, recipe, seed):
    """Trains until a validation loss is reached, on the clock.

    The clock includes `make`, what is compiled at first steps, and the validations. `make` is a
    function of the text's characters that builds model and optimizer and returns `(step, loss)`:
    `step(number, windows)` takes step number 1, 2, ...; `loss(windows)` returns the loss. Windows
    are int64 `(count, window + 1)`. The last step of the recipe is validated too.

    Returned is `(seconds, note)`: the note says what was reached, and the mean loss of the final
    weights on more crops, off the clock.
    """
    text = Text(goal.path)
    training = crops_of(text.train, recipe["window"], seed)
    validation = crops_of(text.validation, WINDOW, seed)

    def validate():
        return loss_of(validation(goal.batches * BATCH))

    start = time.perf_counter()
    step, loss_of = make(text.characters)
    for number in range(1, recipe["steps"] + 1):
        step(number, training(recipe["batch"]))
        if number % recipe["validate_every"] == 0 or number == recipe["steps"]:
            loss, seconds = validate(), time.perf_counter() - start
            if loss <= goal.loss:
                break
    control = sum(validate() for _ in range(CONTROLS)) / CONTROLS
    words = "" if loss <= goal.loss else "NOT REACHED: "
    return seconds, f"{words}{loss:.3f} after {number:,} steps, {control:.3f} on more crops"
