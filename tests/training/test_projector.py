"""What the Projector reads: vectors, rows that say what they are, and thumbnails in one sprite."""

import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly
from google.protobuf import text_format
from tensorboard.plugins import projector

from tfgen import models
from tfgen.recipe import Recipe
from tfgen.report.thumbnails import thumbnail
from tfgen.training import train
from tfgen.training.data import open_data
from tfgen.training.projector import Cloud, write_clouds


def read(folder):
    """`{name: (vectors, rows, sprite or None, its thumbnails' size)}` as the Projector finds them."""
    text = (folder / "projector_config.pbtxt").read_text()
    found = {}
    for entry in text_format.Parse(text, projector.ProjectorConfig()).embeddings:
        vectors = np.loadtxt(folder / entry.tensor_path, delimiter="\t", ndmin=2)
        rows = (folder / entry.metadata_path).read_text(encoding="utf-8").removesuffix("\n")
        sprite = None
        if entry.sprite.image_path:
            sprite = tf.io.decode_png((folder / entry.sprite.image_path).read_bytes()).numpy()
        found[entry.tensor_name] = (
            vectors, rows.split("\n"), sprite, [*entry.sprite.single_image_dim],
        )  # fmt: skip
    return found


def test_a_cloud_is_read_as_it_was_written(tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=[3, 4])
    pictures = rng.integers(0, 256, [3, 8, 8]).astype(np.uint8)
    columns = {"token": ["a", "\n", "\tb"], "count": ["1", "2", "3"]}
    write_clouds(
        tmp_path,
        [Cloud("tokens", vectors, columns, pictures), Cloud("one", vectors[:, :1], {"x": "a c"})],
    )
    found = read(tmp_path)
    values, rows, sprite, size = found["tokens"]
    np.testing.assert_allclose(values, vectors, rtol=1e-5)
    assert rows == ["token\tcount", "a\t1", "\\n\t2", "\\tb\t3"]
    assert size == [8, 8] and sprite.shape == (16, 16, 1)
    for number, (row, column) in enumerate([(0, 0), (0, 8), (8, 0)]):
        cell = sprite[row : row + 8, column : column + 8, 0]
        np.testing.assert_array_equal(cell, pictures[number])
    assert np.all(sprite[8:, 8:] == 255)
    # A single column has no header, and a blank row would be left out.
    assert found["one"][1] == ["a", "' '", "c"]


def test_a_thumbnail_is_the_line():
    diagonal = thumbnail([np.array([[0.0, 0.0], [10.0, 10.0]])], side=8)
    np.testing.assert_array_equal(diagonal == 0, np.eye(8, dtype=bool))
    # Two strokes of a flat drawing: in the middle, with a gap between them.
    strokes = thumbnail([np.array([[0, 0], [2.0, 0]]), np.array([[5.0, 0], [7, 0]])], side=8)
    assert [*np.flatnonzero((strokes == 0).any(axis=1))] == [4]
    assert [*np.flatnonzero((strokes == 0).any(axis=0))] == [0, 1, 2, 5, 6, 7]
    broken = thumbnail([np.array([[0, 0], [2, 0], [np.nan, 0], [5, 0], [7, 0]])], side=8)
    np.testing.assert_array_equal(broken, strokes)
    assert np.all(thumbnail([np.full([3, 2], np.nan)]) == 255)


COMMON = {"training.steps": 1, "training.batch_size": 4, "training.sample_every": 0}


@pytest.fixture
def quick():
    with eagerly():
        yield


@pytest.mark.usefixtures("quick")
def test_the_tokens_of_a_text_model(tmp_path):
    settings = {**COMMON, "data.name": "names", "training.window": 8, "model.units": 8}
    run = train(Recipe("lstm").override(settings), tmp_path / "run", progress=False).parent
    vectors, rows, sprite, _ = read(run / "logs" / "train")["tokens"]
    model = models.load(run / "final")
    np.testing.assert_allclose(vectors, model.token_embedding.embeddings.numpy(), rtol=1e-4)
    assert sprite is None and {"a", "\\n"} <= {*rows}
    assert rows[int(model.tokenizer.encode("q")[0])] == "q"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "family,settings,columns,count",
    [
        ("gru", {"data.name": "weather", "model.units": 8}, "sequence\tfrom", 27),
        pytest.param(
            "unet1d",
            {
                "data.name": "pendigits", "training.window": 8, "model.width": 8,
                "model.multipliers": [1], "model.blocks": 1, "model.groups": 2,
                "model.linear_attention": False, "model.heads": 1, "model.head_width": 8,
            },
            "sequence\tclass",
            256,
            marks=pytest.mark.long,
        ),
    ],
)  # fmt: skip
def test_held_out_sequences_as_the_model_encodes_them(family, settings, columns, count, tmp_path):
    recipe = Recipe(family).override({**COMMON, "training.window": 24, **settings})
    data = open_data(recipe)
    dashboard = data.dashboard(tmp_path, models.build(recipe, data.preprocessing))
    dashboard.embeddings()
    vectors, rows, sprite, size = read(tmp_path / "train")["held-out"]
    assert rows[0] == columns and len(vectors) == len(rows) - 1 == count
    across = int(np.ceil(count**0.5))
    assert size == [32, 32] and sprite.shape == (across * 32, across * 32, 1)
    cells = sprite.reshape(across, 32, across, 32).swapaxes(1, 2).reshape(-1, 32 * 32)[:count]
    assert len(np.unique(cells, axis=0)) > 0.8 * count and np.all((cells == 0).sum(axis=1) > 20)
    assert len(np.unique(vectors.round(6), axis=0)) > 0.8 * count
