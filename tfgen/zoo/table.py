"""Tables of the zoo's entries, made from their recipes and their measured results."""

from tfgen.report.words import readable
from tfgen.zoo.description import describe_entry, readable_bytes
from tfgen.zoo.folders import entries_in, shipped_folder

_HEAD = """\
# The zoo

Each folder here is an entry: a model that `tfgen.zoo.get` gives by its folder's name, with its
weights, how it was trained (`recipe.toml`) and its card (`README.md`). Scores are measured on the
part of the data that training did not see; of numbers it is a density in the data's own units.

This table is written by `scripts/make_zoo_table.py` from the recipes and results.
"""

_NONE_YET = "There are no entries yet.\n"

# Heading of a column, and the cell of an entry's description.
_COLUMNS = {
    "entry": lambda entry: f"[{entry.name}]({entry.name}/)",
    "family": lambda entry: entry.family,
    "data": lambda entry: entry.data,
    "parameters": lambda entry: entry.parameters and f"{entry.parameters:,}",
    "likelihood": lambda entry: _likelihood(entry.scores),
    "size": lambda entry: entry.bytes and readable_bytes(entry.bytes),
    "licence": lambda entry: entry.licence,
    "what it is": lambda entry: entry.summary,
}


# Those of the project's README, which is one folder up.
_FEW_COLUMNS = {
    "model": lambda entry: f"[{entry.name}](zoo/{entry.name}/)",
    "what it generates": lambda entry: entry.summary,
    "parameters": _COLUMNS["parameters"],
    "held-out likelihood": _COLUMNS["likelihood"],
}


def zoo_table(folder=None):
    """Returns the text of `zoo/README.md`.

    Args:
        folder: The folder of the entries; None is that of the entries that come with tfgen.
    """
    folders = entries_in(folder or shipped_folder())
    return f"{_HEAD}\n{_table(folders, _COLUMNS) if folders else _NONE_YET}"


def short_table(folder=None):
    """Returns the table of the project's README, of four columns; arguments as of `zoo_table`."""
    return _table(entries_in(folder or shipped_folder()), _FEW_COLUMNS)


def _table(folders, columns):
    rows = [list(columns), ["---"] * len(columns)]
    for path in folders:
        entry = describe_entry(path.name, path)
        rows.append([_cell(column(entry)) for column in columns.values()])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _likelihood(scores):
    for unit in ("character", "frame", "value"):
        if (nats := scores.get(f"nats_per_{unit}")) is not None:
            return f"{readable(nats)} nats/{unit}"
    return None


def _cell(value):
    text = "" if value is None else readable(value)
    return " ".join(text.split()).replace("|", "\\|")
