"""The families of models, and how one is composed of its parts.

This module does not import TensorFlow: classes are loaded when they are first needed.
"""

import dataclasses
import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from tfgen.arguments import parameters_of
from tfgen.errors import InputError, unknown
from tfgen.names import normalise


@dataclasses.dataclass(frozen=True)
class Engine:
    """How models of a modality are composed: each argument belongs to one of the parts.

    Attributes:
        model: `"module:Class"` of the models, or the class itself.
        engine: The same of what their constructor takes as `engine`. Its class method
            `compose(take, network)` makes it, `network` being the class of the networks.
        parts: The same of what the engine is made of besides the network.
        mixture: The same of an engine of several engines, made of an argument `members`; None if
            models of this modality have one engine each.
    """

    model: Any
    engine: Any
    parts: tuple[Any, ...]
    mixture: Any = None

    def load(self):
        """Returns `(model, engine, parts, mixture)` as classes."""
        parts = [_load(part) for part in self.parts]
        return _load(self.model), _load(self.engine), parts, _load(self.mixture)


# By name, of text and of numbers.
ENGINES = {
    "rollout": {
        "text": Engine(
            "tfgen.models.text.model:TextModel",
            "tfgen.models.engines.token_rollout:TokenRollout",
            (
                "tfgen.models.text.emission:TokenEmission",
                "tfgen.networks.source_encoder:SourceEncoder",
            ),
        ),
        "numbers": Engine(
            "tfgen.models.numbers.model:NumbersModel",
            "tfgen.models.engines.rollout:Rollout",
            (
                "tfgen.models.numbers.emission:NumberEmission",
                "tfgen.models.numbers.context:SequenceContext",
                "tfgen.networks.source_encoder:SourceEncoder",
            ),
            mixture="tfgen.models.engines.mixture:Mixture",
        ),
    },
    "latent": {
        "text": Engine(
            "tfgen.models.text.model:TextModel",
            "tfgen.models.engines.token_latent:TokenLatent",
            (
                "tfgen.models.text.emission:TokenEmission",
                "tfgen.models.engines.token_rollout:TokenRollout",
                "tfgen.networks.sequence_encoder:SequenceEncoder",
                "tfgen.models.engines.evidence:Evidence",
                "tfgen.networks.latent_prior:LatentPrior",
                "tfgen.networks.latent_codes:LatentCodes",
            ),
        ),
        "numbers": Engine(
            "tfgen.models.numbers.model:NumbersModel",
            "tfgen.models.engines.latent:Latent",
            (
                "tfgen.models.numbers.emission:NumberEmission",
                "tfgen.models.numbers.context:SequenceContext",
                "tfgen.networks.sequence_encoder:SequenceEncoder",
                "tfgen.models.engines.evidence:Evidence",
                "tfgen.networks.latent_prior:LatentPrior",
                "tfgen.networks.latent_codes:LatentCodes",
            ),
        ),
    },
    "diffusion": {
        "numbers": Engine(
            "tfgen.models.numbers.model:NumbersModel",
            "tfgen.models.engines.diffusion:Diffusion",
            (
                "tfgen.models.engines.denoiser:Denoiser",
                "tfgen.models.numbers.channels:ChannelEmission",
                "tfgen.models.numbers.context:SequenceContext",
            ),
            mixture="tfgen.models.engines.mixture:Mixture",
        ),
    },
    "adversarial": {
        "numbers": Engine(
            "tfgen.models.numbers.model:NumbersModel",
            "tfgen.models.engines.adversarial:Adversarial",
            (
                "tfgen.networks.window_critic:WindowCritic",
                "tfgen.models.engines.game:Game",
                "tfgen.models.numbers.places:Places",
                "tfgen.models.numbers.channels:ChannelEmission",
                "tfgen.models.numbers.context:SequenceContext",
            ),
        ),
    },
}
# Constructor arguments that a recipe does not hold in its [model] section.
_NOT_MODEL_KEYS = (
    "self", "network", "emission", "context", "denoiser", "engine", "tokenizer", "processor",
    "generation", "make", "rollout", "space", "recognition", "evidence", "latents", "latent_prior",
    "source_encoder", "source_processor", "critic", "places", "game",
)  # fmt: skip
# Those of networks that follow from the other parts.
_FOLLOWING = (
    "cross_attention", "channels_out", "condition_width", "sequence_width", "self_condition",
    "embedding_scale",
)  # fmt: skip
# Those that only a network with cross-attention has a use for: what a text is conditioned on.
_CONDITIONS = ("num_classes", "classes", "condition_width", "condition_dropout")
_SOURCES = ("encoder", "encoder_units", "encoder_layers", "encoder_dropout")


