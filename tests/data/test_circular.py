"""`data.circular`: columns that begin again after a period."""

import numpy as np
import pytest

from tfgen.data import Sequences, open_sequences
from tfgen.data.features import Circle, Feature, Step
from tfgen.data.recording import set_recording
from tfgen.errors import InputError
from tfgen.recipe import DataConfig


def columns(**changes):
    features = tuple(
        Feature(name, levels=("a", "b") if name == "kind" else ()) for name in ("wind", "kind")
    )
    values = np.array([[0, 0], [350, 1], [np.nan, 0], [360, 1]], np.float32)
    made = Sequences("made", "series", features, [values], ["0"])
    return set_recording(made, DataConfig(**changes))


def test_circles_begin_at_0_or_at_minus_half():
    assert columns(circular=("wind=360",)).features[0].circle == Circle(360.0, 0.0)
    made = columns()
    made.values[0][:, 0] = [-170, 180, np.nan, -180]
    made = set_recording(made, DataConfig(circular=("wind=360",)))
    assert made.features[0].circle == Circle(360.0, -180.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"circular": ("wind",)}, "must be like 'name=360'"),
        ({"circular": ("wind=0",)}, "must be like 'name=360'"),
        ({"circular": ("wint=360",)}, "Did you mean 'wind'"),
        ({"circular": ("kind=2",)}, "'kind' is a category"),
        ({"circular": ("wind=360", "wind=360")}, "'wind' is circular already"),
        ({"circular": ("wind=300",)}, "values outside 0 to 300: 2, the first of them 350 at 0, po"),
        ({"circular": ("wind=360",), "bounds": ("wind=0:360",)}, "has bounds, and a circle has no"),
        ({"circular": ("wind=360",), "resolution": ("wind=50",)}, "is in steps of 50, of which no"),
    ],
)
def test_what_is_no_circle_is_refused(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        if "resolution" in changes:
            made = columns()
            made.values[0][:, 0] = [0, 350, np.nan, 100]
            set_recording(made, DataConfig(**changes))
        else:
            columns(**changes)
    assert "\n" not in str(caught.value)


def test_a_table_names_the_line(tmp_path):
    path = tmp_path / "wind.csv"
    path.write_text("wind,x\n10,1\n20,2\n400,3\n")
    with pytest.raises(InputError, match="400 at .*wind.csv:4"):
        open_sequences(DataConfig(name=str(path), circular=("wind=360",)))
    made = open_sequences(
        DataConfig(name=str(path), circular=("wind=400",), resolution=("wind=10",))
    )
    assert made.features[0] == Feature("wind", step=Step(10.0, 0.0, 0), circle=Circle(400.0, 0.0))
