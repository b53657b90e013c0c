"""Two causal networks that read a sequence in both directions."""

import tensorflow as tf

from tfgen.networks.causal import weight_seed
from tfgen.networks.recurrent import CELLS, RecurrentNetwork
from tfgen.networks.transformer import TransformerNetwork

ENCODERS = (*CELLS, "transformer")


def heads_of(width):
    """Heads of an attention over so many features, each of them even for rotary positions."""
    return next(count for count in (4, 2, 1) if width % (2 * count) == 0)


def both_ways(encoder, units, layers, seed, dtype):
    """The two networks, forwards and backwards.

    Args:
        encoder: One of `ENCODERS`.
        units: Features of each direction.
        layers: Layers of each direction.
        seed: Integer that the initial weights are sampled from.
        dtype: Keras dtype policy.
    """
    networks = []
    for number, name in enumerate(("forwards", "backwards")):
        own = {"layers": layers, "seed": weight_seed(seed, 60, number), "dtype": dtype}
        own["name"] = name
        if encoder == "transformer":
            networks.append(TransformerNetwork(heads=heads_of(units), width=units, **own))
        else:
            networks.append(RecurrentNetwork(encoder, units, **own))
    return networks


def read_both_ways(networks, x, mask):
    """Their hidden states side by side, `(batch, time, 2 * units)`.

    Args:
        networks: As of `both_ways`.
        x: `(batch, time, features)`.
        mask: bool `(batch, time)`: the positions that count, from the first on.
    """
    forwards, backwards = networks
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
    # What comes after the end is read last by both, and so by none that counts.
    ahead, _ = forwards.call(x)
    behind, _ = backwards.call(tf.reverse_sequence(x, lengths, seq_axis=1))
    return tf.concat([ahead, tf.reverse_sequence(behind, lengths, seq_axis=1)], axis=-1)
