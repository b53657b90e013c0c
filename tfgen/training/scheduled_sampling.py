"""`ScheduledSampling`: some of what a model reads in training are samples of its own."""

import tensorflow as tf

from tfgen.errors import InputError
from tfgen.models.engines.own_inputs import open_own_inputs
from tfgen.sampling import random
from tfgen.training.rollout_watch import open_rollout_watch

# Purposes of the draws of a step, beside those of the dropout of layers.
_CHOSEN, _SAMPLES = 1000, 1001


class ScheduledSampling:
    """The loss of the data, given inputs some of which are the model's own samples.

    A model that was trained on data alone reads its own samples for the first time when it
    generates, and errors add up. Here each input is replaced by a sample with a probability that
    rises in a line from 0 to `rollout_share` (Bengio et al., arXiv:1506.03099, section 2.4); there
    is no gradient through samples. In place of a loop over positions the network reads the whole
    window `rollout_passes` times (Mihaylova & Martins, arXiv:1906.07651; Duckworth et al.,
    arXiv:1906.04331): first the data, then the data with the samples of the pass before, of which
    the same positions are replaced with the same noise. So a pass makes what is sampled depend on
    one more position that was, and as many passes as positions are just the rollout of a loop.

    The minimum of this loss is not the data's distribution: what is to be predicted is what
    followed the data, not what would follow the samples (Huszar, arXiv:1511.05101).

    Args:
        model: A model that goes from position to position, without latents, of one network.
        config: A `TrainingConfig` with `rollout`.

    Attributes:
        loss_validates: False. Validation reads data alone, where the likelihood gets a little
            worse as the share rises, and is best while it is small: it would choose weights that
            learned nothing of their own samples. So the last weights are taken, unless
            `choose_by="forecasts"` chooses, which are free runs.

    Raises:
        InputError: If the model cannot be trained so, or `patience` goes by that likelihood.
    """

    loss_validates = False
    beside = None

    def __init__(self, model, config):
        self.model, self.config = model, config
        self._inputs = open_own_inputs(model)
        self._step = None
        if self._inputs is None:
            raise InputError(
                "training.rollout='scheduled_sampling' is for models that go from position to "
                "position, without latents and of one network, as of the families 'lstm', 'gru' "
                f"and 'transformer'. Received: training.rollout='{config.rollout}'"
            )
        if config.patience and config.choose_by != "forecasts":
            raise InputError(
                "training.patience goes by the validation loss, which does not see what "
                "training.rollout changes, but for training.choose_by='forecasts'. Received: "
                f"training.patience={config.patience}"
            )

    def follow(self, step):
        """Goes by a training: as of a `tfgen.models.base.SequenceGenerator`."""
        self._step = step
        self.model.follow(step)

    def initial_state(self, batch):
        """The model's own, if the training carries it."""
        if not self.config.carry_state:
            return None
        return self.model.initial_state(len(tf.nest.flatten(batch)[0]))

    def watch(self, windows, state):
        """What writes to TensorBoard how free runs drift; see `open_rollout_watch`."""
        return open_rollout_watch(self.model, windows["validation"])

    @property
    def share(self):
        """The probability that an input is replaced: at this step, or without steps the highest."""
        share = tf.constant(self.config.rollout_share, tf.float32)
        if self._step is None:
            return share
        rises = self.config.rollout_warmup or self.config.steps
        return share * tf.minimum(tf.cast(self._step(), tf.float32) / rises, 1.0)

    def batch_loss(self, batch, key=None, state=None, training=False):
        """As of a model: see `tfgen.models.base.SequenceGenerator`."""
        total, count, state = self.batch_total(batch, key, state, training)
        return tf.math.divide_no_nan(total, count), state

    def batch_total(self, batch, key=None, state=None, training=False):
        """As of a model, the state at the end being that after the inputs that were read."""
        return self.model.batch_total(self.mixed(batch, key, state), key, state, training)

    def mixed(self, batch, key, state=None):
        """The batch that is read: see above.

        Args:
            batch: What the model's `unpack` returned.
            key: int32 `(2,)`.
            state: What the model's state was before the batch, or None.
        """
        inputs, found = self._inputs, batch
        places = inputs.replaceable(batch)
        uniform = random.uniform(random.fold(key, _CHOSEN), tf.shape(places))
        chosen = places & (uniform < self.share)
        for _ in range(self.config.rollout_passes):
            samples = inputs.samples(found, random.fold(key, _SAMPLES), state)
            found = inputs.shown(batch, tf.stop_gradient(samples), chosen)
        return found
