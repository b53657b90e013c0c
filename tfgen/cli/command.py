"""`main`: the `tfgen` command. It finds the verb, and answers mistakes and signals.

A person's mistake is answered with one line on stderr and exit code 2. TensorFlow is imported only
by the verbs that compute, inside them, so that `tfgen --help` and `tfgen list` answer at once.
"""

import contextlib
import importlib.machinery
import importlib.util
import os
import re
import signal
import sys

import tfgen
from tfgen import zoo
from tfgen.cli import (
    average,
    backtest,
    calibrate,
    encode,
    evaluate,
    export,
    forecast,
    generate,
    impute,
    info,
    inspect,
    interpolate,
    list_names,
    shift,
    train,
    tune,
)
from tfgen.cli.arguments import global_options, parse
from tfgen.errors import InputError, Terminated, printable, unknown
from tfgen.names import normalise
from tfgen.signals import ending_signals_raise
from tfgen.startup import (
    finish_output,
    import_tensorflow,
    open_standard_streams,
    told_by_tensorflow,
)

VERBS = {
    "list": list_names.parser,
    "info": info.parser,
    "inspect": inspect.parser,
    "train": train.parser,
    "tune": tune.parser,
    "generate": generate.parser,
    "encode": encode.parser,
    "interpolate": interpolate.parser,
    "shift": shift.parser,
    "forecast": forecast.parser,
    "impute": impute.parser,
    "evaluate": evaluate.parser,
    "backtest": backtest.parser,
    "calibrate": calibrate.parser,
    "average": average.parser,
    "export": export.parser,
}

# Exit codes: a person's mistake as in argparse; Ctrl-C and a closed pipe as shells count signals.
MISTAKE = 2
SIGNALLED = 128
INTERRUPTED = SIGNALLED + 2
BROKEN_PIPE = SIGNALLED + 13


def main(argv=None):
    """Runs the command line.

    Args:
        argv: The arguments after the program's name; None takes the process's own.

    Returns:
        The exit code.
    """
    open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character shows "?"
            stream.reconfigure(errors="replace")
    try:
        with ending_signals_raise():
            return _outcome(list(sys.argv[1:] if argv is None else argv))
    finally:
        finish_output()


def _outcome(argv):
    """Runs the command line and returns the exit code."""
    try:
        _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:  # `tfgen list | head`
        return BROKEN_PIPE
    except InputError as error:
        return _complain(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}")
    except MemoryError as error:
        return _complain(f"there is not enough memory: {error}".rstrip(": "))
    except Terminated as error:
        _print_error(f"tfgen: ended by {signal.Signals(error.number).name}")
        return SIGNALLED + error.number
    except KeyboardInterrupt:
        _print_error("tfgen: interrupted")
        return INTERRUPTED
    except SystemExit as stop:  # argparse, after --help
        return stop.code or 0
    except Exception as error:
        message = told_by_tensorflow(error)
        if message is None:
            raise
        return _complain(message)
    return 0


def _run(argv):
    """Finds the verb, reads its arguments and calls its function."""
    argv, modules, folders = global_options(argv)
    options = [word for word in argv[:1] if word.startswith("-")]
    if not argv or options in (["-h"], ["--help"]):
        print(_help(), end="")
        return
    if options == ["--version"]:
        print(f"tfgen {tfgen.__version__}")
        return
    if options:
        raise unknown("option", options[0], ["--help", "--version", "--import", "--zoo"])
    verb = normalise(argv[0])
    if verb not in VERBS:
        raise unknown("command", argv[0], VERBS)
    # A mistake in the arguments is told before anything is imported.
    arguments = parse(VERBS[verb](), argv[1:])
    arguments.everywhere = [
        *(word for module in modules for word in ("--import", module)),
        *(word for folder in folders for word in ("--zoo", folder)),
    ]
    _check_modules(modules)
    for module in _missing_first(modules):
        _import(module)
    for folder in folders:
        zoo.add_entries(folder)
    arguments.call(arguments)


def _check_modules(modules):
    for module in modules:
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", module):
            raise InputError(
                "--import takes the name of a module that is here or installed, e.g. my_models, "
                f"not a path. Received: --import {module}"
            )


def _missing_first(modules):
    """Yields those that are not there, which is told at once, then the others with TensorFlow."""
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found = [module for module in modules if _is_there(module)]
    yield from (module for module in modules if module not in found)
    if found:
        import_tensorflow()
    yield from found


def _is_there(module):
    """Whether a module is found, without importing it or the package that it is in."""
    if module in sys.modules:
        return True
    name, *parts = module.split(".")
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # `__main__` has none
        return False
    for part in parts:
        if spec is None or spec.submodule_search_locations is None:
            return False
        name = f"{name}.{part}"
        spec = importlib.machinery.PathFinder.find_spec(name, spec.submodule_search_locations)
    return spec is not None


def _import(module):
    """Imports a person's module, so that what it registers has a name."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A module that their own module misses is for them to see, with the traceback.
        if error.name is None or module.partition(".")[0] != error.name.partition(".")[0]:
            raise
        hint = " A module is named without .py." if module.endswith(".py") else ""
        raise InputError(f"--import: no module named '{module}' here or installed.{hint}") from None


def _complain(message):
    _print_error("tfgen: error: " + " ".join(printable(message).splitlines()))
    return MISTAKE


def _print_error(line):
    with contextlib.suppress(OSError):  # `tfgen ... 2>&1 | head`, or a full disk
        print(line, file=sys.stderr, flush=True)


def _help():
    lines = {verb: make().description.partition("\n")[0] for verb, make in VERBS.items()}
    verbs = "\n".join(f"  {verb:<11} {line}" for verb, line in lines.items())
    return f"""\
usage: tfgen COMMAND ... [--import MODULE] [--zoo PATH]

{(tfgen.__doc__ or "").strip().partition(chr(10))[0]}

commands (tfgen COMMAND --help tells more):
{verbs}

options that every command takes:
  --import MODULE  import your own module, for the families and layers that it registers
  --zoo PATH       add your own entries: a folder of them, or one
  --version        print the version
"""
