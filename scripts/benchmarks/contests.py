"""The table of contests: for each section who is measured against whom, in which unit, on what.

`SECTIONS` has, by name, the function of the command line's options that yields the section's
contests, and what stands in the help.
"""

import dataclasses
import tempfile

from benchmarks import forecast as forecasts
from benchmarks import trainer as looped
from benchmarks.runner import OURS, PRODUCT, PYTORCH_PRODUCT, READ, Contest
from benchmarks.sizes import GATES, DiffusionSizes, NumbersSizes, TextSizes, TransformerSizes
from benchmarks.workers import XLA_CACHE, call

PYTORCH, KERAS, NANOGPT, TRANSFORMERS = "PyTorch", "Keras", "nanoGPT", "transformers"
LUCIDRAINS, DIFFUSERS = "denoising-diffusion-pytorch", "diffusers"
INSTALL = {name: f"pip install {name}" for name in (LUCIDRAINS, DIFFUSERS)}
NO_CHECKOUT = {NANOGPT: "give the folder of a checkout: --nanogpt PATH"}
TRANSFORMER = "transformer"
MODELS = (*GATES, TRANSFORMER)
RECURRENT = {OURS: "peer_tfgen", PYTORCH: "peer_pytorch", KERAS: "peer_keras"}
ENTRY, FORECASTER = "lstm-shakespeare", "gru-weather"
DRAFTING = "transformer-shakespeare", ENTRY
DRAFT_TOKENS = (2, 4, 6)  # that a draft model proposes at a time
MIXED = ("lstm-shakespeare", "gru-weather", "transformer-shakespeare", "unet1d-pendigits")
PRECISIONS = ("mixed_bfloat16", "mixed_float16")
# Weights and cache of tfgen where they are smaller: of a single text, of which reading the weights
# takes the time, and of many.
SMALLER = ("int8", ("int8", "float32")), ("bfloat16 cache", ("float32", "bfloat16"))


def train(options):
    """tokens/s of training: tfgen and its peers, and the share of the matrix peak"""
    contests = [
        (f"{sizes}, windows of {sizes.window}, Adam", sizes, _jobs(RECURRENT, "train", sizes), {})
        for sizes in texts(options, options.embedding, [options.batch])
    ]
    for sizes in transformers(options, options.transformer):
        nanogpt, skipped = _nanogpt(options, "train", sizes)
        jobs = {OURS: ("peer_tfgen.train", sizes), **nanogpt}
        contests.append((f"{sizes}, AdamW", sizes, jobs, skipped))
    products = _jobs({PRODUCT: "peer_tfgen", PYTORCH_PRODUCT: "peer_pytorch"},
                     "matrix_product", options.matrix)  # fmt: skip
    for name, sizes, jobs, skipped in contests:
        notes = (f"products, per token: {sizes.training_flops() / 1e6:.2f} MFLOP",)
        shares = {"of the peak": (PRODUCT, sizes.training_flops())}
        jobs = jobs | products
        yield Contest(f"training, {name}", "tokens/s", jobs, shares, notes, skipped=skipped)


def generate(options):
    """characters/s of generating, for one text and for many, and the share of the bandwidth"""
    contests = [
        (f"{sizes}", sizes, _jobs(RECURRENT, "generate", sizes), {})
        for sizes in texts(options, options.embedding[:1], (1, options.batch))
    ]
    peers = {OURS: "peer_tfgen", TRANSFORMERS: "peer_transformers"}
    for batch in (1, options.batch):
        for sizes in transformers(options, options.transformer[-1:], batch=batch):
            # Without a cache, so many texts would take nanoGPT minutes.
            nanogpt, skipped = _nanogpt(options, "generate", sizes) if batch == 1 else ({}, {})
            way, dtypes = SMALLER[batch > 1]
            jobs = _jobs(peers, "generate", sizes) | nanogpt
            jobs[f"{OURS}, {way}"] = ("peer_tfgen.generate", sizes, *dtypes)
            name = f"{sizes}, {sizes.tokens} tokens after a prompt of {sizes.prompt}"
            contests.append((name, sizes, jobs, skipped))
    ceilings = {
        PRODUCT: ("peer_tfgen.matrix_product", options.matrix),
        READ: ("peer_tfgen.read", options.array_mib),
    }
    for name, sizes, jobs, skipped in contests:
        read = 4 * sizes.read_weights()
        shares = {
            "of the bandwidth": (READ, {OURS: read / sizes.batch}),
            "of the peak": (PRODUCT, {OURS: sizes.generating_flops()}),
        }
        notes = (
            f"tfgen reads {read / 2**20:.1f} MiB of weights for each position; where they fit into "
            "the L3 cache, the bandwidth of the memory is no bound",
        )
        name, jobs = f"generating, {name}, temperature 1", jobs | ceilings
        yield Contest(name, "chars/s", jobs, shares, notes, skipped=skipped)


def draft(options):
    """characters/s of one text by the transformer of the zoo, which its LSTM drafts"""
    entry, drafting = DRAFTING
    tokens = options.tokens or 240
    job = ("peer_tfgen.draft", entry, tokens)
    proposals = {f"{OURS}, {count} at a time": (*job, drafting, count) for count in DRAFT_TOKENS}
    name = f"generating with {entry}, {tokens} tokens, batch 1, drafts of {drafting}"
    yield Contest(name, "chars/s", {OURS: job, **proposals})


