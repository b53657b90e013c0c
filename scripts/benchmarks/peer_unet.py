"""tfgen's diffusion model, used as its trainer and its users do."""

import itertools

from tfgen.startup import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks.peer_tfgen import training_step  # noqa: E402
from benchmarks.sizes import random_sequences  # noqa: E402
from tfgen.models.diffusion import DiffusionGenerator  # noqa: E402
from tfgen.preprocessing import SequenceProcessor  # noqa: E402


def train(sizes):
    """Training steps as in `tfgen.training`, with the optimiser that the peers have."""
    model = build(sizes)
    step = training_step(model, keras.optimizers.Adam(1e-3), model.unpack)
    batches = itertools.cycle(
        [{"values": tf.constant(values)} for values in random_sequences(sizes)]
    )

    def run():
        step(next(batches)).numpy()  # waits for the step
        return 1

    return run, f"{_weights(model)}, {'jit' if model.jit_compile_training else 'without jit'}"


def sample(sizes):
    """Whole calls of `model.generate`."""
    model = build(sizes)
    seeds = itertools.count()

    def run():
        values = model.generate(
            num_samples=sizes.batch,
            length=sizes.length,
            seed=next(seeds),
            num_steps=sizes.steps,
            solver="ddim",
        )
        return values.shape[0]

    return run, _weights(model)


def parameters(sizes):
    """Number of weights, all of which are trained."""
    return build(sizes).count_params()


def build(sizes):
    """The model of `DiffusionSizes` with random weights, as DDPM is trained."""
    without = {} if sizes.attention else {"attention_at": (), "linear_attention": False}
    return DiffusionGenerator(
        width=sizes.width,
        multipliers=sizes.multipliers,
        objective="epsilon",
        weighting="uniform",
        sigmas="schedule",
        schedule="linear",
        processor=SequenceProcessor.plain(features=sizes.features),
        seed=0,
        **without,
    )


def _weights(model):
    return f"{model.count_params():,} weights, width {model.width} x {model.multipliers}"
