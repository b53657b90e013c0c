"""The cases of tests/cases: inputs of kinds that once went wrong, and what comes of them now."""

import contextlib
import io
import shlex

import cases
import pytest

from tfgen import cli

CASES = cases.cases()


def run(command, folder):
    """The exit code and output of a command; one of `tfgen` runs in this process."""
    words = shlex.split(command)
    if words[0] != "tfgen":
        return cases.run(command, folder)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = cli.main(words[1:])
    return code, printed.getvalue()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[pytest.mark.long] if case.trains else [])
        for case in CASES
    ],
)
def test_what_comes_of_it(case, tmp_path, monkeypatch):
    if case.missing():
        pytest.skip(f"needs {', '.join(case.missing())}")
    case.copy(tmp_path)
    monkeypatch.chdir(tmp_path)
    for each in case.runs:
        code, output = run(each.command, tmp_path)
        assert not each.faults(code, output), f"{each.command}\n{output}"


def test_a_fault_is_seen():
    run = cases.Run("true", shows=("a.c",), hides=("x",))
    assert run.faults(0, "abc") == []
    assert run.faults(2, "xyz") == ["exit code 2, not 0", "does not show 'a.c'", "shows 'x'"]
