"""`Mixture`: several models of the same data as one, each sample drawn by one of them."""

import functools

import keras
import tensorflow as tf

from tfgen.export import Function
from tfgen.layers.checks import check_most, check_whole
from tfgen.models.numbers.results import likelihoods_of, summary_of
from tfgen.sampling import random

MOST = 100  # members
# Inputs of `generate` that may have a row for each sample.
_OF_SAMPLES = ("condition", "static", "start_time", "known", "source")
# What a mixture has of its first member: the others are alike.
_ALIKE = (
    "kind", "loss_is_likelihood", "draws_in_order", "rows_at_once", "history", "max_positions",
    "state_is_constant", "jit_compile_training", "network", "emission", "context", "positions",
    "processor",
)  # fmt: skip
# Of the key of a call: the seeds of members, and who begins.
_SEEDS, _TURN = 11, 12


@keras.saving.register_keras_serializable(package="tfgen")
class Mixture:
    """A mixture of models that were trained from different seeds, each as likely as the others.

    They learn each for itself, from the same batches. A whole sample comes from one of them, and
    they take turns, of which the seed decides the first: many samples are divided evenly, and a
    single one is of any. Futures and fills of a series are pooled so, too, whatever was observed
    (Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep
    Ensembles", arXiv:1612.01474). The likelihood of a series is the mean of theirs.

    Args:
        make: Function of the number of a member that gives its engine.
        members: How many networks with the same arguments and other first weights are mixed; 1 is
            no mixture.
    """

    def __init__(self, make, members=1):
        check_whole(1, members=members)
        check_most(MOST, members=members)
        self.members = members
        self.engines = [_made(make, number) for number in range(members)]
        for name in _ALIKE:
            setattr(self, name, getattr(self.engines[0], name))

    @property
    def layers(self):
        """What has weights, in the order in which these are kept."""
        return [layer for engine in self.engines for layer in engine.layers]

    def reset_graphs(self):
        """Forgets what was compiled, after a change of what the functions read besides weights."""
        for engine in self.engines:
            engine.reset_graphs()

    def quantize_weights(self, dtype):
        for engine in self.engines:
            engine.quantize_weights(dtype)

    def initial_state(self, batch_size):
        """The states of all before a sequence; None if they carry none."""
        states = [engine.initial_state(batch_size) for engine in self.engines]
        return None if states[0] is None else states

    # Training

    def loss(self, batch, key=None, state=None, training=False):
        """The mean of the members' losses: each learns as if alone."""
        found = [
            engine.loss(
                batch,
                None if key is None else random.fold(key, number),
                None if state is None else state[number],
                training,
            )
            for number, engine in enumerate(self.engines)
        ]
        totals, counts, states = zip(*found, strict=True)
        state = None if states[0] is None else list(states)
        return tf.add_n(totals) / self.members, tf.add_n(counts) / self.members, state

    def outputs(self, batch, seed, training=False):
        """What each member says of sequences, by its name."""
        return {
            f"member_{number}": engine.outputs(batch, seed, training)
            for number, engine in enumerate(self.engines)
        }

    def activations(self, batch):
        """What the layers of all give for a batch: a dict from names to tensors."""
        return {
            f"member_{number}/{name}": tensor
            for number, engine in enumerate(self.engines)
            for name, tensor in engine.activations(batch).items()
        }

    # What a person calls; the options are those of the members

    def generate(self, arguments, defaults, seed, **options):
        """As of the members."""

        def call(number, own, seed):
            of_member = self._options(options, number)
            return self.engines[number].generate(own, defaults, int(seed), **of_member)

        found = self._generate(call, {**arguments, "seed": random.call_seed(seed)})
        return {name: value.numpy() for name, value in found.items()}

    def forecast(self, arguments, defaults, seed, **options):
        """As of the members."""

        def call(number, own, seed):
            of_member = self._options(options, number)
            return self.engines[number].forecast(own, defaults, int(seed), **of_member)

        return self._forecast(call, {**arguments, "seed": random.call_seed(seed)})

    def impute(self, arguments, defaults, seed, **options):
        """As of the members."""

        def call(number, own, seed):
            of_member = self._options(options, number)
            filled = self.engines[number].impute(own, defaults, int(seed), **of_member)
            return {"samples": filled[None]}

        found = self._impute(call, {**arguments, "seed": random.call_seed(seed)})
        return found["samples"].numpy()[0]

    def score(self, arguments, defaults, **options):
        """The log of the mean likelihood of series."""
        engines = self.engines
        return self._score(lambda n, own: engines[n].score(own, defaults, **options), arguments)

    def encode(self, arguments, defaults, **options):
        """The embeddings of all members, side by side."""
        found = [engine.encode(arguments, defaults, **options) for engine in self.engines]
        return tf.concat(found, axis=-1).numpy()

    def functions(self, defaults):
        """What is served: `Function`s of tensors in the data's units."""
        of_members = [
            {each.name: each for each in engine.functions(defaults)} for engine in self.engines
        ]
        mixed = {
            "generate": self._generate, "forecast": self._forecast, "impute": self._impute,
            "score": self._score, "encode": self._encode,
        }  # fmt: skip
        found = []
        for name, first in of_members[0].items():
            if name not in mixed:
                continue
            calls = [functions[name].call for functions in of_members]
            served = tf.function(
                functools.partial(mixed[name], functools.partial(_call, calls)),
                input_signature=[first.specs],
                autograph=False,
            )
            found.append(Function(name, served, first.specs))
        return found

    def serving_defaults(self, defaults):
        """The defaults of the inputs of `functions` that say how is sampled."""
        return self.engines[0].serving_defaults(defaults)

    # The same of tensors, live and served: `call(number, arguments, seed)` is of a member

    def _generate(self, call, arguments):
        count, (turn, seeds) = arguments["num_samples"], self._turns(arguments)
        each = -(-count // self.members)
        found = []
        for number in range(self.members):
            # Sample i is of member (turn + i) % members.
            rows = (number - turn) % self.members + self.members * tf.range(each)
            rows = tf.minimum(rows, count - 1)
            own = {**arguments, "num_samples": each}
            for name in _OF_SAMPLES:
                if name in own:  # one for all samples, or one for each
                    last = tf.shape(own[name])[0] - 1
                    own[name] = tf.gather(own[name], tf.minimum(rows, last), axis=0)
            found.append(call(number, own, seeds[number]))
        mixed = {
            name: self._mixed([part[name] for part in found], turn, count, 0)
            for name in ("values", "lengths")
        }
        clipped = tf.add_n([tf.cast(part["clip_fraction"], tf.float32) for part in found])
        return {**mixed, "clip_fraction": clipped / self.members}

    def _forecast(self, call, arguments):
        samples = self._impute(call, arguments)["samples"]
        return summary_of(samples, arguments["quantiles"], self.processor)

    def _impute(self, call, arguments):
        count, (turn, seeds) = arguments["num_samples"], self._turns(arguments)
        own = {**arguments, "num_samples": -(-count // self.members)}
        found = [call(number, own, seeds[number])["samples"] for number in range(self.members)]
        return {"samples": self._mixed(found, turn, count, 1)}

    def _score(self, call, arguments):
        found = [call(number, arguments) for number in range(self.members)]
        likelihoods = tf.stack([each["log_likelihood"] for each in found])
        count = tf.constant(self.members, likelihoods.dtype)
        total = tf.reduce_logsumexp(likelihoods, axis=0) - tf.math.log(count)
        return likelihoods_of(total, found[0]["values"], arguments["lengths"])

    def _encode(self, call, arguments):
        found = [call(number, arguments) for number in range(self.members)]
        return {name: tf.concat([each[name] for each in found], axis=-1) for name in found[0]}

    def _turns(self, arguments):
        """Which member draws first, and the seed of each, of the seed of a call."""
        key = random.root(arguments["seed"], random.SAMPLING)
        turn = random.uniform(random.fold(key, _TURN), [1])[0] * self.members
        key = random.fold(key, _SEEDS)
        seeds = [tf.bitcast(random.fold(key, n), tf.int64) for n in range(self.members)]
        return tf.cast(turn, tf.int32), seeds

    def _mixed(self, parts, turn, count, axis):
        """The samples of all members in turns: `parts` have them along an axis."""
        samples = tf.roll(tf.stack(parts, axis=axis + 1), -turn, axis=axis + 1)
        shape = tf.shape(samples)
        shape = tf.concat([shape[:axis], [shape[axis] * self.members], shape[axis + 2 :]], axis=0)
        samples = tf.reshape(samples, shape)
        return samples[:count] if axis == 0 else samples[:, :count]

    def _options(self, options, number):
        """The options of a member: each tells its part of the progress."""
        progress = options.get("progress")
        if progress is None:
            return options

        def told(done, total):
            progress(number * total + done, self.members * total)

        return {**options, "progress": told}

    def get_config(self):
        engines = [keras.saving.serialize_keras_object(engine) for engine in self.engines]
        return {"engines": engines, "members": self.members}

    @classmethod
    def from_config(cls, config):
        engines = [keras.saving.deserialize_keras_object(each) for each in config["engines"]]
        return cls(engines.__getitem__, config["members"])


def _made(make, number):
    """A member, whose weights are called by its number."""
    with keras.name_scope(f"member_{number}"):
        return make(number)


def _call(calls, number, arguments, seed=None):
    return calls[number](arguments if seed is None else {**arguments, "seed": seed})
