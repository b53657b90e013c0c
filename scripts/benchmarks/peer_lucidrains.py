"""lucidrains' Unet1D and GaussianDiffusion1D, as installed: `denoising_diffusion_pytorch`."""

import functools
import os

os.environ["TQDM_DISABLE"] = "1"  # its loop shows a bar; tqdm reads this when it is imported

from denoising_diffusion_pytorch.denoising_diffusion_pytorch_1d import GaussianDiffusion1D, Unet1D

from benchmarks.sizes import TIMESTEPS
from benchmarks.ways import unet_sampling, unet_training
from benchmarks.workers import Missing


def network(sizes, width):
    """The U-Net with random weights."""
    if not sizes.attention:
        raise Missing("its network has attention")
    return Unet1D(width, dim_mults=sizes.multipliers, channels=sizes.features)


def diffusion(unet, sizes):
    """Its loss of the noise, as a function of sequences, which samples too."""
    return GaussianDiffusion1D(
        unet, seq_length=sizes.length, timesteps=TIMESTEPS, sampling_timesteps=sizes.steps,
        objective="pred_noise", auto_normalize=False,
    )  # fmt: skip


def sampler(unet, sizes):
    """Its `sample`, which is `ddim_sample` for fewer steps than it is trained on."""
    return functools.partial(diffusion(unet, sizes).eval().sample, batch_size=sizes.batch)


train = functools.partial(unet_training, network, diffusion)
sample = functools.partial(unet_sampling, network, sampler)
