"""`TextGraphs`: the functions of strings that a model of texts computes, live and served."""

import functools

import numpy as np
import tensorflow as tf

from tfgen.models.conditions import condition_specs
from tfgen.models.serving import option_specs
from tfgen.recipe import TokenSampling
from tfgen.sampling import decode as decoding
from tfgen.sampling import random
from tfgen.sampling.buckets import bucket
from tfgen.sampling.rows import repeat_rows

# The decoding loop is compiled for room for so many tokens, times a power of two.
TOKENS_BUCKET = 64
# Prompts are padded to a multiple of this where their length is compiled for.
PROMPT_BUCKET = 64
# Positions that `score` handles at once.
SCORE_CHUNK = 256

# What says how a token is sampled, besides where a text stops.
SAMPLED = decoding.Sampling._fields[:-1]
# What a graph is given of a `TokenSampling`, besides the scale of guidance.
OPTIONS = ("max_new_tokens", *SAMPLED, "stop")
_SPECS = option_specs(TokenSampling, *OPTIONS)
# In the order of the arguments of `generate`.
ARGUMENTS = {
    "prompts": tf.TensorSpec([None], tf.string),
    **{name: _SPECS[name] for name in OPTIONS},
    "num_samples": tf.TensorSpec([], tf.int32),
    "seed": _SPECS["seed"],
    "strip_prompt": tf.TensorSpec([], tf.bool),
}


