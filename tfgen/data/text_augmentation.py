"""What is done to the inputs of a batch of text: see `tfgen.data.augmentation`."""

import numpy as np


def dropout(share, tokens, tokenizer):
    """Replaces this share of the inputs by a token that tells nothing.

    That is the tokenizer's token for what is unknown, as in word dropout (Bowman et al.,
    arXiv:1511.06349), and one evenly drawn from the vocabulary where the tokenizer has none.
    """
    unknown, size = tokenizer.unknown_id, tokenizer.vocabulary_size

    def augment(inputs, generator):
        hit = generator.random(inputs.shape) < share
        count = np.count_nonzero(hit)
        told = generator.integers(size, size=count) if unknown is None else unknown
        return _with(inputs, hit, told)

    return augment


def noise(share, tokens, tokenizer):
    """Replaces this share of the inputs by tokens as frequent as in the training data.

    The unigram noise of Xie et al., arXiv:1703.02573.
    """

    def augment(inputs, generator):
        hit = generator.random(inputs.shape) < share
        # A token from a random place is one drawn by its frequency.
        places = generator.integers(len(tokens), size=np.count_nonzero(hit))
        return _with(inputs, hit, tokens[places])

    return augment


def _with(inputs, hit, told):
    changed = inputs.copy()
    changed[hit] = told
    return changed
