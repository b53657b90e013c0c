"""NumPy archives: damaged, hostile, larger than they look."""

import io
import struct
import zipfile

import numpy as np
import pytest

from tfgen.data.archives import load_npz, read_headers
from tfgen.data.budget import Budget
from tfgen.data.series import data_kind
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

PLAIN = "{'descr':'<f8','fortran_order':False,'shape':(8,)}"


def member(header, body=b"\0" * 64):
    header = header.encode() + b" " * ((-len(header) - 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + body


def archive(data, name="a.npy"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr(name, data)
    return file.getvalue()


def changed(data, *places):
    """The archive's bytes with some of its directory's or its local header's bytes set."""
    data = bytearray(data)
    for place, value in places:
        data[place if place >= 0 else data.find(b"PK\1\2") - place] = value
    return bytes(data)


def array(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


HOSTILE = {
    "a giant shape": archive(member("{'descr':'<f8','fortran_order':False,'shape':(10**10,)}")),
    "a giant number": archive(
        member("{'descr':'<f8','fortran_order':False,'shape':(10000000000,)}")
    ),
    "a negative shape": archive(member("{'descr':'<f8','fortran_order':False,'shape':(-8,)}")),
    "a member that is no array": archive(b"hello", "readme.txt"),
    "encrypted": changed(archive(member(PLAIN)), (-8, 1), (6, 1)),
    "a zip of another version": changed(archive(member(PLAIN)), (-6, 255)),
    "an array before a zip": array(np.arange(8.0)) + archive(member(PLAIN)),
    "an array alone": array(np.arange(8.0)),
    "no Unicode": archive(
        member("{'descr':'<U4','fortran_order':False,'shape':(4,)}", b"\xff\xff\xff\x7f" * 16)
    ),
    "no Unicode, the other order": archive(
        member("{'descr':'>U4','fortran_order':False,'shape':(4,)}", b"\x7f\xff\xff\xff" * 16)
    ),
    "a long header": archive(b"\x93NUMPY\2\0" + struct.pack("<I", 1 << 28) + b" " * (1 << 24)),
    "an odd version": archive(b"\x93NUMPY\7\7" + bytes(99)),
    "an odd type": archive(member("{'descr':'<q9','fortran_order':False,'shape':(8,)}")),
    "no header": archive(member("__import__('os').system('x')")),
    "cut": archive(member(PLAIN))[:-30],
    "nothing": b"",
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_hostile_archive_is_refused_in_one_line(tmp_path, fault):
    path = tmp_path / "a.npz"
    path.write_bytes(HOSTILE[fault])
    if fault == "an array before a zip":
        # As zipfile reads it: what is before an archive is none of it.
        assert load_npz(path)["a"].tolist() == [0] * 8
        return
    with pytest.raises(InputError) as error:
        load_npz(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("fault", HOSTILE)
def test_one_hostile_archive_does_not_break_a_folder(tmp_path, fault):
    (tmp_path / "a.npz").write_bytes(HOSTILE[fault])
    for name in ("b.txt", "c.txt"):
        (tmp_path / name).write_text("text")
    assert data_kind(DataConfig(name=str(tmp_path))) == "text"


def test_what_an_archive_becomes_is_known_before_it_is_read(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros([100_000, 3], np.int8), b=np.array(["x" * 20]))
    assert read_headers(path) == {"a": ((100_000, 3), np.int8), "b": ((1,), np.dtype("U20"))}
    with pytest.raises(InputError, match="a.npz would become 300,010 numbers.*data.max_numbers"):
        load_npz(path, Budget(300_009))
    assert load_npz(path, Budget(300_010))["a"].shape == (100_000, 3)
