"""tfgen itself, used as its trainer and its users do."""

import itertools

from tfgen.startup import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks.sizes import SYMBOLS, random_windows, vocabulary  # noqa: E402
from tfgen.models.recurrent import RecurrentGenerator  # noqa: E402
from tfgen.preprocessing import CharacterTokenizer  # noqa: E402
from tfgen.sampling import random  # noqa: E402


def train(sizes):
    """Training steps as in `tfgen.training`, with plain Adam for the sake of comparison."""
    model = _model(sizes)
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=model.jit_compile_training, autograph=False)
    def step(batch):
        key = random.fold(random.root(0, random.DROPOUT), optimizer.iterations.value)
        weights = model.trainable_variables
        with tf.GradientTape() as tape:
            pair = batch[:, :-1], batch[:, 1:]
            loss, _ = model.batch_loss(pair, key, training=True)
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        optimizer.apply(gradients, weights)
        return loss

    batches = itertools.cycle([tf.constant(batch) for batch in random_windows(sizes)])

    def run():
        step(next(batches)).numpy()  # waits for the step
        return sizes.batch * sizes.window

    return run, "jit" if model.jit_compile_training else ""


def generate(sizes):
    """Whole calls of `model.generate`, from strings to strings."""
    model = _model(sizes)
    prompts = ["\n"] * sizes.batch
    seeds = itertools.count()

    def run():
        texts = model.generate(
            prompts, sizes.tokens, temperature=1.0, seed=next(seeds), strip_prompt=True
        )
        return sum(len(text) for text in texts)

    return run, f"calls of {sizes.tokens} tokens"


def _model(sizes):
    model = RecurrentGenerator(
        sizes.cell,
        sizes.units,
        sizes.layers,
        embedding=sizes.embedding,
        tokenizer=CharacterTokenizer(vocabulary()),
        seed=0,
    )
    assert model.tokenizer.vocabulary_size == SYMBOLS
    return model
