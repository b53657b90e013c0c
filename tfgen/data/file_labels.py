"""The classes of files: of their folders' names, or of a part of their own."""

import re

from tfgen.errors import InputError

FOLDER, NAME = "folder", "name:"
NOT_MATCHED = "the file's name does not match data.label"


def file_label(label):
    """Returns what finds the class of a file.

    Args:
        label: `data.label`: `"folder"` takes the name of the folder that a file lies in;
            `"name:PATTERN"` searches a file's name for a regular expression and takes its first
            group, e.g. `"name:^(\\d)_"` of `7_jackson_32.wav` the 7.

    Returns:
        A function from a `Path` to the class, None where the pattern is not in the name; None if
        the label is neither of the two.

    Raises:
        InputError: The pattern is no regular expression, or has no group.
    """
    if label == FOLDER:
        return lambda path: readable(path.resolve().parent.name)
    if label is None or not label.startswith(NAME):
        return None
    try:
        pattern = re.compile(label.removeprefix(NAME))
    except (re.error, RecursionError, OverflowError) as error:
        raise InputError(
            f"The pattern of data.label is no regular expression: {error}. "
            f"Received: data.label={label}"
        ) from error
    if not pattern.groups:
        raise InputError(
            "The pattern of data.label needs a group, which becomes the class, e.g. "
            f"'name:^([a-z]+)_'. Received: data.label={label}"
        )

    def find(path):
        match = pattern.search(readable(path.name))
        return match[1] if match else None

    return find


def with_labels(paths, find, report):
    """Yields `(path, class)` of each of many files.

    Args:
        paths: List of paths.
        find: What `file_label` gives; None is of files without classes, whose class is None.
        report: `tfgen.data.readers.Report`, in which files without a class are counted, if they are
            to have one.
    """
    for path in paths:
        label = find(path) if find else None
        if find and label is None:
            report.drop(NOT_MATCHED, str(path))
        else:
            yield path, label


def readable(text):
    """Returns a text that UTF-8 can write: the bytes of a name that is none are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
