"""Export: functions with their signatures as a SavedModel."""

from tfgen.export.saved_model import write_saved_model

__all__ = ["write_saved_model"]
