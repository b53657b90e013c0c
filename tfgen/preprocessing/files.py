"""Tokenizers by name, and as JSON files."""

import json
from pathlib import Path

from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file
from tfgen.preprocessing.byte import ByteTokenizer
from tfgen.preprocessing.character import CharacterTokenizer

TOKENIZERS = {"byte": ByteTokenizer, "character": CharacterTokenizer}


def build_tokenizer(config, chunks):
    """Returns the tokenizer of a `PreprocessingConfig`, fitted to an iterable of texts."""
    if config.tokenizer not in TOKENIZERS:
        raise unknown("tokenizer", config.tokenizer, TOKENIZERS)
    arguments = {}
    if config.tokenizer == "character":
        arguments["max_vocabulary"] = config.max_vocabulary
    return TOKENIZERS[config.tokenizer](**arguments).adapt(chunks)


def save_tokenizer(tokenizer, path):
    """Writes a tokenizer as JSON: its class by name and its arguments."""
    names = {cls: name for name, cls in TOKENIZERS.items()}
    record = {"tokenizer": names[type(tokenizer)], "config": tokenizer.get_config()}
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def load_tokenizer(path):
    """Reads a tokenizer that `save_tokenizer` wrote. The file is data: it names no code.

    Raises:
        InputError: If the file is no such file.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        return TOKENIZERS[record["tokenizer"]].from_config(record["config"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no tokenizer file: {error!r}") from error
