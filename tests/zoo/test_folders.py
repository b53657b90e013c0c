"""What a model's folder is of, without building the model."""

import json

import pytest

from tfgen.errors import InputError
from tfgen.zoo.folders import data_kind_of


def written(folder, record):
    (folder / "sequence.json").write_text(record if isinstance(record, str) else json.dumps(record))
    return folder


@pytest.mark.parametrize("kind", ["series", "strokes", "audio"])
def test_a_processor_tells_the_kind(tmp_path, kind):
    assert data_kind_of(tmp_path) == "text"
    assert data_kind_of(written(tmp_path, {"config": {"kind": kind}})) == kind


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"config": {"kind": "pictures"}}, r"tells no kind .* Received: kind='pictures'$"),
        ({"config": {"kind": "text"}}, "Received: kind='text'$"),
        ({"config": {"kind": ["series"]}}, r"Received: kind=\['series'\]$"),
        ({"config": 3}, "Received: kind=None$"),
        ([], "Received: kind=None$"),
        ("{", "not valid JSON"),
    ],
)
def test_what_is_unknown_is_not_called_series(tmp_path, record, message):
    with pytest.raises(InputError, match=message) as error:
        data_kind_of(written(tmp_path, record))
    assert "sequence.json" in str(error.value) and "\n" not in str(error.value)
