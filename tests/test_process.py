"""What a command does with the process it runs in: closed streams, full disks, signals, forks."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tfgen.errors import Terminated
from tfgen.forks import check_process
from tfgen.signals import ending_signals_raise

ROOT = Path(__file__).parents[1]


def shell(command, **options):
    """Runs `tfgen` as $T in a shell."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "T": f"{sys.executable} -m tfgen"}
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment, **options
    )


@pytest.mark.parametrize(
    "command,code,lines",
    [
        ("$T list --kind entry >&-", 0, 0),
        ("$T list >/dev/null 2>&-", 0, 0),
        ("$T list <&- >&- 2>&-", 0, 0),
        ("$T nothing 2>&-", 2, 0),
        ("$T nothing 2>/dev/full", 2, 0),
        ("$T list --kind entry >/dev/full", 2, 1),
        ("set -o pipefail; $T list --kind entry | head -0", 141, 0),
        ("set -o pipefail; $T nothing 2>&1 | head -0", 2, 0),
        ("$T info '~nobodyhere/x'", 2, 1),
        ("$T list --import ../nosuch", 2, 1),
        ("$T list --import .nosuch", 2, 1),
        ("$T forecast gru-weather --data x --horizon $(printf '9%.0s' {1..400})", 2, 1),
        ("$T generate gru-names --num-samples $(printf '9%.0s' {1..5000})", 2, 1),
        ("$T info ./$(printf 'x%.0s' {1..5000})", 2, 1),
    ],
)
def test_a_command_ends_in_order(tmp_path, command, code, lines):
    done = shell(command, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == lines, done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr) < 2000


def test_what_is_opened_does_not_take_the_place_of_a_closed_stream(tmp_path):
    code = (
        "import sys, os; from tfgen.startup import open_standard_streams\n"
        "open_standard_streams()\n"
        "file = open('result', 'w'); os.write(1, b'noise'); os.write(2, b'noise'); print('noise')\n"
    )
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "$CODE" >&- 2>&- <&-'],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CODE": code},
    )
    assert done.returncode == 0 and (tmp_path / "result").read_bytes() == b""


# Signals

ENDED = """
import os, signal, sys, time
from tfgen import cli, files
from tfgen.cli import command
def run(argv):
    with files.atomic_folder("model") as folder:
        (folder / "half").write_text("x")
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        time.sleep(10)
command._run = run
sys.exit(cli.main([]))
"""


@pytest.mark.parametrize("name,code", [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_signal_ends_a_command_and_what_was_half_done_is_cleared(tmp_path, name, code):
    done = subprocess.run(
        [sys.executable, "-c", ENDED, name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code and len(done.stderr.splitlines()) == 1
    assert not [*tmp_path.iterdir()]


def test_signals_that_are_ignored_or_handled_stay_so():
    handler = lambda number, frame: None  # noqa: E731
    before = signal.signal(signal.SIGTERM, handler), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_signals_raise():
            assert signal.getsignal(signal.SIGTERM) is handler
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with pytest.raises(Terminated) as caught, ending_signals_raise():
            os.kill(os.getpid(), signal.SIGTERM)
        assert caught.value.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGHUP, before[1])


# Forks


def in_child(function):
    """Runs a function in a forked child; returns its exit code."""
    child = os.fork()
    if not child:
        signal.alarm(120)
        try:
            os._exit(function() or 0)
        except RuntimeError as error:
            os._exit(10 if "forked" in str(error) and "spawn" in str(error) else 11)
        except BaseException:
            os._exit(12)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_of_a_process_that_has_not_used_tensorflow_is_free(monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow.python.eager.context", raising=False)
    assert in_child(check_process) == 0
    assert subprocess.run(["true"]).returncode == 0
    check_process()