class TextGraphs:
    """Texts around the compiled loops of a `TokenRollout`: strings in, strings out.

    Strings cannot enter a function that XLA compiles, so they stay in the graphs around these. Every
    text is understood to follow the tokenizer's start token.

    Args:
        engine: A `TokenRollout`.
    """

    def __init__(self, engine):
        self.engine = engine
        self.emission = engine.emission
        self.tokenizer = engine.emission.tokenizer
        self.max_positions = engine.network.max_positions
        self.line_end = self.tokenizer.decode([self.tokenizer.start_id])
        self._generate_graphs = {}

    # The graphs

    @functools.cached_property
    def begin_graph(self):
        """`begin`, of tensors."""
        sampling = decoding.Sampling(
            **{name: ARGUMENTS[name] for name in SAMPLED},
            stops=tf.TensorSpec([None, None], tf.int32),
        )
        count = tf.TensorSpec([], tf.int32)
        specs = [ARGUMENTS["prompts"], sampling, count, count, count, self.condition_specs()]
        return tf.function(self.begin, input_signature=specs, autograph=False)

    @functools.cached_property
    def search_graph(self):
        """`begin`; a search may have no guidance where the model takes conditions."""
        return tf.function(self.begin, autograph=False, reduce_retracing=True)

    @functools.cached_property
    def history_graph(self):
        """`history`, of tensors."""
        return tf.function(self.history, autograph=False, reduce_retracing=True)

    def generate_graph(self, alone):
        """`generate`, of tensors, and whether texts are no longer than there is room for.

        Args:
            alone: Whether it is for one text, or for several.
        """
        if alone not in self._generate_graphs:
            specs = [self.generate_specs(), tf.TensorSpec([], tf.bool)]
            self._generate_graphs[alone] = tf.function(
                functools.partial(self.generate, alone=alone),
                input_signature=specs,
                autograph=False,
            )
        return self._generate_graphs[alone]

    @functools.cached_property
    def score_graph(self):
        """`score`, of tensors."""
        return tf.function(self.score, input_signature=[self.text_specs()], autograph=False)

    @functools.cached_property
    def encode_graph(self):
        """`encode`, of tensors."""
        return tf.function(self.encode, input_signature=[self.text_specs()], autograph=False)

    def condition_specs(self):
        """The tensors of a condition and its guidance; none of a model that takes none."""
        guidance = {"guidance_scale": tf.TensorSpec([], tf.float32)} if self.emission.guided else {}
        return {**self._told_specs(), **guidance}

    def _told_specs(self):
        given = self.emission
        if given.reads_source:
            return given.source_encoder.reader.specs
        return condition_specs(given.num_classes, given.condition_width, given.latents)

    def known(self, condition):
        """The tensors that the engine takes of those of a condition: numbers, no strings."""
        if "source" not in condition:
            return condition
        source, valid = self.emission.source_encoder.read(condition)
        return {"condition": source, "condition_valid": valid}

    def generate_specs(self):
        """The tensors of `generate`."""
        return {**ARGUMENTS, **self.condition_specs()}

    def text_specs(self):
        """The tensors of a function of texts, which knows no guidance."""
        return {"texts": ARGUMENTS["prompts"], **self._told_specs()}

    # The functions

    def generate(self, arguments, fit=False, alone=None):
        """Texts that go on after prompts: strings `(batch, num_samples)`.

        Args:
            arguments: Tensors, as of `generate_specs`.
            fit: Whether no text is longer than its prompt leaves room for; else that is refused.
            alone: Whether there is one text, where that is known.
        """
        prompts, count = arguments["prompts"], arguments["max_new_tokens"]
        num_samples, scale = arguments["num_samples"], arguments.get("guidance_scale")
        sampling = self.sampling(*(arguments[name] for name in (*SAMPLED, "stop")))
        capacity = bucket(count, TOKENS_BUCKET)
        condition = {name: arguments[name] for name in self.condition_specs()}
        carry = self.begin(prompts, sampling, num_samples, count, capacity, condition, fit)
        buffer = tf.zeros([tf.shape(carry.logits)[0], capacity], tf.int32)
        key = random.root(arguments["seed"], random.SAMPLING)

        tokens, carry = self.engine.decoded(
            carry, buffer, tf.constant(0), count, key, sampling, scale, alone=alone
        )
        texts = self.tokenizer.detokenize_without(tokens, carry.drawn, carry.trim)
        texts = tf.reshape(texts, [-1, num_samples])
        prefix = tf.where(arguments["strip_prompt"], tf.zeros_like(prompts), prompts)
        return tf.strings.join([tf.repeat(prefix[:, None], num_samples, axis=1), texts])

    def begin(self, prompts, sampling, num_samples, count, room, condition, fit=False):
        """Reads the prompts; returns the `Carry` of `num_samples` rows for each.

        The state has room for `room` tokens, of which `count` are to be drawn; see `limits`.
        """
        ids, lengths = self.start_and(prompts, 1)
        limits = self.limits(lengths, count, fit)
        state, logits, seen = self.engine.prefill(ids, lengths, self.known(condition))
        state = self.engine.reserve(state, room, condition.get("guidance_scale"))
        *rows, limits = repeat_rows((state, logits, seen, limits), num_samples)
        return decoding.start(*rows, sampling.stops, limits)

    def history(self, prompts, room, condition):
        """The state after prompts, with room for `room` tokens, their hidden states, and which.

        These are padded to a multiple of a bucket.
        """
        ids, lengths = self.start_and(prompts, 1)
        time = tf.shape(ids)[1]
        ids = tf.pad(ids, [[0, 0], [0, -time % PROMPT_BUCKET]])
        valid = tf.range(tf.shape(ids)[1])[None] < lengths[:, None]  # (batch, time)
        state = self.engine.first_state(tf.shape(ids)[0], self.known(condition))
        hidden, state = self.engine.hidden_states(ids, state, mask=valid)
        return self.engine.reserve(state, room), hidden, valid

    def start_and(self, texts, further=0):
        """Tokens int32 `(batch, time)` of each text behind a line break, and their lengths.

        Refuses texts that have no positions for themselves and `further` tokens. The last token
        needs none, because nothing is predicted from it.
        """
        ids, lengths = self.tokenizer.tokenize(texts)
        if self.max_positions is not None:
            longest = _longest(lengths)
            most = self.max_positions - further
            found = tf.strings.format(
                f"Too long: this model has {self.max_positions} positions (max_length), so a text "
                f"can have at most {most} tokens here, and the longest has {{}}: shorten it. "
                "Received: tokens={}",
                [longest, longest + further],
            )
            tf.debugging.Assert(longest <= most, [found])
        ids = tf.pad(ids, [[0, 0], [1, 0]], constant_values=self.tokenizer.start_id)
        return ids, lengths + 1

    def limits(self, lengths, count, fit):
        """Tokens int32 `(batch,)` to draw at most after prompts of these lengths.

        Args:
            lengths: As of `start_and`.
            count: The most that was asked for, int32 scalar.
            fit: Whether what has no positions is left out; else it is refused.
        """
        if self.max_positions is None:
            return tf.fill(tf.shape(lengths), count)
        room = self.max_positions - (lengths - 1)
        longest = _longest(lengths - 1)
        found = tf.strings.format(
            f"Too long: this model has {self.max_positions} positions (max_length) and the longest "
            "prompt has {} tokens, so max_new_tokens can be at most {}, not {}. Received: tokens={}",
            [longest, self.max_positions - longest, count, longest + count],
        )
        tf.debugging.Assert(fit | (count <= self.max_positions - longest), [found])
        return tf.minimum(room, count)

    def sampling(self, temperature, top_k, top_p, min_p, repetition_penalty, stop):
        """The `Sampling` of a loop, of tensors. What is given a line ends with it."""
        if self.emission.ends_lines:
            stop = tf.concat([stop, [self.line_end]], axis=0)
        found = self.tokenizer.tokenize_inside(stop)
        if self.tokenizer.spelling is not None:
            found = self.tokenizer.spelling.of(*found)
        stops = decoding.align_stops(*found)
        return decoding.Sampling(temperature, top_k, top_p, min_p, repetition_penalty, stops)

    def encode(self, arguments):
        """The last hidden states of texts, for every pooling."""
        ids, lengths = self.start_and(arguments["texts"], 1)  # the last token is read as well
        condition = {name: arguments[name] for name in arguments if name != "texts"}
        state = self.engine.first_state(tf.shape(ids)[0], self.known(condition))
        valid = tf.range(tf.shape(ids)[1])[None] < lengths[:, None]  # (batch, time)
        hidden, _ = self.engine.hidden_states(ids, state, mask=valid)
        hidden = tf.cast(hidden, tf.float32)
        share = tf.cast(valid, tf.float32) / tf.cast(lengths, tf.float32)[:, None]
        return {
            "mean": tf.reduce_sum(hidden * share[:, :, None], axis=1),
            "last": tf.gather(hidden, lengths - 1, batch_dims=1),
        }

    def score(self, arguments):
        """The likelihood of texts."""
        texts = _readable(arguments["texts"])
        ids, lengths = self.start_and(texts)
        steps = (tf.shape(ids)[1] + SCORE_CHUNK - 2) // SCORE_CHUNK
        ids = tf.pad(ids, [[0, 0], [0, steps * SCORE_CHUNK + 1 - tf.shape(ids)[1]]])

        def body(chunk, total, state):
            piece = ids[:, chunk * SCORE_CHUNK : (chunk + 1) * SCORE_CHUNK + 1]
            piece = tf.ensure_shape(piece, [None, SCORE_CHUNK + 1])
            # A text of n tokens after the start has n targets.
            nats, state = self.engine.nats(piece, lengths - 1 - chunk * SCORE_CHUNK, state)
            return chunk + 1, total + tf.reduce_sum(tf.cast(nats, tf.float64), axis=1), state

        total = tf.zeros(tf.shape(lengths), tf.float64)
        condition = {name: arguments[name] for name in arguments if name != "texts"}
        state = self.engine.first_state(tf.shape(ids)[0], self.known(condition))
        invariants = self.engine.network.state_invariants(state)
        _, nats, _ = tf.while_loop(
            lambda chunk, *_: chunk < steps,
            body,
            (0, total, state),
            (tf.TensorShape([]), total.shape, invariants),
        )
        return likelihoods_of(0.0 - nats, texts)  # no -0.0 for an empty text


def likelihoods_of(total, texts):
    """What `score` tells of log-likelihoods float64 `(batch,)` of texts."""
    characters = tf.strings.length(_readable(texts), unit="UTF8_CHAR")
    per_character = -total / tf.cast(characters, tf.float64)
    return {
        "log_likelihood": total,
        "nats_per_character": per_character,
        "bits_per_character": per_character / np.log(2.0),
        "characters": characters,
    }


def _readable(texts):
    """What is not valid UTF-8 counts as the characters that it is read as."""
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")


def _longest(lengths):
    return tf.reduce_max(tf.concat([lengths, [0]], axis=0))  # no text is no length
