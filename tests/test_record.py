"""What small models compute is what they computed when the record was made."""

import json

import pytest

from tests import record

RECORD = json.loads(record.PATH.read_text("utf-8"))
LONG = ("gru text",)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if name in LONG else pytest.mark.exhaustive)
        for name in RECORD["models"]
    ],
)
def test_nothing_has_changed(name, tmp_path):
    found = record.lines_of(name, tmp_path)
    exact = record.machine() == RECORD["machine"]
    assert not record.differences(RECORD["models"][name], found, exact)


def test_a_difference_is_told():
    before = {"score": record.line_of([1.0, 2.0]), "text": record.line_of("to be")}
    assert not record.differences(before, dict(before), exact=True)
    other = {"score": record.line_of([1.0, 2.5]), "text": record.line_of("to be")}
    (told,) = record.differences(before, other, exact=True)
    assert told.startswith("score: ") and "1.5" in told and "1.75" in told
    assert not record.differences(before, other, exact=False)
    before, other = ({"losses": record.line_of([2.0, last])} for last in (1.0, 1.1))
    assert len(record.differences(before, other, exact=False)) == 1
    before = {"score": record.line_of([1.0, 2.0]), "text": record.line_of("to be")}
    other = {"score": record.line_of([1.0]), "more": record.line_of("x")}
    assert len(record.differences(before, other, exact=False)) == 3
