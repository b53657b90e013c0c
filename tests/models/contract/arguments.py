"""The table of the arguments of models: another value of each, what it changes, and wrong ones."""

import dataclasses
from typing import Any

import numpy as np

from tests.models.contract.rows import series
from tfgen import data
from tfgen.preprocessing import ByteTokenizer, SequenceProcessor
from tfgen.recipe import PreprocessingConfig

NAN = float("nan")


@dataclasses.dataclass(frozen=True)
class Change:
    """Another value of an argument.

    Attributes:
        values: Those to try: the first that is not the model's own is taken.
        wrong: Values that are refused.
        base: Arguments that both models have, without which it would do nothing.
        seen: What it changes: the `"loss"` of a training batch with the same weights, which are
            those of the model without the change where they have the same shapes; a `"sample"` of
            such weights; the initial `"weights"`; those that `"fit"` makes of them in a step; or
            which `"functions"` are served.
    """

    values: tuple
    wrong: tuple = ()
    base: dict = dataclasses.field(default_factory=dict)
    seen: str = "loss"


def to(*values: Any, wrong=(), seen="loss", **base):
    return Change(values, tuple(wrong), base, seen)


def fitted(**config):
    return SequenceProcessor.fit(series(), PreprocessingConfig(**config))


def whole_clips(kind="audio"):
    """A processor of short clips, one number over time; or of drawings."""
    rng = np.random.default_rng(3)
    sound = data.Feature("amplitude", low=-1.0, high=1.0)
    pen = (data.Feature("dx", low=-1.0, high=1.0), data.Feature("pen", levels=("down", "up")))
    values = [
        np.stack([rng.uniform(-0.5, 0.5, n), np.arange(n) % 2], 1).astype(np.float32)
        for n in (12, 9, 8, 12)
    ]
    values = [each[:, :1] for each in values] if kind == "audio" else values
    made = data.Sequences(
        "made", kind, (sound,) if kind == "audio" else pen, values, list("0123"),
        sample_rate=100 if kind == "audio" else None, ends=True,
    )  # fmt: skip
    return SequenceProcessor.fit(made, PreprocessingConfig(scaler="none"))


def bounded(sides=1.0):
    """A processor of one number that is held between two bounds near to its values."""
    values = np.sin(np.arange(40, dtype=np.float32)).clip(-sides, sides)[:, None]
    feature = data.Feature("x", low=-sides, high=sides)
    made = data.Sequences("made", "series", (feature,), [values], ["0"])
    return SequenceProcessor.fit(made, PreprocessingConfig(scaler="min_max"))


