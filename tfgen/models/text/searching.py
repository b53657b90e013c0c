"""`generate(search=...)`: the ways to find a text other than drawing it token by token."""

import tensorflow as tf

from tfgen.errors import InputError
from tfgen.models.text.arguments import sampling_of
from tfgen.models.text.graphs import TOKENS_BUCKET
from tfgen.sampling import random
from tfgen.sampling.beam import beam_search
from tfgen.sampling.buckets import bucket
from tfgen.sampling.contrastive import contrastive_search
from tfgen.sampling.rows import in_sizes
from tfgen.sampling.speculative import speculative_decode


class Searching:
    """The compiled searches of one model.

    Each is compiled for the sizes of a call and for what is a Python number in it: the number of
    beams, of candidates or of guesses.

    Args:
        graphs: The model's `TextGraphs`.
    """

    def __init__(self, graphs):
        self._graphs = graphs
        self._engine = graphs.engine
        self._compiled = {}

    def find(self, search, texts, options, num_samples, seed, condition):
        """`num_samples` continuations of each text, as lists of texts.

        Args:
            search: One of `tfgen.sampling.search`.
            texts: The prompts.
            options: A `TokenSampling`, whose tokens have room.
            num_samples: Texts for each prompt.
            seed: An integer, or None for a new one.
            condition: Tensors of `guided_condition`.
        """
        if search.kind != "beam" and "guidance_scale" in condition:
            scale = float(condition["guidance_scale"])
            if scale != 1:
                raise InputError(
                    f"guidance_scale goes with a beam search only. Received: guidance_scale={scale}"
                )
            condition = {name: condition[name] for name in condition if name != "guidance_scale"}
        count, sampling = options.max_new_tokens, sampling_of(self._graphs, options)
        prompts = tf.constant(texts)

        def begun(graphs, room, num_samples):
            # A draft may know nothing of conditions.
            known = {
                name: condition[name] for name in condition if name in graphs.condition_specs()
            }
            # The state and the hidden states of the prompt where there are no samples to draw.
            # Tensors, because a graph is traced anew for every other Python number.
            slots = tf.constant(room)
            if num_samples is None:
                return graphs.history_graph(prompts, slots, known), sampling, None
            carry = graphs.search_graph(
                prompts, sampling, tf.constant(num_samples), tf.constant(count), slots, known
            )
            return carry, sampling, known.get("guidance_scale")

        capacity = int(bucket(count, TOKENS_BUCKET))
        seed = random.call_seed(seed)
        found = self.run(search, begun, count, capacity, num_samples, seed)
        found = self._graphs.tokenizer.detokenize_without(*found).numpy()
        found = [text.decode("utf-8") for text in found]
        return [found[i : i + num_samples] for i in range(0, len(found), num_samples)]

    def run(self, search, begun, count, capacity, num_samples, seed):
        """Searches.

        Args:
            search: One of `tfgen.sampling.search`.
            begun: Function `(graphs, room, num_samples)` -> `(carry, sampling, scale)`, which reads
                the prompts; a draft reads them too.
            count: Tokens to find at most.
            capacity: What `count` is rounded up to.
            num_samples: Texts for each prompt.
            seed: int64 scalar tensor.

        Returns:
            `(tokens, lengths, trim)`: int32 `(prompts * num_samples, capacity)`, and `(rows,)`:
            the tokens found, and how many symbols a stop text takes off their end.
        """
        return getattr(self, f"_{search.kind}")(search, begun, count, capacity, num_samples, seed)

    def _beam(self, search, begun, count, capacity, num_samples, seed):
        if num_samples > search.num_beams:
            raise InputError(
                f"num_samples must be at most num_beams, {search.num_beams}, in a beam search. "
                f"Received: num_samples={num_samples}"
            )
        carry, sampling, scale = begun(self._graphs, capacity, 1)
        buffer = tf.zeros([tf.shape(carry.logits)[0], capacity], tf.int32)

        def find(state, logits, buffer, count, length_penalty, stops, scale):
            return beam_search(
                self._engine.logits_step(scale),
                state,
                logits,
                buffer,
                count,
                search.num_beams,
                length_penalty,
                stops,
                self._engine.emission.forbidden,
                spelling=self._graphs.tokenizer.spelling,
            )

        penalty = tf.constant(search.length_penalty, tf.float32)
        found = self._jit(
            ("beam", search.num_beams), find, (carry.state, carry.logits, buffer),
            tf.constant(count), penalty, sampling.stops, scale,
        )  # fmt: skip
        tokens = tf.reshape(found.tokens[:, :num_samples], [-1, capacity])
        return tokens, *(tf.reshape(x[:, :num_samples], [-1]) for x in (found.lengths, found.trim))

    def _contrastive(self, search, begun, count, capacity, num_samples, seed):
        if num_samples != 1:
            raise InputError(
                "num_samples must be 1 in a contrastive search, which draws nothing. "
                f"Received: num_samples={num_samples}"
            )
        (state, hidden, valid), sampling, _ = begun(self._graphs, capacity, None)
        rows = tf.range(tf.shape(hidden)[0])
        last = tf.reduce_sum(tf.cast(valid, tf.int32), axis=1) - 1
        buffer = tf.zeros([hidden.shape[0], capacity], tf.int32)

        def find(state, last, hidden, valid, buffer, count, alpha, stops):
            return contrastive_search(
                self._engine.stepper(),
                self._engine.logits,
                state,
                last,
                hidden,
                valid,
                buffer,
                count,
                search.top_k,
                alpha,
                stops,
                self._engine.emission.forbidden,
                spelling=self._graphs.tokenizer.spelling,
            )

        last = tf.gather_nd(hidden, tf.stack([rows, last], axis=1))
        return self._jit(
            ("contrastive", search.top_k), find, (state, last, hidden, valid, buffer),
            tf.constant(count), tf.constant(search.alpha, tf.float32), sampling.stops,
        )  # fmt: skip

    def _speculative(self, search, begun, count, capacity, num_samples, seed):
        draft = search.draft
        if draft.tokenizer.get_config() != self._graphs.tokenizer.get_config():
            raise InputError(
                "draft must have the tokenizer of the model that it guesses for: their tokens "
                f"are different. Received: draft with {draft.tokenizer.vocabulary_size} tokens, "
                f"for {self._graphs.tokenizer.vocabulary_size}"
            )
        # Guesses are read before it is known whether they stay.
        room = capacity + 2 * search.draft_tokens + 2
        carry, sampling, _ = begun(self._graphs, room, num_samples)
        guessing, _, _ = begun(draft.graphs, room, num_samples)

        def find(carry, draft_state, buffer, count, key, sampling):
            verify, rewind = self._engine.verifier()
            return speculative_decode(
                (verify, rewind, self._engine.logits),
                (draft.engine.stepper(), draft.engine.logits),
                carry,
                draft_state,
                buffer,
                count,
                key,
                sampling,
                self._engine.emission.forbidden,
                search.draft_tokens,
                spelling=self._graphs.tokenizer.spelling,
            )

        # The draft itself, not its id, which a later model might have again.
        name = "speculative", search.draft_tokens, draft
        key = random.root(seed, random.SAMPLING)
        buffer = tf.zeros([1, capacity], tf.int32)
        texts = []
        # One text after another: what speculation saves is the wait for a single text.
        for row in range(carry.logits.shape[0]):
            one, one_draft = tf.nest.map_structure(
                lambda x: x[row : row + 1], (carry, guessing.state)
            )
            operands = tf.constant(count), random.fold(key, row), sampling
            texts.append(self._jit(name, find, (one, one_draft, buffer), *operands))
        search.count(
            *(sum(int(getattr(text, name)) for text in texts) for name in ("proposed", "accepted")),
            passes=sum(int(text.rounds) for text in texts),
            tokens=sum(int(text.drawn[0]) for text in texts),
        )
        tokens = tf.concat([text.tokens for text in texts], axis=0)
        drawn, trim = ([getattr(text, name) for text in texts] for name in ("drawn", "trim"))
        return tokens, tf.concat(drawn, axis=0), tf.concat(trim, axis=0)

    def _jit(self, key, function, rows, *operands):
        """What a function gives of tensors with rows, and of others, compiled for its key."""
        if key not in self._compiled:
            self._compiled[key] = tf.function(function, jit_compile=True, autograph=False)
        return in_sizes(rows, lambda rows, beyond: self._compiled[key](*rows, *operands))
