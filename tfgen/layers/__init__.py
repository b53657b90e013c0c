"""Keras layers, one public class a file."""

from tfgen.layers.alibi_bias import AlibiBias
from tfgen.layers.causal_self_attention import CausalSelfAttention
from tfgen.layers.clip_by_value import ClipByValue
from tfgen.layers.condition_encoder import ConditionEncoder
from tfgen.layers.cross_attention import CrossAttention
from tfgen.layers.decoder_block import DecoderBlock
from tfgen.layers.feed_forward import FeedForward
from tfgen.layers.gru import GRU
from tfgen.layers.lstm import LSTM
from tfgen.layers.past_attention import PastAttention
from tfgen.layers.position_embedding import PositionEmbedding
from tfgen.layers.rotary_embedding import RotaryEmbedding
from tfgen.layers.sinusoidal_embedding import SinusoidalEmbedding

__all__ = [
    "AlibiBias",
    "CausalSelfAttention",
    "ClipByValue",
    "ConditionEncoder",
    "CrossAttention",
    "DecoderBlock",
    "FeedForward",
    "GRU",
    "LSTM",
    "PastAttention",
    "PositionEmbedding",
    "RotaryEmbedding",
    "SinusoidalEmbedding",
]
