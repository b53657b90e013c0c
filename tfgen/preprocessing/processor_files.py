"""Sequence processors as JSON files."""

import json
from pathlib import Path

from tfgen.arguments import argument_names
from tfgen.errors import InputError
from tfgen.files import atomic_file, read_record
from tfgen.preprocessing.sequence_arguments import without_former
from tfgen.preprocessing.sequence_processor import SequenceProcessor

PROCESSOR_FILE = "sequence.json"
MAX_FILE_BYTES = 1 << 24


def save_processor(processor, path):
    """Writes a `SequenceProcessor` as JSON: its arguments. The same processor, the same bytes."""
    config = processor.get_config()
    # Keras counts names up from one instance to the next.
    del config["name"]
    record = {"processor": "sequence", "config": config}
    text = _dumps(record, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a name of a folder that is no UTF-8: its bytes as escapes
        text = _dumps(record, ensure_ascii=True)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _dumps(record, **options):
    return json.dumps(record, indent=1, allow_nan=False, **options) + "\n"


def load_processor(path):
    """Reads a processor that `save_processor` wrote. The file is data: it names no code.

    Raises:
        InputError: If the file is no such file.
    """
    path = Path(path)
    record = read_record(path, "processor", MAX_FILE_BYTES)
    if record["processor"] != "sequence":
        raise InputError(
            f"{path} is no processor file. Received: processor={str(record['processor'])[:40]!r}"
        )
    # None but our own arguments: those of Keras' base class can name further objects to build. One
    # that was not there yet when the file was written has its default.
    config, keys = record["config"], argument_names(SequenceProcessor)
    config = without_former(config) if isinstance(config, dict) else config
    if not isinstance(config, dict) or not {"kind", "features"} <= set(config) <= set(keys):
        raise InputError(
            f"{path} is no processor file: the keys of 'config' must be among {', '.join(keys)}, "
            "with kind and features"
        )
    try:
        return SequenceProcessor(**config)
    except (ValueError, TypeError, RecursionError) as error:
        [line, *_] = str(error).splitlines() or [""]
        raise InputError(f"{path} is no processor file: {line[:500]}") from error
