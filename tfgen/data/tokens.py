"""`encode`: a text as an array of tokens that may be larger than memory."""

import os
import tempfile

import numpy as np


def encode(source, tokenizer, split="train"):
    """Tokens of a split, in a memory-mapped file that goes away with the array.

    Args:
        source: A `tfgen.data.TextSource`.
        tokenizer: What has `encode(text)` and gives an array of unsigned integers.
        split: `"train"`, `"validation"` or `"all"`.

    Returns:
        1-D NumPy array.
    """
    descriptor, name = tempfile.mkstemp(prefix="tfgen-tokens-")
    with os.fdopen(descriptor, "wb") as file:
        dtype, count = np.uint8, 0
        for chunk in source.chunks(split):
            tokens = tokenizer.encode(chunk)
            dtype, count = tokens.dtype, count + len(tokens)
            file.write(tokens.tobytes())
    try:
        if not count:
            return np.zeros([0], dtype)
        return np.memmap(name, dtype, mode="r", shape=(count,))
    finally:
        # The mapping outlives the name, and nothing has to be cleaned up. Where a mapped file
        # cannot be removed (Windows), the system's own cleaning of temporary files takes it.
        try:
            os.unlink(name)
        except PermissionError:
            pass
