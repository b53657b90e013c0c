"""Hugging Face's GPT2LMHeadModel, as installed, with the key-value cache of its `generate`."""

import torch
import transformers

from benchmarks.sizes import SYMBOLS, as_text, random_prompts

transformers.logging.set_verbosity_error()


def generate(sizes):
    """Whole calls of `generate`, and the characters of what they return."""
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

    attention = model.config._attn_implementation
    return run, (
        f"calls of {sizes.tokens} tokens, {attention} attention, {torch.get_num_threads()} threads"
    )


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
