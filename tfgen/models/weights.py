"""Weights in Keras' own `.weights.h5` layout, optionally as float16, read strictly."""

import collections
import contextlib
import math
import re
import tempfile
from pathlib import Path

import h5py
import numpy as np

from tfgen.errors import InputError
from tfgen.files import atomic_file, regular_file

# Deflate makes no more of a byte. What claims more than that is not stored at all.
_MOST_INFLATED = 1032
# Where files of before 2026-12 have what now is a part's own.
_MOVED = {
    r"layers/((?:lstm|gru)(?:_\d+)?/)": r"layers/recurrent_network/recurrent/\1",
    r"layers/(layer_normalization(?:_\d+)?/)": r"layers/recurrent_network/norms/\1",
    r"layers/(past_attention/)": r"layers/recurrent_network/\1",
    r"((?:blocks|final_norm)/)": r"layers/transformer_network/\1",
    r"layers/(position_embedding/)": r"layers/transformer_network/\1",
    r"((?:head|condition_encoder)/)": r"layers/token_emission/\1",
    r"(class_embedding/)": r"layers/sequence_context/\1",
    r"input_projection/": r"layers/dense/",
    r"layers/dense/": r"layers/number_emission/skip/",
    r"(category_head/)": r"layers/number_emission/\1",
    r"layers/(?:gaussian_mixture|bivariate_mixture|student_t|quantized|regression)_head/": (
        r"layers/number_emission/number_head/"
    ),
}
_RESIDUAL = "layers/number_emission/residual/vars"
_PARTS = re.compile("layers/(?:token_emission|number_emission|sequence_context)/")


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


