"""`encode`: a text as an array of tokens that may be larger than memory."""

import errno
import tempfile

import numpy as np

from tfgen.errors import InputError


def encode(source, tokenizer, split="train"):
    """Tokens of a split, in a memory-mapped file without a name, which goes away with the array.

    The file lies where temporary files do (TMPDIR chooses). It needs a byte a token, or two where
    the vocabulary has more than 256 entries.

    Args:
        source: A `tfgen.data.TextSource`.
        tokenizer: What has `encode(text)` and gives an array of unsigned integers.
        split: `"train"`, `"validation"` or `"all"`.

    Returns:
        1-D NumPy array, read-only.

    Raises:
        InputError: If the disk is full.
    """
    dtype, count = np.uint8, 0
    with tempfile.TemporaryFile(prefix="tfgen-tokens-") as file:
        try:
            for chunk in source.chunks(split):
                tokens = tokenizer.encode(chunk)
                dtype, count = tokens.dtype, count + len(tokens)
                file.write(np.ascontiguousarray(tokens).data)
            file.flush()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise InputError(
                f"The disk is full after {count:,} tokens of {source.name} in "
                f"{tempfile.gettempdir()}: set TMPDIR to a folder with more room"
            ) from error
        # The mapping outlives the file object, whatever becomes of this process.
        return np.memmap(file, dtype, mode="r", shape=(count,)) if count else np.zeros([0], dtype)
