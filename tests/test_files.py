"""Writing whole files and folders or none, and mistakes told in one line."""

import os
import signal
import stat
import subprocess
import sys

import pytest

from tfgen import files
from tfgen.errors import InputError, printable, unknown
from tfgen.files import (
    atomic_file,
    atomic_folder,
    read_bytes,
    read_json,
    read_text,
    remove_leftovers,
    restore_folder,
    sha256,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "deep" / "er" / "a.txt"
    with atomic_file(path) as temporary:
        assert temporary.parent == path.parent and temporary.suffix == ".txt"
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert names(path.parent) == ["a.txt"]


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), atomic_file(path) as temporary:
            temporary.write_text("new")
            raise error
        assert path.read_text() == "old"
        assert names(tmp_path) == ["a.txt"]
    with atomic_file(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_files_and_folders_have_the_usual_permissions(tmp_path):
    umask = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "file") as temporary:
            temporary.write_text("x")
        with atomic_folder(tmp_path / "folder") as temporary:
            (temporary / "x").write_text("x")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


def test_what_is_written_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(files, "sync", lambda path: events.append(("sync", path.name)))
    replace = os.replace
    monkeypatch.setattr(
        files.os, "replace", lambda a, b: (events.append(("name", b.name)), replace(a, b))
    )
    with atomic_folder(tmp_path / "new") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("a")
    assert events == [("sync", "a"), ("name", "new"), ("sync", tmp_path.name)]
    events.clear()
    with atomic_file(tmp_path / "b") as temporary:
        temporary.write_text("b")
    assert events == [("sync", temporary.name), ("name", "b"), ("sync", tmp_path.name)]


def test_a_folder_appears_whole_and_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "model"
    with atomic_folder(path) as folder:
        (folder / "one").write_text("1")
        assert not path.exists()
    with atomic_folder(path) as folder:
        (folder / "two").write_text("2")
        assert names(path) == ["one"]
    assert names(path) == ["two"]
    assert names(tmp_path) == ["model"]


def test_a_failure_leaves_the_old_folder(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("old")
    with pytest.raises(RuntimeError), atomic_folder(path) as folder:
        (folder / "new").write_text("new")
        raise RuntimeError
    assert names(tmp_path) == ["model"] and names(path) == ["old"]

    # The same if it is the very last step that fails, when the old one is aside already.
    monkeypatch.setattr(files, "exchange", lambda one, other: False)
    replace = os.replace

    def failing(source, target):
        if source.name.startswith(".tmp-"):
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", failing)
    with pytest.raises(OSError, match="disk full"), atomic_folder(path) as folder:
        (folder / "new").write_text("new")
    assert names(tmp_path) == ["model"] and names(path) == ["old"]


def test_without_replace_only_an_empty_folder_is_taken(tmp_path):
    path = tmp_path / "export"
    path.mkdir()
    with atomic_folder(path, replace=False) as folder:
        (folder / "a").write_text("a")
    assert names(path) == ["a"]
    with pytest.raises(InputError, match="is not empty"), atomic_folder(path, replace=False):
        raise AssertionError("not reached")
    assert names(path) == ["a"]


@pytest.mark.parametrize("replace", [True, False])
def test_a_file_is_not_taken_for_a_folder(tmp_path, replace):
    (tmp_path / "file").write_text("x")
    writing = atomic_folder(tmp_path / "file", replace=replace)
    with pytest.raises(InputError, match="file is a file, not a folder"), writing:
        pass
    assert (tmp_path / "file").read_text() == "x"


def test_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "abc") == expected


def test_an_unknown_name_is_told_with_its_neighbours():
    message = str(unknown("family", "LSTN", ["lstm", "gru"]))
    assert message == "Unknown family 'LSTN'. Did you mean 'lstm'? Known: gru, lstm"
    message = str(unknown("option", "max-new_tokens", ["max_new_tokens", "seed"]))
    assert "Did you mean 'max_new_tokens'?" in message
    assert str(unknown("family", "xyz", ["lstm"])) == "Unknown family 'xyz'. Known: lstm"
    assert str(unknown("family", "xyz", [])).endswith("Known: (none)")
    assert issubclass(InputError, ValueError)


# Reading


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_bytes(path, 5) == b"\xef\xbb\xbf{}"
    assert read_text(path, 5) == "{}" and read_json(path, 5) == {}
    with pytest.raises(InputError, match="a is larger than 4 bytes"):
        read_bytes(path, 4)
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # takes no room, and has no end to speak of
    with pytest.raises(InputError, match="larger than 1,000 bytes"):
        read_bytes(path, 1000)


