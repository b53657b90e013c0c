"""What a run on sequences of numbers tells TensorBoard: pictures and sounds of its samples."""

import numpy as np
import tensorflow as tf

from tfgen.kinds import find_kind
from tfgen.models.latents import has_posterior
from tfgen.preprocessing.told import told, told_of_one
from tfgen.report.attention import attention_figure
from tfgen.report.kinds import Samples, figure_of, lines_of, noun_of, sounds_of
from tfgen.report.series import forecast_figure
from tfgen.report.thumbnails import thumbnail
from tfgen.training.dashboard import SAMPLE_SEED, Dashboard, picture
from tfgen.training.latents import sequences_shown
from tfgen.training.projector import Cloud

# How long a series is drawn at most: a picture holds no more.
MOST_POSITIONS = 256
SAMPLE_RATE = 16000  # of sounds whose rate the model was not told
# Forecasts go from so much of held-out data over so much more of it.
HORIZON_SHARE = 0.25
FUTURES = 50
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# The Projector shows so many points at most, of no more positions together than this; a long series
# is cut into pieces of so many.
POINTS = 256
POSITIONS = 1 << 18
PIECE = 48
ATTENDED = 3  # held-out drawings of which is shown what of their texts is attended to


class SeriesDashboard(Dashboard):
    """The dashboard of a model of numbers.

    Seeds are fixed, so that what changes from picture to picture is the model.

    Args:
        folder: The folder that `tensorboard --logdir` is pointed at.
        model: The model in training.
        held_out: `tfgen.data.Sequences` that the model is not trained on, which are drawn beside
            the samples and forecast.
    """

    def __init__(self, folder, model, held_out):
        super().__init__(folder, model)
        self.held_out = held_out

    @property
    def measure(self):
        if not self.model.engine.loss_is_likelihood:
            return None
        return "loss_in_nats_per_value", 1 / self.model.engine.positions.width

    def samples(self, step):
        processor = self.model.processor
        row = find_kind(processor.kind)
        most = min(processor.length or MOST_POSITIONS, MOST_POSITIONS)
        length = self._room(most) if row.beside else None
        rate = processor.sample_rate or SAMPLE_RATE
        with self.train.as_default(step):
            arrays, titles, clip_fraction = self._drawn(row.watched, length)
            samples = Samples(arrays, processor.features, titles=titles, sample_rate=rate)
            if row.beside:
                samples.times = self._drawn_times(arrays)
                samples.real = [values[:length] for values in self.held_out.values[: row.watched]]
                samples.real_times = self._held_out_times(row.watched, length)
            figure = figure_of(row.name, samples, quick=True)
            picture(f"samples/{noun_of(row.name)}", figure)
            if row.audible:
                sound("samples/sound", *sounds_of(row.name, samples))
            if self.held_out.texts is not None:
                picture("samples/attention", attention_figure([*self._attended()]))
            if row.beside and self.model.can("forecast"):
                self._forecast(processor.features, length)
            if has_posterior(self.model):
                self._latents(row, most, rate)
            if self.model.engine.emission.bounds is not None:
                tf.summary.scalar("units/samples/clip_fraction", clip_fraction)

    def _attended(self):
        """What of its text each point of a few held-out drawings attends to, for a picture."""
        texts, found = self.held_out.texts[:ATTENDED], []
        values, lengths, _ = self.model.processor.as_values(self.held_out.values[:ATTENDED])
        engine = getattr(self.model.engine, "engines", [self.model.engine])[0]
        given = {"values": values, "lengths": lengths, "source": tf.constant(texts)}
        engine.read(engine.positions.series(given), attended=found.append)
        for text, shares, length in zip(texts, found[-1].numpy(), lengths, strict=True):
            items = [bytes([each]).decode("ascii", "ignore") for each in text.encode()]
            items += ["end"] if engine.source_encoder.tells_end else []
            shares = shares[:length, : len(items)].astype(np.float32)
            yield text, [""] * length, items, shares

    def _latents(self, row, most, rate):
        features = self.model.processor.features
        for name, (originals, made) in sequences_shown(self.model, self.held_out, most).items():
            titles = ["original"] * len(originals) + ["decoded"] * len(made)
            samples = Samples([*originals, *made], features, titles=titles, sample_rate=rate)
            if row.beside:
                samples = Samples(made, features, real=originals)
            picture(f"latents/{name}", figure_of(row.name, samples, quick=True))

    def _drawn(self, count, length=None):
        """Samples, a list of arrays; the classes in turn; and the share that was clipped."""
        classes = self.model.processor.classes
        given = {}
        length = self._room(length or self.model.generation.length or self.model.processor.length)
        if classes:
            given["condition"] = [number % len(classes) for number in range(count)]
        if self.model.processor.static_names:
            given["static"] = np.resize(
                self.held_out.static, (count, self.held_out.static.shape[1])
            )
        if self.model.processor.known_names:
            known = self._longest(self.held_out.known)
            length = min(length, len(known))
            given["known"] = known[:length]
        texts = self.held_out.texts
        if texts is not None:
            given["source"] = [texts[number % len(texts)] for number in range(count)]
        values, lengths, clip_fraction = self.model.draw(count, length, seed=SAMPLE_SEED, **given)
        samples = [row[:size] for row, size in zip(values, lengths)]
        titles = [classes[number] for number in given["condition"]] if classes else None
        titles = given.get("source", titles)
        return samples, titles, clip_fraction

    def _drawn_times(self, samples):
        """When the positions of samples are, as far as the model knows, int64 `(time,)` of each."""
        processor = self.model.processor
        if processor.start_time is None or processor.step is None:
            return None
        start = np.int64(processor.start_time)
        return [np.asarray(processor.times_after(start, np.arange(len(each)))) for each in samples]

    def _held_out_times(self, count, length):
        if self.held_out.times is None:
            return None
        return [times[:length] for times in self.held_out.times[:count]]

    def clouds(self):
        """Held-out sequences, or pieces of long ones, as the model encodes them."""
        pieces = []
        for row, values in enumerate(self.held_out.values):
            size = self._room(len(values) if self.held_out.ends else PIECE)
            pieces += [(row, start, start + size) for start in range(0, len(values), size)]
        # Evenly spread, and whole: the last piece of a series may be short.
        pieces = [piece for piece in pieces if piece[2] <= len(self.held_out.values[piece[0]])]
        if not pieces:
            return []
        count = min(POINTS, max(POSITIONS // max(stop - start for _, start, stop in pieces), 1))
        pieces = [pieces[i] for i in np.linspace(0, len(pieces) - 1, count).astype(int)]
        pieces = list(dict.fromkeys(pieces))
        values = [self.held_out.values[row][start:stop] for row, start, stop in pieces]
        rows = [row for row, _, _ in pieces]
        processor = self.model.processor
        given = told(processor, self.held_out, pieces)
        columns = {"sequence": [self.held_out.ids[row] for row in rows]}
        if processor.classes:
            columns["class"] = [processor.classes[label] for label in given["condition"]]
        if not self.held_out.ends:
            columns["from"] = [str(start) for _, start, _ in pieces]
        vectors = np.asarray(self.model.encode(values, **given))
        thumbnails = np.stack([thumbnail(lines_of(self.held_out.kind, each)) for each in values])
        return [Cloud("held-out", vectors.reshape(len(pieces), -1), columns, thumbnails)]

    def _forecast(self, features, length):
        """Draws a forecast of the longest held-out sequence."""
        row = int(np.argmax([len(values) for values in self.held_out.values]))
        values = self.held_out.values[row][:length]
        horizon = max(int(HORIZON_SHARE * len(values)), 1)
        context = len(values) - horizon
        if context < 1:
            return
        given = told_of_one(self.model.processor, self.held_out, row, 0, context, horizon)
        forecast = self.model.forecast(
            values[:context], horizon, FUTURES, QUANTILES, seed=SAMPLE_SEED, **given
        )
        quantiles = dict(forecast.quantiles)
        median = quantiles.pop(0.5)
        times = None if self.held_out.times is None else self.held_out.times[row][: len(values)]
        figure = forecast_figure(
            values[:context], median, quantiles, features, truth=values[context:], times=times,
            quick=True,
        )  # fmt: skip
        picture("samples/forecast", figure)

    def _room(self, length):
        """So many positions, or as many as the model has."""
        return min(length, self.model.max_positions or length)

    @staticmethod
    def _longest(arrays):
        return max(arrays, key=len)


def sound(tag, sounds, rate):
    """Writes sounds of one channel, arrays `(samples, 1)`, to be heard."""
    padded = np.zeros([len(sounds), max(map(len, sounds)), 1], np.float32)
    for row, each in enumerate(sounds):
        padded[row, : len(each)] = each[:, :1]
    tf.summary.audio(tag, padded, rate, max_outputs=len(sounds))
