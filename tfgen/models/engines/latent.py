"""`Latent`: sequences of numbers from latents, which an encoder finds and a rollout is given."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.export import Function
from tfgen.layers.checks import check_kind
from tfgen.models.engines.latent_space import LatentSpace
from tfgen.models.engines.rollout import Rollout
from tfgen.models.numbers.context import SequenceContext
from tfgen.models.numbers.emission import NumberEmission
from tfgen.models.numbers.reading import Lags, Past, Reading
from tfgen.models.numbers.results import likelihoods_of, observed_of, summary_of
from tfgen.models.parts import made_of_parts
from tfgen.models.serving import walking
from tfgen.sampling import random
from tfgen.sampling.posterior import latent_noise

# What a model of latents has of its rollout.
_ALIKE = (
    "loss_is_likelihood", "draws_in_order", "rows_at_once", "history", "max_positions",
    "jit_compile_training", "network", "emission", "context", "positions", "processor",
)  # fmt: skip


@keras.saving.register_keras_serializable(package="tfgen")
class Latent:
    """A variational autoencoder (arXiv:1312.6114): an encoder, and a rollout that is given latents.

    The latents are told with what else belongs to a whole sequence, at every position. To draw from
    nothing they are drawn from the prior; to go on from a series, or to fill its gaps, from the
    posterior of what was observed of it, anew for each sample.

    Args:
        rollout: A `Rollout` whose context has `latents`.
        space: A `LatentSpace`.
    """

    kind = "autoregressive"  # of `tfgen.uses.ENGINES`
    # Each window has latents of its own, so no state goes from one to the next.
    state_is_constant = False

    def __init__(self, rollout, space):
        check_kind(Rollout, rollout=rollout)
        check_kind(LatentSpace, space=space)
        self.rollout = rollout
        self.space = space
        self.latent_size = space.size
        for name in _ALIKE:
            setattr(self, name, getattr(rollout, name))
        # What is read of a position is its own values; its lags are read at their own positions.
        self._reading = Reading(self.context, Lags((), 0, (), 1), rollout.emission.local_scale)
        space.build(self._reading.width - space.size)
        self._graphs = {}

    @classmethod
    def compose(cls, take, network):
        """Returns the engine of a class of networks; `take` is of `tfgen.models.families`."""
        space = LatentSpace.compose(take)
        context = take(SequenceContext, latents=space.size, name="context")
        emission = take(NumberEmission, context=context, name="emission")
        return cls(Rollout(take(network, name="network"), emission), space)

    @property
    def layers(self):
        """What has weights, in the order in which these are kept."""
        return [*self.space.layers, *self.rollout.layers]

    def reset_graphs(self):
        """Forgets what was compiled, after a change of what the functions read besides weights."""
        self.rollout.reset_graphs()
        self._graphs = {}

    def quantize_weights(self, dtype):
        self.rollout.quantize_weights(dtype)
        self._graphs = {}

    def initial_state(self, batch_size):
        """None: no state is carried."""

    # Training

    def posterior_of(self, batch, record=None, key=None):
        """The `Posterior` of the latents of a batch of `Positions`.

        With the key of a training step, what the rollout is not told of a sequence, its class, the
        encoder is not told either.
        """
        rows, time = tf.unstack(tf.shape(batch["values"])[:2])
        known = {name: batch[name] for name in batch if name != "latents"}
        whole, scale = self.context.call(known, rows, key)
        whole = tf.broadcast_to(whole[:, None], [rows, time, whole.shape[-1]])
        first = tf.broadcast_to((tf.range(time) == 0)[None], [rows, time])
        own = Past(batch["values"], first, tf.zeros([rows, time, 0, self.positions.width]))
        scale = None if scale is None else scale[:, None]
        x = self._reading.features(own, self.positions.covariates(batch), whole, scale)
        return self.space.posterior(x, batch["valid"], record)

    def loss(self, batch, key=None, state=None, training=False):
        """The sum of the nats of a batch, those of its latents among them; as of a `Rollout`."""
        key = key if training else None
        latents, cost = self.space.learn(self.posterior_of(batch, key=key), key, training)
        batch = {**batch, "latents": latents}
        hidden = self.space.hidden(key, tf.shape(batch["valid"]))
        if hidden is not None:
            batch["shown"] = tf.where(hidden[..., None], np.float32(np.nan), batch["values"])
        nats, positions, _ = self.rollout.loss(batch, key, None, training)
        return nats + cost, positions, None

    def outputs(self, batch, seed, training=False):
        """As of the rollout, given the means of the posteriors."""
        batch = {**batch, "latents": self.posterior_of(batch).mean}
        return self.rollout.outputs(batch, seed, training)

    def activations(self, batch):
        """What the layers give for a batch: a dict from names to tensors."""
        record = {}
        latents = self.posterior_of(batch, record).mean
        return {**record, **self.rollout.activations({**batch, "latents": latents})}

    # What a person calls; the keywords are the options

    def generate(self, arguments, defaults, seed, *, temperature=None, bias=None):
        """Samples from nothing: of latents from the prior, as a `Rollout` does."""
        seed = random.call_seed(seed)
        arguments = {**arguments, "latents": self.space.prior(seed, arguments["num_samples"])}
        options = {"temperature": temperature, "bias": bias}
        return self.rollout.generate(arguments, defaults, seed, **options)

    def decode(self, arguments, defaults, *, seed=None, temperature=None, bias=None):
        """Sequences of latents, in the data's units: arguments as of `generate`, with `latents`."""
        options = {"temperature": temperature, "bias": bias}
        drawn = self.rollout.generate(arguments, defaults, seed, **options)
        if self.processor.ends:
            return [row[:size] for row, size in zip(drawn["values"], drawn["lengths"])]
        return drawn["values"]

    def stream(self, told, length, defaults, seed, *, temperature=None, bias=None):
        """An iterator of the pieces of one sequence; `told` as of `Told.of_samples`."""
        seed = random.call_seed(seed)
        told = {**told, "latents": self.space.prior(seed, 1)}
        return self.rollout.stream(told, length, defaults, seed, temperature=temperature, bias=bias)

    def forecast(self, arguments, defaults, seed, *, temperature=None, bias=None):
        """Samples what comes after series: tensors as of `Positions.forecast_specs`."""
        seed = random.call_seed(seed)
        options = {"temperature": temperature, "bias": bias}

        def call(own):
            return self.rollout.forecast(own, defaults, seed, **options)

        return self._forecast(call, {**arguments, "seed": seed}, self._graph("sampled"))

    def impute(self, arguments, defaults, seed, *, particles=256):
        """Fills the gaps of one series, each sample by a particle filter given latents of its own."""
        key = random.root(random.call_seed(seed), random.SAMPLING)
        count = int(arguments["num_samples"])
        given = self.positions.series_specs().keys() - {"latents"}
        series = {name: arguments[name] for name in given}
        found = []
        for number in range(count):
            own = tf.bitcast(random.fold(key, number), tf.int64)
            latents = self._graph("sampled")({**series, "seed": own})
            one = {**arguments, "num_samples": tf.constant(1), "latents": latents}
            found.append(self.rollout.impute(one, defaults, int(own), particles=particles))
        return np.concatenate(found)

    def score(self, arguments, defaults, *, importance_samples=1, seed=0):
        """A lower bound of the log-likelihood of series, in nats; see `importance_bound`.

        Args:
            arguments: Tensors of `Positions.series_specs`.
            defaults: `Defaults`.
            importance_samples: Samples of the posterior: 1 is the evidence lower bound, and more
                give the importance-weighted bound (arXiv:1509.00519), which is nearer.
            seed: Of the samples.
        """
        samples = self.space.samples(importance_samples)
        given = {"importance_samples": samples, "seed": random.call_seed(seed)}
        return self._graph("score")({**arguments, **given})

    def encode(self, arguments, defaults):
        """The means of the posteriors of series: an array `(batch, latent_size)`."""
        return self._graph("encode")(arguments)["latents"].numpy()

    def functions(self, defaults):
        """What is served: `Function`s of tensors in the data's units."""
        rollout = {each.name: each for each in self.rollout.functions(defaults)}
        made = {"generate": self._generate, "forecast": self._forecast}
        found = [self._served(rollout[name], function) for name, function in made.items()]
        decode = rollout["generate"]
        specs = {name: spec for name, spec in decode.specs.items() if name != "num_samples"}

        def decoded(arguments):
            rows = tf.shape(arguments["latents"])[0]
            return decode.call({**arguments, "num_samples": rows})

        call = tf.function(decoded, input_signature=[specs], autograph=False)
        found.append(Function("decode", call, specs))
        found.append(walking(found[-1]))
        names = "score", "encode"
        return [*found, *(Function(name, self._graph(name), self._specs(name)) for name in names)]

    def serving_defaults(self, defaults):
        """The defaults of the inputs of `functions` that say how is sampled."""
        samples = {"importance_samples": lambda arguments: tf.constant(1)}
        return {**self.rollout.serving_defaults(defaults), **samples}

    # The same of tensors, live and served; `call` is of the rollout

    def _served(self, function, made):
        """A function of the rollout as one without `latents`."""
        specs = {name: spec for name, spec in function.specs.items() if name != "latents"}

        def call(arguments):
            return made(function.call, arguments, self._sampled)

        return Function(
            function.name, tf.function(call, input_signature=[specs], autograph=False), specs
        )

    def _generate(self, call, arguments, sampled):
        latents = self.space.prior(arguments["seed"], arguments["num_samples"])
        return call({**arguments, "latents": latents})

    def _forecast(self, call, arguments, sampled):
        """Each sample has latents of its own, so that each reads the context."""
        count, rows = arguments["num_samples"], tf.shape(arguments["lengths"])[0]
        series = self.positions.series_specs().keys() - {"latents"}
        each = {name: tf.repeat(arguments[name], count, axis=0) for name in series}
        latents = sampled({**each, "seed": arguments["seed"]})
        own = {**arguments, **each, "num_samples": tf.constant(1), "latents": latents}
        samples = call(own)["samples"][:, 0]
        samples = tf.reshape(samples, tf.concat([[rows, count], tf.shape(samples)[1:]], axis=0))
        return summary_of(samples, arguments["quantiles"], self.processor)

    def _of_series(self, arguments):
        return self.posterior_of(self.positions.series(arguments))

    def _sampled(self, arguments):
        """Latents of the posterior of each series, another draw for each row."""
        posterior = self._of_series(arguments)
        return posterior.sample(latent_noise(arguments["seed"], tf.shape(posterior.mean)))

    def _score(self, arguments):
        series = {name: arguments[name] for name in self._specs("encode")}
        score = next(each for each in self.rollout.functions(None) if each.name == "score").call

        def log_prob(latents):
            return score({**series, "latents": latents})["log_likelihood"]

        def likelihoods(found):
            return likelihoods_of(found, observed_of(series), series["lengths"])

        posterior, samples = self._of_series(series), arguments["importance_samples"]
        return self.space.score(posterior, log_prob, samples, arguments["seed"], likelihoods)

    def _encode(self, arguments):
        return {"latents": self._of_series(arguments).mean}

    def _specs(self, name):
        specs = self.positions.series_specs()
        del specs["latents"]
        if name in ("score", "sampled"):
            specs["seed"] = tf.TensorSpec([], tf.int64)
        if name == "score":
            specs["importance_samples"] = tf.TensorSpec([], tf.int32)
        return specs

    def _graph(self, name):
        if name not in self._graphs:
            specs = [self._specs(name)]
            function = getattr(self, f"_{name}")
            self._graphs[name] = tf.function(function, input_signature=specs, autograph=False)
        return self._graphs[name]

    def get_config(self):
        return constructor_config(self)

    from_config = made_of_parts
