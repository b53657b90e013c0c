"""What a person sees at a terminal: lines, and bars while they wait."""

import contextlib
import threading

from tfgen.errors import printable


def show(text, **options):
    """Prints what may hold names from data or files: see `tfgen.errors.printable`."""
    print(printable(str(text)), **options)


def with_progress(options, model):
    """The options of a run, and the drawing of a bar if the model tells its progress.

    The bar is for a person at a terminal: elsewhere nothing is drawn.
    """
    return {**options, "progress": progress_bar("evaluation")} if model.tells_progress else options


def progress_bar(unit):
    """Returns a function `(done, total)` that draws a bar on a terminal until all is done."""
    from tqdm import tqdm

    bar = None

    def progress(done, total):
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, unit=unit, leave=False, disable=None)
        bar.update(done - bar.n)
        if done == total:
            bar.close()
            bar = None

    return progress


@contextlib.contextmanager
def waiting(what):
    """Shows on a terminal how long something has taken of which nobody knows how long it takes."""
    from tqdm import tqdm

    bar = tqdm(desc=what, bar_format="{desc}: {elapsed}", leave=False, disable=None, delay=1)
    over = threading.Event()

    def show():
        while not over.wait(0.5):
            bar.update(0)
            bar.refresh()

    if not bar.disable:
        threading.Thread(target=show, daemon=True).start()
    try:
        yield
    finally:
        over.set()
        bar.close()
