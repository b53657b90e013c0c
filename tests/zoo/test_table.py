"""The table of the entries is made of what their folders hold, and the committed one is current."""

import json
from pathlib import Path

import pytest

from tfgen.zoo.table import zoo_table

ZOO = Path(__file__).parents[2] / "zoo"


def test_the_committed_table_is_current():
    committed = (ZOO / "README.md").read_text("utf-8")
    assert committed == zoo_table(ZOO), "run scripts/make_zoo_table.py"


def test_a_row_holds_the_recipe_the_card_and_the_results(tmp_path):
    folder = tmp_path / "lstm-verse"
    folder.mkdir()
    (folder / "recipe.toml").write_text('family = "lstm"\ndescription = "Verse | prose."')
    (folder / "README.md").write_text("# lstm-verse\n\nLicence: MIT\n")
    results = {"nats_per_character": 1.51234, "bits_per_character": 2.18, "parameters": 1234567}
    (folder / "results.json").write_text(json.dumps(results))
    (tmp_path / "notes").mkdir()
    lines = [line for line in zoo_table(tmp_path).splitlines() if line.startswith("|")]
    assert len(lines) == 3
    cells = [cell.strip() for cell in lines[2].replace("\\|", "/").strip("|").split("|")]
    assert cells == [
        "[lstm-verse](lstm-verse/)", "lstm", "shakespeare", "1,234,567", "1.512 nats/character", "",
        "MIT",
        "Verse / prose.",
    ]  # fmt: skip


def test_without_entries_the_table_says_so(tmp_path):
    assert "no entries yet" in zoo_table(tmp_path)


@pytest.mark.parametrize("size", [999, 1_000_000])
def test_the_size_is_that_of_the_weights(tmp_path, size):
    import h5py
    import numpy as np

    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "recipe.toml").write_text('family = "lstm"')
    with h5py.File(folder / "model.weights.h5", "w") as file:
        file["layers/dense/0"] = np.zeros([7, 3], "float16")
        file["layers/seed/0"] = np.zeros([2], "uint32")
        file["optimizer/vars/1"] = np.zeros([7, 3], "float32")
        file.create_dataset("layers/bias/0", data=np.zeros([size], "float32"))
    table = zoo_table(tmp_path)
    assert f"| {21 + size:,} |" in table
    bytes_on_disk = (folder / "model.weights.h5").stat().st_size
    assert f"| {bytes_on_disk / (1e3 if size == 999 else 1e6):.3g} " in table
