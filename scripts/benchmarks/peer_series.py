"""tfgen's models of numbers, used as its users do."""

import itertools

from tfgen.startup import import_tensorflow

import_tensorflow()

import numpy as np  # noqa: E402

from tfgen import zoo  # noqa: E402
from tfgen.models.recurrent_series import RecurrentSeriesGenerator  # noqa: E402
from tfgen.preprocessing import SequenceProcessor  # noqa: E402

# Sequences and positions that the peers are compared on.
CHECKED = 3, 12


def rollout(sizes):
    """Whole calls of `model.generate`."""
    model = build(sizes)
    seeds = itertools.count()

    def run():
        values = model.generate(num_samples=sizes.batch, length=sizes.steps, seed=next(seeds))
        return values.shape[0] * values.shape[1]

    return run, f"calls of {sizes.steps} steps"


def build(sizes):
    """The model of `SeriesSizes` with random weights."""
    return RecurrentSeriesGenerator(
        sizes.cell,
        sizes.units,
        sizes.layers,
        head="gaussian_mixture",
        components=sizes.components,
        covariance=sizes.covariance,
        processor=SequenceProcessor.plain(features=sizes.features),
        seed=0,
    )


def write_reference(sizes, path):
    """Writes the weights of `build`, and what the model makes of some numbers, as NPZ.

    The arrays: `kernel_0`, `recurrent_0`, `bias_0` and so on of the layers, as Keras has them;
    `head_kernel` and `head_bias`; `min_scale`; `values` `(sequences, time, features)`, and the
    head's parameters for each position given those before it, by their names; `likeliest`, the
    sequence drawn at temperature 0.
    """
    model = build(sizes)
    count, time = CHECKED
    values = np.random.default_rng(0).normal(size=[count, time, sizes.features])
    values = values.astype(np.float32)
    arrays = {
        "head_kernel": model.number_head.dense.kernel,
        "head_bias": model.number_head.dense.bias,
        "min_scale": model.min_scale,
        "values": values,
        "likeliest": model.generate(num_samples=1, length=time, temperature=0.0, seed=0),
        **model({"values": values})["numbers"],
    }
    for index, layer in enumerate(model.recurrent):
        arrays[f"kernel_{index}"] = layer.cell.kernel
        arrays[f"recurrent_{index}"] = layer.cell.recurrent_kernel
        arrays[f"bias_{index}"] = layer.cell.bias
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})


def forecast(entry, task, num_samples, seed):
    """Samples of a zoo entry or a run from every origin of a `ForecastTask`.

    Returns:
        `(samples, parameters, note)`: samples float32 `(origins, num_samples, horizon, variables)`.
    """
    model = zoo.get(entry)
    values, times = task.rows_before()
    drawn = model.forecast(values, task.horizon, num_samples, seed=seed, times=times)
    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return drawn.samples, parameters, f"{task.context} positions of context"
