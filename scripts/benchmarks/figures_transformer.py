"""The figures of the transformer. What a figure is stands in `contest.py`."""

import dataclasses
import importlib.util
import tempfile

from benchmarks.contest import (
    INSTALL,
    MODULES,
    NANOGPT,
    OURS,
    PRODUCT,
    PRODUCT_PYTORCH,
    READ,
    READ_ONE,
    TRANSFORMERS,
    compare,
    new_figure,
    pytorch_product_note,
    shares,
    tell,
    variant,
)
from benchmarks.pairing import alternate, differences, ratios, spread
from benchmarks.workers import Worker

# How else tfgen generates, as weights and cache of `peer_tfgen.generate`: smaller weights where
# reading them takes the time, which is with a single text, and else a smaller cache.
SMALLER_SINGLE = {"int8": ("int8", "float32")}
SMALLER = {"bfloat16 cache": ("float32", "bfloat16")}
# Tokens that a draft guesses at a time.
DRAFT_TOKENS = (2, 4, 6)
NO_CHECKOUT = "give the folder of a checkout: --nanogpt PATH"
# With these in the environment, XLA leaves what it has compiled in a folder for the next start.
XLA_FLAGS = "TF_XLA_FLAGS"
XLA_CACHE = "--tf_xla_persistent_cache_directory={} --tf_xla_persistent_cache_prefix=tfgen"
FIRST, SECOND = "first start", "second start"


def training(sizes, checkout, effort):
    """Tokens per second of training, and the shares of the matrix peak.

    Args:
        sizes: `TransformerSizes`.
        checkout: Folder of nanoGPT, or None.
        effort: `contest.Effort`.
    """
    name = (
        f"training, transformer {_shape(sizes)}, context {sizes.window}, batch {sizes.batch}, "
        f"{'mixed ' if sizes.dtype != 'float32' else ''}{sizes.dtype}, AdamW"
    )
    jobs = {
        OURS: ("train", sizes),
        NANOGPT: ("train", sizes, checkout, effort.seconds / 3),
        PRODUCT: ("matrix_product", effort.matrix),
        PRODUCT_PYTORCH: ("matrix_product", effort.matrix),
    }
    figure, values = _compare(name, "tokens/s", jobs, checkout, effort)
    flops = sizes.training_flops()
    figure["shares"] = {
        "of the float32 peak": shares(values, dict.fromkeys((OURS, NANOGPT), flops), PRODUCT)
    }
    figure["notes"] += [
        f"products, per token: {flops / 1e6:.2f} MFLOP = 6 x {sizes.product_weights():,} weights "
        f"(blocks and softmax, without the embedding) + 12 x {sizes.layers} layers x {sizes.width} "
        f"wide x {sizes.window} positions of attention, masked ones included",
        *pytorch_product_note(values),
    ]
    return figure


def generation(sizes, checkout, effort):
    """Characters per second of generating, and the shares of bandwidth and matrix peak.

    Args:
        sizes: `TransformerSizes`.
        checkout: Folder of nanoGPT, or None.
        effort: `contest.Effort`.
    """
    name = (
        f"generating, transformer {_shape(sizes)}, {sizes.tokens} tokens after a prompt of "
        f"{sizes.prompt}, batch {sizes.batch}, float32, temperature 1"
    )
    smaller = SMALLER_SINGLE if sizes.batch == 1 else SMALLER
    smaller = {variant(way): dtypes for way, dtypes in smaller.items()}
    jobs = {
        OURS: ("generate", sizes),
        **{contestant: ("generate", sizes, *dtypes) for contestant, dtypes in smaller.items()},
        TRANSFORMERS: ("generate", sizes, effort.seconds / 3),
        # Without a cache, so many texts would take it minutes.
        **({NANOGPT: ("generate", sizes, checkout)} if sizes.batch == 1 else {}),
        READ: ("read", effort.array_mib),
        READ_ONE: ("read", effort.array_mib),
        PRODUCT: ("matrix_product", effort.matrix),
    }
    figure, values = _compare(name, "chars/s", jobs, checkout, effort)
    kept = {OURS: "float32", TRANSFORMERS: "float32"}
    kept.update({contestant: weights for contestant, (weights, _) in smaller.items()})
    read = {
        contestant: sizes.bytes_read(weights) / sizes.batch for contestant, weights in kept.items()
    }
    flops = dict.fromkeys(kept, sizes.generating_flops())
    figure["shares"] = {
        "of the bandwidth": shares(values, read, READ),
        "of one thread's": shares(values, read, READ_ONE),
        "of the peak": shares(values, flops, PRODUCT),
    }
    figure["notes"] += [
        f"weights read for each position: {sizes.bytes_read() / 2**20:.1f} MiB in float32, which "
        f"the shares of the bandwidth count; beside them a text reads "
        f"{sizes.cache_bytes_read() / 2**20:.1f} MiB of keys and values for a token, on average",
        f"products, per token: {sizes.generating_flops() / 1e6:.2f} MFLOP = 2 x "
        f"{sizes.product_weights():,} weights + 4 x {sizes.layers} layers x {sizes.width} wide x "
        f"{sizes.mean_length():.1f} positions",
    ]
    return figure


