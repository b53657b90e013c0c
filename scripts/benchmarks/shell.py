"""How long the `tfgen` command takes, from a shell."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tfgen.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "ROMEO:"
TFGEN = [sys.executable, "-m", "tfgen"]
IMPORT = [sys.executable, "-c", "import tensorflow; print('imported', flush=True)"]
PYTHON = [sys.executable, "-c", "pass"]


def generate_command(entry, tokens=100):
    """The command whose first text is waited for."""
    options = ["--stream", "--max-new-tokens", str(tokens), "--seed", "1"]
    return [*TFGEN, "generate", str(entry), PROMPT, *options]


def first_output(command, after=0):
    """Seconds from the start of a process until it has printed more than `after` bytes.

    Raises:
        InputError: It failed, or ended before it printed so much.
    """
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, env=_environment()
        ) as process:
            printed, seconds = 0, None
            while piece := os.read(process.stdout.fileno(), 65536):
                printed += len(piece)
                if seconds is None and printed > after:
                    seconds = time.perf_counter() - start
        errors.seek(0)
        complaint = _last_line(errors.read())
    if process.returncode or seconds is None:
        raise InputError(f"{_shown(command)}: {complaint or 'it printed too little'}")
    return seconds


def whole_run(command):
    """Seconds that a process takes from start to end."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, env=_environment())
    seconds = time.perf_counter() - start
    if done.returncode:
        raise InputError(f"{_shown(command)}: {_last_line(done.stderr)}")
    return seconds


def imports_tensorflow(arguments):
    """Whether `tfgen` with these arguments imports TensorFlow."""
    done = subprocess.run(
        [sys.executable, "-c", _WATCH, *arguments], capture_output=True, env=_environment()
    )
    if done.returncode not in _ANSWERS:
        raise InputError(f"tfgen {' '.join(arguments)}: {_last_line(done.stderr)}")
    return _ANSWERS[done.returncode]


# Exit codes that no command of tfgen has. (`python -X importtime` would not do: tfgen puts stderr
# aside while it imports TensorFlow.)
_ANSWERS = {20: False, 21: True}
_WATCH = """\
import sys
from tfgen.cli import main
code = main(sys.argv[1:])
sys.exit(code or 20 + ("tensorflow" in sys.modules))
"""


def _environment():
    """This process's environment, in which a checkout that is not installed is found."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def _shown(command):
    return " ".join(["python", *command[1:]])


def _last_line(errors):
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
