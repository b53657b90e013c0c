"""lucidrains' Unet1D and GaussianDiffusion1D, as installed: `denoising_diffusion_pytorch`."""

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

from benchmarks.sizes import TIMESTEPS, random_sequences
from benchmarks.ways import eager_and_compiled, nearest_width, training


def network(sizes, width):
    """The U-Net with random weights."""
    torch.manual_seed(0)
    return Unet1D(width, dim_mults=sizes.multipliers, channels=sizes.features)


def train(sizes, parameters):
    """Training steps with torch.optim.Adam: `GaussianDiffusion1D`'s own loss of the noise."""
    width, note = nearest_width(lambda width: network(sizes, width), parameters)
    sequences = torch.from_numpy(random_sequences(sizes)).transpose(-1, -2).contiguous()

    def make(wrap):
        unet = network(sizes, width)
        optimizer = torch.optim.Adam(unet.parameters(), lr=1e-3)
        return training(_diffusion(wrap(unet), sizes), optimizer, list(sequences), 1)

    return eager_and_compiled(make), note


def sample(sizes, parameters):
    """Whole calls of its `sample`, which is `ddim_sample` for fewer steps than it is trained on."""
    width, note = nearest_width(lambda width: network(sizes, width), parameters)

    def make(wrap):
        diffusion = _diffusion(wrap(network(sizes, width)), sizes).eval()

        @torch.inference_mode()
        def run():
            return len(diffusion.sample(batch_size=sizes.batch).numpy())

        return run

    return eager_and_compiled(make), note


def _diffusion(unet, sizes):
    return GaussianDiffusion1D(
        unet, seq_length=sizes.length, timesteps=TIMESTEPS, sampling_timesteps=sizes.steps,
        objective="pred_noise", auto_normalize=False,
    )  # fmt: skip
