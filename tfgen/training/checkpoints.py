"""Checkpoints: every variable of a training run in one file, written whole or not at all."""

import json
import math
import re
import warnings
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np

from tfgen.errors import InputError
from tfgen.files import atomic_file, regular_file, remove_leftovers

_NAME = "step-{:09d}.npz"
_RECORD = "record.json"
# npz knows none of these: such an array goes as its bits, under a name that ends in @ and the type.
_OTHER_TYPES = {
    name: np.dtype(getattr(ml_dtypes, name))
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4")
}


class Damaged(InputError):
    """A file that is no checkpoint, or is one no more."""


class Checkpoints:
    """The checkpoints of a run, of which the latest few are kept.

    A checkpoint is an `.npz` of named arrays and a JSON record. It is written beside and renamed,
    so that a kill at any moment leaves the one before.

    Args:
        folder: Where they lie.
        keep: How many to keep.
    """

    def __init__(self, folder, keep=2):
        self.folder = Path(folder)
        self.keep = keep

    def save(self, step, arrays, record):
        """Writes a checkpoint and removes the oldest.

        Args:
            step: Number of steps done.
            arrays: Dict of NumPy arrays.
            record: What else there is to remember, a dict that JSON can hold.
        """
        write_arrays(self.folder / _NAME.format(step), arrays, {**record, "step": step})
        for path in self._paths()[self.keep :]:
            path.unlink()

    def latest(self, use=lambda arrays, record: None):
        """Returns `(arrays, record)` of the latest checkpoint that is whole, or None.

        One that is damaged, in whatever way, is passed over with a warning.

        Args:
            use: Function of the arrays and the record, called with each checkpoint until it
                raises nothing. It changes nothing when it raises `Damaged`, or another
                `InputError` for a checkpoint that is not what it needs; if it can use none of
                those that are whole, the first of these errors is raised.
        """
        refused = None
        for path in self._paths():
            try:
                found = read_arrays(path)
                use(*found)
            except Damaged as error:
                where = "" if str(path) in str(error) else f"{path}: "
                warnings.warn(f"{where}{error}; trying the checkpoint before it", stacklevel=2)
            except InputError as error:
                refused = refused or (path, error)
            else:
                if refused is not None:
                    warnings.warn(
                        f"{refused[0]} is passed over ({refused[1]}); going on with {path.name}",
                        stacklevel=2,
                    )
                return found
        if refused is not None:
            raise refused[1]
        return None

    def clean(self):
        """Removes what a kill in the middle of writing has left."""
        remove_leftovers(self.folder, unnamed=True)

    def _paths(self):
        """Latest first."""
        pattern = re.compile(r"step-(\d+)\.npz", re.ASCII)
        if not self.folder.is_dir():
            return []
        found = [(pattern.fullmatch(path.name), path) for path in self.folder.iterdir()]
        numbered = [(int(match[1]), path.name, path) for match, path in found if match]
        return [path for _, _, path in sorted(numbered, reverse=True)]


def write_arrays(path, arrays, record):
    """Writes named arrays and a JSON record to an `.npz` file."""
    text = np.frombuffer(json.dumps(record).encode(), np.uint8)
    plain = {}
    for name, array in arrays.items():
        if array.dtype.kind == "V":
            bits = np.uint8 if array.dtype.itemsize == 1 else np.uint16
            plain[f"{name}@{array.dtype.name}"] = array.view(bits)
        else:
            plain[name] = array
    with atomic_file(path) as temporary:
        np.savez(temporary, **plain, **{_RECORD: text})


def read_arrays(path):
    """Returns `(arrays, record)` of a file that `write_arrays` wrote.

    Arrays are of numbers or truth values, the record is a dict, and no more memory is taken than
    the file is long.

    Raises:
        Damaged: If the file is torn or is no such file.
    """
    try:
        with regular_file(path) as file, zipfile.ZipFile(file) as archive:
            arrays = dict(_member(archive, info) for info in archive.infolist())
        record = json.loads(arrays.pop(_RECORD).tobytes())
        if not isinstance(record, dict):
            raise ValueError(f"the record is a {type(record).__name__}, no object")
        for name in [name for name in arrays if "@" in name]:
            plain, _, dtype = name.rpartition("@")
            bits, known = arrays.pop(name), _OTHER_TYPES[dtype]
            if bits.dtype.kind != "u" or bits.dtype.itemsize != known.itemsize:
                raise ValueError(f"{plain} is no array of {dtype}")
            arrays[plain] = bits.view(known)
    # Damaged bytes: what zipfile, NumPy and json raise of them is not told beforehand.
    except Exception as error:
        raise Damaged(f"{path} cannot be read as a checkpoint ({error!r})") from error
    return arrays, record


def _member(archive, info):
    """Returns `(name, array)` of an uncompressed member of an `.npz` file."""
    name = info.filename.removesuffix(".npy")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise ValueError(f"{name} is compressed")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, columns_first, dtype = read_header(file)
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise ValueError(f"{name} holds {dtype}")
        content = file.read()
    count = math.prod(shape)
    if count * dtype.itemsize != len(content):
        raise ValueError(f"{name} of shape {shape} has {len(content)} bytes")
    array = np.frombuffer(bytearray(content), dtype)
    return name, array.reshape(shape, order="F" if columns_first else "C")
