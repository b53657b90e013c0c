"""The ways to do the same work in PyTorch: with one thread and with all, compiled or not."""

import itertools

import torch

from benchmarks.workers import COMPILED

COUNT = torch.get_num_threads()
COUNTS = sorted({1, COUNT})
# A peer whose number of weights differs by more does not compare.
AGREE = 0.1


def training(loss, optimizer, batches, amount, clip_norm=None):
    """Work that takes a step at a time.

    Args:
        loss: Function of a batch.
        optimizer: Of `torch.optim`.
        batches: Batches, taken in turn; a list begins anew at its end.
        amount: What a step counts.
        clip_norm: The gradient's greatest global norm.
    """
    batches = itertools.cycle(batches) if isinstance(batches, list) else batches
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]

    def run():
        value = loss(next(batches))
        value.backward()
        if clip_norm:
            torch.nn.utils.clip_grad_norm_(weights, clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value.item()  # waits for the step
        return amount

    return run


def with_settings(run, threads=COUNT, onednn=True):
    """The same work with so many threads, with oneDNN or without."""

    def run_so():
        torch.set_num_threads(threads)
        torch.backends.mkldnn.enabled = onednn
        return run()

    return run_so


def eager(run, name="eager"):
    """Ways to do work as it is: with one thread and with all."""
    return {f"{name}, {threads(n)}": with_settings(run, n) for n in COUNTS}


def eager_and_compiled(make):
    """Ways to run a network: as it is with one thread and with all, and compiled.

    Args:
        make: Function `(wrap)` that returns work; its network goes through the function `wrap`.
    """
    compiled = with_settings(make(torch.compile))
    return eager(make(lambda network: network)) | {f"{COMPILED}, {threads(COUNT)}": compiled}


def threads(count):
    """A number of threads as text."""
    return f"{count} thread{'s' if count > 1 else ''}"


def nearest_width(make, parameters, unit=8):
    """The width, a multiple of `unit`, that makes a network of about so many parameters.

    Args:
        make: Function `(width)` that returns a network; it grows with the width.
        parameters: See above.
        unit: See above.

    Returns:
        `(width, note)`: the note has the number, and how far off it is.
    """

    def count(width):
        with torch.device("meta"):  # shapes alone
            return sum(weight.numel() for weight in make(width).parameters())

    counts = {}
    for width in itertools.count(unit, unit):
        counts[width] = count(width)
        if counts[width] >= parameters:
            break
    width = min(counts, key=lambda width: abs(counts[width] - parameters))
    share = counts[width] / parameters - 1
    note = f"{counts[width]:,} weights ({share:+.1%}), width {width}"
    return width, note + (", too far off to compare" if abs(share) > AGREE else "")
