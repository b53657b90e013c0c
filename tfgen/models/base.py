"""`SequenceGenerator`: what every model of the zoo promises."""

import dataclasses
import functools
import inspect
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfgen import models
from tfgen.errors import InputError, unknown
from tfgen.files import atomic_folder
from tfgen.forks import check_process, own_process
from tfgen.layers.checks import check_kind
from tfgen.models import latents
from tfgen.models.fitting import Fitting
from tfgen.models.weights import save_weights
from tfgen.networks.causal import refuse_small_weights
from tfgen.preprocessing import ByteTokenizer, Tokenizer
from tfgen.recipe import GenerationConfig
from tfgen.sampling import random

# Methods of models that would wait for ever in a process that was forked.
_COMPUTING = {
    "generate", "stream", "draw", "score", "encode", "decode", "denoise", "forecast", "impute",
    "export", "batch_total",
}  # fmt: skip
# What `export` writes, by Keras' name.
EXPORT_FORMAT = "tf_saved_model"
# What of a model its config holds as configs of their own.
_PARTS = ("tokenizer", "engine")
# What a person calls by the names of arguments.
_NAMED = frozenset(
    ("generate", "draw", "stream", "forecast", "impute", "score", "encode", "decode", "denoise")
)


class SequenceGenerator(Fitting):
    """A Keras model that generates sequences: raw input in, raw output out.

    A family implements `batch_total`, from which `fit`, `evaluate` and `tfgen.training` all train,
    and what it can do with raw data: `generate`, `score`, `export`. What lies between raw data and
    tensors is its `preprocessing`: a `TextGenerator` has a tokenizer, a
    `tfgen.models.numbers.model.NumbersModel` a processor.

    Args:
        generation: `GenerationConfig` or a dict of its fields: what `generate` does unless told
            otherwise.
        seed: Integer, seeds the weights and, in `fit`, the dropout. None takes a random one.
        **kwargs: `name`, `dtype` and the like of `keras.Model`.

    Raises:
        ValueError: For an argument that is none of these.
    """

    # The longest sequence there are positions for; None where there is no end.
    max_positions = None
    # Whether a sequence may go on without end, its state of the same size all along.
    state_is_constant = False
    # Of a model of series, a `tfgen.models.numbers.calibration.Calibration` of these weights.
    calibration = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in _COMPUTING & vars(cls).keys():
            setattr(cls, name, own_process(vars(cls)[name]))
        for name in _NAMED & vars(cls).keys():
            setattr(cls, name, _named_arguments(vars(cls)[name]))

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

    def follow(self, step):
        """Goes by a training, for a loss that has a schedule.

        Args:
            step: Function that gives the number of training steps so far, an integer scalar tensor.
        """
        space = getattr(getattr(self, "engine", None), "space", None)
        if space is not None:
            space.evidence.follow(step)

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

    @property
    def critic_steps(self):
        """Of an adversarial model, steps of its critic for one of its generator; else None."""
        return getattr(getattr(self, "engine", None), "critic_steps", None)

    @property
    def has_latents(self):
        """Whether it has latents: an `encode` that its `decode` undoes."""
        engine = getattr(self, "engine", None)
        inverted = getattr(engine, "kind", None) == "diffusion" and hasattr(engine, "decode")
        return inverted or hasattr(engine, "latent_size")

    def reconstruct(self, x, seed=None, **options):
        """What the latents of sequences are decoded to.

        Args:
            x: Texts, or sequences of numbers, as for `encode`.
            seed: See `generate`.
            **options: What sequences are told of, as of `encode`; and how is sampled, as of `decode`.

        Returns:
            As of `decode`.

        Raises:
            InputError: Here and below, of a model without latents.
        """
        latents.check_latents(self, "reconstruct")
        return latents.reconstruct(self, x, seed, options)

    def interpolate(self, a, b, steps=8, method="slerp", seed=None, **options):
        """A list of sequences on the way from one to another, both of them reconstructed.

        Args:
            a: A text, or a sequence of numbers.
            b: Another one.
            steps: How many, the two ends included.
            method: `"slerp"`, along a great circle of the latent space, or `"linear"`.
            seed: See `generate`; the noise is the same for each.
            **options: See `reconstruct`; what is told is told of both.
        """
        latents.check_latents(self, "interpolate")
        return latents.interpolate(self, a, b, steps, method, seed, options)

    def direction(self, positive, negative, **told):
        """An attribute as a vector: the mean of the latents of some sequences less that of others.

        Args:
            positive: Texts, or sequences of numbers, that have it.
            negative: Those that have not.
            **told: As of `encode`.
        """
        latents.check_latents(self, "direction")
        return latents.direction(self, positive, negative, told)

    def shift(self, x, direction, amount=1.0, seed=None, **options):
        """Sequences with more of an attribute, or less: `amount` times a `direction` is added.

        Args:
            x: See `reconstruct`, as the others.
            direction: As of `direction`, or any vector of latents.
            amount: How much of it; below 0 is less.
            seed: See `reconstruct`.
            **options: See `reconstruct`.
        """
        latents.check_latents(self, "shift")
        return latents.shift(self, x, direction, amount, seed, options)

    def neighbours(self, x, of, count=5, **told):
        """Which of many sequences are the nearest in the latent space.

        Args:
            x: A sequence, or several.
            of: Those to look among.
            count: How many.
            **told: As of `encode`.

        Returns:
            `(indices, distances)`, each `(sequences, count)`, the nearest first.
        """
        latents.check_latents(self, "neighbours")
        return latents.neighbours(self, x, of, count, told)

    def activations(self, inputs):
        """What the layers give for a batch of inputs: a dict from names to tensors, for histograms."""
        raise NotImplementedError

    def __call__(self, *args, **kwargs):
        check_process()
        return super().__call__(*args, **kwargs)

    def save(self, filepath, float16=False, overwrite=True, **kwargs):
        """Writes the model as a folder that `tfgen.zoo.get` opens, or as a Keras file.

        Args:
            filepath: A folder to write, or a path that ends in `.keras`, which Keras then writes.
                A folder that is there is replaced, unless it holds anything but a saved model.
            float16: Store the weights with half the bits (folders only).
            overwrite: Whether what is there is replaced.
            **kwargs: Of a `.keras` file: as in Keras.

        Raises:
            InputError: For a folder of other things, a weight that float16 cannot hold, or a file
                of another format.
        """
        suffix = Path(filepath).suffix.lower()
        if suffix == ".keras":
            if float16:
                raise InputError("float16 is for folders; a .keras file keeps float32 weights")
            if self.calibration is not None:
                raise InputError(
                    "A .keras file keeps no calibration: save the model as a folder. "
                    f"Received: filepath='{filepath}'"
                )
            super().save(filepath, overwrite=overwrite, **kwargs)
            return
        if suffix in (".h5", ".hdf5"):
            raise InputError(
                "A model is saved as a folder or as a .keras file, its weights alone by "
                f"save_weights('NAME.weights.h5'). Received: filepath='{filepath}'"
            )
        for name in kwargs:
            raise unknown(
                "argument of save of a folder", name, ["filepath", "float16", "overwrite"]
            )
        if not overwrite and Path(filepath).exists():
            raise InputError(f"{filepath} is there already. Received: overwrite=False")
        file = models.preprocessing_file(self.preprocessing)
        ours = {
            models.RECIPE, file, models.SOURCE, models.WEIGHTS, models.CALIBRATION, models.CHECKSUMS
        }  # fmt: skip
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
            if self.calibration is not None:
                self.calibration.save(folder / models.CALIBRATION)
            models.write_checksums(folder)

    def quantize(self, mode=None, config=None, **kwargs):
        """As `keras.Model.quantize`, for a model that can generate with smaller weights.

        Args:
            mode: `"int8"`, see `tfgen.zoo.get`.
            config: None. Keras makes one of the mode.
            **kwargs: None.

        Raises:
            InputError: If the model generates with float32 weights only, or for another mode.
        """
        own = config is not None and config.get_config() != type(config)().get_config()
        for name in [*kwargs, *(["config"] if own else [])]:
            raise unknown("argument of quantize", name, ["mode"])
        if mode != "int8":
            raise unknown("mode of quantize", mode, ["int8"])
        self.quantize_weights(mode)

    def quantize_weights(self, dtype):
        """Keeps the weights that the decoding loop reads in fewer bits: see `tfgen.zoo.get`.

        Raises:
            InputError: If the family's loop reads float32 weights only, or for another dtype.
        """
        refuse_small_weights(dtype)

    def enable_lora(self, rank, **kwargs):
        """Tells where adapters are trained: they are part of a training, not of a model."""
        raise InputError(
            "Adapters are trained by a recipe: tfgen train --from NAME --data FILE --set "
            f"training.lora_rank={rank} (in Python: tfgen.training.train)"
        )

    def get_config(self):
        return {
            **super().get_config(),
            "generation": dataclasses.asdict(self.generation),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        parts = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in _PARTS
            if isinstance(config.get(name), dict)
        }
        return cls(**{**config, **parts})