@contextlib.contextmanager
def unallocated():
    """Within it, a model is made without values for its weights: their shapes cost no memory.

    Yields:
        A function of no arguments to call afterwards, which makes the weights, all of them zero:
        drawing what is then read from a file would take as long again. Without it the model is
        good for nothing.
    """
    import keras
    from keras.src.backend.common import global_state

    # Keras keeps the variables that were made in such a scope in this list.
    waiting = "uninitialized_variables"
    before = global_state.get_global_attribute(waiting) or []
    made = []

    def allocate():
        for variable in made:
            variable._initializer = keras.initializers.Zeros()
            variable._deferred_initialize()

    global_state.set_global_attribute(waiting, [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield allocate
    finally:
        made += global_state.get_global_attribute(waiting) or []
        global_state.set_global_attribute(waiting, before)


def stored_shapes(path):
    """Returns the shapes of all weights in a file, as a `collections.Counter`.

    No weight is read. What a weight claims to be is compared with what is stored of it.

    Raises:
        InputError: If the file is no weights file.
    """
    shapes = collections.Counter()

    def visit(name, item):
        if not isinstance(item, h5py.Dataset):
            return
        # Such a dataset is read from other files.
        if item.external or item.is_virtual:
            raise InputError(f"{path} is no weights file: {name} refers to another file")
        if item.shape is None or item.dtype.kind not in "biufV" or item.dtype.names:
            raise InputError(f"{path} is no weights file: {name} holds no numbers")
        stored = item.id.get_storage_size()
        if item.nbytes > stored * (_MOST_INFLATED if item.chunks else 1):
            raise InputError(
                f"{path} is no weights file: {name} of shape {item.shape} is stored in "
                f"{stored:,} bytes"
            )
        shapes[item.shape] += 1

    with _damage_told(path), _open(path) as file:
        file.visititems(visit)
    return shapes


def count_numbers(path):
    """Returns how many numbers the weights in a file are.

    A saved optimizer's slots, and the integer states of random generators, do not count.

    Raises:
        InputError: If the file is no weights file.
    """
    count = 0

    def add(name, item):
        nonlocal count
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and "optimizer" not in name:
            count += math.prod(item.shape)

    with _damage_told(path), _open(path) as file:
        file.visititems(add)
    return count


def check_weights(model, path, overrides=()):
    """Refuses a file that does not hold exactly the weights of a model, by their shapes.

    Keras itself reads the file of a deeper model into a shallower one without a word. The model's
    weights need no values yet, see `unallocated`.

    Raises:
        InputError: If the file is no weights file or holds other weights than the model.
    """
    stored = stored_shapes(path)
    expected = collections.Counter(tuple(weight.shape) for weight in model.weights)
    if _lacks_residual(model, path):
        expected -= collections.Counter(
            tuple(weight.shape) for weight in model.engine.emission.residual.weights
        )
    if stored != expected:
        because = f" (overridden: {', '.join(overrides)})" if overrides else ""
        raise InputError(
            f"The weights in {path} do not fit the model{because}: "
            f"stored but not in the model {_shapes(stored - expected)}, "
            f"in the model but not stored {_shapes(expected - stored)}; "
            "weights=False builds the model without them"
        )


def load_weights(model, path, overrides=()):
    """Reads weights into a model, refusing a file that does not fit exactly.

    Raises:
        InputError: If the file is no weights file, holds other weights than the model, or weights
            that are not finite.
    """
    check_weights(model, path, overrides)
    with _damage_told(path):
        try:
            with _current(model, path) as readable:
                model.load_weights(readable)
        except (KeyError, TypeError, ValueError) as error:  # the right shapes under other names
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"The weights in {path} do not fit the model: {reason}") from error
    for weight in model.weights:
        values = weight.numpy()
        bad = values.size - np.count_nonzero(np.isfinite(values))
        if bad:
            raise InputError(
                f"{path} is damaged, or of a training that went wrong: {bad:,} of the "
                f"{values.size:,} numbers of {weight.path} are NaN or infinite"
            )


@contextlib.contextmanager
def _current(model, path):
    """Yields the path of a file in today's layout: the same, or a copy of one of before."""
    if getattr(model, "engine", None) is None:
        yield path  # nothing of it has moved, whatever its layers are called
        return
    with _open(path) as file:
        names = []
        file.visit(names.append)
        moved = {name: _moved(name) for name in names if isinstance(file[name], h5py.Dataset)}
    current = any(map(_PARTS.match, names)) or all(a == b for a, b in moved.items())
    lacks = _lacks_residual(model, path)
    if current and not lacks:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.weights.h5"
        with _open(path) as file, h5py.File(copy, "w") as new:
            for name, place in moved.items():
                new.create_dataset(name if current else place, data=file[name][()])
            if lacks:
                for number, weight in enumerate(model.engine.emission.residual.weights):
                    first = np.full(weight.shape, number, np.float32)  # drift 0, spread 1
                    new.create_dataset(f"{_RESIDUAL}/{number}", data=first)
        yield copy


def _lacks_residual(model, path):
    """Whether a file is of before 2026-12, when departures were told in scaled units."""
    emission = getattr(getattr(model, "engine", None), "emission", None)
    if getattr(emission, "residual", None) is None:
        return False
    with _open(path) as file:
        return _RESIDUAL not in file


def _moved(name):
    for before, now in _MOVED.items():
        place, count = re.subn(f"^{before}", now, name)
        if count:
            return place
    return name


@contextlib.contextmanager
def _open(path):
    with regular_file(path), h5py.File(path, "r") as file:
        yield file


@contextlib.contextmanager
def _damage_told(path):
    """HDF5 of damaged bytes: what h5py and Keras raise of them is not told beforehand."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} is no weights file: {error}") from error
    except MemoryError as error:
        raise InputError(f"There is not enough memory for the weights in {path}") from error
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} is damaged: {reason}") from error


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
    shapes = [f"{count} x {shape}" for shape, count in sorted(counter.items())]
    more = f" and {len(shapes) - 10} other shapes" if len(shapes) > 10 else ""
    return (", ".join(shapes[:10]) or "none") + more
