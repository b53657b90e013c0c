"""Settings of `[data]` of single columns, `"name=value"`: read, and held against the data."""

import numpy as np

from tfgen.errors import InputError, unknown


def columns_of(sequences, key, texts, parse, again, category="is a category"):
    """Yields `(text, number, value)` for each of the settings of a key.

    Args:
        sequences: `tfgen.data.Sequences`.
        key: As in `[data]`.
        texts: Its settings.
        parse: Function of what stands behind the `=`, to the value; ValueError says what a setting
            must be like.
        again: What is wrong with a column that was there before.
        category: What is wrong with a category.

    Raises:
        InputError: For a text that is none, no column of numbers, or one that comes again.
    """
    names, done = [feature.name for feature in sequences.features], set()
    for text in texts:
        name, equals, value = text.rpartition("=")
        name, received = name.strip(), f"Received: data.{key}={text!r}"
        try:
            parsed = parse(value.strip() if equals else "")
        except ValueError as error:
            raise InputError(f"data.{key} must be like {error}. {received}") from None
        if name not in names:
            raise unknown(f"feature of data.{key}", name, names)
        number = names.index(name)
        if sequences.features[number].is_category or name in done:
            raise InputError(f"'{name}' {again if name in done else category}. {received}")
        done.add(name)
        yield text, number, parsed


def refuse(sequences, number, wrong, fault, received, where=None):
    """Refuses values of a column.

    Args:
        sequences: `tfgen.data.Sequences`.
        number: Which of its columns.
        wrong: Function of a column `(time,)` to a bool array: which values are wrong.
        fault: What they are, for a person.
        received: What asks for others, likewise.
        where: Optional function of a sequence's number and a position, to text for a person.

    Raises:
        InputError: With how many there are, and the first of them.
    """
    count, first = 0, None
    for i, values in enumerate(sequences.values):
        found = np.flatnonzero(wrong(values[:, number]))
        if len(found) and first is None:
            position = int(found[0])
            place = where(i, position) if where else f"{sequences.ids[i]}, position {position}"
            first = f"{values[position, number]:g} at {place}"
        count += len(found)
    if count:
        name = sequences.features[number].name
        raise InputError(
            f"'{name}' has values {fault}: {count:,}, the first of them {first}. {received}"
        )