@dataclasses.dataclass(frozen=True)
class Family:
    """Models under a name: a network for text and for numbers, or a class of models as a whole.

    Attributes:
        summary: One line for people.
        network: `"module:Class"` of the networks, or the class itself; None for a class as a whole.
        engine: Of `ENGINES`, what a network is run by.
        model: `"module:Class"` of a `SequenceGenerator` that is not composed of parts, or the class
            itself; None otherwise.
        preset: Constructor arguments that the name fixes.
        defaults: Of text and of numbers: constructor arguments whose defaults are others here.
        of: `"text"` or `"numbers"`: which of these this is; None takes the first one.
        decoder: Name of the family whose network, preset and defaults these are; an argument
            `decoder` names another one. None where they are its own.
    """

    summary: str = ""
    network: Any = None
    engine: str = "rollout"
    model: Any = None
    preset: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    of: str | None = None
    decoder: str | None = None

    @property
    def modalities(self):
        """What it is for: of `"text"` and `"numbers"`."""
        return tuple(ENGINES[self.engine]) if self.model is None else ("text", "numbers")

    @property
    def modality(self):
        """Whether this is a row of text or of numbers."""
        return self.modalities[0] if self.of is None else self.of

    def row(self, of, arguments=None):
        """Returns the `Family` for text or for numbers; as a whole where it is for one alone.

        Args:
            of: `"text"` or `"numbers"`.
            arguments: Dict of a model's, of which a `decoder` chooses the network.

        Raises:
            InputError: For a decoder that is no family that goes from position to position.
        """
        chosen = dataclasses.replace(self, of=of) if of in self.modalities else self
        name = (arguments or {}).get("decoder", self.decoder)
        if self.decoder is None or name == self.decoder:
            return chosen
        rows = [each for each, row in FAMILIES.items() if row.network and row.engine == "rollout"]
        if not isinstance(name, str) or normalise(name) not in rows:
            rule = f"decoder must be one of {', '.join(map(repr, rows))}"
            raise InputError(f"{rule}. Received: decoder={name!r}")
        row = FAMILIES[normalise(name)]
        taken = {"network": row.network, "preset": row.preset, "defaults": row.defaults}
        return dataclasses.replace(chosen, decoder=normalise(name), **taken)

    def load(self):
        """Returns the class of the models, importing its module if need be."""
        return _load(self.model or ENGINES[self.engine][self.modality].model)

    def load_network(self):
        """Returns the class of the network; None where the class of models is a whole."""
        return None if self.network is None else _load(self.network)

    def load_parts(self):
        """Returns the classes whose arguments a model of this row takes."""
        if self.network is None:
            return [self.load()]
        model, engine, parts, mixture = ENGINES[self.engine][self.modality].load()
        mixtures = [] if mixture is None else [mixture]
        return [self.load_network(), *parts, engine, *mixtures, model]

    @property
    def engine_kind(self):
        """Of `tfgen.uses.ENGINES`; None, as of a person's own class of models, is not known."""
        if self.network is None:
            return None
        return _load(ENGINES[self.engine][self.modality].engine).kind

    def load_engines(self):
        """Returns the classes of which the engine of a model of this row is one."""
        _, engine, _, mixture = ENGINES[self.engine][self.modality].load()
        return [each for each in (engine, mixture) if each is not None]

    def arguments(self):
        """Returns `{name: inspect.Parameter}` of the constructor arguments that may be chosen."""
        fixed, found = {*_NOT_MODEL_KEYS, *self.preset}, {}
        network = self.load_network()
        for part in self.load_parts():
            own = parameters_of(part)
            follows = _FOLLOWING if part is network else getattr(part, "follows", ())
            own = {name: own[name] for name in own if name not in follows}
            found |= own
        if network is not None:
            if getattr(network, "input_width", None) is not None:
                fixed.add("embedding")  # it is as wide as the network
            attends = "cross_attention" in parameters_of(network)
            if self.modality == "text" and not (attends and self.decoder is None):
                fixed |= {*_CONDITIONS}
            if not attends and self.decoder is None:
                fixed |= {*_SOURCES}
        if self.engine != "rollout":
            fixed.add("soft_window")  # of sources, and latents are none
        if self.decoder is not None:
            kind = inspect.Parameter.KEYWORD_ONLY
            found["decoder"] = inspect.Parameter("decoder", kind, default=self.decoder)
        changed = self.defaults.get(self.modality, {})
        return {
            name: parameter.replace(default=changed.get(name, parameter.default))
            for name, parameter in found.items()
            if name not in fixed
        }

    def make(self, **arguments):
        """Returns a new model.

        Args:
            **arguments: Of the parts, `dtype` and what `arguments` leaves out.

        Raises:
            ValueError: As the constructors do.
        """
        if "decoder" in arguments and self.decoder is not None:
            row = self.row(self.of, arguments)
            return row.make(**{name: arguments[name] for name in arguments if name != "decoder"})
        arguments = {**self.defaults.get(self.modality, {}), **self.preset, **arguments}
        if self.network is None:
            return self.load()(**arguments)
        from tfgen.sampling import random

        if arguments.get("seed") is None:
            arguments["seed"] = random.new_seed()
        random.seed_tensor(arguments["seed"])  # refuses what is no seed
        model, engine, _, mixture = ENGINES[self.engine][self.modality].load()
        shared = {name: arguments[name] for name in ("seed", "dtype") if name in arguments}
        members = 1 if mixture is None else arguments.pop("members", 1)
        take = Take(arguments, shared)

        def member(number):
            """The engine of one of several, which begins with weights of its own."""
            own = {**shared, "seed": (shared["seed"] + number) % 2**63}
            one = Take(arguments, own) if number else take
            return engine.compose(one, self.load_network())

        alone = type(members) is int and members == 1
        return model(engine=member(0) if alone else mixture(member, members), **take.rest)


