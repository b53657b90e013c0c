"""Reading files of a known greatest size, and writing that leaves a whole file or the old one.

What is being written has a temporary name beside its place, `.tmp-HOST.PID-RANDOM-NAME`. A process
that is killed leaves it; the next that writes into the same folder sees by the name that its
process is gone, and removes it. The temporary files of processes that live, or of other machines,
are left alone.

A folder that takes the place of another is exchanged with it in one system call where the system
has one (Linux: renameat2). Elsewhere the old folder is first renamed to
`.old-HOST.PID-RANDOM-NAME`, and a process that is killed between these two renames leaves no folder
of that name: `restore_folder` gives the old one its name back, which writing and opening a model's
folder do.
"""

import contextlib
import ctypes
import errno
import functools
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import tempfile
import zlib
from pathlib import Path

from tfgen.errors import InputError

# How the names of files and folders begin that are not whole yet, and of those that are replaced.
TEMPORARY = ".tmp-"
REPLACED = ".old-"
_LEFT = re.compile(r"\.(tmp|old)-([0-9a-f]{8})\.([0-9]{1,10})-[a-z0-9_]{8}-(.+)", re.DOTALL)

_FILE_ERRORS = [
    getattr(errno, name)
    for name in (
        "ENOSPC",
        "EFBIG",
        "EDQUOT",
        "EACCES",
        "EPERM",
        "EROFS",
        "EIO",
        "ENAMETOOLONG",
        "EMFILE",
    )
    if hasattr(errno, name)
]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

# What this process is writing: another process may have had its number.
_own = set()


def home_path(path):
    """Returns a path whose `~` is the person's home folder; one of an unknown name stays as it
    is."""
    return Path(os.path.expanduser(path))


@contextlib.contextmanager
def regular_file(path):
    """Yields a regular file opened for reading; a pipe or a device, which may never end, is
    refused.

    Raises:
        InputError: It is no regular file.
        OSError: The file cannot be read.
    """
    # Opening a pipe would wait for somebody to write into it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise InputError(f"{path} is no regular file but a pipe, a device or a socket")
        file = open(descriptor, "rb", closefd=False)
        with file:
            yield file
    finally:
        os.close(descriptor)


