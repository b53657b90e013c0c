"""`open_rows`: the rows of a table of texts, wherever it is."""

from tfgen.data import readers, text_columns
from tfgen.data.catalog import BUILTIN
from tfgen.data.memory import MEMORY, hold, not_given
from tfgen.errors import InputError
from tfgen.files import home_path
from tfgen.names import normalise


def open_rows(name, columns, key, what, data=None, numbered=None):
    """Opens the texts of some columns of a table.

    Args:
        name: A path of a `.csv`, `.tsv`, `.jsonl` or `.parquet` file (also `.gz` and `.xz`), or the
            name of a built-in table.
        columns: Names of the columns, or keys of the JSON objects.
        key: The key of a recipe that needs columns.
        what: What the table has, as messages say it.
        data: A frame in memory, in place of what `name` names.
        numbered: As of `tfgen.data.text_columns.read_rows`.

    Returns:
        `(name, rows)`: what the data are called, and a function of a `Report` that yields a tuple
        of the texts of each row.

    Raises:
        InputError: If there is no such table.
    """
    if data is not None:
        return MEMORY, hold(data).pairs(columns, numbered=numbered)
    if name == MEMORY:
        raise not_given()
    built_in = BUILTIN.get(normalise(str(name)))
    path = home_path(str(name)) if built_in is None else built_in.path
    if not path.is_file():
        raise InputError(f"There is no file {name}, of {what}")
    if not readers.is_table(path):
        allowed = ", ".join(sorted(readers.TABLES))
        raise InputError(f"{name} has no columns: {key} needs one of {allowed}")
    return str(name), lambda report: text_columns.read_rows(path, columns, report, numbered)


def check_fraction(validation_fraction):
    """Refuses a share for validation that is none."""
    if not 0 <= validation_fraction < 1:
        raise InputError(
            "validation_fraction must be at least 0 and less than 1. "
            f"Received: validation_fraction={validation_fraction}"
        )
