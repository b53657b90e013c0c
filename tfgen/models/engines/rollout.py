"""`Rollout`: sequences of numbers drawn position by position, each given those before it."""

import functools

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.errors import unknown
from tfgen.export import Function
from tfgen.layers.checks import check_kind
from tfgen.models.engines.rollout_stream import pieces, stream_function
from tfgen.models.first_calls import FirstCalls
from tfgen.models.numbers.context import SequenceContext
from tfgen.models.numbers.emission import NumberEmission
from tfgen.models.numbers.results import likelihoods_of, observed_of, summary_of
from tfgen.models.parts import made_of_parts
from tfgen.models.serving import constant, option_specs
from tfgen.networks import CausalNetwork
from tfgen.networks.source_encoder import SourceEncoder
from tfgen.recipe import RolloutSampling
from tfgen.sampling import random
from tfgen.sampling import rollout as rolling
from tfgen.sampling.buckets import bucket, row_bucket
from tfgen.sampling.particles import Observed, fill
from tfgen.sampling.rows import repeat_rows
from tfgen.values import whole_number

# The loops are compiled for room for so many positions, times a power of two.
BUCKET = 32
POOLINGS = ("mean", "last")
# Tensors that say how is sampled.
SAMPLING = option_specs(RolloutSampling, "temperature", "bias")


