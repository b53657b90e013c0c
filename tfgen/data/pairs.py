"""`open_pairs`: the rows of a table as pairs, of a source and the text that a model makes of it."""

import fractions
import hashlib

import numpy as np

from tfgen.data import readers
from tfgen.data.catalog import BUILTIN
from tfgen.data.source_sequences import SourceSequences
from tfgen.data.text_rows import check_fraction, open_rows
from tfgen.data.windows import spread
from tfgen.errors import InputError, unknown
from tfgen.names import normalise

# Sources and targets are padded to a multiple of so many tokens, which a step is compiled for.
_BUCKET = 8


def open_pairs(
    name, source, column=None, validation_fraction=0.1, data=None, source_data=None
):  # fmt: skip
    """Opens pairs of a source and a text to train or to score on.

    Args:
        name: A path of a `.csv`, `.tsv`, `.jsonl` or `.parquet` file (also `.gz` and `.xz`), or the
            name of a built-in table.
        source: The column, or the key, of what is given.
        column: That of the text that is made of it; None is that of a built-in table.
        validation_fraction: Share of the sources that is for validation; at least 0 and less
            than 1.
        data: A frame in memory, in place of what `name` names.
        source_data: Where the sources are sequences of numbers: of what the column has the names,
            see `tfgen.data.source_sequences.SourceSequences`; None where the column has texts.

    Returns:
        `Pairs`.

    Raises:
        InputError: If there is no such table or column, or no pair in it.
    """
    check_fraction(validation_fraction)
    built_in = BUILTIN.get(normalise(str(name))) if data is None else None
    if column is None and built_in is not None:
        column = built_in.column
    if column is None:
        raise InputError(
            "Pairs need the column of the texts as well as that of the sources (data.column). "
            f"Received: data.source={source!r}"
        )
    if source == column:
        raise InputError(f"A source is another column than the text. Received: column={column!r}")
    name, rows = open_rows(name, [source, column], "data.source", "pairs of texts", data)
    return Pairs(name, rows, column, validation_fraction, source_data)


class Pairs:
    """Pairs of a source and a text, split so that no source is on both sides. See `open_pairs`.

    Which sources are held out goes by a hash of them, so that the order of the file, in which words
    with one beginning stand together, has no part in it.

    Args:
        name: As it was asked for.
        rows: Function of a `tfgen.data.readers.Report` that yields pairs of texts.
        column: What messages call the texts.
        validation_fraction: As of `open_pairs`.
        source_data: As there.

    Attributes:
        name: As it was asked for.
        numbers: Whether the sources are sequences of numbers, which their ids stand for here.
        report: `tfgen.data.readers.Report` of the rows kept and dropped.
        characters: Dict with the number of characters of the texts in each split.
        split_rule: The rule of the split, as a sentence.
    """

    def __init__(self, name, rows, column, validation_fraction, source_data=None):
        self.name = name
        self.report = readers.Report()
        self.numbers = source_data is not None
        self._sequences = SourceSequences(source_data, self.report) if self.numbers else None
        found = {}
        for source, target in rows(self.report):
            if "\n" in target:
                self.report.kept -= 1
                self.report.drop(f"'{column}' has a line break, which ends a text", repr(source))
                continue
            for key in self._sequences.keys(source) if self.numbers else [source]:
                found.setdefault(key, {})[target] = None
        if not found:
            dropped = "; ".join(
                f"{number} x {reason} (first: {example})"
                for reason, (number, example) in self.report.dropped.items()
            )
            raise InputError(f"There is no pair in {name}" + (f": {dropped}" if dropped else ""))
        self._targets = {source: list(targets) for source, targets in found.items()}
        order = sorted(self._targets, key=_hash)
        train = int(len(order) * (1 - fractions.Fraction(str(validation_fraction))))
        middle = train + (len(order) - train + 1) // 2
        bounds = {
            "train": (0, train), "validation": (train, None), "all": (0, None),
            "choice": (train, middle), "test": (middle, None),
        }  # fmt: skip
        self._sources = {split: order[start:stop] for split, (start, stop) in bounds.items()}
        self.characters = {
            split: sum(len(text) for source in sources for text in self._targets[source])
            for split, sources in self._sources.items()
        }
        self.split_rule = (
            f"{train:,} sources are for training, {len(order) - train:,} "
            f"({100 * validation_fraction:g}%), chosen by a hash of them, for validation"
        )

    def references(self, split):
        """Returns a dict from each source of a split to the list of its texts."""
        if split not in self._sources:
            raise unknown("split", split, self._sources)
        return {source: self._targets[source] for source in self._sources[split]}

    def sequences(self, split):
        """The `Sequences` of the sources of a split, where they are numbers."""
        return self._sequences.sequences(self._sources[split])

    def sources(self, split, reader):
        """Dict from each source of a split to what a model takes: a text, or an array.

        Args:
            split: The split.
            reader: Of numbers the model's `SequenceProcessor`; None of texts.

        Raises:
            InputError: If the model takes other sources.
        """
        if (reader is not None) != self.numbers:
            what = "texts" if reader is None else "sequences of numbers (source_data)"
            raise InputError(f"The model makes texts of {what}, and {self.name} has other sources")
        if reader is None:
            return {source: source for source in self._sources[split]}
        checked = reader.check(self.sequences(split))
        return dict(zip(checked.ids, checked.values, strict=True))

    def encoded(self, split, read, tokenizer):
        """Yields each pair of a split as arrays: the source as read, the tokens of the text.

        Args:
            split: The split.
            read: Function of a source.
            tokenizer: The tokenizer of the texts.
        """
        # All texts at once: what a call costs is more than what one text does.
        tokens = tokenizer.encode("".join(self.chunks(split)))
        ends = np.flatnonzero(tokens == tokenizer.start_id)
        lines = [line[:-1] for line in np.split(tokens, ends + 1)[:-1]]
        pairs = [(each, text) for each, found in self.references(split).items() for text in found]
        if len(lines) != len(pairs):  # the tokenizer joins line breaks to what is beside them
            lines = (tokenizer.encode(text) for _, text in pairs)
        for (source, _), line in zip(pairs, lines, strict=True):
            yield read(source), line

    def chunks(self, split="train"):
        """Yields the texts of a split, one a line."""
        for targets in self.references(split).values():
            yield "".join(f"{target}\n" for target in targets)


