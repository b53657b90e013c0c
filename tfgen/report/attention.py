"""`attention_figure`: which items of a source each token of a text attends to, as a picture."""

import numpy as np

from tfgen.report.figures import new_figure

# Of a longer side only so many are named.
_NAMED = 40


def attention_figure(pairs):
    """Heat maps, one a pair: the tokens of a text downwards, the items of its source along.

    Args:
        pairs: List of `(title, tokens, items, shares)`: lists of texts, those of the items None
            where they have no names, and an array `(tokens, items)` of shares.

    Returns:
        A matplotlib Figure.
    """
    figure = new_figure(4.2 * len(pairs), 4.2, quick=True)
    figure.subplots_adjust(wspace=0.3)
    for number, (title, tokens, items, shares) in enumerate(pairs, start=1):
        axes = figure.add_subplot(1, len(pairs), number)
        axes.imshow(
            np.asarray(shares), cmap="Blues", vmin=0, aspect="auto", interpolation="nearest"
        )
        axes.set_title(title, fontsize=9)
        if len(tokens) <= _NAMED:
            axes.set_yticks(range(len(tokens)), tokens, fontsize=8)
        if items is None:
            axes.set_xlabel("position of the source")
        elif len(items) <= _NAMED:
            axes.set_xticks(range(len(items)), items, fontsize=8)
    return figure
