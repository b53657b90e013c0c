"""The fields of a recipe's sections: defaults, explanations, ranges, and what they are for."""

import dataclasses
from typing import ClassVar

from tfgen import uses
from tfgen.errors import InputError, unknown
from tfgen.values import TYPES


def field(
    default, help, *, of=(), needs=None, low=None, high=None, above=None, below=None, choices=None
):
    """Returns a dataclass field with its explanation, its range and what it is for.

    Args:
        default: The value when the recipe does not name the field.
        help: One line for the command line's help, without what the field is for.
        of: What the field is for, of `tfgen.kinds.KINDS` and `tfgen.uses.TRAITS`: a model with none
            of them has no use for it. Empty is every model.
        needs: A field of the same section without which this one does nothing; or `"name=value"`,
            the value that it must have.
        low: The least allowed value.
        high: The greatest allowed value.
        above: A bound that the value must exceed.
        below: A bound that the value must stay under.
        choices: The allowed values.
    """
    bounds = {">=": low, "<=": high, ">": above, "<": below}
    bounds = {sign: bound for sign, bound in bounds.items() if bound is not None}
    of = (of,) if isinstance(of, str) else of
    help = f"{' and '.join(of)}: {help}" if of else help
    metadata = {"help": help, "of": of, "needs": needs, "bounds": bounds, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


class Section:
    """Checks every field of a section against its type and its range when it is made."""

    section: ClassVar[str]

    def __post_init__(self):
        for field in dataclasses.fields(self):
            key = self.key_of(field.name)
            given = getattr(self, field.name)
            value = TYPES[field.type].check(key, given)
            if value is not None:
                check_range(key, value, field.metadata, given)
            object.__setattr__(self, field.name, value)

    @classmethod
    def key_of(cls, name):
        """Returns what a person calls a field: `"section.name"`, or the name of an argument."""
        return f"{cls.section}.{name}" if cls.section else name

    def unused(self, kind, engine=None, conditional=None):
        """Returns the names of fields that differ from their defaults and that a model ignores.

        Args:
            kind: The kind of the model's data, one of `tfgen.kinds.KINDS`.
            engine: One of `tfgen.uses.ENGINES`; None is not known.
            conditional: Whether the model takes a class or another condition; None is not known.
        """
        model = uses.traits(kind, engine, conditional)
        return [
            field.name
            for field in dataclasses.fields(self)
            if field.metadata["of"]
            and not model.intersection(field.metadata["of"])
            and getattr(self, field.name) != field.default
        ]

    def check_used(self, kind, engine=None, conditional=None):
        """Refuses a value that such a model has no use for; see `unused` for the arguments.

        Raises:
            InputError: For a field that differs from its default and would do nothing.
        """
        fields = {field.name: field for field in dataclasses.fields(self)}
        for name in self.unused(kind, engine, conditional):
            raise InputError(
                f"{self.section}.{name} is for {uses.words(fields[name].metadata['of'])}, and "
                f"{uses.model_words(kind, engine, conditional)}. {self._received(name)}"
            )
        for name, field in fields.items():
            needed = field.metadata["needs"]
            if needed and getattr(self, name) != field.default and not self._has(needed):
                raise InputError(
                    f"{self.section}.{name} does nothing without {self.section}.{needed}. "
                    f"{self._received(name)}"
                )

    def _has(self, needed):
        name, _, value = needed.partition("=")
        return getattr(self, name) == value if value else bool(getattr(self, name))

    def _received(self, name):
        value = getattr(self, name)
        value = list(value) if isinstance(value, tuple) else value
        return f"Received: {self.section}.{name}={value!r}"


def check_range(key, value, metadata, given):
    for sign, bound in metadata["bounds"].items():
        holds = {
            ">=": value >= bound,
            "<=": value <= bound,
            ">": value > bound,
            "<": value < bound,
        }[sign]
        if not holds:
            raise InputError(f"{key} must be {sign} {bound}. Received: {key}={given!r}")
    if metadata["choices"] is not None and value not in metadata["choices"]:
        raise unknown(key, value, metadata["choices"])
