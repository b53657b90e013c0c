"""Sounds: as pictures of their waves and frequencies, and as WAV files.

The maps are cividis, which people of every colour vision can read.
"""

import wave

import numpy as np

from tfgen.report.figures import (
    BLACK,
    BLUE,
    FONTS,
    QUICK_DPI,
    QUICK_WIDTH,
    WIDTH,
    new_figure,
    plain,
    titled,
)

MOST_SOUNDS = 6
FULL_SCALE = 1 << 15  # of 16 bits
_SILENCE = -80.0  # dB below the loudest, where a map of sound ends


def sound_figure(sounds, sample_rate, titles=None, title=None, quick=False):
    """Draws sounds, each as its waveform and, beside it, as a map of its frequencies.

    Args:
        sounds: List of arrays `(samples, 1)` or `(samples,)` in [-1, 1]; the first few are drawn.
        sample_rate: Samples a second.
        titles: Optional list of texts.
        title: Optional title.
        quick: See `new_figure`.
    """
    marks, axis, _ = FONTS[quick]
    sounds = [np.asarray(sound, np.float32).reshape(-1) for sound in sounds[:MOST_SOUNDS]]
    figure = new_figure(QUICK_WIDTH if quick else WIDTH, 0.8 + 1.5 * len(sounds))
    if quick:
        figure.set_dpi(QUICK_DPI)
    panels = figure.subplots(len(sounds), 2, sharex=True, squeeze=False)
    for number, (sound, (left, right)) in enumerate(zip(sounds, panels)):
        seconds = np.arange(len(sound)) / sample_rate
        left.plot(seconds, sound, color=BLUE, linewidth=0.5)
        plain(left, quick)
        left.set(ylim=(-1.05, 1.05), ylabel="amplitude")
        if titles:
            left.set_title(titles[number], fontsize=9, loc="left", color=BLACK)
        loudness = spectrogram(sound)
        right.imshow(
            loudness.T,
            origin="lower",
            aspect="auto",
            cmap="cividis",
            vmin=_SILENCE,
            vmax=0,
            extent=(0, len(sound) / sample_rate, 0, sample_rate / 2000),
        )
        right.set_ylabel("kHz", fontsize=axis)
        right.tick_params(labelsize=marks)
    for axes in panels[-1]:
        axes.set_xlabel("seconds", fontsize=axis)
    longest = max((len(sound) for sound in sounds), default=1) / sample_rate
    panels[0, 0].set_xlim(0, max(longest, 1 / sample_rate))
    return titled(figure, title)


def spectrogram(sound, window=256, hop=64):
    """Returns the loudness of a sound's frequencies, float64 `(frames, window // 2 + 1)`.

    Args:
        sound: Array `(samples,)`.
        window: Samples under one Hann window.
        hop: Samples from one window to the next.

    Returns:
        dB below the loudest, not below -80. Row i is about sample `i * hop`.
    """
    padded = np.pad(np.asarray(sound, np.float64), (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[: len(sound) + 1 : hop]
    size = np.abs(np.fft.rfft(frames * np.hanning(window + 1)[:-1], axis=1))
    largest = size.max() or 1.0
    return 20 * np.log10(np.maximum(size / largest, 10 ** (_SILENCE / 20)))


def write_wav(path, sound, sample_rate):
    """Writes a sound as a WAV file of 16-bit PCM with one channel.

    Args:
        path: The file.
        sound: Array `(samples, 1)` or `(samples,)` in [-1, 1]; what is beyond is clipped.
        sample_rate: Samples a second.
    """
    sound = np.asarray(sound, np.float64).reshape(-1)
    if not np.isfinite(sound).all():
        raise ValueError("sound must be finite")
    whole = np.clip(np.round(sound * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int(sample_rate))
        file.writeframes(whole.astype("<i2").tobytes())
