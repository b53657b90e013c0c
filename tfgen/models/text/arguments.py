"""What a person gives to a model of texts, checked and as tensors."""

import contextlib
import re
from collections.abc import Iterable

import tensorflow as tf

from tfgen.errors import InputError
from tfgen.models.conditions import condition_tensors
from tfgen.models.text.graphs import ARGUMENTS
from tfgen.sampling.search import check_search
from tfgen.sampling.tokens import check_sampling_arguments
from tfgen.values import check_texts

# What says how a token is sampled.
_SAMPLED = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


def options_of(generation, **given):
    """The sampling arguments of a call, checked, with the model's defaults for None.

    Args:
        generation: A `GenerationConfig`.
        **given: Any of `max_new_tokens`, `temperature`, `top_k`, `top_p`, `min_p`,
            `repetition_penalty` and `stop`.
    """
    names = ("max_new_tokens", *_SAMPLED)
    options = {name: given.get(name) for name in names}
    options = {k: getattr(generation, k) if v is None else v for k, v in options.items()}
    check_sampling_arguments(**options)
    stop = given.get("stop")
    stop = texts_of("stop", generation.stop if stop is None else stop)
    options["stop"] = [text for text in stop if text]
    return options


def check_sampled(search, given):
    """Refuses what says how a token is sampled in a search that samples none."""
    if check_search(search) is None or search.kind == "speculative":
        return
    for name in _SAMPLED:
        if given[name] is not None:
            raise InputError(
                f"{name} does nothing in a {type(search).__name__}, which samples no token. "
                f"Received: {name}={given[name]!r}"
            )


def condition_of(emission, value, count):
    """The tensors of a condition that a person gave for so many texts."""
    return condition_tensors(value, count, emission.num_classes, emission.condition_width)


def guided_condition(emission, value, count, guidance_scale, generation):
    """The same, and the scale of guidance if the model takes conditions."""
    tensors = condition_of(emission, value, count)
    if guidance_scale is not None:
        check_sampling_arguments(guidance_scale=guidance_scale)
        if guidance_scale != 1 and not tensors:
            raise InputError(
                "guidance_scale is for models made with num_classes or condition_width; "
                f"this one has neither. Received: guidance_scale={guidance_scale}"
            )
        if guidance_scale != 1 and value is None:
            raise InputError(
                "guidance_scale does nothing without a condition. "
                f"Received: guidance_scale={guidance_scale}"
            )
    if tensors:
        default = 1.0 if value is None else generation.guidance_scale
        scale = default if guidance_scale is None else guidance_scale
        tensors["guidance_scale"] = tf.constant(scale, tf.float32)
    return tensors


def texts_of(name, value):
    """A text or several as a list, checked: TensorFlow says less clearly what is wrong."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        value = list(value)
    return list(check_texts(name, value))


def tensors_of(**arguments):
    """Arguments of `generate` as the tensors of its graph."""
    dtypes = {name: spec.dtype for name, spec in ARGUMENTS.items()}
    return {
        name: value if tf.is_tensor(value) else tf.constant(value, dtypes.get(name))
        for name, value in arguments.items()
    }


def sampling_of(graphs, options):
    """The `Sampling` of a loop, of what `options_of` gave."""
    options = tensors_of(**options)
    options["stop"] = tf.reshape(options["stop"], [-1])
    del options["max_new_tokens"]
    return graphs.sampling(**options)


def fitting(graphs, generation, prompts, max_new_tokens):
    """How many tokens a search or a stream draws: the default as far as all prompts let it."""
    given = generation.max_new_tokens if max_new_tokens is None else max_new_tokens
    _, lengths = graphs.start_and(tf.constant(prompts), 1)
    limits = graphs.limits(lengths, tf.constant(given), max_new_tokens is None)
    return int(tf.reduce_min(limits))


@contextlib.contextmanager
def as_input_error():
    """What a graph finds wrong with a text is the person's mistake."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(
            r"Too long: .*? Received: tokens=-?\d+|The text needs the token .*? vocabulary of \d+",
            str(error),
        )
        if not found:
            raise
        raise InputError(found.group()) from error
