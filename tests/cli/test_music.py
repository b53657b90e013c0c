"""Music as events by the commands: from a folder of MIDI files to MIDI and sound."""

import json
import wave

import numpy as np
import pytest

from tests import event_files
from tests.data.music.midi_bytes import END, midi, off, on, simple, track
from tfgen.data.music.events import to_piece, to_words
from tfgen.data.music.midi import read_midi, write_midi
from tfgen.report.music import class_name, pitch_name
from tfgen.zoo.folders import data_kind_of

pytest.importorskip("symusic")


def scale(first, count=32, program=0):
    """A file of quarter notes that go up and down a scale."""
    steps = [0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2]
    notes = [(0, bytes([0xC0, program]))]
    for number in range(count):
        pitch = first + steps[number % len(steps)]
        notes += [(0, on(pitch)), (480, off(pitch))]
    return midi([track([*notes, END])])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pieces")
    for number in range(12):
        (folder / f"{number}.mid").write_bytes(scale(55 + number, program=40 * (number % 2)))
    (folder / "broken.mid").write_bytes(simple()[:-4])
    return folder


def test_inspect_tells_of_music_and_draws_it(run, folder, tmp_path):
    code, out, _ = run("inspect", folder, "--out", tmp_path / "rolls.png")
    assert code == 0
    for line in (
        ": music as events, 12 pieces, 384 notes,",
        "kept: 12 pieces",
        "dropped: 1 x damaged (first: ",
        "lengths: 32 quarter notes, 16 seconds, 0.0533 hours in all",
        "tracks: 1",
        "instruments, in pieces: piano (0) 6, strings (40) 6",
        "metres, in pieces: none 12",
        "~G major 1",
        "pitches: G3 to F#5 (55 to 78)",
        "notes at once: 1 while any sounds, 1 at most",
        "sample: Bar Position_0 Program_",
    ):
        assert line in out, line
    assert (tmp_path / "rolls.png").read_bytes().startswith(b"\x89PNG")


def test_names_of_pitches():
    assert [pitch_name(pitch) for pitch in (60, 69, 21, 108)] == ["C4", "A4", "A0", "C8"]
    assert [class_name(7 * sharps) for sharps in (0, 1, -3)] == ["C", "G", "Eb"]


def test_a_model_of_other_texts_writes_no_music(fails, model, tmp_path):
    said = fails("generate", "verse", "--out", tmp_path / "a.mid")
    assert "verse is no model of events of music" in said


@pytest.mark.long
def test_from_midi_files_to_midi_sound_and_pictures(run, folder, tmp_path):
    logdir = tmp_path / "run"
    settings = {
        "training.steps": 40, "training.window": 32, "training.batch_size": 8, "model.units": 32,
        "training.sample_every": 40, "training.augment": '["transpose=3", "tempo=0.1"]',
    }  # fmt: skip
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    code, out, err = run("train", "gru", "--data", folder, "--logdir", logdir, *sets)
    assert code == 0, err
    assert "dropped: 1 x damaged" in err and f"tfgen generate {logdir} --out sample.mid" in out
    assert data_kind_of(logdir / "final") == "events"
    events = event_files.open_events(logdir / "logs" / "train")
    assert "samples/temperature_1.0/roll" in events.PluginTagToContent("images")
    assert "samples/temperature_1.0/sound" in events.PluginTagToContent("audio")
    song, sound, prompt = (tmp_path / name for name in ("a.mid", "a.wav", "prompt.mid"))
    options = ["--seed", "1", "--max-new-tokens", "60"]
    assert run("generate", logdir, "--out", song, *options)[0] == 0
    # The file is the text that is printed, word for word.
    text = run("generate", logdir, *options, "--stop", "\n")[1]
    assert to_words(read_midi(song)) == to_words(to_piece(text))
    assert run("generate", logdir, "--num-samples", "2", "--out", sound, *options)[0] == 0
    for number in (1, 2):
        with wave.open(str(tmp_path / f"a-{number}.wav")) as file:
            assert file.getframerate() == 22050 and file.getnframes() > 2000
    begun = read_midi(folder / "0.mid")
    write_midi(begun, prompt)
    code, out, err = run("generate", logdir, prompt, "--out", song, *options)
    assert code == 0 and "notes, " in out
    after = read_midi(song)  # the last bar of the prompt may get further notes
    np.testing.assert_array_equal(after.notes[:28, 2], begun.notes[:28, 2])
    np.testing.assert_array_equal(after.notes[:28, 0] * 40, begun.notes[:28, 0])
    scores = tmp_path / "scores.json"
    assert run("evaluate", logdir, "--data", folder, "--crops", "4", "--out", scores)[0] == 0
    found = json.loads(scores.read_text())
    assert found["unknown_words"] == 0 and found["nats_per_note"] > found["nats_per_word"] > 0
    assert found["notes"] == 32  # of the piece that is held out


@pytest.mark.long
def test_pieces_of_folders_are_classes_and_served_words_are_the_same_music(run, tmp_path):
    import tensorflow as tf

    for number in range(12):
        place = tmp_path / "sets" / ("low" if number < 6 else "high") / f"{number}.mid"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(scale(36 + 5 * number))
    logdir = tmp_path / "run"
    settings = {
        "training.steps": 30, "training.window": 32, "training.batch_size": 4, "model.units": 32,
        "training.sample_every": 30, "data.label": "folder", "training.augment": '["transpose=2"]',
    }  # fmt: skip
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    code, _, err = run("train", "gru", "--data", tmp_path / "sets", "--logdir", logdir, *sets)
    assert code == 0 and "2 classes" in err, err
    events = event_files.open_events(logdir / "logs" / "train")
    assert "samples/temperature_1.0/low/sound" in events.PluginTagToContent("audio")
    options = ["--seed", "3", "--max-new-tokens", "40", "--condition", "low"]
    assert run("generate", logdir, "--out", tmp_path / "a.mid", *options)[0] == 0
    assert run("export", logdir, tmp_path / "served")[0] == 0
    [found] = (tmp_path / "served").glob("**/saved_model.pb")
    served = tf.saved_model.load(str(found.parent))
    scored = served.signatures["score"](
        texts=tf.constant(["Bar Position_0 Pitch_60 Duration_12\n"]), condition=tf.constant([1])
    )
    from tfgen.zoo import get

    model = get(logdir)
    own = model.score("Bar Position_0 Pitch_60 Duration_12\n", condition="low")
    assert float(scored["log_likelihood"][0]) == pytest.approx(own["log_likelihood"], abs=1e-4)
    pieces = "".join(model.stream("Bar", seed=3, max_new_tokens=40, condition="low"))
    assert pieces == model.generate("Bar", seed=3, max_new_tokens=40, condition="low")
