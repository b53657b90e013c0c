"""`open_audio`: sound files as sequences of amplitudes."""

import collections
import math
import os
import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfgen.data.bounds import set_bounds
from tfgen.data.budget import Budget
from tfgen.data.features import Feature
from tfgen.data.file_labels import file_label, readable, with_labels
from tfgen.data.readers import Report, Unreadable
from tfgen.data.sequences import Sequences
from tfgen.data.strokes import check_label, nothing_found, number_labels
from tfgen.errors import InputError

FEATURES = (Feature("amplitude", low=-1.0, high=1.0),)
# A resampler's filter is as long as the two rates are apart.
MAX_RATIO = 256
INSTALL = "pip install 'tfgen-sequences[audio]'"


def open_audio(name, paths, config):
    """Reads sound files.

    With the extra `audio` installed, soundfile reads every format and soxr resamples. Without it,
    WAV files of plain PCM are read as they are.

    Args:
        name: As the data was asked for.
        paths: List of files.
        config: A `tfgen.recipe.DataConfig`. `sample_rate` is the rate to which files of another one
            are resampled, None takes the rate that most files have; `max_length` is the number of
            samples to which longer files are cut; `max_numbers` bounds what is read;
            `label="folder"` takes the name of the folder that a file lies in as its class, and
            `label="name:PATTERN"` a part of the file's own (see
            `tfgen.data.file_labels.file_label`).

    Returns:
        `Sequences` of kind `"audio"` with the one feature amplitude, in [-1, 1]; several channels
        are mixed to one.

    Raises:
        InputError: A single file cannot be read, a package is missing, or there is no sound.
    """
    check_label(config)
    by_file = file_label(config.label)
    paths, report, found = [Path(path) for path in paths], Report(), []
    for path, label in with_labels(paths, by_file, report):
        try:
            found.append((path, label, file_header(path)))
        except Unreadable as error:
            if len(paths) == 1:
                raise
            report.drop(error.reason, str(error))
    if not found:
        raise nothing_found("sound", name, report)
    # Of rates that are as common, the higher one loses nothing.
    counts = collections.Counter(header.rate for *_, header in found)
    rate = config.sample_rate or max(counts, key=lambda rate: (counts[rate], rate))
    values, ids, labels, budget = [], [], [], Budget(config.max_numbers)
    for path, label, header in found:
        try:
            sound, cut = read_sound(path, header, rate, config.max_length, budget)
        except Unreadable as error:
            if len(paths) == 1:
                raise
            report.drop(error.reason, str(error))
            continue
        if not len(sound):
            report.drop("no sample in it", str(path))
            continue
        if cut:
            report.drop(f"the part after position {config.max_length:,} (max_length)", str(path))
        values.append(sound[:, None])
        ids.append(readable(path.stem))
        labels.append(label)
    report.kept = len(values)
    if not values:
        raise nothing_found("sound", name, report)
    classes, labels = number_labels(labels)
    sequences = Sequences(
        name, "audio", FEATURES, values, ids, labels=labels, classes=classes, sample_rate=rate,
        report=report,
    )  # fmt: skip
    return set_bounds(sequences, config)


class Header(NamedTuple):
    """What a sound file says of itself.

    Attributes:
        rate: Samples a second.
        frames: Samples of each channel, which it need not hold.
        channels: Number of channels.
    """

    rate: int
    frames: int
    channels: int


def file_header(path):
    """Returns the `Header` of a sound file."""
    soundfile = _import("soundfile")
    if soundfile is None:
        return _read_wave(path, 0)[1]
    try:
        info = soundfile.info(_name(path))
    except (soundfile.LibsndfileError, OSError) as error:
        raise _unreadable(path, error) from error
    return Header(info.samplerate, info.frames, info.channels)


