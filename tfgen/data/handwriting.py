"""`write_lines`: lines of handwriting with their texts, made of the single-line Hershey fonts.

Each line has a writer of its own, who prints or joins letters, slants them and makes them wide or
tall; letters differ in size, turn and place, and the pen is not quite steady.
"""

import functools
import lzma

import numpy as np

from tfgen.data.archives import load_npz
from tfgen.data.catalog import FILES

FIRST, CHARACTERS = 32, 95  # of ASCII, from the blank on
FONTS = 2  # one that prints, one that joins
LINES = 10_000
_BASE = 9.0  # of the fonts, whose y grows downwards; a small letter is 14 high
_SPACING = 4.0  # between points along a line
_LONGEST = 20  # characters of a line
_JOINED = 2.5  # letters whose ends are so near are joined
_ODD = 0.2  # share of the lines that are no words: digits, signs, any ASCII


@functools.lru_cache(1)
def write_lines(count=LINES, seed=0):
    """Returns `(drawings, texts)`, the same for the same numbers.

    Args:
        count: Lines.
        seed: Integer.

    Returns:
        A list of float32 arrays `(points, 3)` of dx, dy and pen, each beginning at its first point,
        and a list of texts of 1 to 20 characters of ASCII.
    """
    words = lzma.decompress((FILES / "shakespeare.txt.xz").read_bytes()).decode().split()
    words = [word for word in words if word.isascii() and len(word) <= _LONGEST]
    texts, drawings = [], []
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        texts.append(_text(generator, words))
        drawings.append(write(texts[-1], generator))
    return drawings, texts


def write(text, generator):
    """Returns a drawing `(points, 3)` of a text of ASCII, by a writer of his own.

    Args:
        text: The text.
        generator: A NumPy generator, of which the writer and his jitter are drawn.
    """
    points, pens, starts, sides = _glyphs()
    font = generator.integers(FONTS)
    codes = np.array([ord(character) - FIRST for character in text]) + CHARACTERS * font
    counts = np.diff(starts)[codes]
    letter = np.repeat(np.arange(len(codes)), counts)  # of each point
    first = np.cumsum(counts) - counts
    index = starts[codes][letter] + np.arange(len(letter)) - first[letter]
    spread = generator.normal(0, 1, (5, len(codes)))
    widths = (sides[codes, 1] - sides[codes, 0]) + 0.6 * spread[0]
    places = np.cumsum(widths) - widths - sides[codes, 0]
    own = (points[index] - [0, _BASE]) * (1 + 0.05 * spread[1])[letter, None]
    turn = (0.04 * spread[2])[letter]
    x = own[:, 0] - turn * own[:, 1] + places[letter] + (0.4 * spread[3])[letter]
    y = own[:, 1] + turn * own[:, 0] + (0.5 * spread[4])[letter]
    y += generator.uniform(0, 1) * np.sin(x / generator.uniform(30, 90) + generator.uniform(0, 6))
    shake = generator.normal(0, 0.35, (2, len(x) + 2))
    x, y = np.stack([x, y]) + (shake[:, :-2] + 2 * shake[:, 1:-1] + shake[:, 2:]) / 4
    slant, width, height = generator.uniform([-0.1, 0.85, 0.85], [0.35, 1.15, 1.15])
    line = np.stack([width * (x - slant * y), height * y], axis=1)
    pen = pens[index].astype(np.float32)
    moves = np.diff(line, axis=0, prepend=line[:1])
    ends = np.flatnonzero(pen[:-1])
    near = np.linalg.norm(moves[ends + 1], axis=1) < _JOINED
    pen[ends[near & (letter[ends] != letter[ends + 1])]] = 0
    return np.concatenate([moves, pen[:, None]], axis=1).astype(np.float32)


def _text(generator, words):
    """Words that stand together, or something that stands in no text."""
    if generator.random() < _ODD:
        pools = ["0123456789", "0123456789.,:-/", "".join(map(chr, range(33, 127)))]
        pool = [*pools[generator.integers(len(pools))]]
        return "".join(generator.choice(pool, generator.integers(1, 9)))
    start, room = generator.integers(len(words)), generator.integers(4, _LONGEST + 1)
    text = words[start]
    while start + 1 < len(words) and len(text) + 1 + len(words[start + 1]) <= room:
        start += 1
        text += f" {words[start]}"
    return text.upper() if generator.random() < 0.05 else text


@functools.lru_cache(1)
def _glyphs():
    """`(points, pens, starts, sides)` of all characters of each font, points evenly spaced."""
    arrays = load_npz(FILES / "hershey.npz")
    pieces = np.split(np.arange(len(arrays["points"])), np.flatnonzero(arrays["pen"]) + 1)
    lines = iter(pieces[:-1])
    points, pens, counts = [], [], []
    for count in arrays["counts"]:
        begin, own = len(points), 0
        while own < count:
            piece = next(lines)
            own += len(piece)
            points.append(_even(arrays["points"][piece].astype(np.float64)))
            pens.append(np.arange(len(points[-1])) == len(points[-1]) - 1)
        counts.append(sum(map(len, points[begin:])))
    starts = np.concatenate([[0], np.cumsum(counts)])
    return np.concatenate(points), np.concatenate(pens), starts, arrays["sides"].astype(float)


def _even(line):
    """Points of a polyline at equal distances along it, its ends among them."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    count = max(round(along[-1] / _SPACING), 1) + 1 if along[-1] else 1
    wanted = np.linspace(0, along[-1], count)
    return np.stack([np.interp(wanted, along, line[:, axis]) for axis in (0, 1)], axis=1)
