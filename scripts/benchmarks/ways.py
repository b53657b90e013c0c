"""The ways to do the same work in PyTorch: with one thread and with all, compiled or not."""

import itertools

import torch

from benchmarks.sizes import random_sequences
from benchmarks.workers import COMPILED

COUNT = torch.get_num_threads()
COUNTS = sorted({1, COUNT})
# A peer whose number of weights differs by more does not compare.
AGREE = 0.1


def stepper(loss, optimizer, clip_norm=None):
    """A training step: a function of a batch, as `loss` is; `clip_norm` bounds the gradient's."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]

    def step(batch):
        value = loss(batch)
        value.backward()
        if clip_norm:
            torch.nn.utils.clip_grad_norm_(weights, clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value.item()  # waits for the step

    return step


def training(step, batches, amount):
    """Work that takes a step at a time, of a list's batches in turn; a step counts `amount`."""
    batches = itertools.cycle(batches)

    def run():
        step(next(batches))
        return amount

    return run


def with_settings(run, threads=COUNT, onednn=True):
    """The same work with so many threads, with oneDNN or without."""

    def run_so():
        torch.set_num_threads(threads)
        torch.backends.mkldnn.enabled = onednn
        return run()

    return run_so


def threads(count):
    """A number of threads as text."""
    return f"{count} thread{'s' if count > 1 else ''}"


def eager(run):
    """Ways to do work as it is: with one thread and with all."""
    return {f"eager, {threads(count)}": with_settings(run, count) for count in COUNTS}


def unet_training(network, loss_of, sizes, parameters):
    """Training steps of a U-Net with torch.optim.Adam, and a note.

    Args:
        network: Function `(sizes, width)` that returns a U-Net with random weights.
        loss_of: Function `(unet, sizes)` that returns the loss, a function of sequences `(batch,
            features, length)`.
        sizes: `DiffusionSizes`.
        parameters: How many weights it has, about.
    """
    batches = list(torch.from_numpy(random_sequences(sizes)).transpose(-1, -2).contiguous())

    def work(unet, wrapped):
        optimizer = torch.optim.Adam(unet.parameters(), lr=1e-3)
        return training(stepper(loss_of(wrapped, sizes), optimizer), batches, 1)

    return _eager_and_compiled(network, work, sizes, parameters)


def unet_sampling(network, sampler_of, sizes, parameters):
    """Sequences sampled by `sampler_of(unet, sizes)`, a function; the rest is as above."""

    def work(unet, wrapped):
        unet.eval()
        sample = torch.inference_mode()(sampler_of(wrapped, sizes))
        return lambda: len(sample().numpy())

    return _eager_and_compiled(network, work, sizes, parameters)


def _eager_and_compiled(network, work, sizes, parameters):
    width, note = nearest_width(lambda width: network(sizes, width), parameters)

    def make(wrap):
        torch.manual_seed(0)
        unet = network(sizes, width)
        return work(unet, wrap(unet))

    compiled = with_settings(make(torch.compile))
    return eager(make(lambda unet: unet)) | {f"{COMPILED}, {threads(COUNT)}": compiled}, note


def nearest_width(make, parameters, unit=8):
    """The width, a multiple of `unit`, that makes a network of about so many parameters.

    `make(width)` returns a network that grows with the width. Returned is `(width, note)`: the note
    has the number, and how far off it is.
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
