"""Export: functions with their signatures, in formats that run without tfgen."""

from tfgen.export.functions import FORMATS, Format, Function, find_format, register_format, write
from tfgen.export.saved_model import write_saved_model

__all__ = [
    "FORMATS",
    "Format",
    "Function",
    "find_format",
    "register_format",
    "write",
    "write_saved_model",
]
