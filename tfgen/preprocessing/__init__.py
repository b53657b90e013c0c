"""Preprocessing: raw data to tensors and back, as Keras layers that travel into the SavedModel."""

from tfgen.preprocessing.byte import ByteTokenizer
from tfgen.preprocessing.character import CharacterTokenizer
from tfgen.preprocessing.files import TOKENIZERS, build_tokenizer, load_tokenizer, save_tokenizer
from tfgen.preprocessing.hugging_face import HuggingFaceTokenizer
from tfgen.preprocessing.tokenizer import Tokenizer

__all__ = [
    "TOKENIZERS",
    "ByteTokenizer",
    "CharacterTokenizer",
    "HuggingFaceTokenizer",
    "Tokenizer",
    "build_tokenizer",
    "load_tokenizer",
    "save_tokenizer",
]