for _name in ("fit", "evaluate", "predict"):
    setattr(SequenceGenerator, _name, own_process(getattr(SequenceGenerator, _name)))


def _named_arguments(method):
    """A method that tells of an argument that it lacks, with near matches, as an `InputError`."""
    parameters = inspect.signature(method).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return method  # which tells by itself
    names = list(parameters)[1:]  # not self

    @functools.wraps(method)
    def checked(self, *args, **kwargs):
        for name in kwargs:
            if name not in names:
                what = f"argument of {method.__name__} of a {type(self).__name__}"
                raise unknown(what, name, names)
        return method(self, *args, **kwargs)

    return checked


class TextGenerator(SequenceGenerator):
    """A `SequenceGenerator` of texts.

    Args:
        tokenizer: A `tfgen.preprocessing` tokenizer; None takes bytes.
        **kwargs: Arguments of `SequenceGenerator`.

    Raises:
        ValueError: For an argument that is none of these.
    """

    fit_takes = (
        "windows of token ids: encode a text with model.tokenizer.encode and cut it with "
        "tfgen.data.Windows"
    )

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
        self._refuse_strings(data)
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        condition = ()
        if isinstance(inputs, dict):
            if inputs.keys() != {"tokens", "condition"}:
                raise ValueError(
                    "A dict of inputs must have the keys 'tokens' and 'condition'. "
                    f"Received: keys={sorted(inputs)}"
                )
            inputs, condition = inputs["tokens"], (inputs["condition"],)
        pair = (inputs[:, :-1], inputs[:, 1:]) if targets is None else (inputs, targets)
        if weights is None:
            return (*pair, *condition)
        return self.weighted(pair, condition, weights)

    def weighted(self, pair, condition, weights):
        """The batch of `unpack` with weights, if the family's loss takes any."""
        raise InputError(
            f"The loss of a {type(self).__name__} takes no weights. Received: sample_weight"
        )

    def given_to_fit(self, x, y, sample_weight):
        x, y, sample_weight = super().given_to_fit(x, y, sample_weight)
        if sample_weight is not None and y is None and not hasattr(x, "element_spec"):
            # Keras leaves weights out where there are no targets.
            tokens = x["tokens"] if isinstance(x, dict) else x
            tokens, y = tokens[:, :-1], tokens[:, 1:]
            x = {**x, "tokens": tokens} if isinstance(x, dict) else tokens
            if np.ndim(sample_weight) == 2 and np.shape(sample_weight)[1] == tokens.shape[1] + 1:
                sample_weight = sample_weight[:, 1:]
        return x, y, sample_weight

    def get_config(self):
        return {
            **super().get_config(),
            "tokenizer": keras.saving.serialize_keras_object(self.tokenizer),
        }
