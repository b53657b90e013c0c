"""Sequence processors as JSON files."""

import json
from pathlib import Path

from tfgen.errors import InputError
from tfgen.files import atomic_file
from tfgen.preprocessing.sequence_processor import SequenceProcessor
from tfgen.preprocessing.signature import argument_names

PROCESSOR_FILE = "sequence.json"
MAX_FILE_BYTES = 1 << 24


def save_processor(processor, path):
    """Writes a `SequenceProcessor` as JSON: its arguments. The same processor, the same bytes."""
    config = processor.get_config()
    # Keras counts names up from one instance to the next.
    del config["name"]
    record = {"processor": "sequence", "config": config}
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def load_processor(path):
    """Reads a processor that `save_processor` wrote. The file is data: it names no code.

    Raises:
        InputError: If the file is no such file.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise InputError(f"{path} is no processor file: it is over {MAX_FILE_BYTES:,} bytes")
        record = json.loads(content.decode("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no processor file: it is no JSON: {error}") from error
    if not isinstance(record, dict) or set(record) != {"processor", "config"}:
        raise InputError(f"{path} is no processor file: its keys must be 'processor' and 'config'")
    if record["processor"] != "sequence":
        raise InputError(
            f"{path} is no processor file. Received: processor={str(record['processor'])[:40]!r}"
        )
    # None but our own arguments: those of Keras' base class can name further objects to build. One
    # that was not there yet when the file was written has its default.
    config, keys = record["config"], argument_names(SequenceProcessor)
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
