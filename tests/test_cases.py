"""The cases of tests/cases: inputs of kinds that once went wrong, and what comes of them now."""

import contextlib
import io
import shlex

import cases
import pytest

from tfgen import cli

CASES = cases.cases()


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name) for case in CASES if not case.trains]
)
def test_what_is_only_looked_at(case, tmp_path, monkeypatch):
    case.copy(tmp_path)
    monkeypatch.chdir(tmp_path)
    for run in case.runs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = cli.main(shlex.split(run.command)[1:])
        assert not run.faults(code, printed.getvalue()), f"{run.command}\n{printed.getvalue()}"


@pytest.mark.long
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name) for case in CASES if case.trains]
)
def test_what_is_trained(case, tmp_path):
    case.copy(tmp_path)
    for run in case.runs:
        code, output = cases.run(run.command, tmp_path)
        assert not run.faults(code, output), f"{run.command}\n{output}"


def test_a_fault_is_seen():
    run = cases.Run("true", shows=("a.c",), hides=("x",))
    assert run.faults(0, "abc") == []
    assert run.faults(2, "xyz") == ["exit code 2, not 0", "does not show 'a.c'", "shows 'x'"]
