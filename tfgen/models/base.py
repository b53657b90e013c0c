"""`SequenceGenerator`: what every model of the zoo promises."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfgen import models
from tfgen.errors import InputError
from tfgen.files import atomic_folder
from tfgen.forks import check_process, own_process
from tfgen.models.weights import save_weights
from tfgen.preprocessing import ByteTokenizer, Tokenizer
from tfgen.recipe import GenerationConfig
from tfgen.sampling import random

# Methods of models that would wait for ever in a process that was forked.
_COMPUTING = {
    "generate", "stream", "draw", "score", "encode", "decode", "denoise", "forecast", "impute",
    "export", "batch_total",
}  # fmt: skip


class SequenceGenerator(keras.Model):
    """A Keras model that generates sequences: raw input in, raw output out.

    A family implements `batch_total`, from which `fit`, `evaluate` and `tfgen.training` all train,
    and what it can do with raw data: `generate`, `score`, `export`. What lies between raw data and
    tensors is its `preprocessing`: a `TextGenerator` has a tokenizer, a
    `tfgen.models.series.SeriesGenerator` a processor of numbers.

    Args:
        generation: `GenerationConfig` or a dict of its fields: what `generate` does unless told
            otherwise.
        seed: Integer, seeds the weights and, in `fit`, the dropout. None takes a random one.
        **kwargs: `name`, `dtype` and the like of `keras.Model`.

    Raises:
        ValueError: For an argument that is none of these.
    """

    # Whether the training step is compiled by XLA; a family sets what measured faster.
    jit_compile_training = True
    # The longest sequence there are positions for; None where there is no end.
    max_positions = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in _COMPUTING & vars(cls).keys():
            setattr(cls, name, own_process(vars(cls)[name]))

    def __init__(self, generation=None, seed=None, **kwargs):
        check_process()
        super().__init__(**kwargs)
        if isinstance(generation, dict):
            generation = GenerationConfig(**generation)
        generation = GenerationConfig() if generation is None else generation
        check_kind(GenerationConfig, generation=generation)
        random.seed_tensor(0 if seed is None else seed)  # refuses what is no seed
        self.generation = generation
        self.seed = random.new_seed() if seed is None else int(seed)
        self.recipe = None

    @property
    def preprocessing(self):
        """The layer that turns raw data into tensors and back; a saved model has it in a file."""
        raise NotImplementedError

    def unpack(self, data):
        """The batch of `batch_loss` for what `fit` or a pipeline of `tfgen.data` gives."""
        raise NotImplementedError

    def batch_loss(self, batch, key=None, state=None, training=False):
        """The training loss as a pure function.

        Args:
            batch: What `unpack` returned.
            key: int32 `(2,)`; every random choice of this call is drawn from it. Needed if
                `training`.
            state: What an earlier call returned, to go on from there, or None, with which nothing
                worth keeping is returned.
            training: Whether dropout and the like are on.

        Returns:
            `(loss, state)`: a float32 scalar, in nats per token or value, and the state at the
            end.
        """
        total, count, state = self.batch_total(batch, key, state, training)
        return tf.math.divide_no_nan(total, count), state

    def batch_total(self, batch, key=None, state=None, training=False):
        """The same before it is divided, so that a batch may be taken in parts.

        Args:
            batch: As for `batch_loss`, as the others.
            key: As there.
            state: As there.
            training: As there.

        Returns:
            `(total, count, state)`: float32 scalars, the sum over what counts and how much counts.
        """
        raise NotImplementedError

    def layer_seed(self, *numbers):
        """A seed for an initialiser: one for every weight, from the model's own."""
        return int(np.random.SeedSequence([self.seed % 2**64, *numbers]).generate_state(1)[0])

    def activations(self, inputs):
        """What the layers give for a batch of inputs: a dict from names to tensors, for histograms."""
        raise NotImplementedError

    def __call__(self, *args, **kwargs):
        check_process()
        return super().__call__(*args, **kwargs)

    def compile(self, optimizer=None, jit_compile=None, **kwargs):
        """As `keras.Model.compile`, with defaults: AdamW, and XLA where it measured faster.

        The loss is the model's own, so there is none to give.
        """
        if optimizer is None:
            optimizer = keras.optimizers.AdamW(
                2e-3, beta_2=0.99, weight_decay=0.01, global_clipnorm=1.0
            )
        jit_compile = self.jit_compile_training if jit_compile is None else jit_compile
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)

    def compile_from_config(self, config):
        # Keras leaves a model that it reads uncompiled if its class has a `compile` of its own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def train_step(self, data):
        key = random.fold(random.root(self.seed, random.DROPOUT), self.optimizer.iterations.value)
        batch = self.unpack(data)
        with tf.GradientTape() as tape:
            loss, _ = self.batch_loss(batch, key, training=True)
            scaled = self.optimizer.scale_loss(loss)
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, [w.value for w in weights]), weights)
        self._track(loss, batch)
        return self.get_metrics_result()

    def test_step(self, data):
        batch = self.unpack(data)
        loss, _ = self.batch_loss(batch)
        self._track(loss, batch)
        return self.get_metrics_result()

    def _track(self, loss, batch):
        # Weighted as Keras does, or a last batch that is not full would count as a full one.
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(tf.nest.flatten(batch)[0])[0])

    def save(self, filepath, float16=False, **kwargs):
        """Writes the model as a folder that `tfgen.zoo.get` opens, or as a Keras file.

        Args:
            filepath: A folder to write, or a path that ends in `.keras`, which Keras then writes.
                A folder that is there is replaced, unless it holds anything but a saved model.
            float16: Store the weights with half the bits (folders only).

        Raises:
            InputError: For a folder of other things, or a weight that float16 cannot hold.
        """
        if str(filepath).endswith(".keras"):
            super().save(filepath, **kwargs)
            return
        file = models.preprocessing_file(self.preprocessing)
        ours = {models.RECIPE, file, models.WEIGHTS, models.CHECKSUMS}
        folder = Path(filepath)
        others = [p.name for p in folder.iterdir() if p.name not in ours] if folder.is_dir() else []
        if others:
            raise InputError(
                f"{folder} holds more than a saved model, e.g. '{min(others)}': choose another folder"
            )
        recipe = self.recipe or models.recipe_of(self)
        # The recipe is of the day the model was built; its sampling defaults may have been changed.
        recipe = dataclasses.replace(recipe, generation=self.generation)
        with atomic_folder(filepath) as folder:
            recipe.save(folder / models.RECIPE)
            models.save_preprocessing(self.preprocessing, folder)
            save_weights(self, folder / models.WEIGHTS, float16=float16)
            models.write_checksums(folder)

    def get_config(self):
        return {
            **super().get_config(),
            "generation": dataclasses.asdict(self.generation),
            "seed": self.seed,
        }


