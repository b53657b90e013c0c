"""Keras layers, one public class a file."""

from tfgen.layers.alibi_bias import AlibiBias
from tfgen.layers.bivariate_mixture_head import BivariateMixtureHead
from tfgen.layers.categorical_head import CategoricalHead
from tfgen.layers.causal_self_attention import CausalSelfAttention
from tfgen.layers.chain_head import ChainHead
from tfgen.layers.clip_by_value import ClipByValue
from tfgen.layers.condition_encoder import ConditionEncoder
from tfgen.layers.cross_attention import CrossAttention
from tfgen.layers.decoder_block import DecoderBlock
from tfgen.layers.downsample_1d import Downsample1D
from tfgen.layers.feed_forward import FeedForward
from tfgen.layers.gaussian_mixture_head import GaussianMixtureHead
from tfgen.layers.group_norm import GroupNorm
from tfgen.layers.gru import GRU
from tfgen.layers.linear_attention_1d import LinearAttention1D
from tfgen.layers.lstm import LSTM
from tfgen.layers.negative_binomial_head import NegativeBinomialHead
from tfgen.layers.past_attention import PastAttention
from tfgen.layers.position_embedding import PositionEmbedding
from tfgen.layers.quantized_head import QuantizedHead
from tfgen.layers.regression_head import RegressionHead
from tfgen.layers.residual_block_1d import ResidualBlock1D
from tfgen.layers.rotary_embedding import RotaryEmbedding
from tfgen.layers.self_attention_1d import SelfAttention1D
from tfgen.layers.sigma_embedding import SigmaEmbedding
from tfgen.layers.sinusoidal_embedding import SinusoidalEmbedding
from tfgen.layers.student_t_head import StudentTHead
from tfgen.layers.unet1d import UNet1D
from tfgen.layers.upsample_1d import Upsample1D

__all__ = [
    "AlibiBias",
    "BivariateMixtureHead",
    "CategoricalHead",
    "CausalSelfAttention",
    "ChainHead",
    "ClipByValue",
    "ConditionEncoder",
    "CrossAttention",
    "DecoderBlock",
    "Downsample1D",
    "FeedForward",
    "GRU",
    "GaussianMixtureHead",
    "GroupNorm",
    "LSTM",
    "LinearAttention1D",
    "NegativeBinomialHead",
    "PastAttention",
    "PositionEmbedding",
    "QuantizedHead",
    "RegressionHead",
    "ResidualBlock1D",
    "RotaryEmbedding",
    "SelfAttention1D",
    "SigmaEmbedding",
    "SinusoidalEmbedding",
    "StudentTHead",
    "UNet1D",
    "Upsample1D",
]
