"""Networks that read sequences position by position, as Keras layers.

A network knows nothing of what a position is: text and numbers are read by the same ones.
"""

from tfgen.networks.causal import CausalNetwork, Surroundings
from tfgen.networks.conditioned import ConditionedNetwork
from tfgen.networks.recurrent import RecurrentNetwork
from tfgen.networks.transformer import TransformerNetwork

__all__ = [
    "CausalNetwork", "ConditionedNetwork", "RecurrentNetwork", "Surroundings", "TransformerNetwork",
]  # fmt: skip
