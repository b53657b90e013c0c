"""Hugging Face's GPT2LMHeadModel, as installed, with the key-value cache of its `generate`."""

import torch
import transformers

from benchmarks.pytorch_ways import fastest, shown, with_threads
from benchmarks.sizes import SYMBOLS, as_text, random_prompts

transformers.logging.set_verbosity_error()


def generate(sizes, trial_seconds):
    """Whole calls of `generate`, with one thread and with all: the faster."""
    run = _generation(sizes)
    counts = sorted({1, torch.get_num_threads()})
    ways = {f"eager, {shown(count)}": with_threads(run, count) for count in counts}
    run, note = fastest(ways, trial_seconds)
    return run, f"calls of {sizes.tokens} tokens, {note}"


def _generation(sizes):
    model = _model(sizes)
    prompts = torch.from_numpy(random_prompts(sizes)).long()
    mask = torch.ones_like(prompts)
    options = {
        "do_sample": True,
        "temperature": 1.0,
        "top_k": 0,  # its default is 50
        "min_new_tokens": sizes.tokens,
        "max_new_tokens": sizes.tokens,
        "use_cache": True,
        "pad_token_id": 0,
    }

    @torch.no_grad()
    def run():
        rows = model.generate(prompts, attention_mask=mask, **options)
        texts = [as_text(row) for row in rows[:, sizes.prompt :].tolist()]
        return sum(len(text) for text in texts)

    return run


def _model(sizes):
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=SYMBOLS,
        n_positions=sizes.window,
        n_embd=sizes.width,
        n_layer=sizes.layers,
        n_head=sizes.heads,
        bos_token_id=None,
        eos_token_id=None,
    )
    return transformers.GPT2LMHeadModel(config).eval()
