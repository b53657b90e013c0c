"""What every model promises, each promise asked of every family and modality by the same code."""

import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.contract.rows import INPUTS, ROWS, START, TIME, model_of, of_rows
from tfgen import models, zoo
from tfgen.errors import InputError
from tfgen.models.files import config_of
from tfgen.recipe import Recipe, Windows

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

every = of_rows()
FILES = ["SHA256SUMS", "model.weights.h5", "recipe.toml"]


def test_every_family_has_a_row():
    ours = {(name, of) for name, row in models.FAMILIES.items() for of in row.modalities}
    assert {(row.family, row.of) for row in ROWS} == ours


def refused(call, *args, error=InputError, **kwargs):
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_close(one, other, tolerance=1e-4):
    """Texts are the same, numbers but for rounding."""
    for mine, theirs in zip(one, other, strict=True):
        if isinstance(mine, str):
            assert mine == theirs
        else:
            np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)


def differ(one, other):
    return any(np.any(np.asarray(a) != np.asarray(b)) for a, b in zip(one, other, strict=True))


def assert_same_weights(one, other):
    assert [w.path for w in one.weights] == [w.path for w in other.weights]
    for mine, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


# Seeds


@of_rows(long=["transformer-text"])
def test_a_seed_decides_the_sample(row):
    model = model_of(row)
    first = row.sample(model, seed=4)
    assert not differ(first, row.sample(model, seed=4))
    assert differ(first, row.sample(model, seed=5))
    assert differ(row.sample(model), row.sample(model))  # without one each call has its own


@of_rows(long=["transformer-text"])
def test_a_sample_does_not_depend_on_the_size_of_the_batch(row):
    model = model_of(row)
    many = row.sample(model, seed=4, count=5)
    for count in (1, 2):
        assert_close(row.sample(model, seed=4, count=count), many[:count])
    assert all(differ([one], [other]) for n, one in enumerate(many) for other in many[:n])
    if row.of == "text":
        assert model.generate(["ab", "cd"], seed=4)[:1] == row.sample(model, seed=4)
    if row.in_order:  # nor on how long it is
        size = 3 if row.of == "numbers" else len("ab") + 3
        shorter = row.sample(model, seed=4, count=5, **{row.length: 3})
        assert_close(shorter, [one[:size] for one in many])