@keras.saving.register_keras_serializable(package="tfgen")
class Rollout:
    """Positions one after another: a causal network, and an emission that it tells of each.

    The graphs are the same here and in a SavedModel; the loops in them are compiled.

    Args:
        network: A `tfgen.networks.CausalNetwork`; without weights yet, it gets them here.
        emission: A `NumberEmission`.
        source_encoder: A `SourceEncoder`, if sequences are made of sources, such as drawings of the
            texts that they say; the network attends to what it gives.
    """

    kind = "autoregressive"  # of `tfgen.uses.ENGINES`
    # Whether the loss is a negative log-likelihood, in nats for each position.
    loss_is_likelihood = True
    # Whether what a sample begins with does not depend on how long it may be at most.
    draws_in_order = True
    rows_at_once = 4096  # futures, for their memory

    def __init__(self, network, emission, source_encoder=None):
        check_kind(CausalNetwork, network=network)
        check_kind(NumberEmission, emission=emission)
        emission.join(network)
        if source_encoder is not None:
            check_kind(SourceEncoder, source_encoder=source_encoder)
            source_encoder.make_weights(network.output_width)
        self.network = network
        self.emission = emission
        self.source_encoder = source_encoder
        self.context, self.positions = emission.context, emission.positions
        self.processor = self.positions.processor
        self.history = emission.reading.lags.history  # samples before a window that are of use
        # What futures hold of the past takes 256 MB at most.
        held = max(emission.reading.span * self.positions.width, 1)
        self.rows_at_once = min(type(self).rows_at_once, max(2**26 // held, 1))
        most = network.max_positions
        self.max_positions = most and self.positions.room(most)
        self.state_is_constant = network.state_is_constant
        self.jit_compile_training = network.jit_compile_training
        self.reset_graphs()

    @classmethod
    def compose(cls, take, network):
        """Returns the engine of a class of networks; `take` is of `tfgen.models.families`."""
        emission = take(
            NumberEmission, context=take(SequenceContext, name="context"), name="emission"
        )
        source, own = take(SourceEncoder, name="source"), {}
        source = None if source.encoder is None else source
        if take.has(network, "cross_attention"):
            own["cross_attention"] = source is not None
        return cls(take(network, name="network", **own), emission, source)

    @property
    def layers(self):
        """What has weights, in the order in which these are kept."""
        own = filter(None, [self.emission.input_projection, self.source_encoder])
        return [self.context, self.network, *own, self.emission]

    def initial_state(self, batch_size, given=None):
        """The state before a sequence: a nest of tensors `(batch, ...)`.

        Args:
            batch_size: Number of sequences.
            given: Dict with their sources, as of `SourceEncoder.context`.
        """
        return self.network.initial_state(batch_size, **self._context(batch_size, given or {}))

    def _context(self, rows, given, key=None):
        if self.source_encoder is None:
            return {}
        return {"context": self.source_encoder.context(self.network, rows, given, key)}

    def reset_graphs(self):
        """Forgets what was compiled, after a change of what the functions read besides weights."""
        self.roll = tf.function(self._roll_core, jit_compile=True, autograph=False)
        # Rows known to be one, by which products with a vector go.
        self.roll_single = tf.function(self._roll_core, jit_compile=True, autograph=False)
        self._fill = tf.function(self._fill_core, jit_compile=True, autograph=False)
        self._first_call = FirstCalls()
        self._graphs = {}

    def quantize_weights(self, dtype):
        self.network.quantize_weights(dtype)
        self.reset_graphs()

    # Training

    def loss(self, batch, key=None, state=None, training=False):
        """The sum of the nats of a batch's positions, their number, and the state at the end."""
        hidden, state, scale = self.read(batch, state, training, key if training else None)
        nats = -tf.reduce_sum(self.emission.log_prob(hidden, batch, scale, training))
        return nats, tf.reduce_sum(tf.cast(batch["valid"], tf.float32)), state

    def outputs(self, batch, seed, training=False):
        """The parameters of the distribution of each position, given those before it.

        A dict with those of the `numbers` and of the `categories`.
        """
        key = random.root(seed, random.DROPOUT) if training else None
        hidden, _, _ = self.read(batch, training=training, key=key)
        return self.emission.call(hidden)

    def activations(self, batch):
        """What the layers give for a batch: a dict from names to tensors."""
        record = {}
        self.read(batch, record=record)
        return record

    def read(
        self, batch, state=None, training=False, key=None, record=None, masked=False, attended=None
    ):  # fmt: skip
        """The network over sequences `batch["values"]` `(batch, time, features)`.

        Returns:
            `(hidden, state, scale)`: hidden `(batch, time, width)` from which each position is
            predicted, given those before it, and the scale of each series `(batch, 1, numbers)`.
        """
        with tf.name_scope("position_inputs"):  # one box in TensorBoard's graph
            rows, time = tf.unstack(tf.shape(batch["values"])[:2])
            past = self.emission.reading.before(batch)
            covariates = self.positions.covariates(batch)
            whole, scale = self.context.call(batch, rows, key)
            whole = tf.broadcast_to(whole[:, None], [rows, time, whole.shape[-1]])
            scale = None if scale is None else scale[:, None]
            x = self.emission.inputs(past, covariates, whole, scale)
        mask = batch["valid"] if masked else None
        x = self.emission.project(x)
        given = {} if attended is None else {"attended": attended}
        if state is None:
            given |= self._context(rows, batch, key)
        hidden, state = self.network.call(x, state, mask, training, key, record, **given)
        return tf.cast(hidden, tf.float32), state, scale

    # What a person calls, by keyword the options

    def generate(self, arguments, defaults, seed, *, temperature=None, bias=None):
        """Samples from nothing.

        Args:
            arguments: Tensors of `Positions.generate_specs` but for the sampling.
            defaults: `Defaults`.
            seed: An integer, or None for a new one.
            temperature: Of `Rollout`'s sampling.
            bias: As well.

        Returns:
            `values` `(num_samples, length, features)`, `lengths` and `clip_fraction`, as arrays.
        """
        arguments = {**arguments, **self._sampling(defaults, seed, temperature, bias)}
        rows, length = int(arguments["num_samples"]), int(arguments["length"])
        with self._first_call("generate", _size(rows), self._capacity(length)):
            result = self._graph("generate", alone=rows == 1)(arguments)
        return {name: value.numpy() for name, value in result.items()}

    def forecast(self, arguments, defaults, seed, *, temperature=None, bias=None):
        """Samples what comes after series: tensors as of `Positions.forecast_specs`."""
        arguments = {**arguments, **self._sampling(defaults, seed, temperature, bias)}
        rows = len(arguments["lengths"]) * int(arguments["num_samples"])
        capacity = self._capacity(int(arguments["horizon"]))
        with self._first_call("forecast", _size(rows), capacity):
            return self._graph("forecast", alone=rows == 1)(arguments)

    def impute(self, arguments, defaults, seed, *, particles=256):
        """Fills the gaps of one series: an array `(num_samples, time, features)`.

        What comes after a gap is taken into account by a particle filter whose surviving lines of
        descent are the samples; see `tfgen.sampling.particles`.
        """
        particles = whole_number("particles", particles, 2)
        num_samples, values = int(arguments["num_samples"]), arguments["values"]
        time = values.shape[1]
        batch = self.positions.series(arguments)
        frames = self.positions.count(time)
        capacity = int(bucket(frames, BUCKET))
        padded = tf.pad(
            batch["values"][0], [[0, capacity - frames], [0, 0]], constant_values=np.nan
        )
        # Covariates of one sequence for so many rows and positions.
        covariates = self.positions.covariates(batch)
        covariates = tf.pad(covariates, [[0, 0], [0, capacity - tf.shape(covariates)[1]], [0, 0]])
        covariates = tf.broadcast_to(covariates, [particles, capacity, covariates.shape[-1]])
        sampling = self._sampling(defaults, seed, 1.0, 0.0)
        begun = self.begin(particles, batch, sampling, covariates, capacity)
        begun = begun._replace(count=tf.constant(frames))
        with self._first_call("impute", particles, capacity):
            slots = tf.zeros([_size(num_samples)])
            filled = self._fill(begun, padded, slots, tf.constant(num_samples))
        filled = self.positions.restored(filled)[:num_samples, :time]
        return np.where(np.isnan(values), filled.numpy(), values)

    def score(self, arguments, defaults, *, ends=True):
        """The likelihood of series, tensors as of `Positions.series_specs`; of their ends, too?"""
        return self._graph("score" if ends else "score_within")(arguments)

    def encode(self, arguments, defaults, *, pooling="mean"):
        """The last hidden states of series, pooled over the positions of each: an array."""
        if pooling not in POOLINGS:
            raise unknown("pooling", pooling, POOLINGS)
        return self._graph("encode")(arguments)[pooling].numpy()

    def stream(self, told, length, defaults, seed, *, temperature=None, bias=None):
        """An iterator of the pieces of one sequence; `told` as of `Told.of_samples`."""
        sampling = self._sampling(defaults, seed, temperature, bias)
        return pieces(self, told, length, sampling, functools.partial(self._first_call, "stream"))

    def functions(self, defaults):
        """What is served: `Function`s of tensors in the data's units."""
        names = "generate", "forecast", "score", "encode"
        found = [Function(name, self._graph(name), self._specs(name)) for name in names]
        if self.source_encoder is not None:  # whose length a state of one size cannot hold
            return found
        return [*found, stream_function(self, self._specs("generate"), BUCKET)]

    def serving_defaults(self, defaults):
        """The defaults of the inputs of `functions` that say how is sampled."""
        return {
            "temperature": constant(float(defaults.generation.temperature)),
            "bias": constant(float(defaults.generation.bias)),
        }

    def _capacity(self, length):
        """What a loop over so many samples is compiled for."""
        return int(bucket(self.positions.count(length), BUCKET))

    def _sampling(self, defaults, seed, temperature, bias):
        options = RolloutSampling.of(defaults.generation, temperature=temperature, bias=bias)
        return {
            "seed": random.call_seed(seed),
            "temperature": tf.constant(options.temperature),
            "bias": tf.constant(options.bias),
        }

    # Graphs around the compiled loops

    def _specs(self, name):
        specs = {
            "generate": self.positions.generate_specs,
            "forecast": self.positions.forecast_specs,
        }
        found = specs[name](SAMPLING) if name in specs else self.positions.series_specs()
        return found | (self.source_encoder.reader.specs if self.source_encoder else {})

    def _graph(self, name, **known):
        key = name, *known.values()
        if key not in self._graphs:
            function = functools.partial(getattr(self, f"_{name}"), **known)
            specs = [self._specs(name)]
            self._graphs[key] = tf.function(function, input_signature=specs, autograph=False)
        return self._graphs[key]

    def _generate(self, arguments, alone=None):
        rows, length = arguments["num_samples"], arguments["length"]
        count = self.positions.count(length)
        capacity = bucket(count, BUCKET)
        given = dict(arguments)
        if "known" in given:
            given["known"] = self.positions.with_more(given["known"], capacity)
        covariates = self.positions.covariates_ahead(given, tf.constant(0), capacity, rows)
        begun = self.begin(rows, given, arguments, covariates, capacity)
        drawn = self.run(begun._replace(count=count), alone)
        return {
            "values": self.positions.restored(drawn.values)[:, :length],
            "lengths": tf.minimum(drawn.lengths * self.positions.frame, length),
            "clip_fraction": drawn.clipped,
        }

    def begin(self, rows, given, sampling, covariates, room):
        """A `tfgen.sampling.rollout.Rollout` before the first position."""
        whole, scale = self.context.of_rows(rows, given)
        state = self.initial_state(rows, given)
        return rolling.Rollout(
            state=(self.network.reserve(state, room), self.emission.reading.held(rows)),
            previous=tf.fill([rows, self.positions.width], np.float32(np.nan)),
            first=tf.ones([rows], tf.bool),
            finished=tf.zeros([rows], tf.bool),
            covariates=covariates,
            whole=whole,
            scale=scale,
            begun=tf.constant(0),
            count=tf.constant(0),
            key=random.root(sampling["seed"], random.SAMPLING),
            temperature=sampling["temperature"],
            bias=sampling["bias"],
        )

    def _forecast(self, arguments, alone=None):
        horizon, num_samples = arguments["horizon"], arguments["num_samples"]
        positions = self.positions
        if positions.patch > 1:
            arguments = positions.aligned(arguments)
        elif positions.frame > 1:
            arguments = {**arguments, **positions.last_frames(arguments)}
        batch, lengths = positions.series(arguments), positions.count(arguments["lengths"])
        count = tf.shape(lengths)[0]
        state = self.initial_state(count, batch)
        _, state, _ = self.read(batch, state=state, masked=True)
        frames = positions.count(horizon)
        capacity = bucket(frames, BUCKET)
        steps = 1 + tf.range(capacity * positions.patch)
        future, samples = {}, lengths * positions.patch
        if "times" in batch:
            last = tf.gather(arguments["times"], tf.maximum(samples - 1, 0), batch_dims=1)
            future["times"] = positions.times_after(last, steps)
        if "known" in arguments:
            index = samples[:, None] - 1 + steps[None]
            known = positions.with_more(arguments["known"], capacity)
            future["known"] = tf.gather(known, index, batch_dims=1)
        covariates = positions.covariates(future, count, capacity)
        last = tf.gather(batch["values"], tf.maximum(lengths - 1, 0), batch_dims=1)
        begun = self.begin(count, batch, arguments, covariates, 0)
        begun = begun._replace(
            state=(
                self.network.reserve(state, capacity),
                self.emission.reading.held(count, batch["values"], lengths),
            ),
            previous=last,
            first=lengths == 0,
            count=frames,
        )
        drawn = self.run(begun.with_rows(repeat_rows(begun.of_rows, num_samples)), alone)
        samples = positions.restored(drawn.values)[:, :horizon]
        samples = tf.reshape(samples, [count, num_samples, horizon, self.processor.num_features])
        return summary_of(samples, arguments["quantiles"], self.processor)

    def _score(self, arguments, ends=True):
        batch = self.positions.series(arguments, ends)
        hidden, _, scale = self.read(batch)
        nats = self.emission.log_prob(hidden, batch, scale)
        total = tf.reduce_sum(tf.cast(nats, tf.float64), axis=1)
        return likelihoods_of(total, observed_of(arguments), arguments["lengths"])

    _score_within = functools.partialmethod(_score, ends=False)

    def _encode(self, arguments):
        positions = self.positions
        more = positions.with_one_more(arguments) if positions.patch > 1 else arguments
        batch, lengths = positions.series(more), positions.count(arguments["lengths"])
        # What is said of a position has not read it; so each hidden state is that of the position
        # after, and there is one more, for which the last calendar stands still.
        index = tf.range(tf.shape(batch["values"])[1] + 1)[None]
        index = tf.minimum(index, lengths[:, None] - 1)
        for name in ("values", "times", "known") if positions.patch == 1 else ():
            if name in batch:
                batch[name] = tf.gather(batch[name], index, batch_dims=1)
        batch["valid"] = tf.range(tf.shape(batch["values"])[1])[None] <= lengths[:, None]
        hidden, _, _ = self.read(batch)
        hidden = hidden[:, 1:]
        counted = tf.range(tf.shape(hidden)[1])[None] < lengths[:, None]
        weights = tf.cast(counted, tf.float32)[..., None]
        mean = tf.reduce_sum(hidden * weights, 1) / tf.reduce_sum(weights, 1)
        return {"mean": mean, "last": tf.gather(hidden, lengths - 1, batch_dims=1)}

    # The compiled loops

    def _stepper(self):
        """A function `(begun, state, previous, first, covariates)` -> `(hidden, past, scale, state)`.

        The state is that of the network, and what is held of the past.
        """
        step = self.network.stepper()

        def hidden_of(begun, state, previous, first, covariates):
            scale = begun.scale if self.processor.scaler.needs_scale else None
            state, held = state
            past, held = self.emission.reading.step(held, previous, first)
            x = self.emission.inputs(past, covariates, begun.whole, scale)
            if self.emission.input_projection is not None:
                x = self.emission.project(x[:, None])[:, 0]
            hidden, state = step(x, state)
            return tf.cast(hidden, tf.float32), past, scale, (state, held)

        return hidden_of

    def _sample(self, begun, hidden, past, scale, key, given=None):
        sampling = begun.temperature, begun.bias
        return self.emission.sample(hidden, past, scale, key, *sampling, given)

    def _roll_core(self, begun):
        step = self._stepper()

        def draw(begun, state, previous, first, covariates, key):
            hidden, past, scale, state = step(begun, state, previous, first, covariates)
            return *self._sample(begun, hidden, past, scale, key), state

        return rolling.roll(draw, begun)

    def _fill_core(self, begun, values, slots, num_samples):
        step = self._stepper()

        def draw(begun, state, previous, first, covariates, key, given):
            """What is given of a position is kept."""
            hidden, past, scale, state = step(begun, state, previous, first, covariates)
            missing = self.emission.gaps(given)[None]
            given = tf.where(missing, np.float32(np.nan), given[None])
            values, _, _ = self._sample(begun, hidden, past, scale, key, given)
            return values, self.emission.weight(hidden, past, values, missing, scale), state

        return fill(Observed(draw, values), begun, num_samples, tf.shape(slots)[0])

    def run(self, begun, alone=None):
        """Draws the positions of a `tfgen.sampling.rollout.Rollout`, by the compiled loops."""
        return rolling.roll_in_sizes(begun, self.roll, self.roll_single, alone)

    def get_config(self):
        return constructor_config(self)

    from_config = made_of_parts


def _size(rows):
    return int(row_bucket(tf.constant(rows)))