def read_bytes(path, limit):
    """Returns the content of a regular file of at most `limit` bytes.

    No more than that is read into memory, whatever size the file claims to have.

    Raises:
        InputError: The file is larger, or is no regular file.
        OSError: The file cannot be read.
    """
    with regular_file(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise InputError(f"{path} is larger than {limit:,} bytes, the most that is read of it")
    return content


def read_text(path, limit):
    """Returns the text of a regular UTF-8 file of at most `limit` bytes, without a BOM.

    Raises:
        InputError: The file is larger, no regular file, or not UTF-8.
        OSError: The file cannot be read.
    """
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8: byte {error.start:,} is wrong") from None


def read_json(path, limit):
    """Returns the value of a JSON file of at most `limit` bytes.

    Raises:
        InputError: The file is larger, no regular file, or no JSON.
        OSError: The file cannot be read.
    """
    text = read_text(path, limit)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None


def read_record(path, what, limit):
    """Returns the dict of a JSON file that says `what` there is and its `config`, and no more.

    Args:
        path: Of the file.
        what: A key, as `"tokenizer"`.
        limit: As of `read_json`.

    Raises:
        InputError: If the file cannot be read or is no such file.
    """
    try:
        record = read_json(path, limit)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(record, dict) or set(record) != {what, "config"}:
        raise InputError(f"{path} is no {what} file: its keys must be '{what}' and 'config'")
    return record


@contextlib.contextmanager
def atomic_file(path):
    """Yields a temporary path in the folder of `path`, renamed to `path` when the block succeeds.

    The file is flushed to disk before it is renamed, so a crash at any moment leaves the old file
    or the new one, never a torn one. An exception in the block removes the temporary file, and the
    folders that were made for it.
    """
    path = Path(path)
    with _made_parents(path):
        # The suffix is kept because some writers (h5py, numpy) choose their format by it.
        descriptor, name = tempfile.mkstemp(
            prefix=_beginning(TEMPORARY), suffix=f"-{_tail(path.name)}", dir=path.parent
        )
        os.close(descriptor)
        temporary = Path(name)
        _own.add(temporary.name)
        try:
            yield temporary
            # mkstemp gives 0600; a result should have the permissions that any new file gets.
            os.chmod(temporary, 0o666 & ~_umask())
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
            _own.discard(temporary.name)


@contextlib.contextmanager
def atomic_folder(path, replace=True):
    """Yields a temporary folder beside `path` that takes its place when the block succeeds.

    Args:
        path: The folder to write.
        replace: Whether a folder that is there already is replaced; it is deleted last.

    Raises:
        InputError: If `replace` is False and `path` is there and not an empty folder, or if `path`
            is a file.
    """
    path = Path(path)
    restore_folder(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file, not a folder")
    if not replace and path.is_dir() and any(path.iterdir()):
        raise InputError(f"{path} is not empty: choose another folder or remove it")
    with _made_parents(path):
        temporary = Path(
            tempfile.mkdtemp(
                prefix=_beginning(TEMPORARY), suffix=f"-{_tail(path.name)}", dir=path.parent
            )
        )
        _own.add(temporary.name)
        try:
            yield temporary
            os.chmod(temporary, 0o777 & ~_umask())
            for file in temporary.rglob("*"):
                if file.is_file():
                    sync(file)
            if not path.exists():
                os.replace(temporary, path)
            elif not exchange(temporary, path):
                _take_the_place(temporary, path)
            sync(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            _own.discard(temporary.name)


def remove_leftovers(folder, unnamed=False):
    """Removes from a folder what processes that are gone had not finished writing.

    A folder that such a process had moved aside gets its name back if nothing has that name now.

    Args:
        folder: The folder.
        unnamed: Whether to remove temporary files as well whose names tell no process, which
            earlier versions wrote: only in a folder that nobody else writes to.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        found = _LEFT.fullmatch(name)
        if found is None:
            stale = unnamed and name.startswith(TEMPORARY)
        else:
            stale = name not in _own and _is_gone(found[2], int(found[3]))
        if not stale:
            continue
        path = Path(folder, name)
        if found and found[1] == "old" and not os.path.lexists(path.with_name(found[4])):
            with contextlib.suppress(OSError):  # or another process was faster
                os.rename(path, path.with_name(found[4]))
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def restore_folder(path):
    """Gives a folder its name back that a process lost when it was killed while replacing it."""
    path = Path(path)
    if not os.path.lexists(path):
        remove_leftovers(path.parent)


def os_error(message, path):
    """Returns the `OSError` of a message that names what went wrong with a file; else None.

    TensorFlow tells a full disk in an error of its own, which quotes the system's words.
    """
    for number in _FILE_ERRORS:
        if os.strerror(number) in message:
            return OSError(number, os.strerror(number), str(path))
    return None


def sha256(path):
    """Returns the SHA-256 of a file as a hexadecimal string."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _made_parents(path):
    """Makes the folders above a path; those that it made are removed again if the block fails."""
    made = []
    for parent in path.parents:
        if parent.exists():
            break
        made.append(parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        yield
    except BaseException:
        for parent in made:
            with contextlib.suppress(OSError):  # something else is in it by now
                parent.rmdir()
        raise


def exchange(one, other):
    """Exchanges two names in one system call; returns False where there is none."""
    function = _renameat2()
    if function is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if function(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    # Not of this kernel, or not of this file system.
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), str(other))


@functools.cache
def _renameat2():
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return None
    function.argtypes = ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint
    function.restype = ctypes.c_int
    return function


def _take_the_place(temporary, path):
    """Replaces a folder by two renames."""
    aside = path.with_name(f"{_beginning(REPLACED)}{os.urandom(4).hex()}-{path.name}")
    _own.add(aside.name)
    try:
        os.rename(path, aside)
        try:
            os.replace(temporary, path)
        except BaseException:
            os.rename(aside, path)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        _own.discard(aside.name)


def _beginning(kind):
    return f"{kind}{host_id()}.{os.getpid()}-"


def _tail(name):
    """The end of a name, short enough that what is put before it leaves it a name."""
    return name if len(os.fsencode(name)) <= 200 else Path(name).suffix[-20:]


@functools.cache
def host_id():
    """Names the machine, or the container, within which process numbers are comparable."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{zlib.crc32(f'{socket.gethostname()} {space}'.encode()):08x}"


def _is_gone(host, process):
    """Whether a process of this machine has ended."""
    if host != host_id():
        return False
    if process == os.getpid():  # and it is not among what we are writing
        return True
    if os.name == "nt":  # where signal 0 would end the process
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
