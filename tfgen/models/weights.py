"""Weights in Keras' own `.weights.h5` layout, optionally as float16, read strictly."""

import collections

import h5py
import numpy as np

from tfgen.errors import InputError
from tfgen.files import atomic_file


def save_weights(model, path, float16=False):
    """Writes the model's weights, and nothing of its optimizer, to a `.weights.h5` file.

    Args:
        model: A built Keras model.
        path: File to write; Keras reads it as well.
        float16: Store floating-point weights with half the bits.

    Raises:
        InputError: If float16 cannot hold a weight, whose largest number is 65504.
    """
    with atomic_file(path) as temporary:
        model.save_weights(temporary, overwrite=True)
        items, values = _read(temporary)
        with h5py.File(temporary, "w") as file:
            for name, attributes in items.items():
                if name.partition("/")[0] == "optimizer":
                    continue
                if name in values:
                    value = values[name]
                    if float16 and np.issubdtype(value.dtype, np.floating):
                        value = _as_float16(value, name)
                    # HDF5 cannot compress a scalar.
                    options = {"compression": "gzip", "shuffle": True} if value.ndim else {}
                    item = file.create_dataset(name, data=value, **options)
                else:
                    item = file.require_group(name)
                item.attrs.update(attributes)


def load_weights(model, path, overrides=()):
    """Reads weights into a model, refusing a file that does not fit exactly.

    Keras itself reads the file of a deeper model into a shallower one without a word, so numbers
    and shapes are compared first.

    Raises:
        InputError: If the file is no weights file or holds other weights than the model.
    """
    try:
        with h5py.File(path, "r") as file:
            shapes = []
            file.visititems(lambda _, item: shapes.append(getattr(item, "shape", None)))
    except OSError as error:
        raise InputError(f"{path} is no weights file: {error}") from error
    stored = collections.Counter(shape for shape in shapes if shape is not None)
    expected = collections.Counter(tuple(weight.shape) for weight in model.weights)
    if stored != expected:
        because = f" (overridden: {', '.join(overrides)})" if overrides else ""
        raise InputError(
            f"The weights in {path} do not fit the model{because}: "
            f"stored but not in the model {_shapes(stored - expected)}, "
            f"in the model but not stored {_shapes(expected - stored)}; "
            "weights=False builds the model without them"
        )
    try:
        model.load_weights(path)
    except (KeyError, TypeError, ValueError) as error:  # the right shapes under other names
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"The weights in {path} do not fit the model: {reason}") from error


def _as_float16(value, name):
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    if np.isfinite(value).all() and not np.isfinite(half).all():
        raise InputError(
            "float16 holds numbers up to 65504 only. "
            f"Received: {name} with {np.abs(value).max():.3g}"
        )
    return half


def _read(path):
    """Returns `({name: attributes}, {name: array})` of an HDF5 file."""
    items, values = {}, {}

    def visit(name, item):
        items[name] = dict(item.attrs)
        if isinstance(item, h5py.Dataset):
            values[name] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return items, values


def _shapes(counter):
    return ", ".join(f"{count} x {shape}" for shape, count in sorted(counter.items())) or "none"
