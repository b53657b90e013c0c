"""`open_labeled`: the texts of a table with a class each, and batches of windows of them."""

import itertools

import numpy as np

from tfgen.data import readers
from tfgen.data.converted import Converted, files_in, find_converted
from tfgen.data.file_labels import file_label
from tfgen.data.text_rows import check_fraction, open_rows
from tfgen.data.windows import spread
from tfgen.errors import InputError, unknown
from tfgen.files import home_path


def open_labeled(name, label, column=None, validation_fraction=0.1, data=None):
    """Opens texts of several classes to train or to score on.

    Args:
        name: A path of a `.csv`, `.tsv`, `.jsonl` or `.parquet` file (also `.gz` and `.xz`), or of
            a folder of files that are read as text, as MIDI files are.
        label: The column, or the key, of the class: a text, or a whole number; of files as
            `tfgen.data.file_labels.file_label` has it.
        column: That of the text; of files there is none.
        validation_fraction: Share of the texts of each class, the last ones, that is for
            validation; at least 0 and less than 1.
        data: A frame in memory, in place of what `name` names.

    Returns:
        `LabeledTexts`.

    Raises:
        InputError: If there is no such table or column, or no text in it.
    """
    check_fraction(validation_fraction)
    path = home_path(str(name))
    if data is None and column is None and path.is_dir() and file_label(label):
        report = readers.Report()
        row, files = find_converted(files_in(path), report)
        if row is not None:
            return LabeledTexts(name, _of_files(row, files, label), validation_fraction, report)
    if column is None:
        raise InputError(
            "Texts with classes need the column of the texts as well (data.column). "
            f"Received: data.label={label!r}"
        )
    if label == column:
        raise InputError(f"A class is another column than the text. Received: column={column!r}")
    what = "texts and their classes"
    name, rows = open_rows(name, [column, label], "data.label", what, data, numbered=label)
    return LabeledTexts(name, rows, validation_fraction)


def _of_files(row, files, label):
    """The texts of files with their classes, as `LabeledTexts` takes them."""

    def rows(report):
        documents = Converted(row, files, report, file_label(label))
        for text, own in zip(documents.texts(), documents.labels, strict=True):
            report.kept += 1
            yield text.removesuffix("\n"), own

    return rows


class LabeledTexts:
    """Texts by their class. See `open_labeled`.

    Args:
        name: As it was asked for.
        rows: Function of a `tfgen.data.readers.Report` that yields pairs of a text and its class.
        validation_fraction: As of `open_labeled`.
        report: A report that tells of files left out before.

    Attributes:
        name: As it was asked for.
        report: `tfgen.data.readers.Report` of the rows kept and dropped.
        classes: Names of the classes, sorted.
        characters: Dict with the number of characters in each split.
        split_rule: The rule of the split, as a sentence.
    """

    def __init__(self, name, rows, validation_fraction, report=None):
        self.name, self.report = name, report or readers.Report()
        found = {}
        for text, label in rows(self.report):
            found.setdefault(label, []).append(text)
        if not found:
            dropped = "; ".join(self.report.reasons())
            raise InputError(f"There is no text in {name}" + (f": {dropped}" if dropped else ""))
        self.classes = tuple(sorted(found))
        self._texts = {}
        for label in self.classes:
            texts = found[label]
            train = max(len(texts) - round(len(texts) * validation_fraction), 1)
            middle = train + (len(texts) - train + 1) // 2
            bounds = {
                "train": (0, train), "validation": (train, None), "all": (0, None),
                "choice": (train, middle), "test": (middle, None),
            }  # fmt: skip
            for split, (start, stop) in bounds.items():
                self._texts.setdefault(split, {})[label] = texts[start:stop]
        self.characters = {
            split: sum(len(text) + 1 for texts in of.values() for text in texts)
            for split, of in self._texts.items()
        }
        held = sum(map(len, self._texts["validation"].values()))
        self.split_rule = (
            f"the last {100 * validation_fraction:g}% of the texts of each class, {held:,}, are "
            "for validation"
        )

    def texts(self, split):
        """Dict from each class to the list of its texts in a split."""
        if split not in self._texts:
            raise unknown("split", split, self._texts)
        return self._texts[split]

    def chunks(self, split="train"):
        """Yields the texts of a class as one, each followed by a line break."""
        for texts in self.texts(split).values():
            if texts:
                yield "".join(f"{text}\n" for text in texts)

    def encoded(self, split, tokenizer, classes):
        """The tokens of each class, behind that which begins a text: a list of arrays.

        Args:
            split: The split.
            tokenizer: The tokenizer.
            classes: The names of the classes, in the model's order.

        Raises:
            InputError: If there is a text of another class.
        """
        texts = self.texts(split)
        for label in texts:
            if texts[label] and label not in classes:
                raise unknown("class of these data", label, classes)
        begin = np.array([tokenizer.start_id])
        return [
            np.concatenate([begin, *(tokenizer.encode(f"{t}\n") for t in texts.get(label, []))])
            for label in classes
        ]


