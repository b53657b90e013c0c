"""Functions for formats that have no random numbers: they take a seed, and sample the same."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen import export, models
from tfgen.preprocessing import CharacterTokenizer, SequenceProcessor

pytestmark = pytest.mark.usefixtures("op_by_op")

SMALL = {
    "gru": {"units": 4, "layers": 1},
    "transformer": {"layers": 1, "heads": 1, "head_width": 8},
    "unet1d": {
        "width": 8,
        "multipliers": (1,),
        "blocks": 1,
        "heads": 1,
        "generation": {"num_steps": 2},
    },
}


def concrete(function):
    """A function traced as a writer of a format does."""
    traced = tf.function(lambda **given: function.call(given), autograph=False)
    return traced.get_concrete_function(**function.specs)


def operations(traced):
    graph = traced.graph.as_graph_def()
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    return {node.op for node in nodes}


def functions_of(model):
    return {each.name: each for each in model.functions(random=False)}


@pytest.mark.long
@pytest.mark.parametrize("family", ["gru", "transformer"])
def test_texts(family):
    model = models.make(family, tokenizer=CharacterTokenizer("\nabcd"), seed=0, **SMALL[family])
    model.generation = type(model.generation)(max_new_tokens=9, temperature=0.9, top_k=3)
    served = concrete(functions_of(model)["serving_default"])
    assert not [each for each in operations(served) if "Random" in each]
    texts = served(prompts=tf.constant(["ab"]), seed=tf.constant(5, tf.int64))["texts"]
    assert texts.numpy()[0].decode() == model.generate("ab", seed=5)
    other = served(prompts=tf.constant(["ab"]), seed=tf.constant(6, tf.int64))["texts"]
    assert other.numpy()[0] != texts.numpy()[0]


@pytest.mark.long
@pytest.mark.parametrize("family", ["gru", "unet1d"])
def test_numbers(family):
    rng = np.random.default_rng(0)
    processor = SequenceProcessor.fit(rng.normal(size=(3, 8, 2)))
    model = models.make(family, processor=processor, seed=0, **SMALL[family])
    functions = functions_of(model)
    served = concrete(functions["serving_default"])
    assert not [each for each in operations(served) if "Random" in each]
    found = served(num_samples=tf.constant(2), seed=tf.constant(5, tf.int64))["values"]
    np.testing.assert_allclose(found, model.generate(2, seed=5), rtol=1e-4, atol=1e-4)

    forecast = functions["forecast_default"]
    assert "seed" in forecast.specs and "num_samples" not in forecast.specs
    context = rng.normal(size=(1, 8, 2)).astype(np.float32)
    given = {"values": context, "horizon": 3, "seed": 5}
    given = {name: tf.constant(given[name], spec.dtype) for name, spec in forecast.specs.items()}
    mean = concrete(forecast)(**given)["mean"]
    np.testing.assert_allclose(mean, model.forecast(context, 3, seed=5).mean, rtol=1e-3, atol=1e-3)


def test_a_format_without_random_numbers_gets_them(tmp_path, monkeypatch):
    monkeypatch.setattr(export.functions, "FORMATS", dict(export.FORMATS))
    written = {}
    for name, random in (("with", True), ("without", False)):

        def writer(functions, path, verbose):
            written[path.name] = functions

        export.register_format(name, writer, random=random)
        model = models.make("gru", tokenizer=CharacterTokenizer("\nab"), seed=0, units=4, layers=1)
        model.export(tmp_path / name, format=name)
    specs = {name: sorted(functions[0].specs) for name, functions in written.items()}
    assert specs == {"with": ["prompts"], "without": ["prompts", "seed"]}
