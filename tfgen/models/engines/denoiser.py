"""`Denoiser`: a network that takes noise off sequences of numbers, and how it is trained."""

import math

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import (
    check,
    check_choice,
    check_flag,
    check_kind,
    check_of_use,
    check_positive,
    check_rate,
    check_whole,
    is_number,
)
from tfgen.models.engines.season_before import season_before
from tfgen.models.numbers.channels import ChannelEmission
from tfgen.models.numbers.places import Places
from tfgen.models.numbers.reading import AUTO, Lags
from tfgen.models.parts import made_of_parts
from tfgen.sampling import denoising, random
from tfgen.sampling.energies import energy_denoiser, quadratic_energy
from tfgen.sampling.noise_schedules import SCHEDULES, noise_schedule
from tfgen.sampling.position_levels import NOISE_LEVELS, independent_levels, rolling_levels

SIGMAS = ("lognormal", "schedule")
THRESHOLDS = ("static", "dynamic", "none")
# What asks for expected sequences, of which some are told or at any level, and why others have none.
OF_DENOISERS = ("forecast", "impute", "score", "encode", "decode", "denoise")
DISTILLED = "it was trained to draw in few steps, and the model that it was made from has one"
# Purposes of the draws of one training step.
_LEVELS, _NOISE, _ESTIMATE, _DROP, _SHOWN, SPREAD = 0, 1, 2, 3, 4, 5
# Of what is told, in standard deviations of the data: what hardly moves may still begin to.
_LEAST_UNIT = 0.01


