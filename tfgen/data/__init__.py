"""Data: files and built-in sets to arrays, and arrays to batches. Imports no TensorFlow."""

from tfgen.data.builtin import BUILTIN
from tfgen.data.inspect import inspect_text
from tfgen.data.text import TextSource, open_text
from tfgen.data.tokens import encode
from tfgen.data.windows import Windows

__all__ = ["BUILTIN", "TextSource", "Windows", "encode", "inspect_text", "open_text"]
