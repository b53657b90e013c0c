"""How byte-level BPE cuts a text into words before it merges, by regular expressions of TensorFlow.

The expressions of GPT-2 and Llama 3 look ahead, which RE2 does not: of the white space before a
word the last character goes with the word, or alone. A first replacement separates exactly that
character, so that the second needs no look-ahead. The separator is a byte that UTF-8 never has.
"""

import re

import tensorflow as tf

SEPARATOR = b"\xff"
# Stands before a token that was added to the vocabulary and is sought in the text as it is.
ADDED = b"\xfe"

# Letters and numbers of a newer Unicode, which the package `tokenizers` knows and RE2 does not.
_NEW_LETTERS = (
    r"\x{1C89}-\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}"
    r"\x{10D4A}-\x{10D65}\x{10D6F}-\x{10D85}\x{10EC2}-\x{10EC4}\x{11380}-\x{11389}"
    r"\x{1138B}\x{1138E}\x{11390}-\x{113B5}\x{113B7}\x{113D1}\x{113D3}\x{11BC0}-\x{11BE0}"
    r"\x{13460}-\x{143FA}\x{16100}-\x{1611D}\x{16D40}-\x{16D6C}\x{18CFF}"
    r"\x{1E5D0}-\x{1E5ED}\x{1E5F0}\x{2EBF0}-\x{2EE5D}"
)
_NEW_NUMBERS = (
    r"\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9}\x{16130}-\x{16139}"
    r"\x{16D70}-\x{16D79}\x{1CCF0}-\x{1CCF9}\x{1E5F1}-\x{1E5FA}"
)
_L = r"\p{L}" + _NEW_LETTERS
_N = r"\p{N}" + _NEW_NUMBERS
# White space without line breaks, and all of it: RE2's own \s is that of ASCII.
_BLANK = r"\t\x{0B}\f \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}"
_S = r"\r\n" + _BLANK
_OTHER = f"[^{_S}{_L}{_N}]"


def _later(digits):
    """The two expressions of Llama 3 and of Qwen 2, which differ in the digits of a word."""
    return (
        f"([{_BLANK}]+)([{_BLANK}][^{_S}])",
        f"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n{_L}{_N}]?[{_L}]+|[{_N}]{digits}"
        f"| ?{_OTHER}+[\\r\\n]*|[{_S}]*[\\r\\n]+|[{_S}]+",
    )


# By the expression in a definition: where white space is separated, and what a word is.
EXPRESSIONS = {
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": (
        f"([{_S}]+)([{_S}][^{_S}])",
        f"'(?:[sdmt]|ll|ve|re)| ?[{_L}]+| ?[{_N}]+| ?{_OTHER}+|[{_S}]+",
    ),
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": _later("{1,3}"),
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": _later(""),
}
[GPT2, LLAMA3, _] = EXPRESSIONS


def words(texts, expression, added=()):
    """Cuts texts into words, which are merged each by itself.

    Args:
        texts: string tensor `(batch,)`, valid UTF-8.
        expression: A key of `EXPRESSIONS`.
        added: Texts that are words wherever they are found, the longest first.

    Returns:
        `(words, rows)`: strings `(n,)`, those of `added` behind `ADDED`, and int64 `(n,)`, the text
        that each one is of.
    """
    blank, word = EXPRESSIONS[expression]

    def cut(texts):
        texts = tf.strings.regex_replace(texts, blank, rb"\1" + SEPARATOR + rb"\2")
        return tf.strings.regex_replace(texts, word, rb"\0" + SEPARATOR)

    if not added:
        return _split(cut(texts))
    sought = "|".join(f"(?:{re.escape(text)})" for text in added)
    marked = tf.strings.regex_replace(texts, sought, SEPARATOR + ADDED + rb"\0" + SEPARATOR)
    pieces, rows = _split(marked)
    whole = tf.strings.substr(pieces, 0, 1) == ADDED
    found, piece = _split(tf.where(whole, pieces, cut(pieces)))
    return found, tf.gather(rows, piece)


def _split(texts):
    found = tf.raw_ops.StringSplitV2(input=texts, sep=SEPARATOR, maxsplit=-1)
    some = tf.strings.length(found.values) > 0
    return tf.boolean_mask(found.values, some), tf.boolean_mask(found.indices[:, 0], some)
