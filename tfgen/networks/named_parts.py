"""`NamedParts`: the layers of a network under names, with weights of one seed."""

import itertools

import keras

from tfgen.networks.causal import weight_seed


class NamedParts:
    """Collects the layers of a network, each with the channels that go into it.

    Args:
        dtype: Dtype policy of the layers.
        seed: Integer that their initial weights are sampled from, in the order in which they are
            added.

    Attributes:
        layers: Dict of them.
        channels: Dict of the channels that go into each.
    """

    def __init__(self, dtype, seed):
        self.layers, self.channels = {}, {}
        self._dtype, self._seed, self._numbers = dtype, seed, itertools.count()

    def add(self, kind, name, channels, *arguments, **options):
        """Makes a layer of a class, for inputs of so many channels."""
        self.layers[name] = kind(*arguments, name=name, dtype=self._dtype, **options)
        self.channels[name] = channels

    def own_seed(self):
        """A seed for the next layer."""
        return weight_seed(self._seed, next(self._numbers))

    def glorot(self):
        """The keyword for its kernel."""
        return {"kernel_initializer": keras.initializers.GlorotUniform(self.own_seed())}
