"""Where a fine-tuning starts: the weights and the preprocessing of a model that is there."""

import dataclasses
import itertools
import re
from typing import Any

import numpy as np

from tfgen import models
from tfgen.data import data_kind
from tfgen.errors import InputError
from tfgen.files import home_path
from tfgen.kinds import find_kind
from tfgen.models.base import SequenceGenerator
from tfgen.preprocessing import (
    BytePairTokenizer,
    ByteTokenizer,
    CharacterTokenizer,
    SequenceProcessor,
    TokenizerWithSource,
    WordTokenizer,
    tokenizer_name,
)
from tfgen.training.data import open_data
from tfgen.training.self_forcing import ROLLOUTS

_KINDS = {
    BytePairTokenizer: "bpe", ByteTokenizer: "byte", CharacterTokenizer: "character",
    WordTokenizer: "word",
}  # fmt: skip


@dataclasses.dataclass
class Start:
    """A model to start from.

    Attributes:
        name: What it is called, for people and for the recipe.
        model: The `tfgen.models.SequenceGenerator`. It is only read.
    """

    name: str
    model: Any

    def open_data(self, recipe, given=None):
        """The data of a run that starts from the model, with its preprocessing where that fits.

        Args:
            recipe: A `tfgen.recipe.Recipe`.
            given: What is in memory, as of `tfgen.training.data.open_data`.

        Returns:
            `(recipe, data)`: the recipe with what is so, and the `tfgen.training.opened.Data`.

        Raises:
            InputError: If the data are of another kind, or are not what the model takes.
        """
        ours = self.model.preprocessing
        numbers = isinstance(ours, SequenceProcessor)
        model_of = "numbers" if numbers else "text"
        data_is = data_kind(recipe.data, given)
        data_of = find_kind(data_is).modality
        if model_of != data_of:
            raise InputError(
                f"{self.name} is a model of {model_of}, and these data are {data_of}. "
                f"Received: data.name={recipe.data.name}"
            )
        training = dataclasses.replace(recipe.training, start_from=self.name)
        recipe = dataclasses.replace(recipe, training=training)
        if numbers:
            recipe = self._with_our_processor(recipe)
            return recipe, open_data(recipe, ours, given)
        classes = getattr(getattr(self.model.engine, "emission", None), "classes", None)
        if classes and recipe.data.label is not None:
            recipe = dataclasses.replace(recipe, model={"classes": list(classes), **recipe.model})
        vocabulary, asked = recipe.training.vocabulary, recipe.preprocessing
        tokenizer = getattr(ours, "tokenizer", ours)
        # No recipe names a Hugging Face tokenizer.
        wanted = tokenizer_name(asked, data_is)
        kind = _KINDS.get(type(tokenizer), wanted)
        most = getattr(tokenizer, "max_vocabulary", None)
        # Of subwords the size that was asked for is known from the recipe alone.
        theirs = getattr(self.model.recipe, "preprocessing", None)
        size = theirs.vocabulary_size if kind == "bpe" and theirs else None
        same = (
            kind == wanted
            and {
                "bpe": asked.vocabulary_size in (None, size),
                "byte": True,
                "character": most == asked.max_vocabulary,
                "word": most == asked.max_vocabulary,
            }[kind]
        )
        # Sources are scaled as the weights are used to, whatever the vocabulary.
        fresh = ours._replace(tokenizer=None) if tokenizer is not ours else None
        if vocabulary == "new" or (vocabulary == "auto" and not same):
            return recipe, open_data(recipe, fresh, given)
        kept = dataclasses.replace(asked, tokenizer=kind, max_vocabulary=most, vocabulary_size=size)
        recipe = dataclasses.replace(recipe, preprocessing=kept)
        data = open_data(recipe, ours, given)
        unknown = tokenizer.unknown_id
        if vocabulary == "auto" and unknown is not None:
            if np.any(np.asarray(data.windows["train"].tokens) == unknown):
                return recipe, open_data(recipe, fresh, given)
        return recipe, data

    def _with_our_processor(self, recipe):
        asked, theirs = recipe.preprocessing, (self.model.recipe or recipe).preprocessing
        for key in ("scaler", "log1p", "calendar"):
            value = getattr(asked, key)
            if value != getattr(theirs, key) and value != ():
                raise InputError(
                    f"{self.name} keeps the scaling that its weights were trained with. "
                    f"Received: preprocessing.{key}={value}"
                )
        if recipe.training.vocabulary == "new":
            raise InputError(
                f"{self.name} is a model of numbers, which has no vocabulary. "
                "Received: training.vocabulary=new"
            )
        return dataclasses.replace(recipe, preprocessing=theirs)

    def give(self, model):
        """Puts the weights into a new model: all of them, or nothing and an error.

        What belongs to a symbol goes by the symbol. One that there was not begins as the mean of
        those that there were, which gives it less than an average one's probability, whatever the
        text (the exponential of a mean is at most the mean of exponentials); drawn at random, its
        logit may be the greatest.

        Args:
            model: Built by `tfgen.models.build`.

        Returns:
            What was taken, for people.

        Raises:
            InputError: For the first weight that is not the same in both, but for its symbols; and
                if a new symbol belongs to a frozen weight.
        """
        symbols, axes = None, ()
        if not isinstance(model.preprocessing, SequenceProcessor):
            old, new = (_symbols(each.tokenizer) for each in (self.model, model))
            if old != new:
                places = {symbol: number for number, symbol in reversed([*enumerate(old)])}
                symbols = np.array([places.get(symbol, -1) for symbol in new])
                known = np.array([n for n, symbol in enumerate(old) if symbol is not None])
                axes = _vocabulary_axes(model)
        values = []
        pairs = itertools.zip_longest(self.model.weights, model.weights)
        for (theirs, ours), over in zip(pairs, itertools.chain(axes, itertools.repeat(()))):
            self._check(theirs, ours, over, None if symbols is None else len(old))
            value = theirs.numpy()
            if over and (symbols < 0).any() and not ours.trainable:
                fresh = [s for s, number in zip(new, symbols) if number < 0 and s is not None]
                if fresh:
                    raise InputError(
                        f"{ours.path} has {len(fresh)} symbols that {self.name} does not know, "
                        f"e.g. {fresh[0]!r}, and would not be trained: leave it out of "
                        "training.freeze, name it in training.lora_also, or set "
                        "training.vocabulary=keep"
                    )
            for axis in over:
                mean = np.take(value, known, axis).mean(axis, keepdims=True)
                value = np.concatenate([value, mean.astype(value.dtype)], axis)
                value = np.take(value, symbols, axis)  # -1 is the mean
            values.append(value)
        for weight, value in zip(model.weights, values, strict=True):
            weight.assign(value)
        text = f"From {self.name}: {len(values)} of {len(values)} weights"
        if symbols is None:
            return text
        shared = sum(s is not None and n >= 0 for s, n in zip(new, symbols))
        return f"{text}, {shared} of {sum(s is not None for s in new)} symbols"

    def _check(self, theirs, ours, axes, vocabulary):
        if ours is None:
            raise InputError(f"{self.name} does not fit: the new model has no {theirs.path}")
        if theirs is None:
            raise InputError(f"{self.name} does not fit: it has no {ours.path}")
        if _plain(theirs.path) != _plain(ours.path):
            raise InputError(
                f"{self.name} does not fit: where it has {theirs.path}, the new model "
                f"has {ours.path}"
            )
        wanted = tuple(vocabulary if n in axes else size for n, size in enumerate(ours.shape))
        if tuple(theirs.shape) != wanted:
            raise InputError(
                f"{self.name} does not fit: its {theirs.path} is {tuple(theirs.shape)}, "
                f"and the new model's is {tuple(ours.shape)}"
            )


