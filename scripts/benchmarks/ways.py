"""The ways to do the same work in PyTorch: with one thread and with all, compiled or not."""

import itertools

import torch

from benchmarks.sizes import random_sequences
from benchmarks.workers import COMPILED, in_turn

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


def unet_training(network, loss_of, sizes):
    """Training steps of a U-Net with torch.optim.Adam, and a note.

    `network(sizes, width)` is a U-Net with random weights; `loss_of(unet, sizes)` is its loss, a
    function of sequences `(batch, features, length)`.
    """
    batches = list(torch.from_numpy(random_sequences(sizes)).transpose(-1, -2).contiguous())

    def work(unet, wrapped):
        optimizer = torch.optim.Adam(unet.parameters(), lr=1e-3)
        return in_turn(stepper(loss_of(wrapped, sizes), optimizer), batches, 1)

    return _eager_and_compiled(network, work, sizes)


def unet_sampling(network, sampler_of, sizes):
    """Sequences sampled by `sampler_of(unet, sizes)`, a function; the rest is as above."""

    def work(unet, wrapped):
        unet.eval()
        sample = torch.inference_mode()(sampler_of(wrapped, sizes))
        return lambda: len(sample().numpy())

    return _eager_and_compiled(network, work, sizes)


def _eager_and_compiled(network, work, sizes):
    width, note = nearest_width(lambda width: network(sizes, width), sizes.parameters)

    def make(wrap):
        torch.manual_seed(0)
        unet = network(sizes, width)
        return work(unet, wrap(unet))

    compiled = with_settings(make(torch.compile))
    return eager(make(lambda unet: unet)) | {f"{COMPILED}, {threads(COUNT)}": compiled}, note


def nearest_width(make, parameters):
    """The width, a multiple of 8, with which `make(width)` has about so many parameters.

    Returned is `(width, note)`: the note has the number, and how far off it is.
    """
    counts = {}
    for width in itertools.count(8, 8):
        with torch.device("meta"):  # shapes alone
            counts[width] = sum(weight.numel() for weight in make(width).parameters())
        if counts[width] >= parameters:
            break
    width = min(counts, key=lambda width: abs(counts[width] - parameters))
    share = counts[width] / parameters - 1
    note = f"{counts[width]:,} weights ({share:+.1%}), width {width}"
    return width, note + (", too far off to compare" if abs(share) > AGREE else "")
