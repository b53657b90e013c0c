"""The parts of `scripts/benchmark.py`: one contestant a file, and what they have in common."""
