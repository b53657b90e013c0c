#!/usr/bin/env python3
"""Writes the tables of the entries, from their recipes and results.

The whole one is zoo/README.md, the short one stands between two markers of README.md.
"""

import re

from console import ROOT

from tfgen.files import atomic_file
from tfgen.zoo.table import short_table, zoo_table


def with_table(readme, table):
    """Returns the project's README with a table between its two markers."""
    between = re.compile(r"(<!-- zoo:[^\n]*-->\n).*?(?=<!-- /zoo -->)", re.DOTALL)
    return between.sub(lambda match: f"{match[1]}\n{table}\n", readme)


def main():
    readme = with_table((ROOT / "README.md").read_text("utf-8"), short_table(ROOT / "zoo"))
    for path, text in (("zoo/README.md", zoo_table(ROOT / "zoo")), ("README.md", readme)):
        with atomic_file(ROOT / path) as temporary:
            temporary.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
