"""What the verbs of latents share: a model that has them, and the sequences that are named."""

from pathlib import Path

from tfgen.cli.models import NAME_HELP, find_model, open_model
from tfgen.cli.screen import show
from tfgen.errors import InputError, unknown
from tfgen.kinds import find_kind


def add_options(parser, *names):
    """Adds the model, the sequences of these names, and what every verb of latents takes."""
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    for name, what in names:
        parser.add_argument(
            name.lower(), metavar=name, help=f"{what}: a text, or the id of one in --data"
        )
    parser.add_argument(
        "--data", metavar="DATA", help="drawings, clips or series; the model's own without it"
    )


def kind_of(arguments):
    """The kind of data of the model, and its modality; `--data` is refused for texts."""
    kind = find_model(arguments.name).data_kind
    modality = find_kind(kind).modality
    if modality == "text" and arguments.data is not None:
        raise InputError(f"--data is for models of numbers, and {arguments.name} is of texts")
    return kind, modality


def check_out(arguments):
    """Refuses a file that cannot be written, before a model is opened; returns the modality."""
    from tfgen.report.output import check_output

    kind, modality = kind_of(arguments)
    if modality == "text":
        if arguments.out is not None and Path(arguments.out).suffix.lower() not in (
            ".txt",
            ".jsonl",
        ):
            raise InputError(f"--out must end in .txt or .jsonl. Received: --out {arguments.out}")
    elif arguments.out is None:
        raise InputError("--out is needed: what is not text has to go to a file")
    else:
        check_output(arguments.out, kind)
    return modality


def open_latent(arguments, verb):
    """Returns the model of a verb; one without latents is refused."""
    from tfgen.models.latents import check_latents

    model = open_model(arguments.name)
    check_latents(model, verb)
    return model


def opened(model, modality, data):
    """A function from the name of a sequence to `(sequence, told)`: a text stands for itself."""
    return Sequences(model, data).find if modality == "numbers" else lambda text: (text, {})


class Sequences:
    """The sequences of data by their ids, with what a model is told of each.

    Args:
        model: A `NumbersModel`.
        data: A path or the name of a built-in set; None takes what the model was trained on.
    """

    def __init__(self, model, data=None):
        from tfgen.models.numbers.over_data import open_series

        if data is None and model.recipe is None:
            raise InputError("--data is needed: the model does not tell what it was trained on")
        self._sequences = open_series(model, model.recipe.data.name if data is None else data)
        self._processor = model.processor
        self._limit = model.recipe.training.window if not model.processor.ends else None

    def find(self, identity):
        """`(values, told)` of one, a window of it where it does not end by itself."""
        from tfgen.preprocessing.told import told_of_one

        sequences, ids = self._sequences, [str(each) for each in self._sequences.ids]
        if identity not in ids:
            raise unknown("sequence", identity, ids)
        row = ids.index(identity)
        stop = len(sequences.values[row])
        stop = stop if self._limit is None else min(stop, self._limit)
        told = told_of_one(self._processor, sequences, row, 0, stop)
        # A class is left open: what leads from one class to another is of none.
        told.pop("condition", None)
        return sequences.values[row][:stop], told


def write(arguments, model, found):
    """Writes or prints the sequences that a verb made."""
    if isinstance(found[0], str):
        if arguments.out is None:
            show("\n".join(found))
            return
        from tfgen.report.texts import write_texts

        write_texts(arguments.out, [""], [found])
        show(f"Wrote {arguments.out}")
        return
    from tfgen.report.output import write_sequences

    processor = model.processor
    written = write_sequences(
        arguments.out, found, processor.features, processor.kind, sample_rate=processor.sample_rate
    )
    for path in written:
        show(f"Wrote {path}")