class ClassWindows:
    """Cuts the tokens of each class into windows, and deals them out in mixed batches.

    Batch k is a pure function of the seed and of k, as of `Windows`. Every token after the first of
    its class is a target once an epoch; a window at the end of a class is padded.

    Args:
        tokens: List of 1-D integer arrays, one a class.
        window: Tokens to predict in a window.
        batch_size: Windows in a batch.
        seed: Integer.
        drop_remainder: Whether an epoch is in random order, its windows cut at an offset of its
            own, without those that fill no batch. If not, all come in order.
        augment: As of `Windows`.
        split: What messages call the tokens.
        most: Without `drop_remainder`: batches in an epoch at most, of windows spread evenly.

    Raises:
        InputError: If there are not enough windows for a batch.
    """

    carries_state = False

    def __init__(
        self, tokens, window, batch_size, seed=0, drop_remainder=True, augment=None, split=None,
        most=None,
    ):  # fmt: skip
        self.tokens = np.concatenate(tokens)
        self._ends = np.cumsum([len(each) for each in tokens])
        self.window, self.batch_size, self.seed = window, batch_size, seed
        self.drop_remainder, self.augment = drop_remainder, augment
        # However they are cut there are at least so many.
        count = sum(-(-(len(each) - 1) // window) for each in tokens)
        needed = batch_size if drop_remainder else 1
        if count < needed:
            which = f"{split} split" if split else "data"
            raise InputError(
                f"The {which} is too short: {count:,} windows of {window} tokens, where {needed} "
                "are needed. Use more data or a smaller training.window or training.batch_size"
            )
        if drop_remainder:
            self.steps_per_epoch = count // batch_size
        else:
            spans = self._spans(0)
            self._kept = spans[
                spread(len(spans), len(spans) if most is None else most * batch_size)
            ]
            self.steps_per_epoch = -(-len(self._kept) // batch_size)
        self._order = None, None

    def _spans(self, offset):
        """Class, first input and end of the targets of each window, int64 `(windows, 3)`."""
        spans, begin = [], 0
        for label, end in enumerate(self._ends.tolist()):
            edges = [begin, *range(begin + (offset or self.window), end - 1, self.window), end - 1]
            if end - 1 > begin:
                spans += [(label, start, stop) for start, stop in itertools.pairwise(edges)]
            begin = end
        return np.array(spans).reshape(-1, 3)

    def _epoch(self, epoch):
        if not self.drop_remainder:
            return self._kept
        generator = np.random.default_rng([self.seed, epoch, 0])
        spans = self._spans(int(generator.integers(self.window)))
        return spans[generator.permutation(len(spans))]

    def batch(self, k):
        """Returns batch number k.

        Returns:
            `({"tokens": inputs, "condition": classes}, targets, weights)`: int32
            `(batch_size, window)`; int32 `(batch_size,)`; int32 the next token of each input; and
            float32 1 where there is a target.
        """
        epoch, step = divmod(int(k), self.steps_per_epoch)
        # Read and replaced as one object: see `Windows`.
        kept, spans = self._order
        if kept != epoch:
            spans = self._epoch(epoch)
            self._order = epoch, spans
        spans = spans[step * self.batch_size : (step + 1) * self.batch_size]
        places = spans[:, 1:2] + np.arange(self.window + 1)
        tokens = self.tokens[np.minimum(places, spans[:, 2:])].astype(np.int32)
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        weights = (places[:, 1:] <= spans[:, 2:]).astype(np.float32)
        if self.augment is not None:
            generator = np.random.default_rng([self.seed, int(k), 3])
            inputs, targets = self.augment((inputs, targets), generator)
        given = {"tokens": inputs, "condition": spans[:, 0].astype(np.int32)}
        return given, targets, weights

    def starts_epoch(self, k):
        """Whether batch k is the first of an epoch."""
        return k % self.steps_per_epoch == 0
