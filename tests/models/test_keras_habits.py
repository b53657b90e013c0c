"""What people who know Keras do with a model: it works as in Keras, or says in one line why not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen import models, zoo
from tfgen.errors import InputError
from tfgen.preprocessing import CharacterTokenizer

TOKENIZER = CharacterTokenizer("\n abcdefgh")
IDS = TOKENIZER.encode("abcdefgh\n" * 60).astype("int32")
WINDOWS = np.stack([IDS[5 * i : 5 * i + 13] for i in range(24)])
X, Y = WINDOWS[:, :-1], WINDOWS[:, 1:]
VALUES = np.random.default_rng(0).normal(size=(16, 8, 1)).astype("float32")


def make(name="text", **options):
    family, of, defaults = {
        "text": ("gru", "text", {"units": 8, "layers": 1, "tokenizer": TOKENIZER}),
        "gpt": (
            "transformer",
            "text",
            {"layers": 1, "heads": 2, "width": 16, "tokenizer": TOKENIZER},
        ),
        "series": ("gru", "numbers", {"units": 8, "layers": 1, "head": "student_t"}),
        "diffusion": (
            "unet1d",
            "numbers",
            {"width": 8, "multipliers": [1], "groups": 2, "head_width": 4},
        ),
    }[name]
    return models.make(family, of, **{"seed": 1, **defaults, **options})


def compiled(name="text", compile=None, **options):
    model = make(name, **options)
    model.compile(**{"jit_compile": False, **(compile or {})})
    return model


def message(call, *args, error=InputError, **kwargs):
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


NUMBERS = ["series", "diffusion"]
ALL = ["text", "gpt", *NUMBERS]
LONG_BUT_TEXT = [
    "text",
    pytest.param("gpt", marks=pytest.mark.long),
    pytest.param("series", marks=pytest.mark.long),
    pytest.param("diffusion", marks=pytest.mark.exhaustive),
]


@pytest.mark.parametrize("cls", ALL)
def test_compile_refuses_what_it_would_ignore(cls):
    model = make(cls)
    assert "loss is the model's own" in message(model.compile, loss="mse")
    assert "Received: loss_weights=[1]" in message(model.compile, loss_weights=[1])
    with pytest.raises(TypeError, match="metric"):
        model.compile(metric=["accuracy"])


@pytest.mark.parametrize("cls", NUMBERS)
def test_models_of_numbers_say_what_they_measure(cls):
    model = compiled(cls)
    for name in ("metrics", "weighted_metrics"):
        assert "fit reports its loss" in message(model.compile, **{name: ["mae"]})
    assert "leave y out. Received: y of shape (16, 8, 1)" in message(model.fit, VALUES, VALUES)
    assert "leave sample_weight out" in message(model.fit, VALUES, sample_weight=np.ones(16))
    assert "leave sample_weight out" in message(model.evaluate, VALUES, sample_weight=np.ones(16))


@pytest.mark.parametrize("cls", ALL)
def test_strings_are_refused(cls):
    model = compiled(cls)
    takes = (
        "sequences of numbers" if cls in NUMBERS else "token ids: encode a text with model.token"
    )
    for strings in (
        "a text", ["a", "text"], np.array(["a", "b"]), np.array(["a", "b"], object),
        tf.data.Dataset.from_tensor_slices(["a", "b"]).batch(2),
    ):  # fmt: skip
        for call in (model.fit, model.evaluate, model.predict):
            told = message(call, strings)
            assert takes in told and told.endswith("Received: strings")


class Perplexity(keras.metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        loss = keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        super().update_state(loss, sample_weight)

    def result(self):
        return keras.ops.exp(super().result())


@pytest.mark.parametrize("cls, jit_compile", [
    pytest.param("text", False, marks=pytest.mark.long), pytest.param("text", True, marks=pytest.mark.long),
    pytest.param("gpt", False, marks=pytest.mark.long),
    pytest.param("gpt", True, marks=pytest.mark.exhaustive),
])  # fmt: skip
def test_metrics_compare_targets_and_logits(cls, jit_compile):
    model = compiled(cls, compile={
        "jit_compile": jit_compile,
        "metrics": ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(3, name="top_3"),
                    Perplexity(name="perplexity")],
        "weighted_metrics": [keras.metrics.SparseCategoricalAccuracy(name="weighted")],
    })  # fmt: skip
    weights = np.random.default_rng(1).integers(0, 2, Y.shape).astype("float32")
    found = model.evaluate(X, Y, sample_weight=weights, batch_size=7, verbose=0, return_dict=True)
    logits = model(X).numpy()
    right = logits.argmax(-1) == Y
    nats = -np.take_along_axis(tf.nn.log_softmax(logits).numpy(), Y[..., None], -1)[..., 0]
    top = (np.argsort(-logits, -1)[..., :3] == Y[..., None]).any(-1)
    assert found["accuracy"] == pytest.approx(right.mean(), abs=1e-6)
    assert found["top_3"] == pytest.approx(top.mean(), abs=1e-6)
    assert found["perplexity"] == pytest.approx(np.exp(nats.mean()), rel=1e-4)
    assert found["weighted"] == pytest.approx((right * weights).sum() / weights.sum(), abs=1e-6)
    assert found["loss"] == pytest.approx((nats * weights).sum() / weights.sum(), rel=1e-4)
    history = model.fit(X, Y, epochs=2, verbose=0, validation_split=0.25).history
    assert {"accuracy", "val_accuracy", "val_perplexity", "val_weighted"} <= history.keys()
    assert all(np.isfinite(values).all() for values in history.values())


def test_metrics_of_probabilities_would_be_wrong_without_a_word():
    model = make()
    wrong = keras.metrics.SparseCategoricalCrossentropy()
    for metrics in (["crossentropy"], [wrong], {"output": wrong}):
        assert "from_logits=True" in message(model.compile, metrics=metrics)
    model.compile(metrics=[keras.metrics.SparseCategoricalCrossentropy(from_logits=True)])


@pytest.mark.long
@pytest.mark.parametrize("cls", ["text", pytest.param("gpt", marks=pytest.mark.exhaustive)])
def test_weights_of_windows_and_tokens_weigh_the_loss(cls):
    """What weighs nothing teaches nothing: training with weights is training without the rest."""
    mask = np.zeros(24, "float32")
    mask[:8] = 1

    def trained(*data, **options):
        model = compiled(cls, compile={"optimizer": keras.optimizers.SGD(0.5)})
        model.fit(*data, batch_size=24, epochs=2, shuffle=False, verbose=0, **options)
        return model.get_weights()

    expected = trained(WINDOWS[:8])
    several = [
        trained(WINDOWS, sample_weight=mask),  # where Keras would leave the weights out
        trained(X, Y, sample_weight=mask),
        trained(X, Y, sample_weight=np.repeat(mask[:, None], 12, 1)),
        trained(WINDOWS, sample_weight=np.repeat(mask[:, None], 13, 1)),
        trained(tf.data.Dataset.from_tensors((X, Y, mask))),
    ]
    for weights in several:
        for mine, theirs in zip(weights, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert np.abs(trained(WINDOWS)[0] - expected[0]).max() > 1e-4
    model = compiled(cls)
    given = model.evaluate(WINDOWS, sample_weight=mask, verbose=0)
    assert given == pytest.approx(model.evaluate(WINDOWS[:8], verbose=0), rel=1e-5)
    history = model.fit(X, Y, validation_data=(WINDOWS, None, mask), verbose=0).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(WINDOWS[:8], verbose=0), rel=1e-5)
    assert "no class for each sample" in message(model.fit, X, Y, class_weight={0: 1.0})


@pytest.mark.parametrize("cls", LONG_BUT_TEXT)
def test_callbacks_and_options_of_fit(cls, tmp_path):
    data = VALUES if cls in NUMBERS else WINDOWS
    model = compiled(cls, compile={"optimizer": "sgd", "steps_per_execution": 2})
    callbacks = [
        keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.weights.h5", save_weights_only=True),
        keras.callbacks.ModelCheckpoint(tmp_path / "model.keras"),
        keras.callbacks.TensorBoard(tmp_path / "logs", histogram_freq=1),
    ]
    validation = data[:4] if cls in NUMBERS else (data[:4],)
    model.fit(
        data, batch_size=4, epochs=2, verbose=0, callbacks=callbacks, validation_data=validation
    )
    assert {path.name for path in tmp_path.iterdir()} == {"best.weights.h5", "model.keras", "logs"}
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    other = make(cls, seed=9)
    other.load_weights(tmp_path / "best.weights.h5")
    for mine, theirs in zip(again.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    again.fit(data, verbose=0)  # it is compiled, as in Keras


@pytest.mark.parametrize("cls", LONG_BUT_TEXT)
def test_run_eagerly_and_a_training_without_validation(cls):
    data = VALUES if cls in NUMBERS else WINDOWS
    model = compiled(cls, compile={"run_eagerly": True, "jit_compile": "auto"})
    assert not model.jit_compile
    assert np.isfinite(model.fit(data[:4], verbose=0, validation_split=0.5).history["val_loss"])
    assert make(cls).compile() is None


def test_what_cannot_be_saved_is_refused(tmp_path, capsys):
    model = make()
    model.summary()
    assert f"{model.count_params():,}" in capsys.readouterr().out.replace("\n", "")
    assert "save_weights('NAME.weights.h5')" in message(model.save, tmp_path / "a.h5")
    assert "float16 is for folders" in message(model.save, tmp_path / "b.keras", float16=True)
    assert "Unknown argument of save" in message(model.save, tmp_path / "b", zipped=True)
    model.save(tmp_path / "folder")
    assert "there already" in message(model.save, tmp_path / "folder", overwrite=False)


@pytest.mark.long
def test_a_conditional_model_predicts_and_learns_from_a_dict():
    model = compiled("gpt", num_classes=3, compile={"metrics": ["accuracy"]})
    classes = np.arange(24, dtype="int32") % 3
    given = {"tokens": X, "condition": classes}
    np.testing.assert_allclose(
        model.predict(given, verbose=0), model(X, condition=tf.constant(classes)), atol=1e-5
    )
    weights = np.ones(24, "float32")
    history = model.fit(given, Y, sample_weight=weights, verbose=0, validation_split=0.5).history
    assert np.isfinite(history["val_accuracy"]).all()
    model.fit({"tokens": WINDOWS, "condition": classes}, sample_weight=weights, verbose=0)


@pytest.mark.long
def test_smaller_numbers(tmp_path):
    model = make("gpt")
    before = model.score("abc")["log_likelihood"]
    model.quantize("int8")
    assert 0 < abs(model.score("abc")["log_likelihood"] - before) < 0.1
    assert "Unknown mode of quantize 'int4'" in message(model.quantize, "int4")
    assert "float16=True" in message(make().quantize, "int8")
    assert "float16=True" in message(make("diffusion").quantize, "int8")
    assert "training.lora_rank=4" in message(model.enable_lora, 4)


@pytest.mark.parametrize("name, options", [
    pytest.param("lstm", {"units": 8, "layers": 1}, marks=pytest.mark.exhaustive),
    *(pytest.param(*each, marks=pytest.mark.exhaustive) for each in [
        ("unet1d", {"width": 8, "multipliers": [1], "groups": 2}),
        ("transformer", {"layers": 1, "heads": 2, "width": 16}),
        ("gru", {"of": "numbers", "units": 8, "layers": 1, "head": "student_t"}),
    ]),
])  # fmt: skip
def test_get_takes_the_policies_of_keras(name, options, tmp_path):
    model = zoo.get(name, dtype="mixed_bfloat16", **options)
    assert (model.compute_dtype, model.variable_dtype) == ("bfloat16", "float32")
    model.compile(jit_compile=False)
    numbers = name == "unet1d" or "head" in options
    model.fit(VALUES if numbers else X, verbose=0)
    assert len(model.generate(length=4) if numbers else model.generate("a", 3)) > 0
    model.save(tmp_path / "saved")
    again = zoo.get(tmp_path / "saved", dtype="mixed_bfloat16")
    assert (
        again.compute_dtype == "bfloat16" and zoo.get(tmp_path / "saved").compute_dtype == "float32"
    )
    assert "Did you mean 'mixed_bfloat16'" in message(zoo.get, name, dtype="mixed_bfloat")


@pytest.mark.parametrize("cls", ALL)
def test_export_says_its_format(cls, tmp_path):
    assert "tf_saved_model" in message(make(cls).export, tmp_path / "a", format="onnx")
    with pytest.raises(TypeError, match="input_signature"):
        make(cls).export(tmp_path / "a", input_signature=[])
    assert not list(tmp_path.iterdir())


def test_sampling_defaults_that_say_nothing_to_a_model_are_refused(tmp_path):
    assert "generation.solver is for diffusion models, and this is a model of text" in message(
        make, generation={"solver": "heun"}
    )
    assert "generation.top_k is for text" in message(make, "diffusion", generation={"top_k": 5})
    assert "generation.num_steps is for diffusion" in message(
        make, "series", generation={"num_steps": 5}
    )
    assert "takes no condition" in message(make, "gpt", generation={"guidance_scale": 2.0})
    make("gpt", num_classes=2, generation={"guidance_scale": 2.0})
    make().save(tmp_path / "a")
    assert "generation.length is for sequences of numbers" in message(
        zoo.get, tmp_path / "a", length=9
    )
    assert "generation.num_steps" in message(zoo.get, "lstm", units=4, num_steps=9)
    # What an earlier version stored does no harm.
    recipe = (tmp_path / "a" / "recipe.toml").read_text()
    (tmp_path / "a" / "recipe.toml").write_text(recipe.replace("num_steps = 50", "num_steps = 9"))
    models.write_checksums(tmp_path / "a")
    assert zoo.get(tmp_path / "a").generation.num_steps == 50


def test_a_draft_has_to_write_text():
    from tfgen.sampling.search import Speculative

    numbers = zoo.get("transformer", of="numbers", layers=1, heads=2, width=16, head="student_t")
    for draft in (numbers, make("series"), "lstm"):
        assert "draft must be a model of text" in message(Speculative, draft)


@pytest.mark.parametrize("cls, options", [
    ("gpt", {"positions": "alibi", "rotary_base": 20.0}),
    ("gpt", {"max_length": 20}),
    ("gpt", {"condition_dropout": 0.5}),
    ("series", {"head": "student_t", "components": 3}),
    ("series", {"head": "regression", "covariance": "full"}),
    ("series", {"head": "gaussian_mixture", "bins": 16}),
])  # fmt: skip
def test_arguments_of_another_choice_are_refused(cls, options):
    name, value = [*options.items()][-1]
    told = message(make, cls, **options, error=ValueError)
    assert told.startswith(f"{name} is for ") and told.endswith(f"Received: {name}={value!r}")


def test_a_search_takes_nothing_that_says_how_to_sample():
    from tfgen.sampling.search import BeamSearch, ContrastiveSearch

    model = make()
    for search in (BeamSearch(2), ContrastiveSearch(2)):
        for given in ({"temperature": 0.5}, {"top_k": 3}, {"repetition_penalty": 2.0}):
            told = message(model.generate, "a", 3, search=search, **given)
            assert f"does nothing in a {type(search).__name__}" in told
