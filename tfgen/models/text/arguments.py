"""What a person gives to a model of texts, checked and as tensors."""

import contextlib
import dataclasses
import re

import tensorflow as tf

from tfgen.errors import InputError
from tfgen.models.conditions import condition_tensors
from tfgen.models.sources import sources_of, texts_of
from tfgen.models.text.graphs import ARGUMENTS, SAMPLED
from tfgen.recipe import TokenSampling
from tfgen.sampling.search import check_search


def options_of(generation, given):
    """The `TokenSampling` of a call.

    Args:
        generation: A `GenerationConfig`, whose values stand for what is None or not given.
        given: Dict of what a person gave.
    """
    if given.get("stop") is not None:
        given = {**given, "stop": texts_of("stop", given["stop"])}
    return TokenSampling.of(generation, **given)


def check_sampled(search, given):
    """Refuses what says how a token is sampled in a search that samples none."""
    if check_search(search) is None or search.kind == "speculative":
        return
    for name in SAMPLED:
        if given[name] is not None:
            raise InputError(
                f"{name} does nothing in a {type(search).__name__}, which samples no token. "
                f"Received: {name}={given[name]!r}"
            )


def condition_of(emission, value, count, source=None):
    """The tensors of a condition, or of sources, that a person gave for so many texts."""
    if emission.reads_source:
        check_unused("models made with num_classes or condition_width", condition=value)
        return sources_of(emission.source_encoder, source).tensors(count)
    check_unused("models made with an encoder", source=source)
    given = emission.num_classes, emission.condition_width, emission.latents, emission.classes
    return condition_tensors(value, count, *given)


def for_each_source(emission, prompts, source):
    """A list of prompts, the one for all where there is a list of sources, and the sources read."""
    if not emission.reads_source or source is None:
        return prompts, source
    source = sources_of(emission.source_encoder, source)
    several = isinstance(prompts, str) and not source.single
    return [prompts] * source.count if several else prompts, source


def guided_condition(emission, value, count, guidance_scale, options, source=None):
    """The same, and the scale of guidance if the model takes conditions.

    `guidance_scale` is what a person gave, or None; `options` are those of the call; the others
    are as of `condition_of`.
    """
    tensors = condition_of(emission, value, count, source)
    if guidance_scale is not None:
        if guidance_scale != 1 and not emission.guided:
            raise InputError(
                "guidance_scale is for models made with num_classes or condition_width; "
                f"this one has neither. Received: guidance_scale={guidance_scale}"
            )
        if guidance_scale != 1 and value is None:
            raise InputError(
                "guidance_scale does nothing without a condition. "
                f"Received: guidance_scale={guidance_scale}"
            )
    if emission.guided:
        scale = 1.0 if value is None else options.guidance_scale
        tensors["guidance_scale"] = tf.constant(scale, tf.float32)
    return tensors


def check_unused(what, **given):
    """Refuses what was given of arguments that are for other models."""
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{name} is for {what}. Received: {name}={value!r}")


def tensors_of(**arguments):
    """Arguments of `generate` as the tensors of its graph."""
    dtypes = {name: spec.dtype for name, spec in ARGUMENTS.items()}
    return {
        name: value if tf.is_tensor(value) else tf.constant(value, dtypes.get(name))
        for name, value in arguments.items()
    }


def sampling_of(graphs, options):
    """The `Sampling` of a loop, of a `TokenSampling`."""
    tensors = tensors_of(**{name: getattr(options, name) for name in (*SAMPLED, "stop")})
    return graphs.sampling(**tensors)


def fitting(graphs, options, prompts, usual):
    """The options of a search or a stream, whose tokens have room after all prompts.

    Args:
        graphs: The model's `TextGraphs`.
        options: A `TokenSampling`.
        prompts: Texts.
        usual: Whether the number of tokens is the model's own default, which gives way where
            there is no room; what a person asked for is refused.
    """
    _, lengths = graphs.start_and(tf.constant(prompts), 1)
    limits = graphs.limits(lengths, tf.constant(options.max_new_tokens), usual)
    return dataclasses.replace(options, max_new_tokens=int(tf.reduce_min(limits)))


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
        # An assertion prints a string with escapes.
        raise InputError(re.sub(r"\\(['\"\\])", r"\1", found.group())) from error


def grouped(samples, num_samples, single):
    """Samples of all prompts as a person gets them: of several of each in lists."""
    if num_samples > 1:
        count = range(0, len(samples), num_samples)
        samples = [samples[first : first + num_samples] for first in count]
    return samples[0] if single else samples
