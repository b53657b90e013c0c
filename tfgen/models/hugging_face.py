"""Models from a local Hugging Face folder: `load_gpt2`, `load_llama` and, whichever it is, `load`.

Of the folder only data is read: JSON and safetensors, no pickle and no code.

This module does not import TensorFlow before a model is asked for.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tfgen.errors import InputError, unknown
from tfgen.models import build
from tfgen.models.hugging_face_folder import Config, Stored, Weights, read_tokenizer
from tfgen.recipe import GenerationConfig, Recipe

# Constructor arguments that change neither a weight's shape nor what the config says.
_FREE = ("attention_dropout", "cache_dtype", "dropout", "seed", "window")


# Llamas, but for a window or some biases.
LLAMAS = ("llama", "mistral", "qwen2")


def load_gpt2(folder, tokenizer=None, **overrides):
    """Returns the GPT-2 of a local Hugging Face folder as a model of text.

    Args:
        folder: Path of a folder with `config.json`, `model.safetensors` (or its shards and their
            index) and `tokenizer.json`, as transformers' `save_pretrained` writes them.
        tokenizer: A `tfgen.preprocessing` tokenizer to use in place of the folder's.
        **overrides: `dropout`, `attention_dropout`, `window`, `cache_dtype`, `seed` of the model,
            and the defaults of its sampling, e.g. `temperature`. Texts end with the token that the
            folder names for it, unless there is a `stop`.

    Returns:
        A `tfgen.models.text.model.TextModel` with float32 weights. Its dropout, which
        only training knows, is that of the config.

    Raises:
        InputError: What the folder lacks, or holds that this library's GPT-2 does not have. Nothing
            is allocated before every tensor's shape is known to fit.

    Example:

        model = load_gpt2("models/gpt2", temperature=0.8)
        print(model.generate("Once upon a time", max_new_tokens=50, seed=7))
    """
    return _load(folder, ("gpt2",), tokenizer, overrides)


def load_llama(folder, tokenizer=None, **overrides):
    """Returns the Llama of a local Hugging Face folder as a model of text.

    As `load_gpt2`; Mistral and Qwen2, which are Llamas with a window and with biases, are opened
    too. Of rotary positions that are stretched for longer texts, the linear way and Llama 3.1's are
    known, and others refused.
    """
    return _load(folder, LLAMAS, tokenizer, overrides)


def load(folder, weights=True, overrides=None):
    """Returns the model of a local Hugging Face folder, whichever of the families it is of.

    Args:
        folder: See `load_gpt2`.
        weights: False gives the same model with new random weights.
        overrides: As the keyword arguments of `load_gpt2`.

    Raises:
        InputError: As `load_gpt2` does.
    """
    return _load(folder, tuple(_FAMILIES), None, overrides or {}, weights)


def read_recipe(folder):
    """Returns the recipe of the model in a Hugging Face folder, from its `config.json` alone.

    Raises:
        InputError: The config is of something that this library does not have.
    """
    config, family = _family(Path(folder), tuple(_FAMILIES))
    return Recipe(
        family="transformer",
        description=f"{config.values['model_type']} of Hugging Face",
        model=family.arguments(config),
    )


class _Family(NamedTuple):
    """How a family calls things.

    Attributes:
        arguments: Function `(config)` to the constructor's arguments.
        weights: Function `(config, vocabulary, **arguments)` to the tensors of each weight.
    """

    arguments: Callable
    weights: Callable


def _family(folder, allowed):
    """Returns `(config, family)` of a folder."""
    config = Config(folder / "config.json")
    config.only("model_type", *allowed, default=allowed[0] if allowed != tuple(_FAMILIES) else "")
    config.only("quantization_config", None)
    return config, _FAMILIES[config.values.get("model_type") or allowed[0]]


def _load(folder, allowed, tokenizer, overrides, with_weights=True):
    folder = Path(folder)
    sampling = {field.name for field in dataclasses.fields(GenerationConfig)}
    for key in overrides:
        if key not in _FREE and key not in sampling:
            raise unknown("override", key, [*_FREE, *sampling])
    changes = {
        f"generation.{key}" if key in sampling else f"model.{key}": value
        for key, value in overrides.items()
    }
    config, family = _family(folder, allowed)
    arguments, vocabulary = family.arguments(config), config.whole("vocab_size")

    def stored():
        return family.weights(config, vocabulary, **arguments)

    with Weights(folder) as weights:
        weights.check(stored(), arguments["tie_embeddings"])
        ends = ()
        if tokenizer is None:
            tokenizer, ends = read_tokenizer(folder, config, vocabulary)
        elif tokenizer.vocabulary_size != vocabulary:
            raise InputError(
                f"{config.path} has a vocabulary of {vocabulary}. "
                f"Received: tokenizer of {tokenizer.vocabulary_size}"
            )
        recipe = Recipe(family="transformer", model=arguments)
        recipe = recipe.override({"generation.stop": ends, **changes})
        try:
            model = build(recipe, tokenizer)
        except InputError as error:
            raise InputError(f"{config.path}: {error}") from error
        for path, tensors in stored() if with_weights else ():
            _weight(model, path).assign(weights.read(tensors))
    return model


# What the two families call their arguments.


def _gpt2_arguments(config):
    config.only("activation_function", "gelu_new", "gelu_pytorch_tanh")
    config.only("scale_attn_weights", True)
    config.only("scale_attn_by_inverse_layer_idx", False)
    config.only("add_cross_attention", False)
    width, heads = config.whole("n_embd"), config.whole("n_head")
    return {
        "layers": config.whole("n_layer"),
        "heads": heads,
        "kv_heads": heads,
        "width": width,
        "head_width": config.quotient("n_embd", "n_head"),
        "mlp": "gelu",
        "mlp_width": config.whole("n_inner", 4 * width),
        "norm": "layer",
        "norm_epsilon": config.number("layer_norm_epsilon", 1e-5),
        "positions": "learned",
        "max_length": config.whole("n_positions"),
        "dropout": config.number("resid_pdrop", 0.1),
        "attention_dropout": config.number("attn_pdrop", 0.1),
        "tie_embeddings": config.flag("tie_word_embeddings", True),
        "bias": True,
    }


def llama_arguments(config):
    config.only("hidden_act", "silu")
    heads = config.whole("num_attention_heads")
    if config.values.get("head_dim") is not None:
        head_width = config.whole("head_dim")
    else:
        head_width = config.quotient("hidden_size", "num_attention_heads")
    base, scaling = _rotary(config)
    arguments = {
        "layers": config.whole("num_hidden_layers"),
        "heads": heads,
        "kv_heads": config.whole("num_key_value_heads", heads),
        "width": config.whole("hidden_size"),
        "head_width": head_width,
        "mlp": "swiglu",
        "mlp_width": config.whole("intermediate_size"),
        "norm": "rms",
        "norm_epsilon": config.number("rms_norm_eps", 1e-6),
        "positions": "rotary",
        "rotary_base": base,
        "window": _window(config),
        "attention_dropout": config.number("attention_dropout", 0.0),
        "tie_embeddings": config.flag("tie_word_embeddings", False),
        # All products have biases or none: those that the file lacks stay zero.
        "bias": bool(_biased(config)),
    }
    return arguments if scaling is None else {**arguments, "rotary_scaling": scaling}


def _biased(config):
    """The products that have biases, by the names of their tensors."""
    if config.values.get("model_type") == "qwen2":
        return {f"self_attn.{name}_proj" for name in "qkv"}
    found = set()
    if config.flag("attention_bias", False):
        found |= {f"self_attn.{name}_proj" for name in "qkvo"}
    if config.flag("mlp_bias", False):
        found |= {f"mlp.{name}_proj" for name in ("gate", "up", "down")}
    return found


def _window(config):
    """How many positions each one attends to; 0 is all."""
    kind = config.values.get("model_type")
    if kind == "mistral":
        # Null is none; a file that does not say has the default of its class.
        if config.values.get("sliding_window", 4096) is None:
            return 0
        return config.whole("sliding_window", 4096)
    config.only("use_sliding_window", False)
    for layer in config.values.get("layer_types") or ():
        Config(config.path, {"layer_types": layer}).only("layer_types", "full_attention")
    return 0


def _rotary(config):
    """The base of rotary positions and their stretching, which newer configs keep in
    `rope_parameters`."""
    found, kind = dict(config.values), "default"
    for key in ("rope_scaling", "rope_parameters"):
        rope = config.section(key)
        # Older files call it "type".
        named = rope.values.get("rope_type", rope.values.get("type"))
        checked = Config(rope.path, {"rope_type": named})
        checked.only("rope_type", "default", "linear", "llama3")
        kind = kind if named in (None, "default") else named
        found.update(rope.values)
    rope = Config(config.path, found)
    rope.only("partial_rotary_factor", 1)
    scaling = {
        "default": [],
        "linear": ["factor"],
        "llama3": [
            "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"
        ],
    }[kind]  # fmt: skip
    numbers = [rope.number(name, None) for name in scaling]
    return rope.number("rope_theta", 10000.0), numbers or None


# What the two families call their weights: for each of ours the tensors that it is made of.


def _gpt2_weights(config, vocabulary, layers, width, mlp_width, max_length, tie_embeddings, **_):
    def pair(weight, bias, name, *shape):
        yield weight, [Stored(f"{name}.weight", shape)]
        yield bias, [Stored(f"{name}.bias", shape[-1:])]

    def norm(ours, name):
        return pair(f"{ours}.gamma", f"{ours}.beta", name, width)

    yield (
        "emission.token_embedding.embeddings",
        [Stored("transformer.wte.weight", (vocabulary, width))],
    )
    yield (
        "network.position_embedding.embeddings",
        [Stored("transformer.wpe.weight", (max_length, width))],
    )
    for index in range(layers):
        ours, name = f"network.blocks.{index}", f"transformer.h.{index}"
        # Conv1D, the class of these products, stores them as (in, out).
        products = {
            "attention.qkv": ("attn.c_attn", width, 3 * width),
            "attention.output": ("attn.c_proj", width, width),
            "mlp.input": ("mlp.c_fc", width, mlp_width),
            "mlp.output": ("mlp.c_proj", mlp_width, width),
        }
        yield from norm(f"{ours}.attention_norm", f"{name}.ln_1")
        yield from norm(f"{ours}.mlp_norm", f"{name}.ln_2")
        for product, (theirs, *shape) in products.items():
            kernel, bias = f"{ours}.{product}_kernel", f"{ours}.{product}_bias"
            yield from pair(kernel, bias, f"{name}.{theirs}", *shape)
    yield from norm("network.final_norm", "transformer.ln_f")
    if not tie_embeddings:
        yield "emission.head.kernel", [Stored("lm_head.weight", (vocabulary, width), True)]


def llama_weights(
    config,
    vocabulary,
    layers,
    width,
    mlp_width,
    heads,
    kv_heads,
    head_width,
    tie_embeddings,
    **_,
):
    biased = _biased(config)
    inner, kv_inner = heads * head_width, kv_heads * head_width
    yield (
        "emission.token_embedding.embeddings",
        [Stored("model.embed_tokens.weight", (vocabulary, width))],
    )
    for index in range(layers):
        ours, name = f"network.blocks.{index}", f"model.layers.{index}"
        products = {
            "attention.qkv": (
                width,
                {
                    "self_attn.q_proj": inner,
                    "self_attn.k_proj": kv_inner,
                    "self_attn.v_proj": kv_inner,
                },
            ),
            "attention.output": (inner, {"self_attn.o_proj": width}),
            "mlp.input": (width, {"mlp.gate_proj": mlp_width, "mlp.up_proj": mlp_width}),
            "mlp.output": (mlp_width, {"mlp.down_proj": width}),
        }
        norms = {"attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm"}
        for norm, theirs in norms.items():
            yield f"{ours}.{norm}.scale", [Stored(f"{name}.{theirs}.weight", (width,))]
        for product, (inputs, outputs) in products.items():
            yield (
                f"{ours}.{product}_kernel",
                [Stored(f"{name}.{k}.weight", (n, inputs), True) for k, n in outputs.items()],
            )
            if biased >= outputs.keys():
                tensors = [Stored(f"{name}.{k}.bias", (n,)) for k, n in outputs.items()]
                yield f"{ours}.{product}_bias", tensors
    yield "network.final_norm.scale", [Stored("model.norm.weight", (width,))]
    if not tie_embeddings:
        yield "emission.head.kernel", [Stored("lm_head.weight", (vocabulary, width), True)]


_FAMILIES = {
    "gpt2": _Family(_gpt2_arguments, _gpt2_weights),
    **dict.fromkeys(LLAMAS, _Family(llama_arguments, llama_weights)),
}


def _weight(model, path):
    """The variable at a path such as `"network.blocks.0.attention.qkv_kernel"`."""
    found = model.engine
    for name in path.split("."):
        found = found[int(name)] if name.isdigit() else getattr(found, name)
    return found
