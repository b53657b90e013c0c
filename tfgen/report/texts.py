"""Generated texts, one below the other or as lines of JSON."""

import json
from pathlib import Path

from tfgen.files import atomic_file


def as_text(samples):
    """Returns texts one below the other; more than one are told apart by a line above each."""
    if len(samples) == 1 and len(samples[0]) == 1:
        return samples[0][0]
    blocks = []
    for row, texts in enumerate(samples, start=1):
        for number, text in enumerate(texts, start=1):
            sample = f", sample {number}" if len(texts) > 1 else ""
            blocks.append(f"--- prompt {row}{sample} ---\n{text}")
    return "\n".join(blocks)


def as_json_lines(prompts, samples):
    return "".join(
        json.dumps({"prompt": prompt, "sample": number, "text": text}, ensure_ascii=False) + "\n"
        for prompt, texts in zip(prompts, samples, strict=True)
        for number, text in enumerate(texts, start=1)
    )


def write_texts(path, prompts, samples):
    """Writes texts, whole or not at all.

    Args:
        path: The file: as `as_json_lines` has them if it ends in `.jsonl`, else as `as_text`.
        prompts: List of texts.
        samples: For each prompt a list of texts.
    """
    lines = str(path).lower().endswith(".jsonl")
    with atomic_file(path) as temporary:
        content = as_json_lines(prompts, samples) if lines else as_text(samples) + "\n"
        Path(temporary).write_text(content, "utf-8")
