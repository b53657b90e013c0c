"""`open_builtin`: the built-in sets of numbers."""

import dataclasses

import numpy as np

from tfgen.data import audio, strokes
from tfgen.data.archives import load_npz
from tfgen.data.bounds import set_bounds
from tfgen.data.catalog import BUILTIN
from tfgen.data.handwriting import write_lines
from tfgen.data.music.chorales import open_chorales
from tfgen.data.sequences import Sequences
from tfgen.data.time_series import open_tables
from tfgen.errors import InputError, unknown

# In the drawing's units, KanjiVG's square is 109 wide; scripts/build_data.py rounds to this.
_KANJI_STEP = 1 / 8
# The columns of weather and what their values lie between.
_WEATHER_BOUNDS = {
    "humid": (0.0, 100.0),
    "wind_dir": (0.0, 360.0),
    "wind_speed": (0.0, None),
    "precip": (0.0, None),
    "visib": (0.0, 10.0),
}
_DRUM_RATE = 16000


def open_builtin(key, config):
    """Returns a built-in set of numbers.

    Args:
        key: Its name in `BUILTIN`.
        config: A `tfgen.recipe.DataConfig`. Of weather it may name other columns, roles and bounds
            than the set's own (time `time_hour`, id `origin`); of strokes `simplify` and
            `max_length` count, of sound `sample_rate` and `max_length`.

    Returns:
        `tfgen.data.Sequences`.

    Raises:
        InputError: The set is none of numbers, or has nothing that `config` asks for.
    """
    if key not in _OPEN:
        numbers = [name for name in BUILTIN if name in _OPEN]
        if key not in BUILTIN:
            raise unknown("built-in set of numbers", key, numbers)
        raise InputError(
            f"The built-in set '{key}' is text; those of numbers are {', '.join(numbers)}. "
            f"Received: data.name={key}"
        )
    sequences = _OPEN[key](config)
    if config.source is not None and sequences.texts is None:
        raise InputError(
            f"The built-in set '{key}' has no texts. Received: data.source={config.source}"
        )
    return sequences


def _no_label(key, config):
    if config.label is not None:
        raise InputError(
            f"The built-in set '{key}' has its own classes or none. "
            f"Received: data.label={config.label}"
        )


def _weather(config):
    config = dataclasses.replace(config, time=config.time or "time_hour", id=config.id or "origin")
    sequences = open_tables("weather", [BUILTIN["weather"].path], config)
    sequences.features = tuple(
        feature
        if feature.is_category or feature.circle or (feature.low, feature.high) != (None, None)
        else dataclasses.replace(
            feature, **dict(zip(("low", "high"), _WEATHER_BOUNDS.get(feature.name, (None, None))))
        )
        for feature in sequences.features
    )
    return sequences


def _kanji(config):
    _no_label("kanji", config)
    arrays = load_npz(BUILTIN["kanji"].path)
    points = np.stack([arrays["dx"], arrays["dy"]], axis=1).astype(np.float32) * _KANJI_STEP
    points = np.concatenate([points, arrays["pen"][:, None].astype(np.float32)], axis=1)
    drawings = np.split(points, arrays["offsets"][1:-1])
    ids = [chr(code_point) for code_point in arrays["code_points"]]
    return _strokes("kanji", drawings, ids, config)


def _pendigits(config):
    _no_label("pendigits", config)
    arrays = load_npz(BUILTIN["pendigits"].path)
    points = arrays["points"].astype(np.float32)  # (digits, 8, 2)
    # The tablet's y grows upwards.
    points[..., 1] = 100 - points[..., 1]
    drawings = [strokes.to_deltas([line]) for line in points]
    ids = [f"pendigits-{number}" for number in range(len(drawings))]
    labels = arrays["labels"].astype(np.int32)
    classes = tuple("0123456789")
    return _strokes("pendigits", drawings, ids, config, labels=labels, classes=classes)


def _handwriting(config):
    _no_label("handwriting", config)
    if config.source not in (None, "texts"):
        raise InputError(
            f"The texts of 'handwriting' are data.source=texts. Received: {config.source}"
        )
    drawings, texts = write_lines()
    ids = [f"line-{number}" for number in range(len(drawings))]
    own = {} if config.source is None else {"texts": list(texts)}
    return _strokes("handwriting", drawings, ids, config, **own)


def _strokes(name, drawings, ids, config, **labels):
    sequences = Sequences(name, "strokes", strokes.FEATURES, drawings, ids, **labels)
    sequences.report.kept = len(drawings)
    return strokes.prepare(sequences, config)


def _drums(config):
    _no_label("drums", config)
    arrays = load_npz(BUILTIN["drums"].path)
    # The bytes of the differences, which wrap around at 16 bits.
    steps = arrays["high"].astype(np.uint16) << 8 | arrays["low"]
    samples = np.cumsum(steps, dtype=np.uint16).view(np.int16)
    sounds = [part / np.float32(32767) for part in np.split(samples, arrays["offsets"][1:-1])]
    rate = config.sample_rate or _DRUM_RATE
    if rate != _DRUM_RATE:
        sounds = [np.clip(audio.resample(s, _DRUM_RATE, rate, "drums"), -1, 1) for s in sounds]
    sequences = Sequences(
        "drums",
        "audio",
        audio.FEATURES,
        [sound[:, None].astype(np.float32) for sound in sounds],
        [str(name) for name in arrays["names"]],
        labels=arrays["labels"].astype(np.int32),
        classes=tuple(str(name) for name in arrays["classes"]),
        sample_rate=rate,
    )
    sequences.report.kept = len(sounds)
    sequences.values = strokes.cut_to(
        sequences.values, config.max_length, sequences.ids, sequences.report
    )
    return set_bounds(sequences, config)


def _chorales(config):
    _no_label("chorales", config)
    return open_chorales(config)


_OPEN = {
    "weather": _weather, "kanji": _kanji, "pendigits": _pendigits, "handwriting": _handwriting,
    "drums": _drums, "chorales": _chorales,
}  # fmt: skip
