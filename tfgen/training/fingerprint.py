"""What tells data from other data, for a run that goes on."""

import hashlib
import itertools

import numpy as np

# What a person reads of two fingerprints that differ, in this order.
_PARTS = ("columns", "sequences", "positions", "characters")


def of_text(source, further=()):
    """The fingerprint of a `tfgen.data.TextSource`, or of `Pairs`, a dict that JSON can hold.

    Args:
        source: The texts.
        further: Iterable of further ones, as the sources of pairs.
    """
    digest = hashlib.blake2b(digest_size=16)
    for chunk in itertools.chain(source.chunks("all"), further):
        digest.update(chunk.encode("utf-8", "surrogatepass"))
    return {
        "kind": "text",
        "characters": source.characters["all"],
        "contents": digest.hexdigest(),
    }


def of_sequences(sequences):
    """The fingerprint of `tfgen.data.Sequences`, a dict that JSON can hold."""
    digest = hashlib.blake2b(digest_size=16)
    arrays = [*sequences.values, *(sequences.times or []), *(sequences.known or [])]
    arrays += [each for each in (sequences.static, sequences.labels) if each is not None]
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    features = [[each.name, *each.levels] for each in sequences.features]
    lengths = [len(values) for values in sequences.values]
    named = [features, lengths, sequences.ids, sequences.classes]
    named += [] if sequences.texts is None else [sequences.texts]
    digest.update(repr(named).encode())
    names = [feature.name for feature in sequences.features]
    return {
        "kind": sequences.kind,
        "columns": [*names, *sequences.known_names, *sequences.static_names],
        "sequences": len(sequences),
        "positions": sequences.positions,
        "contents": digest.hexdigest(),
    }


def difference(before, now):
    """What a person is told of two fingerprints; "" if they are equal.

    Args:
        before: As of a checkpoint; None of one that was written without.
        now: Of the data as they are.
    """
    if before is None or before == now:
        return ""
    told = [
        f"{name} were {_shown(before[name])} and are {_shown(now[name])}"
        for name in _PARTS
        if name in before and name in now and before[name] != now[name]
    ]
    return "; ".join(told) or "other contents of the same size"


def _shown(value):
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
