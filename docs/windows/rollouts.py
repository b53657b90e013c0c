"""How far free runs of models drift, window by window: `python docs/windows/rollouts.py RUN ...`.

Of series: free continuations of all that comes before what was held out, 20 windows long. Of text:
what an interpolated model of 5 characters, counted in the training text, makes of 20 windows of
free text, in bits a character. Each run is a folder of `tfgen train`.
"""

import collections
import sys

import numpy as np

from tfgen.data import open_text
from tfgen.data.cuts import cut_at
from tfgen.models.numbers.over_data import forecast_cuts
from tfgen.training.data import open_data
from tfgen.training.forecast_validation import crps
from tfgen.zoo import get

WINDOWS, SAMPLES, ORDER = 20, 32, 5
GROUPS = {"1": slice(0, 1), "2-5": slice(1, 5), "6-10": slice(5, 10), "11-20": slice(10, 20)}


def of_series(model):
    """Lists of CRPS, of spread and of steps, for each group of windows."""
    data, window = open_data(model.recipe, model.processor), model.recipe.training.window
    sequences, bounds = data.held
    columns = [n for n, f in enumerate(sequences.features) if not (f.is_category or f.circle)]
    places = np.array([[row, start - window] for row, (start, _) in enumerate(bounds)])
    horizon = WINDOWS * window
    cuts = cut_at(sequences, places, window + horizon)
    own = forecast_cuts(model, cuts, window, window, horizon, SAMPLES, [0])[..., columns]
    truth = cuts.values[:, window:, columns].astype(float)
    scale = np.nanstd(truth, axis=(0, 1))
    own, truth = own / scale, truth / scale
    scores = crps(own, truth).reshape(len(truth), WINDOWS, -1)
    own, truth = (x.reshape(*x.shape[:-2], WINDOWS, window, len(columns)) for x in (own, truth))

    def size(x):
        """Deviation within windows, and root mean square of steps, for each window and column."""
        others = tuple(range(x.ndim - 3))
        steps = np.sqrt(np.nanmean(np.diff(x, axis=-2) ** 2, axis=(*others, -2)))
        return np.nanmean(np.nanstd(x, axis=-2), axis=others), steps

    of_own, of_data = size(own), size(truth)
    ratios = [a / b.mean(axis=0) for a, b in zip(of_own, of_data)]
    found = {"crps": np.nanmean(scores, axis=(0, 2)), "spread": ratios[0].mean(axis=1)}
    return {**found, "steps": ratios[1].mean(axis=1)}


def of_text(model):
    """Bits a character of free text, window by window, and of the data behind it."""
    window, config = model.recipe.training.window, model.recipe.data
    source = open_text(config.name, config.column, config.validation_fraction)
    texts = ["".join(source.chunks(split)) for split in ("train", "validation")]
    bits = characters(texts[0])
    drawn = model.generate(
        "", max_new_tokens=WINDOWS * window, num_samples=SAMPLES, seed=0, temperature=1.0
    )
    own = np.mean([bits(f"\n{text}")[: WINDOWS * window] for text in drawn], axis=0)
    data = bits(texts[1][: SAMPLES * WINDOWS * window]).mean()
    return {"bits": own.reshape(WINDOWS, window).mean(axis=1), "of data": np.full(WINDOWS, data)}


def characters(text):
    """A function from a text to the bits of each character after its first, by Witten and Bell."""
    counts = [collections.defaultdict(collections.Counter) for _ in range(ORDER + 1)]
    for order, table in enumerate(counts):
        for place in range(order, len(text)):
            table[text[place - order : place]][text[place]] += 1

    def probability(before, character):
        found = 1 / len(counts[0][""])
        for order in range(min(len(before), ORDER) + 1):
            seen = counts[order].get(before[len(before) - order :])
            if seen is not None:
                total, kinds = seen.total(), len(seen)
                found = (seen[character] + kinds * found) / (total + kinds)
        return found

    return lambda text: -np.log2([
        probability(text[max(place - ORDER, 0) : place], text[place])
        for place in range(1, len(text))
    ])  # fmt: skip


for run in sys.argv[1:]:
    model = get(run)
    found = of_series(model) if hasattr(model, "processor") else of_text(model)
    for name, values in found.items():
        parts = (f"{part}: {values[where].mean():.3f}" for part, where in GROUPS.items())
        print(f"{run}  {name:8}", "  ".join(parts), flush=True)
