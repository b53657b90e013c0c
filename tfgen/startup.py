"""Importing TensorFlow in a command without its greetings."""

import contextlib
import os
import sys
import tempfile

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


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
