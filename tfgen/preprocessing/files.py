"""Tokenizers by name, and as JSON files."""

import json
from pathlib import Path

from tfgen.arguments import argument_names
from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file, read_record, read_text
from tfgen.kinds import find_kind
from tfgen.preprocessing.byte import ByteTokenizer
from tfgen.preprocessing.byte_pair import BytePairTokenizer
from tfgen.preprocessing.byte_pair_definition import of_gpt2_files, read_definition, refusal
from tfgen.preprocessing.character import CharacterTokenizer
from tfgen.preprocessing.hugging_face import MAX_FILE_BYTES, HuggingFaceTokenizer
from tfgen.preprocessing.word import WordTokenizer

# Those that a recipe may name, because they are fitted to its data.
TOKENIZERS = {
    "bpe": BytePairTokenizer,
    "byte": ByteTokenizer,
    "character": CharacterTokenizer,
    "word": WordTokenizer,
}
# Those that a file may hold.
_STORED = {**TOKENIZERS, "hugging-face": HuggingFaceTokenizer}


def tokenizer_name(config, kind):
    """Which tokenizer a `PreprocessingConfig` names for a kind of data, which `"auto"` goes by."""
    return find_kind(kind).tokenizer if config.tokenizer == "auto" else config.tokenizer


def build_tokenizer(config, chunks, kind="text"):
    """Returns the tokenizer of a `PreprocessingConfig`, fitted to an iterable of texts.

    Args:
        config: The configuration.
        chunks: The texts.
        kind: Of the data: see `tokenizer_name`.
    """
    name = tokenizer_name(config, kind)
    if name not in TOKENIZERS:
        raise unknown("tokenizer", name, TOKENIZERS)
    known = argument_names(TOKENIZERS[name])
    own = [key for key in ("vocabulary_size", "max_vocabulary") if key in known]
    return TOKENIZERS[name](**{key: getattr(config, key) for key in own}).adapt(chunks)


def read_hugging_face(path, vocabulary):
    """Reads a `tokenizer.json`: as byte-level BPE, which stays in the graph, where that is exact.

    Args:
        path: Path of the file.
        vocabulary: Number of ids of the model.

    Raises:
        InputError: If it is missing, too large or no such file.
    """
    try:
        definition = read_text(path, MAX_FILE_BYTES // 2)
        if refusal(read_definition(definition)) is None:
            return BytePairTokenizer(definition, vocabulary)
    except (OSError, ValueError):
        pass  # the package says it in its own words
    return HuggingFaceTokenizer.from_file(path, vocabulary_size=vocabulary)


def read_gpt2(vocabulary_file, merges_file, vocabulary):
    """As `read_hugging_face`, of the `vocab.json` and the `merges.txt` of a GPT-2."""
    try:
        return BytePairTokenizer(of_gpt2_files(vocabulary_file, merges_file), vocabulary)
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}") from error
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{vocabulary_file} and {merges_file} fit no GPT-2: {error}") from error


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
    record = read_record(path, "tokenizer", MAX_FILE_BYTES)
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
