"""tfgen itself, as its trainer and its users run it, and what TensorFlow makes of the machine."""

import dataclasses
import functools
import itertools

from tfgen.startup import import_tensorflow

import_tensorflow()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks import reach as reaching  # noqa: E402
from benchmarks import trainer as looped  # noqa: E402
from benchmarks.sizes import (  # noqa: E402
    DiffusionSizes,
    NumbersSizes,
    TransformerSizes,
    as_text,
    random_prompts,
    random_sequences,
    random_windows,
    vocabulary,
)
from benchmarks.workers import in_turn  # noqa: E402
from tfgen import models, zoo  # noqa: E402
from tfgen.models import make as new_model  # noqa: E402
from tfgen.preprocessing import CharacterTokenizer, SequenceProcessor  # noqa: E402
from tfgen.recipe import TrainingConfig  # noqa: E402
from tfgen.sampling.search import Speculative  # noqa: E402
from tfgen.training.data import open_data  # noqa: E402
from tfgen.training.optimizers import make_optimizer  # noqa: E402
from tfgen.training.step import Step  # noqa: E402
from tfgen.zoo.runs import starting_recipe  # noqa: E402

# The optimizers that the peers have.
PLAIN = {"warmup_steps": 0, "schedule": "constant", "seed": 0}
ADAM = PLAIN | {"optimizer": "adam", "learning_rate": 1e-3, "beta_2": 0.999, "clip_norm": 0.0}
_THEIRS = ("learning_rate", "beta_2", "weight_decay", "clip_norm")
ADAMW = PLAIN | {"optimizer": "adamw", "optimizer_options": ("epsilon=1e-8",)}
ADAMW |= {name: reaching.NANOGPT[name] for name in _THEIRS}
BATCHES = 4  # in memory, taken in turn


def build(sizes, cache="float32"):
    """The model of some sizes with random weights; `cache` is a transformer's `cache_dtype`."""
    if isinstance(sizes, DiffusionSizes):
        names, family = ("width", "multipliers"), "unet1d"
        own = {} if sizes.attention else {"attention_at": (), "linear_attention": False}
        own |= {"objective": "epsilon", "weighting": "uniform"}
        own |= {"sigmas": "schedule", "schedule": "linear"}
    elif isinstance(sizes, NumbersSizes):
        names, family = ("units", "layers", "components"), sizes.cell
        own = {"head": "gaussian_mixture"}
    elif isinstance(sizes, TransformerSizes):
        names, family = ("layers", "heads", "width"), "transformer"
        own = {"positions": "learned", "max_length": sizes.window, "cache_dtype": cache}
    else:
        names, family, own = ("units", "layers", "embedding"), sizes.cell, {}
    if hasattr(sizes, "features"):
        own["processor"] = SequenceProcessor.plain(features=sizes.features)
    else:
        own["tokenizer"] = CharacterTokenizer(vocabulary())
    return new_model(family, **{name: getattr(sizes, name) for name in names}, **own, seed=0)


def parameters(sizes):
    """Number of weights, all of which are trained."""
    return build(sizes).count_params()


def train(sizes):
    """Training steps as the Trainer takes them, with the optimizer that the peers have."""
    settings, amount = ADAM, 1
    if isinstance(sizes, DiffusionSizes):
        batches = [{"values": values} for values in random_sequences(sizes, BATCHES)]
    else:
        batches, amount = random_windows(sizes, BATCHES), sizes.batch * sizes.window
        settings = ADAMW if isinstance(sizes, TransformerSizes) else ADAM
    model = build(sizes)
    return _training(model, TrainingConfig(**settings, batch_size=sizes.batch), batches, amount)


def train_recipe(recipe, precision="float32", devices=None):
    """Training steps of a `Recipe`, or of an entry's own, from new weights.

    A precision of None is the recipe's own; `devices` are the workers', of several.
    """
    recipe = starting_recipe(recipe) if isinstance(recipe, str) else recipe
    if precision:
        recipe = recipe.override({"training.precision": precision})
    data = open_data(recipe)
    model = models.build(recipe, data.preprocessing, recipe.training.precision)
    windows = data.windows["train"]
    batches = [windows.batch(k) for k in range(BATCHES)]
    return _training(model, recipe.training, batches, 1, devices)


def trainer(family, logging=None):
    """Turns of the compiled step of a recipe; or of the Trainer, with TensorBoard or without."""
    recipe = looped.recipe_of(family, logging)
    if logging is not None:
        # All is traced and compiled at the end of the first turn.
        return {"": looped.Loop(recipe, begin=looped.PERIOD - looped.TURN)}
    ((note, run),) = train_recipe(recipe).items()
    return {note: lambda: sum(run() for _ in range(looped.TURN))}


