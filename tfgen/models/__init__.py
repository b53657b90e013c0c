"""The families of models, and how a model is built from a recipe or read from a folder.

Importing this does not import TensorFlow: a family's classes are loaded when they are first needed.
"""

from tfgen.models.families import ENGINES, FAMILIES, Engine, Family, family, make, register_family
from tfgen.models.files import (
    CALIBRATION,
    CHECKSUMS,
    PROCESSOR,
    RECIPE,
    TOKENIZER,
    WEIGHTS,
    build,
    check_used,
    history_of,
    load,
    load_preprocessing,
    preprocessing_file,
    read_recipe,
    reads_seasons,
    recipe_of,
    row_of,
    row_of_kind,
    save_calibration,
    save_preprocessing,
    write_checksums,
)

__all__ = [
    "CALIBRATION",
    "CHECKSUMS",
    "ENGINES",
    "FAMILIES",
    "PROCESSOR",
    "RECIPE",
    "TOKENIZER",
    "WEIGHTS",
    "Engine",
    "Family",
    "build",
    "check_used",
    "family",
    "history_of",
    "load",
    "load_preprocessing",
    "make",
    "preprocessing_file",
    "read_recipe",
    "reads_seasons",
    "recipe_of",
    "register_family",
    "row_of",
    "row_of_kind",
    "save_calibration",
    "save_preprocessing",
    "write_checksums",
]