for _name in ("fit", "evaluate", "predict"):
    setattr(SequenceGenerator, _name, own_process(getattr(SequenceGenerator, _name)))


def check_kind(kind, **arguments):
    """Raises `ValueError` for an argument that is no `kind`."""
    for name, value in arguments.items():
        if not isinstance(value, kind):
            raise ValueError(f"{name} must be a {kind.__name__}. Received: {name}={value!r}")


class TextGenerator(SequenceGenerator):
    """A `SequenceGenerator` of texts.

    Args:
        tokenizer: A `tfgen.preprocessing` tokenizer; None takes bytes.
        **kwargs: Arguments of `SequenceGenerator`.

    Raises:
        ValueError: For an argument that is none of these.
    """

    def __init__(self, tokenizer=None, **kwargs):
        super().__init__(**kwargs)
        tokenizer = ByteTokenizer() if tokenizer is None else tokenizer
        check_kind(Tokenizer, tokenizer=tokenizer)
        self.tokenizer = tokenizer

    @property
    def preprocessing(self):
        return self.tokenizer

    def unpack(self, data):
        """`(inputs, targets)`, and the condition if there is one.

        `data` are windows `(batch, time + 1)`, or a pair. A conditional model is given a dict,
        `{"tokens": windows or inputs, "condition": ...}`.
        """
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        if weights is not None:
            raise ValueError("The loss has no weights for samples. Received: sample_weight")
        condition = ()
        if isinstance(inputs, dict):
            if inputs.keys() != {"tokens", "condition"}:
                raise ValueError(
                    "A dict of inputs must have the keys 'tokens' and 'condition'. "
                    f"Received: keys={sorted(inputs)}"
                )
            inputs, condition = inputs["tokens"], (inputs["condition"],)
        pair = (inputs[:, :-1], inputs[:, 1:]) if targets is None else (inputs, targets)
        return (*pair, *condition)

    def get_config(self):
        return {
            **super().get_config(),
            "tokenizer": keras.saving.serialize_keras_object(self.tokenizer),
        }

    @classmethod
    def from_config(cls, config):
        tokenizer = keras.saving.deserialize_keras_object(config["tokenizer"])
        return cls(**{**config, "tokenizer": tokenizer})
