"""`AutoregressiveGenerator`: models that predict the next token, whatever their network."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from tfgen.export import write_saved_model
from tfgen.models.base import SequenceGenerator
from tfgen.sampling import decode as decoding
from tfgen.sampling import random
from tfgen.sampling.tokens import check_sampling_arguments
from tfgen.values import check_texts

# What stands before every text: the start of a line.
START = "\n"
# The decoding loop is compiled for room for so many tokens, times a power of two.
TOKENS_BUCKET = 64
# Positions that `score` handles at once, and tokens that `stream` draws at once.
SCORE_CHUNK = 256
STREAM_CHUNK = 8

_ARGUMENTS = {
    "prompts": tf.TensorSpec([None], tf.string),
    "max_new_tokens": tf.TensorSpec([], tf.int32),
    "temperature": tf.TensorSpec([], tf.float32),
    "top_k": tf.TensorSpec([], tf.int32),
    "top_p": tf.TensorSpec([], tf.float32),
    "min_p": tf.TensorSpec([], tf.float32),
    "repetition_penalty": tf.TensorSpec([], tf.float32),
    "stop": tf.TensorSpec([None], tf.string),
    "num_samples": tf.TensorSpec([], tf.int32),
    "seed": tf.TensorSpec([], tf.int64),
    "strip_prompt": tf.TensorSpec([], tf.bool),
}


class AutoregressiveGenerator(SequenceGenerator):
    """A generator that draws one token after another.

    A family implements four things, and has everything else from here:

    - `initial_state(batch_size)`: a nest of tensors `(batch, ...)`;
    - `hidden_states(ids, state, mask, training, key)` -> `(hidden, state)`: the network over
      int32 `(batch, time)`, hidden `(batch, time, width)`; masked positions leave the state alone;
    - `logits(hidden)`: `(..., width)` -> `(..., vocabulary)`;
    - `stepper()`: a function `(ids (batch,), state)` -> `(logits, state)` for the decoding loop, in
      which what is the same at every position has been computed beforehand.

    Every text is understood to follow a line break, so an empty prompt starts a line.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # Strings cannot enter a function that XLA compiles, so the text stays in the graphs around
        # these two. Only what loops long enough to pay for its compilation is compiled: reading
        # prompts and scoring are left to the graph, which takes any shape at once.
        self._decode = tf.function(self._decode_core, jit_compile=True, autograph=False)
        self.token_nats = tf.function(self._nats_core, jit_compile=True, autograph=False)
        self._prefill_graph = tf.function(
            self._prefill,
            input_signature=[
                tf.TensorSpec([None, None], tf.int32),
                tf.TensorSpec([None], tf.int32),
            ],
            autograph=False,
        )
        self._generate_graph = tf.function(
            self._generate_texts, input_signature=list(_ARGUMENTS.values()), autograph=False
        )
        self._score_graph = tf.function(
            self._score_texts, input_signature=[_ARGUMENTS["prompts"]], autograph=False
        )

    def initial_state(self, batch_size):
        raise NotImplementedError

    def hidden_states(self, ids, state, mask=None, training=False, key=None):
        raise NotImplementedError

    def logits(self, hidden):
        raise NotImplementedError

    def stepper(self):
        raise NotImplementedError

    def call(self, inputs, training=False):
        """Logits `(batch, time, vocabulary)` of the token after each of int `(batch, time)`."""
        inputs = tf.cast(inputs, tf.int32)
        state = self.initial_state(tf.shape(inputs)[0])
        key = random.root(self.seed, random.DROPOUT) if training else None
        hidden, _ = self.hidden_states(inputs, state, training=training, key=key)
        return self.logits(hidden)

    def batch_loss(self, batch, key=None, state=None, training=False):
        inputs, targets = (tf.cast(ids, tf.int32) for ids in batch)
        state = self.initial_state(tf.shape(inputs)[0]) if state is None else state
        hidden, state = self.hidden_states(inputs, state, training=training, key=key)
        logits = tf.cast(self.logits(hidden), tf.float32)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        return tf.reduce_mean(loss), state

    def generate(
        self,
        prompts="",
        max_new_tokens=None,
        temperature=None,
        top_k=None,
        top_p=None,
        min_p=None,
        repetition_penalty=None,
        stop=None,
        num_samples=1,
        seed=None,
        strip_prompt=False,
    ):
        """Continues texts.

        The whole generation is one compiled loop. A first call compiles it; later ones with the
        same number of prompts, and lengths that round up to the same power of two, do not.

        Args:
            prompts: A text or a list of texts. Each gives the same as it would alone, except that
                text number i of a list is drawn with noise of its own.
            max_new_tokens: Tokens to draw for each text at most. None here and below takes the
                model's own default, `model.generation`.
            temperature: Divides the logits; 0 takes the likeliest token (greedy).
            top_k: Draw from the k likeliest tokens; 0 is off.
            top_p: Draw from the smallest set of tokens whose probability reaches this
                (arXiv:1904.09751); 1.0 is off.
            min_p: Leave out tokens less likely than this times the likeliest (arXiv:2407.01082).
            repetition_penalty: Above 1 makes tokens of the text so far less likely
                (arXiv:1909.05858).
            stop: A text or a list of texts that end the generation. The text returned ends before.
            num_samples: How many continuations of each prompt.
            seed: An integer. The same seed gives the same text, on every call and in the
                SavedModel; None takes a new one each time.
            strip_prompt: Return what follows the prompt only.

        Returns:
            A text for a text, a list for a list; with `num_samples` above 1 a list of so many
            texts in place of each text.

        Raises:
            InputError: For an argument out of its range.
        """
        single = isinstance(prompts, str)
        texts = _texts("prompts", prompts)
        options = self._options(
            max_new_tokens, temperature, top_k, top_p, min_p, repetition_penalty, stop
        )
        check_sampling_arguments(num_samples=num_samples)
        if not texts:
            return []
        arrays = self._generate_graph(
            tf.constant(texts),
            **options,
            num_samples=num_samples,
            seed=_seed(seed),
            strip_prompt=strip_prompt,
        )
        samples = [[text.decode("utf-8") for text in row] for row in arrays.numpy()]
        results = samples if num_samples > 1 else [row[0] for row in samples]
        return results[0] if single else results

    def stream(
        self,
        prompt="",
        max_new_tokens=None,
        temperature=None,
        top_k=None,
        top_p=None,
        min_p=None,
        repetition_penalty=None,
        stop=None,
        seed=None,
        strip_prompt=False,
    ):
        """Continues one text piece by piece; joined, the pieces are what `generate` returns.

        Takes the arguments of `generate`. Whole characters come only, and nothing that could
        still turn out to be the beginning of a stop text.

        Returns:
            An iterator of texts.
        """
        options = self._options(
            max_new_tokens, temperature, top_k, top_p, min_p, repetition_penalty, stop
        )
        (prompt,) = _texts("prompt", [prompt])
        return self._pieces(prompt, options, _seed(seed), strip_prompt)

    def _pieces(self, prompt, options, seed, strip_prompt):
        if prompt and not strip_prompt:
            yield prompt
        limit = options.pop("max_new_tokens")
        longest_stop = max(
            (len(self.tokenizer.encode(text)) for text in options["stop"]), default=0
        )
        options = {
            name: tf.constant(value, _ARGUMENTS[name].dtype) for name, value in options.items()
        }
        options["stop"] = tf.reshape(options["stop"], [-1])
        sampling = self._sampling(**options)
        carry = self._begin(tf.constant([prompt]), sampling, 1)
        key = random.root(seed, random.SAMPLING)
        decoder = self.tokenizer.decoder()
        drawn, shown = np.zeros([0], np.int32), 0
        while len(drawn) < limit and not carry.finished[0]:
            count = min(STREAM_CHUNK, limit - len(drawn))
            buffer = tf.zeros([1, STREAM_CHUNK], tf.int32)
            # Tensors, because a function is traced anew for every other Python number.
            first, count = tf.constant(len(drawn)), tf.constant(count)
            tokens, carry = self._decode(carry, buffer, first, count, key, sampling)
            new = tokens.numpy()[0, : int(carry.drawn[0]) - len(drawn)]
            drawn = np.concatenate([drawn, new])
            # What may yet be cut off as part of a stop text is held back.
            finished = bool(carry.finished[0])
            end = len(drawn) - (int(carry.trim[0]) if finished else max(longest_stop - 1, 0))
            if end > shown:
                piece = decoder.decode(drawn[shown:end])
                shown = end
                if piece:
                    yield piece
        end = len(drawn) - int(carry.trim[0])
        piece = decoder.decode(drawn[shown:end], final=True)
        if piece:
            yield piece

    def score(self, texts):
        """How likely the model finds texts, each taken to follow a line break.

        Args:
            texts: A text or a list of texts.

        Returns:
            A dict of float64 arrays `(texts,)`, or of numbers for a single text: `log_likelihood`
            in nats, `nats_per_character`, `bits_per_character`, and the int `characters`. An empty
            text has a log-likelihood of 0 and NaN per character.
        """
        single = isinstance(texts, str)
        result = self._score_graph(tf.constant(_texts("texts", texts), tf.string))
        result = {name: value.numpy() for name, value in result.items()}
        return {name: value[0] for name, value in result.items()} if single else result

    def export(self, filepath, **kwargs):
        """Writes a SavedModel that generates and scores with TensorFlow alone.

        Its signatures take any number of texts:

        - `serving_default`: `prompts` -> `texts` `(batch,)`, drawn as `model.generation` says, with
          a new seed for every call;
        - `generate`: `prompts` and, as tensors, every argument of `generate` -> `texts`
          `(batch, num_samples)`; the same text for the same seed as this model;
        - `score`: `texts` -> what `score` returns.

        Args:
            filepath: Folder to write; servers expect the name `<model>/<number>`.
        """
        write_saved_model(
            filepath,
            {
                "serving_default": (self._serve, {"prompts": _ARGUMENTS["prompts"]}),
                "generate": (self._serve_generate, _ARGUMENTS),
                "score": (self._score_texts, {"texts": _ARGUMENTS["prompts"]}),
            },
            **kwargs,
        )

    # Text around the compiled cores. These run as graphs, here and in the SavedModel.

    def _serve(self, prompts):
        defaults = self._options()
        stop = tf.constant(defaults.pop("stop"), tf.string)
        # A graph holds no other source of a new seed: this draw is the one that is not stateless.
        # The raw operation, because `tf.random.uniform` would store a seed that was set for the
        # exporting program, and every server would then give the same texts.
        seed = tf.raw_ops.RandomUniformInt(
            shape=tf.constant([], tf.int32),
            minval=tf.constant(0, tf.int64),
            maxval=tf.constant(tf.int64.max),
            seed=0,
            seed2=0,
        )
        texts = self._generate_texts(
            prompts, **{**defaults, "stop": stop}, num_samples=1, seed=seed, strip_prompt=False
        )
        return {"texts": texts[:, 0]}

    def _serve_generate(self, **arguments):
        return {"texts": self._generate_texts(**arguments)}

    def _generate_texts(
        self,
        prompts,
        max_new_tokens,
        temperature,
        top_k,
        top_p,
        min_p,
        repetition_penalty,
        stop,
        num_samples,
        seed,
        strip_prompt,
    ):
        """`generate` as a graph; returns strings `(batch, num_samples)`."""
        sampling = self._sampling(temperature, top_k, top_p, min_p, repetition_penalty, stop)
        carry = self._begin(prompts, sampling, num_samples)
        capacity = _bucket(max_new_tokens, TOKENS_BUCKET)
        buffer = tf.zeros([tf.shape(carry.logits)[0], capacity], tf.int32)
        key = random.root(seed, random.SAMPLING)
        first = tf.constant(0)
        tokens, carry = self._decode(carry, buffer, first, max_new_tokens, key, sampling)
        texts = self.tokenizer.detokenize(tokens, carry.drawn - carry.trim)
        texts = tf.reshape(texts, [-1, num_samples])
        prefix = tf.where(strip_prompt, tf.zeros_like(prompts), prompts)
        return tf.strings.join([tf.repeat(prefix[:, None], num_samples, axis=1), texts])

    def _begin(self, prompts, sampling, num_samples):
        """Reads the prompts; returns the `Carry` of `num_samples` rows for each."""
        ids, lengths = self._start_and(prompts)
        state, logits, seen = self._prefill_graph(ids, lengths)
        rows = tf.nest.map_structure(
            lambda x: tf.repeat(x, num_samples, axis=0), (state, logits, seen)
        )
        return decoding.start(*rows, sampling.stops)

    def _start_and(self, texts):
        """Tokens int32 `(batch, time)` of each text behind a line break, and their lengths."""
        ids, lengths = self.tokenizer.tokenize(texts)
        ids = tf.pad(ids, [[0, 0], [1, 0]], constant_values=int(self.tokenizer.encode(START)[0]))
        return ids, lengths + 1

    def _sampling(self, temperature, top_k, top_p, min_p, repetition_penalty, stop):
        stops = decoding.align_stops(*self.tokenizer.tokenize(stop))
        return decoding.Sampling(temperature, top_k, top_p, min_p, repetition_penalty, stops)

    def _score_texts(self, texts):
        """`score` as a graph."""
        # What is not valid UTF-8 counts as the characters that it is read as.
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        ids, lengths = self._start_and(texts)
        steps = (tf.shape(ids)[1] + SCORE_CHUNK - 2) // SCORE_CHUNK
        ids = tf.pad(ids, [[0, 0], [0, steps * SCORE_CHUNK + 1 - tf.shape(ids)[1]]])

        def body(chunk, total, state):
            piece = ids[:, chunk * SCORE_CHUNK : (chunk + 1) * SCORE_CHUNK + 1]
            piece = tf.ensure_shape(piece, [None, SCORE_CHUNK + 1])
            # A text of n tokens after the start has n targets.
            nats, state = self._nats_core(piece, lengths - 1 - chunk * SCORE_CHUNK, state)
            return chunk + 1, total + tf.reduce_sum(tf.cast(nats, tf.float64), axis=1), state

        total = tf.zeros(tf.shape(lengths), tf.float64)
        state = self.initial_state(tf.shape(ids)[0])
        _, nats, _ = tf.while_loop(lambda chunk, *_: chunk < steps, body, (0, total, state))
        characters = tf.strings.length(texts, unit="UTF8_CHAR")
        per_character = nats / tf.cast(characters, tf.float64)
        return {
            "log_likelihood": 0.0 - nats,  # no -0.0 for an empty text
            "nats_per_character": per_character,
            "bits_per_character": per_character / np.log(2.0),
            "characters": characters,
        }

    # The compiled cores: numbers in, numbers out.

    def _prefill(self, ids, lengths):
        """The state after prompts, the logits of what follows, and which tokens they hold."""
        batch, time = tf.unstack(tf.shape(ids))
        valid = tf.range(time)[None] < lengths[:, None]  # (batch, time)
        hidden, state = self.hidden_states(ids, self.initial_state(batch), mask=valid)
        last = tf.gather(hidden, lengths - 1, batch_dims=1)  # (batch, width)
        # The start token was not written by anybody, so it is not penalised as a repetition.
        counted = valid & (tf.range(time)[None] > 0)
        vocabulary = tf.range(self.tokenizer.vocabulary_size)
        seen = tf.reduce_any((ids[:, :, None] == vocabulary) & counted[:, :, None], axis=1)
        return state, tf.cast(self.logits(last), tf.float32), seen

    def _decode_core(self, carry, tokens, first, count, key, sampling):
        unknown_id = -1 if self.tokenizer.unknown_id is None else self.tokenizer.unknown_id
        forbidden = tf.range(self.tokenizer.vocabulary_size) == unknown_id
        return decoding.decode(
            self.stepper(), carry, tokens, first, count, key, sampling, forbidden
        )

    def _nats_core(self, ids, count, state):
        """The nats of each of `ids[:, 1:]`, int32 `(batch, time + 1)`, given all before it.

        `count` `(batch,)`: of each row so many targets are real; those after are 0 nats.
        Returns `(nats float32 (batch, time), state)`.
        """
        valid = tf.range(tf.shape(ids)[1] - 1)[None] < count[:, None]
        hidden, state = self.hidden_states(ids[:, :-1], state, mask=valid)
        logits = tf.cast(self.logits(hidden), tf.float32)
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(ids[:, 1:], logits)
        return tf.where(valid, nats, 0.0), state

    def _options(
        self,
        max_new_tokens=None,
        temperature=None,
        top_k=None,
        top_p=None,
        min_p=None,
        repetition_penalty=None,
        stop=None,
    ):
        """The sampling arguments of a call, checked, with the model's defaults for None."""
        default = self.generation
        given = {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "min_p": min_p,
            "repetition_penalty": repetition_penalty,
        }
        options = {k: getattr(default, k) if v is None else v for k, v in given.items()}
        check_sampling_arguments(**options)
        stop = _texts("stop", default.stop if stop is None else stop)
        options["stop"] = [text for text in stop if text]
        return options


def _bucket(length, smallest):
    """The least `smallest * 2**n` that is at least `length`, as an int32 scalar tensor."""
    ratio = tf.maximum(tf.cast(length, tf.float64) / smallest, 1.0)
    doublings = tf.math.ceil(tf.math.log(ratio) / np.log(2.0) - 1e-9)
    return smallest * tf.cast(tf.pow(tf.constant(2.0, tf.float64), doublings) + 0.5, tf.int32)


def _texts(name, value):
    """A text or several as a list, checked: TensorFlow says less clearly what is wrong."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        value = list(value)
    return list(check_texts(name, value))


def _seed(seed):
    return random.seed_tensor(random.new_seed() if seed is None else seed)
