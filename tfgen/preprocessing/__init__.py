"""Preprocessing: raw data to tensors and back, as Keras layers that travel into the SavedModel."""

from tfgen.preprocessing.affine_scalers import MinMaxScaler, RobustScaler, StandardScaler
from tfgen.preprocessing.byte import ByteTokenizer
from tfgen.preprocessing.byte_pair import BytePairTokenizer
from tfgen.preprocessing.character import CharacterTokenizer
from tfgen.preprocessing.files import (
    TOKENIZERS,
    build_tokenizer,
    load_tokenizer,
    read_gpt2,
    read_hugging_face,
    save_tokenizer,
    tokenizer_name,
)
from tfgen.preprocessing.hugging_face import HuggingFaceTokenizer
from tfgen.preprocessing.processor_files import PROCESSOR_FILE, load_processor, save_processor
from tfgen.preprocessing.scaler import Scaler
from tfgen.preprocessing.scalers import (
    SCALERS,
    Chain,
    Log1pScaler,
    MeanScaler,
    MedianScaler,
    MuLawScaler,
    NoScaler,
    build_scaler,
    scaler_record,
)
from tfgen.preprocessing.sequence_processor import SequenceProcessor
from tfgen.preprocessing.tokenizer import Tokenizer
from tfgen.preprocessing.whitening_scaler import WhiteningScaler
from tfgen.preprocessing.with_source import TokenizerWithSource
from tfgen.preprocessing.word import WordTokenizer

__all__ = [
    "PROCESSOR_FILE",
    "SCALERS",
    "TOKENIZERS",
    "BytePairTokenizer",
    "ByteTokenizer",
    "Chain",
    "CharacterTokenizer",
    "HuggingFaceTokenizer",
    "Log1pScaler",
    "MeanScaler",
    "MedianScaler",
    "MinMaxScaler",
    "MuLawScaler",
    "NoScaler",
    "RobustScaler",
    "Scaler",
    "SequenceProcessor",
    "StandardScaler",
    "Tokenizer",
    "TokenizerWithSource",
    "WhiteningScaler",
    "WordTokenizer",
    "build_scaler",
    "build_tokenizer",
    "load_processor",
    "load_tokenizer",
    "read_gpt2",
    "read_hugging_face",
    "save_processor",
    "save_tokenizer",
    "scaler_record",
    "tokenizer_name",
]
