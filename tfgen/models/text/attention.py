"""`source_attention`: which items of its source each token of a text attends to."""

import numpy as np
import tensorflow as tf

from tfgen.models.text.arguments import condition_of


def source_attention(model, texts, source):
    """What of their sources texts are made of, as a model with an encoder attends to it.

    Args:
        model: A `tfgen.models.text.model.TextModel` made with an encoder.
        texts: List of texts.
        source: A list with the source of each, as of `generate`.

    Returns:
        List of float32 arrays `(tokens + 1, items)`, one a text: for each token, and for the end,
        the shares of the items of its source when it is predicted. They are those of the last block
        of a transformer, the mean of its heads, or of what is behind a recurrent network's first
        layer.
    """
    graphs, found = model.graphs, []
    ids, lengths = graphs.start_and(tf.constant(texts, tf.string))
    told = graphs.known(condition_of(model.engine.emission, None, len(texts), source))
    condition = told["condition"], told["condition_valid"]
    model.engine.hidden_states(ids, condition=condition, attended=found.append)
    sizes = np.sum(told["condition_valid"], axis=1)
    shares = found[-1].numpy().astype(np.float32)
    return [
        row[:length, :size]
        for row, length, size in zip(shares, lengths.numpy(), sizes, strict=True)
    ]
