"""The table of contests: in each section who is measured against whom, doing what, in which unit.

`SECTIONS` has, by name, the function of the command line's options that yields the section's
contests, a row for each, and whose first line stands in the help.
"""

import tempfile
from itertools import product

from benchmarks import forecast as forecasts
from benchmarks import trainer as looped
from benchmarks.reach import Goal
from benchmarks.runner import OURS, PRODUCT, PYTORCH_PRODUCT, READ, Contest
from benchmarks.sizes import GATES, DiffusionSizes, NumbersSizes, TextSizes, TransformerSizes
from benchmarks.workers import XLA_CACHE, call

PYTORCH, KERAS, NANOGPT, TRANSFORMERS = "PyTorch", "Keras", "nanoGPT", "transformers"
LUCIDRAINS, DIFFUSERS = "denoising-diffusion-pytorch", "diffusers"
MODULES = {
    OURS: "peer_tfgen", PYTORCH: "peer_pytorch", KERAS: "peer_keras", NANOGPT: "peer_nanogpt",
    TRANSFORMERS: "peer_transformers", LUCIDRAINS: "peer_lucidrains", DIFFUSERS: "peer_diffusers",
}  # fmt: skip
MODELS = (*GATES, "transformer")
FORECASTER, DRAFTING = "gru-weather", ("transformer-shakespeare", "lstm-shakespeare")
MIXED = ("lstm-shakespeare", "gru-weather", "transformer-shakespeare", "unet1d-pendigits")


def row(name, unit, function, model, *peers, ways=(), ceilings=(), **more):
    """A `Contest` of tfgen and `peers`: each module's function is called with the model.

    `ways` are other ways to run tfgen, with the further arguments that the function gets.
    """
    jobs = {each: (f"{MODULES[each]}.{function}", model) for each in (OURS, *peers)}
    jobs |= {f"{OURS}, {way}": (*jobs[OURS], *given) for way, given in dict(ways).items()}
    return Contest(name, unit, jobs | dict(ceilings), **more)


def train(options):
    """tokens/s of training: tfgen and its peers, and the share of the matrix peak"""
    products = {
        name: (f"{MODULES[peer]}.matrix_product", options.matrix)
        for name, peer in ((PRODUCT, OURS), (PYTORCH_PRODUCT, PYTORCH))
    }

    def costs(sizes):
        flops = sizes.training_flops()
        notes = (f"products, per token: {flops / 1e6:.2f} MFLOP",)
        return {"ceilings": products, "shares": {"of the peak": (PRODUCT, flops)}, "notes": notes}

    for sizes in texts(options, options.embedding, [options.batch]):
        name = f"training, {sizes}, windows of {sizes.window}, Adam"
        yield row(name, "tokens/s", "train", sizes, PYTORCH, KERAS, **costs(sizes))
    for sizes in transformers(options, options.transformer):
        yield row(f"training, {sizes}, AdamW", "tokens/s", "train", sizes, NANOGPT, **costs(sizes))


def trainer(options):
    """ms of a step alone, in the Trainer, and with all that TensorBoard is told"""
    for family in options.families:
        name = f"the Trainer, {family}, {looped.PERIOD} steps a round"
        yield row(
            name, "ms/step", "trainer", family,
            ways={"Trainer": (False,), "TensorBoard": (True,)},
            turns=looped.PERIOD // looped.TURN, seconds=0.0, notes=looped.NOTES,
        )  # fmt: skip


def precision(options):
    """steps/s of training entries of the zoo in float32, bfloat16 and float16"""
    for entry in options.entries:
        name = f"training in mixed precision, the recipe of {entry}"
        yield row(
            name, "steps/s", "train_recipe", entry,
            ways={each: (each,) for each in ("mixed_bfloat16", "mixed_float16")},
            notes=("tfgen by itself is float32; batches are in memory",),
        )  # fmt: skip


def generate(options):
    """characters/s of generating, for one text and for many, and the share of the bandwidth"""
    ceilings = {
        PRODUCT: ("peer_tfgen.matrix_product", options.matrix),
        READ: ("peer_tfgen.read", options.array_mib),
    }

    def costs(sizes):
        read, flops = 4 * sizes.read_weights(), sizes.generating_flops()
        note = (
            f"tfgen reads {read / 2**20:.1f} MiB of weights for each position; where they fit into "
            "the L3 cache, the bandwidth of the memory is no bound"
        )
        shares = {"of the bandwidth": (READ, {OURS: read / sizes.batch})}
        shares["of the peak"] = PRODUCT, {OURS: flops}
        return {"ceilings": ceilings, "shares": shares, "notes": (note,)}

    for sizes in texts(options, options.embedding[:1], (1, options.batch)):
        name = f"generating, {sizes}, temperature 1"
        yield row(name, "chars/s", "generate", sizes, PYTORCH, KERAS, **costs(sizes))
    # Weights and cache of tfgen are smaller, too: of a single text, of which reading the weights
    # takes the time, and of many. nanoGPT has no cache, and so many texts would take it minutes.
    for batch, peers, ways in (
        (1, [TRANSFORMERS, NANOGPT], {"int8": ("int8", "float32")}),
        (options.batch, [TRANSFORMERS], {"bfloat16 cache": ("float32", "bfloat16")}),
    ):
        for sizes in transformers(options, options.transformer[-1:], batch=batch):
            asked = f"{sizes.tokens} tokens after a prompt of {sizes.prompt}"
            name = f"generating, {sizes}, {asked}, temperature 1"
            yield row(name, "chars/s", "generate", sizes, *peers, ways=ways, **costs(sizes))


