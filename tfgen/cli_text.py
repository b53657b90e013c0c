"""What `tfgen generate` and `tfgen evaluate` do with models of text."""

import json
import re
import sys
from pathlib import Path

from tfgen.arguments import integer
from tfgen.cli_common import (
    check_counts,
    find_model,
    open_model,
    progress_bar,
    refuse,
    show,
    to_unicode,
)
from tfgen.errors import InputError
from tfgen.files import atomic_file
from tfgen.names import normalise
from tfgen.recipe import GenerationConfig
from tfgen.uses import KINDS

# Options that are fields of the sampling defaults, besides `temperature`, which all models have.
SAMPLING = {
    "max_new_tokens": int,
    "top_k": int,
    "top_p": float,
    "min_p": float,
    "repetition_penalty": float,
}
# Options that only a model of text takes.
GENERATE_OPTIONS = (
    *SAMPLING, "stop", "strip_prompt", "beams", "length_penalty", "contrastive", "draft",
    "draft_tokens",
)  # fmt: skip
EVALUATE_OPTIONS = ("column", "window", "crops")


def add_generate_options(parser):
    """Adds the options that `generate` has for models of text."""
    fields = GenerationConfig.__dataclass_fields__
    group = parser.add_argument_group("models of text")
    for name, kind in SAMPLING.items():
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, type=kind, help=fields[name].metadata["help"])
    group.add_argument(
        "--stop",
        action="append",
        help="a string that ends the text; may be repeated ($'\\n' is a newline in bash)",
    )
    group.add_argument("--strip-prompt", action="store_true", help="leave the prompt out")
    group.add_argument("--beams", type=integer, help="look for the most likely text: beam search")
    group.add_argument(
        "--length-penalty", type=float, help="with --beams: above 0 favours long texts (1)"
    )
    group.add_argument(
        "--contrastive",
        metavar="ALPHA",
        type=float,
        help="contrastive search, 0 to 1: among --top-k likely tokens (4) avoid what repeats",
    )
    group.add_argument("--draft", metavar="NAME", help="a smaller draft model that proposes tokens")
    group.add_argument(
        "--draft-tokens", type=integer, help="with --draft: tokens guessed at once (4)"
    )


def refuse_generate_options(arguments, kind):
    """Refuses what only a model of text takes."""
    if arguments.prompts:
        raise InputError(
            f"A model of {KINDS[kind]} takes no prompt. "
            f"Received: {to_unicode(arguments.prompts[0])!r}"
        )
    refuse(arguments, GENERATE_OPTIONS, _reason(arguments, kind))


def _reason(arguments, kind):
    return f"is for models of text, and {arguments.name} is one of {KINDS[kind]}"


def generate(arguments):
    """Continues prompts."""
    options = {name: getattr(arguments, name) for name in ("temperature", *SAMPLING, "stop")}
    options = {name: value for name, value in options.items() if value is not None}
    GenerationConfig(**options)  # a value out of range is told before the model is loaded
    check_counts(arguments, "num_samples")
    prompts = [to_unicode(prompt) for prompt in arguments.prompts] or [""]
    if arguments.stream and (len(prompts) > 1 or arguments.num_samples > 1 or arguments.out):
        raise InputError("--stream is for one prompt, one sample, and no --out")
    options |= {"seed": arguments.seed, "strip_prompt": arguments.strip_prompt}
    if arguments.condition is not None:
        options["condition"] = _class(arguments.condition)
    if arguments.guidance_scale is not None:
        options["guidance_scale"] = arguments.guidance_scale
    kind = _search_kind(arguments)
    if kind == "draft" and find_model(arguments.draft).data_kind != "text":
        raise InputError(f"--draft must be a model of text. Received: --draft {arguments.draft}")

    model = open_model(arguments.name, arguments.dtype)
    search = _search(kind, arguments) if kind else None
    if kind:
        options["search"] = search
    if kind == "contrastive":
        options.pop("top_k", None)  # it is the search's own
    if arguments.stream:
        for piece in model.stream(prompts[0], **options):
            print(piece, end="", flush=True)
        print()
        return
    texts = model.generate(prompts, num_samples=arguments.num_samples, **options)
    samples = [[text] if isinstance(text, str) else list(text) for text in texts]
    if kind == "draft":
        told = search.statistics
        show(
            f"{told['accepted']} of {told['proposed']} guesses accepted "
            f"({told['acceptance']:.0%}): {told['tokens_per_pass']:.2f} tokens for each pass of "
            f"{arguments.name}",
            file=sys.stderr,
        )
    if arguments.out is None:
        print(_as_text(samples))
        return
    lines = arguments.out.lower().endswith(".jsonl")
    with atomic_file(arguments.out) as temporary:
        content = _as_json_lines(prompts, samples) if lines else _as_text(samples) + "\n"
        Path(temporary).write_text(content, "utf-8")
    show(f"Wrote {arguments.out}")


