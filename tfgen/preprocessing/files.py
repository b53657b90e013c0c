"""Tokenizers by name, and as JSON files."""

import json
from pathlib import Path

from tfgen.arguments import argument_names
from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file, read_json
from tfgen.preprocessing.byte import ByteTokenizer
from tfgen.preprocessing.character import CharacterTokenizer
from tfgen.preprocessing.hugging_face import MAX_FILE_BYTES, HuggingFaceTokenizer

# Those that a recipe may name, because they are fitted to its data.
TOKENIZERS = {"byte": ByteTokenizer, "character": CharacterTokenizer}
# Those that a file may hold.
_STORED = {**TOKENIZERS, "hugging-face": HuggingFaceTokenizer}


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
    names = {cls: name for name, cls in _STORED.items()}
    record = {"tokenizer": names[type(tokenizer)], "config": tokenizer.get_config()}
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def load_tokenizer(path):
    """Reads a tokenizer that `save_tokenizer` wrote. The file is data: it names no code.

    Raises:
        InputError: If the file is no such file.
    """
    path = Path(path)
    try:
        record = read_json(path, MAX_FILE_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(record, dict) or set(record) != {"tokenizer", "config"}:
        raise InputError(f"{path} is no tokenizer file: its keys must be 'tokenizer' and 'config'")
    name, config = record["tokenizer"], record["config"]
    if not isinstance(name, str) or name not in _STORED:
        raise unknown(f"tokenizer in {path}", name, _STORED)
    # Exactly our own arguments: those of Keras' base class can name further objects to build.
    keys = {"name", *argument_names(_STORED[name])}
    if not isinstance(config, dict) or set(config) != keys:
        raise InputError(
            f"{path} is no tokenizer file: the keys of 'config' must be {', '.join(sorted(keys))}"
        )
    try:
        return _STORED[name](**config)
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        [line, *_] = str(error).splitlines() or [""]
        raise InputError(f"{path} is no tokenizer file: {line}") from error
