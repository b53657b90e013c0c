"""Training: one compiled step in a loop, watched by TensorBoard and kept in a run folder."""

from tfgen.training.averaging import average
from tfgen.training.choices import choose
from tfgen.training.refitting import refit
from tfgen.training.trainer import train

__all__ = ["average", "choose", "refit", "train"]