def drafting(entry, draft, tokens, effort):
    """Characters per second of one text, without and with a smaller model that drafts it.

    Args:
        entry: Name of a zoo entry.
        draft: Name of the entry that drafts.
        tokens: Tokens of a text.
        effort: `contest.Effort`.
    """
    name = f"generating with {entry}, {tokens} tokens, batch 1, drafts of {draft}"
    jobs = {OURS: ("draft", entry, tokens)}
    for count in DRAFT_TOKENS:
        jobs[variant(f"drafts of {count}")] = ("draft", entry, tokens, draft, count)
    return compare(name, "chars/s", jobs, effort)[0]


def first_token(sizes, effort):
    """Seconds until a new process has drawn a token with a new transformer.

    Args:
        sizes: `TransformerSizes`; one text is continued.
        effort: `contest.Effort`.
    """
    sizes = dataclasses.replace(sizes, batch=1)
    name = f"first token, transformer {_shape(sizes)}, prompt of {sizes.prompt}, float32"
    built = {FIRST: [], SECOND: []}
    with tempfile.TemporaryDirectory() as folder:
        rounds = 0

        def start(which):
            nonlocal rounds
            rounds += which == FIRST  # each round begins with an empty folder
            tell(f"{name}: {which}, round {rounds}")
            cache = {XLA_FLAGS: XLA_CACHE.format(f"{folder}/{rounds}")}
            seconds_built, seconds = _call("benchmarks.first_token", cache, "first_token", sizes)
            built[which].append(seconds_built)
            return seconds

        _call("benchmarks.first_token", {}, "first_token", sizes)  # files come in
        waits = {which: (lambda which=which: start(which)) for which in built}
        values = alternate(waits, effort.repeats)
    figure = new_figure(name, "s", values)
    figure["differences"] = {
        "saved by the second start": spread(differences(values[FIRST], values[SECOND])),
        "of the first start, until the model is built": spread(built[FIRST]),
    }
    figure["notes"] = [
        "from the end of `import tensorflow` in a new process to the text; the rest of the "
        "imports, random weights and all compilation included",
        f"the second start finds what XLA compiled for the first one: {XLA_FLAGS}="
        f"{XLA_CACHE.format('FOLDER')!r}",
    ]
    return figure


def reach(text, checkout, target, batches, rounds):
    """Seconds of training until a validation loss is reached.

    Args:
        text: Path of the text.
        checkout: Folder of nanoGPT, or None.
        target: The loss, in nats per character.
        batches: Batches of a validation.
        rounds: How often each is trained.
    """
    name = f"training from nothing to a validation loss of {target:g} nats per character"
    seeds = {OURS: iter(range(rounds)), NANOGPT: iter(range(rounds))}
    arguments = {OURS: (text,), NANOGPT: (text, checkout)}
    results, skipped = {OURS: [], NANOGPT: []}, {}
    if checkout is None:
        skipped[NANOGPT] = NO_CHECKOUT
    elif importlib.util.find_spec("torch") is None:
        skipped[NANOGPT] = f"PyTorch is not installed: {INSTALL}"

    def train(contestant):
        seed = next(seeds[contestant])
        tell(f"{name}: {contestant}, round {seed + 1}")
        answer = _call(
            MODULES[contestant], {}, "reach", *arguments[contestant], target, batches, seed
        )
        results[contestant].append(answer)
        return answer["seconds"]

    races = {
        contestant: (lambda contestant=contestant: train(contestant))
        for contestant in arguments
        if contestant not in skipped
    }
    values = alternate(races, rounds)
    figure = new_figure(name, "s", values)
    figure["skipped"] = skipped
    for contestant in values:
        figure["contestants"][contestant]["results"] = results[contestant]
        figure["contestants"][contestant]["note"] = "; ".join(map(_told, results[contestant]))
    # Where nanoGPT falls short of the target, its time is a lower bound; where tfgen does, there is
    # nothing to compare.
    if NANOGPT in values and all(result["reached"] for result in results[OURS]):
        figure["ratios"] = {NANOGPT: spread(ratios(values[OURS], values[NANOGPT]))}
    figure["notes"] = [
        "wall time with compilation and validations, without imports and reading the text; a "
        "ratio below 1 is in tfgen's favour",
        f"validation: {batches} batches of random crops, the same for both; more crops: the final "
        "weights on ten times as many, off the clock",
    ]
    return figure


def _told(result):
    """A training in a few words."""
    words = "" if result["reached"] else "NOT REACHED: "
    return (
        f"{words}{result['loss']:.3f} after {result['step']:,} steps, {result['control']:.3f} on "
        "more crops"
    )


def _compare(name, unit, jobs, checkout, effort):
    """`contest.compare` without nanoGPT where there is no checkout."""
    without = checkout is None and NANOGPT in jobs
    if without:
        jobs = {contestant: job for contestant, job in jobs.items() if contestant != NANOGPT}
    figure, values = compare(name, unit, jobs, effort)
    if without:
        figure["skipped"][NANOGPT] = NO_CHECKOUT
    return figure, values


def _call(module, environment, function, *arguments):
    """Calls a function in a process of its own."""
    worker = Worker(module, environment)
    try:
        return worker.call(function, *arguments)
    finally:
        worker.stop()


def _shape(sizes):
    return f"{sizes.layers} x {sizes.width}, {sizes.heads} heads"
