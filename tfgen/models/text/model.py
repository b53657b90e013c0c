"""`TextModel`: models that predict the next token, whatever their network."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import has_arguments_of
from tfgen.errors import InputError, unknown
from tfgen.layers.checks import check_kind
from tfgen.models import serving
from tfgen.models.base import EXPORT_FORMAT, TextGenerator
from tfgen.models.engines.token_latent import TokenLatent
from tfgen.models.engines.token_rollout import TokenRollout
from tfgen.models.first_calls import FirstCalls
from tfgen.models.latents import check_latents
from tfgen.models.text.arguments import (
    as_input_error,
    check_sampled,
    check_unused,
    condition_of,
    fitting,
    for_each_source,
    grouped,
    guided_condition,
    options_of,
    tensors_of,
    texts_of,
)
from tfgen.models.text.graphs import OPTIONS, TOKENS_BUCKET, TextGraphs
from tfgen.models.text.latents import LatentTexts
from tfgen.models.text.searching import Searching
from tfgen.models.text.served import served_functions
from tfgen.models.text.streaming import pieces
from tfgen.preprocessing import TokenizerWithSource
from tfgen.sampling import random
from tfgen.sampling.buckets import bucket, row_bucket
from tfgen.sampling.search import check_search
from tfgen.values import whole_number

POOLINGS = ("mean", "last")


@keras.saving.register_keras_serializable(package="tfgen")
class TextModel(TextGenerator):
    """A generator that samples one token after another: an embedding, a network, and a softmax.

    Every text is understood to follow the tokenizer's start token, which is a line break unless
    the tokenizer has one of its own, so an empty prompt starts a line.

    Args:
        engine: A `tfgen.models.engines.token_rollout.TokenRollout`, or a
            `tfgen.models.engines.token_latent.TokenLatent`.
        **kwargs: Arguments of `SequenceGenerator`.

    Raises:
        ValueError: For an argument out of its range.

    Example:

    >>> network = RecurrentNetwork("gru", units=8, layers=1)
    >>> model = TextModel(TokenRollout(network, TokenEmission()), seed=1)
    >>> model(tf.constant([[104, 105]])).shape
    TensorShape([1, 2, 256])
    """

    def __init__(self, engine, **kwargs):
        check_kind(TokenLatent if isinstance(engine, TokenLatent) else TokenRollout, engine=engine)
        super().__init__(tokenizer=engine.emission.tokenizer, **kwargs)
        self.engine = engine
        # Everything that has weights, in the order in which norms of their gradients are summed.
        self.parts = engine.layers
        self.max_positions = engine.network.max_positions
        self.state_is_constant = engine.network.state_is_constant
        self.jit_compile_training = engine.network.jit_compile_training
        self.generation.check_used("text", engine.kind, engine.emission.conditional)
        self.built = True
        self._make_graphs()

    def build(self, input_shape=None):
        """Does nothing: every weight exists since the model was made."""

    def get_config(self):
        config = super().get_config()
        del config["tokenizer"]  # the engine's emission has it
        return {**config, "engine": keras.saving.serialize_keras_object(self.engine)}

    def _make_graphs(self):
        latent = isinstance(self.engine, TokenLatent)
        self.graphs = TextGraphs(self.engine.rollout if latent else self.engine)
        self.latent_texts = LatentTexts(self.engine, self.graphs) if latent else None
        self.searching = Searching(self.graphs)
        self._first_call = FirstCalls()

    def reset_graphs(self):
        """Forgets what was compiled, after a change of what the functions read besides weights."""
        self.engine.reset_graphs()
        self._make_graphs()

    @property
    def network(self):
        """The engine's network."""
        return self.engine.network

    @property
    def preprocessing(self):
        source = getattr(self.engine.emission.source_encoder, "source_processor", None)
        return self.tokenizer if source is None else TokenizerWithSource(self.tokenizer, source)

    @property
    def classes(self):
        """The names of the classes of texts, a tuple; none are numbers alone."""
        return tuple(self.engine.emission.classes or ())

    @property
    def token_embedding(self):
        """The embedding of tokens, `keras.layers.Embedding`."""
        return self.engine.emission.token_embedding

    def initial_state(self, batch_size):
        """The state before a text: a nest of tensors `(batch, ...)`."""
        return self.engine.initial_state(batch_size)

    def activations(self, inputs):
        record = {}
        condition = None
        if isinstance(inputs, dict):
            inputs, condition = inputs["tokens"], inputs["condition"]
        self.engine.hidden_states(inputs, record=record, condition=condition)
        return record

    def quantize_weights(self, dtype):
        self.engine.quantize_weights(dtype)
        self._make_graphs()

    def call(self, inputs, condition=None, training=False):
        """Logits `(batch, time, vocabulary)` of the token after each of int `(batch, time)`.

        A conditional model takes a dict as `fit` does as well.
        """
        if isinstance(inputs, dict):
            inputs, condition = inputs["tokens"], inputs.get("condition", condition)
        inputs = tf.cast(inputs, tf.int32)
        key = random.root(self.seed, random.DROPOUT) if training else None
        if self.latent_texts is None:
            self.engine.check_condition(condition)
        hidden, _ = self.engine.hidden_states(
            inputs, training=training, key=key, condition=condition
        )
        return self.engine.logits(hidden)

    # Training

    def batch_total(self, batch, key=None, state=None, training=False):
        total, count, state, _ = self.engine.loss(batch, key, state, training)
        return total, count, state

    def measured(self, batch, key=None, training=False):
        total, count, _, logits = self.engine.loss(batch, key, None, training)
        weights = batch[3] if len(batch) > 3 else None
        compared = {"y_true": batch[1], "y_pred": logits, "sample_weight": weights}
        return total, count, compared

    def weighted(self, pair, condition, weights):
        """`(inputs, targets, condition or None, weights)`, the weights those of the targets.

        `weights` are of windows, of their tokens, or of the targets.
        """
        weights, targets = tf.cast(weights, tf.float32), pair[1]
        if len(weights.shape) == 1:
            weights = weights[:, None]
        if weights.shape[-1] not in (1, None) and weights.shape[-1] == targets.shape[-1] + 1:
            weights = weights[:, 1:]  # of windows, whose first token is no target
        return (*pair, *(condition or (None,)), tf.broadcast_to(weights, tf.shape(targets)))

    def check_metrics(self, name, metrics):
        for metric in tf.nest.flatten(metrics):
            named = metric if isinstance(metric, str) else getattr(metric, "name", "")
            config = metric.get_config() if isinstance(metric, keras.metrics.Metric) else {}
            if config.get("from_logits") is False or named in ("crossentropy", "ce"):
                raise InputError(
                    "Metrics get logits: give keras.metrics.SparseCategoricalCrossentropy("
                    f"from_logits=True). Received: {name}={metrics!r}"
                )

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
        condition=None,
        guidance_scale=None,
        search=None,
        source=None,
    ):
        """Continues texts.

        The whole generation is one compiled loop. A first call compiles it; later ones with the
        about the same number of texts (1, 2, 4, 8, 16, 32, 48, ...), and lengths that round up to
        the same power of two, do not.

        Args:
            prompts: A text or a list of texts. Each gives the same as it would alone, except that
                text number i of a list is drawn with noise of its own.
            max_new_tokens: Tokens to draw for each text at most. None here and below takes the
                model's own default, `model.generation`; of a model whose positions end, this one
                is no more than its prompt leaves room for.
            temperature: Divides the logits; 0 takes the most likely token (greedy).
            top_k: Sample from the k most likely tokens; 0 is off.
            top_p: Draw from the smallest set of tokens whose probability reaches this
                (arXiv:1904.09751); 1.0 is off.
            min_p: Leave out tokens less likely than this times the most likely (arXiv:2407.01082).
            repetition_penalty: Above 1 makes tokens of the text so far less likely
                (arXiv:1909.05858).
            stop: A text or a list of texts that end the generation. The text returned ends before.
            num_samples: How many continuations of each prompt.
            seed: An integer. The same seed gives the same text, on every call and in the
                SavedModel; None takes a new one each time.
            strip_prompt: Return what follows the prompt only.
            condition: What the texts are conditioned on, if the model takes a condition: a class,
                its name or its number, or one for each text; an array `(items, condition_width)` or a list of them; a latent
                vector or one for each text. None is no condition, or latents from the prior.
            guidance_scale: Above 1 draws texts that are more like their condition than those of the
                training data (classifier-free guidance, arXiv:2207.12598, on logits as in
                arXiv:2306.17806); it costs a second row for each text. None takes the model's own
                default where there is a condition.
            search: Something of `tfgen.sampling.search` in place of sampling token by token:
                `BeamSearch`, `ContrastiveSearch` or `Speculative`. The first two sample nothing and
                take no temperature, no filters and no penalty.
            source: Of a model made with an encoder, what its texts are made of: a text for all, or
                a list with one for each, which then is as long as that of the prompts. Of sources
                that are numbers an array `(time, features)`, or a list of such.

        Returns:
            A text for a text, a list for a list; with `num_samples` above 1 a list of so many
            texts in place of each text.

        Raises:
            InputError: For an argument out of its range.
        """
        prompts, source = for_each_source(self.engine.emission, prompts, source)
        single = isinstance(prompts, str)
        texts = texts_of("prompts", prompts)
        given = {
            "max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k,
            "top_p": top_p, "min_p": min_p, "repetition_penalty": repetition_penalty, "stop": stop,
            "guidance_scale": guidance_scale,
        }  # fmt: skip
        options = options_of(self.generation, given)
        num_samples = whole_number("num_samples", num_samples, 1)
        check_sampled(search, given)
        condition = guided_condition(
            self.engine.emission, condition, len(texts), guidance_scale, options, source
        )
        if not texts:
            return []
        given, each = texts, num_samples
        if self.latent_texts is not None:
            seed = random.call_seed(seed)
            given, each, condition = self.latent_texts.rows(given, each, condition, seed)
        rows = int(row_bucket(tf.constant(len(texts) * num_samples)))
        sizes = rows, int(bucket(options.max_new_tokens, TOKENS_BUCKET))
        if check_search(search) is not None:
            with as_input_error():
                options = fitting(self.graphs, options, given, max_new_tokens is None)
                with self._first_call("search", search.kind, *sizes):
                    arrays = self.searching.find(search, given, options, each, seed, condition)
            prefixes = [""] * len(given) if strip_prompt else given
            samples = [p + text for p, row in zip(prefixes, arrays) for text in row]
            return grouped(samples, num_samples, single)
        with as_input_error(), self._first_call("generate", *sizes):
            arrays = self.graphs.generate_graph(rows == 1)(
                tensors_of(
                    prompts=given,
                    **{name: getattr(options, name) for name in OPTIONS},
                    num_samples=each,
                    seed=random.call_seed(seed),
                    strip_prompt=strip_prompt,
                    **condition,
                ),
                tf.constant(max_new_tokens is None),
            )
        samples = [text.decode("utf-8") for text in arrays.numpy().ravel()]
        return grouped(samples, num_samples, single)

    @has_arguments_of(generate, without=("num_samples", "search"))
    def stream(self, prompt="", *, seed, strip_prompt, condition, source, **given):
        """Continues one text piece by piece; joined, the pieces are what `generate` returns.

        Takes the arguments of `generate`. Whole characters come only, and nothing that could
        still turn out to be the beginning of a stop text.

        Returns:
            An iterator of texts.
        """
        options = options_of(self.generation, given)
        (prompt,) = texts_of("prompt", [prompt])
        condition = guided_condition(
            self.engine.emission, condition, 1, given["guidance_scale"], options, source
        )
        begun, seed = "" if strip_prompt else prompt, random.call_seed(seed)
        if self.latent_texts is not None:
            _, _, condition = self.latent_texts.rows([prompt], 1, condition, seed)
        with as_input_error():  # now, not when the first piece is asked for
            options = fitting(self.graphs, options, [prompt], given["max_new_tokens"] is None)
        return pieces(self.graphs, prompt, begun, options, condition, seed, self._first_call)

    def score(self, texts, condition=None, importance_samples=None, seed=None, source=None):
        """How likely the model finds texts, each taken to follow a line break.

        That it ends counts for a text only if it ends with a line break.

        Args:
            texts: A text or a list of texts.
            condition: See `generate`.
            importance_samples: Of a model with latents, samples of the posterior: 1, the default,
                gives the evidence lower bound, and more the importance-weighted bound
                (arXiv:1509.00519), which comes nearer.
            seed: Of these samples; None is 0.
            source: See `generate`.

        Returns:
            A dict of float64 arrays `(texts,)`, or of numbers for a single text: `log_likelihood`
            in nats, `nats_per_character`, `bits_per_character`, and the int `characters`. An empty
            text has a log-likelihood of 0 and NaN per character. Of a model with latents a lower
            bound of it, whose parts are the nats `rate`, of the posterior from the prior, and
            `reconstruction`, of the text given the latents.
        """
        single = isinstance(texts, str)
        texts = texts_of("texts", texts)
        condition = condition_of(self.engine.emission, condition, len(texts), source)
        tensors = {"texts": tf.constant(texts, tf.string), **condition}
        bounded = self.latent_texts is not None and not condition
        sampled = {"importance_samples": importance_samples, "seed": seed}
        with as_input_error():
            if bounded:
                result = self.latent_texts.bound(tensors, **sampled)
            else:
                check_unused("models with latents, whose likelihood is bounded", **sampled)
                result = self.graphs.score_graph(tensors)
        result = {name: value.numpy() for name, value in result.items()}
        return {name: value[0] for name, value in result.items()} if single else result

    def encode(self, texts, pooling=None, condition=None, source=None):
        """Embeds texts: the last hidden states, pooled over the positions of each text; or latents.

        Args:
            texts: A text or a list of texts.
            pooling: `"mean"` of all positions, the default, or the `"last"` one, which has read the
                whole text.
            condition: See `generate`.
            source: See `generate`.

        Returns:
            float32 array `(texts, width)`, or `(width,)` for a single text. Of a model with latents
            the means of their posteriors, which neither a pooling nor a condition is for.

        Raises:
            InputError: For another pooling.
        """
        single = isinstance(texts, str)
        texts = texts_of("texts", texts)
        if self.latent_texts is not None:
            unused = {"pooling": pooling, "condition": condition, "source": source}
            check_unused("models without latents", **unused)
            with as_input_error():
                found = self.latent_texts.encode_graph({"texts": tf.constant(texts, tf.string)})
            latents = found["latents"].numpy()
            return latents[0] if single else latents
        pooling = "mean" if pooling is None else pooling
        if pooling not in POOLINGS:
            raise unknown("pooling", pooling, POOLINGS)
        condition = condition_of(self.engine.emission, condition, len(texts), source)
        with as_input_error():
            result = self.graphs.encode_graph({"texts": tf.constant(texts, tf.string), **condition})
        result = result[pooling].numpy()
        return result[0] if single else result

    def decode(self, latents, seed=None, **options):
        """The texts of latents, of a model that has them.

        Args:
            latents: `(latent_size,)`, or `(texts, latent_size)`.
            seed: See `generate`.
            **options: Of `generate`: how is sampled.

        Returns:
            A text, or a list of texts.

        Raises:
            InputError: Of a model without latents, or for an argument out of its range.
        """
        check_latents(self, "decode")
        single = np.ndim(latents) == 1
        prompts = "" if single else [""] * len(latents)
        return self.generate(prompts, seed=seed, condition=latents, **options)

    def export(self, filepath, format=EXPORT_FORMAT, verbose=False, warm=()):
        """Writes a SavedModel that generates, scores and encodes with TensorFlow alone.

        Its signatures take any number of texts:

        - `serving_default`: `prompts` -> `texts` `(batch,)`, drawn as `model.generation` says, with
          a new seed for every call;
        - `generate`: `prompts` and, as tensors, every argument of `generate` -> `texts`
          `(batch, num_samples)`; the same text for the same seed as this model;
        - `score`: `texts` -> what `score` returns;
        - `encode`: `texts` -> `mean` and `last`, each `(batch, width)`; of a model with latents
          `latents`, which its `decode` turns into `texts`, and `interpolate`, given two of them and
          `steps`, into as many on the way between;
        - `stream`, of a model without latents: `state` and `index`, zeros at first, and `prompts`
          -> the next piece of each text, and the `state` and `index` after it, see docs/serving.md.

        A model that takes a condition has it as a further argument of each: `condition` `(batch,)`,
        -1 for none, or `condition` `(batch, items, width)` with `condition_valid` `(batch, items)`;
        one with an encoder has `source` `(batch,)`, or of numbers `source` `(batch, time,
        features)` with `source_lengths` `(batch,)`.

        Args:
            filepath: Folder to write; servers expect the name `<model>/<number>`.
            format: `"tf_saved_model"`, as Keras calls it.
            verbose: Whether to print each signature.
            warm: Numbers of prompts for which servers compile `serving_default` before they serve.

        Raises:
            InputError: For another format, a folder that holds something, or a tokenizer that runs
                outside of TensorFlow.
        """
        serving.write(self, filepath, format, verbose, warm)

    def functions(self, random=True):
        """What is served, as `tfgen.export.Function`s; see `export`.

        Args:
            random: See `tfgen.models.text.served`.
        """
        return served_functions(self, random)
