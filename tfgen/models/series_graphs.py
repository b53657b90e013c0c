"""`SeriesGraphs`: the functions of tensors that a model of numbers computes, live and served."""

import functools

import numpy as np
import tensorflow as tf

from tfgen.models.first_calls import FirstCalls
from tfgen.models.numbers import likelihoods_of, summary_of
from tfgen.models.series_density import SeriesDensity
from tfgen.sampling import random
from tfgen.sampling.buckets import bucket
from tfgen.sampling.particles import Observed, fill
from tfgen.sampling.rollout import Rollout, roll
from tfgen.sampling.rows import repeat_rows

# The loops are compiled for room for so many positions, times a power of two.
BUCKET = 32

SAMPLING = {
    "seed": tf.TensorSpec([], tf.int64),
    "temperature": tf.TensorSpec([], tf.float32),
    "bias": tf.TensorSpec([], tf.float32),
}


class SeriesGraphs(SeriesDensity):
    """What `SeriesGenerator` computes, on tensors: the same graphs here and in the SavedModel.

    A family implements what `SeriesDensity` asks for.
    """

    sampling_specs = SAMPLING

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.reset_graphs()

    def reset_graphs(self):
        """Forgets what was compiled, after a change of what the functions read besides weights."""
        self._roll = tf.function(self._roll_core, jit_compile=True, autograph=False)
        # Rows known to be one, by which products with a vector go.
        self._roll_single = tf.function(self._roll_core, jit_compile=True, autograph=False)
        self._fill = tf.function(self._fill_core, jit_compile=True, autograph=False)
        self.__dict__["_first_call"] = FirstCalls()  # not a layer: Keras is not to look into it
        for name in ("_generate_graph", "_forecast_graph", "_score_graph", "_encode_graph"):
            self.__dict__.pop(name, None)

    def _graph(self, function, specs):
        return tf.function(function, input_signature=[specs], autograph=False)

    @functools.cached_property
    def _generate_graph(self):
        return self._graph(self._generate, self._generate_specs())

    @functools.cached_property
    def _forecast_graph(self):
        return self._graph(self._forecast, self._forecast_specs())

    @functools.cached_property
    def _score_graph(self):
        return self._graph(self._score, self._series_specs())

    @functools.cached_property
    def _encode_graph(self):
        return self._graph(self._encode, self._series_specs())

    def _forecast_specs(self):
        return {
            **self._series_specs(),
            "horizon": tf.TensorSpec([], tf.int32),
            "num_samples": tf.TensorSpec([], tf.int32),
            "quantiles": tf.TensorSpec([None], tf.float32),
            **SAMPLING,
        }

    # Graphs around the compiled loops. These run here and in the SavedModel.

    def _generate(self, arguments):
        rows, length = arguments["num_samples"], arguments["length"]
        count = self._frames(length)
        capacity = bucket(count, BUCKET)
        given = dict(arguments)
        if "known" in given:
            given["known"] = tf.pad(given["known"], [[0, 0], [0, capacity - length], [0, 0]])
        covariates = self._future(given, tf.constant(0), capacity, rows)
        rollout = self._begin(rows, given, arguments, covariates, capacity)
        drawn = self._run(rollout._replace(count=count))
        return {
            "values": self._restored(drawn.values)[:, :length],
            "lengths": tf.minimum(drawn.lengths * self.frame, length),
            "clip_fraction": drawn.clipped,
        }

    def _begin(self, rows, given, sampling, covariates, room):
        """A `Rollout` before the first position."""
        whole, scale = self._rows_of(rows, given)
        state = self.initial_state(rows)
        return Rollout(
            state=self.reserve(state, room),
            previous=tf.fill([rows, self.position_width], np.float32(np.nan)),
            first=tf.ones([rows], tf.bool),
            covariates=covariates,
            whole=whole,
            scale=scale,
            begun=tf.constant(0),
            count=tf.constant(0),
            key=random.root(sampling["seed"], random.SAMPLING),
            temperature=sampling["temperature"],
            bias=sampling["bias"],
        )

    def _room(self, covariates, rows, capacity):
        """Covariates of one sequence for so many rows and positions."""
        time = tf.shape(covariates)[1]
        covariates = tf.pad(covariates, [[0, 0], [0, capacity - time], [0, 0]])
        return tf.broadcast_to(covariates, [rows, capacity, covariates.shape[-1]])

    def _forecast(self, arguments):
        horizon, num_samples = arguments["horizon"], arguments["num_samples"]
        if self.frame > 1:
            arguments = {**arguments, **self._last_frames(arguments)}
        batch, lengths = self._batch(arguments), self._frames(arguments["lengths"])
        count = tf.shape(lengths)[0]
        state = self.initial_state(count)
        _, state, _ = self._read(batch, state=state, masked=True)
        frames = self._frames(horizon)
        capacity = bucket(frames, BUCKET)
        steps = 1 + tf.range(capacity)
        future = {}
        if "times" in batch:
            last = tf.gather(batch["times"], tf.maximum(lengths - 1, 0), batch_dims=1)
            future["times"] = self._after(last, steps)
        if "known" in arguments:
            index = lengths[:, None] - 1 + steps[None]
            known = tf.pad(arguments["known"], [[0, 0], [0, capacity], [0, 0]])
            future["known"] = tf.gather(known, index, batch_dims=1)
        covariates = self._covariates(future, count, capacity)
        last = tf.gather(batch["values"], tf.maximum(lengths - 1, 0), batch_dims=1)
        begun = self._begin(count, batch, arguments, covariates, 0)
        begun = begun._replace(
            state=self.reserve(state, capacity), previous=last, first=lengths == 0, count=frames
        )
        drawn = self._run(begun.rows(lambda x: repeat_rows(x, num_samples)))
        features = self.processor.num_features
        samples = self._restored(drawn.values)[:, :horizon]
        samples = tf.reshape(samples, [count, num_samples, horizon, features])
        return summary_of(samples, arguments["quantiles"])

    def _last_frames(self, arguments):
        """The series without so many first samples that the rest fills whole frames."""
        lengths = arguments["lengths"]
        spare = lengths % self.frame
        index = spare[:, None] + tf.range(tf.shape(arguments["values"])[1])[None]
        index = tf.minimum(index, tf.maximum(lengths - 1, 0)[:, None])
        values = tf.gather(arguments["values"], index, batch_dims=1)
        return {"values": values, "lengths": lengths - spare}

    def _score(self, arguments):
        batch = self._batch(arguments)
        hidden, _, scale = self._read(batch)
        nats = tf.cast(self._log_prob(hidden, batch, scale), tf.float64)
        total = tf.reduce_sum(nats, axis=1)
        positions = arguments["lengths"]
        valid = tf.sequence_mask(positions, tf.shape(arguments["values"])[1])[..., None]
        observed = ~tf.math.is_nan(arguments["values"]) & valid
        observed = tf.reduce_sum(tf.cast(observed, tf.int32), axis=[1, 2])
        return likelihoods_of(total, observed, positions)

    def _encode(self, arguments):
        batch, lengths = self._batch(arguments), self._frames(arguments["lengths"])
        # What is said of a position has not read it; so each hidden state is that of the position
        # after, and there is one more, for which the last calendar stands still.
        index = tf.range(tf.shape(batch["values"])[1] + 1)[None]
        index = tf.minimum(index, lengths[:, None] - 1)
        for name in ("values", "times", "known"):
            if name in batch:
                batch[name] = tf.gather(batch[name], index, batch_dims=1)
        batch["valid"] = tf.range(tf.shape(batch["values"])[1])[None] <= lengths[:, None]
        hidden, _, _ = self._read(batch)
        hidden = hidden[:, 1:]
        counted = tf.range(tf.shape(hidden)[1])[None] < lengths[:, None]
        weights = tf.cast(counted, tf.float32)[..., None]
        mean = tf.reduce_sum(hidden * weights, 1) / tf.reduce_sum(weights, 1)
        return {"mean": mean, "last": tf.gather(hidden, lengths - 1, batch_dims=1)}

    # The compiled loops

    def _roll_core(self, rollout):
        return roll(self._drawer(), rollout)

    def _fill_core(self, rollout, values, samples):
        observed = Observed(self._guided_drawer(), values)
        return fill(observed, rollout, tf.shape(samples)[0])

    def _run(self, rollout):
        def single():
            return self._roll_single(rollout.rows(lambda x: tf.gather(x, [0])))

        rows = tf.shape(rollout.previous)[0]
        return tf.cond(rows == 1, single, lambda: self._roll(rollout))
