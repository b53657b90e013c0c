"""`LatentTexts`: the functions of strings of a model of texts that has latents, live and served."""

import functools

import tensorflow as tf

from tfgen.models.text.graphs import likelihoods_of
from tfgen.sampling import random


class LatentTexts:
    """What a model of latents does around the graphs of its rollout, for which latents are given.

    Args:
        engine: A `TokenLatent`.
        graphs: The `TextGraphs` of its rollout.
    """

    def __init__(self, engine, graphs):
        self.engine, self.graphs = engine, graphs

    # Live

    def rows(self, texts, num_samples, condition, seed):
        """Prompts, samples of each, and latents of each: without any those of the prior.

        Each sample then has latents of its own, so that it needs a prompt of its own.
        """
        if condition:
            return texts, num_samples, condition
        texts = [text for text in texts for _ in range(num_samples)]
        return texts, 1, {"condition": self.engine.space.prior(seed, len(texts))}

    def bound(self, tensors, importance_samples, seed):
        """What `score_graph` gives; without samples of one, without a seed of 0."""
        samples = 1 if importance_samples is None else importance_samples
        samples = self.engine.space.samples(samples)
        return self.score_graph(tensors, samples, random.call_seed(0 if seed is None else seed))

    @functools.cached_property
    def score_graph(self):
        """`score`, of texts, samples of the posterior, and a seed."""
        count, seed = tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int64)
        specs = [self.text_specs(), count, seed]
        return tf.function(self.score, input_signature=specs, autograph=False)

    @functools.cached_property
    def encode_graph(self):
        """`encode`, of tensors."""
        return tf.function(self.encode, input_signature=[self.text_specs()], autograph=False)

    # The functions

    def generate_specs(self):
        """The tensors of `generate`."""
        specs = self.graphs.generate_specs()
        return {name: specs[name] for name in specs if name != "condition"}

    def text_specs(self):
        """The tensors of a function of texts."""
        return {"texts": self.graphs.text_specs()["texts"]}

    def decode_specs(self):
        """The tensors of `decode`."""
        others = {"prompts", "num_samples", "strip_prompt"}
        specs = self.graphs.generate_specs()
        specs = {name: specs[name] for name in specs if name not in others}
        specs["latents"] = specs.pop("condition")
        return specs

    def generate(self, arguments, fit=False):
        """Texts that go on after prompts, of latents from the prior: strings `(batch, samples)`."""
        count = arguments["num_samples"]
        prompts = tf.repeat(arguments["prompts"], count)
        latents = self.engine.space.prior(arguments["seed"], tf.shape(prompts)[0])
        own = {**arguments, "prompts": prompts, "num_samples": tf.constant(1)}
        texts = self.graphs.generate({**own, "condition": latents}, fit)
        return tf.reshape(texts, [-1, count])

    def decode(self, arguments):
        """The texts of latents: strings `(batch,)`."""
        own = {name: arguments[name] for name in arguments if name != "latents"}
        rows = tf.shape(arguments["latents"])[0]
        own |= {"prompts": tf.fill([rows], ""), "condition": arguments["latents"]}
        own |= {"num_samples": tf.constant(1), "strip_prompt": tf.constant(True)}
        return {"texts": self.graphs.generate(own)[:, 0]}

    def encode(self, arguments):
        """The means of the posteriors of texts."""
        return {"latents": self._posterior(arguments["texts"]).mean}

    def score(self, arguments, samples=1, seed=0):
        """A lower bound of the likelihood of texts, see `importance_bound`."""

        def log_prob(latents):
            return self.graphs.score({**arguments, "condition": latents})["log_likelihood"]

        def likelihoods(found):
            return likelihoods_of(found, arguments["texts"])

        posterior, samples = self._posterior(arguments["texts"]), tf.convert_to_tensor(samples)
        return self.engine.space.score(posterior, log_prob, samples, seed, likelihoods)

    def _posterior(self, texts):
        ids, lengths = self.graphs.start_and(texts)
        # Room for a token that does not count: of empty texts there is none.
        ids = tf.pad(ids[:, 1:], [[0, 0], [0, 1]])
        valid = tf.range(tf.shape(ids)[1])[None] < lengths[:, None] - 1
        return self.engine.posterior(ids, valid)
