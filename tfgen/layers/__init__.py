"""Keras layers, one public class a file."""

from tfgen.layers.alibi_bias import AlibiBias
from tfgen.layers.bivariate_mixture_head import BivariateMixtureHead
from tfgen.layers.categorical_head import CategoricalHead
from tfgen.layers.causal_self_attention import CausalSelfAttention
from tfgen.layers.clip_by_value import ClipByValue
from tfgen.layers.condition_encoder import ConditionEncoder
from tfgen.layers.cross_attention import CrossAttention
from tfgen.layers.decoder_block import DecoderBlock
from tfgen.layers.feed_forward import FeedForward
from tfgen.layers.gaussian_mixture_head import GaussianMixtureHead
from tfgen.layers.gru import GRU
from tfgen.layers.lstm import LSTM
from tfgen.layers.past_attention import PastAttention
from tfgen.layers.position_embedding import PositionEmbedding
from tfgen.layers.quantized_head import QuantizedHead
from tfgen.layers.regression_head import RegressionHead
from tfgen.layers.rotary_embedding import RotaryEmbedding
from tfgen.layers.sinusoidal_embedding import SinusoidalEmbedding
from tfgen.layers.student_t_head import StudentTHead

__all__ = [
    "AlibiBias",
    "BivariateMixtureHead",
    "CategoricalHead",
    "CausalSelfAttention",
    "ClipByValue",
    "ConditionEncoder",
    "CrossAttention",
    "DecoderBlock",
    "FeedForward",
    "GRU",
    "GaussianMixtureHead",
    "LSTM",
    "PastAttention",
    "PositionEmbedding",
    "QuantizedHead",
    "RegressionHead",
    "RotaryEmbedding",
    "SinusoidalEmbedding",
    "StudentTHead",
]
