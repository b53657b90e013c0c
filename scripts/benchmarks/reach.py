"""How long a training takes to a validation loss: the recipes, the text and the clock.

Imports neither TensorFlow nor PyTorch, because each contestant's process imports it.
"""

import time
from pathlib import Path

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
TFGEN = {
    "layers": 4, "heads": 4, "width": 128, "window": 64, "batch": 12, "steps": 360,
    "learning_rate": 1e-2, "final_learning_rate": 2e-4, "warmup_steps": 30, "beta_2": 0.99,
    "weight_decay": 0.1, "clip_norm": 1.0, "validate_every": 50, "optimizer": "muon",
    "positions": "rotary", "norm": "rms", "qk_norm": True, "conv": 4,
}  # fmt: skip
# Validation is the same for both: batches of so many crops of so many tokens.
BATCH, WINDOW = NANOGPT["batch"], NANOGPT["window"]
TRAIN_FRACTION = 0.9
# Validations whose mean is taken after the clock has stopped: of many looks at noisy estimates the
# luckiest ends the race.
CONTROLS = 10


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
            raise InputError(
                f"--text: each part needs {needed} characters. Received: {path} with {len(text)}"
            )


class Crops:
    """Random crops of `window` tokens and one more, the last target, as nanoGPT draws them."""

    def __init__(self, ids, window, seed):
        self._ids = ids
        self._offsets = np.arange(window + 1)
        self._generator = np.random.default_rng(seed)

    def draw(self, count):
        """Returns int64 `(count, window + 1)`."""
        starts = self._generator.integers(len(self._ids) - len(self._offsets) + 1, size=count)
        return self._ids[starts[:, None] + self._offsets]


def race(make, path, recipe, target, batches, seed):
    """Trains until a validation loss is reached, on the clock.

    The clock includes `make`, what is compiled at first steps, and the validations.

    Args:
        make: Function of the text's characters that builds model and optimizer; returns `(step,
            loss)`: `step(number, windows)` takes step number 1, 2, ...; `loss(windows)` returns the
            loss. Windows are int64 `(count, window + 1)`.
        path: Of the text.
        recipe: `NANOGPT` or `TFGEN`; the last step is validated too.
        target: The loss to reach, on so many `batches`.
        batches: See above.
        seed: Of the crops.

    Returns:
        `(seconds, note)`: the note says what was reached, and the mean loss of the final weights on
        more crops, off the clock.
    """
    text = Text(path)
    training = Crops(text.train, recipe["window"], seed)
    validation = Crops(text.validation, WINDOW, seed)

    def validate():
        return loss_of(validation.draw(batches * BATCH))

    start = time.perf_counter()
    step, loss_of = make(text.characters)
    for number in range(1, recipe["steps"] + 1):
        step(number, training.draw(recipe["batch"]))
        if number % recipe["validate_every"] == 0 or number == recipe["steps"]:
            loss, seconds = validate(), time.perf_counter() - start
            if loss <= target:
                break
    control = sum(validate() for _ in range(CONTROLS)) / CONTROLS
    words = "" if loss <= target else "NOT REACHED: "
    note = f"{words}{loss:.3f} after {number:,} steps, {control:.3f} on more crops"
    return seconds, note