@every
def test_the_seed_decides_the_first_weights(row):
    first, *others = (row.make(seed=seed).get_weights() for seed in (1, 1, 2, None, None))
    for mine, theirs in zip(first, others[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    drawn = [i for i, value in enumerate(first) if value.ndim > 1 and value.std(axis=-1).any()]
    assert len(drawn) >= 4
    for one, other in ((first, others[1]), (first, others[2]), (others[2], others[3])):
        assert all(not np.allclose(one[i], other[i]) for i in drawn)
    # No two rows of weights are the same: no two layers have one seed.
    rows = [line.tobytes() for i in drawn for line in first[i].reshape(-1, first[i].shape[-1])]
    assert len(set(rows)) == len(rows)


@of_rows(long=["transformer-text"])
def test_the_seed_of_keras_governs_what_nobody_seeded(row):
    def drawn():
        keras.utils.set_random_seed(3)
        model = row.make(seed=None)
        return [*model.get_weights(), *row.sample(model), *row.sample(model)]

    assert not differ(drawn(), drawn())


# Scores and embeddings


@of_rows(scored=True)
def test_scores_have_a_value_for_each_sequence_as_if_alone(row):
    model, (data, told) = model_of(row), row.raw()
    scores = model.score(data, **told)
    assert tuple(scores) == row.scores
    for value in scores.values():
        assert value.shape == (len(data),) and np.isfinite(value).all()
    # A diffusion model draws for each row of a batch.
    for index in range(len(data)) if row.in_order else [0]:
        (one,), told = row.raw(index)
        alone = model.score(one, **told)
        assert all(np.ndim(value) == 0 for value in alone.values())
        for name, value in alone.items():
            assert value == pytest.approx(scores[name][index], rel=1e-4)


def evaluated(model, batch, batch_size):
    """The loss; a model with bounds has further metrics."""
    found = model.evaluate(batch, batch_size=batch_size, verbose=0, return_dict=True)
    assert np.isfinite([*found.values()]).all(), found
    return found["loss"]


@of_rows(scored=False)
def test_what_it_cannot_answer_is_told_in_one_line(row):
    model, (data, told) = model_of(row), row.raw()
    for call in (
        lambda: model.score(data, **told),
        lambda: model.forecast(data, 2, **told),
        lambda: model.impute(data[0], times=told["times"][0], condition=0),
    ):
        assert refused(call).startswith("This model has no ")
    assert not any(map(model.can, ("score", "forecast", "impute")))


@every
def test_evaluate_gives_the_loss_and_that_is_the_score(row):
    model, batch = row.make(), row.batch()
    model.compile()
    loss, _ = model.batch_loss(model.unpack(batch))
    assert loss.dtype == tf.float32 and loss.shape == ()
    data, told = row.raw()
    if row.in_order:  # however it is batched, the last one not full
        scores = model.score(data, **told)
        given = evaluated(model, batch, 3)
        positions = len(data) * TIME
        assert given == pytest.approx(-scores["log_likelihood"].sum() / positions, rel=1e-4)
    else:
        given = evaluated(model, batch, len(data))
    assert given == pytest.approx(float(loss), rel=1e-5)


@of_rows(long=["gru-numbers", "unet1d-numbers", "transformer-text"])
def test_fit_makes_what_it_learns_from_more_likely(row):
    model, batch = row.make(), row.batch()
    model.compile(keras.optimizers.Adam(0.03))
    data, told = row.raw()
    before = evaluated(model, batch, 4)
    likely = model.score(data, **told)["log_likelihood"] if row.in_order else None
    epochs = 12 if row.scored else 3
    history = model.fit(batch, epochs=epochs, batch_size=4, verbose=0).history["loss"]
    assert len(history) == epochs
    if row.scored:  # what two players lose of each other need not fall, see test_adversarial.py
        assert history[-1] < history[0]
        assert evaluated(model, batch, 4) < before
    if row.in_order:  # the loss of a diffusion model is a bound alone
        assert model.score(data, **told)["log_likelihood"].mean() > likely.mean()
    # What `predict` gives is what a call does.
    batch = batch[:, :-1] if row.of == "text" else batch
    for mine, theirs in zip(
        tf.nest.flatten(model.predict(batch, verbose=0)), tf.nest.flatten(model(batch)), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


@every
def test_every_weight_gets_a_gradient(row):
    model = model_of(row)
    batch = model.unpack(row.batch())
    with tf.GradientTape() as tape:
        loss, _ = model.batch_loss(batch, tf.constant([1, 2]), training=True)
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert gradient is not None, weight.path
        gradient = tf.convert_to_tensor(gradient)
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-7, weight.path


@every
def test_embeddings_have_the_width_of_the_network(row):
    model, (data, told) = model_of(row), row.raw()
    found = model.encode(data, **told)
    assert found.shape == (len(data), *row.width(model)) and found.dtype == np.float32
    for index in (0, 2):
        (one,), told = row.raw(index)
        assert_close([model.encode(one, **told)], [found[index]], 1e-3)
    assert differ([found[0]], [found[1]])
    if row.in_order and not row.latent:
        assert differ(found, model.encode(data, pooling="last", **told_of(row)))
        assert "Unknown pooling 'first'" in refused(
            model.encode, data, pooling="first", **told_of(row)
        )


def told_of(row):
    return row.raw()[1]


# Copies


@pytest.mark.parametrize(
    "way",
    [
        "config",
        "folder",
        "recipe",
        *(pytest.param(each, marks=pytest.mark.long) for each in ("clone", "file")),
    ],
)
@every
def test_a_copy_is_the_model_again(row, way, tmp_path):
    model = model_of(row)
    if way == "config":
        again = type(model).from_config(model.get_config())
    elif way == "clone":
        again = keras.models.clone_model(model)
    elif way == "recipe":
        recipe = Recipe.from_toml(models.recipe_of(model).to_toml())
        assert recipe.family == row.family
        again = models.build(recipe, model.preprocessing)
    elif way == "folder":
        model.save(tmp_path / "model")
        model.save(tmp_path / "model")  # its own files may be replaced
        file = "tokenizer.json" if row.of == "text" else "sequence.json"
        assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [*FILES, file]
        again = zoo.get(tmp_path / "model")
    else:
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model) and type(again.engine) is type(model.engine)
    one, other = ({**config_of(each), "name": None} for each in (again, model))
    one, other = (_without_names(each) for each in (one, other))
    assert one == other and again.generation == model.generation
    if way in ("folder", "file"):
        assert_same_weights(again, model)
        assert not differ(row.sample(again, seed=4), row.sample(model, seed=4))
    else:  # the seed of the first weights is part of it
        assert_same_weights(again, row.make())


def _without_names(config):
    """Without what Keras counts up: the names of layers."""
    if isinstance(config, dict):
        return {k: _without_names(v) for k, v in config.items() if k != "name"}
    if isinstance(config, (list, tuple)):
        return [_without_names(each) for each in config]
    return config


# Streams, forecasts, gaps


@every
def test_a_stream_is_what_generate_gives_or_is_refused(row, monkeypatch):
    monkeypatch.setattr("tfgen.models.engines.rollout_stream.CHUNK", 2)
    model = model_of(row)
    # A diffusion model goes on window after window.
    own = {"windows": Windows("overlap", 2, 2)} if row.family == "unet1d" else {}
    if row.of == "numbers":
        assert model.can("stream") == (row.in_order or bool(own))
    if not row.in_order and not own:
        assert "stream is for models that go" in refused(model.stream, **row.told)
        return
    first = "ab" if row.of == "text" else None
    pieces = list(model.stream(first, seed=4, **row.told, **own))
    assert len(pieces) > 1 and all(len(piece) for piece in pieces)
    joined = "".join(pieces) if row.of == "text" else np.concatenate(pieces)
    assert_close([joined], row.sample(model, seed=4, **own))


@of_rows(of="numbers", long=["unet1d-numbers"], scored=True)
def test_a_forecast_is_of_samples_and_their_quantiles(row):
    model, (data, told) = model_of(row), row.raw(0, 1)
    options = {"horizon": 3, "num_samples": 5, "quantiles": (0.25, 0.5)}
    found = model.forecast(data, seed=1, **options, **told)
    assert found.samples.shape == (2, 5, 3, 3) and found.mean.shape == (2, 3, 3)
    assert set(found.quantiles) == {0.25, 0.5}
    levels, held = found.samples[..., 2], found.samples[..., 0]
    assert set(np.unique(levels)) <= {0, 1} and held.min() >= 0 and held.max() <= 5
    np.testing.assert_allclose(found.samples.mean(1)[..., :2], found.mean[..., :2], rtol=1e-4)
    median = np.quantile(found.samples, 0.5, axis=1)[..., :2]
    np.testing.assert_allclose(found.quantiles[0.5][..., :2], median, rtol=1e-4)
    again = model.forecast(data, seed=1, **options, **told)
    assert not differ([found.samples], [again.samples])
    assert differ([found.samples], [model.forecast(data, seed=2, **options, **told).samples])
    (one,), told = row.raw(0)
    alone = model.forecast(one, seed=1, **options, **told)
    assert_close([alone.samples], [found.samples[0]], 1e-3)
    assert "horizon=0" in refused(model.forecast, one, 0, **told)
    assert "quantiles" in refused(model.forecast, one, 2, quantiles=[1.0], **told)


@of_rows(of="numbers", scored=True)
def test_gaps_are_filled_and_what_was_observed_stays(row):
    model, ((whole,), told) = model_of(row), row.raw(0)
    told |= row.filling
    gaps = whole.copy()
    gaps[3:5] = np.nan
    gaps[6, 1] = np.nan
    seen = ~np.isnan(gaps)
    filled = model.impute(gaps, 3, seed=1, **told)
    assert filled.shape == (3, TIME, 3) and np.isfinite(filled).all()
    for one in filled:
        np.testing.assert_array_equal(one[seen], gaps[seen])
    assert set(np.unique(filled[..., 2])) <= {0, 1}
    assert filled[..., 0].min() >= 0 and filled[..., 0].max() <= 5
    assert not differ([filled], [model.impute(gaps, 3, seed=1, **told)])
    assert differ([filled], [model.impute(gaps, 3, seed=2, **told)])
    several, told = row.raw(0, 1)
    assert "impute takes one series" in refused(model.impute, several, **told)


# Options


@every
def test_options_of_others_and_slips_are_refused(row):
    model, (typo, meant), (name, value) = model_of(row), row.typo, row.foreign
    data, told = row.raw()
    assert f"Did you mean '{meant}'" in refused(model.generate, **{typo: 1})
    assert "Unknown argument of generate" in refused(model.generate, **{name: value})
    if row.scored:
        assert "Unknown argument of score" in refused(model.score, data, **told, temperatur=1)
    assert "Unknown argument of encode" in refused(model.encode, data, **told, tempo=1)
    assert f"generation.{name} is for " in refused(row.make, generation={name: value})


def _number(field, value):
    return float(value) if field.type is float else value


@every
def test_options_out_of_range_are_told_in_one_line(row):
    model, tried = model_of(row), 0
    for field in dataclasses.fields(row.options):
        if field.name in ("resamplings", "stop", "solver"):  # `impute` has the first
            continue
        of_type = {float: (float("nan"), "hot"), int: (2.5, True)}.get(field.type, (2.5,))
        bounds = field.metadata["bounds"].items()
        beyond = [
            _number(field, bound - 1 if sign in (">", ">=") else bound + 1)
            for sign, bound in bounds
        ]
        for value in (*beyond, *of_type):
            told = refused(model.generate, **row.told, **{field.name: value})
            assert told.endswith(f"Received: {field.name}={value!r}"), told
            if row.of == "text" and field.name != "guidance_scale":  # at once, not when it is read
                assert told == refused(model.stream, **{field.name: value})
            tried += 1
    assert tried >= 5
    assert refused(model.generate, **row.told, seed=0.5).endswith("Received: seed=0.5")
    assert "num_samples=0" in refused(model.generate, **row.told, num_samples=0)


@of_rows(of="numbers")
def test_what_it_was_not_trained_with_is_refused(row):
    model = row.make(processor=None)
    one = np.ones([TIME, 1], np.float32)
    for name, value in {
        "condition": 0, "static": [1.0], "start_time": 0, "known": np.ones([5, 1]),
    }.items():  # fmt: skip
        assert f"{name} is for models trained with" in refused(model.generate, **{name: value})
    assert "times is for models" in refused(model.encode, one, times=np.arange(TIME))
    assert "times is needed" in refused(model_of(row).encode, row.raw(0)[0])


@of_rows(of="text")
def test_a_condition_it_was_not_made_for_is_refused(row):
    model = model_of(row)
    rule = "latent" if row.latent else "num_classes or condition_width"
    for call in (model.generate, model.stream, model.score, model.encode):
        assert rule in refused(call, "a", condition=1)
    for call in (model.generate, model.stream):
        told = refused(call, "a", guidance_scale=2.0)
        assert told.endswith("Received: guidance_scale=2.0")
    ids = tf.constant(row.batch())
    assert "num_classes or condition_width" in refused(
        model.batch_loss, (ids, ids, tf.zeros([4], tf.int32)), error=ValueError
    )


@every
def test_arguments_of_others_are_refused(row):
    own = row.entry.arguments()
    assert {"seed"} < set(own) and not {"tokenizer", "processor", "generation", "engine"} & set(own)
    others = {name for each in ROWS for name in each.entry.arguments()} - own.keys()
    assert others
    for name in [*others, "self", "kwargs", "network", "tokenizer", "processor"]:
        recipe = Recipe(row.family, {name: 1})
        told = refused(models.build, recipe, model_of(row).preprocessing)
        assert told.startswith(f"Unknown argument of family '{row.family}' '{name}'")
    assert "Did you mean 'seed'" in refused(
        models.build, Recipe(row.family, {"sed": 1}), model_of(row).preprocessing
    )


# Serving


def cases_of(row):
    """The served functions of a model, each with tensors of its signature."""
    model = model_of(row)
    found = []
    for each in model.functions():
        inputs = {name: row.inputs_of(model, name, spec) for name, spec in each.specs.items()}
        found.append((each, inputs))
    return found


def _plain(tensor):
    value = tensor.numpy()
    return value.astype(str).tolist() if value.dtype == object else value.tolist()


@of_rows(long=["unet1d-numbers", "transformer-text"])
def test_the_functions_that_are_served_are_those_of_the_model(row):
    model, cases = model_of(row), cases_of(row)
    names = [each.name for each, _ in cases]
    assert len(set(names)) == len(names)
    assert {"serving_default", "generate", "encode"} <= set(names)
    assert ("score" in names) == row.scored
    if row.of == "numbers":
        assert ("forecast" in names) == row.scored and ("decode" in names) == model.can("decode")
        served = ("generate", "forecast", "score") if row.scored else ("generate",)
        assert {f"{name}_default" for name in served} <= set(names)
    found = {}
    for each, inputs in cases:
        for name, spec in each.specs.items():
            assert spec.is_compatible_with(inputs[name]), (each.name, name)
        if each.name.endswith("_default") and not (row.in_order or each.name == "serving_default"):
            continue  # the same again, of more samples
        found[each.name] = {name: value.numpy() for name, value in each.call(inputs).items()}
    assert all(np.size(value) for outputs in found.values() for value in outputs.values())
    options = {
        field: INPUTS[field] for field in row.options.__dataclass_fields__ if field in INPUTS
    }
    if row.of == "text":
        options.pop("guidance_scale")
        live = model.generate(INPUTS["prompts"], seed=7, num_samples=2, **options)
        assert found["generate"]["texts"].astype(str).tolist() == _texts(live)
        if not row.latent:  # of what is certain, without the prompt
            assert "ab" + found["stream"]["texts"][0].decode() == live[0][0]
        data, told = row.raw()
        name = "latents" if row.latent else "mean"
        np.testing.assert_allclose(found["encode"][name], model.encode(data), rtol=1e-4)
    else:
        # The values are of two series, of which the second is shorter.
        data, told = row.raw(0, 1)
        data[1], told["times"][1] = data[1][: TIME - 2], told["times"][1][: TIME - 2]
        repaints = {name: options.pop(name) for name in ("resamplings",) if name in options}
        told_of = {"condition": [0, 1], "start_time": START}
        live = model.generate(2, seed=7, **options, **told_of)
        assert_close(found["generate"]["values"], live)
        if row.in_order and not row.latent:
            assert_close(found["stream"]["values"], live)
        options = {name: options[name] for name in model.options["forecast"] if name in options}
        if row.scored:
            live = model.forecast(data, 2, 2, (0.25, 0.75), seed=7, **options, **repaints, **told)
            assert_close(found["forecast"]["samples"], live.samples, 1e-3)
            assert_close(found["forecast"]["mean"], live.mean, 1e-3)
        else:
            latents = model.encode(data, num_steps=INPUTS["num_steps"], **told)
            np.testing.assert_allclose(found["encode"]["latents"], latents, rtol=1e-3, atol=1e-4)
    scoring = {} if row.in_order else {"num_steps": 3, "seed": 7}
    if row.latent and row.of == "numbers":
        scoring = {"importance_samples": 3, "seed": 7}
    scores = model.score(data, **scoring, **told) if row.scored else {}
    for name, value in scores.items():
        np.testing.assert_allclose(found["score"][name], value, rtol=1e-4)
    # Without a seed each call draws anew.
    serve, inputs = next(case for case in cases if case[0].name == "serving_default")
    again = {name: value.numpy() for name, value in serve.call(inputs).items()}
    assert any(np.any(again[name] != found["serving_default"][name]) for name in again)


def _texts(bytes_or_texts):
    return [[str(text) for text in row] for row in bytes_or_texts]


CLIENT = """
import json, sys
import tensorflow as tf

served = tf.saved_model.load(sys.argv[1])
for name, inputs in json.load(sys.stdin):
    run = served.signatures[name]
    specs = run.structured_input_signature[1]
    outputs = run(**{key: tf.constant(value, specs[key].dtype) for key, value in inputs.items()})
    found = {key: value.numpy() for key, value in outputs.items()}
    found = {key: value.astype(str) if value.dtype == object else value for key, value in found.items()}
    print("RESULT", json.dumps({key: value.tolist() for key, value in found.items()}))
print("MODULES", json.dumps([name for name in sys.modules if name.split(".")[0] == "tfgen"]))

import keras
import numpy as np
from tfgen import zoo

with np.load("batch.npz") as file:
    batch = dict(file)
for model in (zoo.get("./model"), keras.saving.load_model("model.keras")):
    loss, _ = model.batch_loss(model.unpack(batch.get("tokens", batch)))
    print("RESULT", json.dumps(float(loss)))
"""


@pytest.mark.usefixtures("as_graphs")
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=pytest.mark.long if str(row) in kept else pytest.mark.exhaustive)
        for kept in [("gru-numbers", "unet1d-numbers")]
        for row in ROWS
    ],
    ids=str,
)
def test_a_fresh_process_gives_what_this_one_gives(row, tmp_path):
    """What is exported with TensorFlow alone, and then what is saved."""
    cases, model, batch = cases_of(row), model_of(row), row.batch()
    # Each is compiled here and there; those with fewer inputs call the graphs of others.
    some = {"serving_default", "generate", "forecast", "forecast_default", "score", "encode", "stream",
            "decode", "interpolate"}  # fmt: skip
    some = some if row.in_order else {"generate", "denoise"}
    cases = [case for case in cases if case[0].name in some]
    model.export(tmp_path / "served")
    model.save(tmp_path / "model")
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "batch.npz", **(batch if row.of == "numbers" else {"tokens": batch}))
    plain = [
        (each.name, {name: _plain(value) for name, value in inputs.items()})
        for each, inputs in cases
    ]
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, tmp_path / "served"], input=json.dumps(plain), text=True,
        capture_output=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    assert [json.loads(text) for word, text in lines if word == "MODULES"] == [[]]
    results = [json.loads(text) for word, text in lines if word == "RESULT"]
    *results, folder, file = results
    # Here op by op: to compile it all once more would show nothing further.
    tf.config.run_functions_eagerly(True)
    loss, _ = model.batch_loss(model.unpack(batch))
    assert folder == pytest.approx(float(loss), rel=1e-5) and file == folder
    for (each, inputs), found in zip(cases, results, strict=True):
        live = {name: _plain(value) for name, value in each.call(inputs).items()}
        assert found.keys() == live.keys()
        if "seed" in each.specs or each.name in ("score", "encode", "decode", "denoise"):
            for name, value in live.items():
                if name == "state":  # bits, of which the last may differ
                    continue
                if row.of == "text" and each.name in ("generate", "decode", "stream"):
                    assert found[name] == value
                else:
                    np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-4)
