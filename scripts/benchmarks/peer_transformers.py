"""Hugging Face's GPT2LMHeadModel, as installed, with the key-value cache of its `generate`."""

import torch
import transformers

from benchmarks.sizes import SYMBOLS, characters, random_prompts
from benchmarks.ways import eager

transformers.logging.set_verbosity_error()


def network(sizes):
    """The model of `TransformerSizes` with random weights."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=SYMBOLS, n_positions=sizes.window, n_embd=sizes.width, n_layer=sizes.layers,
        n_head=sizes.heads, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config).eval()


def generate(sizes):
    """Whole calls of `generate`, with one thread and with all."""
    model = network(sizes)
    prompts = torch.from_numpy(random_prompts(sizes)).long()
    # Its default of top_k is 50.
    options = {"do_sample": True, "temperature": 1.0, "top_k": 0, "use_cache": True}
    options |= {"min_new_tokens": sizes.tokens, "max_new_tokens": sizes.tokens, "pad_token_id": 0}

    @torch.no_grad()
    def run():
        rows = model.generate(prompts, attention_mask=torch.ones_like(prompts), **options)
        return characters(rows[:, sizes.prompt :].tolist())

    return eager(run), f"calls of {sizes.tokens} tokens"
