"""lucidrains' Unet1D and GaussianDiffusion1D, as installed: `denoising_diffusion_pytorch`."""

import itertools
import os

os.environ["TQDM_DISABLE"] = "1"  # its loop shows a bar; tqdm reads this when it is imported

import torch

try:
    from denoising_diffusion_pytorch.denoising_diffusion_pytorch_1d import (
        GaussianDiffusion1D,
        Unet1D,
    )
except RuntimeError as error:  # so fails a torchvision that was built for another PyTorch
    raise ImportError(str(error).splitlines()[-1]) from error

from benchmarks.pytorch_ways import eager_and_compiled, fastest, nearest_width
from benchmarks.sizes import TIMESTEPS, random_sequences


def train(sizes, parameters, trial_seconds):
    """Training steps with torch.optim.Adam: `GaussianDiffusion1D`'s own loss of the noise."""
    width, note = nearest_width(lambda width: network(sizes, width), parameters)
    sequences = torch.from_numpy(random_sequences(sizes)).transpose(-1, -2).contiguous()

    def make(wrap):
        unet = network(sizes, width)
        diffusion = _diffusion(wrap(unet), sizes)
        optimizer = torch.optim.Adam(unet.parameters(), lr=1e-3)
        batches = itertools.cycle(list(sequences))

        def run():
            optimizer.zero_grad()
            loss = diffusion(next(batches))
            loss.backward()
            optimizer.step()
            loss.item()
            return 1

        return run

    run, tried = fastest(eager_and_compiled(make), trial_seconds)
    return run, _note(note, width, sizes, tried)


def sample(sizes, parameters, trial_seconds):
    """Whole calls of its `sample`, which is `ddim_sample` for fewer steps than it is trained on."""
    width, note = nearest_width(lambda width: network(sizes, width), parameters)

    def make(wrap):
        diffusion = _diffusion(wrap(network(sizes, width)), sizes).eval()

        @torch.inference_mode()
        def run():
            return len(diffusion.sample(batch_size=sizes.batch).numpy())

        return run

    run, tried = fastest(eager_and_compiled(make), trial_seconds)
    return run, _note(note, width, sizes, tried)


def network(sizes, width):
    """The U-Net with random weights."""
    torch.manual_seed(0)
    return Unet1D(width, dim_mults=sizes.multipliers, channels=sizes.features)


def _diffusion(unet, sizes):
    return GaussianDiffusion1D(
        unet,
        seq_length=sizes.length,
        timesteps=TIMESTEPS,
        sampling_timesteps=sizes.steps,
        objective="pred_noise",
        auto_normalize=False,
    )


def _note(note, width, sizes, tried):
    return f"Unet1D, {note}, dim {width} x {sizes.multipliers}; {tried}"
