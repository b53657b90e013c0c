"""`DiffusionDensity`: a denoiser of sequences of numbers, and how it is trained."""

import math

import numpy as np
import tensorflow as tf

from tfgen.layers.checks import (
    MOST_PARTS,
    check,
    check_choice,
    check_flag,
    check_most,
    check_of_use,
    check_positive,
    check_rate,
    check_whole,
    is_number,
)
from tfgen.layers.sinusoidal_embedding import SinusoidalEmbedding
from tfgen.layers.unet1d import UNet1D
from tfgen.models.numbers import NumbersGenerator
from tfgen.sampling import denoising, random
from tfgen.sampling.energies import energy_denoiser, quadratic_energy
from tfgen.sampling.noise_schedules import SCHEDULES, noise_schedule

SIGMAS = ("lognormal", "schedule")
THRESHOLDS = ("static", "dynamic", "none")
# Purposes of the draws of one training step.
_LEVELS, _NOISE, _ESTIMATE, _DROP, _SHOWN = 0, 1, 2, 3, 4
MOST_COMPANDED = 30.0  # 5e12 times `companding`


class DiffusionDensity(NumbersGenerator):
    """A diffusion model of sequences of numbers: a U-Net that tells clean from noise.

    A sequence is its scaled numbers, with each category as one channel a level, -1 or 1. The network
    learns to take noise off it at every noise level at once (denoising score matching, Vincent
    2011); `docs/diffusion.md` tells why that is enough to draw, to fill gaps and to score.

    Args:
        width: Channels at the top of the U-Net; see `tfgen.layers.UNet1D` for what is not said here.
        multipliers: Channels of each level, in units of `width`.
        blocks: Residual blocks of a level, on either way.
        attention_at: Numbers of the levels with full attention; None is the middle alone.
        linear_attention: Whether the other levels have linear attention instead of none.
        heads: Heads of every attention.
        head_width: Features of a head.
        groups: Groups of the normalisations.
        dropout: Share that is dropped in every residual block in training.
        embedding: How the noise level is embedded: `"sinusoidal"` or `"fourier"`.
        self_condition: Whether the network is also given its own last estimate (arXiv:2208.04202).
        objective: What the network predicts: `"epsilon"`, `"x0"`, `"v"`, `"edm"` or `"flow"`; see
            `tfgen.sampling.denoising`.
        weighting: Of the loss by level: `"uniform"`, `"snr"`, `"min_snr"` or `"edm"`.
        sigmas: Levels to train on: `"lognormal"` (arXiv:2206.00364), or those of the `"schedule"`.
        sigma_mean: Mean of the logarithm of a lognormal level; of no other.
        sigma_std: Its standard deviation.
        sigma_data: Standard deviation of the scaled data.
        schedule: Noise schedule of a run: `"karras"`, `"linear"`, `"cosine"`, `"sigmoid"` or
            `"flow"`; see `tfgen.sampling.noise_schedules`.
        sigma_min: Its lowest level above 0, in scaled units.
        sigma_max: Its highest.
        threshold: `"static"` clips every estimate to the data's bounds, where there are any;
            `"dynamic"` draws in the whole of an estimate of which too much lies outside
            (arXiv:2205.11487, section 2.3), and needs two bounds of every number; `"none"` clips
            what comes out alone.
        energy: Whether the network gives an energy, whose gradient is the score, instead of the
            score itself (Salimans & Ho 2021, "Should EBMs model the energy or the score?"). Then
            `energies` gives densities up to a constant, and the solver `"mala"` has an exact accept
            step. Training takes longer: the energy is differentiated twice.
        infilling: Share of the training windows of which a part is given as it is, without
            noise: what comes before a place, what lies around a gap, or other columns. It then
            fills gaps and forecasts by itself, in an ordinary run (CSDI, arXiv:2107.03502). 0 leaves
            that to `"repaint"` and `"guidance"`, see `DiffusionGenerator.impute`.
        positions: Features, an even number, that show the network how far each position is
            from the beginning of a drawing or a clip, and as many for how far from its end; 0 tells
            neither. Convolutions alone do not know where they are. A series has no end of its own.
        companding: Above 0, scaled numbers (or the coefficients of frames) c are told as
            `asinh(c / companding)`: linear below it, logarithmic above. For what is loud here and
            quiet there, such as sound: noise of one level is then as loud as what it is on.
        **kwargs: Arguments of `NumbersGenerator`.

    Raises:
        ValueError: For an argument out of its range, or one that does not fit the data.
    """

    # A loss of differences of noise has no state to carry.
    state_is_constant = False
    loss_is_likelihood = False

    def __init__(
        self,
        width=64,
        multipliers=(1, 2, 4),
        blocks=2,
        attention_at=None,
        linear_attention=True,
        heads=4,
        head_width=32,
        groups=8,
        dropout=0.0,
        embedding="sinusoidal",
        self_condition=False,
        objective="edm",
        weighting="uniform",
        sigmas="lognormal",
        sigma_mean=-0.5,
        sigma_std=1.2,
        sigma_data=1.0,
        schedule="karras",
        sigma_min=0.002,
        sigma_max=80.0,
        threshold="static",
        energy=False,
        infilling=0.0,
        positions=16,
        companding=0.0,
        **kwargs,
    ):
        check_rate(dropout=dropout, infilling=infilling)
        check_choice(denoising.OBJECTIVES, objective=objective)
        check_choice(denoising.WEIGHTINGS, weighting=weighting)
        check_choice(SIGMAS, sigmas=sigmas)
        check_choice(SCHEDULES, schedule=schedule)
        check_choice(THRESHOLDS, threshold=threshold)
        check_flag(energy=energy)
        check_whole(0, positions=positions)
        check_most(MOST_PARTS, positions=positions)
        check(positions % 2 == 0, "positions must be even", positions=positions)
        nonnegative = is_number(companding) and 0 <= companding < math.inf
        check(nonnegative, "companding must be a number >= 0", companding=companding)
        check_positive(
            sigma_std=sigma_std, sigma_data=sigma_data, sigma_min=sigma_min, sigma_max=sigma_max
        )
        for name, value in (
            ("sigma_mean", sigma_mean), ("sigma_std", sigma_std), ("sigma_data", sigma_data),
        ):  # fmt: skip
            finite = is_number(value) and math.isfinite(value)
            check(finite, f"{name} must be a finite number", **{name: value})
        lognormal = sigmas == "lognormal", "sigmas='lognormal'"
        check_of_use(*lognormal, -0.5, sigma_mean=sigma_mean)
        check_of_use(*lognormal, 1.2, sigma_std=sigma_std)
        super().__init__(**kwargs)
        processor = self.processor
        ends = processor.ends or positions == 0
        check_of_use(ends, "drawings and clips, which end by themselves", 16, positions=positions)
        check_of_use(processor.num_numbers, "data with numbers", 0, companding=companding)
        # Levels as channels: 1 for the level there is, -1 for the others.
        self._offsets = np.cumsum([processor.num_numbers * self.frame, *processor.levels])
        self.channels = int(self._offsets[-1])
        columns = np.array([*processor.number_columns, *processor.category_columns], np.int32)
        widths = [self.frame] * processor.num_numbers + list(processor.levels)
        self._feature_of_channel = np.repeat(columns, widths)
        self.companding = companding
        self.positions = positions
        self.places = None
        if positions and processor.ends:
            self.places = SinusoidalEmbedding(positions, base=1000.0, dtype="float32")
        check(
            threshold != "dynamic" or np.isfinite(self._channel_bounds()).all(),
            "threshold='dynamic' needs two bounds of every number, and a scaler that keeps them",
            threshold=threshold,
        )
        embedded = 0 if self.class_embedding is None else self.class_embedding.output_dim
        scales = processor.num_numbers if processor.scaler.needs_scale else 0
        self.unet = UNet1D(
            self.channels,
            width=width,
            multipliers=multipliers,
            blocks=blocks,
            attention_at=attention_at,
            linear_attention=linear_attention,
            heads=heads,
            head_width=head_width,
            groups=groups,
            embedding=embedding,
            condition_width=embedded + processor.static_width + scales,
            sequence_width=processor.covariate_width
            + (2 * positions if self.places else 0)
            + (2 * self.channels if infilling else 0),
            self_condition=self_condition,
            seed=self.layer_seed(50),
            dtype=self.dtype_policy,
            name="unet",
        )
        self.unet.build((None, None, self.channels))
        self._make_bounds()
        self.noise_schedule = noise_schedule(schedule, sigma_min, sigma_max)
        self.built = True

        # Model
        self.width = width
        self.multipliers = self.unet.multipliers
        self.blocks = blocks
        self.attention_at = self.unet.attention_at
        self.linear_attention = linear_attention
        self.heads = heads
        self.head_width = head_width
        self.groups = groups
        self.dropout = dropout
        self.embedding = embedding
        self.self_condition = self_condition
        self.objective = objective
        self.weighting = weighting
        self.sigmas = sigmas
        self.sigma_mean = sigma_mean
        self.sigma_std = sigma_std
        self.sigma_data = sigma_data
        self.schedule = schedule
        self.sigma_min = sigma_min
        self.sigma_max = sigma_max
        self.threshold = threshold
        self.energy = energy
        self.infilling = infilling

    # Sequences as channels, and back

    def _channels(self, batch):
        """Clean channels float32 `(batch, time, channels)` and which of them were observed."""
        processor, values = self.processor, batch["values"]
        scale = batch["scale"][:, None] if processor.scaler.needs_scale else None
        scaled = self._scaled(processor.numbers(values), scale)
        parts, observed = [scaled], [~tf.math.is_nan(scaled)]
        categories = processor.categories(values)
        for index, levels in enumerate(processor.levels):
            chosen = categories[..., index]
            parts.append(2 * tf.one_hot(chosen, levels) - 1)
            observed.append(tf.repeat((chosen >= 0)[..., None], levels, axis=-1))
        observed = tf.concat(observed, axis=-1) & batch["valid"][..., None]
        return tf.where(observed, tf.concat(parts, axis=-1), 0.0), observed

    def _values(self, channels, scale):
        """Values `(batch, frames, position_width)` in the data's units, and the share clipped."""
        numbers, *levels = np.split(np.arange(self.channels), self._offsets[:-1])
        scale = scale[:, None] if self.processor.scaler.needs_scale else None
        numbers, clipped = self._bounded(self._unscaled(channels[..., : len(numbers)], scale))
        if self.frame > 1:
            return numbers, clipped
        chosen = [tf.argmax(channels[..., one[0] : one[-1] + 1], -1, tf.int32) for one in levels]
        categories = tf.stack(chosen, axis=-1) if chosen else None
        return self.processor.join(numbers, categories), clipped

    def _scaled(self, numbers, scale):
        scaled = super()._scaled(numbers, scale)
        return tf.asinh(scaled / self.companding) if self.companding else scaled

    def _unscaled(self, scaled, scale):
        if self.companding:
            # No further than data may be: sinh leaves float32 at 89.
            scaled = tf.sinh(tf.clip_by_value(scaled, -MOST_COMPANDED, MOST_COMPANDED))
            scaled *= self.companding
        return super()._unscaled(scaled, scale)

    def _log_slope(self, numbers, scale):
        """Logarithm of d channel / d number `(..., numbers)`, of the numbers of `_scaled`."""
        slope = self.processor.log_slope(numbers, scale)
        if not self.companding:
            return slope
        # d asinh(u) / du = 1 / sqrt(1 + u^2); frames are turned by an orthogonal matrix.
        scaled = super()._scaled(numbers, scale) / self.companding
        return slope - np.log(self.companding) - tf.math.log1p(tf.square(scaled)) / 2.0

    def _channel_bounds(self):
        """Lowest and highest channels that data may have, float32 `(2, channels)`."""
        bounds = np.ones([2, self.channels], np.float32) * [[-1], [1]]  # levels
        count = self._offsets[0]
        bounds[:, :count] *= np.inf
        limits = None
        if self.frame == 1 and self.processor.num_numbers:
            limits = self.processor.scaled_bounds()
        if limits is not None:
            if self.companding:
                limits = np.arcsinh(np.divide(limits, self.companding))
            bounds[:, :count] = limits
        return bounds.astype(np.float32)

    # The denoiser

    def _network(self, given, drop=None, record=None):
        """A function `(inputs, c_noise, self_condition=None)` for what is `given` of sequences.

        Args:
            given: Dict with `valid` bool `(batch, time)` or None, `whole` `(batch, width)`,
                `covariates` `(batch, time, width)` and, if something is told as it is, `told`, see
                `_with_told`. With `unet` another function takes the network's place.
        """
        whole, covariates = given["whole"], given["covariates"]
        unet = given.get("unet", self.unet)

        def network(inputs, c_noise, estimate=None):
            return unet(
                inputs,
                c_noise,
                mask=given["valid"],
                condition=whole if whole.shape[-1] else None,
                sequence=covariates if covariates.shape[-1] else None,
                self_condition=estimate,
                drop=drop,
                record=record,
            )

        return network

    def denoiser(self, given, drop=None):
        """A denoiser `(x, sigma, *previous)` -> `x0_hat` for `tfgen.sampling.diffusion`."""
        if self.energy:
            return energy_denoiser(self.energies(given, drop))
        return self._clean(given, drop)

    def energies(self, given, drop=None):
        """An energy `(x, sigma, *previous)` -> `(batch,)` for `tfgen.sampling.energies`."""
        return quadratic_energy(self._clean(given, drop))

    def _clean(self, given, drop):
        network, told = self._network(given, drop), given.get("told")

        def denoise(x, sigma, *previous):
            estimate = denoising.denoise(
                lambda inputs, c_noise: network(inputs, c_noise, *previous),
                x,
                sigma,
                self.objective,
                self.sigma_data,
            )
            if told is None:
                return estimate
            # Of what it is told the network does not learn to say anything. A run so goes through
            # what training has shown: told values and their noise.
            x0, known = told
            return tf.where(known, x0, estimate)

        return denoise

    def _given(self, batch, key=None, told=None):
        """What the network is told of the sequences of a batch; `told` is as of `_with_told`."""
        whole, _ = self._whole(tf.shape(batch["values"])[0], batch, key)
        covariates = self._placed(self._covariates(batch), batch["valid"], batch)
        given = {"valid": batch["valid"], "whole": whole}
        given["covariates"] = self._with_told(covariates, told)
        return given if told is None else {**given, "told": told}

    def _with_told(self, covariates, told=None):
        """Covariates and the part of the channels that is told as it is.

        Args:
            covariates: float `(rows, time, width)`.
            told: `(x0, known)`, both `(rows, time, channels)`, or None for nothing.
        """
        if not self.infilling:
            return covariates
        if told is None:
            shape = tf.concat([tf.shape(covariates)[:2], [2 * self.channels]], axis=0)
            parts = [tf.zeros(shape)]
        else:
            x0, known = told
            parts = [tf.where(known, x0, 0.0), tf.cast(known, tf.float32)]
        return tf.concat([covariates, *parts], axis=-1)

    def _shown(self, key, valid):
        """Which channels are told in training: bool `(rows, time, channels)`.

        Of `infilling` of the rows all but a piece is told, to the end of the row or with an end
        before; in half of these the piece is missing in some of the features alone.
        """
        rows, time = tf.unstack(tf.shape(valid))
        draws = random.uniform(key, [rows, 5])
        told, open_end, partly = draws[:, 0] < self.infilling, draws[:, 1] < 0.5, draws[:, 2] < 0.5
        length = tf.reduce_sum(tf.cast(valid, tf.float32), axis=1)
        start = draws[:, 3] * length
        end = tf.where(open_end, length, start + draws[:, 4] * (length - start))
        place = tf.range(time, dtype=tf.float32)[None] + 0.5
        piece = (place > start[:, None]) & (place < end[:, None])
        some = random.uniform(random.fold(key, 1), [rows, self.processor.num_features]) < 0.5
        missing = tf.gather(some | ~partly[:, None], self._feature_of_channel, axis=1)
        return told[:, None, None] & ~(piece[..., None] & missing[:, None])

    def _placed(self, covariates, valid, batch):
        """Covariates and, of whole things, how far each position is from either end.

        Args:
            covariates: float `(rows, time, width)`.
            valid: bool `(rows, time)`; None if nothing ends.
            batch: Dict that may hold `first` bool `(rows,)`, whether the windows begin with their
                things, and `last` bool `(rows, time)`, where these end; a window that does not hold
                an end is not told how far it is.
        """
        if self.places is None:
            return covariates
        time = tf.shape(valid)[1]
        after = tf.broadcast_to(tf.range(time), tf.shape(valid))
        before = tf.reduce_sum(tf.cast(valid, tf.int32), axis=1, keepdims=True) - 1 - after
        first, last = self.places(after), self.places(tf.maximum(before, 0))
        if "first" in batch:
            first *= tf.cast(batch["first"], tf.float32)[:, None, None]
        if "last" in batch:
            ends = tf.reduce_any(batch["last"], axis=1)
            last *= tf.cast(ends, tf.float32)[:, None, None]
        return tf.concat([covariates, first, last], axis=-1)

    # Training

    def batch_total(self, batch, key=None, state=None, training=False):
        if key is None:
            # The same noise for the same batch, so that validations compare.
            key = random.root(0, random.EVALUATION)
        x0, observed = self._channels(batch)
        counted, told = observed, None
        if self.infilling:
            known = observed & self._shown(random.fold(key, _SHOWN), batch["valid"])
            counted, told = observed & ~known, (x0, known)
        given = self._given(batch, key if training else None, told)
        rows = tf.shape(x0)[0]
        sigma = self._training_sigmas(random.fold(key, _LEVELS), rows)
        noise = random.normal(random.fold(key, _NOISE), tf.shape(x0))
        x = denoising.add_noise(x0, noise, sigma)

        drop = self._drop(random.fold(key, _DROP)) if training and self.dropout else None
        row = denoising.preconditioning(self.objective, sigma, self.sigma_data)
        estimate = self._estimate(given, x, sigma, random.fold(key, _ESTIMATE))
        if self.energy:  # what a network would have said that denoises as the energy does
            previous = () if estimate is None else (estimate,)
            c_skip, c_out = denoising.expand(row.c_skip, x), denoising.expand(row.c_out, x)
            output = (self.denoiser(given, drop)(x, sigma, *previous) - c_skip * x) / c_out
        else:
            inputs = denoising.expand(row.c_in, x) * x
            output = self._network(given, drop)(inputs, row.c_noise, estimate)
        error = denoising.squared_error(
            output, x0, noise, sigma, self.objective, self.weighting, self.sigma_data
        )
        counted = tf.cast(counted, tf.float32)
        return tf.reduce_sum(error * counted), tf.reduce_sum(counted), state

    def _training_sigmas(self, key, rows):
        if self.sigmas == "schedule":
            return denoising.scheduled_sigma(key, [rows], self.noise_schedule)
        return denoising.lognormal_sigma(key, [rows], self.sigma_mean, self.sigma_std)

    def _estimate(self, given, x, sigma, key):
        """What half of the rows are told of their x0: arXiv:2208.04202, section 3.2."""
        if not self.self_condition:
            return None
        told = random.uniform(key, tf.shape(sigma)) < 0.5
        estimate = tf.stop_gradient(self.denoiser(given)(x, sigma))
        return tf.where(told[:, None, None], estimate, 0.0)

    def _drop(self, key):
        def drop(tensor, site):
            mask = random.bernoulli_mask(random.fold(key, site), tf.shape(tensor), 1 - self.dropout)
            return tensor * tf.cast(mask, tensor.dtype)

        return drop

    def call(self, inputs, training=False):
        """What the denoiser takes the sequences for, at a noise level of `sigma_data`.

        Args:
            inputs: As for `unpack`.

        Returns:
            float32 `(batch, time, channels)`.
        """
        batch = self.unpack(inputs)
        x0, _ = self._channels(batch)
        key = random.root(self.seed, random.EVALUATION)
        sigma = tf.fill([tf.shape(x0)[0]], np.float32(self.sigma_data))
        x = denoising.add_noise(x0, random.normal(key, tf.shape(x0)), sigma)
        return self.denoiser(self._given(batch))(x, sigma)

    def activations(self, inputs):
        outputs = {}
        batch = self.unpack(inputs)
        x0, _ = self._channels(batch)
        c_noise = tf.zeros([tf.shape(x0)[0]])
        self._network(self._given(batch), record=outputs.__setitem__)(x0, c_noise)
        return outputs

    def get_config(self):
        names = (
            "width", "multipliers", "blocks", "attention_at", "linear_attention", "heads",
            "head_width", "groups", "dropout", "embedding", "self_condition", "objective",
            "weighting", "sigmas", "sigma_mean", "sigma_std", "sigma_data", "schedule",
            "sigma_min", "sigma_max", "threshold", "energy", "infilling", "positions",
            "companding",
        )  # fmt: skip
        config = {name: getattr(self, name) for name in names}
        for name in ("multipliers", "attention_at"):
            config[name] = list(config[name])
        return {**super().get_config(), **config}
