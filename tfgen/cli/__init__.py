"""The `tfgen` command: a file a verb, and what they share."""

from tfgen.cli.command import VERBS, main

__all__ = ["VERBS", "main"]
