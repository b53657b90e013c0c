"""`unpickle_arrays`: a pickled array of arrays of numbers, as the files of sketch-rnn hold, without
pickle.

A pickle is a program that may call anything. This reads the few operations of which NumPy makes an
array, and only two names mean something here, those of NumPy's own constructors. What they make are
stand-ins of this module, checked in plain Python: NumPy's own `__setstate__` trusts what it is
given, and a hostile state would have it read memory that is none of its own.
"""

import math
import pickle
import re

import numpy as np

# Stacks, tuples, lists, numbers, texts, bytes and names; no object is made in another way than by
# a call of what a name means.
_OPERATIONS = (
    "PROTO FRAME STOP MARK POP POP_MARK MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET "
    "NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 "
    "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
    "BINBYTES SHORT_BINBYTES BINBYTES8 "
    "EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS "
    "GLOBAL STACK_GLOBAL REDUCE BUILD"
).split()
_NUMBERS = re.compile(r"[biuf](1|2|4|8)")
_OBJECTS = re.compile(r"O[48]?")
_ORDERS = ("<", ">", "=", "|")
# One is enough for an array of objects; a list of its own for every byte would be 64 times as
# large.
_MOST_LISTS = 64


def unpickle_arrays(file):
    """Returns the arrays of numbers in a pickled array of objects.

    Args:
        file: A binary file at the beginning of the pickle, such as a member of a NumPy archive
            behind its header.

    Returns:
        List of arrays. They are views of what was read, and one may be there many times: what they
        take in all is not known to be bounded by the size of the file.

    Raises:
        ValueError: It is damaged or holds anything else.
    """
    try:
        found = _Reader(file, encoding="latin1").load()
    except ValueError:
        raise
    except Exception as error:  # a machine whose stack and memo a stranger fills may raise any
        raise ValueError(f"its pickle is damaged ({type(error).__name__})") from error
    if not isinstance(found, _Array) or not isinstance(found.items, list):
        raise ValueError("its pickle holds no array of arrays")
    arrays = []
    for item in found.items:
        if not isinstance(item, _Array) or not isinstance(item.items, np.ndarray):
            raise ValueError("its pickle holds another thing than arrays of numbers")
        arrays.append(item.items)
    return arrays


class _Reader(pickle._Unpickler):
    """Python's own reader, of which only the operations above are left.

    It is the one written in Python: that in C allocates what a place of its memo says, which four
    bytes can make 64 GB.
    """

    dispatch = {
        code: pickle._Unpickler.dispatch[code]
        for code in (getattr(pickle, name)[0] for name in _OPERATIONS)
    }

    def find_class(self, module, name):
        constructor = _NAMES.get((module, name))
        if constructor is None:
            raise ValueError(f"its pickle asks for {f'{module}.{name}'[:80]!r}")
        return _Constructor(constructor)

    def load_empty_list(self):
        self.lists = getattr(self, "lists", 0) + 1
        if self.lists > _MOST_LISTS:
            raise ValueError("its pickle holds lists within lists")
        self.append([])

    def load_reduce(self):
        arguments = self.stack.pop()
        constructor = self.stack[-1]
        if type(constructor) is not _Constructor or type(arguments) is not tuple:
            raise ValueError("its pickle calls what is no constructor of NumPy")
        self.stack[-1] = constructor.make(*arguments)

    def load_build(self):
        state = self.stack.pop()
        thing = self.stack[-1]
        if type(thing) not in (_Array, _Type) or type(state) is not tuple:
            raise ValueError("its pickle sets what is no array of NumPy")
        thing.set(*state)

    dispatch[pickle.EMPTY_LIST[0]] = load_empty_list
    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.BUILD[0]] = load_build


class _Constructor:
    """What a name means in the pickle: nothing but what makes a stand-in."""

    __slots__ = ("make",)

    def __init__(self, make):
        self.make = make


class _Type:
    """The type of an array's elements: numbers, or objects."""

    __slots__ = ("code", "order")

    def __init__(self, code, *_):
        if not (isinstance(code, str) and (_NUMBERS.fullmatch(code) or _OBJECTS.fullmatch(code))):
            raise ValueError(f"its pickle holds values of the type {code!r}"[:120])
        self.code, self.order = code, "="

    def set(self, _version, order, *_):
        if order not in _ORDERS:
            raise ValueError("its pickle holds values of an unknown order of bytes")
        self.order = order


class _Array:
    """An array; `items` is None at first, then an array of numbers or a list of objects."""

    __slots__ = ("items",)

    def __init__(self, *_):
        self.items = None

    def set(self, _version, shape, kind, fortran, data):
        whole = type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape)
        if not whole or type(kind) is not _Type or self.items is not None:
            raise ValueError("its pickle holds an array without a shape or type")
        if kind.code.startswith("O"):
            if type(data) is not list or len(data) != math.prod(shape) or len(shape) != 1:
                raise ValueError("its pickle holds an array of objects that is no list of them")
            self.items = data
            return
        if isinstance(data, str):
            data = data.encode("latin1")  # the bytes of Python 2
        kind = np.dtype(kind.order.replace("|", "=") + kind.code)
        if not isinstance(data, bytes) or len(data) != math.prod(shape) * kind.itemsize:
            raise ValueError("its pickle holds an array of another size than its shape")
        order = "F" if fortran else "C"
        self.items = np.frombuffer(data, kind).reshape(shape, order=order)


def _encode(text, encoding):
    """Bytes, as Python 3 writes them for Python 2: `_codecs.encode(text, "latin1")`."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError("its pickle encodes what is no text as latin1")
    return text.encode("latin1")


def _no_bytes():
    """Bytes without any, as Python 3 writes them for Python 2: `__builtin__.bytes()`."""
    return b""


_NAMES = {
    ("numpy", "dtype"): _Type,
    # The class itself is only ever an argument, of the constructor below.
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
}
