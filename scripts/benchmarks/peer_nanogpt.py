"""nanoGPT's GPT from a checkout, trained as its train.py trains."""

import contextlib
import importlib.util
import io
import itertools
import math
import sys
from pathlib import Path

import torch

from benchmarks import reach as reaching
from benchmarks.pytorch_ways import COMPILED, fastest
from benchmarks.sizes import SYMBOLS, as_text, random_prompts, random_windows


def train(sizes, checkout, trial_seconds):
    """Training steps, eager or with torch.compile: the faster, each is tried for some seconds."""
    windows = torch.from_numpy(random_windows(sizes)).long()
    ways = {
        "eager": _training(sizes, checkout, windows, compiled=False),
        COMPILED: _training(sizes, checkout, windows, compiled=True),
    }
    run, tried = fastest(ways, trial_seconds)
    return run, f"{tried}, {_threads()}"


def generate(sizes, checkout):
    """Whole calls of its `generate`, which has no cache and reads the text anew for every token."""
    model = _model(checkout, sizes.layers, sizes.heads, sizes.width, sizes.window, SYMBOLS).eval()
    prompts = torch.from_numpy(random_prompts(sizes)).long()

    def run():
        rows = model.generate(prompts, sizes.tokens)[:, sizes.prompt :].tolist()
        return sum(len(as_text(row)) for row in rows)

    return run, f"calls of {sizes.tokens} tokens, without a cache, {_threads()}"


def reach(path, checkout, target, batches, seed):
    """Trains nanoGPT by its recipe for CPUs to a validation loss; see `reach.race`."""
    recipe = reaching.NANOGPT
    text = reaching.Text(path)

    def make():
        torch.manual_seed(seed)
        sizes = (recipe[name] for name in ("layers", "heads", "width", "window"))
        model = _model(checkout, *sizes, len(text.characters))
        optimizer = _optimizer(
            model, recipe["learning_rate"], recipe["beta_2"], recipe["weight_decay"]
        )
        training = reaching.Crops(text.train, recipe["window"], seed)
        validation = reaching.Crops(text.validation, reaching.WINDOW, seed)

        def step(number):
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(recipe, number - 1)
            batch = torch.from_numpy(training.draw(recipe["batch"]))
            return _step(model, optimizer, *_pair(batch), recipe["clip_norm"])

        @torch.no_grad()
        def validate():
            model.eval()
            losses = [
                model(*_pair(torch.from_numpy(validation.draw(reaching.BATCH))))[1].item()
                for _ in range(batches)
            ]
            model.train()
            return sum(losses) / len(losses)

        return step, validate

    return reaching.race(make, recipe["steps"], recipe["validate_every"], target)


def _training(sizes, checkout, windows, compiled):
    """A function that takes one step, at a learning rate that stays."""
    torch.manual_seed(0)
    model = _model(checkout, sizes.layers, sizes.heads, sizes.width, sizes.window, SYMBOLS)
    recipe = reaching.NANOGPT
    optimizer = _optimizer(model, recipe["learning_rate"], recipe["beta_2"], recipe["weight_decay"])
    if compiled:
        model = torch.compile(model)
    batches = itertools.cycle([_pair(batch) for batch in windows])
    mixed = torch.autocast("cpu", torch.bfloat16, enabled=sizes.dtype == "bfloat16")

    def run():
        _step(model, optimizer, *next(batches), recipe["clip_norm"], mixed)
        return sizes.batch * sizes.window

    return run


def _step(model, optimizer, inputs, targets, clip_norm, mixed=None):
    """One step of train.py; returns the loss, which waits for it."""
    with mixed or contextlib.nullcontext():
        _, loss = model(inputs, targets)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def _learning_rate(recipe, iteration):
    """train.py's: linear to the peak, then a cosine to its end."""
    peak, end, warmup = (
        recipe[name] for name in ("learning_rate", "final_learning_rate", "warmup_steps")
    )
    if iteration < warmup:
        return peak * (iteration + 1) / (warmup + 1)
    share = (iteration - warmup) / (recipe["steps"] - warmup)
    return end + 0.5 * (1 + math.cos(math.pi * share)) * (peak - end)


def _model(checkout, layers, heads, width, window, symbols):
    code = _code(checkout)
    config = code.GPTConfig(
        block_size=window,
        vocab_size=symbols,
        n_layer=layers,
        n_head=heads,
        n_embd=width,
        dropout=0.0,
        bias=False,
    )
    with _silence():
        return code.GPT(config)


def _optimizer(model, learning_rate, beta_2, weight_decay):
    with _silence():
        return model.configure_optimizers(weight_decay, learning_rate, (0.9, beta_2), "cpu")


def _code(checkout):
    """The checkout's model.py as a module."""
    name = "nanogpt_model"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(checkout) / "model.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # its dataclass looks itself up
        spec.loader.exec_module(module)
    return sys.modules[name]


def _pair(batch):
    """Inputs and targets of windows `(batch, time + 1)`; nanoGPT needs them in one piece."""
    return batch[:, :-1].contiguous(), batch[:, 1:].contiguous()


def _silence():
    return contextlib.redirect_stdout(io.StringIO())


def _threads():
    return f"{torch.get_num_threads()} threads"