def open_start(recipe, start=None):
    """Returns the `Start` of a run, or None if it begins with new weights.

    Args:
        recipe: The run's `tfgen.recipe.Recipe`.
        start: A model; or the path of the folder of one, or of a run; None takes what the recipe
            names, which must be such a path.

    Raises:
        InputError: If there is no model, or the recipe needs one.
    """
    name = recipe.training.start_from
    start = name if start is None else start
    if start is None:
        if recipe.training.lora_rank:
            raise InputError(
                "training.lora_rank adapts a model that is there: name it by --from. "
                f"Received: training.lora_rank={recipe.training.lora_rank}"
            )
        training = recipe.training
        rollout = training.rollout if training.rollout in ROLLOUTS else None
        for key, value in (("refine", training.refine), ("rollout", rollout)):
            if value:
                raise InputError(
                    f"training.{key} trains a model further: name it by --from. "
                    f"Received: training.{key}='{value}'"
                )
        return None
    if isinstance(start, SequenceGenerator):
        return Start(name or "a model in memory", start)
    folder = home_path(start)
    if (folder / "final" / models.RECIPE).is_file():
        folder = folder / "final"
    if not folder.is_dir():
        raise InputError(
            f"training.start_from: there is no folder {start}; a model of the zoo is given as "
            f"train(..., start=tfgen.zoo.get('{start}')). Received: training.start_from={name}"
        )
    return Start(name or str(start), models.load(folder))


def _symbols(tokenizer):
    """What each id stands for; None is what is outside the vocabulary."""
    if isinstance(tokenizer, ByteTokenizer):
        # The characters that are one byte are also those of other tokenizers.
        return [chr(byte) if byte < 128 else bytes([byte]) for byte in range(256)]
    if isinstance(tokenizer, BytePairTokenizer):
        return tokenizer.texts
    if isinstance(tokenizer, (CharacterTokenizer, WordTokenizer)):
        return [None, *tokenizer.vocabulary]
    return tokenizer.symbols


def _vocabulary_axes(model):
    """For each weight, the axes that are as long as the vocabulary, whatever that is."""
    # A model of one symbol more tells. Shapes alone would not: a layer may be as wide by chance.
    size = model.tokenizer.vocabulary_size
    other = CharacterTokenizer([chr(0x10000 + number) for number in range(size)])
    if isinstance(model.preprocessing, TokenizerWithSource):
        other = model.preprocessing._replace(tokenizer=other)
    probe = models.build(model.recipe, other)
    return [
        tuple(axis for axis, pair in enumerate(zip(ours.shape, theirs.shape)) if len({*pair}) > 1)
        for ours, theirs in zip(model.weights, probe.weights, strict=True)
    ]


def _plain(path):
    """A path without the numbers that Keras gives to layers of a name of its own making."""
    return re.sub(r"_\d+(?=/|$)", "", path)
