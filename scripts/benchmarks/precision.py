"""Training steps of an entry's own recipe, in one precision or another."""

from tfgen.startup import import_tensorflow

import_tensorflow()

import tensorflow as tf  # noqa: E402

from tfgen import models  # noqa: E402
from tfgen.training.data import open_data  # noqa: E402
from tfgen.training.optimizers import make_optimizer  # noqa: E402
from tfgen.training.step import Step  # noqa: E402
from tfgen.zoo.runs import starting_recipe  # noqa: E402

BATCHES = 4  # in memory, in turn


def train(entry, precision):
    """Work for `workers.Worker`: steps of the entry's recipe, from new weights.

    Args:
        entry: Name of an entry.
        precision: `training.precision`.
    """
    recipe = starting_recipe(entry).override({"training.precision": precision})
    config = recipe.training
    data = open_data(recipe)
    model = models.build(recipe, data.preprocessing, precision)
    optimizer = make_optimizer(config)
    optimizer.build(model.trainable_variables)
    windows = data.windows["train"]
    step = Step(model, optimizer, config, windows.batch_size)
    batches = [tf.nest.map_structure(tf.constant, windows.batch(k)) for k in range(BATCHES)]
    begin = model.initial_state(windows.batch_size) if config.carry_state else None

    def run():
        state = begin
        for batch in batches:
            loss, _, state = step(batch, state)
            state = state if config.carry_state else None
        loss.numpy()  # waits for the last one
        return BATCHES

    compiled = "XLA" if model.jit_compile_training else "TensorFlow and pieces by XLA"
    return run, f"compiled by {compiled}"
