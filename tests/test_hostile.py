"""Whatever is done to a file, it is read or refused in one line: soon, and in little memory."""

import contextlib
import io
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from hostile import limited
from mutations import mutate, originals

from tfgen import zoo
from tfgen.data import data_kind, open_sequences, open_text
from tfgen.models.weights import stored_shapes
from tfgen.recipe import DataConfig, Recipe
from tfgen.report.inspect_sequences import inspect_sequences
from tfgen.report.inspect_text import inspect_text
from tfgen.zoo.description import describe_entry

ORIGINALS = originals()
ENTRIES = Path(__file__).parents[1] / "zoo"
# Of each kind of file a few, thousands together, or thousands of each.
NUMBERS = [
    pytest.param(range(40), id="40"),
    pytest.param(range(40, 600), id="600", marks=pytest.mark.long),
    pytest.param(range(600, 10_000), id="10000", marks=pytest.mark.exhaustive),
]


def read(path):
    """Opens a file as `tfgen inspect` and `tfgen train` do."""
    config = DataConfig(name=str(path))
    kind = data_kind(config)
    if kind == "text":
        column = "text" if "json" in path.suffix else None
        inspect_text(config.name, column, config.validation_fraction)
        source = open_text(config.name, column, config.validation_fraction)
        for chunk in source.chunks("train"):
            assert isinstance(chunk, str)
        return
    sequences = open_sequences(config)
    assert len(sequences) and len(sequences.values) == len(sequences)
    str(inspect_sequences(config))


def damaged(suffix, number):
    rng = np.random.default_rng([zlib.crc32(suffix.encode()), number])
    contents = ORIGINALS[suffix]
    if number % 20 == 19:  # as another kind
        others = sorted(ORIGINALS.keys() - {suffix})
        contents = ORIGINALS[others[rng.integers(len(others))]]
    content = contents[rng.integers(len(contents))]
    return content if number % 40 == 39 else mutate(content, rng)


def try_all(suffix, numbers, tmp_path):
    path = tmp_path / f"data{suffix}"
    for number in numbers:
        path.write_bytes(damaged(suffix, number))
        with limited(f"{suffix} number {number}"):
            read(path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", sorted(ORIGINALS))
def test_originals_are_read(tmp_path, suffix):
    for content in ORIGINALS[suffix]:
        (tmp_path / f"data{suffix}").write_bytes(content)
        with contextlib.redirect_stderr(io.StringIO()):
            read(tmp_path / f"data{suffix}")


@pytest.mark.parametrize("suffix", sorted(ORIGINALS))
@pytest.mark.parametrize("numbers", NUMBERS)
def test_a_damaged_file_is_read_or_refused(tmp_path, suffix, numbers):
    try_all(suffix, numbers, tmp_path)


# A model's folder, as far as it is read without TensorFlow

PARTS = ["recipe.toml", "sequence.json", "results.json", "README.md", "model.weights.h5"]


def look_at(folder):
    """What `tfgen list` and `tfgen info` do."""
    item = zoo.find(folder)
    assert isinstance(item.summary, str) and item.data_kind
    str(describe_entry("x", folder))
    stored_shapes(folder / "model.weights.h5")
    Recipe.from_file(folder / "recipe.toml").to_toml()


def damage_folder(part, numbers, tmp_path):
    folder = tmp_path / "entry"
    shutil.copytree(ENTRIES / "gru-weather", folder)
    if part == "model.weights.h5":  # whose weights are counted then
        (folder / "results.json").unlink()
    whole = (folder / part).read_bytes()
    for number in numbers:
        rng = np.random.default_rng([zlib.crc32(part.encode()), number])
        (folder / part).write_bytes(mutate(whole, rng))
        with limited(f"{part} number {number}"):
            look_at(folder)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("numbers", NUMBERS)
def test_a_damaged_folder_is_described_or_refused(tmp_path, part, numbers):
    damage_folder(part, numbers, tmp_path)
