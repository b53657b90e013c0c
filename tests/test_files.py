"""Writing whole files and folders or none, and mistakes told in one line."""

import os
import stat

import pytest

from tfgen import files
from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file, atomic_folder, sha256


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
        with pytest.raises(error):
            with atomic_file(path) as temporary:
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
    monkeypatch.setattr(files, "_sync", lambda path: events.append(("sync", path.name)))
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
    with pytest.raises(RuntimeError):
        with atomic_folder(path) as folder:
            (folder / "new").write_text("new")
            raise RuntimeError
    assert names(tmp_path) == ["model"] and names(path) == ["old"]

    # The same if it is the very last step that fails, when the old one is aside already.
    replace = os.replace

    def failing(source, target):
        if source.name.startswith(".tmp-"):
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", failing)
    with pytest.raises(OSError, match="disk full"):
        with atomic_folder(path) as folder:
            (folder / "new").write_text("new")
    assert names(tmp_path) == ["model"] and names(path) == ["old"]


def test_without_replace_only_an_empty_folder_is_taken(tmp_path):
    path = tmp_path / "export"
    path.mkdir()
    with atomic_folder(path, replace=False) as folder:
        (folder / "a").write_text("a")
    assert names(path) == ["a"]
    with pytest.raises(InputError, match="is not empty"):
        with atomic_folder(path, replace=False):
            raise AssertionError("not reached")
    assert names(path) == ["a"]


@pytest.mark.parametrize("replace", [True, False])
def test_a_file_is_not_taken_for_a_folder(tmp_path, replace):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file is a file, not a folder"):
        with atomic_folder(tmp_path / "file", replace=replace):
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
