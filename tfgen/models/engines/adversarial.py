"""`Adversarial`: sequences of numbers from latents, by a generator that a critic has taught."""

import functools
import math

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.export import Function
from tfgen.layers.checks import check_kind
from tfgen.models.engines.game import Game, energy_distance
from tfgen.models.numbers.channels import ChannelEmission
from tfgen.models.numbers.context import SequenceContext
from tfgen.models.numbers.places import Places
from tfgen.models.parts import made_of_parts
from tfgen.models.serving import constant, option_specs
from tfgen.networks.causal import refuse_small_weights, weight_seed
from tfgen.networks.window_critic import WindowCritic
from tfgen.networks.window_generator import WindowGenerator
from tfgen.recipe import AdversarialSampling
from tfgen.sampling import random
from tfgen.sampling.latent_search import search
from tfgen.sampling.posterior import latent_noise
from tfgen.sampling.rows import in_turn
from tfgen.values import whole_number

ROWS = 256  # sequences that are made at once
# Purposes of the draws of a training step, of which -1 hides classes.
_LATENTS, _SHARE, _SPREAD = 0, 1, 2
# A search for latents takes sequences for generated ones with Gaussian noise of this standard
# deviation, in scaled units, and begins from the best of so many.
_NOISE = 0.1
CANDIDATES, SEARCH_STEPS = 32, 200
SAMPLING = option_specs(AdversarialSampling, "temperature")
_STEPS = {"num_steps": tf.TensorSpec([], tf.int32)}