def read_sound(path, header, rate, max_length, budget):
    """Returns `(sound, cut)`: float32 `(samples,)` at `rate`, and whether there was more of it.

    Args:
        path: The file.
        header: Its `Header`.
        rate: Samples a second.
        max_length: The most samples; None for all.
        budget: `tfgen.data.budget.Budget`, from which what is read is taken.

    Raises:
        Unreadable: It is damaged, too large, or at a rate too far from the one wanted.
    """
    own_rate, frames = header.rate, header.frames
    if max(own_rate, rate) > MAX_RATIO * min(own_rate, rate):
        raise Unreadable(
            "too far from the sample rate",
            f"{path} has {own_rate:,} samples a second, over {MAX_RATIO} times more or less than "
            f"the {rate:,} wanted (data.sample_rate)",
        )
    if max_length is not None:
        # A little more than will be kept, for the resampler's filter.
        frames = min(frames, math.ceil((max_length + 1) * own_rate / rate) + own_rate // 10)
    budget.check(path, max(frames * header.channels, math.ceil(frames * rate / own_rate)))
    soundfile = _import("soundfile")
    if soundfile is None:
        sound = _read_wave(path, frames)[0]
    else:
        try:
            sound = soundfile.read(_name(path), frames=frames, dtype="float32", always_2d=True)[0]
        except (soundfile.LibsndfileError, OSError) as error:
            raise _unreadable(path, error) from error
    if not np.isfinite(sound).all():
        raise Unreadable("not finite", f"{path} holds a sample that is not finite")
    sound = sound.mean(axis=1)  # (samples, channels) -> (samples,)
    if own_rate != rate and len(sound):
        sound = resample(sound, own_rate, rate, path)
    cut = max_length is not None and len(sound) > max_length
    # Files of floats, and the filter of a resampler, may go beyond full scale.
    sound = np.clip(sound[:max_length], -1, 1).astype(np.float32)
    budget.take(path, len(sound))
    return sound, cut


def resample(sound, own_rate, rate, path="the sound"):
    """Returns a sound `(samples,)` at another rate."""
    soxr = _import("soxr")
    if soxr is None:
        raise InputError(
            f"{path} has {own_rate} samples a second; resampling needs the package soxr: "
            f"{INSTALL}. Received: data.sample_rate={rate}"
        )
    return soxr.resample(sound, own_rate, rate, quality="VHQ")


def _read_wave(path, frames):
    """Returns `(sound (samples, channels), header)` of a WAV file of PCM, by Python's own means."""
    if path.suffix.lower() != ".wav":
        raise InputError(f"{path}: files other than WAV need the package soundfile: {INSTALL}")
    try:
        with wave.open(str(path), "rb") as file:
            channels, width = file.getnchannels(), file.getsampwidth()
            header = Header(file.getframerate(), file.getnframes(), channels)
            data = file.readframes(frames)
    except wave.Error as error:
        if "unknown format" in str(error):
            raise InputError(
                f"{path} is no plain PCM: reading it needs the package soundfile: {INSTALL}"
            ) from error
        raise _unreadable(path, error) from error
    except (EOFError, OSError) as error:
        raise _unreadable(path, error) from error
    if width not in (1, 2, 3, 4) or not channels or not header.rate:
        what = f"{8 * width} bits, {channels} channels, {header.rate} samples a second"
        raise _unreadable(path, what)
    data = data[: len(data) // (width * channels) * (width * channels)]
    if width == 1:
        # 8 bits are unsigned in WAV.
        whole = np.frombuffer(data, np.uint8).astype(np.float32) - 128
    elif width == 3:
        padded = np.zeros([len(data) // 3, 4], np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        whole, width = padded.view("<i4")[:, 0], 4
    else:
        whole = np.frombuffer(data, f"<i{width}")
    return (whole / 2.0 ** (8 * width - 1)).astype(np.float32).reshape(-1, channels), header


def _name(path):
    """A path as soundfile takes it, also where it is no UTF-8."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def _unreadable(path, error):
    return Unreadable("no sound", f"{path} is no sound file that can be read: {error}")


def _import(name):
    """Returns a package of the extra `audio`, or None."""
    try:
        if name == "soundfile":
            import soundfile

            return soundfile
        import soxr

        return soxr
    except (ImportError, OSError):  # OSError: libsndfile itself is missing
        return None
