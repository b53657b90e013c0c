"""What TensorBoard tells of the drift of free runs: what a model makes of its own samples."""

import warnings

import numpy as np
import tensorflow as tf

from tfgen.data.cuts import cut_origins
from tfgen.errors import InputError
from tfgen.models.numbers.over_data import forecast_cuts
from tfgen.models.text.model import TextModel
from tfgen.training.forecast_validation import crps

_PIECES, _SAMPLES, _SEED = 16, 16, 7
_QUARTERS = 4
_CRPS = "Of free continuations of held-out windows, in deviations of each column, by quarters"
_SPREAD = "Standard deviation of free continuations over that of the data: 1 where none drifts"
_STEPS = "Root mean square of their steps from position to position over that of the data's"
_NATS = "Of the model's own text, by itself and by quarters; far from those of data, it drifts"
_DRIFT = "The same less that of held-out text (arXiv:1906.05664)"


def open_rollout_watch(model, windows):
    """Returns what has `write(writer, step)`, or None where there is no measure.

    There is one of series that have room for a forecast, and of text without a condition.

    Args:
        model: A model that goes from position to position.
        windows: Held-out windows of `tfgen.data`.
    """
    if isinstance(model, TextModel):
        return None if model.engine.emission.conditional else TextDrift(model, windows)
    if model.processor.ends:
        return None
    try:
        return SeriesDrift(model, windows)
    except InputError:  # too little is held out
        return None


class SeriesDrift:
    """Compares free continuations with how held-out series went on.

    Args:
        model: A `NumbersModel` of series.
        windows: `SequenceWindows` or `CarriedWindows` of held-out series.

    Attributes:
        context, horizon: Positions that are given and that are drawn: a window of each, or less
            where the model or what is held out has no room for them.

    Raises:
        InputError: If too little is held out.
    """

    def __init__(self, model, windows):
        self._model, sequences = model, windows.sequences
        longest, most = max(map(len, sequences.values)), model.max_positions
        room = longest if most is None else min(longest, most)
        self.horizon = max(min(windows.window, room // 2), 1)
        self.context = max(min(windows.window, room - self.horizon), 1)
        edges = getattr(windows, "skip", [0] * len(sequences))
        self._cuts = cut_origins(sequences, edges, self.context, self.horizon, _PIECES)
        features = enumerate(sequences.features)
        self._columns = [n for n, each in features if not (each.is_category or each.circle)]
        self._truth = self._cuts.values[:, self.context :, self._columns].astype(np.float64)
        if self.horizon < 2 or np.isnan(self._truth).all():
            raise InputError("no two numbers of what is held out are known")

    def measures(self):
        """Dict from a name to an array of each quarter of the horizon, the mean over columns."""
        samples = forecast_cuts(
            self._model, self._cuts, self.context, self.context, self.horizon, _SAMPLES, [_SEED]
        )[..., self._columns].astype(np.float64)
        scale = np.nanstd(self._truth, axis=(0, 1))
        scale = np.where(scale > 0, scale, 1.0)
        own, data = samples / scale, self._truth / scale
        found = {"crps": [], "spread": [], "steps": []}
        for part in np.array_split(np.arange(self.horizon), min(_QUARTERS, self.horizon // 2)):
            some, truth = own[:, :, part], data[:, part]
            found["crps"].append(np.nanmean(crps(some, truth)))
            found["spread"].append(_ratio(np.nanstd(some, (0, 1, 2)), np.nanstd(truth, (0, 1))))
            found["steps"].append(
                _ratio(
                    _size(np.diff(some, axis=2), (0, 1, 2)), _size(np.diff(truth, axis=1), (0, 1))
                )
            )
        return {name: np.array(values) for name, values in found.items()}

    def write(self, writer, step):
        """Writes them."""
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # means of nothing
            found = self.measures()
        _write(writer, step, found, {"crps": _CRPS, "spread": _SPREAD, "steps": _STEPS})


class TextDrift:
    """Compares what a model makes of text of its own with what it makes of held-out text.

    Args:
        model: A `TextModel` without a condition.
        windows: Windows of held-out text.
    """

    def __init__(self, model, windows):
        self._model, self._windows = model, windows

    def measures(self):
        """Dict from a name to an array of each quarter of a window, in nats per token."""
        model, length = self._model, self._windows.window
        if model.max_positions is not None:
            length = min(length, model.max_positions - 1)
        texts = model.generate(
            "", max_new_tokens=length, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0,
            repetition_penalty=1.0, stop=(), num_samples=_SAMPLES, seed=_SEED,
        )  # fmt: skip
        start = model.tokenizer.start_id
        held_out = tf.nest.map_structure(tf.constant, self._windows.batch(0))
        inputs, targets = (each.numpy() for each in model.unpack(held_out)[:2])
        rows = [np.append(start, model.tokenizer.encode(text)) for text in texts]
        rows += list(np.concatenate([inputs[:, :1], targets], axis=1))
        ids = np.full([len(rows), length + 1], start, np.int32)
        for row, tokens in zip(ids, rows):
            row[: len(tokens)] = tokens[: length + 1]
        counts = np.array([min(len(tokens) - 1, length) for tokens in rows], np.int32)
        state = model.engine.initial_state(len(rows))
        nats, _ = model.engine.token_nats(tf.constant(ids), tf.constant(counts), state)
        nats = np.where(np.arange(length) < counts[:, None], nats.numpy(), np.nan)
        parts = np.array_split(nats, _QUARTERS, axis=1)
        own, data = (np.array([np.nanmean(part[rows]) for part in parts])
                     for rows in (slice(_SAMPLES), slice(_SAMPLES, None)))  # fmt: skip
        return {"nats": own, "drift": own - data}

    def write(self, writer, step):
        """Writes them."""
        _write(writer, step, self.measures(), {"nats": _NATS, "drift": _DRIFT})


def _write(writer, step, measures, descriptions):
    with writer.as_default(step):
        for name, values in measures.items():
            for number, value in enumerate(values):
                tag = f"rollout/{name}/quarter_{number + 1}"
                tf.summary.scalar(tag, value, description=descriptions[name])


def _size(values, axis):
    return np.sqrt(np.nanmean(np.square(values), axis=axis))


def _ratio(own, data):
    """The mean over columns of what is found over what the data have, where that is not 0."""
    return np.mean(own[data > 0] / data[data > 0]) if (data > 0).any() else np.nan
