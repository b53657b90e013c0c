"""The commands and calls that the command line prints: what may be done with a model, as it
runs."""

import json
import shlex
from pathlib import Path

from tfgen.errors import InputError
from tfgen.kinds import find_kind
from tfgen.models import PROCESSOR
from tfgen.models.files import row_of_kind
from tfgen.zoo.folders import as_argument, data_kind_of

HORIZON = 24  # rows of a forecast, where there are as many
_PROMPT = "PROMPT"
_SOURCE = "SOURCE"
# Positions of a series in a call of a SavedModel.
_POSITIONS = 24
_STEPS = 8  # of a walk through latents


def command_for(recipe, folder, further=()):
    """Returns the command that uses the model of a run, as a person pastes it into a shell.

    A model that cannot draw from nothing, because it is told columns beforehand or numbers of the
    whole series, is told to forecast its own data.

    Args:
        recipe: The run's recipe.
        folder: The run's folder.
        further: Words that the command needs as well, as `--import` and a module.
    """
    return " ".join([_command(recipe, folder), *map(shlex.quote, further)])


def _command(recipe, folder):
    final = Path(folder, "final")
    name = shlex.quote(as_argument(folder))
    kind = find_kind(data_kind_of(final))
    if recipe.data.source is not None:
        what = _SOURCE if recipe.data.source_data is None else "FILE"
        out = "" if kind.modality == "text" else f" --out sample{kind.usual_suffix}"
        return f"tfgen generate {name} --source {what}{out}"
    if kind.name == "events":
        return f"tfgen generate {name} --out sample.mid"
    if kind.modality == "text":
        # A prompt may have more tokens than there are positions.
        short = recipe.model.get("positions") == "learned" and (
            recipe.model.get("max_length", 1024) <= len(_PROMPT)
        )
        return f"tfgen generate {name}" + ("" if short else f" {_PROMPT}")
    config = json.loads((final / PROCESSOR).read_text("utf-8"))["config"]
    if not config.get("known_names") and not config.get("static_names"):
        return f"tfgen generate {name} --out sample{kind.usual_suffix}"
    if row_of_kind(recipe.family, kind.name).engine_kind == "adversarial":
        return f"tfgen evaluate {name} --data {shlex.quote(recipe.data.name)}"
    horizon, to_come = _horizon(recipe, bool(config.get("known_names")))
    return f"tfgen forecast {name} --data {shlex.quote(recipe.data.name)} --horizon {horizon}" + (
        "" if to_come else " --backtest"
    )


def _horizon(recipe, known):
    """Rows to forecast of a recipe's data, and whether these rows are still to come."""
    import dataclasses

    import numpy as np

    from tfgen.data import open_sequences

    most = HORIZON
    if recipe.model.get("positions") == "learned":
        most = min(most, recipe.model.get("max_length", 1024) - 1)
    try:
        sequences = open_sequences(dataclasses.replace(recipe.data, bounds=()))
    except (InputError, OSError):  # moved since
        return most, not known
    rows = [np.flatnonzero(~np.isnan(each).all(axis=1)) for each in sequences.values]
    ends = [int(observed[-1]) + 1 if len(observed) else 0 for observed in rows]
    after = min(len(each) - end for each, end in zip(sequences.values, ends))
    if after or not known:
        return max(1, min(most, after) if known else most), True
    return max(1, min(most, *(end - 1 for end in ends))), False


