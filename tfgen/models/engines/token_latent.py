"""`TokenLatent`: texts from latents, which an encoder finds and a rollout of tokens is given."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_kind
from tfgen.layers.products import look_up
from tfgen.models.engines.latent_space import LatentSpace
from tfgen.models.engines.token_rollout import TokenRollout
from tfgen.models.parts import made_of_parts
from tfgen.models.text.emission import TokenEmission
from tfgen.networks import ConditionedNetwork


@keras.saving.register_keras_serializable(package="tfgen")
class TokenLatent:
    """A variational autoencoder of lines of text (arXiv:1511.06349): an encoder, and a rollout.

    The latents are added to every token that the rollout reads. What is encoded is a line: line
    breaks, where it begins and ends, say nothing of it.

    Args:
        rollout: A `TokenRollout` of a `ConditionedNetwork`, whose emission has `latents`.
        space: A `LatentSpace`.
    """

    kind = "autoregressive"  # of `tfgen.uses.ENGINES`

    def __init__(self, rollout, space):
        check_kind(TokenRollout, rollout=rollout)
        check_kind(LatentSpace, space=space)
        self.rollout = rollout
        self.space = space
        self.latent_size = space.size
        self.emission = rollout.emission
        self.network = rollout.network.network
        space.build(self.emission.token_embedding.output_dim)

    @classmethod
    def compose(cls, take, network):
        """Returns the engine of a class of networks; `take` is of `tfgen.models.families`."""
        space = LatentSpace.compose(take)
        emission = take(TokenEmission, latents=space.size, name="emission")
        conditioned = take(ConditionedNetwork, network=take(network, name="network"))
        rollout = take(TokenRollout, network=conditioned, emission=emission)
        return cls(rollout, space)

    @property
    def layers(self):
        """What has weights, in the order in which these are kept."""
        return [*self.space.layers, *self.rollout.layers]

    def reset_graphs(self):
        """Forgets what was compiled, after a change of what the functions read besides weights."""
        self.rollout.reset_graphs()

    def quantize_weights(self, dtype):
        self.rollout.quantize_weights(dtype)

    def initial_state(self, batch_size):
        """None: each line has latents of its own, so no state goes from one to the next."""

    def posterior(self, ids, valid, record=None):
        """The `Posterior` of the latents of lines.

        Args:
            ids: Tokens int32 `(batch, time)`.
            valid: bool `(batch, time)`: which of them are of the line. Line breaks are not read.
            record: Dict into which each layer's outputs are put.
        """
        # What is read stands at the beginning, so that a line is the same whatever is around it.
        read = valid & (ids != self.emission.tokenizer.start_id)
        order = tf.argsort(tf.cast(~read, tf.int32), axis=1, stable=True)
        ids = tf.gather(ids, order, batch_dims=1)
        return self.space.posterior(
            look_up(self.emission.table, ids), tf.gather(read, order, batch_dims=1), record
        )

    def posterior_of(self, batch):
        """The same of a batch of `loss`."""
        targets = tf.cast(batch[1], tf.int32)
        valid = batch[3] > 0 if len(batch) > 3 else tf.ones(tf.shape(targets), tf.bool)
        return self.posterior(targets, valid)

    def hidden_states(self, ids, training=False, key=None, record=None, condition=None):
        """As of the `TokenRollout`, given latents `(batch, latent_size)`: None is the mean of the
        posterior of the tokens themselves."""
        if condition is None:
            condition = self.posterior(ids, tf.ones(tf.shape(ids), tf.bool), record).mean
        return self.rollout.hidden_states(
            ids, training=training, key=key, record=record, condition=condition
        )

    def logits(self, hidden):
        """Logits `(..., vocabulary)` of hidden states `(..., width)`."""
        return self.rollout.logits(hidden)

    # Training

    def loss(self, batch, key=None, state=None, training=False):
        """The sum of the nats of a batch, those of its latents among them; as of a `TokenRollout`."""
        key = key if training else None
        inputs, targets = (tf.cast(each, tf.int32) for each in batch[:2])
        self.check_condition(batch[2] if len(batch) > 2 else None)
        latents, cost = self.space.learn(self.posterior_of(batch), key, training)
        hidden = self.space.hidden(key, tf.shape(inputs))
        if hidden is not None:
            inputs = tf.where(hidden, self.emission.blank_id, inputs)
        told = (inputs, targets, latents, *batch[3:])
        total, count, _, logits = self.rollout.loss(told, key, None, training)
        return total + cost, count, None, logits

    def check_condition(self, condition):
        """Refuses a condition of training, where the latents are those of the text itself."""
        if condition is not None:
            raise ValueError(
                "condition is for models made with num_classes or condition_width. "
                f"Received: condition={condition!r}"
            )

    def get_config(self):
        return constructor_config(self)

    from_config = made_of_parts
