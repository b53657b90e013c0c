"""tfgen itself, used as its trainer and its users do."""

import dataclasses
import functools
import itertools

from tfgen.startup import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks import reach as reaching  # noqa: E402
from benchmarks.sizes import (  # noqa: E402
    SYMBOLS,
    TransformerSizes,
    as_text,
    random_prompts,
    random_windows,
    vocabulary,
)
from tfgen import zoo  # noqa: E402
from tfgen.models.recurrent import RecurrentGenerator  # noqa: E402
from tfgen.models.transformer import TransformerDecoder  # noqa: E402
from tfgen.preprocessing import CharacterTokenizer  # noqa: E402
from tfgen.recipe import TrainingConfig  # noqa: E402
from tfgen.sampling import random  # noqa: E402
from tfgen.sampling.search import Speculative  # noqa: E402
from tfgen.training.optimizers import make_optimizer  # noqa: E402


def train(sizes):
    """Training steps as in `tfgen.training`, with the optimiser that the peers have."""
    model = build(sizes)
    if isinstance(sizes, TransformerSizes):
        recipe = reaching.NANOGPT
        optimizer = _adamw(
            recipe["learning_rate"], recipe["beta_2"], recipe["weight_decay"], recipe["clip_norm"]
        )
    else:
        optimizer = keras.optimizers.Adam(1e-3)
    step = training_step(model, optimizer, _pair)
    batches = itertools.cycle([tf.constant(batch) for batch in random_windows(sizes)])

    def run():
        step(next(batches)).numpy()  # waits for the step
        return sizes.batch * sizes.window

    return run, "jit" if model.jit_compile_training else "without jit"


def generate(sizes, weights="float32", cache="float32"):
    """Whole calls of `model.generate`, from strings to strings.

    Args:
        sizes: `Sizes` or `TransformerSizes`.
        weights: How the weights are kept: `"float32"` or `"int8"`.
        cache: How a transformer keeps keys and values: `"float32"` or `"bfloat16"`.
    """
    model = build(sizes, cache)
    if weights != "float32":
        model.quantize_weights(weights)
    prompts = ["\n"] * sizes.batch
    if isinstance(sizes, TransformerSizes):
        prompts = texts_of(random_prompts(sizes))
    seeds = itertools.count()

    def run():
        texts = model.generate(
            prompts, sizes.tokens, temperature=1.0, seed=next(seeds), strip_prompt=True
        )
        return sum(len(text) for text in texts)

    return run, f"calls of {sizes.tokens} tokens"


def draft(entry, tokens, drafting=None, draft_tokens=0):
    """Texts of a zoo entry, one at a time, which another one may draft.

    Args:
        entry: Name of the entry.
        tokens: Tokens of a text.
        drafting: Name of the entry that drafts, or None.
        draft_tokens: Tokens that it guesses at a time.
    """
    model = zoo.get(entry)
    search = Speculative(zoo.get(drafting), draft_tokens) if drafting else None
    seeds = itertools.count()

    def run():
        return len(model.generate("\n", tokens, seed=next(seeds), strip_prompt=True, search=search))

    if search is None:
        return run, f"calls of {tokens} tokens"
    run()
    told = search.statistics
    return run, (
        f"calls of {tokens} tokens; in the first one {told['acceptance']:.0%} of the guesses are "
        f"accepted, and a pass of {entry} gives {told['tokens_per_pass']:.2f} tokens"
    )


def reach(path, target, batches, seed):
    """Trains tfgen by its own recipe to a validation loss; see `reach.race`."""
    recipe = reaching.TFGEN
    text = reaching.Text(path)
    tokenizer = CharacterTokenizer(text.characters)
    # Its ids are those of the text but for the first one, "unknown".
    training = reaching.Crops(text.train + 1, recipe["window"], seed)
    validation = reaching.Crops(text.validation + 1, reaching.WINDOW, seed)

    def make():
        model = TransformerDecoder(**recipe["model"], tokenizer=tokenizer, seed=seed)
        names = {field.name for field in dataclasses.fields(TrainingConfig)}
        config = {name: value for name, value in recipe.items() if name in names}
        step = training_step(model, make_optimizer(TrainingConfig(**config)), _pair)
        # Validations are few and short: compiling them would take longer than it saves.
        loss = tf.function(
            lambda batch: model.batch_loss((batch[:, :-1], batch[:, 1:]))[0], autograph=False
        )

        def validate():
            crops = validation.draw(batches * reaching.BATCH)
            return float(loss(tf.constant(crops, tf.int32)))

        def take(number):
            step(tf.constant(training.draw(recipe["batch"]), tf.int32))

        return take, validate

    return reaching.race(make, recipe["steps"], recipe["validate_every"], target)


def build(sizes, cache="float32"):
    """The model of `Sizes` or `TransformerSizes`, with random weights; see `generate`."""
    tokenizer = CharacterTokenizer(vocabulary())
    assert tokenizer.vocabulary_size == SYMBOLS
    if isinstance(sizes, TransformerSizes):
        mixed = {} if sizes.dtype == "float32" else {"dtype": f"mixed_{sizes.dtype}"}
        return TransformerDecoder(
            layers=sizes.layers,
            heads=sizes.heads,
            width=sizes.width,
            positions="learned",
            max_length=sizes.window,
            cache_dtype=cache,
            tokenizer=tokenizer,
            seed=0,
            **mixed,
        )
    return RecurrentGenerator(
        sizes.cell,
        sizes.units,
        sizes.layers,
        embedding=sizes.embedding,
        tokenizer=tokenizer,
        seed=0,
    )


def texts_of(prompts):
    """The texts of token ids; tfgen itself puts the line break that they begin with before them."""
    return [as_text(row[1:]) for row in prompts]


def training_step(model, optimizer, unpack):
    """A compiled function of a batch that takes one step.

    Args:
        model: A generator.
        optimizer: A Keras optimiser.
        unpack: Function of a batch that returns what `model.batch_loss` takes.
    """
    optimizer.build(model.trainable_variables)

    @functools.partial(tf.function, jit_compile=True, autograph=False)
    def update(gradients):
        optimizer.apply(gradients, model.trainable_variables)

    @functools.partial(tf.function, jit_compile=model.jit_compile_training, autograph=False)
    def step(batch):
        key = random.fold(random.root(0, random.DROPOUT), optimizer.iterations.value)
        weights = model.trainable_variables
        with tf.GradientTape() as tape:
            loss, _ = model.batch_loss(unpack(batch), key, training=True)
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        update([tf.convert_to_tensor(gradient) for gradient in gradients])
        return loss

    return step


def _pair(batch):
    """Inputs and targets of windows `(batch, time + 1)`."""
    return batch[:, :-1], batch[:, 1:]


def _adamw(learning_rate, beta_2, weight_decay, clip_norm):
    """AdamW that, like nanoGPT's, does not decay the gains of normalisations."""
    optimizer = keras.optimizers.AdamW(
        learning_rate,
        beta_2=beta_2,
        epsilon=1e-8,  # PyTorch's
        weight_decay=weight_decay,
        global_clipnorm=clip_norm,
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "scale", "bias"])
    return optimizer