def rollout(options):
    """steps/s of sampling sequences of numbers, for one and for many"""
    peers = {OURS: "peer_tfgen", PYTORCH: "peer_pytorch"}
    for cell in (model for model in options.model if model in GATES):
        for shape in options.numbers:
            for batch in (1, options.rows or 64):
                sizes = NumbersSizes(cell, *shape, batch, options.steps or 512)
                jobs = _jobs(peers, "rollout", sizes)
                notes = ("a step is one position of one sequence",)
                yield Contest(f"sampling numbers, {sizes}", "steps/s", jobs, notes=notes)


def unet(options):
    """steps/s of training a diffusion model, and sequences/s of sampling from it"""
    attention = not options.no_attention
    sizes = DiffusionSizes(
        options.width, length=options.length, batch=options.batch, attention=attention
    )
    sampled = dataclasses.replace(sizes, batch=options.rows or 16, steps=options.steps or 50)
    # Networks differ in kind; what the peers have in common with tfgen's is the number of weights.
    parameters = call("peer_tfgen.parameters", sizes)
    peers = {LUCIDRAINS: "peer_lucidrains"} if attention else {}
    peers[DIFFUSERS] = "peer_diffusers"
    for function, each, name, unit in (
        ("train", sizes, f"training, {sizes}", "steps/s"),
        ("sample", sampled, f"sampling, {sampled}, {sampled.steps} DDIM steps", "sequences/s"),
    ):
        ours = _jobs({OURS: "peer_tfgen"}, function, each)
        yield Contest(name, unit, ours | _jobs(peers, function, each, parameters), install=INSTALL)


def trainer(options):
    """ms of a step alone, in the Trainer, and with all that TensorBoard is told"""
    for family in options.families:
        yield Contest(
            f"the Trainer, {family}, {looped.PERIOD} steps a round",
            "ms/step",
            {
                OURS: ("trainer.step", family),
                f"{OURS}, Trainer": ("trainer.loop", family, False),
                f"{OURS}, TensorBoard": ("trainer.loop", family, True),
            },
            turns=looped.PERIOD // looped.TURN,
            seconds=0.0,
            notes=looped.NOTES,
        )


def precision(options):
    """steps/s of training entries of the zoo in float32, bfloat16 and float16"""
    for entry in options.entries:
        contestants = {OURS: ("peer_tfgen.train_recipe", entry)}
        contestants |= {f"{OURS}, {p}": ("peer_tfgen.train_recipe", entry, p) for p in PRECISIONS}
        name = f"training in mixed precision, the recipe of {entry}"
        notes = ("tfgen by itself is float32; batches are in memory",)
        yield Contest(name, "steps/s", contestants, notes=notes)


def forecast(options):
    """mean CRPS of forecasts of what was held out; trains a peer, which takes minutes"""
    entry = options.entry or FORECASTER
    task = forecasts.task_of(entry, options.context, options.horizon)
    yield forecasts.measure(entry, task, options.samples, options.epochs, options.seeds)


def first(options):
    """seconds from `import tensorflow` to the first token of a new transformer"""
    for sizes in transformers(options, options.transformer[-1:], always=True, batch=1, tokens=1):
        with tempfile.TemporaryDirectory() as folder:
            job = ("workers.first_call", folder, "peer_tfgen.generate", sizes)
            yield Contest(
                f"first token, {sizes}, prompt of {sizes.prompt}",
                "s",
                {OURS: job, f"{OURS}, second start": job},
                warm=True,  # files come in
                notes=(
                    "from the end of `import tensorflow` in a new process to the text; the second "
                    f"start finds what XLA compiled: TF_XLA_FLAGS={XLA_CACHE.format('FOLDER')!r}",
                ),
            )


def reach(options):
    """seconds of training to nanoGPT's validation loss; a round takes minutes"""
    settings = options.target, options.eval_batches
    nanogpt, skipped = _nanogpt(options, "reach", options.text, after=settings)
    yield Contest(
        f"training from nothing to a validation loss of {options.target:g} nats per character",
        "s",
        {OURS: ("peer_tfgen.reach", options.text, *settings), **nanogpt},
        skipped=skipped,
        rounds=options.reach_repeats,
        notes=(
            "with compilation and validations, without imports; below 1 is in tfgen's favour, and "
            "where nanoGPT falls short of the target, its time is a lower bound",
            f"validation: {options.eval_batches} batches of random crops, the same for both; more "
            "crops: the final weights on ten times as many, off the clock",
        ),
    )


_ALL = train, trainer, precision, generate, draft, rollout, unet, forecast, first, reach
SECTIONS = {section.__name__: section for section in _ALL}
LONG = ("trainer", "precision", "reach", "forecast")  # only when they are asked for


def texts(options, embeddings, batches):
    """The `TextSizes` of the recurrent models that are asked for."""
    for cell in (model for model in options.model if model in GATES):
        for embedding in embeddings:
            for batch in batches:
                tokens = options.tokens or 512
                yield TextSizes(
                    cell, options.units, options.layers, embedding, options.window, batch, tokens
                )


def transformers(options, shapes, always=False, **changes):
    """The `TransformerSizes` of shapes, if transformers are asked for."""
    names = ("layers", "heads", "width", "window", "batch")
    for shape in shapes if always or TRANSFORMER in options.model else ():
        sizes = dict(zip(names, shape, strict=True))
        yield TransformerSizes(**{**sizes, "tokens": options.tokens or 240, **changes})


def _jobs(modules, function, *arguments):
    return {name: (f"{module}.{function}", *arguments) for name, module in modules.items()}


def _nanogpt(options, function, *arguments, after=()):
    if options.nanogpt is None:
        return {}, NO_CHECKOUT
    return {NANOGPT: (f"peer_nanogpt.{function}", *arguments, options.nanogpt, *after)}, {}
