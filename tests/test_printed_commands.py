"""What `tfgen train` and `tfgen export` print at their end runs as it stands, for every kind."""

import shlex
import wave

import numpy as np
import pytest

from tfgen import cli

TINY = {
    "lstm": ["model.units=8", "model.layers=1"],
    "gru": ["model.units=8", "model.layers=1"],
    "transformer": ["model.layers=1", "model.width=8", "model.heads=2"],
    "unet1d": ["model.width=8", "model.multipliers=[1]", "generation.num_steps=3"],
}
QUIET = ["training.sample_every=0", "training.histogram_every=0"]
HOUR = np.timedelta64(1, "h")


def text(folder):
    (folder / "my text.txt").write_text("to be or not to be\n" * 40)
    return "my text.txt"


def table(folder, to_come=0, known=True, static=False, series=1):
    """Hourly rows of one or several series, at the end some that know the price alone."""
    rng = np.random.default_rng(0)
    lines = ["id,time,load,price,size,kind"]
    for number in range(series):
        for row in range(80 + to_come):
            time = np.datetime64("2024-01-01T00:00") + row * HOUR
            load = f"{rng.normal():.3f}" if row < 80 else ""
            lines.append(
                f"{number},{time},{load},{rng.random():.3f},{number + 1},{'ab'[number % 2]}"
            )
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return "t.csv"


def drawings(folder):
    (folder / "pens").mkdir()
    for number in range(20):
        points = " ".join(f"{x},{(x * (number + 3)) % 17}" for x in range(0, 40, 4))
        (folder / "pens" / f"{number}.svg").write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg"><polyline points="{points}"/></svg>'
        )
    return "pens"


def sounds(folder):
    for kind in "ab":
        (folder / "clips" / kind).mkdir(parents=True)
        for number in range(8):
            values = np.sin(np.arange(200) * (number + 1) / 20) * 8000
            with wave.open(str(folder / "clips" / kind / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(values.astype("<i2").tobytes())
    return "clips"


SERIES = ["data.id=id", "data.time=time", "data.columns=['load']"]
KNOWN = [*SERIES, "data.known=['price']"]
CASES = {
    "text": ("lstm", text, [], "generate ./run PROMPT"),
    "text in few positions": (
        "transformer", text, ["model.positions=learned", "model.max_length=4", "training.window=4"],
        "generate ./run",
    ),
    "series": ("gru", table, SERIES, "generate ./run --out sample.csv"),
    "series in few positions": (
        "transformer", table, [*SERIES, "model.positions=learned", "model.max_length=9",
                               "training.window=8"], "generate ./run --out sample.csv",
    ),
    "rows to come": (
        "transformer", lambda folder: table(folder, to_come=5), KNOWN,
        "forecast ./run --data t.csv --horizon 5",
    ),
    "known, no rows to come": (
        "unet1d", table, KNOWN, "forecast ./run --data t.csv --horizon 24 --backtest"
    ),
    "known in few positions": (
        "transformer", table, [*KNOWN, "model.positions=learned", "model.max_length=9",
                               "training.window=8"],
        "forecast ./run --data t.csv --horizon 8 --backtest",
    ),
    "static and classes": (
        "gru", lambda folder: table(folder, series=12),
        [*SERIES, "data.static=['size']", "data.label=kind"],
        "forecast ./run --data t.csv --horizon 24",
    ),
    "drawings": ("lstm", drawings, [], "generate ./run --out sample.svg"),
    "drawings by diffusion": ("unet1d", drawings, [], "generate ./run --out sample.svg"),
    "sound": ("transformer", sounds, ["model.frame=16", "model.head=gaussian_mixture",
                                     "preprocessing.scaler=standard"], "generate ./run --out sample.wav"),
    "sound of a class, by diffusion": (
        "unet1d", sounds, ["data.label=folder", "training.window=64"],
        "generate ./run --out sample.wav",
    ),
}  # fmt: skip


SOME = ("text", "rows to come")


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=pytest.mark.long if case in SOME else pytest.mark.exhaustive)
        for case in CASES
    ],
)
def test_what_is_printed_runs(case, tmp_path, monkeypatch, capsys):
    family, make, settings, expected = CASES[case]
    monkeypatch.chdir(tmp_path)
    data = make(tmp_path)
    changes = ["training.steps=2", "training.window=16", "training.batch_size=4", *QUIET]
    changes += TINY[family]
    changes = [word for change in [*changes, *settings] for word in ("--set", change)]
    assert cli.main(["train", family, "--data", data, "--logdir", "run", *changes]) == 0
    command = capsys.readouterr().out.rpartition("To use it: ")[2].strip()
    assert command == f"tfgen {expected}"
    # A forecast of a hundred futures takes its time.
    few = ["--num-samples", "2"] if " forecast " in command else []
    assert cli.main([*shlex.split(command)[1:], *few]) == 0
    assert capsys.readouterr().out
    assert cli.main(["export", "./run", "served"]) == 0
    printed = capsys.readouterr().out.partition("\n\n")[2]
    names = {}
    exec(printed, names)
    outputs = names["outputs"]
    for name, function in names["served"].items():
        assert f'served["{name}"](' in printed
        assert (
            function.structured_outputs.keys()
            == (outputs if name == "serving_default" else names[name]).keys()
        )


def test_paths_with_spaces_are_quoted(tmp_path, monkeypatch):
    from tfgen.recipe import Recipe
    from tfgen.zoo.usage import command_for

    (tmp_path / "my run" / "final").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert command_for(Recipe("lstm"), "my run") == "tfgen generate './my run' PROMPT"
    assert command_for(Recipe("lstm"), "my run", ["--import", "my_models"]) == (
        "tfgen generate './my run' PROMPT --import my_models"
    )
    (tmp_path / "my run" / "final" / "sequence.json").write_text(
        '{"config": {"kind": "series", "static_names": ["a"]}}'
    )
    recipe = Recipe("lstm").override({"data.name": '"my data.csv"'})
    assert command_for(recipe, "my run") == (
        "tfgen forecast './my run' --data 'my data.csv' --horizon 24"
    )
