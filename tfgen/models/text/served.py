"""`served_functions`: what a model of texts computes wherever it is served."""

from tfgen import export
from tfgen.errors import InputError
from tfgen.models.serving import walking, without_random_operations
from tfgen.models.text.arguments import options_of, tensors_of
from tfgen.models.text.graphs import ARGUMENTS
from tfgen.models.text.served_stream import stream_functions
from tfgen.sampling.random import serving_seed


def served_functions(model, random=True):
    """The functions of a `TextModel`, as `tfgen.export.Function`s.

    Args:
        model: The model.
        random: Whether there are operations for random numbers. Without, `serving_default` takes a
            `seed`, and the same numbers are made of it by operations on integers.

    Raises:
        InputError: Of a tokenizer that runs outside of TensorFlow.
    """
    if not model.tokenizer.in_graph:
        raise InputError(
            f"A SavedModel cannot hold a {type(model.tokenizer).__name__}, which runs outside of "
            "TensorFlow: save the model with save() and serve it from Python"
        )
    graphs = model.latent_texts or model.graphs
    texts = graphs.text_specs()
    prompts = {"prompts": texts["texts"], **texts}
    del prompts["texts"]

    def serve(arguments):
        specs, usual = graphs.generate_specs(), vars(options_of(model.generation, {}))
        defaults = {name: usual[name] for name in usual if name in specs}
        rest = {"num_samples": 1, "strip_prompt": False}
        if "seed" not in arguments:
            rest["seed"] = serving_seed()
        found = graphs.generate(tensors_of(**defaults, **rest, **arguments), True)
        return {"texts": found[:, 0]}

    functions = {
        "serving_default": (serve, prompts if random else {**prompts, "seed": ARGUMENTS["seed"]}),
        "generate": (
            lambda arguments: {"texts": graphs.generate(arguments)},
            graphs.generate_specs(),
        ),
        "score": (graphs.score, texts),
        "encode": (graphs.encode, texts),
    }
    if model.latent_texts is not None:
        functions["decode"] = graphs.decode, graphs.decode_specs()
    found = [export.Function(name, *each) for name, each in functions.items()]
    if model.latent_texts is not None:
        found.append(walking(found[-1]))
    else:
        found += stream_functions(model, random)
    return found if random else without_random_operations(found)
