"""nanoGPT's GPT from a checkout, trained as its train.py trains."""

import contextlib
import importlib.util
import io
import math
import sys
from pathlib import Path

import torch

from benchmarks import reach as reaching
from benchmarks.sizes import SYMBOLS, TransformerSizes, as_text, random_prompts, random_windows
from benchmarks.ways import COMPILED, COUNT, stepper, threads, training


def network(sizes, checkout, symbols=SYMBOLS):
    """The checkout's GPT and its optimizer, of `TransformerSizes`."""
    name = "nanogpt_model"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(checkout) / "model.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # its dataclass looks itself up
        spec.loader.exec_module(module)
    code, recipe = sys.modules[name], reaching.NANOGPT
    config = code.GPTConfig(
        block_size=sizes.window, vocab_size=symbols, n_layer=sizes.layers, n_head=sizes.heads,
        n_embd=sizes.width, dropout=0.0, bias=False,
    )  # fmt: skip
    options = recipe["weight_decay"], recipe["learning_rate"], (0.9, recipe["beta_2"]), "cpu"
    with contextlib.redirect_stdout(io.StringIO()):
        model = code.GPT(config)
        return model, model.configure_optimizers(*options)


def train(sizes, checkout):
    """Training steps at a learning rate that stays, eager and with torch.compile."""
    batches = [_pair(windows) for windows in torch.from_numpy(random_windows(sizes)).long()]

    def make(wrap):
        torch.manual_seed(0)
        model, optimizer = network(sizes, checkout)
        wrapped, clip_norm = wrap(model), reaching.NANOGPT["clip_norm"]
        step = stepper(lambda batch: wrapped(*batch)[1], optimizer, clip_norm)
        return training(step, batches, sizes.batch * sizes.window)

    return {"eager": make(lambda model: model), COMPILED: make(torch.compile)}, threads(COUNT)


def generate(sizes, checkout):
    """Whole calls of its `generate`, which has no cache and reads the text anew for every token."""
    model = network(sizes, checkout)[0].eval()
    prompts = torch.from_numpy(random_prompts(sizes)).long()

    def run():
        rows = model.generate(prompts, sizes.tokens)[:, sizes.prompt :].tolist()
        return sum(len(as_text(row)) for row in rows)

    return {f"calls of {sizes.tokens} tokens, without a cache, {threads(COUNT)}": run}


def reach(path, checkout, target, batches, seed):
    """Trains nanoGPT by its recipe for CPUs to a validation loss; see `reach.race`."""
    recipe = reaching.NANOGPT

    def make(characters):
        torch.manual_seed(seed)
        sizes = (recipe[name] for name in ("layers", "heads", "width", "window"))
        model, optimizer = network(TransformerSizes(*sizes), checkout, len(characters))
        take = stepper(lambda batch: model(*batch)[1], optimizer, recipe["clip_norm"])

        def step(number, windows):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, number - 1)
            take(_pair(torch.from_numpy(windows)))

        @torch.no_grad()
        def loss(windows):
            model.eval()
            parts = torch.from_numpy(windows).split(reaching.BATCH)
            losses = [model(*_pair(part))[1].item() for part in parts]
            model.train()
            return sum(losses) / len(losses)

        return step, loss

    return reaching.race(make, path, recipe, target, batches, seed)


def learning_rate(recipe, iteration):
    """train.py's: linear to the peak, then a cosine to its end."""
    peak, end, warmup = (
        recipe[name] for name in ("learning_rate", "final_learning_rate", "warmup_steps")
    )
    if iteration < warmup:
        return peak * (iteration + 1) / (warmup + 1)
    share = (iteration - warmup) / (recipe["steps"] - warmup)
    return end + 0.5 * (1 + math.cos(math.pi * share)) * (peak - end)


def _pair(batch):
    """Inputs and targets of windows `(batch, time + 1)`; nanoGPT needs them in one piece."""
    return batch[:, :-1].contiguous(), batch[:, 1:].contiguous()
