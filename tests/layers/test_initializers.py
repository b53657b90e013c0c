"""`in_parts`: weights that are drawn together."""

import keras
import numpy as np
import pytest

from tfgen.layers.initializers import in_parts


@pytest.mark.parametrize("axis,shapes", [(1, [(3, 4), (3, 2), (3, 2)]), (0, [(4, 3), (1, 3)])])
def test_parts_are_those_of_one_draw(axis, shapes):
    initializer = keras.initializers.RandomNormal(seed=5)
    sizes = [shape[axis] for shape in shapes]
    parts = in_parts(initializer, sizes, axis)
    found = [part(shape, dtype="float32") for part, shape in zip(parts, shapes, strict=True)]
    assert [tuple(part.shape) for part in found] == shapes
    whole = initializer((3, 8) if axis else (5, 3))
    np.testing.assert_array_equal(np.concatenate(found, axis=axis), whole)
