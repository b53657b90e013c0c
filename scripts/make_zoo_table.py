#!/usr/bin/env python3
"""Writes the tables of the entries, from their recipes and results.

The whole one is zoo/README.md, the short one stands between two markers of README.md.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout that is not installed

from tfgen.files import atomic_file  # noqa: E402
from tfgen.zoo.table import short_table, zoo_table  # noqa: E402


def with_table(readme, table):
    """Returns the project's README with a table between its two markers."""
    between = re.compile(r"(<!-- zoo:[^\n]*-->\n).*?(?=<!-- /zoo -->)", re.DOTALL)
    return between.sub(lambda match: f"{match[1]}\n{table}\n", readme)


def main():
    table = zoo_table(ROOT / "zoo")
    readme = (ROOT / "README.md").read_text("utf-8")
    readme = with_table(readme, short_table(ROOT / "zoo"))
    for path, text in [(ROOT / "zoo" / "README.md", table), (ROOT / "README.md", readme)]:
        with atomic_file(path) as temporary:
            temporary.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
