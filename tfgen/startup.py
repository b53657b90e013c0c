"""Importing TensorFlow in a command without its greetings."""

import contextlib
import os
import sys
import tempfile

from tfgen.files import os_error

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def open_standard_streams():
    """Opens those of stdin, stdout and stderr that the process was started without.

    Services and cron may start a command with some of them closed (`>&-`). The next file that is
    opened would take the place of a closed one, and what TensorFlow prints would go into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free, which is this one: those below are open by now.
            os.open(os.devnull, os.O_RDWR)
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, closefd=False))


def finish_output():
    """Writes what was printed; what cannot be written is dropped, or Python complains at its
    end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def told_by_tensorflow(error):
    """Returns what a person can do something about of an error of TensorFlow's, else None.

    TensorFlow says of a full disk or of memory in errors of its own.
    """
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return None
    message = " ".join((error.message or "").split())
    if os_error(message, "") is not None:
        return message
    if isinstance(error, tensorflow.errors.ResourceExhaustedError):
        return f"there is not enough memory: {message}"
    return None


def import_tensorflow():
    """Imports TensorFlow and looks for devices; what TensorFlow logs meanwhile is dropped.

    Its C++ side greets on stderr about the CPU's instructions and missing GPUs, in part before it
    reads any setting. A command that fails should say one line, so stderr is put aside until the
    import is done. Nothing is hidden from a person who has set `TF_CPP_MIN_LOG_LEVEL`, nor when the
    import fails. For command lines only: a library has no business with the process's stderr.
    """
    if "tensorflow" in sys.modules:
        return
    if LOG_LEVEL in os.environ:
        import tensorflow  # noqa: F401

        return
    # Errors too: TensorFlow raises what a command has to know, and logs only remarks on kernels.
    os.environ[LOG_LEVEL] = "3"
    with _stderr_aside():
        import tensorflow as tf

        tf.config.list_physical_devices()  # the first look for a GPU complains once


@contextlib.contextmanager
def _stderr_aside():
    """Sends what is written to the file descriptor of stderr to a file, shown on an exception."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            aside.seek(0)
            os.write(2, aside.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