def draft(options):
    """characters/s of one text by the transformer of the zoo, which its LSTM drafts"""
    entry, drafting = DRAFTING
    tokens = options.tokens or 240
    name = f"generating with {entry}, {tokens} tokens, batch 1, drafts of {drafting}"
    ways = {f"{count} at a time": (drafting, count) for count in (2, 4, 6)}
    yield row(name, "chars/s", "draft", (entry, tokens), ways=ways)


def rollout(options):
    """steps/s of sampling sequences of numbers, for one and for many"""
    notes = ("a step is one position of one sequence",)
    batches = (1, options.rows or 64)
    for cell, shape, batch in product(cells(options), options.numbers, batches):
        sizes = NumbersSizes(cell, *shape, batch, options.steps or 512)
        name = f"sampling numbers, {sizes}"
        yield row(name, "steps/s", "rollout", sizes, PYTORCH, notes=notes)


def unet(options):
    """steps/s of training a diffusion model, and sequences/s of sampling from it"""
    own = {"width": options.width, "length": options.length, "attention": not options.no_attention}
    # Networks differ in kind; what the peers have in common with tfgen's is the number of weights.
    own["parameters"] = call("peer_tfgen.parameters", DiffusionSizes(**own))
    sizes = DiffusionSizes(**own, batch=options.batch)
    yield row(f"training, {sizes}", "steps/s", "train", sizes, LUCIDRAINS, DIFFUSERS)
    sizes = DiffusionSizes(**own, batch=options.rows or 16, steps=options.steps or 50)
    name = f"sampling, {sizes}, {sizes.steps} DDIM steps"
    yield row(name, "sequences/s", "sample", sizes, LUCIDRAINS, DIFFUSERS)


def forecast(options):
    """mean CRPS of forecasts of what was held out; trains a peer, which takes minutes"""
    task = forecasts.task_of(options.entry, options.context, options.horizon)
    yield forecasts.measure(options.entry, task, options.samples, options.epochs, options.seeds)


def first(options):
    """seconds from `import tensorflow` to the first token of a new transformer"""
    notes = (
        "from the end of `import tensorflow` in a new process to the text; the second start finds "
        f"what XLA compiled: TF_XLA_FLAGS={XLA_CACHE.format('FOLDER')!r}",
    )
    for sizes in transformers(options, options.transformer[-1:], always=True, batch=1, tokens=1):
        with tempfile.TemporaryDirectory() as folder:
            job = ("workers.first_call", folder, "peer_tfgen.generate", sizes)
            jobs = {OURS: job, f"{OURS}, second start": job}
            name = f"first token, {sizes}, prompt of {sizes.prompt}"
            yield Contest(name, "s", jobs, notes=notes, warm=True)  # files come in


def reach(options):
    """seconds of training to nanoGPT's validation loss; a round takes minutes"""
    goal = Goal(options.text, options.target, options.eval_batches)
    name = f"training from nothing to a validation loss of {goal.loss:g} nats per character"
    notes = (
        "with compilation and validations, without imports; below 1 is in tfgen's favour, and "
        "where nanoGPT falls short of the target, its time is a lower bound",
        f"validation: {goal.batches} batches of random crops, the same for both; more crops: the "
        "final weights on ten times as many, off the clock",
    )
    yield row(name, "s", "reach", goal, NANOGPT, notes=notes)


_ALL = train, trainer, precision, generate, draft, rollout, unet, forecast, first, reach
SECTIONS = {section.__name__: section for section in _ALL}
LONG = ("trainer", "precision", "reach", "forecast")  # only when they are asked for


def cells(options):
    """The recurrent models that are asked for."""
    return [model for model in options.model if model in GATES]


def texts(options, embeddings, batches):
    """The `TextSizes` of the recurrent models that are asked for."""
    own = {"units": options.units, "layers": options.layers, "window": options.window}
    own["tokens"] = options.tokens or 512
    for cell, embedding, batch in product(cells(options), embeddings, batches):
        yield TextSizes(cell, embedding=embedding, batch=batch, **own)


def transformers(options, shapes, always=False, **changes):
    """The `TransformerSizes` of shapes, if transformers are asked for."""
    names = ("layers", "heads", "width", "window", "batch")
    for shape in shapes if always or "transformer" in options.model else ():
        sizes = dict(zip(names, shape, strict=True))
        yield TransformerSizes(**{**sizes, "tokens": options.tokens or 240, **changes})