def _class(text):
    if not re.fullmatch(r"[+-]?\d{1,9}", text):
        raise InputError(f"--condition takes the number of a class. Received: --condition {text}")
    return int(text)


def _search_kind(arguments):
    """Which search the options ask for, or None."""
    kinds = {"beams": ["length_penalty"], "contrastive": [], "draft": ["draft_tokens"]}
    chosen = [name for name in kinds if getattr(arguments, name) is not None]
    if len(chosen) > 1:
        raise InputError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    for name, details in kinds.items():
        for detail in details:
            if getattr(arguments, detail) is not None and name not in chosen:
                raise InputError(f"--{detail.replace('_', '-')} goes with --{name}")
    if chosen and arguments.stream:
        raise InputError(f"--stream draws token by token: leave --{chosen[0]} out")
    return chosen[0] if chosen else None


def _search(kind, arguments):
    from tfgen.sampling.search import BeamSearch, ContrastiveSearch, Speculative

    if kind == "beams":
        penalty = arguments.length_penalty
        return BeamSearch(arguments.beams, 1.0 if penalty is None else penalty)
    if kind == "contrastive":
        return ContrastiveSearch(arguments.top_k or 4, arguments.contrastive)
    return Speculative(open_model(arguments.draft), arguments.draft_tokens or 4)


def _as_text(samples):
    """Returns texts one below the other; more than one are told apart by a line above each."""
    if len(samples) == 1 and len(samples[0]) == 1:
        return samples[0][0]
    blocks = []
    for row, texts in enumerate(samples, start=1):
        for number, text in enumerate(texts, start=1):
            sample = f", sample {number}" if len(texts) > 1 else ""
            blocks.append(f"--- prompt {row}{sample} ---\n{text}")
    return "\n".join(blocks)


def _as_json_lines(prompts, samples):
    return "".join(
        json.dumps({"prompt": prompt, "sample": number, "text": text}, ensure_ascii=False) + "\n"
        for prompt, texts in zip(prompts, samples, strict=True)
        for number, text in enumerate(texts, start=1)
    )


def add_evaluate_options(parser):
    """Adds the options that `evaluate` has for models of text."""
    group = parser.add_argument_group("models of text")
    group.add_argument("--column", help="the column of a CSV file, or the key of a JSONL file")
    group.add_argument("--window", type=integer, help="tokens in a random crop (256)")
    group.add_argument("--crops", type=integer, help="number of random crops (1024)")


def refuse_evaluate_options(arguments, kind):
    """Refuses what only a model of text takes."""
    refuse(arguments, EVALUATE_OPTIONS, _reason(arguments, kind))


def evaluate(arguments):
    """Prints how likely a model finds a text, and writes it as JSON."""
    check_counts(arguments, "window", "crops")
    kind = _built_in_kind(arguments.data)
    if kind != "text":
        raise InputError(
            f"{arguments.name} writes text, and the built-in set '{arguments.data}' is {kind}"
        )
    model = open_model(arguments.name, arguments.dtype)
    from tfgen.evaluation import evaluate
    from tfgen.zoo.description import readable

    options = {name: getattr(arguments, name) for name in (*EVALUATE_OPTIONS, "split", "seed")}
    options = {name: value for name, value in options.items() if value is not None}
    if sys.stderr.isatty():
        options["progress"] = progress_bar("token")
    results = evaluate(model, arguments.data, **options)
    width = max(len(key) for key in results)
    for key, value in results.items():
        show(f"{key.replace('_', ' '):<{width}}  {readable(value)}")
    if arguments.out:
        with atomic_file(arguments.out) as temporary:
            Path(temporary).write_text(json.dumps(results, indent=2) + "\n", "utf-8")


def _built_in_kind(name):
    from tfgen.data import BUILTIN

    row = BUILTIN.get(normalise(name))
    return "text" if row is None else row.kind
