"""diffusers' UNet1DModel and DDIMScheduler, as installed.

Of the kinds of blocks that it has, the residual ones make the nearest twin of tfgen's network: two
residual blocks a level on either way, each told the noise level, in the same widths and levels and,
to within 1%, of as many weights. They have no attention, and convolutions 5 wide for tfgen's 3.
"""

import torch

try:
    from diffusers import DDIMScheduler, UNet1DModel
except RuntimeError as error:  # so diffusers says that something it needs cannot be imported
    raise ImportError(str(error).splitlines()[-1]) from error

from benchmarks.sizes import TIMESTEPS, random_sequences
from benchmarks.ways import eager_and_compiled, nearest_width, training


def network(sizes, width):
    """The U-Net with random weights."""
    torch.manual_seed(0)
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


def train(sizes, parameters):
    """Training steps with torch.optim.Adam, as its documentation writes them."""
    width, note = nearest_width(lambda width: network(sizes, width), parameters)
    sequences = torch.from_numpy(random_sequences(sizes)).transpose(-1, -2).contiguous()
    scheduler = DDIMScheduler(num_train_timesteps=TIMESTEPS)

    def make(wrap):
        unet = network(sizes, width)
        wrapped = wrap(unet)

        def loss(clean):
            noise = torch.randn_like(clean)
            timesteps = torch.randint(0, TIMESTEPS, [len(clean)])
            noisy = scheduler.add_noise(clean, noise, timesteps)
            return torch.nn.functional.mse_loss(wrapped(noisy, timesteps).sample, noise)

        return training(loss, torch.optim.Adam(unet.parameters(), lr=1e-3), list(sequences), 1)

    return eager_and_compiled(make), note


def sample(sizes, parameters):
    """Whole runs of the loop over the steps of `DDIMScheduler`."""
    width, note = nearest_width(lambda width: network(sizes, width), parameters)
    scheduler = DDIMScheduler(num_train_timesteps=TIMESTEPS)
    scheduler.set_timesteps(sizes.steps)

    def make(wrap):
        unet = wrap(network(sizes, width).eval())

        @torch.inference_mode()
        def run():
            x = torch.randn(sizes.batch, sizes.features, sizes.length)
            for timestep in scheduler.timesteps:
                x = scheduler.step(unet(x, timestep).sample, timestep, x).prev_sample
            return len(x.numpy())

        return run

    return eager_and_compiled(make), note
