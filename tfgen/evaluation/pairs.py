"""How well a model makes texts of sources: the likelihood of the right ones, and error rates."""

import numpy as np
import tensorflow as tf

from tfgen.data import PairWindows
from tfgen.errors import InputError
from tfgen.preprocessing import ByteTokenizer
from tfgen.sampling.search import BeamSearch

_ROWS = 256  # at once


def evaluate_pairs(model, pairs, split, beams=1, progress=lambda done, total: None):
    """Measures a model with an encoder on pairs.

    A source may have several right texts. What is made of it is right if it equals any of them; its
    edits are those to the nearest.

    Args:
        model: A `TextModel`.
        pairs: `tfgen.data.Pairs`.
        split: As of `tfgen.evaluation.evaluate`.
        beams: Texts that a beam search follows; 1 takes the most likely token each time.
        progress: Function `(done, total)` of sources, called after each batch.

    Returns:
        A dict that JSON can hold: `nats_per_token`, each text's end a token;
        `sequence_error_rate`, the share of the sources of which no right text is made; and
        `token_error_rate`, the edits of what stands between blanks, for each that is right.

    Raises:
        InputError: If there is no pair in the split.
    """
    references = pairs.references(split)
    if not references:
        raise InputError(f"There is no pair in the split '{split}' of {pairs.name}")
    search = None if beams == 1 else BeamSearch(beams)
    options = {"search": search} if search else {"temperature": 0}
    reader = model.engine.emission.source_encoder.source_processor
    given = pairs.sources(split, reader)
    read = given.get if pairs.numbers else ByteTokenizer().encode
    # Sources of about one length together: a loop is compiled for their length.
    sources = sorted(references, key=lambda source: len(read(source)))
    wrong = edits = words = 0
    for first in range(0, len(sources), _ROWS):
        batch = sources[first : first + _ROWS]
        made = model.generate(source=[given[each] for each in batch], strip_prompt=True, **options)
        for source, text in zip(batch, made, strict=True):
            right = [each.split() for each in references[source]]
            found = min((edit_distance(text.split(), each), -len(each)) for each in right)
            wrong += text not in references[source]
            edits, words = edits + found[0], words - found[1]
        progress(first + len(batch), len(sources))
    nats, tokens = _nats(model, list(pairs.encoded(split, read, model.tokenizer)))
    return {
        "data": pairs.name,
        "split": split,
        "sources": len(sources),
        "texts": sum(map(len, references.values())),
        "characters": pairs.characters[split],
        "parameters": model.count_params(),
        "nats_per_token": nats / tokens,
        "nats_per_character": nats / pairs.characters[split],
        "beams": beams,
        "sequence_error_rate": wrong / len(sources),
        "token_error_rate": edits / words,
    }


def _nats(model, encoded):
    """The nats of the texts of encoded pairs, and how many tokens they have."""
    longest = max(max(len(source), len(target) + 1) for source, target in encoded)
    if model.max_positions is not None:
        longest = min(longest, model.max_positions)
    start = model.tokenizer.start_id
    windows = PairWindows(encoded, longest, _ROWS, start, drop_remainder=False)
    total = tf.function(
        lambda batch: model.batch_total(model.unpack(batch))[:2],
        jit_compile=model.jit_compile_training,
        autograph=False,
    )
    totals = np.zeros(2)
    for k in range(windows.steps_per_epoch):
        batch = tf.nest.map_structure(tf.constant, windows.batch(k))
        totals += [float(each) for each in total(batch)]
    return totals.tolist()


def edit_distance(a, b):
    """How many items must be inserted, left out or replaced to make a list another one."""
    row = list(range(len(b) + 1))
    for number, left in enumerate(a, 1):
        before, row[0] = row[0], number
        for place, right in enumerate(b, 1):
            cost = min(row[place] + 1, row[place - 1] + 1, before + (left != right))
            before, row[place] = row[place], cost
    return row[-1]
