"""What a `tokenizer.json` must be for `BytePairTokenizer` to give its tokens exactly."""

import json

from tfgen.errors import InputError
from tfgen.files import read_json, read_text
from tfgen.preprocessing.byte_pair_words import EXPRESSIONS, GPT2
from tfgen.preprocessing.hugging_face import MAX_FILE_BYTES, byte_of_character, steps_of


def read_definition(definition):
    """The parts of a definition, those that older files leave out as well.

    Raises:
        ValueError: If it is no definition.
    """
    if not isinstance(definition, str):
        raise ValueError(
            f"definition must be the text of a tokenizer.json. Received: definition={definition!r}"
        )
    try:
        parts = json.loads(definition)
    except (ValueError, RecursionError) as error:
        raise ValueError("The definition of the tokenizer is not valid: it is no JSON") from error
    model = parts.get("model") if isinstance(parts, dict) else None
    vocabulary, merges = (isinstance(model, dict) and model.get(k) for k in ("vocab", "merges"))
    added = parts.get("added_tokens") or [] if isinstance(model, dict) else None
    if not (isinstance(vocabulary, dict) and isinstance(merges, list) and isinstance(added, list)):
        raise ValueError("The definition of the tokenizer is not valid: it has no vocab and merges")
    if not all(
        isinstance(t, dict) and isinstance(t.get("content"), str) and "id" in t for t in added
    ):
        raise ValueError("The definition of the tokenizer is not valid: its added_tokens are none")
    merges = [tuple(m.split(" ")) if isinstance(m, str) else m for m in merges]
    if not all(
        isinstance(m, list | tuple) and len(m) == 2 and all(isinstance(x, str) for x in m)
        for m in merges
    ):
        raise ValueError("The definition of the tokenizer is not valid: a merge is no pair")
    return {**parts, "model": {**model, "merges": merges}, "added_tokens": added}


def refusal(parts):
    """Why the tokens of a definition would not be exact in the graph, or None.

    Args:
        parts: As of `read_definition`.
    """
    model, added = parts["model"], parts["added_tokens"]
    kind = model.get("type", "BPE")
    if kind != "BPE" or model.get("byte_fallback"):
        return f"its model is {kind}{' with byte_fallback' if kind == 'BPE' else ''}"
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            return f"its model has {key}={model[key]!r}"
    if not byte_of_character().keys() <= model["vocab"].keys():
        return "its vocabulary lacks a byte"
    if parts.get("normalizer"):
        return f"it has the normalizer {_kinds(parts['normalizer'], 'normalizers')}"
    if expression(parts) is None:
        return (
            f"its pre_tokenizer is {_kinds(parts.get('pre_tokenizer'), 'pretokenizers')}, with "
            "none of the expressions of GPT-2, Llama 3 and Qwen 2"
        )
    decoder = _kinds(parts.get("decoder"), "decoders")
    if decoder != "ByteLevel":
        return f"its decoder is {decoder}"
    for token in added:
        for key in ("lstrip", "rstrip", "single_word"):
            if token.get(key):
                return f"its token {token['content']!r} has {key}"
    if len({bool(token.get("normalized")) for token in added}) > 1:
        return "some of its added tokens are normalized and some are not"
    return None


def expression(parts):
    """The key of `EXPRESSIONS` that a definition cuts texts by, or None."""
    part = parts.get("pre_tokenizer")
    steps = steps_of(part, "pretokenizers") if part else []
    if not steps or steps[-1].get("type") != "ByteLevel" or steps[-1].get("add_prefix_space", True):
        return None
    own = steps[-1].get("use_regex", True)
    if len(steps) == 1:
        return GPT2 if own else None
    split = {"type": "Split", "behavior": "Isolated", "invert": False}
    pattern = steps[0].get("pattern")
    found = pattern.get("Regex") if isinstance(pattern, dict) else None
    fits = len(steps) == 2 and not own and all(steps[0].get(k) == v for k, v in split.items())
    return found if fits and found in EXPRESSIONS else None


def of_bytes(vocabulary=None, merges=(), added=()):
    """The definition of a tokenizer like GPT-2's, a text; without a vocabulary the 256 bytes."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    if vocabulary is None:
        vocabulary = {c: number for number, c in enumerate(sorted(byte_of_character()))}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": vocabulary,
        "merges": list(merges),
    }
    parts = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": vocabulary[token], "content": token, **plain, "special": True} for token in added
        ],
        "normalizer": None,
        "pre_tokenizer": {**level, "use_regex": True},
        "post_processor": None,
        "decoder": {**level, "use_regex": True},
        "model": model,
    }
    return json.dumps(parts, ensure_ascii=False)


def of_gpt2_files(vocabulary, merges, end="<|endoftext|>"):
    """The definition of the `vocab.json` and the `merges.txt` of a GPT-2.

    Args:
        vocabulary: Path of the one.
        merges: Path of the other.
        end: The token that is added to the words.

    Raises:
        InputError: If they are no such files.
    """
    ids = read_json(vocabulary, MAX_FILE_BYTES // 4)
    if not isinstance(ids, dict):
        raise InputError(f"{vocabulary} must hold an object of JSON")
    lines = read_text(merges, MAX_FILE_BYTES // 4).split("\n")
    pairs = [line.rstrip("\r").split(" ") for line in lines if not line.startswith("#version")]
    pairs = [pair for pair in pairs if pair != [""]]
    return of_bytes(ids, pairs, [end] if end in ids else [])


def _kinds(part, key):
    return "+".join(str(step.get("type")) for step in steps_of(part, key)) if part else None