@keras.saving.register_keras_serializable(package="tfgen")
class Denoiser:
    """A network that tells clean sequences from noise, at every noise level at once.

    It learns by denoising score matching (Vincent 2011); `docs/diffusion.md` tells why that is
    enough to draw, to fill gaps and to score.

    Args:
        network: A `tfgen.layers.UNet1D`, or a function that makes one of its `channels_out`,
            `condition_width`, `sequence_width` and `self_condition`.
        emission: A `ChannelEmission`.
        dropout: Share that is dropped in every residual block in training.
        self_condition: Whether the network is also given its own last estimate (arXiv:2208.04202).
        objective: What the network predicts: `"epsilon"`, `"x0"`, `"v"`, `"edm"` or `"flow"`; see
            `tfgen.sampling.denoising`.
        weighting: Of the loss by level: `"uniform"`, `"snr"`, `"min_snr"` or `"edm"`.
        sigmas: Levels to train on: `"lognormal"` (arXiv:2206.00364), or those of the `"schedule"`.
        sigma_mean: Mean of the logarithm of a lognormal level; of no other.
        sigma_std: Its standard deviation.
        noise_levels: `"shared"`, one level for all positions of a window; `"independent"`, levels
            that change at random positions behind a clean beginning (arXiv:2407.01392); or
            `"rolling"`, levels of the schedule that rise with the position (arXiv:2402.09470). The
            latter two learn to go on, window after window; see `tfgen.sampling.windows`.
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
            that to `"repaint"` and `"guidance"`, see `impute`.
        seasonal_skip: Above 0, what is not told is drawn as the departure from what is told so many
            positions before, or a multiple of that, in units of the spread of such departures. For
            series that drift, whose level no training window had; `"auto"` takes the strongest
            season that was found, or else 1, the last value. Of use with `infilling`; what is drawn
            from nothing stays as it is.
        positions: Features, an even number, that show the network how far each position is
            from the beginning of a drawing or a clip, and as many for how far from its end; 0 tells
            neither. Convolutions alone do not know where they are. A series has no end of its own.
        distilled: Whether its answers are samples, which `training.rollout` teaches it, and no
            expected sequences: it then draws in few steps, and does nothing else.

    Raises:
        ValueError: For an argument out of its range, or one that does not fit the data.
    """

    def __init__(
        self,
        network,
        emission,
        dropout=0.0,
        self_condition=False,
        objective="edm",
        weighting="uniform",
        sigmas="lognormal",
        sigma_mean=-0.5,
        sigma_std=1.2,
        noise_levels="shared",
        sigma_data=1.0,
        schedule="karras",
        sigma_min=0.002,
        sigma_max=80.0,
        threshold="static",
        energy=False,
        infilling=0.0,
        seasonal_skip=0,
        positions=16,
        distilled=False,
    ):
        check_kind(ChannelEmission, emission=emission)
        check_rate(dropout=dropout, infilling=infilling)
        check_choice(denoising.OBJECTIVES, objective=objective)
        check_choice(denoising.WEIGHTINGS, weighting=weighting)
        check_choice(SIGMAS, sigmas=sigmas)
        check_choice(NOISE_LEVELS, noise_levels=noise_levels)
        check_choice(SCHEDULES, schedule=schedule)
        check_choice(THRESHOLDS, threshold=threshold)
        check_flag(energy=energy, self_condition=self_condition, distilled=distilled)
        check_whole(0, positions=positions)
        check_positive(
            sigma_std=sigma_std, sigma_data=sigma_data, sigma_min=sigma_min, sigma_max=sigma_max
        )
        for name, value in (
            ("sigma_mean", sigma_mean), ("sigma_std", sigma_std), ("sigma_data", sigma_data),
        ):  # fmt: skip
            finite = is_number(value) and math.isfinite(value)
            check(finite, f"{name} must be a finite number", **{name: value})
        rolling = noise_levels == "rolling"
        check_of_use(not rolling, "other noise_levels than 'rolling'", "lognormal", sigmas=sigmas)
        drawn = sigmas == "lognormal" and not rolling
        check_of_use(drawn, "levels from sigmas='lognormal'", -0.5, sigma_mean=sigma_mean)
        check_of_use(drawn, "levels from sigmas='lognormal'", 1.2, sigma_std=sigma_std)
        processor = emission.positions.processor
        self.season = Lags.of(processor, seasonal_skip=seasonal_skip).season
        if seasonal_skip == AUTO:
            self.season = max(self.season, 1)
        check_of_use(infilling > 0, "infilling", 0, seasonal_skip=self.season)
        ends = processor.ends or positions == 0
        check_of_use(ends, "drawings and clips, which end by themselves", 16, positions=positions)
        check(
            threshold != "dynamic" or np.isfinite(emission.limits).all(),
            "threshold='dynamic' needs two bounds of every number, and a scaler that keeps them",
            threshold=threshold,
        )

        # Parts
        self.emission = emission
        self.context = emission.context
        self.places = None
        if positions and processor.ends:
            self.places = Places(positions, processor)
        if not isinstance(network, keras.layers.Layer):
            network = network(
                channels_out=emission.channels,
                condition_width=self.context.width,
                sequence_width=processor.covariate_width
                + (self.places.width if self.places else 0)
                + (2 * emission.channels if infilling else 0),
                self_condition=self_condition,
            )
        if not network.built:
            network.build((None, None, emission.channels))
        self.network = network
        self.noise_schedule = noise_schedule(schedule, sigma_min, sigma_max)

        # Config
        self.dropout = dropout
        self.self_condition = self_condition
        self.objective = objective
        self.weighting = weighting
        self.sigmas = sigmas
        self.sigma_mean = sigma_mean
        self.sigma_std = sigma_std
        self.noise_levels = noise_levels
        self.sigma_data = sigma_data
        self.schedule = schedule
        self.sigma_min = sigma_min
        self.sigma_max = sigma_max
        self.threshold = threshold
        self.energy = energy
        self.infilling = infilling
        self.seasonal_skip = seasonal_skip
        self.positions = positions
        self.distilled = distilled

    # What the network is told

    def given(self, batch, key=None, told=None):
        """What the network is told of the sequences of a batch, as a dict.

        Args:
            batch: As of `tfgen.models.numbers.positions.Positions`.
            key: int32 `(2,)`, what the hiding of classes is drawn from; None hides none.
            told: `(x0, known)`, both `(rows, time, channels)`: what is told as it is; or None.

        Returns:
            `valid` bool `(batch, time)`, `whole` `(batch, width)`, `covariates` `(batch, time,
            width)` and, if something is told as it is, `told`.
        """
        whole, _ = self.context.call(batch, tf.shape(batch["values"])[0], key)
        covariates = self.emission.positions.covariates(batch)
        covariates = self.covariates(covariates, batch["valid"], batch, told)
        given = {"valid": batch["valid"], "whole": whole, "covariates": covariates}
        return given if told is None else {**given, "told": told}

    def covariates(self, covariates, valid, batch, told=None):
        """Covariates with, of whole things, how far each position is from either end, and what of
        the channels is told as it is.

        Args:
            covariates: float `(rows, time, width)`.
            valid: bool `(rows, time)`; None if nothing ends.
            batch: As of `Places`.
            told: As of `given`.
        """
        parts = [covariates]
        if self.places is not None:
            parts.append(self.places(valid, batch))
        if self.infilling and told is None:
            shape = tf.concat([tf.shape(covariates)[:2], [2 * self.emission.channels]], axis=0)
            parts.append(tf.zeros(shape))
        elif self.infilling:
            x0, known = told
            parts += [tf.where(known, x0, 0.0), tf.cast(known, tf.float32)]
        return parts[0] if len(parts) == 1 else tf.concat(parts, axis=-1)

    def told(self, x0, known):
        """What is told as it is, in the units of what is drawn: a part of what is `given`.

        With `seasonal_skip`, of each channel of a number that has no circle: the value a season
        before, and the root mean square of how far what is told departs from that. One departure of
        1 is added, so that the unit is that of the scaled data where little is told.

        Args:
            x0: Clean channels float32 `(rows, time, channels)`.
            known: bool, likewise: which of them are told.

        Returns:
            Dict of `told`, `(x0, known)` in these units, and, if they are not those of the scaled
            data, `units`: origins `(rows, time, channels)` and units `(rows, 1, channels)`.
        """
        if not self.season:
            return {"told": (x0, known)}
        channels = np.arange(self.emission.channels)
        moved = channels < self.emission.positions.numbers
        moved[list(self.emission.circular)] = False
        counted = tf.cast(known & moved, tf.float32)
        origin = tf.where(moved, season_before(x0, known, self.season), 0.0)
        squares = tf.reduce_sum(counted * tf.square(x0 - origin), axis=1, keepdims=True)
        count = tf.reduce_sum(counted, axis=1, keepdims=True)
        unit = tf.maximum(tf.sqrt((squares + 1.0) / (count + 1.0)), _LEAST_UNIT)
        return {"told": ((x0 - origin) / unit, known), "units": (origin, unit)}

    # The denoiser

    def denoiser(self, given, drop=None):
        """A denoiser `(x, sigma, *previous)` -> `x0_hat` for `tfgen.sampling.diffusion`.

        Args:
            given: As of the method of this name. With `network` in it, another function takes the
                network's place.
            drop: As of `UNet1D`.
        """
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

    def _network(self, given, drop=None, record=None):
        """A function `(inputs, c_noise, self_condition=None)` for what is `given` of sequences."""
        whole, covariates = given["whole"], given["covariates"]
        unet = given.get("network", self.network)

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

    # Training

    def loss(self, batch, key=None, state=None, training=False):
        """The weighted squared error of a batch's channels, their number, and the state."""
        if key is None:
            # The same noise for the same batch, so that validations compare.
            key = random.root(0, random.EVALUATION)
        x0, observed = self.emission.call(batch, random.fold(key, SPREAD))
        counted, told = observed, None
        if self.infilling:
            known = observed & self.shown(random.fold(key, _SHOWN), batch["valid"])
            told = self.told(x0, known)["told"]
            counted, x0 = observed & ~known, told[0]
        given = self.given(batch, key if training else None, told)
        sigma = self.training_sigmas(random.fold(key, _LEVELS), *tf.unstack(tf.shape(x0)[:2]))
        if self.noise_levels != "shared":  # nothing is learned of what is clean
            counted &= (sigma > 0)[..., None]
            sigma = tf.maximum(sigma, self.sigma_min)
        return *self.error(given, x0, counted, sigma, key, training), state

    def error(self, given, x0, counted, sigma, key, training):
        """The weighted squared error of channels with noise on them, summed, and their number.

        Args:
            given: As of the method of this name.
            x0: Clean channels float32 `(rows, time, channels)`.
            counted: bool, likewise: which of them count.
            sigma: Levels, as of `training_sigmas`.
            key: int32 `(2,)`.
            training: Whether dropout is on.
        """
        noise = random.normal(random.fold(key, _NOISE), tf.shape(x0))
        x = denoising.add_noise(x0, noise, sigma)

        drop = self._drop(random.fold(key, _DROP)) if training and self.dropout else None
        row = denoising.preconditioning(self.objective, sigma, self.sigma_data)
        estimate = self.estimate(given, x, sigma, random.fold(key, _ESTIMATE))
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
        return tf.reduce_sum(error * counted), tf.reduce_sum(counted)

    def shown(self, key, valid):
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
        features = self.emission.positions.processor.num_features
        some = random.uniform(random.fold(key, 1), [rows, features]) < 0.5
        missing = tf.gather(some | ~partly[:, None], self.emission.feature_of_channel, axis=1)
        return told[:, None, None] & ~(piece[..., None] & missing[:, None])

    def training_sigmas(self, key, rows, time):
        """The noise levels of one step: `(rows,)`, or `(rows, time)` and 0 where x0 is given."""
        if self.noise_levels == "rolling":
            return rolling_levels(key, self.noise_schedule, rows, time)

        def draw(key, shape):
            if self.sigmas == "schedule":
                return denoising.scheduled_sigma(key, shape, self.noise_schedule)
            return denoising.lognormal_sigma(key, shape, self.sigma_mean, self.sigma_std)

        if self.noise_levels == "independent":
            return independent_levels(key, draw, rows, time)
        return draw(key, [rows])

    def estimate(self, given, x, sigma, key):
        """What half of the rows are told of their x0: arXiv:2208.04202, section 3.2."""
        if not self.self_condition:
            return None
        told = random.uniform(key, tf.shape(sigma)[:1]) < 0.5
        estimate = tf.stop_gradient(self.denoiser(given)(x, sigma))
        return tf.where(told[:, None, None], estimate, 0.0)

    def _drop(self, key):
        def drop(tensor, site):
            mask = random.bernoulli_mask(random.fold(key, site), tf.shape(tensor), 1 - self.dropout)
            return tensor * tf.cast(mask, tensor.dtype)

        return drop

    def outputs(self, batch, seed):
        """What clean sequences are taken for `(batch, time, channels)`, with noise of `sigma_data`
        on them."""
        x0, _ = self.emission.call(batch)
        key = random.root(seed, random.EVALUATION)
        sigma = tf.fill([tf.shape(x0)[0]], np.float32(self.sigma_data))
        x = denoising.add_noise(x0, random.normal(key, tf.shape(x0)), sigma)
        return self.denoiser(self.given(batch))(x, sigma)

    def activations(self, batch):
        """What the layers give for a batch: a dict from names to tensors."""
        record = {}
        x0, _ = self.emission.call(batch)
        c_noise = tf.zeros([tf.shape(x0)[0]])
        self._network(self.given(batch), record=record.__setitem__)(x0, c_noise)
        return record

    def get_config(self):
        return constructor_config(self)

    from_config = made_of_parts
