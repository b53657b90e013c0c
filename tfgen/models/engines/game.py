"""`Game`: what a generator and its critic each lose, as one function of both."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check, check_choice, check_whole, is_number

# By loss, the weight of its gradient penalty: lambda of arXiv:1704.00028, gamma of arXiv:2501.05441.
PENALTIES = {"relativistic": 1.0, "wgan_gp": 10.0}


class Round(NamedTuple):
    """What is played for once, each float32 `(rows,)`.

    Attributes:
        total: The sum of what both lose. Its gradient by the critic's weights is that of what the
            critic loses, and by the generator's that of what the generator loses.
        critic: What the critic loses, without its penalty.
        generator: What the generator loses.
        penalty: Of the critic's gradients.
        real, generated: What the critic says.
    """

    total: tf.Tensor
    critic: tf.Tensor
    generator: tf.Tensor
    penalty: tf.Tensor
    real: tf.Tensor
    generated: tf.Tensor


@keras.saving.register_keras_serializable(package="tfgen")
class Game:
    """The losses of a generative adversarial network (arXiv:1406.2661), row by row.

    With C the critic, x a real sequence, y a generated one:

        relativistic   critic softplus(C(y) - C(x)) + penalty / 2 (|dC/dx|^2 + |dC/dy|^2),
                       generator softplus(C(x) - C(y)); arXiv:2501.05441, Eq. 2 and 4
        wgan_gp        critic C(y) - C(x) + penalty (|dC/dm| - 1)^2 with m between x and y,
                       generator -C(y); arXiv:1704.00028, Eq. 3

    Args:
        loss: `"relativistic"` or `"wgan_gp"`.
        penalty: Weight of the gradient penalty; None takes 1 and 10.
        critic_steps: Steps of the critic for one of the generator.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, loss="relativistic", penalty=None, critic_steps=1):
        check_choice(PENALTIES, loss=loss)
        fits = penalty is None or (is_number(penalty) and 0 <= penalty < float("inf"))
        check(fits, "penalty must be a number >= 0", penalty=penalty)
        check_whole(1, critic_steps=critic_steps)
        self.loss = loss
        self.penalty = penalty
        self.critic_steps = critic_steps

    def play(self, critic, real, generated, share):
        """Returns the `Round` of real and generated sequences, row against row.

        Args:
            critic: Function of sequences `(rows or 2 rows, ...)` to `(rows or 2 rows,)`, the same
                of each row wherever it stands; the second half is of the same rows again.
            real: float32 `(rows, time, channels)`.
            generated: The same, of the generator.
            share: float32 `(rows,)` in [0, 1], how near m is to x; of `"wgan_gp"` alone.
        """
        shown = tf.stop_gradient(generated)  # the critic's loss is none of the generator's business
        said, slopes = _with_slopes(critic, tf.concat([real, shown], axis=0))
        of_real, of_generated = tf.split(said, 2)
        weight = PENALTIES[self.loss] if self.penalty is None else self.penalty
        if self.loss == "wgan_gp":
            critics, generators = of_generated - of_real, -of_generated
            pull = tf.ones_like(of_real)  # of what the generator loses, by C(y), with its sign
            share = share[:, None, None]
            _, between = _with_slopes(critic, share * real + (1 - share) * shown)
            # The root of 0 has no gradient.
            steepness = tf.sqrt(_squares(between) + 1e-12)
            penalty = weight * tf.square(steepness - 1)
        else:
            lead = of_real - of_generated
            critics, generators = tf.nn.softplus(-lead), tf.nn.softplus(lead)
            pull = tf.sigmoid(lead)
            real_squares, shown_squares = tf.split(_squares(slopes), 2)
            penalty = weight / 2 * (real_squares + shown_squares)
        # By the chain rule, through slopes that are known already.
        slope = tf.stop_gradient(tf.split(slopes, 2)[1] * pull[:, None, None])
        way = -tf.reduce_sum(slope * generated, axis=[1, 2])
        own = tf.stop_gradient(generators - way) + way
        total = critics + penalty + own
        return Round(total, critics, generators, penalty, of_real, of_generated)

    def get_config(self):
        return constructor_config(self)

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _with_slopes(critic, x):
    """What a critic says of each row, and its gradient by the row; both may be differentiated."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        said = critic(x)
    return said, tape.gradient(said, x)


def _squares(slopes):
    return tf.reduce_sum(tf.square(slopes), axis=[1, 2])


def energy_distance(one, other):
    """The energy distance of two samples of vectors (Székely & Rizzo 2013, Eq. 6.1), unbiased.

    Twice the mean distance between the samples, less those within either. It is 0 in the mean of
    samples of one distribution, and above 0 of different ones; of few vectors it may be below.

    Args:
        one: float32 `(count, width)`, at least two.
        other: The same.
    """
    pairs = tf.cast(tf.shape(one)[0], tf.float32)
    between = tf.reduce_mean(_distances(one, other))
    within = [tf.reduce_sum(_distances(each, each)) for each in (one, other)]
    return 2 * between - tf.math.divide_no_nan(within[0] + within[1], pairs * (pairs - 1))


def _distances(one, other):
    squares = tf.reduce_sum(tf.square(one), -1)[:, None] + tf.reduce_sum(tf.square(other), -1)
    squares -= 2 * tf.matmul(one, other, transpose_b=True)
    return tf.sqrt(tf.maximum(squares, 0.0))
