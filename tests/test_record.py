"""What small models compute is what they computed when the record was made."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import record

ROOT = Path(__file__).parents[1]
RECORD = json.loads(record.PATH.read_text("utf-8"))
LONG = ("gru text",)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if name in LONG else pytest.mark.exhaustive)
        for name in RECORD["models"]
    ],
)
def test_nothing_has_changed(name):
    # Compiled as it is for people; the tests around it are not (conftest.py).
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    command = [sys.executable, "-m", "tests.record", "--only", name]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


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
