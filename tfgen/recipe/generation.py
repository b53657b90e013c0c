"""How a trained model is sampled: the options of each engine, and the section `[generation]`."""

import dataclasses
from typing import ClassVar

from tfgen.errors import InputError
from tfgen.recipe.fields import Section, field
from tfgen.recipe.windows import WHOLE, Windows
from tfgen.values import MAX_INT32


def _temperature():
    return field(
        1.0,
        "divides the logits, or is the variance of latents: below 1 is more careful, 0 takes the "
        "most likely",
        of=("autoregressive", "adversarial"),
        low=0,
    )


def _guidance_scale():
    return field(
        1.0,
        "above 1 exaggerates the class or the condition; 1 takes it as it is",
        of=("conditional text", "conditional diffusion"),
        low=0,
    )


# What the numbers of a graph hold.
_MOST = {int: MAX_INT32, float: 3.4028234663852886e38}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling(Section):
    """Options of one call, which belong to no section of a recipe."""

    section: ClassVar[str] = ""

    def __post_init__(self):
        super().__post_init__()
        for name, value in vars(self).items():
            most = _MOST.get(type(value))
            if most is not None and value > most:
                key = self.key_of(name)
                raise InputError(f"{key} must be <= {most}. Received: {key}={value!r}")

    @classmethod
    def of(cls, generation, **given):
        """Returns the options of a call, checked.

        Args:
            generation: A `GenerationConfig`, whose values stand for what is None.
            **given: Values of fields.

        Raises:
            InputError: For a value that is out of its field's range.
        """
        names = [each.name for each in dataclasses.fields(cls)]
        usual = {name: getattr(generation, name) for name in names}
        return cls(**usual | {name: each for name, each in given.items() if each is not None})


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenSampling(Sampling):
    """How tokens are sampled one after another."""

    max_new_tokens: int = field(200, "tokens to generate after the prompt", of="text", low=1)
    temperature: float = _temperature()
    top_k: int = field(0, "sample from the k most likely tokens; 0 is off", of="text", low=0)
    top_p: float = field(
        1.0,
        "sample from the smallest set of tokens of this probability; 1 is off",
        of="text",
        above=0,
        high=1,
    )
    min_p: float = field(
        0.0,
        "drop tokens below this share of the most likely one's probability; 0 is off",
        of="text",
        low=0,
        high=1,
    )
    repetition_penalty: float = field(
        1.0,
        "above 1 makes tokens that were already there less likely; 1 is off",
        of="text",
        above=0,
    )
    stop: tuple[str, ...] = field(
        (), "strings that end the text where they first appear", of="text"
    )
    guidance_scale: float = _guidance_scale()

    def __post_init__(self):
        super().__post_init__()
        if "" in self.stop:
            key = self.key_of("stop")
            raise InputError(f"{key} must hold no empty string. Received: {key}={self.stop}")


def _length():
    return field(
        None, "positions to generate; none takes the data's own length", of="numbers", low=1
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RolloutSampling(Sampling):
    """How positions of numbers are sampled one after another."""

    length: int | None = _length()
    temperature: float = _temperature()
    bias: float = field(
        0.0,
        "above 0 samples nearer to the most likely value, e.g. neater strokes",
        of="autoregressive numbers",
        low=0,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffusionSampling(Sampling):
    """How sequences of numbers are sampled from noise."""

    length: int | None = _length()
    num_steps: int = field(50, "steps from noise to a sequence", of="diffusion", low=1, high=1000)
    solver: str = field(
        "dpmpp_2m",
        "how a step is taken: dpmpp_2m, dpmpp_2m_sde, ddim, ddpm, euler, heun, "
        "langevin, predictor_corrector, consistency, of a model that was trained to draw in few "
        "steps, or mala, of a model with energy = true",
        choices=(
            "dpmpp_2m", "dpmpp_2m_sde", "ddim", "ddpm", "euler", "heun", "langevin",
            "predictor_corrector", "consistency", "mala",
        ),
        of="diffusion",
    )  # fmt: skip
    guidance_scale: float = _guidance_scale()
    resamplings: int = field(
        10, "how often each step is taken when gaps are filled by repaint", of="diffusion", low=1
    )
    windows: str = field(
        "auto",
        "how what is longer than the training window is drawn: whole, or window by window: "
        "independent, overlap, temporal_noise, backward_noise, rolling or diffusion_forcing, with "
        "sizes if wanted, e.g. overlap:context=64,commit=32; auto takes what it was trained for",
        of="diffusion series",
    )

    def __post_init__(self):
        super().__post_init__()
        if self.windows not in WHOLE:
            Windows.parse(self.windows, MAX_INT32, self.key_of("windows"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdversarialSampling(Sampling):
    """How sequences of numbers are sampled from latents."""

    length: int | None = _length()
    temperature: float = _temperature()


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationConfig(DiffusionSampling, RolloutSampling, TokenSampling):
    """How a trained model is sampled, unless a call says otherwise: the options of all engines."""

    section: ClassVar[str] = "generation"