def _training(model, config, batches, amount, devices=None):
    optimizer = make_optimizer(config)
    optimizer.build(model.trainable_variables)
    step = Step(model, optimizer, config, config.batch_size, devices=devices)
    batches = [tf.nest.map_structure(tf.constant, batch) for batch in batches]
    state = model.initial_state(config.batch_size) if config.carry_state else None

    def take(batch):
        nonlocal state
        loss, _, following = step(batch, state)
        state = following if config.carry_state else None
        loss.numpy()  # waits for the step

    jit = "jit" if model.jit_compile_training else "pieces by jit"
    return {f"{model.count_params():,} weights, {jit}": in_turn(take, batches, amount)}


def generate(sizes, weights="float32", cache="float32"):
    """Whole calls of `model.generate`, from strings to strings.

    `weights` may be kept as `"int8"`, the `cache` of a transformer as `"bfloat16"`.
    """
    model = build(sizes, cache)
    if weights != "float32":
        model.quantize_weights(weights)
    prompts = ["\n"] * sizes.batch
    if isinstance(sizes, TransformerSizes):
        prompts = texts_of(random_prompts(sizes))
    return {f"calls of {sizes.tokens} tokens": _texts(model, prompts, sizes.tokens)}


def texts_of(prompts):
    """The texts of token ids; tfgen itself puts the line break that they begin with before them."""
    return [as_text(row[1:]) for row in prompts]


def _texts(model, prompts, tokens, **options):
    options |= {"temperature": 1.0, "strip_prompt": True}
    call = functools.partial(model.generate, prompts, tokens, **options)
    return _calls(call, lambda texts: sum(len(text) for text in texts))


def _calls(call, count):
    """Work that is a call with another seed each time; `count` is a function of what it returns."""
    seeds = itertools.count()
    return lambda: count(call(seed=next(seeds)))


def draft(asked, drafting=None, draft_tokens=0):
    """Texts of a zoo entry, one at a time, which another one may draft so many tokens at a time.

    `asked` is the entry and how many tokens of a text.
    """
    entry, tokens = asked
    model = zoo.get(entry)
    if not drafting:
        return {f"calls of {tokens} tokens": _texts(model, ["\n"], tokens)}
    search = Speculative(zoo.get(drafting), draft_tokens)
    run = _texts(model, ["\n"], tokens, search=search)
    run()
    accepted, yielded = (search.statistics[name] for name in ("acceptance", "tokens_per_pass"))
    return {f"{accepted:.0%} of the proposals accepted, {yielded:.2f} tokens a pass": run}


def rollout(sizes):
    """Whole calls of `model.generate`; counts positions of numbers."""
    model = build(sizes)
    call = functools.partial(model.generate, num_samples=sizes.batch, length=sizes.steps)
    run = _calls(call, lambda values: values.shape[0] * values.shape[1])
    return {f"{model.count_params():,} weights": run}


def sample(sizes):
    """Whole calls of `model.generate`; counts sequences sampled by diffusion."""
    model = build(sizes)
    options = {"length": sizes.length, "num_steps": sizes.steps, "solver": "ddim"}
    run = _calls(functools.partial(model.generate, num_samples=sizes.batch, **options), len)
    return {f"{model.count_params():,} weights": run}


def forecast(entry, task, num_samples, seed):
    """Samples `(origins, num_samples, horizon, variables)` of a `forecast.Task`; and weights."""
    model = zoo.get(entry)
    values, times = task.rows_before()
    drawn = model.forecast(values, task.horizon, num_samples, seed=seed, times=times)
    return drawn.samples, sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def reach(goal, seed):
    """Trains tfgen by its own recipe to a validation loss; see `reach.race`."""
    recipe = reaching.TFGEN

    def make(characters):
        own = ("layers", "heads", "width", "positions", "norm", "qk_norm", "conv")
        arguments = {name: recipe[name] for name in own}
        tokenizer = CharacterTokenizer(characters)
        model = new_model("transformer", **arguments, tokenizer=tokenizer, seed=seed)
        fields = {field.name for field in dataclasses.fields(TrainingConfig)} & recipe.keys()
        settings = {name: recipe[name] for name in fields}
        config = TrainingConfig(**settings, batch_size=recipe["batch"])
        optimizer = make_optimizer(config)
        optimizer.build(model.trainable_variables)
        step = Step(model, optimizer, config, recipe["batch"])
        # Validations are few and short: compiling them would take longer than it saves.
        loss = tf.function(lambda batch: model.batch_loss(model.unpack(batch))[0], autograph=False)

        def ids(windows):  # the tokenizer's first one is "unknown"
            return tf.constant(windows + 1, tf.int32)

        return lambda number, windows: step(ids(windows)), lambda windows: float(loss(ids(windows)))

    seconds, note = reaching.race(make, goal, recipe, seed)
    return (float("inf") if "NOT REACHED" in note else seconds), note


def matrix_product(size):
    """Products of two float32 matrices; counts floating-point operations."""
    matrix = tf.ones([size, size])

    def run():
        tf.matmul(matrix, matrix)
        return 2 * size**3

    return {"": run}


def read(mebibytes):
    """Sums of a float32 array; counts bytes."""
    array = tf.ones([mebibytes * 2**18])

    def run():
        tf.reduce_sum(array).numpy()
        return 4 * array.shape[0]

    return {"": run}
