"""For all tests."""

import signal

# Tests send signals to themselves and to the processes they start. What is ignored, as by nohup or
# in the background of a shell, would stay so in both.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
