"""`ConditionedNetwork`: a causal network that is given a vector at every position."""

import keras
import tensorflow as tf

from tfgen.layers.checks import check_kind
from tfgen.networks.causal import CausalNetwork


@keras.saving.register_keras_serializable(package="tfgen")
class ConditionedNetwork(CausalNetwork):
    """Any causal network, to whose inputs a vector of the whole sequence is added.

    The vector is held in the state, so that every position is given it, also in a loop.

    Args:
        network: A `CausalNetwork`.
        **kwargs: `name`, `dtype` and the like.
    """

    has_context = True

    def __init__(self, network, **kwargs):
        check_kind(CausalNetwork, network=network)
        super().__init__(**kwargs)
        self.network = network
        self.input_width = network.input_width
        self.max_positions = network.max_positions
        self.state_is_constant = network.state_is_constant
        self.jit_compile_training = network.jit_compile_training
        self.surroundings = network.surroundings
        self.built = network.built

    @property
    def output_width(self):
        return self.network.output_width

    def make_weights(self, width):
        self.network.make_weights(width)
        self.built = True

    def context(self, vectors, valid):
        """What is added: the only item of `(batch, 1, width)`."""
        return vectors[:, 0]

    def initial_state(self, batch_size, context=None):
        return {"network": self.network.initial_state(batch_size), "context": context}

    def call(self, x, state=None, mask=None, training=False, key=None, record=None, context=None):
        """As of the network; without a state there is a `context` `(batch, width)`."""
        inner = None
        if state is not None:
            inner, context = state["network"], state["context"]
        hidden, inner = self.network.call(
            x + tf.cast(context, x.dtype)[:, None], inner, mask, training, key, record
        )
        return hidden, {"network": inner, "context": context}

    def stepper(self):
        step = self.network.stepper()

        def conditioned(x, state):
            hidden, inner = step(x + tf.cast(state["context"], x.dtype), state["network"])
            return hidden, {**state, "network": inner}

        return conditioned

    def verifier(self):
        verify, rewind = self.network.verifier()

        def conditioned(x, state):
            context = state["context"]
            hidden, marks = verify(x + tf.cast(context, x.dtype)[:, None], state["network"])
            return hidden, {"network": marks, "context": context}

        def rewound(marks, kept):
            return {**marks, "network": rewind(marks["network"], kept)}

        return conditioned, rewound

    def reserve(self, state, count):
        return {**state, "network": self.network.reserve(state["network"], count)}

    def state_invariants(self, state):
        invariants = self.network.state_invariants(state["network"])
        return {"network": invariants, "context": state["context"].shape}

    def quantize_weights(self, dtype):
        self.network.quantize_weights(dtype)

    def get_config(self):
        config = super().get_config()
        del config["seed"]  # the network's own
        return {**config, "network": keras.saving.serialize_keras_object(self.network)}

    @classmethod
    def from_config(cls, config):
        return cls(
            **{**config, "network": keras.saving.deserialize_keras_object(config["network"])}
        )
