"""The parts of scripts/benchmark.py: contests, what takes part, and how it is measured."""

import console  # noqa: F401  # tfgen is found in a checkout that is not installed
