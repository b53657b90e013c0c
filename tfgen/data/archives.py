"""`load_npz`: the arrays of a NumPy archive, of which every size is checked before it is read."""

import io
import math
import zipfile
import zlib

import numpy as np

from tfgen.data.budget import Budget
from tfgen.data.pickled_arrays import unpickle_arrays
from tfgen.data.readers import Unreadable

# What zipfile and NumPy raise of archives that are damaged or none.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    SyntaxError,
    RuntimeError,
    NotImplementedError,
    OverflowError,
    RecursionError,
)
# What the arrays of a file of sketch-rnn are called.
SPLITS = ("train", "valid", "validation", "test")
_CODE_POINTS = 0x110000
_LONGEST_HEADER = 1 << 20


def load_npz(path, budget=None):
    """Returns the arrays of a NumPy archive as a dict; reads no pickle.

    Args:
        path: The file.
        budget: Optional `tfgen.data.budget.Budget` of what the arrays may take; None is the
            default one.

    Raises:
        Unreadable: It is damaged, larger than the budget, or holds objects.
    """
    budget = Budget() if budget is None else budget
    headers = read_headers(path)
    for key, (_, dtype) in headers.items():
        if dtype.hasobject:
            raise _objects(path, key)
    sizes = [math.prod(shape) * _numbers(dtype) for shape, dtype in headers.values()]
    budget.check(path, sum(sizes))
    with _named(path), zipfile.ZipFile(path) as archive:
        arrays = {}
        for key in headers:
            with archive.open(f"{key}.npy") as file:
                arrays[key] = np.lib.format.read_array(file, allow_pickle=False)
    for key, array in arrays.items():
        if array.dtype.kind == "U" and array.size:
            points = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))
            points = points.reshape(-1).view(np.uint32)
            if points.max(initial=0) >= _CODE_POINTS:
                raise Unreadable("damaged", f"{path}: '{key}' holds texts that are no Unicode")
    return arrays


def load_objects(path, budget):
    """Returns `{key: list of arrays}` of an archive whose arrays hold arrays of numbers as objects.

    Their pickles are read by `tfgen.data.pickled_arrays`, which runs no code. The arrays of numbers
    beside them, if there are any, are left out.

    Args:
        path: The file.
        budget: `tfgen.data.budget.Budget` of what the arrays may take.

    Raises:
        Unreadable: It is damaged, larger than the budget, or holds other objects.
    """
    keys = [key for key, (_, dtype) in read_headers(path).items() if dtype.hasobject]
    with _named(path), zipfile.ZipFile(path) as archive:
        found = {}
        # A byte of a pickle may become an object.
        budget.check(path, sum(archive.getinfo(f"{key}.npy").file_size for key in keys))
        for key in keys:
            with archive.open(f"{key}.npy") as file:
                _read_header(file)
                found[key] = unpickle_arrays(file)
    budget.check(path, sum(array.size for arrays in found.values() for array in arrays))
    return found


def read_headers(path):
    """Returns `{key: (shape, dtype)}` of a NumPy archive; reads the headers of its arrays only.

    Raises:
        Unreadable: It is damaged, or no archive of arrays.
    """
    with _named(path), zipfile.ZipFile(path) as archive:
        headers = {}
        for name in archive.namelist():
            if not name.endswith(".npy"):
                raise ValueError(f"{name[:80]!r} in it is no array")
            with archive.open(name) as file:
                shape, _, dtype = _read_header(file)
            headers[name.removesuffix(".npy")] = shape, dtype
        return headers


def _read_header(file):
    """Returns `(shape, fortran_order, dtype)`. A header says how long it is itself."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    length = file.read(4)
    size = int.from_bytes(length, "little")
    if len(length) < 4 or size > _LONGEST_HEADER:
        raise ValueError(f"a header of {size:,} bytes")
    return np.lib.format.read_array_header_2_0(io.BytesIO(length + file.read(size)))


class _named:
    """Turns what reading an archive raises into an error that names the file."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, Unreadable) or error is None:
            return
        if isinstance(error, _DAMAGE):
            reason = (str(error) or type(error).__name__).splitlines()[0][:200]
            message = f"{self._path} is no NumPy archive: {reason}"
            raise Unreadable("damaged", message) from error
        if isinstance(error, OSError):
            message = f"{self._path} cannot be read: {error.strerror or error}"
            raise Unreadable("cannot be read", message) from error


def _numbers(dtype):
    """How many numbers of 8 bytes an element counts for: texts are as long as they may be."""
    return max(1, -(-dtype.itemsize // 8))


def _objects(path, key):
    advice = "save it again as arrays of numbers"
    if key in SPLITS:
        # As the files of sketch-rnn are.
        advice += ", or read it as drawings (data.kind=strokes)"
    message = f"{path}: '{key}' holds Python objects, which only pickle reads and tfgen does not: "
    return Unreadable("Python objects", message + advice)
