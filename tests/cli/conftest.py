"""Fixtures of the tests of the command line."""

import re

import pytest

from tfgen import cli, zoo
from tfgen.zoo import registry


class FakeModel:
    """Stands for a trained model of text: it writes down how it was called."""

    classes = ()
    preprocessing = None

    def __init__(self):
        self.calls = []

    def generate(self, prompts, num_samples=1, **options):
        self.calls.append((prompts, num_samples, options))
        texts = [[f"{prompt}|é{row}" for row in range(num_samples)] for prompt in prompts]
        return texts if num_samples > 1 else [row[0] for row in texts]

    def stream(self, prompt, **options):
        self.calls.append((prompt, options))
        yield from [prompt, "a", "bc"]

    def export(self, path, warm):
        self.calls.append(path)
        self.warm = warm
        path.mkdir(parents=True)


@pytest.fixture
def run(capsys):
    """A function that runs a command line in this process: (code, stdout, stderr)."""

    def call(*argv):
        code = cli.main([str(word) for word in argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def fails(run):
    """A function that runs a command line which must be refused in one line: that line."""

    def call(*argv):
        code, out, err = run(*argv)
        assert (code, out) == (2, "")
        assert re.fullmatch(r"tfgen: error: [^\n]+\n", err), err
        return err

    return call


@pytest.fixture
def model(monkeypatch, tmp_path):
    """The entry `verse` of text, which `zoo.get` gives as a `FakeModel`."""
    folder = tmp_path / "entries" / "verse"
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(
        'family = "lstm"\n[model]\nunits = 8\n[data]\nname = "book.csv"\ncolumn = "text"\n'
    )
    (folder / "model.weights.h5").write_bytes(b"")
    monkeypatch.setattr(registry, "added_entries", {"verse": folder})
    fake = FakeModel()
    monkeypatch.setattr(zoo, "get", {"verse": fake}.__getitem__)
    return fake


@pytest.fixture
def fakes(monkeypatch, tmp_path):
    """Entries of every kind, which `zoo.get` gives as `FakeNumbers`."""
    from fakes import PROCESSORS, FakeNumbers  # which imports TensorFlow

    from tfgen.preprocessing import save_processor

    folders, found = {}, {}
    for name, processor in PROCESSORS.items():
        folder = folders[name] = tmp_path / "entries" / name
        folder.mkdir(parents=True)
        (folder / "recipe.toml").write_text('family = "lstm"\n')
        (folder / "model.weights.h5").write_bytes(b"")
        save_processor(processor, folder / "sequence.json")
        found[name] = FakeNumbers(processor)
    monkeypatch.setattr(registry, "added_entries", folders)
    monkeypatch.setattr(zoo, "get", lambda name, **_: found[name])
    return found


@pytest.fixture
def table(tmp_path):
    """Two places with five hours each; the last of `hill` has no value any more."""
    path = tmp_path / "weather.csv"
    lines = ["time,place,region,temp,sky"]
    for place, region, first in (("sea", "coast", 10), ("top", "hill", 20)):
        for hour in range(5):
            temp, sky = first + hour, ("clear", "rain")[hour % 2]
            if (place, hour) == ("sea", 1):
                temp = ""
            if (place, hour) == ("top", 4):
                temp, sky = "", ""
            lines.append(f"2024-01-01T{hour:02}:00,{place},{region},{temp},{sky}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def weather(fakes):
    """The fake whose own data are like `table`."""
    from fakes import PROCESSORS, FakeNumbers

    from tfgen.preprocessing import SequenceProcessor

    fake = FakeNumbers(PROCESSORS["weather-model"], {"id": "place", "label": "region"})
    fake.processor = SequenceProcessor(
        **{**fake.processor.get_config(), "classes": ["coast", "hill"], "name": None}
    )
    fakes["weather-model"] = fake
    return fake
