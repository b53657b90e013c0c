"""Checkpoints: every variable of a training run in one file, written whole or not at all."""

import json
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np

from tfgen.errors import InputError
from tfgen.files import TEMPORARY, atomic_file

_NAME = "step-{:09d}.npz"


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

    def latest(self):
        """Returns `(arrays, record)` of the latest checkpoint that can be read, or None."""
        for path in self._paths():
            try:
                return read_arrays(path)
            except InputError as error:
                warnings.warn(f"{error}; trying the checkpoint before it", stacklevel=2)
        return None

    def clean(self):
        """Removes what a kill in the middle of writing has left."""
        for path in self.folder.glob(f"{TEMPORARY}*"):
            path.unlink()

    def _paths(self):
        """Latest first."""
        pattern = re.compile(r"step-\d+\.npz")
        if not self.folder.is_dir():
            return []
        return sorted((p for p in self.folder.iterdir() if pattern.fullmatch(p.name)), reverse=True)


def write_arrays(path, arrays, record):
    """Writes named arrays and a JSON record to an `.npz` file."""
    text = np.frombuffer(json.dumps(record).encode(), np.uint8)
    # npz knows no bfloat16: such an array goes as its bytes, under a name that says so.
    plain = {}
    for name, array in arrays.items():
        if array.dtype.kind == "V":
            plain[f"{name}@{array.dtype.name}"] = array.view(np.uint16)
        else:
            plain[name] = array
    with atomic_file(path) as temporary:
        np.savez(temporary, **plain, **{"record.json": text})


def read_arrays(path):
    """Returns `(arrays, record)` of a file that `write_arrays` wrote.

    Raises:
        InputError: If the file is torn or is no such file.
    """
    import ml_dtypes

    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        record = json.loads(arrays.pop("record.json").tobytes())
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as a checkpoint ({error})") from error
    for name in [name for name in arrays if "@" in name]:
        plain, _, dtype = name.partition("@")
        arrays[plain] = arrays.pop(name).view(getattr(ml_dtypes, dtype))
    return arrays, record
