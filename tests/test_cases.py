"""The cases of tests/cases: inputs of kinds that once went wrong, and what comes of them now.

    scripts/test tests/test_cases.py -m "long or not long" -k 06 -rP    # with what is printed

A case is a folder with its files and a case.toml: what is expected, which modules beyond the
core dependencies it needs, and commands with regular expressions that their output must show and
must not show, and their exit code.
"""

import contextlib
import dataclasses
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tfgen import cli

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "cases"
DEFINITION = "case.toml"


@dataclasses.dataclass(frozen=True)
class Run:
    """A command and what it must print.

    Args:
        command: As in a shell, without its operators.
        shows: Regular expressions that the output must match somewhere.
        hides: Regular expressions that it must match nowhere.
        code: The exit code.
    """

    command: str
    shows: tuple = ()
    hides: tuple = ()
    code: int = 0

    def faults(self, code, output):
        """What is wrong with an outcome, as a list of texts."""
        found = [f"exit code {code}, not {self.code}"] if code != self.code else []
        found += [f"does not show {each!r}" for each in self.shows if not re.search(each, output)]
        return found + [f"shows {each!r}" for each in self.hides if re.search(each, output)]


@dataclasses.dataclass(frozen=True)
class Case:
    """A folder of tests/cases."""

    name: str
    expected: str
    runs: tuple
    needs: tuple = ()  # modules that are installed with an extra

    @classmethod
    def read(cls, folder):
        content = tomllib.loads((folder / DEFINITION).read_text("utf-8"))
        runs = tuple(Run(**run) for run in content.pop("run"))
        return cls(folder.name, runs=runs, **content)

    def missing(self):
        """The modules that it needs and that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]

    @property
    def trains(self):
        """Whether some command needs TensorFlow."""
        return any(" inspect " not in run.command for run in self.runs)

    def copy(self, folder):
        """Puts the case's files into an empty folder."""
        ignore = shutil.ignore_patterns(DEFINITION)
        shutil.copytree(FOLDER / self.name, folder, dirs_exist_ok=True, ignore=ignore)


def run(command, folder):
    """The exit code of a command and all that it prints; one of `tfgen` runs in this process."""
    words = shlex.split(command)
    if words[0] == "tfgen":
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = cli.main(words[1:])
        return code, printed.getvalue()
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PATH": programs}
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return done.returncode, done.stdout


CASES = [Case.read(path.parent) for path in sorted(FOLDER.glob(f"*/{DEFINITION}"))]


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
        print(f"$ {each.command}\n{output}")
        assert not each.faults(code, output), f"{each.command}\n{output}"


def test_a_fault_is_seen():
    run = Run("true", shows=("a.c",), hides=("x",))
    assert run.faults(0, "abc") == []
    assert run.faults(2, "xyz") == ["exit code 2, not 0", "does not show 'a.c'", "shows 'x'"]
