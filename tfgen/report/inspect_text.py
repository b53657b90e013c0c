"""`inspect_text`: what is in a text before anybody trains on it."""

import numpy as np

from tfgen.data.text import open_text

_SHOWN_SYMBOLS = 120
_SAMPLE_LINES = 8
_SAMPLE_WIDTH = 100
_CODE_POINTS = 0x110000


def inspect_text(name, column=None, validation_fraction=0.1):
    """Tells what was kept and dropped and why, the vocabulary, the splits and a sample.

    Args:
        name: As for `open_text`.
        column: As for `open_text`.
        validation_fraction: As for `open_text`.

    Returns:
        A text of several lines, without characters that a terminal would obey.
    """
    source = open_text(name, column, validation_fraction)
    train = _counts(source.chunks("train"))
    validation = _counts(source.chunks("validation"))
    # UTF-8 takes 1 byte for a code point, and 1 more from each of these on.
    longer = sum((train + validation)[first:].sum() for first in (0x80, 0x800, 0x10000))
    size = source.characters["all"] + int(longer)
    report = source.report
    documents = "row" if column else "file"
    lines = [f"{source.name}: {source.characters['all']:,} characters, {size:,} bytes of UTF-8"]
    lines.append(f"kept: {report.kept:,} {documents}{'s' * (report.kept != 1)}")
    if not report.dropped:
        lines.append("dropped: nothing")
    for reason, (number, example) in report.dropped.items():
        lines.append(f"dropped: {number:,} x {reason} (first: {_shown(example)})")
    lines.append(f"split: {source.split_rule}")
    common = np.argsort(-train, kind="stable")[: np.count_nonzero(train)]
    lines.append(f"vocabulary: {len(common)} characters, most frequent first: {_symbols(common)}")
    new = np.flatnonzero(validation * (train == 0))
    if len(new):
        lines.append(f"only in the validation split, so unknown to a model: {_symbols(new)}")
    lines.append("sample:")
    sample = next(source.chunks("all")).split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES]
    lines += [f"    {_shown(line[:_SAMPLE_WIDTH])}" for line in sample]
    return "\n".join(lines)


def _counts(chunks):
    """How often each code point occurs, int64 `(0x110000,)`."""
    counts = np.zeros([_CODE_POINTS], np.int64)
    for chunk in chunks:
        found = np.bincount(np.frombuffer(chunk.encode("utf-32-le"), np.uint32))
        counts[: len(found)] += found
    return counts


def _symbols(code_points):
    shown = _shown("".join(map(chr, code_points[:_SHOWN_SYMBOLS])))
    more = len(code_points) - _SHOWN_SYMBOLS
    return f"{shown} and {more} more" if more > 0 else shown


def _shown(text):
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
