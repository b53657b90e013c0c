"""Keras layers, one public class a file."""

from tfgen.layers.clip_by_value import ClipByValue
from tfgen.layers.gru import GRU
from tfgen.layers.lstm import LSTM
from tfgen.layers.past_attention import PastAttention

__all__ = ["ClipByValue", "GRU", "LSTM", "PastAttention"]
