"""nanoGPT's GPT from a checkout, trained as its train.py trains."""

import contextlib
import io
import os
import sys

import torch

from benchmarks import reach as reaching
from benchmarks.sizes import SYMBOLS, TransformerSizes, characters, random_prompts, random_windows
from benchmarks.ways import COMPILED, COUNT, eager, stepper, threads
from benchmarks.workers import in_turn

sys.path.append(os.environ.get("NANOGPT", "no checkout"))

from model import GPT, GPTConfig


def network(sizes, symbols=SYMBOLS):
    """The checkout's GPT and its optimizer, of `TransformerSizes`."""
    recipe = reaching.NANOGPT
    config = GPTConfig(
        block_size=sizes.window, vocab_size=symbols, n_layer=sizes.layers, n_head=sizes.heads,
        n_embd=sizes.width, dropout=0.0, bias=False,
    )  # fmt: skip
    options = recipe["weight_decay"], recipe["learning_rate"], (0.9, recipe["beta_2"]), "cpu"
    with contextlib.redirect_stdout(io.StringIO()):
        model = GPT(config)
        return model, model.configure_optimizers(*options)


def train(sizes):
    """Training steps at a learning rate that stays, eager and with torch.compile."""
    batches = [_pair(windows) for windows in torch.from_numpy(random_windows(sizes)).long()]

    def make(wrap):
        torch.manual_seed(0)
        model, optimizer = network(sizes)
        wrapped, clip_norm = wrap(model), reaching.NANOGPT["clip_norm"]
        step = stepper(lambda batch: wrapped(*batch)[1], optimizer, clip_norm)
        return in_turn(step, batches, sizes.batch * sizes.window)

    return {"eager": make(lambda model: model), COMPILED: make(torch.compile)}, threads(COUNT)


def generate(sizes):
    """Whole calls of its `generate`, which has no cache and reads the text anew for every token."""
    model = network(sizes)[0].eval()
    prompts = torch.from_numpy(random_prompts(sizes)).long()

    def run():
        return characters(model.generate(prompts, sizes.tokens)[:, sizes.prompt :].tolist())

    return eager(run), f"calls of {sizes.tokens} tokens, without a cache"


def reach(goal, seed):
    """Trains nanoGPT by its recipe for CPUs to a validation loss; see `reach.race`."""
    recipe = reaching.NANOGPT

    def make(characters):
        torch.manual_seed(seed)
        sizes = (recipe[name] for name in ("layers", "heads", "width", "window"))
        model, optimizer = network(TransformerSizes(*sizes), len(characters))
        take = stepper(lambda batch: model(*batch)[1], optimizer, recipe["clip_norm"])

        def step(number, windows):
            for group in optimizer.param_groups:
                group["lr"] = reaching.learning_rate(recipe, number - 1)
            take(_pair(torch.from_numpy(windows)))

        @torch.no_grad()
        def loss(windows):
            model.eval()
            parts = torch.from_numpy(windows).split(reaching.BATCH)
            losses = [model(*_pair(part))[1].item() for part in parts]
            model.train()
            return sum(losses) / len(losses)

        return step, loss

    return reaching.race(make, goal, recipe, seed)


def _pair(batch):
    """Inputs and targets of windows `(batch, time + 1)`; nanoGPT needs them in one piece."""
    return batch[:, :-1].contiguous(), batch[:, 1:].contiguous()
