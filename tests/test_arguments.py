"""What of a constructor's arguments is handed on to a part, is told, and comes back in a config."""

import keras
import pytest

from tfgen.arguments import constructor_config, handed_on, hands_on_to, parameters_of
from tfgen.layers import CausalSelfAttention, DecoderBlock
from tfgen.networks import TransformerNetwork
from tfgen.zoo.signatures import arguments_of


class Part(keras.layers.Layer):
    """A part.

    Args:
        size: Its size.
        depth: Its depth.
        spread: Its spread.
    """

    def __init__(self, size, depth=2, spread=0.5, initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.size, self.depth, self.spread = size, depth, spread
        self.initializer = keras.initializers.get(initializer)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}


@hands_on_to(Part, without=("initializer",))
class Whole(keras.layers.Layer):
    def __init__(self, size, depth=3, **kwargs):
        of_part = handed_on(Whole, kwargs)
        super().__init__(**kwargs)
        self.part = Part(size, depth=depth, **of_part)


def test_the_arguments_of_a_part_are_those_of_the_whole():
    parameters = parameters_of(Whole)
    assert list(parameters) == ["size", "depth", "spread"]
    assert (parameters["depth"].default, parameters["spread"].default) == (3, 0.5)
    whole = Whole(7, spread=0.1, name="mine")
    assert (whole.name, whole.part.size, whole.part.depth, whole.part.spread) == ("mine", 7, 3, 0.1)
    assert Whole(7).part.spread == 0.5
    for wrong in ("initializer", "spred"):
        with pytest.raises(ValueError, match=wrong):
            Whole(7, **{wrong: 1})


def test_a_part_explains_what_is_handed_on_to_it():
    assert arguments_of(Whole)["spread"].help == "Its spread."
    for name in ("qk_norm", "kv_heads", "mlp"):
        owner = DecoderBlock if name == "mlp" else CausalSelfAttention
        found = arguments_of(TransformerNetwork)[name]
        assert found.help == arguments_of(owner)[name].help != ""
    assert "kernel_initializer" not in arguments_of(TransformerNetwork)


def test_a_config_makes_the_same_again():
    part = Part(3, spread=0.2, initializer=keras.initializers.Constant(0.3), dtype="bfloat16")
    again = Part.from_config(part.get_config())
    assert again.get_config() == part.get_config()
    assert (again.size, again.depth, again.spread, again.initializer.value) == (3, 2, 0.2, 0.3)
    assert again.dtype == "bfloat16"
    assert constructor_config(part, size=(1, 2))["size"] == [1, 2]
