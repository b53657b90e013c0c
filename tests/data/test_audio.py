"""Sound files become sequences of amplitudes."""

import sys
import wave

import numpy as np
import pytest

from tfgen.data.audio import open_audio, resample
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

CONFIG = DataConfig(name="sound")
RATE = 8000


@pytest.fixture
def no_extra(monkeypatch):
    """A machine without the extra `audio`."""
    monkeypatch.setitem(sys.modules, "soundfile", None)
    monkeypatch.setitem(sys.modules, "soxr", None)


def tone(seconds=0.1, rate=RATE, frequency=440.0, gain=0.5):
    return gain * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def write_wave(path, sound, width=2, rate=RATE):
    """Writes `(samples, channels)` in [-1, 1) as PCM of so many bytes, by hand."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = sound[:, None] if sound.ndim == 1 else sound
    whole = np.round(sound * 2 ** (8 * width - 1)).astype(np.int64)
    if width == 1:
        data = (whole + 128).astype(np.uint8).tobytes()
    else:
        data = b"".join(int(x).to_bytes(width, "little", signed=True) for x in whole.reshape(-1))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(sound.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("extra", [True, False])
def test_plain_wave_files_with_and_without_the_extra(tmp_path, request, width, extra):
    if extra:
        pytest.importorskip("soundfile")
    else:
        request.getfixturevalue("no_extra")
    sound = np.array([[0.5, 0.25], [-1.0, -0.5], [0.0, 0.0], [0.75, -0.75]])
    path = write_wave(tmp_path / "a.wav", sound, width)
    sequences = open_audio("a", [path], CONFIG)
    # Two channels are mixed to one.
    np.testing.assert_array_equal(sequences.values[0], [[0.375], [-0.75], [0], [0]])
    assert sequences.values[0].dtype == np.float32
    assert sequences.sample_rate == RATE
    assert sequences.kind == "audio" and sequences.ends and sequences.ids == ["a"]
    [feature] = sequences.features
    assert (feature.name, feature.low, feature.high) == ("amplitude", -1, 1)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "aiff", "mp3"])
def test_other_formats(tmp_path, suffix):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / f"a.{suffix}"
    rate = 16000
    soundfile.write(path, tone(0.5, rate), rate)
    sequences = open_audio("a", [path], CONFIG)
    assert sequences.sample_rate == rate
    spectrum = np.abs(np.fft.rfft(sequences.values[0][:, 0]))
    loudest = np.argmax(spectrum) * rate / len(sequences.values[0])
    assert loudest == pytest.approx(440, abs=2)
    assert np.abs(sequences.values[0]).max() == pytest.approx(0.5, abs=0.05)


def test_resampling_keeps_pitch_length_and_loudness(tmp_path):
    pytest.importorskip("soxr")
    path = write_wave(tmp_path / "a.wav", tone(1.0, 44100), rate=44100)
    sequences = open_audio("a", [path], DataConfig(name="a", sample_rate=RATE))
    assert sequences.sample_rate == RATE and len(sequences.values[0]) == RATE
    middle = slice(500, -500)
    np.testing.assert_allclose(sequences.values[0][middle, 0], tone(1.0)[middle], atol=1e-3)
    # What the new rate cannot hold is filtered out, not folded down.
    high = tone(1.0, 44100, 10_000)
    assert np.abs(resample(high, 44100, RATE)[middle]).max() < 1e-3


def test_files_are_brought_to_the_rate_that_most_have(tmp_path):
    pytest.importorskip("soxr")
    rates = {"a": 8000, "b": 8000, "c": 16000}
    paths = [write_wave(tmp_path / f"{k}.wav", tone(0.1, r), rate=r) for k, r in rates.items()]
    sequences = open_audio("x", paths, CONFIG)
    assert sequences.sample_rate == 8000
    assert [len(values) for values in sequences.values] == [800, 800, 800]
    # As common: the higher one.
    assert open_audio("x", paths[1:], CONFIG).sample_rate == 16000


@pytest.mark.parametrize("rate", [None, 4000])
def test_max_length_cuts_and_counts(tmp_path, rate):
    if rate:
        pytest.importorskip("soxr")
    long, short = tone(0.5), tone(0.01)
    paths = [write_wave(tmp_path / "a.wav", long), write_wave(tmp_path / "b.wav", short)]
    config = DataConfig(name="x", max_length=100, sample_rate=rate)
    sequences = open_audio("x", paths, config)
    assert [len(values) for values in sequences.values] == [100, 40 if rate else 80]
    reason = "the part after position 100 (max_length)"
    assert sequences.report.dropped == {reason: [1, str(paths[0])]}
    # Cut is as reading everything and cutting then.
    whole = open_audio("x", paths, DataConfig(name="x", sample_rate=rate)).values[0]
    np.testing.assert_allclose(sequences.values[0], whole[:100], atol=1e-5)
    exact = write_wave(
        tmp_path / "c.wav", tone(100 / (rate or RATE), rate or RATE), rate=rate or RATE
    )
    assert not open_audio("x", [exact], config).report.dropped


def test_labels_of_folders(tmp_path):
    names = ("snare/1.wav", "kick/1.wav", "kick/2.wav")
    paths = [write_wave(tmp_path / name, tone()) for name in names]
    sequences = open_audio("x", paths, DataConfig(name="x", label="folder"))
    assert sequences.classes == ("kick", "snare") and sequences.labels.tolist() == [1, 0, 0]
    assert open_audio("x", paths, CONFIG).labels is None
    with pytest.raises(InputError, match="data.label=kind"):
        open_audio("x", paths, DataConfig(name="x", label="kind"))


def test_labels_of_the_names_of_files(tmp_path):
    # As the clips of spoken digits are called.
    names = ("7_jackson_32.wav", "0_theo_1.wav", "7_theo_0.wav", "readme.wav")
    paths = [write_wave(tmp_path / name, tone()) for name in names]
    sequences = open_audio("x", paths, DataConfig(name="x", label=r"name:^(\d)_"))
    assert sequences.classes == ("0", "7") and sequences.labels.tolist() == [1, 0, 1]
    reason = "the file's name does not match data.label"
    assert sequences.report.dropped == {reason: [1, str(paths[3])]}
    assert open_audio("x", paths, DataConfig(name="x", label="name:_([a-z]+)_")).classes == (
        "jackson",
        "theo",
    )


@pytest.mark.parametrize("extra", [True, False])
def test_what_sounds_may_become_has_a_budget(tmp_path, request, extra):
    if extra:
        pytest.importorskip("soundfile")
    else:
        request.getfixturevalue("no_extra")
    paths = [write_wave(tmp_path / f"{name}.wav", tone()) for name in "ab"]
    with pytest.raises(InputError, match="a.wav would become 800 numbers.*data.max_numbers=799"):
        open_audio("x", paths[:1], DataConfig(name="x", max_numbers=799))
    sequences = open_audio("x", paths, DataConfig(name="x", max_numbers=800))
    assert sequences.ids == ["a"] and sequences.report.dropped["too large"][0] == 1
    # What is cut off is not counted; what a reader holds of two channels is.
    assert len(open_audio("x", paths, DataConfig(name="x", max_length=9, max_numbers=2000))) == 2
    both = write_wave(tmp_path / "c.wav", np.stack([tone(), tone()], axis=1))
    with pytest.raises(InputError, match="would become 1,600 numbers"):
        open_audio("x", [both], DataConfig(name="x", max_numbers=1599))


def test_a_flac_that_claims_too_much_is_refused(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(4000, np.int16), RATE)
    data = bytearray(path.read_bytes())
    data[21] |= 15
    data[22:26] = b"\xff" * 4
    path.write_bytes(data)
    with pytest.raises(InputError, match="a.flac would become 68,719,476,735 numbers"):
        open_audio("x", [path], CONFIG)


def test_rates_that_are_far_apart_are_counted(tmp_path):
    slow = write_wave(tmp_path / "a.wav", tone(), rate=1)
    fast = [write_wave(tmp_path / f"b{i}.wav", tone(), rate=655_350) for i in range(2)]
    sequences = open_audio("x", [slow, *fast], CONFIG)
    assert sequences.sample_rate == 655_350 and sequences.ids == ["b0", "b1"]
    [count, example] = sequences.report.dropped["too far from the sample rate"]
    assert count == 1 and f"{slow} has 1 samples a second" in example
    with pytest.raises(InputError, match="over 256 times more or less than the 8,000 wanted"):
        open_audio("x", [slow], DataConfig(name="x", sample_rate=8000))


@pytest.mark.parametrize("options", ["PCM_U8", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "WAVEX PCM_16"])
def test_the_waves_that_people_have(tmp_path, options):
    soundfile = pytest.importorskip("soundfile")
    *container, subtype = options.split()
    path = tmp_path / "a.wav"
    sound = tone()
    soundfile.write(
        path, np.stack([sound, sound], axis=1), RATE, subtype, format=(*container, "WAV")[0]
    )
    [values] = open_audio("x", [path], CONFIG).values
    np.testing.assert_allclose(values[:, 0], sound, atol=0.02)
    assert np.abs(values[:, 0] - sound).max() < (0.02 if subtype in ("PCM_U8", "ULAW") else 1e-4)


def test_a_folder_whose_name_is_no_utf8(tmp_path):
    folder = tmp_path / b"caf\xe9".decode("utf-8", "surrogateescape")
    path = write_wave(folder / b"\xe9.wav".decode("utf-8", "surrogateescape"), tone())
    sequences = open_audio("x", [path], DataConfig(name="x", label="folder"))
    assert sequences.classes == ("caf\\udce9",) and sequences.ids == ["\\udce9"]


def test_floats_beyond_full_scale_are_clipped_and_nan_is_refused(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([1.5, -2.0, 0.25]), RATE, subtype="FLOAT")
    assert open_audio("a", [path], CONFIG).values[0][:, 0].tolist() == [1, -1, 0.25]
    soundfile.write(path, np.array([1.5, np.nan]), RATE, subtype="FLOAT")
    with pytest.raises(InputError, match="not finite"):
        open_audio("a", [path], CONFIG)


@pytest.mark.parametrize("extra", [True, False])
def test_bad_files_among_good_ones_are_counted(tmp_path, request, extra):
    if extra:
        pytest.importorskip("soundfile")
    else:
        request.getfixturevalue("no_extra")
    good = write_wave(tmp_path / "a.wav", tone())
    empty = write_wave(tmp_path / "b.wav", tone()[:0])
    bad = tmp_path / "c.wav"
    bad.write_bytes(b"RIFF, or so")
    sequences = open_audio("x", [good, empty, bad], CONFIG)
    counts = {reason: number for reason, (number, _) in sequences.report.dropped.items()}
    assert counts == {"no sample in it": 1, "no sound": 1}
    assert sequences.report.kept == len(sequences) == 1
    with pytest.raises(InputError, match="is no sound file that can be read") as caught:
        open_audio("x", [bad], CONFIG)
    assert str(bad) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(InputError, match="There is no sound in x"):
        open_audio("x", [empty], CONFIG)


def test_what_needs_the_extra_says_so(tmp_path, no_extra):
    path = write_wave(tmp_path / "a.wav", tone())
    needed = r"soxr: pip install 'tfgen-sequences\[audio\]'.*sample_rate=4000"
    with pytest.raises(InputError, match=needed):
        open_audio("x", [path], DataConfig(name="x", sample_rate=4000))
    assert len(open_audio("x", [path], DataConfig(name="x", sample_rate=RATE))) == 1
    with pytest.raises(InputError, match=r"other than WAV need the package soundfile: pip install"):
        open_audio("x", [tmp_path / "a.flac"], CONFIG)


def test_waves_that_are_no_pcm_need_the_extra(tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), RATE, subtype="FLOAT")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(InputError, match="is no plain PCM"):
        open_audio("x", [path], CONFIG)
