"""Damage done to files, from a seed: what a reader is given by bad disks and bad people."""

import gzip
import io
import json
import lzma
import struct
import wave
import zipfile

import numpy as np

# What parsers count in: lengths that are huge, negative or nothing, as little-endian fields.
LENGTHS = [
    struct.pack(form, value)
    for form in ("<H", "<I", "<Q", ">H", ">I", ">Q")
    for value in (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF)
] + [
    b"\xff" * 8,
    b"\xff\xff\xff\x7f",
    b"\x7f\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
]
# What text formats count and nest in.
SNIPPETS = [
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\n\n", b"\n", b'"', b"'", b",", b";",
    b"\t", b"[", b"{", b"}", b"]", b"<", b">", b"&#0;", b"&x;", b"-", b"e999", b"e-999", b"nan",
    b"inf", b"1e400", b"9" * 30, b"0" * 30, b"." * 20, b"[" * 200, b"<g>" * 200, b"\x1b[2J",
    "\u202e\u2028".encode(), b"2024-13-45", b"0000-00-00", b"99999-01-01", b"null", b"true",
]  # fmt: skip


def mutate(content, rng):
    """Returns a content that one to three things were done to."""
    content = bytes(content)
    for _ in range(rng.integers(1, 4)):
        content = _KINDS[rng.integers(len(_KINDS))](content, rng)
    return content


def _flip(content, rng):
    changed = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        if changed:
            changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
    return bytes(changed)


def _truncate(content, rng):
    return content[: rng.integers(len(content) + 1)]


def _insert(content, rng):
    place = rng.integers(len(content) + 1)
    return content[:place] + SNIPPETS[rng.integers(len(SNIPPETS))] + content[place:]


def _digits(content, rng):
    """Makes a number longer, or another one."""
    places = [i for i, byte in enumerate(content) if 48 <= byte < 58]
    if not places:
        return _insert(content, rng)
    place = places[rng.integers(len(places))]
    longer = [b"", b"0", b"-", b"9" * 20, b"1e9", b".", b"9" * 400][rng.integers(7)]
    return content[:place] + longer + content[place + 1 :]


def _duplicate(content, rng):
    start, stop = np.sort(rng.integers(len(content) + 1, size=2))
    return content[:stop] + content[start:stop] * int(rng.integers(1, 4)) + content[stop:]


def _remove(content, rng):
    start = rng.integers(len(content) + 1)
    return content[:start] + content[start + rng.integers(1, 65) :]


def _length(content, rng):
    field = LENGTHS[rng.integers(len(LENGTHS))]
    place = rng.integers(len(content) + 1)
    return content[:place] + field + content[place + len(field) :]


def _zeros(content, rng):
    place = rng.integers(len(content) + 1)
    count = int(rng.integers(1, 513))  # a sector that was not written
    return content[:place] + b"\0" * count + content[place + count :]


_KINDS = [_flip, _truncate, _insert, _digits, _duplicate, _remove, _length, _zeros]


# What is damaged: small files of every kind that tables, drawings, sounds and texts come as.


def originals():
    """Returns `{suffix: [content]}`."""
    rows = [
        f"2024-01-{day:02d} 0{day % 3}:00,{day * 1.5},{'ab'[day % 2]},7" for day in range(1, 30)
    ]
    csv = "\n".join(["date,value,kind,n", *rows]).encode()
    drawings = [{"word": "cat", "recognized": True, "drawing": [[[0, 5, 9], [1, 2, 8]]]}] * 12
    records = [
        {"date": f"2024-01-{day:02d}", "text": "words, words", "x": day} for day in range(1, 25)
    ]
    found = {
        ".csv": [
            csv,
            b"id,time,x\n" + b"".join(b"%d,%d,%d\n" % (i % 3, i, i * i) for i in range(40)),
        ],
        ".tsv": [csv.replace(b",", b"\t")],
        ".txt": [csv, b"To be, or not to be.\n" * 30, csv.replace(b",", b";")],
        ".dat": [csv.replace(b",", b"  ")],
        ".csv.gz": [gzip.compress(csv, mtime=0)],
        ".csv.xz": [lzma.compress(csv)],
        ".jsonl": [_lines(records)],
        ".ndjson": [_lines(drawings), _lines(records)],
        ".svg": [SVG.encode()],
        ".npz": [_npz(x=np.arange(40.0), kind=np.array(["a", "b"] * 20)), _drawings()],
        ".parquet": [_parquet()],
        ".xlsx": [_excel()],
        ".wav": [_wav()],
        ".flac": [_flac()],
    }
    return {suffix: contents for suffix, contents in found.items() if None not in contents}


SVG = """<?xml version="1.0"?>
<!DOCTYPE svg [<!ENTITY a "M 0 0 L 5 5">]>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">
<style>.b { transform: rotate(10deg); display: inline }</style>
<defs><g id="g"><circle cx="5" cy="5" r="3"/></g></defs>
<g transform="translate(10,20) rotate(45) scale(2 1.5) matrix(1 0 0 1 3 4)">
<path d="M10 10 L20 20 C30 30 40 40 50 10 Q 5 5 8 9 A 5 5 0 0 1 9 9 Z"/><path d="&a;"/></g>
<rect x="1" y="2" width="30" height="40" rx="3"/><use href="#g" x="20"/><line x1="0" x2="9" y2="9"/>
<polyline points="0,0 1,1 2,5"/><polygon class="b" points="3 3 4 9 8 7"/><ellipse rx="4" ry="9"/>
</svg>
"""


def _lines(records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def _npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _drawings():
    strokes = [np.array([[0, 0, 0], [3, 4, 0], [5, 1, 1]], np.int16)] * 4
    held = np.empty(4, object)
    held[:] = strokes
    return _npz(train=held, valid=held, test=held)


def _parquet():
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return None
    file = io.BytesIO()
    table = {"t": np.arange(30), "x": np.arange(30.0), "kind": ["a", "b", None] * 10}
    pq.write_table(pa.table(table), file)
    return file.getvalue()


def _excel():
    try:
        import openpyxl
    except ImportError:
        return None
    book = openpyxl.Workbook()
    book.active.append(["date", "x"])
    for day in range(1, 25):
        book.active.append([f"2024-01-{day:02d}", day * 1.5])
    file = io.BytesIO()
    book.save(file)
    # Stored, so that the damage is of the sheets and not of their compression alone.
    plain = io.BytesIO()
    with zipfile.ZipFile(file) as packed, zipfile.ZipFile(plain, "w") as unpacked:
        for name in packed.namelist():
            unpacked.writestr(name, packed.read(name))
    return plain.getvalue()


def _wav():
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(np.arange(400, dtype=np.int16).tobytes())
    return file.getvalue()


def _flac():
    try:
        import soundfile
    except (ImportError, OSError):
        return None
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(400) / 9), 8000, format="FLAC")
    return file.getvalue()