def test_what_may_have_no_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe"):
        with pytest.raises(InputError, match="is no regular file"):
            read_bytes(path, 10)
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path, 10)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none", 10)


@pytest.mark.parametrize("content", [b"\xff", b"{", b"[" * 100_000, b"1" * 10_000, b""])
def test_what_is_no_json_is_told(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError, match="a: not (UTF-8|valid JSON)"):
        read_json(tmp_path / "a", 1 << 20)


# What processes that were killed leave

KILLED = """
import os, signal, sys
from pathlib import Path
from tfgen import files
where, moment = Path(sys.argv[1]), sys.argv[2]
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
if moment == "between":
    files.exchange = lambda one, other: False
    replace = os.replace
    os.replace = lambda a, b: die() if "old" not in str(a) else replace(a, b)
if moment == "after":
    files.shutil.rmtree = lambda *a, **k: die()
with files.atomic_folder(where) as folder:
    (folder / "new").write_text("new")
    if moment == "writing":
        with files.atomic_file(where.parent / "file"):
            die()
"""


def killed(path, moment):
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), moment])
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", ["writing", "between", "after"])
def test_what_a_killed_process_left_is_cleared_and_no_name_is_lost(tmp_path, moment):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("old")
    killed(path, moment)
    assert len(names(tmp_path)) > 1 or moment == "between"
    restore_folder(path)
    assert names(path) == (["new"] if moment == "after" and linux() else ["old"])
    with atomic_folder(path) as folder:
        (folder / "newer").write_text("newer")
    assert names(tmp_path) == ["model"] and names(path) == ["newer"]


def linux():
    return sys.platform == "linux"


def test_the_files_of_others_are_left_alone(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    here = files.host_id()
    living = f".tmp-{here}.{os.getppid()}-abcdefgh-a"
    kept = [
        living,
        f".tmp-00000000.{dead.pid}-abcdefgh-a",  # of another machine
        f".tmp-{here}.{dead.pid}",
        ".tmp-abcdefgh",
        "a",
    ]
    gone = f".tmp-{here}.{dead.pid}-abcdefgh-a"
    with atomic_file(tmp_path / "own") as own:
        for name in [*kept, gone]:
            (tmp_path / name).write_text("x")
        (tmp_path / f".old-{here}.{dead.pid}-abcdefgh-b").symlink_to(tmp_path / "a")
        (tmp_path / "b").write_text("x")
        remove_leftovers(tmp_path)
        assert names(tmp_path) == sorted([*kept, own.name, "b"])
    remove_leftovers(tmp_path, unnamed=True)
    assert names(tmp_path) == sorted([kept[0], kept[1], "a", "b", "own"])


def test_folders_that_were_made_in_vain_are_removed(tmp_path):
    for write in (atomic_file, atomic_folder):
        with pytest.raises(OSError, match="full"), write(tmp_path / "x" / "y" / "z"):
            raise OSError(28, "full")
        assert names(tmp_path) == []


def test_names_of_any_length_and_bytes_are_written(tmp_path):
    for name in ("x" * 250 + ".txt", os.fsdecode(b"caf\xe9.txt"), "[a]*"):
        with atomic_file(tmp_path / name) as temporary:
            temporary.write_text("x")
        assert (tmp_path / name).read_text() == "x"
    with atomic_folder(tmp_path / os.fsdecode(b"\xe9")) as folder:
        (folder / "a").write_text("x")
    assert (tmp_path / os.fsdecode(b"\xe9") / "a").read_text() == "x"


# What messages quote


def test_a_message_cannot_write_to_the_terminal_nor_fill_it():
    error = InputError("No column '\x1b[2J\x07\x9b1m\u202e\udce9\r' here,\nsee a\tb")
    assert str(error) == (r"No column '\x1b[2J\x07\x9b1m\u202e\udce9\x0d' here," "\nsee a\tb")
    assert printable("é, 漢, 👍🏽, عربي") == "é, 漢, 👍🏽, عربي"
    long = str(InputError("file " + "9" * 100_000 + ": no"))
    assert len(long) < 400 and long.startswith("file 999") and long.endswith("99: no")
    assert "[99,741 characters left out]" in long
    many = str(InputError("x " * 100_000 + "end"))
    assert len(many) <= 6000 and many.endswith("x end")
    assert len(str(unknown("column", "x" * 10**6, [f"c{i}" for i in range(20_000)]))) < 2000
    assert "and 19,800 more" in str(unknown("column", "d", [f"c{i}" for i in range(20_000)]))
