"""Every argument of every model changes something, and is refused out of its range."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.contract.arguments import CHANGES
from tests.models.contract.rows import ROWS, as_if_trained
from tfgen import models
from tfgen.arguments import parameters_of
from tfgen.models.files import config_of

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

# What a recipe holds in other places than [model].
ELSEWHERE = ("tokenizer", "processor", "generation")


def cases(diffusion=()):
    """Each argument of each family; that of a part again, of another family, is exhaustive.

    Those of a diffusion model, and of a model of latents, have the mark `diffusion`.
    """
    seen = set()
    for row in ROWS:
        parts = {
            part.__name__: parameters_of(part).keys() - {*getattr(part, "follows", ())}
            for part in row.entry.load_parts()
        }
        for name in [*row.entry.arguments(), *row.entry.preset, *ELSEWHERE]:
            # What of a network follows from the other parts comes first.
            owners = [part for part, own in parts.items() if name in own]
            if not owners:
                continue
            everybodys = {"seed": "seed", "generation": f"generation of {row.of}"}
            part = everybodys.get(name, "TokenEmission" if name == "tokenizer" else owners[-1])
            own = diffusion if row.family in ("unet1d", "vae", "gan") else ()
            marks = pytest.mark.exhaustive if (part, name) in seen else own
            seen.add((part, name))
            yield pytest.param(row, part, name, id=f"{row}-{name}", marks=marks)


every_argument = pytest.mark.parametrize("row, part, name", [*cases()])


def change_of(part, name):
    found = CHANGES[part]
    found = found.get(name) if isinstance(found, dict) else found
    assert found is not None, (
        f"{part} has a new argument '{name}': give it a row in tests/models/contract/arguments.py"
    )
    return found


def served(model):
    """The names of what is served of a model."""
    return [each.name for each in model.engine.functions(model.defaults)]


def base_of(row, change):
    """What of a change's base is for the models of a row."""
    own = {*row.entry.arguments(), *ELSEWHERE}
    return {name: value for name, value in change.base.items() if name in own}


def test_no_row_is_of_an_argument_that_is_gone():
    known = {}
    for _, part, name in (case.values for case in cases()):
        known.setdefault(part, set()).add(name)
    assert CHANGES.keys() == known.keys()
    assert all(
        found.keys() == known[part] for part, found in CHANGES.items() if isinstance(found, dict)
    )


# The network of a diffusion model takes seconds.
@pytest.mark.parametrize("row, part, name", [*cases(pytest.mark.long)])
def test_it_changes_something(row, part, name):
    change = change_of(part, name)
    base = base_of(row, change)
    given = {**row.given, **row.entry.preset, **row.small, **base}
    default = row.entry.arguments()[name].default if name in row.entry.arguments() else None
    value = next(each for each in change.values if each != given.get(name, default))
    after = row.make(**{**base, name: value})
    if change.seen == "weights":
        assert not same(row.make(**base).get_weights(), after.get_weights())
        return
    if change.seen == "functions":
        assert served(row.make(**base)) != served(after)
        return
    look = {"loss": loss_of, "sample": sample_of, "fit": fitted_weights}[change.seen]
    before, first = usual(row, change, look)
    as_if_trained(after)
    if [w.shape for w in before.weights] == [w.shape for w in after.weights]:
        after.set_weights(before.get_weights())  # nothing but the argument is different
    other = look(after)
    assert not same(first, other)
    if name.endswith("dropout") or name == "label_smoothing":  # in training alone
        assert first[1] == other[1]
    if name == "cache_dtype":  # in generation alone
        assert same(loss_of(before), loss_of(after))
    # It comes back in the recipe that is saved, and in the config.
    if name in row.entry.arguments():
        assert plain(config_of(after)[name]) == plain(models.recipe_of(after).model[name])
        assert plain(config_of(after)[name]) == plain(value)


def plain(value):
    return list(value) if isinstance(value, tuple) else value


@every_argument
def test_out_of_range_it_is_told_in_one_line(row, part, name):
    change = change_of(part, name)
    for wrong in change.wrong:
        with pytest.raises(ValueError) as caught:
            row.make(**{**base_of(row, change), name: wrong})
        told = str(caught.value)
        assert "\n" not in told and told.endswith(f"Received: {name}={wrong!r}"), told


def same(one, other):
    return len(one) == len(other) and all(map(np.array_equal, one, other))


BEFORE = {}


def usual(row, change, look):
    """The model without a change, and what is seen of it, each time the same."""
    key = row, look, *((name, id(value)) for name, value in change.base.items())
    if key not in BEFORE:
        model = as_if_trained(row.make(**base_of(row, change)))
        first, again = look(model), look(model)
        assert same(first, again)
        BEFORE[key] = model, first
    return BEFORE[key]


def loss_of(model):
    """The loss of a batch in training, with all that the model can be told."""
    if model.preprocessing is getattr(model, "tokenizer", None):
        ids = np.arange(24).reshape(3, 8) % 10
        emission = model.engine.emission
        batch = (tf.constant(ids[:, :-1]), tf.constant(ids[:, 1:]))
        if emission.num_classes:
            batch += (tf.constant([0, 1, 1]),)
        elif emission.condition_width:
            batch += (tf.reshape(tf.range(12.0), [3, 2, 2]),)
        elif emission.reads_source:
            batch += ((tf.constant(ids), tf.ones(ids.shape, tf.bool)),)
    else:
        batch = numbers_for(model.processor)
        if getattr(model.engine, "source_encoder", None) is not None:
            batch["source"] = tf.constant(np.arange(24).reshape(3, 8) % 10)
            batch["source_valid"] = tf.ones([3, 8], tf.bool)
        batch = model.unpack(batch)
    key = tf.constant([1, 2])
    losses = [model.batch_loss(batch, key, training=training)[0] for training in (True, False)]
    return [loss.numpy() for loss in losses]


def numbers_for(processor, time=8):
    """A batch of the processor's features."""
    rng = np.random.default_rng(2)
    values = rng.uniform(-0.9, 0.9, [3, time, processor.num_features])
    values[..., processor.category_columns] = np.arange(time)[:, None] % 2
    batch = {"values": values.astype(np.float32)}
    if processor.needs_times:
        batch["times"] = processor.start_time + 3600 * np.tile(np.arange(time), [3, 1])
    if processor.num_classes:
        batch["label"] = np.array([0, 1, 1], np.int32)
    return batch


def fitted_weights(model):
    """The weights of a copy after one step."""
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    copy.compile(keras.optimizers.SGD(0.1))
    copy.fit(numbers_for(model.processor), epochs=1, batch_size=3, verbose=0)
    return copy.get_weights()


def sample_of(model):
    if model.preprocessing is getattr(model, "tokenizer", None):
        if model.has_latents:
            return [model.generate("ab", seed=1)]
        hidden, state = model.engine.hidden_states(tf.constant([[1, 2, 3]]), model.initial_state(1))
        hidden, _ = model.engine.stepper()(tf.constant([4]), model.engine.reserve(state, 1))
        return [model.generate("ab", seed=1), model.engine.logits(hidden).numpy()]
    return model.generate(2, seed=1)
