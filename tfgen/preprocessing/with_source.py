"""`TokenizerWithSource`: the preprocessing of a model that makes texts of sequences of numbers."""

from typing import NamedTuple

from tfgen.preprocessing.sequence_processor import SequenceProcessor
from tfgen.preprocessing.tokenizer import Tokenizer


class TokenizerWithSource(NamedTuple):
    """What the texts of a model are made of, and what reads their sources.

    Attributes:
        tokenizer: The fitted tokenizer of the texts.
        source: The fitted processor of the sources.
    """

    tokenizer: Tokenizer
    source: SequenceProcessor

    def get_config(self):
        """What both do, to compare models by."""
        return {**self.source.get_config(), **self.tokenizer.get_config()}
