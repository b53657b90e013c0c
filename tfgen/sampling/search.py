"""How to look for a text other than drawing it token by token: what `search=` takes.

model.generate("To be", search=BeamSearch(4))
model.generate("To be", search=ContrastiveSearch(top_k=4, alpha=0.6))
model.generate("To be", search=Speculative(get("gru-names")))
"""

import dataclasses
from typing import Any, ClassVar

from tfgen.errors import InputError
from tfgen.values import check_integer, check_number

# More guesses at once never pay, and a ring of keys and values has room for them only so far.
MAX_DRAFT_TOKENS = 32


@dataclasses.dataclass(frozen=True)
class Search:
    """A way to search. `kind` says which, also where the classes cannot be compared."""

    kind: ClassVar[str]


@dataclasses.dataclass(frozen=True)
class BeamSearch(Search):
    """Follows the most likely texts side by side: `tfgen.sampling.beam`.

    It looks for the most likely text without sampling: temperature and filters have no effect.

    Args:
        num_beams: Texts followed at once, at least 1 (greedy).
        length_penalty: Log-likelihoods are divided by `length**length_penalty` before finished
            texts are compared. Above 0 favours longer texts, below 0 shorter ones; 0 is off.
    """

    kind: ClassVar[str] = "beam"
    num_beams: int = 4
    length_penalty: float = 1.0

    def __post_init__(self):
        _set(self, num_beams=_whole("num_beams", self.num_beams))
        _set(self, length_penalty=check_number("length_penalty", self.length_penalty))


@dataclasses.dataclass(frozen=True)
class ContrastiveSearch(Search):
    """Takes likely tokens that do not repeat the text before: `tfgen.sampling.contrastive`.

    It draws nothing either. Reference: Su et al., arXiv:2202.06417.

    Args:
        top_k: Of so many most likely tokens one is taken; 1 is greedy.
        alpha: Weight of not repeating, from 0 (greedy) to 1.
    """

    kind: ClassVar[str] = "contrastive"
    top_k: int = 4
    alpha: float = 0.6

    def __post_init__(self):
        _set(self, top_k=_whole("top_k", self.top_k))
        _set(self, alpha=check_number("alpha", self.alpha))
        if not 0 <= self.alpha <= 1:
            raise InputError(f"alpha must be from 0 (greedy) to 1. Received: alpha={self.alpha!r}")


@dataclasses.dataclass(frozen=True)
class Speculative(Search):
    """Lets a small model guess and the large one check: `tfgen.sampling.speculative`.

    The texts follow the same distribution as without it, only sooner. Reference: Leviathan et al.,
    arXiv:2211.17192.

    Args:
        draft: A smaller model with the same tokenizer, of any family.
        draft_tokens: Tokens guessed at a time, 1 to 32.

    Attributes:
        statistics: Of the last call: the numbers of `tokens` drawn, of `proposed` and `accepted`
            guesses and of `passes` of the large model, the `acceptance`, and the `tokens_per_pass`,
            which without speculation is 1.
    """

    kind: ClassVar[str] = "speculative"
    draft: Any
    draft_tokens: int = 4
    statistics: dict = dataclasses.field(default_factory=dict, init=False, compare=False)

    def __post_init__(self):
        steps = hasattr(getattr(self.draft, "engine", None), "stepper")
        if not steps or not hasattr(self.draft, "tokenizer"):
            raise InputError(
                "draft must be a model of text that generates token by token, e.g. "
                f"tfgen.zoo.get(name). Received: draft={self.draft!r}"
            )
        _set(self, draft_tokens=_whole("draft_tokens", self.draft_tokens))
        if self.draft_tokens > MAX_DRAFT_TOKENS:
            raise InputError(
                f"draft_tokens must be at most {MAX_DRAFT_TOKENS}. "
                f"Received: draft_tokens={self.draft_tokens}"
            )

    def count(self, proposed, accepted, passes, tokens):
        """Fills `statistics`."""
        self.statistics.update(
            tokens=tokens,
            proposed=proposed,
            accepted=accepted,
            passes=passes,
            acceptance=_share(accepted, proposed),
            tokens_per_pass=_share(tokens, passes),
        )


def _share(part, whole):
    return part / whole if whole else 0.0


def check_search(search):
    """Returns `search`, which has to be a `Search` or None.

    Raises:
        InputError: If it is something else.
    """
    if search is None or isinstance(search, Search):
        return search
    names = ", ".join(f"{kind.__name__}(...)" for kind in Search.__subclasses__())
    raise InputError(f"search must be None or one of {names}. Received: search={search!r}")


def _whole(name, value):
    if check_integer(name, value) < 1:
        raise InputError(f"{name} must be at least 1. Received: {name}={value!r}")
    return int(value)


def _set(instance, **values):
    for name, value in values.items():
        object.__setattr__(instance, name, value)  # the instance is frozen
