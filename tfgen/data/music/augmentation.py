"""What is done to the inputs and targets of a batch of events: see `tfgen.data.augmentation`."""

import math

import numpy as np

from tfgen.data.music.events import TEMPOS
from tfgen.errors import InputError

_STEP = 1.05  # from a tempo to the next, about


def transpose(semitones, tokens, tokenizer):
    """Moves every note of a window by the same number of semitones; drums stay.

    It is drawn evenly from those up to so many either way that leave every pitch where the
    vocabulary has one.
    """
    shifts = np.arange(-int(semitones), int(semitones) + 1)

    def move(shift):
        return lambda pitch: pitch + shift

    return _moved("Pitch", [move(shift) for shift in shifts], tokenizer, "transpose")


def tempo(share, tokens, tokenizer):
    """Makes a window faster or slower by up to this share, in steps of about 5 %."""
    most = max(int(math.log1p(share) / math.log(_STEP) + 1e-9), 1)

    def move(factor):
        return lambda tempo: int(TEMPOS[np.argmin(np.abs(TEMPOS - tempo * factor))])

    factors = _STEP ** np.arange(-most, most + 1.0)
    return _moved("Tempo", [move(factor) for factor in factors], tokenizer, "tempo")


def _moved(name, moves, tokenizer, key):
    """Replaces words `name_NUMBER` of a row by those of the number that one of the moves gives."""
    symbols = tokenizer.symbols
    places = {symbol: number for number, symbol in enumerate(symbols)}
    tables = np.tile(np.arange(len(symbols), dtype=np.int32), (len(moves), 1))
    found = False
    for number, symbol in enumerate(symbols):
        before, _, value = symbol.rpartition("_")
        if before.lstrip(" ") == name and value.isdigit():
            found = True
            for table, move in zip(tables, moves):
                table[number] = places.get(f"{before}_{move(int(value))}", -1)
    if not found:
        raise InputError(
            f"training.augment: {key} is for music as words (preprocessing.tokenizer=word), and "
            f"the vocabulary has no {name}"
        )

    def augment(batch, generator):
        inputs, targets = batch
        lost = (tables[:, inputs] < 0).any(axis=-1) | (tables[:, targets] < 0).any(axis=-1)
        possible = ~lost.T  # (batch, moves); not to move always is
        chosen = np.argmax(np.where(possible, generator.random(possible.shape), -1), axis=1)
        return tables[chosen[:, None], inputs], tables[chosen[:, None], targets]

    return augment
