"""Pickled arrays of arrays are read, and no code in them is run."""

import io
import os
import pickle
import struct

import numpy as np
import pytest

from tfgen.data.pickled_arrays import unpickle_arrays

ARRAYS = [
    np.arange(6, dtype=np.int16).reshape(2, 3),
    np.array([[0.5, -1, 1]], ">f4"),
    np.asfortranarray(np.arange(12.0).reshape(4, 3)),
    np.zeros([0, 3], np.uint8),
]


def objects(items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


def read(data):
    return unpickle_arrays(io.BytesIO(data))


@pytest.mark.parametrize("protocol", range(5))
def test_every_protocol_that_numpy_writes(protocol):
    found = read(pickle.dumps(objects(ARRAYS), protocol=protocol))
    for array, expected in zip(found, ARRAYS, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == expected.dtype
    assert read(pickle.dumps(objects([]), protocol=protocol)) == []


def array_of_python_2(shape, kind, order, data):
    """The operations that Python 2 writes: the bytes are a text of its own."""
    size = b"".join(b"K" + bytes([n]) for n in shape)
    make = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    close = {1: b"\x85", 2: b"\x86"}[len(shape)]
    kind = b"cnumpy\ndtype\nU\x02" + kind + b"K\x00K\x01\x87R(K\x03U\x01" + order
    kind += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return make + b"(K\x01" + size + close + kind + b"\x89" + data + b"tb"


def test_a_file_of_python_2():
    data = struct.pack("<6h", 1, -2, 0, 300, 4, 1)
    inner = array_of_python_2((2, 3), b"i2", b"<", b"U" + bytes([len(data)]) + data)
    outer = array_of_python_2((1,), b"O8", b"|", b"](" + inner + b"e")
    [array] = read(b"\x80\x02" + outer + b".")
    assert array.tolist() == [[1, -2, 0], [300, 4, 1]] and array.dtype == np.int16


class Calls:
    """Pickled, a call of anything."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(tmp_path):
    mark = tmp_path / "was run"
    yield "os.system", pickle.dumps(objects([Calls(os.system, f"touch '{mark}'")]))
    yield "eval", pickle.dumps(Calls(eval, f"open({str(mark)!r}, 'w')"), 0)
    yield "a file", pickle.dumps(objects([Calls(np.fromfile, "/etc/passwd")]), 2)
    yield "ctypes of numpy", b"cnumpy.ctypeslib\nload_library\n(V/tmp/x\nV/\ntR."
    yield "an attribute of the array", b"\x80\x04\x8c\x05numpy\x8c\x07ndarray.fromfile\x93."
    yield "an instance", b"(ios\nsystem\n(Vtrue\no."
    yield "an extension", b"\x80\x02\x82\x01."
    yield "a reference to outside", b"Pother\n."


def test_nothing_is_executed(tmp_path):
    for name, data in hostile(tmp_path):
        with pytest.raises(ValueError, match="its pickle"):
            read(data)
        assert not list(tmp_path.iterdir()), name


MAKE = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"K\x01.",
        b"\x80\x04]\x94.",
        pickle.dumps(np.zeros([2, 3])),
        pickle.dumps(objects(["text"])),
        pickle.dumps(objects([objects([np.zeros(3)])])),
        pickle.dumps(objects([np.array(["text"])])),
        pickle.dumps(objects([np.zeros(3, "M8[s]")])),
        pickle.dumps(objects(ARRAYS))[:-40],
        # Bytes as the addresses of objects: NumPy's own setting of a state would take them so.
        array_of_python_2((1,), b"O8", b"|", b"U\x08AAAAAAAA") + b".",
        array_of_python_2((9,), b"i2", b"<", b"U\x02ab") + b".",
        # Setting an attribute of a constructor; an array twice; a state that is none.
        b"cnumpy\nndarray\n}(V__call__\nK\x01ub.",
        MAKE + b"(K\x01K\x00\x85b.",
        MAKE + b"K\x01b.",
        # Lists within lists, places of the memo that are far away, a text of 2 ** 62 bytes.
        b"]" * 1000 + b".",
        MAKE + b"r\xff\xff\xff\xff" + b"j\x00\x00\x00\x01.",
        b"\x8e" + b"\x00" * 7 + b"\x40ab.",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
    ],
)
def test_what_is_no_array_of_arrays_is_a_value_error(data):
    with pytest.raises(ValueError):
        read(data)


def test_mutated_pickles_are_read_or_refused():
    rng = np.random.default_rng(0)
    whole = pickle.dumps(objects(ARRAYS), protocol=4)
    refused = 0
    for _ in range(2000):
        data = bytearray(whole)
        for place in rng.integers(len(data), size=rng.integers(1, 4)):
            data[place] = rng.integers(256)
        try:
            assert all(isinstance(array, np.ndarray) for array in read(bytes(data)))
        except ValueError:
            refused += 1
    assert refused > 500
