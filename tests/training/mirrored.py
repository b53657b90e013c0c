"""Run by test_devices.py in a process with two logical CPUs: prints how far two devices are from one."""

import json
import sys

import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

from tfgen import models  # noqa: E402
from tfgen.recipe import Recipe  # noqa: E402
from tfgen.training.adapters import Adapters  # noqa: E402
from tfgen.training.data import open_data  # noqa: E402
from tfgen.training.devices import open_devices  # noqa: E402
from tfgen.training.optimizers import make_optimizer  # noqa: E402
from tfgen.training.step import Step  # noqa: E402


def steps(recipe, data, devices, count=3):
    """Losses, and weights and state afterwards."""
    with devices.scope():
        model = models.build(recipe, data.preprocessing, recipe.training.precision)
        optimizer = make_optimizer(recipe.training)
        adapters = Adapters(model, recipe.training)
        optimizer.build(adapters.variables)
    before = [weight.numpy() for weight in model.trainable_variables]
    step = Step(model, optimizer, recipe.training, recipe.training.batch_size, adapters, devices)
    carry = recipe.training.carry_state
    state = model.initial_state(recipe.training.batch_size) if carry else None
    losses = []
    for k in range(count):
        batch = tf.nest.map_structure(tf.constant, data.windows["train"].batch(k))
        loss, norms, state = step(batch, state if carry else None)
        losses += [float(loss), *norms.numpy()]
    after = [weight.numpy() for weight in model.trainable_variables]
    scale = step.loss_scale
    return {
        "moved": max(float(np.abs(a - b).max()) for a, b in zip(after, before)),
        "scale": None if scale is None else float(scale.numpy()),
        "losses": np.array(losses),
        "weights": after,
        "state": [part.numpy() for part in tf.nest.flatten(state)] if carry else [],
    }


def main():
    found = {}
    for name, (family, settings) in json.loads(sys.argv[1]).items():
        recipe = Recipe(family).override(settings)
        data = open_data(recipe)
        type(models.build(recipe, data.preprocessing)).jit_compile_training = name == "compiled"
        one, two = (steps(recipe, data, open_devices(kind)) for kind in ("one", "mirrored"))
        pairs = zip([*one["weights"], *one["state"]], [*two["weights"], *two["state"]])
        found[name] = {
            "devices": open_devices("mirrored").count,
            "moved": one["moved"],
            "apart": max(float(np.abs(a - b).max()) for a, b in pairs if a.size),
            "losses_apart": float(np.abs(one["losses"] - two["losses"]).max()),
            "scales": [one["scale"], two["scale"]],
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