def served_calls(folder, model):
    """Returns Python that calls each signature of a SavedModel, as it runs.

    Args:
        folder: Where the SavedModel was written.
        model: The model it is of.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    lines = [
        "import tensorflow as tf",
        "",
        f"served = tf.saved_model.load({str(folder)!r}).signatures",
    ]
    path = Path(folder, "saved_model.pb")
    if not path.is_file():  # a person's own family may write something else
        return "\n".join(lines)
    signatures = saved_model_pb2.SavedModel.FromString(path.read_bytes()).meta_graphs[0]
    signatures = signatures.signature_def
    names = sorted(name for name in signatures if not name.startswith("__"))
    examples = _text_examples(model) if hasattr(model, "tokenizer") else _number_examples(model)
    for name in sorted(names, key=lambda name: (name != "serving_default", name)):
        result = "outputs" if name == "serving_default" else name
        inputs = signatures[name].inputs
        arguments = []
        for key in sorted(inputs):
            dtype = tf.dtypes.as_dtype(inputs[key].dtype)
            shape = [max(1, dim.size) for dim in inputs[key].tensor_shape.dim]
            made = f"tf.zeros({shape}, tf.{dtype.name})"
            value = examples.get(f"{name}.{key}", examples.get(key, made))
            arguments.append(f"    {key}={value.replace('DTYPE', f'tf.{dtype.name}')},")
        lines += [f'{result} = served["{name}"](', *arguments, ")"]
        if name == "serving_default":
            lines.append("print(outputs)")
    return "\n".join(lines)


def _constants(values):
    return {name: f"tf.constant({value!r}, DTYPE)" for name, value in values.items()}


def _text_examples(model):
    generation, most = model.generation, model.max_positions or 10**9
    # As much of a prompt as leaves room for a token.
    sizes = {text: len(model.tokenizer.encode(text)) for text in ("Once", "O", "")}
    prompt = next(text for text, size in sizes.items() if size < most or not text)
    names = "temperature", "top_k", "top_p", "min_p", "repetition_penalty"
    vectors = f"tf.zeros([1, 1, {model.engine.emission.condition_width or 1}])"
    sequences = hasattr(model.preprocessing, "source")
    return {
        **_constants({name: getattr(generation, name) for name in names}),
        **_constants(
            {
                "prompts": [prompt],
                "texts": [prompt],
                **({} if sequences else {"source": [_SOURCE]}),
                "source_lengths": [1],
                "max_new_tokens": min(generation.max_new_tokens, most - sizes[prompt]),
                "stop": list(generation.stop),
                "num_samples": 1,
                "seed": 7,
                "strip_prompt": False,
                "guidance_scale": 1.0,
                "steps": _STEPS,
            }
        ),
        "condition": "tf.constant([0])" if model.engine.emission.num_classes else vectors,
        "condition_valid": "tf.constant([[True]])",
    }


def _number_examples(model):
    processor, generation, frame = model.processor, model.generation, model.engine.positions.frame
    most = model.max_positions or 10**9
    time = min(_POSITIONS * frame, most)
    horizon = max(1, min(time, most // 2))
    past = max(1, min(time, most - horizon))
    known = len(processor.known_names)
    whole = hasattr(model.engine, "latent_size")
    channels = 0 if whole else getattr(model.engine.emission, "channels", 0)
    names = "temperature", "bias", "num_steps", "guidance_scale", "resamplings"

    def series(time, known_time):
        times = f"tf.range({time}, dtype=tf.int64)[None] * {round(processor.step or 1)}"
        return {
            "values": f"tf.zeros([1, {time}, {processor.num_features}])",
            "lengths": f"tf.constant([{time}])",
            "times": f"{processor.start_time or 0} + {times}",
            "known": f"tf.zeros([1, {known_time}, {known}])",
        }

    forecast = series(past, past + horizon)
    levels = f"tf.constant({max(2, generation.num_steps)})"  # of what follows the ODE
    return {
        **_constants({name: getattr(generation, name) for name in names}),
        **_constants(
            {
                "num_samples": 2,
                "length": time,
                "seed": 7,
                "horizon": horizon,
                "quantiles": [0.1, 0.5, 0.9],
                "condition": [0],
                "source": [_SOURCE],
                "start_time": [processor.start_time or 0],
                "sigma": [1.0],
                "steps": _STEPS,
                "importance_samples": 1,
            }
        ),
        **series(time, time),
        "static": f"tf.zeros([1, {processor.static_width}])",
        # Those of a whole sequence are of the shape that their signature says.
        **({"latents": f"tf.zeros([1, {-(-time // frame)}, {channels}])"} if channels else {}),
        **{f"{name}.num_steps": levels for name in ("score", "encode", "decode")},
        **{f"{name}.{key}": value for name in ("forecast", "forecast_default")
           for key, value in forecast.items()},
    }  # fmt: skip
