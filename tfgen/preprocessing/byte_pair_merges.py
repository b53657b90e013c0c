"""The merges of byte-level BPE over many words at once, by tables."""

import numpy as np
import tensorflow as tf

_NEVER = np.iinfo(np.int32).max


class Merges:
    """Merges pairs of tokens, those of the lowest rank in each word first, until there are none.

    The algorithm is that of Sennrich et al., arXiv:1508.07909.

    Args:
        pairs: int array `(merges, 2)`, of tokens, the lowest rank first.
        merged: int array `(merges,)`, the token that each pair becomes.
        size: Tokens that there are.
    """

    def __init__(self, pairs, merged, size):
        pairs, self._size = np.asarray(pairs, np.int64).reshape(-1, 2), size
        merged = np.asarray(merged, np.int32)
        keys = pairs[:, 0] * size + pairs[:, 1]
        # Of a pair that is there twice, the last counts.
        keys, last = np.unique(keys[::-1], return_index=True)
        ranks = len(pairs) - 1 - last
        # A key behind all others, so that a search always ends within.
        self._keys = np.append(keys, np.iinfo(np.int64).max)
        self._ranks = np.append(ranks, _NEVER).astype(np.int32)
        self._merged = np.append(merged[ranks], 0).astype(np.int32)
        # All pairs of a rank are merged at once, unless what they become has a pair of a lower
        # rank, which then comes before the next of them.
        first = np.full(size, _NEVER, np.int64)
        np.minimum.at(first, pairs.T, np.arange(len(pairs)))
        self._single = np.append(first[merged[ranks]] <= ranks, False)

    def __call__(self, ids, word):
        """Merges the tokens of words.

        Args:
            ids: int32 `(n,)`, the tokens of all words, one word after the other.
            word: int `(n,)`, the number of the word that each is of, never falling.

        Returns:
            int32 `(n,)`: at the first of the tokens that were merged what they became, at the
            others -1.
        """
        keys, ranks = tf.constant(self._keys), tf.constant(self._ranks)
        merged, single = tf.constant(self._merged), tf.constant(self._single)

        def body(ids, word, place, result):
            pairs = tf.cast(ids[:-1], tf.int64) * self._size + tf.cast(ids[1:], tf.int64)
            entry = tf.searchsorted(keys, pairs)
            known = (tf.gather(keys, entry) == pairs) & (word[:-1] == word[1:])
            rank = tf.where(known, tf.gather(ranks, entry), _NEVER)
            rank = tf.concat([rank, [_NEVER]], axis=0)
            entry = tf.concat([entry, [0]], axis=0)
            least = tf.gather(tf.math.segment_min(rank, word), word)
            # A word without a pair is finished, and takes no further part.
            open_, ended = least < _NEVER, least == _NEVER
            result = tf.tensor_scatter_nd_update(
                result, tf.boolean_mask(place, ended)[:, None], tf.boolean_mask(ids, ended)
            )
            left = tf.where(open_)[:, 0]
            ids, word, place, rank, least, entry = (
                tf.gather(x, left) for x in (ids, word, place, rank, least, entry)
            )
            taken, index = rank == least, tf.range(tf.size(ids))
            if self._single.any():
                taken &= ~tf.gather(single, entry) | (index == _first(taken, word, index))
            # Of pairs that overlap, as in aaa, every other one.
            between = tf.concat([[-1], tf.boolean_mask(index, ~taken)], axis=0)
            before = tf.gather(between, tf.cumsum(tf.cast(~taken, tf.int32)))
            taken &= (index - before) % 2 == 1
            ids = tf.where(taken, tf.gather(merged, entry), ids)
            left = tf.where(~tf.concat([[False], taken], axis=0)[:-1])[:, 0]
            return *(tf.gather(x, left) for x in (ids, word, place)), result

        loop = (ids, word, tf.range(tf.size(ids)), tf.fill(tf.shape(ids), -1))
        shapes = (tf.TensorShape([None]),) * 4
        return tf.while_loop(lambda ids, *_: tf.size(ids) > 0, body, loop, shapes)[3]


def _first(taken, word, index):
    """The first place of each word where a pair is taken, for all of its tokens."""
    return tf.gather(tf.math.segment_min(tf.where(taken, index, _NEVER), word), word)
