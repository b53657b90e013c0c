"""The zoo: every model and layer of tfgen by name.

    from tfgen.zoo import get

    model = get("lstm-shakespeare")                # an entry: a model with its weights
    model = get("lstm", units=256, layers=2)       # a family: a new model
    layer = get("clip-by-value", min_value=0.0)    # a layer

Names form one flat list; case and the choice of `-` or `_` do not matter. What holds a path
separator, or begins with `.` or `~`, is a folder: an entry's, or a training run's; so is what is no
name of the zoo, if a folder here has that name and holds a model.

`load_gpt2` and `load_llama` open folders of Hugging Face models.
"""

from tfgen.models.hugging_face import load_gpt2, load_llama
from tfgen.zoo.description import Description, describe
from tfgen.zoo.layers import LAYERS
from tfgen.zoo.registry import KINDS, add_entries, find, get, list_models, register

__all__ = [
    "KINDS",
    "LAYERS",
    "Description",
    "add_entries",
    "describe",
    "find",
    "get",
    "list_models",
    "load_gpt2",
    "load_llama",
    "register",
]
