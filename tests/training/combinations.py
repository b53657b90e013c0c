"""What the tests of whole trainings train: small models on small data, with all there is to watch."""

import json

import numpy as np

# As small as it goes, and everything on that is on by default, or can be.
EVERYTHING = {
    "training.steps": 12, "training.batch_size": 8, "training.window": 16,
    "training.warmup_steps": 2, "training.log_every": 4, "training.validate_every": 6,
    "training.validation_batches": 3, "training.sample_every": 6, "training.histogram_every": 6,
    "training.checkpoint_every": 6, "training.ema": 0.9, "training.accumulate": 2,
    "training.profile": "3:4",
}  # fmt: skip
SMALL = {
    "lstm": {"model.units": 8, "model.layers": 1},
    "gru": {"model.units": 8, "model.layers": 1},
    "transformer": {"model.layers": 1, "model.heads": 2, "model.width": 8},
    "vae": {
        "model.units": 8, "model.layers": 1, "model.latent_size": 3, "model.encoder_units": 6,
    },
    "unet1d": {
        "model.width": 8, "model.groups": 2, "model.multipliers": [1], "model.blocks": 1,
        "model.heads": 1, "model.head_width": 8, "generation.num_steps": 3,
        "generation.resamplings": 1,
    },
    "gan": {
        "model.width": 8, "model.multipliers": [1], "model.critic_width": 8,
        "model.critic_multipliers": [1], "model.latent_size": 4,
    },
}  # fmt: skip
# What is to be watched changes no step.
UNWATCHED = {
    "training.sample_every": 0, "training.histogram_every": 0, "training.profile": None,
}  # fmt: skip
KINDS = ("text", "series", "strokes", "audio")
OF_KIND = {
    "strokes": {"generation.length": 20},
    "audio": {"data.label": "folder", "generation.length": 64},
    "music": {"data.pitches": "60:69", "generation.length": 12},
}


def kinds_of(family):
    """The kinds of data that a family is for."""
    return KINDS[1:] if family in ("unet1d", "gan") else KINDS


def settings(family, kind, folder, **changes):
    """The settings of a small training of a kind of data, or a file of it, which `write_data` wrote.

    In the changes, FOLDER stands for the folder.
    """
    files = {
        "text": "text.txt", "series": "series.csv", "strokes": "pen.npz", "audio": "sounds",
        "music": "chords.json",
    }  # fmt: skip
    of_data = {"data.name": str(folder / files.get(kind, kind))}
    changes = {
        key: value.replace("FOLDER", str(folder)) if isinstance(value, str) else value
        for key, value in changes.items()
    }
    return {**EVERYTHING, **SMALL[family], **OF_KIND.get(kind, {}), **of_data, **changes}


def expected_tags(kind, forecasts=True):
    """What begins the tags of the events of a run with everything on, by kind of data, of a family
    that forecasts series or does not."""
    samples = {
        "text": ["samples/temperature_1.0"],
        "series": ["samples/series", *(["samples/forecast"] if forecasts else [])],
        "strokes": ["samples/drawings"],
        "audio": ["samples/sounds", "samples/sound"],
        "music": ["samples/pieces", "samples/sound"],
    }[kind]
    return [*samples, "weights/", "gradients/", "units/", "Loss/loss"]


def write_data(folder):
    """Writes the data of the tests into a folder: some of each kind."""
    rng = np.random.default_rng(0)
    words = ["to", "be", "or", "not", "that", "is", "the", "question"]
    (folder / "text.txt").write_text("\n".join(" ".join(rng.choice(words, 6)) for _ in range(200)))
    _write_series(folder, rng)
    _write_sounds(folder / "sounds", rng)
    _write_strokes(folder / "pen.npz", rng)
    _write_chords(folder / "chords.json", rng)


def _write_series(folder, rng):
    hours = np.arange(np.datetime64("2024-01-01T00", "h"), np.datetime64("2024-01-11T00", "h"))
    wave = np.sin(np.arange(len(hours)) * np.pi / 12)
    level, rain = (
        10 + wave + rng.normal(0, 0.1, len(hours)),
        np.maximum(rng.normal(size=len(hours)), 0),
    )
    sky = rng.choice(["clear", "cloud", "rain"], len(hours))
    rows = [f"{t},{a:.3f},{b:.3f},{c}" for t, a, b, c in zip(hours, level, rain, sky)]
    rows[50:53] = [f"{t},,," for t in hours[50:53]]
    (folder / "series.csv").write_text("\n".join(["time,level,rain,sky", *rows]))
    (folder / "plain.csv").write_text("\n".join(["x", *(f"{x:.4f}" for x in 1 + wave)]))
    moods = rng.choice(["good", "bad", "so"], [len(hours), 2])
    (folder / "moods.csv").write_text("\n".join(["a,b", *map(",".join, moods)]))
    # Several sites, with what is known beforehand, what does not change, and a class.
    lines = ["site,time,load,plan,height,kind"]
    for site in range(12):
        noise = rng.normal(0, 0.1, 60)
        lines += [
            f"s{site},{hours[i]},{wave[i] + noise[i]:.3f},{i % 3},{site + 0.5},{'ab'[site % 2]}"
            for i in range(60)
        ]
    (folder / "sites.csv").write_text("\n".join(lines))


def _write_sounds(folder, rng):
    import wave

    for kind in ("high", "low"):
        (folder / kind).mkdir(parents=True)
        for number in range(10):
            time = np.arange(200 + 8 * number)
            tone = np.sin(time / (2 if kind == "high" else 7)) * np.exp(-time / 90)
            tone += rng.normal(0, 0.01, len(time))
            with wave.open(str(folder / kind / f"{number}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(4000)
                file.writeframes((tone * 20000).clip(-32768, 32767).astype("<i2").tobytes())


def _write_strokes(path, rng):
    """Drawings with a class: rows of dx, dy and whether the pen is lifted after it."""
    drawings = []
    for number in range(24):
        moves = rng.normal(0, 3, [12 + number % 7, 2]).round()
        lifted = np.zeros([len(moves), 1])
        lifted[[len(moves) // 2, -1]] = 1
        drawings.append(np.hstack([moves, lifted]))
    offsets = np.cumsum([0, *map(len, drawings)])
    labels = np.arange(len(drawings)) % 2
    np.savez(
        path, points=np.concatenate(drawings).astype(np.float32), offsets=offsets, labels=labels,
        classes=np.array(["zig", "zag"]),
    )  # fmt: skip


def _write_chords(path, rng):
    """Triads that go up and down, with the file's own splits."""
    sizes = {"train": 16, "valid": 8, "test": 8}
    pieces = {
        split: [
            [[60 + n, 62 + n, 64 + n] for n in rng.integers(0, 5, 14 + number % 3).tolist()]
            for number in range(size)
        ]
        for split, size in sizes.items()
    }
    path.write_text(json.dumps(pieces))
