"""What is in data before anybody trains on them, as `tfgen inspect` tells and draws it."""

import numpy as np

from tfgen.data import data_kind, open_sequences
from tfgen.kinds import find_kind, load
from tfgen.report.figures import to_png
from tfgen.report.inspect_sequences import inspect_sequences
from tfgen.report.inspect_text import inspect_text
from tfgen.report.output import write_files, write_sequences


def inspect_data(config):
    """Tells what was kept of data and what was dropped and why, and what is in them.

    Args:
        config: A `tfgen.recipe.DataConfig`.

    Returns:
        A text of several lines, without characters that a terminal would obey.

    Raises:
        InputError: The data cannot be read, or are not as `config` says.
    """
    row = find_kind(data_kind(config))
    if row.inspect is not None:
        return load(row.inspect)(config)[0]
    if row.modality == "text":
        return inspect_text(config.name, config.column, config.validation_fraction)
    return inspect_sequences(config)


def draw_data(config, path):
    """Draws some of the sequences of data, evenly spread so that each class has its turn.

    Args:
        config: A `tfgen.recipe.DataConfig`, of no text.
        path: The `.png` to write.

    Returns:
        List of the paths written.
    """
    row = find_kind(data_kind(config))
    if row.inspect is not None:
        figure = load(row.inspect)(config)[1]
        return write_files(path, [lambda path: path.write_bytes(to_png(figure))])
    sequences = open_sequences(config)
    count = min(len(sequences), row.inspected)
    chosen = sequences.select(np.arange(count) * len(sequences) // count)
    ids = chosen.ids if row.titled else None
    if chosen.labels is not None:
        ids = [chosen.classes[label] for label in chosen.labels]
    return write_sequences(
        path, chosen.values, chosen.features, sequences.kind, times=chosen.times, ids=ids,
        sample_rate=chosen.sample_rate, title=sequences.name,
    )  # fmt: skip
