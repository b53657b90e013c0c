"""Events are moved to other pitches and tempos, inputs and targets alike."""

import numpy as np
import pytest

from tfgen.data.augmentation import open_augmentation
from tfgen.data.music.events import vocabulary
from tfgen.errors import InputError
from tfgen.preprocessing import CharacterTokenizer, WordTokenizer


def test_transposed_events_are_those_of_the_transposed_piece():
    tokenizer = WordTokenizer().adapt([vocabulary()])
    line = (
        "Bar Position_0 Tempo_100 Program_0 Pitch_126 Duration_6 Drum_36 Bar Pitch_{} Duration_1\n"
    )
    tokens = np.concatenate([tokenizer.encode(line.format(3 + n)) for n in range(60)]).astype(
        np.int32
    )
    batch = tokens[:650].reshape(65, 10), tokens[1:651].reshape(65, 10)
    before = tokenizer.decode(batch[0].ravel())
    moved = open_augmentation(["transpose=5"], "events", (tokens, tokenizer))
    inputs, targets = moved(batch, np.random.default_rng(0))
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
    seen = set()
    for old, new in zip(batch[0], inputs):
        words, changed = tokenizer.decode(old).split(), tokenizer.decode(new).split()
        kinds = [[word.partition("_")[0] for word in each] for each in (words, changed)]
        assert kinds[0] == kinds[1]
        pairs = [(w, c) for w, c in zip(words, changed) if w.startswith("Pitch_")]
        shifts = {int(c[6:]) - int(w[6:]) for w, c in pairs}
        assert len(shifts) <= 1 and all(-5 <= shift <= 5 for shift in shifts)
        assert all(w == c for w, c in zip(words, changed) if not w.startswith("Pitch_"))
        seen |= shifts
        if any(word == "Pitch_126" for word in words):
            assert max(shifts) <= 1  # above 127 there is no pitch
    assert len(seen) > 5 and tokenizer.decode(batch[0].ravel()) == before
    faster = open_augmentation(["tempo=0.1"], "events", (tokens, tokenizer))
    inputs, _ = faster(batch, np.random.default_rng(0))
    tempos = {word for word in tokenizer.decode(inputs.ravel()).split() if word[:5] == "Tempo"}
    assert tempos == {"Tempo_95", "Tempo_100", "Tempo_105"}
    with pytest.raises(InputError, match="for music as words .* the vocabulary has no Pitch"):
        open_augmentation(["transpose=5"], "events", (tokens, CharacterTokenizer("Pitch_60")))
    with pytest.raises(InputError, match="'tempo' is for music as events, and the data are text"):
        open_augmentation(["tempo=0.1"], "text", (tokens, tokenizer))
