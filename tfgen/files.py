"""Writing that leaves either the whole file or the file that was there before."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from tfgen.errors import InputError

# How the names of files begin that are not whole yet.
TEMPORARY = ".tmp-"


@contextlib.contextmanager
def atomic_file(path):
    """Yields a temporary path in the folder of `path`, renamed to `path` when the block succeeds.

    The file is flushed to disk before it is renamed, so a crash at any moment leaves the old file
    or the new one, never a torn one. An exception in the block removes the temporary file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept because some writers (h5py, numpy) choose their format by it.
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=path.name, dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp gives 0600; a result should have the permissions that any new file gets.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path, replace=True):
    """Yields a temporary folder beside `path` that takes its place when the block succeeds.

    Args:
        path: The folder to write.
        replace: Whether a folder that is there already is replaced: it is moved aside first and
            deleted last.

    Raises:
        InputError: If `replace` is False and `path` is there and not an empty folder, or if `path`
            is a file.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file, not a folder")
    if not replace and path.is_dir() and any(path.iterdir()):
        raise InputError(f"{path} is not empty: choose another folder or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{path.name}-", dir=path.parent))
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o777 & ~umask)
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
        if path.exists():
            aside = Path(tempfile.mkdtemp(prefix=f".old-{path.name}-", dir=path.parent))
            os.replace(path, aside / path.name)
            try:
                os.replace(temporary, path)
            except BaseException:
                os.replace(aside / path.name, path)
                aside.rmdir()
                raise
            shutil.rmtree(aside)
        else:
            os.replace(temporary, path)
        _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256(path):
    """Returns the SHA-256 of a file as a hexadecimal string."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
