"""Generated texts, one below the other or as lines of JSON."""

import json
from pathlib import Path

from tfgen.files import atomic_file


def as_text(samples, sources=None):
    """Returns texts one below the other; more than one are told apart by a line above each.

    Args:
        samples: For each prompt, or source, a list of texts.
        sources: What they were made of, in words; None is of prompts. One is that of all.
    """
    if len(samples) == 1 and len(samples[0]) == 1:
        return samples[0][0]
    blocks = []
    for row, texts in enumerate(samples, start=1):
        for number, text in enumerate(texts, start=1):
            sample = f", sample {number}" if len(texts) > 1 else ""
            own = sources and len(sources) == len(samples)
            name = sources[row - 1] if own else f"prompt {row}"
            blocks.append(f"--- {name}{sample} ---\n{text}")
    return "\n".join(blocks)


def as_json_lines(prompts, samples, sources=None):
    rows = [{"prompt": prompt} for prompt in prompts]
    if sources:
        sources = sources * len(rows) if len(sources) == 1 else sources
        rows = [{"source": each, **row} for each, row in zip(sources, rows, strict=True)]
    return "".join(
        json.dumps({**row, "sample": number, "text": text}, ensure_ascii=False) + "\n"
        for row, texts in zip(rows, samples, strict=True)
        for number, text in enumerate(texts, start=1)
    )


def write_texts(path, prompts, samples, sources=None):
    """Writes texts, whole or not at all.

    Args:
        path: The file: as `as_json_lines` has them if it ends in `.jsonl`, else as `as_text`.
        prompts: List of texts.
        samples: For each prompt a list of texts.
        sources: As of `as_text`.
    """
    lines = str(path).lower().endswith(".jsonl")
    with atomic_file(path) as temporary:
        content = (
            as_json_lines(prompts, samples, sources) if lines else as_text(samples, sources) + "\n"
        )
        Path(temporary).write_text(content, "utf-8")