RATES = (1.0, -0.1, True, NAN, "no", None)
# By the class of the part that has them; a `seed` is everybody's.
CHANGES = {
    "seed": to(2, wrong=("x", 0.5, 2**64, True), seen="weights"),
    "RecurrentNetwork": {
        "cell": to("lstm", "gru", wrong=("rnn", ["lstm"], None)),
        "units": to(9, wrong=(0, 2.5, "8", True)),
        "layers": to(2, wrong=(0, None, 1001)),
        "dropout": to(0.3, wrong=RATES),
        "recurrent_dropout": to(0.3, wrong=(1, None)),
        "layer_norm": to(True, wrong=("false",)),
        "residual": to(True, wrong=(1,), layers=2),
        "attention": to(3, wrong=(-1, 1.0, True)),
        "soft_window": to(2, wrong=(-1, 1.5), encoder="embedding", encoder_units=6),
    },
    "TransformerNetwork": {
        "layers": to(2, wrong=(0, 1.5)),
        "heads": to(4, wrong=(0, 3)),
        "kv_heads": to(1, wrong=(3, 0)),
        "width": to(12, wrong=(0, "16")),
        "head_width": to(6, wrong=(0, 3)),
        "mlp": to("relu2", "swiglu", wrong=("relu",)),
        "mlp_width": to(20, wrong=(0,)),
        "norm": to("rms", wrong=("batch",)),
        "norm_epsilon": to(0.5, wrong=(0,)),
        "positions": to("alibi", wrong=("rotation", None)),
        "rotary_base": to(20.0, wrong=(-1.0,)),
        "max_length": to(40, wrong=(0,), positions="learned"),
        "window": to(3, wrong=(-1, None)),
        "dropout": to(0.3, wrong=(1.0, True)),
        "attention_dropout": to(0.3, wrong=(-0.1,)),
        "bias": to(True, wrong=("no",)),
        "qk_norm": to(True, wrong=(None,)),
        "conv": to(3, wrong=(1.0,)),
        "cache_dtype": to("bfloat16", wrong=("float16",), seen="sample"),
        "rotary_scaling": to((3.0,), wrong=(2.0, (0.0,), (8.0, 4.0, 1.0, 20.0))),
    },
    "UNet1D": {
        "width": to(8, wrong=(0,)),
        "multipliers": to((1, 2), wrong=((),)),
        "blocks": to(2, wrong=(0,)),
        "attention_at": to((1,), wrong=((5,),), multipliers=(1, 2)),
        "linear_attention": to(True, wrong=(1,)),
        "heads": to(2, wrong=(0,)),
        "head_width": to(5, wrong=(0,)),
        "groups": to(1, wrong=(0,)),
        "embedding": to("fourier", wrong=("learned",)),
    },
    "Denoiser": {
        "dropout": to(0.3, wrong=(1.0,)),
        "self_condition": to(True, wrong=("yes",)),
        "objective": to("v", wrong=("noise",)),
        "weighting": to("snr", wrong=("none",)),
        "sigmas": to("schedule", wrong=("uniform",)),
        "sigma_mean": to(0.0, wrong=(NAN, "low")),
        "sigma_std": to(1.0, wrong=(0.0, float("inf"))),
        "noise_levels": to("independent", wrong=("mixed",)),
        "sigma_data": to(0.5, wrong=(-1, float("inf"))),
        "schedule": to("cosine", wrong=("round",), seen="sample"),
        "sigma_min": to(0.01, wrong=(0.0,), seen="sample"),
        "sigma_max": to(40.0, wrong=(0.001, float("inf")), seen="sample"),
        "threshold": to("none", wrong=("some",), seen="sample", processor=bounded(0.5), sigma_data=4.0),
        "energy": to(True, wrong=(1,)),
        "infilling": to(0.9, wrong=(1.0, -0.1)),
        "seasonal_skip": to(3, wrong=(-1, 1.5, "auto"), infilling=0.9),
        "positions": to(8, wrong=(3, -2), processor=whole_clips("strokes")),
        "distilled": to(True, wrong=(1, None), seen="functions"),
    },
    "WindowGenerator": {
        "latent_size": to(4, wrong=(0, 2.5)),
        "width": to(12, wrong=(0, 3, True)),
        "multipliers": to((1, 3), wrong=((), (0,), 2)),
        "blocks": to(2, wrong=(0, 1001)),
    },
    "WindowCritic": {
        "critic_width": to(12, wrong=(0, 2.5)),
        "critic_multipliers": to((1, 3), wrong=((), (0,), 2)),
        "critic_blocks": to(2, wrong=(0, 1001)),
        "spectral_norm": to(True, wrong=(1, "yes"), seen="fit"),
    },
    "Game": {
        "loss": to("wgan_gp", wrong=("hinge", None)),
        "penalty": to(3.0, wrong=(-1, NAN, True)),
        "critic_steps": to(2, wrong=(0, 1.5, True), seen="fit"),
    },
    "Places": {"positions": to(8, wrong=(3, 0))},
    "ChannelEmission": {
        "companding": to(0.5, wrong=(-1, float("inf"))),
        "beyond": to(0.5, wrong=(-1, float("inf")), processor=bounded(0.5)),
    },
    "TokenEmission": {
        "embedding": to(5, wrong=(0, 1.5)),
        "tie_embeddings": to(True, False, wrong=(None, 1)),
        "num_classes": to(3, wrong=(0,)),
        "classes": to(("a", "b"), wrong=((), ("a", "a"), "ab", ("a", 1))),
        "condition_width": to(2, wrong=(2.5,)),
        "condition_dropout": to(0.9, wrong=(1,), num_classes=2),
        "tokenizer": to(ByteTokenizer(), wrong=("byte",)),
    },
    "SourceEncoder": {
        "encoder": to("gru", "embedding", wrong=("unet",)),
        "encoder_units": to(6, wrong=(0, True), encoder="gru"),
        "encoder_layers": to(1, wrong=(0, 1001), encoder="gru"),
        "encoder_dropout": to(0.5, wrong=RATES, encoder="transformer"),
    },
    "TokenRollout": {"label_smoothing": to(0.3, wrong=(1.0,))},
    "NumberEmission": {
        "head": to("student_t", wrong=("softmax",)),
        "components": to(3, wrong=(0,)),
        "covariance": to("full", wrong=("round",)),
        "bins": to(16, wrong=(1,), head="quantized", processor=bounded()),
        "chain_units": to(3, wrong=(0, 1.5), head="chain"),
        "min_scale": to(2.0, wrong=(0.0,)),
        "bounding": to("none", wrong=("soft",), seen="sample", processor=bounded(0.01)),
        "linear_skip": to(True, wrong=("yes",)),
        "local_scale": to(0.01, wrong=(1.0,)),
        "lags": to((2,), wrong=((0,), (2.5,), (10_001,), 3, "yes", "auto", None)),
        "seasonal_skip": to(2, wrong=(-1, 2.5, 10_001, True, "yes", "auto", None)),
    },
    "SequenceContext": {
        "frame": to(4, wrong=(0, 2.5), processor=whole_clips(), head="gaussian_mixture"),
        "condition_dropout": to(0.9, wrong=(1.0,)),
        "processor": to(fitted(scaler="robust"), wrong=(3,)),
    },
    "SequenceEncoder": {
        "latent_size": to(4, wrong=(0, 2.5)),
        "latent": to("quantized", wrong=("discrete",), seen="weights", latent_size=4),
        "encoder": to("transformer", wrong=("unet", None)),
        "encoder_units": to(5, wrong=(0, True)),
        "encoder_layers": to(2, wrong=(0, 1001)),
    },
    "LatentCodes": {
        "codes": to(5, wrong=(1,), seen="weights", latent="quantized", latent_size=4),
        "code_size": to(2, wrong=(0, 3), latent="quantized", latent_size=4),
    },
    "LatentPrior": {
        "prior_layers": to(2, wrong=(-1, 2.5, 1001), seen="weights"),
    },
    "Evidence": {
        "beta": to(2.0, wrong=(-1, NAN, float("inf"), "1")),
        "kl_anneal_steps": to(10, wrong=(-1, 2.5)),
        "free_bits": to(3.0, wrong=(-0.1, None)),
        "input_dropout": to(0.7, wrong=RATES),
    },
    "Mixture": {"members": to(2, wrong=(0, 2.5, True, 101))},
    "generation of text": to({"max_new_tokens": 3}, wrong=(3,), seen="sample"),
    "generation of numbers": to({"length": 3}, wrong=(3,), seen="sample"),
}  # fmt: skip
