"""`ConditionEncoder`: which vectors stand for a condition."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.condition_encoder import ConditionEncoder


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


def test_a_class_is_a_row_of_the_table():
    layer = ConditionEncoder(4, num_classes=3)
    layer.build()
    table, nothing = random(3, 4), random(1, 4)
    layer.set_weights([table, nothing])
    vectors = layer(tf.constant([2, 0, 1]), hidden=tf.constant([False, False, True]))
    np.testing.assert_array_equal(vectors, np.stack([table[2:], table[:1], nothing]))


def test_vectors_are_projected():
    layer = ConditionEncoder(4, condition_width=3)
    layer.build()
    kernel, nothing = random(3, 4), random(1, 4)
    layer.set_weights([kernel, nothing])
    condition = random(2, 5, 3)
    vectors = layer(condition, hidden=tf.constant([True, False]))
    np.testing.assert_allclose(vectors[0], np.repeat(nothing, 5, axis=0))
    np.testing.assert_allclose(vectors[1], condition[1] @ kernel, atol=1e-6)


@pytest.mark.parametrize("kind", [{"num_classes": 3}, {"condition_width": 3}])
def test_config_and_initializer(kind):
    layer = ConditionEncoder(
        4, **kind, embeddings_initializer="ones", name="condition", dtype="mixed_bfloat16"
    )
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config() and again.name == "condition"
    again.build()
    assert [(w.numpy() == 1).all() for w in again.weights] == [True, True]
    condition = tf.constant([1]) if "num_classes" in kind else random(1, 2, 3)
    assert again(condition, hidden=tf.constant([False])).dtype == tf.bfloat16


@pytest.mark.parametrize(
    "arguments,received",
    [
        ({}, "num_classes=None"),
        ({"num_classes": 3, "condition_width": 3}, "num_classes=3"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"condition_width": 1.5}, "condition_width=1.5"),
        ({"width": 0, "num_classes": 3}, "width=0"),
    ],
)
def test_what_is_out_of_range_is_told_in_one_line(arguments, received):
    with pytest.raises(ValueError) as caught:
        ConditionEncoder(**{"width": 4, **arguments})
    assert str(caught.value).endswith(f"Received: {received}")
