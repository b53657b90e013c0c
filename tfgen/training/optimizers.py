"""The optimizers and learning rates that a recipe names."""

import functools

import keras

from tfgen.arguments import argument_names
from tfgen.errors import InputError, unknown
from tfgen.models.players import Players
from tfgen.recipe import TrainingConfig
from tfgen.values import parse_value

# Classes of `keras.optimizers` that are about other optimizers.
_NO_OPTIMIZERS = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}
# Keras' arguments that the recipe has fields for.
_FIELDS = {
    "learning_rate": "training.learning_rate",
    "weight_decay": "training.weight_decay",
    "clipnorm": "training.clip_norm",
    "global_clipnorm": "training.clip_norm",
    "clipvalue": "training.clip_value",
    "use_ema": "training.ema",
    "ema_momentum": "training.ema",
    "gradient_accumulation_steps": "training.accumulate",
}


def optimizers():
    """Returns the classes of `keras.optimizers` by their names in lower case."""
    found = {}
    for name, value in vars(keras.optimizers).items():
        if isinstance(value, type) and issubclass(value, keras.optimizers.Optimizer):
            if name not in _NO_OPTIMIZERS:
                found[name.lower()] = value
    return found


def make_optimizer(config, critic_steps=None):
    """Returns the Keras optimizer of a `TrainingConfig`.

    Biases and the gains of normalisations have no weight decay. In `mixed_float16` the optimizer
    scales the loss, so that float16 can hold the gradients, and leaves out a step of which it
    cannot.

    Args:
        config: `TrainingConfig`.
        critic_steps: Of an adversarial model, which has an optimizer for either player; else None.

    Raises:
        InputError: For an optimizer or an option that Keras does not have, and if gradients would
            be clipped both by norm and by value.
    """
    classes = optimizers()
    name = config.optimizer.lower()
    if name not in classes:
        raise unknown("training.optimizer", config.optimizer, classes)
    if config.clip_norm and config.clip_value:
        raise InputError(
            "Gradients are clipped by norm or by value, not both: set training.clip_norm=0. "
            f"Received: training.clip_norm={config.clip_norm}, "
            f"training.clip_value={config.clip_value}"
        )
    accepted = argument_names(classes[name])
    options = {
        "learning_rate": make_schedule(config),
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.clip_norm or None,
        "clipvalue": config.clip_value or None,
        "use_ema": bool(config.ema),
        "ema_momentum": config.ema or 0.99,
    }
    if name == "muon":
        # Keras scales Muon's update to the size of AdamW's (arXiv:2502.16982), so that both take
        # the same learning rates; embeddings, also of conditions, and what is no matrix inside the
        # network are left to AdamW.
        options |= {
            "adam_beta_2": config.beta_2,
            "adam_weight_decay": config.weight_decay,
            "exclude_layers": ["head", "conv_kernel", "condition/"],
        }
    elif "beta_2" in accepted:
        options["beta_2"] = config.beta_2
    elif config.beta_2 != TrainingConfig().beta_2:
        raise InputError(
            f"training.beta_2 is for optimizers that average squared gradients, and {name} does "
            f"not. Received: training.beta_2={config.beta_2}"
        )
    if config.schedule == "constant" and config.final_learning_rate:
        raise InputError(
            "training.final_learning_rate is where the cosine or the line ends, and the schedule "
            f"is constant. Received: training.final_learning_rate={config.final_learning_rate}"
        )
    options |= _options(config.optimizer_options, accepted)
    try:
        make = functools.partial(_made, classes[name], options)
        optimizer = make() if critic_steps is None else Players.of(make, critic_steps)
    except (TypeError, ValueError) as error:
        given = list(config.optimizer_options)
        raise InputError(
            f"keras.optimizers.{classes[name].__name__} refuses its options: {error}. "
            f"Received: training.optimizer_options={given}"
        ) from error
    if config.precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _made(cls, options):
    optimizer = cls(**options)
    if options["weight_decay"]:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "scale"])
    return optimizer


def _options(texts, accepted):
    """The keyword arguments that `"momentum=0.9"` and the like stand for."""
    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals:
            raise InputError(
                "training.optimizer_options are like 'momentum=0.9'. "
                f"Received: training.optimizer_options={list(texts)}"
            )
        if name in _FIELDS:
            raise InputError(
                f"'{name}' has a field of its own, {_FIELDS[name]}. "
                f"Received: training.optimizer_options={list(texts)}"
            )
        if name not in accepted:
            raise unknown("training.optimizer_options", name, set(accepted) - _FIELDS.keys())
        options[name] = parse_value(value)
        if not isinstance(options[name], bool | int | float):
            raise InputError(
                "The values of training.optimizer_options are numbers, true or false. "
                f"Received: training.optimizer_options={list(texts)}"
            )
    return options


def make_schedule(config):
    """Returns the learning rate of a `TrainingConfig` by the number of steps done.

    It rises from 0 in a line over `warmup_steps`; then it goes from `learning_rate` to
    `final_learning_rate`, which it has after `steps`, as half a cosine or in a line, or it stays.
    """
    rest = max(config.steps - config.warmup_steps, 1)
    if config.schedule == "cosine":
        after = keras.optimizers.schedules.CosineDecay(
            config.learning_rate, rest, alpha=config.final_learning_rate / config.learning_rate
        )
    else:
        last = config.learning_rate
        if config.schedule == "linear":
            last = config.final_learning_rate
        after = keras.optimizers.schedules.PolynomialDecay(config.learning_rate, rest, last)
    return WarmUp(after, config.learning_rate, config.warmup_steps)


@keras.saving.register_keras_serializable(package="tfgen")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises from 0 in a line, and then follows another schedule.

    Args:
        schedule: `keras.optimizers.schedules.LearningRateSchedule` for the steps after the rise,
            counted from its end.
        learning_rate: Where the rise ends.
        warmup_steps: How long it takes; 0 leaves it out.
    """

    def __init__(self, schedule, learning_rate, warmup_steps):
        super().__init__()
        self.schedule = schedule
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        rising = self.learning_rate * step / max(self.warmup_steps, 1)
        after = self.schedule(keras.ops.maximum(step - self.warmup_steps, 0.0))
        return keras.ops.where(step < self.warmup_steps, rising, after)

    def get_config(self):
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
        }

    @classmethod
    def from_config(cls, config):
        schedule = keras.saving.deserialize_keras_object(config.pop("schedule"))
        return cls(schedule, **config)
