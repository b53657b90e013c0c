"""`file_texts`: what drawings say, in a table beside their files."""

import csv
from pathlib import Path

from tfgen.data import readers
from tfgen.errors import InputError
from tfgen.files import home_path

SUFFIXES = {".csv": ",", ".tsv": "\t"}
_COLUMNS = ["file", "text"]


def file_texts(source, name):
    """Returns a function of a path to the text of its drawing; None where `source` is no table.

    Args:
        source: `data.source`: a `.csv` or `.tsv` with the columns `file` and `text`, beside the
            drawings or anywhere. A file is named as it is relative to the table, or by its name.
        name: Of the data, a folder or a file.

    Raises:
        InputError: There is no such table, or it has other columns.
    """
    suffix = readers.suffix_of(Path(source))
    if suffix not in SUFFIXES:
        return None
    places = [home_path(name) / source, home_path(name).parent / source, home_path(source)]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InputError(f"There is no table of texts. Received: data.source={source}")
    lines = (line for _, line in readers.numbered_lines(path))
    rows = csv.reader(lines, delimiter=SUFFIXES[suffix])
    try:
        header = [each.strip() for each in next(rows, [])]
        if header[:2] != _COLUMNS:
            raise InputError(
                f"{path} must begin with the columns file and text. Received: {header}"
            )
        found = {row[0].strip(): row[1].strip() for row in rows if len(row) > 1}
    except csv.Error as error:
        raise InputError(f"{path} is no table: {error}") from error

    def text(file):
        own = Path(file)
        if own.is_relative_to(path.parent):
            within = own.relative_to(path.parent).as_posix()
            if within in found:
                return found[within]
        return found.get(own.name)

    return text