@keras.saving.register_keras_serializable(package="tfgen")
class Adversarial:
    """A generative adversarial network (arXiv:1406.2661) of whole windows.

    The last number of a latent vector of what ends by itself is its length, as a quantile of those
    of the training data.

    Args:
        network: A `WindowGenerator`, or a function that makes one of its `channels_out`,
            `condition_width` and `sequence_width`.
        critic: A `WindowCritic`, or a function of `channels` and these.
        emission: A `ChannelEmission`.
        places: A `Places`.
        game: A `Game`.
    """

    kind = "adversarial"  # of `tfgen.uses.ENGINES`
    # What it cannot answer, and why.
    refusals = {
        "score": "a GAN has no likelihood: tfgen evaluate compares what it generates with data",
        "forecast": "a GAN makes whole windows, and knows none that goes on from a past",
        "impute": "a GAN makes whole windows, and knows none of which a part is given",
    }
    loss_is_likelihood = False
    draws_in_order = False
    rows_at_once = ROWS
    history = 0  # positions before a window that are of use to it
    max_positions = None
    state_is_constant = False
    jit_compile_training = True

    def __init__(self, network, critic, emission, places, game):
        for kind, part in ((ChannelEmission, emission), (Places, places), (Game, game)):
            check_kind(kind, **{kind.__name__: part})
        self.emission, self.places, self.game = emission, places, game
        self.context, self.positions = emission.context, emission.positions
        self.processor = self.positions.processor
        told = {
            "condition_width": self.context.width,
            "sequence_width": self.processor.covariate_width + places.width,
        }
        if not isinstance(network, WindowGenerator):
            network = network(channels_out=emission.channels, **told)
        if not isinstance(critic, WindowCritic):
            critic = critic(channels=emission.channels, **told)
        for layer in (network, critic):
            if not layer.built:
                layer.build()
                layer.built = True
        self.network, self.critic = network, critic
        self._graphs = {}

    @classmethod
    def compose(cls, take, network):
        """Returns the engine of a class of networks; `take` is of `tfgen.models.families`."""
        context = take(SequenceContext, name="context")
        emission = take(ChannelEmission, context=context, name="emission")
        places = take(Places, processor=context.processor)
        parts = {"generator": (network, 51), "critic": (WindowCritic, 52)}
        seed = take.shared["seed"]
        networks = [
            functools.partial(take, part, seed=weight_seed(seed, number), name=name)
            for name, (part, number) in parts.items()
        ]
        return cls(*networks, emission, places, take(Game))

    @property
    def layers(self):
        """What has weights, in the order in which these are kept."""
        return [self.context, self.network, self.emission, self.critic]

    @property
    def critic_steps(self):
        """Steps of the critic for one of the generator, see `tfgen.models.players.Players`."""
        return self.game.critic_steps

    @property
    def latent_size(self):
        """Numbers of a latent vector."""
        return self.network.latent_size + bool(self.processor.lengths)

    def reset_graphs(self):
        """Forgets what was compiled, after a change of what the functions read besides weights."""
        self._graphs = {}

    def quantize_weights(self, dtype):
        refuse_small_weights(dtype)

    def initial_state(self, batch_size):
        """None: no state is carried."""

    # Training

    def loss(self, batch, key=None, state=None, training=False):
        """What is lost of a batch, the number of its windows, and the state.

        In training what both players lose, see `Game`; else, which is no likelihood, how far
        generated windows are from those of the batch: see `distance`.
        """
        rows = tf.cast(tf.shape(batch["values"])[0], tf.float32)
        if not training:
            return self.distance(batch) * rows, rows, state
        return tf.reduce_sum(self.played(batch, key).total), rows, state

    def played(self, batch, key):
        """The `Round` of a batch of `Positions`.

        A generated window is told what its real one is told, and is seen as far as that is known.
        """
        real, generated, observed, given = self._windows(batch, key, key)
        twice = {
            name: None if each is None else tf.concat([each, each], axis=0)
            for name, each in {**given, "observed": observed}.items()
        }
        # What generators and critics are told of a class begins as vectors drawn at random, which
        # the generator alone learns.
        twice["condition"] = tf.stop_gradient(twice["condition"])

        def critic(windows):
            rows = tf.shape(windows)[0]
            own = {name: None if each is None else each[:rows] for name, each in twice.items()}
            windows = tf.where(own.pop("observed"), windows, 0.0)
            return self.critic(windows, **own)

        share = random.uniform(random.fold(key, _SHARE), tf.shape(real)[:1])
        return self.game.play(critic, real, generated, share)

    def distance(self, batch):
        """The energy distance between windows of a batch and as many generated ones.

        Of windows and of their changes from position to position, in scaled units, by the root
        mean square of their channels. The same latents are drawn each time.
        """
        key = random.root(0, random.EVALUATION)
        vectors = []
        for windows in self._windows(batch, key)[:2]:
            changes = windows[:, 1:] - windows[:, :-1]
            both = tf.concat([windows, changes], axis=1)
            size = tf.cast(tf.reduce_prod(tf.shape(both)[1:]), tf.float32)
            vectors.append(tf.reshape(both, [tf.shape(both)[0], -1]) / tf.sqrt(size))
        return energy_distance(*vectors)

    def _windows(self, batch, key, hide=None):
        """`(real, generated, observed, given)` of a batch, the first two as channels.

        Where nothing was observed, both are 0. `hide` is the key by which classes are hidden.
        """
        real, observed = self.emission.call(batch, random.fold(key, _SPREAD))
        given = self._given(batch, hide)
        latents = random.normal(
            random.fold(key, _LATENTS), [tf.shape(real)[0], self.network.latent_size]
        )
        generated = tf.where(observed, self._channels(latents, given), 0.0)
        return real, generated, observed, given

    def _given(self, batch, key=None):
        """What both networks are told of the windows of a batch besides their channels."""
        whole, _ = self.context.call(batch, tf.shape(batch["values"])[0], key)
        parts = [self.positions.covariates(batch), self.places(batch["valid"], batch)]
        return {
            "mask": batch["valid"],
            "condition": whole,
            "sequence": tf.concat(parts, axis=-1),
        }

    def _channels(self, latents, given):
        return self.emission.nearer(self.network(latents, **given))

    def outputs(self, batch, seed, training=False):
        """Generated channels `(batch, time, channels)`, told what is told of a batch."""
        return self._windows(batch, random.root(seed, random.EVALUATION))[1]

    def activations(self, batch):
        """What the layers give for a batch: a dict from names to tensors."""
        record, key = {}, random.root(0, random.EVALUATION)
        real, _, _, given = self._windows(batch, key)
        latents = random.normal(key, [tf.shape(real)[0], self.network.latent_size])
        for name, layer, first in (
            ("generator", self.network, latents),
            ("critic", self.critic, real),
        ):
            own = {}
            layer(first, **given, record=own.__setitem__)
            record |= {f"{name}_{block}": tensor for block, tensor in own.items()}
        return record

    # What a person calls; the keywords are the options

    def generate(self, arguments, defaults, seed, *, temperature=None):
        """Samples from nothing.

        Args:
            arguments: Tensors of `Positions.generate_specs` but for the sampling.
            defaults: `Defaults`.
            seed: An integer, or None for a new one.
            temperature: Variance of the latents: below 1 samples are nearer to the usual.

        Returns:
            `values` `(num_samples, length, features)`, `lengths` and `clip_fraction`, as arrays.
        """
        options = AdversarialSampling.of(defaults.generation, temperature=temperature)
        rows = arguments["num_samples"]
        given = random.call_seed(seed), tf.constant(options.temperature)
        own = {name: arguments[name] for name in arguments if name != "num_samples"}
        return self._made({**own, "latents": self._prior(rows, *given)})

    def decode(self, arguments, defaults):
        """Sequences of latents, in the data's units: arguments as of `generate`, with `latents`."""
        own = {name: arguments[name] for name in arguments if name != "num_samples"}
        made = self._made(own)
        if self.processor.ends:
            return [row[:size] for row, size in zip(made["values"], made["lengths"])]
        return made["values"]

    def encode(self, arguments, defaults, *, num_steps=None):
        """The latents that series are nearest to, found by gradient descent: `(batch, latent_size)`.

        There is no encoder. They are the most probable ones if what is generated had Gaussian noise
        of a tenth of the scaled unit on it.

        Args:
            arguments: Tensors of `Positions.series_specs`.
            defaults: `Defaults`.
            num_steps: Steps of the descent, each of which runs the generator forth and back; None
                takes 200.
        """
        num_steps = SEARCH_STEPS if num_steps is None else num_steps
        steps = tf.constant(whole_number("num_steps", num_steps, 1))
        return self._graph("encode")({**arguments, "num_steps": steps})["latents"].numpy()

    def functions(self, defaults):
        """What is served: `Function`s of tensors in the data's units."""
        names = "generate", "decode", "encode"
        return [Function(name, self._graph(name), self._specs(name)) for name in names]

    def serving_defaults(self, defaults):
        """The defaults of the inputs of `functions` that say how is sampled."""
        return {
            "temperature": constant(float(defaults.generation.temperature)),
            "num_steps": constant(SEARCH_STEPS),
        }

    def _made(self, arguments):
        """What `decode` gives, as arrays, of any number of latents."""
        rows = len(arguments["latents"])
        parts = [(len(part["latents"]), self._graph("decode")(part))
                 for part in in_turn(arguments, rows, ROWS)]  # fmt: skip
        values, lengths = (
            np.concatenate([part[name].numpy() for _, part in parts])
            for name in ("values", "lengths")
        )
        clipped = sum(count * float(part["clip_fraction"]) for count, part in parts) / rows
        return {"values": values, "lengths": lengths, "clip_fraction": clipped}

    # The same of tensors, live and served

    def _prior(self, rows, seed, temperature):
        return tf.sqrt(temperature) * latent_noise(seed, [rows, self.latent_size])

    def _generate(self, arguments):
        own = dict(arguments)
        sampling = [own.pop(name) for name in ("num_samples", "seed", "temperature")]
        return self._decode({**own, "latents": self._prior(*sampling)})

    def _decode(self, arguments):
        told = dict(arguments)
        latents, length, positions = told.pop("latents"), told.pop("length"), self.positions
        rows, frames = tf.shape(latents)[0], positions.count(length)
        whole, scale = self.context.of_rows(rows, told)
        lengths = tf.fill([rows], length)
        if self.processor.lengths:
            share = tf.math.erfc(-latents[:, -1] / math.sqrt(2)) / 2  # of a normal number
            lengths = positions.drawn_lengths(share, length, told)
        valid = tf.sequence_mask(positions.count(lengths), frames)
        covariates = positions.covariates_ahead(told, tf.constant(0), frames, rows)
        sequence = tf.concat([covariates, self.places(valid, {})], axis=-1)
        given = {"condition": whole, "sequence": sequence}
        given["mask"] = valid if self.processor.ends else None
        channels = self._channels(latents[:, : self.network.latent_size], given)
        return self.emission.sequences(channels, scale, lengths, length)

    def _encode(self, arguments):
        batch = self.positions.series(arguments)
        real, observed = self.emission.call(batch)
        given, rows = self._given(batch), tf.shape(real)[0]

        def cost(latents):
            error = tf.where(observed, self._channels(latents, given) - real, 0.0)
            error = tf.reduce_sum(tf.square(error / _NOISE), axis=[1, 2])
            return (error + tf.reduce_sum(tf.square(latents), axis=1)) / 2

        key = random.root(0, random.EVALUATION)
        candidates = random.normal(key, [CANDIDATES, self.network.latent_size])
        latents = search(cost, candidates, rows, arguments["num_steps"])
        if self.processor.lengths:
            share = self.positions.share_of_lengths(arguments["lengths"], arguments)
            latents = tf.concat([latents, tf.math.ndtri(share)[:, None]], axis=1)
        return {"latents": latents}

    def _specs(self, name):
        if name == "encode":
            return {**self.positions.series_specs(), **_STEPS}
        specs = self.positions.generate_specs(SAMPLING)
        if name == "decode":
            for each in ("num_samples", *SAMPLING):
                del specs[each]
            specs["latents"] = tf.TensorSpec([None, self.latent_size], tf.float32)
        return specs

    def _graph(self, name):
        if name not in self._graphs:
            function = getattr(self, f"_{name}")
            specs = [self._specs(name)]
            self._graphs[name] = tf.function(function, input_signature=specs, autograph=False)
        return self._graphs[name]

    def get_config(self):
        return constructor_config(self)

    from_config = made_of_parts