class Take:
    """Makes parts, each of those of many arguments that are its own.

    Args:
        arguments: Dict of the arguments of all parts.
        shared: Those of them that every part gets which takes them.
    """

    def __init__(self, arguments, shared):
        self.rest = dict(arguments)
        self.shared = shared

    def __call__(self, cls, **given):
        """Returns a part: of the arguments that are left, its own, and of what is `given`."""
        import keras

        own = parameters_of(cls)
        shared = {
            name: value
            for name, value in self.shared.items()
            if name in own or (name == "dtype" and issubclass(cls, keras.layers.Layer))
        }
        names = own.keys() & self.rest.keys() - shared.keys() - given.keys()
        return cls(**{**{name: self.rest.pop(name) for name in names}, **shared, **given})

    def unused(self, cls, what):
        """Drops the arguments of a part that is not made, which must be as they are by default.

        Args:
            cls: The class of the part.
            what: What the part is for.

        Raises:
            ValueError: For another value.
        """
        from tfgen.layers.checks import check_of_use

        idle = self.rest.keys() - self.shared.keys() - {*getattr(cls, "follows", ())}
        for name, parameter in parameters_of(cls).items():
            if name in idle:
                given = {name: self.rest.pop(name)}
                check_of_use(False, what, parameter.default, **given)

    @staticmethod
    def has(cls, name):
        """Whether a class takes an argument."""
        return name in parameters_of(cls)


FAMILIES = {
    "lstm": Family(
        "LSTM layers: a generator of text or of numbers with a constant-size state",
        network="tfgen.networks.recurrent:RecurrentNetwork",
        preset={"cell": "lstm"},
        defaults={"numbers": {"units": 128}},
    ),
    "gru": Family(
        "GRU layers: as the LSTM, with three quarters of its weights",
        network="tfgen.networks.recurrent:RecurrentNetwork",
        preset={"cell": "gru"},
        defaults={"numbers": {"units": 128}},
    ),
    "transformer": Family(
        "blocks of causal attention: a GPT or a Llama, by its arguments; for text or numbers",
        network="tfgen.networks.transformer:TransformerNetwork",
        defaults={
            "text": {"tie_embeddings": True},
            "numbers": {"layers": 4, "heads": 4, "width": 128},
        },
    ),
    "unet1d": Family(
        "a diffusion model, whose U-Net takes noise off all positions at once; for numbers",
        network="tfgen.layers.unet1d:UNet1D",
        engine="diffusion",
        defaults={"numbers": {"multipliers": (1, 2, 4)}},
    ),
    "gan": Family(
        "a generative adversarial network: a generator from latents, and its critic; for numbers",
        network="tfgen.networks.window_generator:WindowGenerator",
        engine="adversarial",
    ),
}


FAMILIES["vae"] = dataclasses.replace(
    FAMILIES["gru"],
    summary="a variational autoencoder: latents that an encoder finds and any of these decodes",
    engine="latent",
    decoder="gru",
    defaults={"text": {"units": 256, "layers": 1}, "numbers": {"units": 128}},
)


def _load(path):
    if not isinstance(path, str):
        return path
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def register_family(name, cls, preset=None):
    """Adds a person's own network, or class of models, to the families under `name`.

    Args:
        name: The name.
        cls: A `tfgen.networks.CausalNetwork`, or a `SequenceGenerator`.
        preset: Constructor arguments that the name fixes.
    """
    from tfgen.networks import CausalNetwork

    summary = (inspect.getdoc(cls) or "").partition("\n")[0]
    what = "network" if issubclass(cls, CausalNetwork) else "model"
    FAMILIES[normalise(name)] = Family(summary, preset=dict(preset or {}), **{what: cls})


def make(family_name, /, of=None, **arguments):
    """Returns a new model of a family.

    Args:
        family_name: Of the family.
        of: `"text"` or `"numbers"`; None goes by what is given: a `processor` is of numbers.
        **arguments: As of `Family.make`.

    Raises:
        ValueError: As the constructors do.
        InputError: For an unknown family.
    """
    of = of or ("numbers" if arguments.get("processor") is not None else "text")
    return family(family_name).row(of).make(**arguments)


def family(name):
    """Returns the `Family` called `name`; raises `InputError` with near matches."""
    key = normalise(name)
    if key not in FAMILIES:
        raise unknown("family", name, FAMILIES)
    return FAMILIES[key]
