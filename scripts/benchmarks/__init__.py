"""The parts of scripts/benchmark.py: contests, what takes part, and how it is measured."""
