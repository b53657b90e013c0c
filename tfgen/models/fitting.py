"""`Fitting`: what Keras trains, measures and predicts with, for a model with a loss of its own."""

import keras
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.models.players import Players
from tfgen.sampling import random


class Fitting(keras.Model):
    """A Keras model whose `compile`, `fit`, `evaluate` and `predict` go by its own loss.

    A subclass has a `seed`, and implements `unpack` and `batch_total`, see
    `tfgen.models.base.SequenceGenerator`. Where it has targets to compare, it has its own
    `measured` and `check_metrics`; where it takes less than Keras does, its own `given_to_fit`.
    """

    # Whether the training step is compiled by XLA; a family sets what measured faster.
    jit_compile_training = True
    # Of an adversarial model, steps of its critic for one of its generator.
    critic_steps = None
    # What `fit` takes, for people.
    fit_takes = "arrays"

    def compile(
        self,
        optimizer=None,
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile=None,
        auto_scale_loss=True,
    ):
        """As `keras.Model.compile`, with defaults: AdamW, and XLA where it measured faster.

        The loss is the model's own, so there is none to give.

        Args:
            optimizer: A Keras optimizer or its name; None is AdamW.
            loss: None.
            loss_weights: None.
            metrics: Of text: Keras metrics or their names, e.g. `["accuracy"]`. They get the
                targets `(batch, time)` and the logits `(batch, time, vocabulary)`, so that a
                cross-entropy needs `from_logits=True`.
            weighted_metrics: The same, with the `sample_weight` of `fit`.
            run_eagerly: As in Keras.
            steps_per_execution: As in Keras.
            jit_compile: Whether XLA compiles the step; None and `"auto"` take what measured faster.
            auto_scale_loss: As in Keras.

        Raises:
            InputError: For a loss, or metrics that the model has nothing to compare for.
        """
        for name, value in {"loss": loss, "loss_weights": loss_weights}.items():
            if value is not None:
                raise InputError(
                    f"compile takes no {name}: the loss is the model's own, in nats per token or "
                    f"position. Received: {name}={value!r}"
                )
        for name, value in {"metrics": metrics, "weighted_metrics": weighted_metrics}.items():
            if value:
                self.check_metrics(name, value)
        if optimizer is None:
            optimizer = keras.optimizers.AdamW(
                2e-3, beta_2=0.99, weight_decay=0.01, global_clipnorm=1.0
            )
        if self.critic_steps is not None:
            optimizer = self._for_two(keras.optimizers.get(optimizer))
        if jit_compile in (None, "auto"):
            jit_compile = self.jit_compile_training and not run_eagerly
        super().compile(
            optimizer=optimizer,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )

    def _for_two(self, optimizer):
        """An optimizer for an adversarial model's critic and one for its generator, as one."""
        if isinstance(optimizer, Players):
            return optimizer
        config = optimizer.get_config()
        return Players.of(lambda: type(optimizer).from_config(dict(config)), self.critic_steps)

    def check_metrics(self, name, metrics):
        """Refuses metrics that the model has nothing to compare for."""
        raise InputError(
            f"compile takes no {name} of a {type(self).__name__}, whose outputs are distributions of "
            "positions: fit reports its loss, and tfgen.evaluation measures forecasts and samples. "
            f"Received: {name}={metrics!r}"
        )

    def compile_from_config(self, config):
        # Keras leaves a model that it reads uncompiled if its class has a `compile` of its own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def train_step(self, data):
        key = random.fold(random.root(self.seed, random.DROPOUT), self.optimizer.iterations.value)
        batch = self.unpack(data)
        self.follow(lambda: self.optimizer.iterations.value)
        with tf.GradientTape() as tape:
            total, count, compared = self.measured(batch, key, training=True)
            loss = tf.math.divide_no_nan(total, count)
            scaled = self.optimizer.scale_loss(loss)
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, [w.value for w in weights]), weights)
        return self._report_step(loss, count, compared)

    def test_step(self, data):
        total, count, compared = self.measured(self.unpack(data))
        return self._report_step(tf.math.divide_no_nan(total, count), count, compared)

    def measured(self, batch, key=None, training=False):
        """`(total, count, compared)`: those of `batch_total`, and what metrics compare, if anything.

        The latter is a dict of the arguments `y`, `y_pred` and `sample_weight` of Keras.
        """
        total, count, _ = self.batch_total(batch, key, None, training)
        return total, count, None

    def _report_step(self, loss, count, compared):
        # By what counts, or a last batch that is not full would count as a full one.
        self._loss_tracker.update_state(loss, sample_weight=count)
        if self._compile_metrics is not None and compared is not None:
            self._compile_metrics.update_state(**compared)
        return self.get_metrics_result()

    def fit(self, x=None, y=None, *args, class_weight=None, sample_weight=None, **kwargs):
        """As `keras.Model.fit`.

        Args:
            x: Of text: windows of token ids, int `(windows, time + 1)`, each token but the first a
                target; or inputs `(windows, time)`, the targets being `y`; of a conditional model a
                dict `{"tokens": ..., "condition": ...}`. Of numbers: sequences `(sequences, time,
                features)` in the data's units, NaN missing, or a dict as `tfgen.data` makes it. Or
                a `tf.data.Dataset` of batches of these.
            y: Targets of text, `(windows, time)`.
            *args: As in Keras.
            class_weight: None: there is no class for each sample.
            sample_weight: Of text: a weight for each window or token, `(windows,)` or
                `(windows, time)`. The loss is the weighted mean.
            **kwargs: As in Keras.

        Returns:
            `keras.callbacks.History`.

        Raises:
            InputError: For strings, and for weights that the model does not take.
        """
        if class_weight is not None:
            raise InputError(
                "fit takes no class_weight: there is no class for each sample; sample_weight weighs "
                f"windows or tokens of text. Received: class_weight={class_weight!r}"
            )
        x, y, sample_weight = self.given_to_fit(x, y, sample_weight)
        self.calibration = None  # of weights that are no more
        if isinstance(validation := kwargs.get("validation_data"), (tuple, list)):
            parts = self.given_to_fit(*keras.utils.unpack_x_y_sample_weight(tuple(validation)))
            kwargs["validation_data"] = keras.utils.pack_x_y_sample_weight(*parts)
        return super().fit(x, y, *args, sample_weight=sample_weight, **kwargs)

    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs
    ):
        """As `keras.Model.evaluate`; `x`, `y` and `sample_weight` are those of `fit`."""
        x, y, sample_weight = self.given_to_fit(x, y, sample_weight)
        return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)

    def given_to_fit(self, x, y, sample_weight):
        """What a person gave to `fit`, checked, as Keras hands it on to `unpack`."""
        self._refuse_strings(x)
        return x, y, sample_weight

    def predict(self, x, *args, **kwargs):
        """As `keras.Model.predict`; `x` is as for `fit`, without targets."""
        self._refuse_strings(x)
        return super().predict(x, *args, **kwargs)

    def _refuse_strings(self, data):
        """Refuses strings in what a person gives to `fit`: arrays, lists, or a dataset."""
        if _has_strings(getattr(data, "element_spec", data)):
            raise InputError(
                f"fit, evaluate and predict take {self.fit_takes}, or train on files with "
                "tfgen.training.train (tfgen train). Received: strings"
            )


def _has_strings(data):
    """Whether arrays, tensors, their specs, or lists hold strings."""
    parts = [part for part in tf.nest.flatten(data) if part is not None]
    for part in parts[:1000]:  # a list of a text's pieces is seen by its first ones
        dtype = getattr(part, "dtype", None)
        kind = getattr(dtype, "kind", None)  # of NumPy's
        text = isinstance(part, (str, bytes)) or (kind is None and dtype == tf.string)
        objects = part.flat[:1] if kind == "O" else ()
        if text or kind in ("U", "S") or any(isinstance(one, (str, bytes)) for one in objects):
            return True
    return False
