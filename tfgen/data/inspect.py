"""`inspect_text`: what is in a text before anybody trains on it."""

import collections

from tfgen.data.text import open_text

_SHOWN_SYMBOLS = 120
_SAMPLE_LINES = 8


def inspect_text(name, column=None, validation_fraction=0.1):
    """Tells what was kept and dropped and why, the vocabulary, the splits and a sample.

    Args:
        name: As for `open_text`.
        column: As for `open_text`.
        validation_fraction: As for `open_text`.

    Returns:
        A text of several lines.
    """
    source = open_text(name, column, validation_fraction)
    counts, new = collections.Counter(), set()
    for chunk in source.chunks("train"):
        counts.update(chunk)
    size = 0
    for chunk in source.chunks("all"):
        size += len(chunk.encode("utf-8", "replace"))
    for chunk in source.chunks("validation"):
        new |= set(chunk) - set(counts)
    report = source.report
    documents = "row" if column else "file"
    lines = [f"{source.name}: {source.characters['all']:,} characters, {size:,} bytes of UTF-8"]
    lines.append(f"kept: {report.kept:,} {documents}{'s' * (report.kept != 1)}")
    if not report.dropped:
        lines.append("dropped: nothing")
    for reason, (number, example) in report.dropped.items():
        lines.append(f"dropped: {number:,} x {reason} (first: {example})")
    lines.append(f"split: {source.split_rule}")
    common = [_shown(symbol) for symbol, _ in counts.most_common(_SHOWN_SYMBOLS)]
    more = f" and {len(counts) - _SHOWN_SYMBOLS} more" if len(counts) > _SHOWN_SYMBOLS else ""
    lines.append(f"vocabulary: {len(counts)} characters, most frequent first: {''.join(common)}{more}")
    if new:
        shown = "".join(_shown(symbol) for symbol in sorted(new)[:_SHOWN_SYMBOLS])
        lines.append(f"only in the validation split, so unknown to a model: {shown}")
    sample = next(source.chunks("train")).split("\n")[:_SAMPLE_LINES]
    lines.append("sample:")
    lines += [f"    {line[:100]}" for line in sample]
    return "\n".join(lines)


def _shown(symbol):
    return symbol if symbol.isprintable() else repr(symbol)[1:-1]
