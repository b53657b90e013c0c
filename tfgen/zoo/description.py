"""What an entry, a family or a layer is, for people and for the table of the zoo."""

import dataclasses
import re
import textwrap
from pathlib import Path

from tfgen.errors import InputError
from tfgen.files import read_bytes, read_json
from tfgen.models import read_recipe
from tfgen.models.hugging_face_folder import Weights, is_hugging_face
from tfgen.report.words import readable
from tfgen.zoo.folders import CARD, RESULTS, WEIGHTS, data_kind_of, has_weights
from tfgen.zoo.registry import find
from tfgen.zoo.signatures import arguments_of

# What is read of results and cards.
MOST_OF_SIDE_FILE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Description:
    """What is known about one name. `str()` of it is a page to read.

    What does not apply, or is not known, is None or empty.
    """

    name: str
    kind: str
    summary: str
    family: str | None = None
    arguments: list = dataclasses.field(default_factory=list)  # of signatures.Argument
    # Of a family that has a class for numbers as well; `arguments` are those for text.
    number_arguments: list = dataclasses.field(default_factory=list)
    parameters: int | None = None  # how many numbers the weights are
    data: str | None = None
    scores: dict = dataclasses.field(default_factory=dict)
    licence: str | None = None
    bytes: int | None = None  # size of the weights on disk
    folder: Path | None = None

    def __str__(self):
        rows = [
            ("kind", self.kind),
            ("family", self.family),
            ("parameters", None if self.parameters is None else f"{self.parameters:,}"),
            ("data", self.data),
            *((key.replace("_", " "), readable(value)) for key, value in self.scores.items()),
            ("licence", self.licence),
            ("size", None if self.bytes is None else readable_bytes(self.bytes)),
            ("folder", self.folder),
        ]
        rows = [(label, value) for label, value in rows if value not in (None, "")]
        width = max(len(label) for label, _ in rows)
        lines = [f"{self.name}: {self.summary}" if self.summary else self.name, ""]
        lines += [f"  {label:<{width}}  {value}" for label, value in rows]
        for heading, arguments in self._argument_groups().items():
            lines += ["", f"{heading}:"]
            for argument in arguments:
                lines.append(f"  {self._with_defaults(argument)}")
                lines += textwrap.wrap(
                    argument.help, width=96, initial_indent="      ", subsequent_indent="      "
                )
        return "\n".join(lines)

    def _with_defaults(self, argument):
        """An argument and its default, or its two defaults if numbers have another than text."""
        if argument.required:
            return f"{argument} (required)"
        for other in self.number_arguments:
            texts = argument.name in {each.name for each in self.arguments}
            if other.name == argument.name and texts and other.default != argument.default:
                return f"{argument} (of numbers: {other.default!r})"
        return str(argument)

    def _argument_groups(self):
        """The arguments under headings; what text and numbers have in common is told once."""
        if not self.number_arguments:
            return {"Arguments": self.arguments} if self.arguments else {}
        names = [{a.name for a in group} for group in (self.arguments, self.number_arguments)]
        both = names[0] & names[1]
        groups = {
            "Arguments": [a for a in self.arguments if a.name in both],
            "Arguments for text": [a for a in self.arguments if a.name not in both],
            "Arguments for sequences of numbers": [
                a for a in self.number_arguments if a.name not in both
            ],
        }
        return {heading: group for heading, group in groups.items() if group}


def describe(name):
    """Returns the `Description` of a name of the zoo, or of the model in a folder.

    Args:
        name: As for `tfgen.zoo.get`.

    Raises:
        InputError: An unknown name, with near matches; or a folder that holds no model.
    """
    item = find(name)
    if item.kind == "layer":
        arguments = list(arguments_of(item.row.load()).values())
        return Description(item.name, "layer", item.row.summary, arguments=arguments)
    if item.kind == "family":
        both = len(item.row.modalities) > 1
        return Description(
            item.name,
            "family",
            item.row.summary,
            arguments=_family_arguments(item.row),
            number_arguments=_family_arguments(item.row.row("numbers")) if both else [],
        )
    return describe_entry(item.name, item.folder, arguments=True)


def describe_entry(name, folder, arguments=False):
    """Returns the `Description` of the model in a folder.

    Args:
        name: What the description calls it.
        folder: The folder of the recipe.
        arguments: Whether to look up the family's arguments as well, which imports TensorFlow.
    """
    recipe = read_recipe(folder)
    results = read_results(folder)
    parameters = results.pop("parameters", None)
    taken = []
    if arguments:
        taken = _family_arguments(_row(recipe, folder), recipe.model)
    return Description(
        name=name,
        kind="entry",
        summary=recipe.description,
        family=recipe.family,
        arguments=taken,
        parameters=count_parameters(folder) if parameters is None else parameters,
        data=None if is_hugging_face(folder) else recipe.data.name,
        scores=results,
        licence=_licence(folder),
        bytes=sum(path.stat().st_size for path in _weight_files(folder)) or None,
        folder=folder,
    )


def read_results(folder):
    """Returns the measured scores of an entry, `results.json`; empty if it has none."""
    path = Path(folder) / RESULTS
    if not path.is_file():
        return {}
    results = read_json(path, MOST_OF_SIDE_FILE)
    if not isinstance(results, dict):
        raise InputError(f"{path}: must hold a JSON object. Received: {type(results).__name__}")
    return results


def count_parameters(folder):
    """Returns how many numbers the weights in a folder are; None without weights."""
    if is_hugging_face(Path(folder)):
        with Weights(Path(folder)) as weights:
            return weights.count()
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        return None
    from tfgen.models.weights import count_numbers

    return count_numbers(path)


def readable_bytes(count):
    """Returns a size in the unit that fits it."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count} bytes"
        count /= 1000
    return f"{count:.3g} GB"


def _weight_files(folder):
    if is_hugging_face(folder):
        return list(folder.glob("*.safetensors"))
    return [folder / WEIGHTS] if has_weights(folder) else []


def _row(recipe, folder):
    """The row of a folder's family: that of text, or that of numbers."""
    from tfgen.models import row_of_kind

    return row_of_kind(recipe.family, data_kind_of(folder), recipe.model)


def _family_arguments(row, given=None):
    """Returns the arguments that a family leaves free, with a recipe's values as defaults."""
    explained = {}
    for part in row.load_parts():
        explained = {**arguments_of(part, inherited=True), **explained}
    given = given or {}
    return [
        dataclasses.replace(explained[name], default=given.get(name, parameter.default))
        for name, parameter in row.arguments().items()
    ]


def _licence(folder):
    """Returns the licence that the card names: its line `Licence: ...`."""
    card = Path(folder) / CARD
    if not card.is_file():
        return None
    line = re.search(
        r"^[\s|*-]*licen[cs]e[\s*]*[:|][\s*]*([^|\n]+)",
        read_bytes(card, MOST_OF_SIDE_FILE).decode("utf-8", "replace"),
        re.IGNORECASE | re.MULTILINE,
    )
    return line and line[1].strip(" *")
