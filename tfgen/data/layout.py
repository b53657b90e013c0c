"""What a table of text is made of: what separates its fields, where its names are."""

import collections
import csv

# Of several that fit alike the first is it: a comma also stands in numbers and in texts.
DELIMITERS = ("\t", ";", "|", ",")
SPACES = " "  # runs of spaces and tabs
_HEAD = 200  # lines that are looked at


def find_delimiter(lines):
    """Returns what separates the fields of a table: a tab, `;`, `|`, `,` or `SPACES`.

    It is the one that cuts most of the lines into the same number of fields, at least 2, and that
    cuts the first line that is so cut no later than the others do.

    Args:
        lines: The first lines of a file, texts; the first ones may be a title.

    Returns:
        The delimiter; `","` where there is none, as in a table of one column.
    """
    lines = [line for line in lines[:_HEAD] if line.strip()]
    best, best_share = ",", 0.0
    for delimiter in (*DELIMITERS, SPACES):
        widths = [len(fields) for fields in split_fields(lines, delimiter)]
        if not widths:
            continue
        width, count = collections.Counter(widths).most_common(1)[0]
        # A title does not count against the delimiter; what is below it does.
        first = widths.index(width)
        share = count / (len(widths) - min(first, len(widths) // 2))
        if delimiter == SPACES and best_share:
            continue
        if width > 1 and share > best_share and (share > 0.5 or delimiter != SPACES):
            best, best_share = delimiter, share
    return best


def split_fields(lines, delimiter):
    """Returns the fields of lines, a list for each row; a quoted field may run over lines."""
    if delimiter == SPACES:
        return [line.split() for line in lines]
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return [line.split(delimiter) for line in lines]
