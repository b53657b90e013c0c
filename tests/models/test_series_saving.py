"""Models of numbers on disk: folders, Keras files, recipes, and the SavedModel."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.contract.rows import series
from tfgen import models, zoo
from tfgen.data import Feature, Sequences
from tfgen.errors import InputError
from tfgen.models import make as new_model
from tfgen.models.engines.diffusion import Diffusion
from tfgen.models.numbers.model import NumbersModel
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig, Recipe

pytestmark = pytest.mark.usefixtures("op_by_op")


@pytest.fixture(scope="module")
def data():
    return series(60, missing=7)


@pytest.fixture(scope="module")
def model(data):
    processor = SequenceProcessor.fit(data, PreprocessingConfig())
    return new_model("gru", "numbers", units=8, layers=2, components=2, processor=processor, seed=1,
        generation={"length": 6, "temperature": 0.5},
    )  # fmt: skip


def test_a_changed_processor_is_noticed(model, tmp_path):
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "sequence.json"
    path.write_text(path.read_text().replace('"a"', '"A"'))
    with pytest.raises(InputError, match="SHA-256"):
        zoo.get(tmp_path / "model")


@pytest.mark.long
def test_overrides_are_of_the_class_for_numbers(model, tmp_path):
    model.save(tmp_path / "model")
    assert zoo.get(tmp_path / "model", length=9).generate(condition="p").shape == (1, 9, 3)
    with pytest.raises(InputError, match="embedding"):
        zoo.get(tmp_path / "model", embedding=4)
    with pytest.raises(InputError, match="do not fit"):
        zoo.get(tmp_path / "model", units=9)


def test_of_chooses_the_class_of_a_new_model():
    assert isinstance(zoo.get("gru", of="numbers", head="student_t", units=8), NumbersModel)
    recipe = Recipe("transformer", {"head": "regression", "width": 8, "heads": 2})
    assert isinstance(models.build(recipe, of="numbers"), NumbersModel)
    with pytest.raises(InputError, match="of='numbers'"):
        zoo.get("gru", head="student_t")
    with pytest.raises(InputError, match="Did you mean 'numbers'"):
        zoo.get("gru", of="number")
    assert "embedding" in models.family("lstm").row("text").arguments()
    assert "embedding" not in models.family("lstm").row("numbers").arguments()


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
def test_a_model_of_drawings_serves_lengths(tmp_path):
    made = Sequences(
        "made", "strokes", (Feature("dx"), Feature("dy"), Feature("pen", levels=("down", "up"))),
        [np.random.default_rng(0).normal(size=(12, 3)).round().clip(0, 1).astype(np.float32)] * 30,
        [str(i) for i in range(30)], ends=True,
    )  # fmt: skip
    processor = SequenceProcessor.fit(made, PreprocessingConfig())
    model = new_model("lstm", "numbers", units=8, layers=1, processor=processor, seed=1)
    model.export(tmp_path / "served")
    run = tf.saved_model.load(tmp_path / "served").signatures["generate"]
    served = run(
        num_samples=tf.constant(3), length=tf.constant(20), seed=tf.constant(5, tf.int64),
        temperature=tf.constant(1.0), bias=tf.constant(0.0),
    )  # fmt: skip
    live = model.generate(3, 20, seed=5)
    assert served["lengths"].numpy().tolist() == [len(one) for one in live]
    for row, one in zip(served["values"].numpy(), live):
        np.testing.assert_allclose(row[: len(one)], one, rtol=1e-5)
        assert np.isnan(row[len(one) :]).all()


def test_an_empty_list_of_a_diffusion_model_is_one_and_not_the_default():
    none = new_model(
        "unet1d", of="numbers", width=2, multipliers=(1,), blocks=1, attention_at=(), groups=1
    )
    recipe = Recipe.from_toml(models.recipe_of(none).to_toml())
    assert models.build(recipe).network.attention_at == ()


def test_get_takes_the_arguments_of_a_diffusion_model():
    made = zoo.get("unet1d", width=8, multipliers=[1], blocks=1, objective="v", seed=3)
    assert type(made.engine) is Diffusion and made.engine.denoiser.objective == "v"
    with pytest.raises(InputError, match="objective"):
        zoo.get("unet1d", objektive="v")
    with pytest.raises(InputError, match="groups"):
        zoo.get("unet1d", width=10)
