"""diffusers' UNet1DModel and DDIMScheduler, as installed and as its documentation uses them.

Of the kinds of blocks that it has, the residual ones make the nearest twin of tfgen's network: two
residual blocks a level on either way, each told the noise level, in the same widths and levels and,
to within 1%, of as many weights. They have no attention, and convolutions 5 wide for tfgen's 3.
"""

import functools

import torch
from diffusers import DDIMScheduler, UNet1DModel

from benchmarks.sizes import TIMESTEPS
from benchmarks.ways import unet_sampling, unet_training


def network(sizes, width):
    """The U-Net with random weights."""
    levels = len(sizes.multipliers)
    return UNet1DModel(
        sample_size=sizes.length, in_channels=sizes.features, out_channels=sizes.features,
        block_out_channels=tuple(width * multiplier for multiplier in sizes.multipliers),
        down_block_types=("DownResnetBlock1D",) * levels,
        mid_block_type="MidResTemporalBlock1D",
        up_block_types=("UpResnetBlock1D",) * levels,
        out_block_type="OutConv1DBlock", time_embedding_type="positional",
        use_timestep_embedding=True, act_fn="mish",
    )  # fmt: skip


def loss_of(unet, sizes):
    """The loss of the noise, as a function of sequences."""
    scheduler = DDIMScheduler(num_train_timesteps=TIMESTEPS)

    def loss(clean):
        noise = torch.randn_like(clean)
        timesteps = torch.randint(0, TIMESTEPS, [len(clean)])
        noisy = scheduler.add_noise(clean, noise, timesteps)
        return torch.nn.functional.mse_loss(unet(noisy, timesteps).sample, noise)

    return loss


def sampler(unet, sizes):
    """The loop over the steps of `DDIMScheduler`."""
    scheduler = DDIMScheduler(num_train_timesteps=TIMESTEPS)
    scheduler.set_timesteps(sizes.steps)

    def sample():
        x = torch.randn(sizes.batch, sizes.features, sizes.length)
        for timestep in scheduler.timesteps:
            x = scheduler.step(unet(x, timestep).sample, timestep, x).prev_sample
        return x

    return sample


train = functools.partial(unet_training, network, loss_of)
sample = functools.partial(unet_sampling, network, sampler)
