"""Data: files and built-in sets to arrays, and arrays to batches. Imports no TensorFlow."""

from tfgen.data.carried_windows import CarriedWindows
from tfgen.data.catalog import BUILTIN
from tfgen.data.features import Feature
from tfgen.data.labeled import ClassWindows, LabeledTexts, open_labeled
from tfgen.data.lines import LineWindows
from tfgen.data.pairs import Pairs, PairWindows, open_pairs
from tfgen.data.sequence_windows import SequenceWindows
from tfgen.data.sequences import Sequences
from tfgen.data.series import data_kind, open_sequences
from tfgen.data.text import TextSource, open_text
from tfgen.data.tokens import encode
from tfgen.data.windows import Windows
from tfgen.kinds import Kind, register_kind

__all__ = [
    "BUILTIN",
    "CarriedWindows",
    "ClassWindows",
    "Feature",
    "Kind",
    "LabeledTexts",
    "LineWindows",
    "PairWindows",
    "Pairs",
    "SequenceWindows",
    "Sequences",
    "TextSource",
    "Windows",
    "data_kind",
    "encode",
    "open_labeled",
    "open_pairs",
    "open_sequences",
    "open_text",
    "register_kind",
]
