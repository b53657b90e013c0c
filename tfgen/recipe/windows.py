"""`Windows`: how sequences that are longer than what a diffusion model sees at once are drawn."""

import dataclasses
import math

from tfgen.errors import InputError, unknown

WHOLE = ("auto", "whole")  # what is said besides a strategy
STRATEGIES = (
    "independent", "overlap", "temporal_noise", "backward_noise", "rolling", "diffusion_forcing",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Windows:
    """A strategy and the sizes of its windows.

    Args:
        strategy: One of `STRATEGIES`.
        context: Positions before those that are drawn.
        commit: Positions that a window adds to the sequence.
        look_ahead: Positions after these.
        sigma_init: Level to which `backward_noise` re-noises what the last window looked ahead to,
            and `temporal_noise` the position before; of no other strategy.
        correlation: Of a position with the one before, as which `temporal_noise` begins it.
        context_sigma: Level of noise that is left on the context, against errors that add up.

    Raises:
        InputError: For a strategy that is none, or sizes that it has no use for.
    """

    strategy: str
    context: int
    commit: int
    look_ahead: int = 0
    sigma_init: float = 3.0
    context_sigma: float = 0.0
    correlation: float = 1.0

    def __post_init__(self):
        if self.strategy not in STRATEGIES:
            raise unknown("strategy", self.strategy, STRATEGIES)
        if self.commit < 1:
            raise InputError(f"commit must be at least 1. Received: commit={self.commit}")
        for name in ("context", "look_ahead"):
            size = getattr(self, name)
            if size < 0:
                raise InputError(f"{name} must be at least 0. Received: {name}={size}")
            if self.strategy == "independent" and size:
                raise InputError(
                    f"windows that are independent of each other have {name}=0. "
                    f"Received: {name}={size}"
                )
        if self.strategy in _LOOKING and not self.look_ahead:
            raise InputError(
                f"strategy='{self.strategy}' needs a look_ahead of at least 1. "
                "Received: look_ahead=0"
            )
        if self.strategy == "temporal_noise" and not self.context:
            raise InputError(
                "strategy='temporal_noise' needs a context of at least 1. Received: context=0"
            )
        if not -1 <= self.correlation <= 1:
            raise InputError(
                "correlation must be a number from -1 to 1. "
                f"Received: correlation={self.correlation}"
            )
        if not 0 < self.sigma_init < math.inf:
            raise InputError(
                f"sigma_init must be a number above 0. Received: sigma_init={self.sigma_init}"
            )
        if not 0 <= self.context_sigma < math.inf:
            raise InputError(
                "context_sigma must be a number from 0 up. "
                f"Received: context_sigma={self.context_sigma}"
            )

    @classmethod
    def parse(cls, text, window=None, key="windows"):
        """Returns the `Windows` that a text names, e.g. `"overlap"` or `"rolling:commit=8"`.

        Args:
            text: Name of a strategy and, after a colon, numbers for other arguments of `Windows`.
            window: Positions that the model was trained on at once. What is not said fills them:
                half with context and, where a strategy looks ahead, a quarter with that.
            key: What a person calls the text.

        Raises:
            InputError: As the constructor does, and for a text that is none of these.
        """
        strategy, _, rest = text.partition(":")
        if strategy not in STRATEGIES:
            raise unknown(key, strategy, (*WHOLE, *STRATEGIES))
        own = [name for name in _NUMBERS if strategy in _OF.get(name, STRATEGIES)]
        given = {}
        for part in filter(None, rest.split(",")):
            name, _, number = (each.strip() for each in part.partition("="))
            if name not in own:
                raise unknown(f"number of {key}='{strategy}'", name, own)
            try:
                given[name] = _NUMBERS[name](number)
            except ValueError:
                kind = "an integer" if _NUMBERS[name] is int else "a number"
                raise InputError(f"{name} must be {kind}. Received: {key}={text!r}") from None
        if window is not None:
            given = _filling(strategy, window, given)
        elif "commit" not in given:
            raise InputError(
                f"{key} needs its sizes where the model's own window is not known, e.g. "
                f"'{strategy}:context=64,commit=64'. Received: {key}={text!r}"
            )
        return cls(strategy, **{"context": 0, **given})

    @property
    def size(self):
        """Positions of a window."""
        return self.context + self.commit + self.look_ahead


_NUMBERS = {
    "context": int, "commit": int, "look_ahead": int, "sigma_init": float, "context_sigma": float,
    "correlation": float,
}  # fmt: skip
_OF = {"sigma_init": ("backward_noise", "temporal_noise"), "correlation": ("temporal_noise",)}
_LOOKING = "backward_noise", "rolling"  # strategies


def _filling(strategy, window, given):
    """What is given, and sizes for what is not, of a window of so many positions."""
    usual = {
        "context": 0 if strategy == "independent" else window // 2,
        "look_ahead": window // 4 if strategy in _LOOKING else 0,
    }
    sizes = {**usual, **{name: given[name] for name in usual if name in given}}
    return {**sizes, "commit": max(window - sum(sizes.values()), 1), **given}
