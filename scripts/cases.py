#!/usr/bin/env python
"""Runs the cases of tests/cases: small inputs of kinds that once went wrong.

    python scripts/cases.py                 # all, each command in a process of its own; minutes
    python scripts/cases.py 01 15           # those whose names begin so
    python scripts/cases.py --show 06       # with what the commands print

A case is a folder with its files and a case.toml: what is expected, which modules beyond the
core dependencies it needs, and commands with regular expressions that their output must show and
must not show, and their exit code.
"""

import argparse
import dataclasses
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
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


def cases(beginnings=("",)):
    """Returns the cases whose names begin with one of some texts."""
    folders = sorted(path.parent for path in FOLDER.glob(f"*/{DEFINITION}"))
    return [Case.read(folder) for folder in folders if folder.name.startswith(tuple(beginnings))]


def run(command, folder):
    """Runs a command in a folder; returns its exit code and all that it printed."""
    words = shlex.split(command)
    if words[0] == "tfgen":
        words[:1] = [sys.executable, "-m", "tfgen"]
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


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("beginnings", metavar="NAME", nargs="*", help="default: all")
    parser.add_argument("--show", action="store_true", help="print what the commands print")
    arguments = parser.parse_args(argv)
    chosen = cases(arguments.beginnings or [""])
    if not chosen:
        parser.error(f"no case begins with {' or '.join(arguments.beginnings)}")
    failed = 0
    for case in chosen:
        if case.missing():
            print(f"skipped {case.name}: it needs {', '.join(case.missing())}", flush=True)
            continue
        faults = []
        with tempfile.TemporaryDirectory() as folder:
            case.copy(folder)
            for each in case.runs:
                code, output = run(each.command, folder)
                faults += [f"{each.command}: {fault}" for fault in each.faults(code, output)]
                if arguments.show:
                    print(f"$ {each.command}\n{output}")
        failed += bool(faults)
        print(f"{'FAILED' if faults else 'ok':<7} {case.name}: {case.expected}", flush=True)
        for fault in faults:
            print(f"        {fault}")
    done = [case for case in chosen if not case.missing()]
    print(f"{len(done) - failed} of {len(done)} cases are as expected")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
