#!/usr/bin/env python
"""Writes zoo/README.md, the table of the entries, from their recipes and results."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout that is not installed

from tfgen.files import atomic_file  # noqa: E402
from tfgen.zoo.table import zoo_table  # noqa: E402

if __name__ == "__main__":
    with atomic_file(ROOT / "zoo" / "README.md") as temporary:
        temporary.write_text(zoo_table(ROOT / "zoo"), "utf-8")
