"""The time that something takes, whatever else the machine and the process are busy with."""

import gc
import time


def least_seconds(call, enough=0.0):
    """The CPU time of the fastest of three calls, or of the first that takes less than enough.

    Other processes, and the collection of what other tests left behind, only add to it.
    """
    spent = []
    gc.disable()
    try:
        while len(spent) < 3 and not any(seconds < enough for seconds in spent):
            begun = time.process_time()
            call()
            spent.append(time.process_time() - begun)
    finally:
        gc.enable()
    return min(spent)