def _hash(source):
    return hashlib.blake2b(source.encode("utf-8", "surrogatepass"), digest_size=8).digest()


class PairWindows:
    """Deals out pairs in batches, each pair in a row of its own.

    Batch k is a pure function of the seed and of k, as of `Windows`. Pairs of about the same length
    are in a batch together, padded to the same multiple of 8 on both sides. Of sources that are
    numbers, many positions may make a short text: either side is padded to a power of 2 of its own.

    Args:
        pairs: Iterable of `(source, target)`: tokens, integer arrays, or for a source numbers
            `(time, features)`.
        window: Tokens at most: longer sources, and targets that do not end by then, are left out.
        batch_size: Pairs in a batch.
        line_break: The token that begins and ends a target.
        seed: Integer.
        drop_remainder: Whether an epoch is in random order, without pairs that fill no batch. If
            not, all come, and the last batch of a length is smaller.
        split: What messages call the pairs.
        most: Without `drop_remainder`: batches in an epoch at most, of pairs spread evenly.

    Attributes:
        dropped: How many pairs were left out because they are too long.

    Raises:
        InputError: If there are not enough pairs for a batch.
    """

    carries_state = False

    def __init__(
        self,
        pairs,
        window,
        batch_size,
        line_break,
        seed=0,
        drop_remainder=True,
        split=None,
        most=None,
    ):
        pairs = list(pairs)
        kept = [pair for pair in pairs if max(len(pair[0]), len(pair[1]) + 1) <= window]
        self.dropped = len(pairs) - len(kept)
        self.window, self.batch_size, self.line_break = window, batch_size, line_break
        self.seed, self.drop_remainder = seed, drop_remainder
        needed = batch_size if drop_remainder else 1
        if len(kept) < needed:
            which = f"{split} split" if split else "data"
            raise InputError(
                f"The {which} is too short: {len(kept):,} pairs of at most {window} tokens, where "
                f"{needed} are needed. Use more data, a larger training.window or a smaller "
                "training.batch_size"
            )
        if not drop_remainder and most is not None:
            kept = [kept[number] for number in spread(len(kept), most * batch_size)]
        self.tokens = np.concatenate([target for _, target in kept])
        self._pairs = kept
        longest = np.array([max(len(source), len(target) + 1) for source, target in kept])
        self._buckets = -(-longest // _BUCKET)
        self.steps_per_epoch = len(self._batches(0))
        self._order = None, None

    def _batches(self, epoch):
        """The numbers of the pairs of each batch of an epoch."""
        generator = np.random.default_rng([self.seed, epoch, 1])
        count = len(self._pairs)
        order = generator.permutation(count) if self.drop_remainder else np.arange(count)
        if self.drop_remainder:
            order = order[: count // self.batch_size * self.batch_size]
        order = order[np.argsort(self._buckets[order], kind="stable")]
        batches = [order[at : at + self.batch_size] for at in range(0, len(order), self.batch_size)]
        if self.drop_remainder:
            batches = [batches[number] for number in generator.permutation(len(batches))]
        return batches

    def batch(self, k):
        """Returns batch number k.

        Returns:
            `({"tokens": inputs, "condition": (sources, valid)}, targets, weights)`, each
            `(batch_size, time)`: int32 tokens after a line break; int32 tokens of the sources, or
            their numbers, and bool which there are; int32 the next token of each input, a line
            break at the end; and float32 1 where there is a target.
        """
        epoch, step = divmod(int(k), self.steps_per_epoch)
        # Read and replaced as one object: see `Windows`.
        kept, batches = self._order
        if kept != epoch:
            batches = self._batches(epoch)
            self._order = epoch, batches
        rows = batches[step]
        found = [self._pairs[row][0] for row in rows], [self._pairs[row][1] for row in rows]
        longest = [int(np.max(self._buckets[rows])) * _BUCKET] * 2
        if found[0][0].ndim > 1:
            # A target has an end as well.
            most = max(map(len, found[0])), max(map(len, found[1])) + 1
            longest = [_BUCKET << (-(-each // _BUCKET) - 1).bit_length() for each in most]
        time = [min(each, self.window) for each in longest]
        sources, sizes = _padded(found[0], time[0], 0)
        targets, lengths = _padded(found[1], time[1], self.line_break)
        places = [np.arange(each)[None] for each in time]
        starts = np.full([len(rows), 1], self.line_break, np.int32)
        inputs = np.concatenate([starts, targets[:, :-1]], axis=1)
        given = {"tokens": inputs, "condition": (sources, places[0] < sizes[:, None])}
        return given, targets, (places[1] <= lengths[:, None]).astype(np.float32)

    def starts_epoch(self, k):
        """Whether batch k is the first of an epoch."""
        return k % self.steps_per_epoch == 0


def _padded(rows, time, value):
    """Arrays as one, of tokens int32 `(rows, time)`, of numbers with features; their lengths."""
    dtype = rows[0].dtype if rows[0].ndim > 1 else np.int32
    padded = np.full([len(rows), time, *rows[0].shape[1:]], value, dtype)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded, np.array([len(row) for row in rows])
