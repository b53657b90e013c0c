"""The table of the layers that `tfgen.zoo.get` gives by name."""

import dataclasses
import importlib


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One row of `LAYERS`: where a layer's class is, and what it does in one line.

    The class is imported when it is asked for, because its module imports TensorFlow.
    """

    path: str  # "module:Class"
    summary: str

    def load(self):
        """Returns the layer's class."""
        module, _, name = self.path.partition(":")
        return getattr(importlib.import_module(module), name)


LAYERS = {
    "clip-by-value": LayerRow(
        "tfgen.layers.clip_by_value:ClipByValue",
        "Bounds activations, with a choice of gradients.",
    ),
    "lstm-layer": LayerRow(
        "tfgen.layers.lstm:LSTM",
        "An LSTM that trains fast on CPU.",
    ),
    "gru-layer": LayerRow(
        "tfgen.layers.gru:GRU",
        "A GRU that trains fast on CPU.",
    ),
    "alibi-bias": LayerRow(
        "tfgen.layers.alibi_bias:AlibiBias",
        "Attention that fades with the distance, for ALiBi positions.",
    ),
    "causal-self-attention": LayerRow(
        "tfgen.layers.causal_self_attention:CausalSelfAttention",
        "Attention to what stands before, with a cache of keys and values.",
    ),
    "condition-encoder": LayerRow(
        "tfgen.layers.condition_encoder:ConditionEncoder",
        "Classes or vectors as the context of a cross-attention.",
    ),
    "cross-attention": LayerRow(
        "tfgen.layers.cross_attention:CrossAttention",
        "Attention to an encoded context, whose keys and values are made once.",
    ),
    "decoder-block": LayerRow(
        "tfgen.layers.decoder_block:DecoderBlock",
        "One layer of a transformer decoder: attentions and a feed-forward layer.",
    ),
    "feed-forward": LayerRow(
        "tfgen.layers.feed_forward:FeedForward",
        "Two products with a GELU, a SwiGLU or a squared ReLU between them.",
    ),
    "position-embedding": LayerRow(
        "tfgen.layers.position_embedding:PositionEmbedding",
        "A learned vector for each position.",
    ),
    "rotary-embedding": LayerRow(
        "tfgen.layers.rotary_embedding:RotaryEmbedding",
        "Positions as rotations of queries and keys.",
    ),
    "sinusoidal-embedding": LayerRow(
        "tfgen.layers.sinusoidal_embedding:SinusoidalEmbedding",
        "Sines and cosines of each position.",
    ),
    "bivariate-mixture-head": LayerRow(
        "tfgen.layers.bivariate_mixture_head:BivariateMixtureHead",
        "A mixture of correlated Gaussians in the plane, for pen strokes.",
    ),
    "categorical-head": LayerRow(
        "tfgen.layers.categorical_head:CategoricalHead",
        "Categories beside the numbers, such as whether a pen is down.",
    ),
    "chain-head": LayerRow(
        "tfgen.layers.chain_head:ChainHead",
        "Columns of any kinds one after the other, as one exact joint distribution.",
    ),
    "gaussian-mixture-head": LayerRow(
        "tfgen.layers.gaussian_mixture_head:GaussianMixtureHead",
        "A mixture of Gaussians, with or without correlations.",
    ),
    "negative-binomial-head": LayerRow(
        "tfgen.layers.negative_binomial_head:NegativeBinomialHead",
        "Counts, also with more zeros than there would be.",
    ),
    "quantized-head": LayerRow(
        "tfgen.layers.quantized_head:QuantizedHead",
        "Probabilities of equal bins between -1 and 1, for sound.",
    ),
    "regression-head": LayerRow(
        "tfgen.layers.regression_head:RegressionHead",
        "A mean for each feature, with normal noise of a constant size.",
    ),
    "student-t-head": LayerRow(
        "tfgen.layers.student_t_head:StudentTHead",
        "A Student-t distribution for each feature, for values with outliers.",
    ),
    "downsample-1d": LayerRow(
        "tfgen.layers.downsample_1d:Downsample1D",
        "Half the positions, for the way down a U-Net.",
    ),
    "upsample-1d": LayerRow(
        "tfgen.layers.upsample_1d:Upsample1D",
        "Twice the positions, for the way up a U-Net.",
    ),
    "group-norm": LayerRow(
        "tfgen.layers.group_norm:GroupNorm",
        "Normalisation over groups of channels, heedless of padding.",
    ),
    "linear-attention-1d": LayerRow(
        "tfgen.layers.linear_attention_1d:LinearAttention1D",
        "Attention whose cost grows with the length, not with its square.",
    ),
    "self-attention-1d": LayerRow(
        "tfgen.layers.self_attention_1d:SelfAttention1D",
        "Attention to all positions, before and after.",
    ),
    "residual-block-1d": LayerRow(
        "tfgen.layers.residual_block_1d:ResidualBlock1D",
        "Two convolutions conditioned on a noise level, and the way around them.",
    ),
    "sigma-embedding": LayerRow(
        "tfgen.layers.sigma_embedding:SigmaEmbedding",
        "A noise level as a vector: sinusoidal or Fourier features.",
    ),
    "unet1d-layer": LayerRow(
        "tfgen.layers.unet1d:UNet1D",
        "A U-Net over sequences, the network of a denoiser.",
    ),
}
