"""Run by test_devices.py in a process with two logical CPUs: prints how far two devices are from one."""

import contextlib
import json
import sys
import tempfile
import warnings
from pathlib import Path

import ml_dtypes
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

from tests import event_files  # noqa: E402
from tests.eager import eagerly  # noqa: E402
from tests.training.combinations import (  # noqa: E402
    UNWATCHED,
    expected_tags,
    settings,
    write_data,
)
from tfgen import models  # noqa: E402
from tfgen.recipe import Recipe  # noqa: E402
from tfgen.training import train  # noqa: E402
from tfgen.training.checkpoints import Checkpoints  # noqa: E402
from tfgen.training.data import open_data  # noqa: E402
from tfgen.training.devices import open_devices  # noqa: E402


def trained(recipe, logdir, strategy):
    """Arrays and record of the last checkpoint."""
    train(recipe, logdir, progress=False, strategy=strategy)
    return Checkpoints(logdir / "checkpoints").latest()


def apart(one, other):
    """The largest difference of two dicts of arrays."""
    assert one.keys() == other.keys()
    pairs = [(numbers(one[name]), numbers(other[name])) for name in one]
    return max(float(np.abs(a - b).max()) for a, b in pairs if a.size)


def numbers(array):
    """float64 of an array; a cache keeps bfloat16 as its bits."""
    array = array.view(ml_dtypes.bfloat16) if array.dtype == np.uint16 else array
    return array.astype(np.float64)


def part(arrays, *names):
    return {k: v for k, v in arrays.items() if k.partition("/")[0] in names}


def compare(recipe, kind, folder, compiled):
    data = open_data(recipe)
    model = models.build(recipe, data.preprocessing)
    type(model).jit_compile_training = compiled
    first = {f"model/{weight.path}": weight.numpy() for weight in model.weights}
    watched = bool(recipe.training.sample_every)
    # Op by op, a few steps are sooner taken than compiled.
    with contextlib.nullcontext() if watched else eagerly():
        one, record = trained(recipe.override(UNWATCHED), folder / "one", "one")
    two, other = trained(recipe, folder / "mirrored", "mirrored")
    weights = {k: v for k, v in part(one, "model").items() if k in first}
    logs = folder / "mirrored" / "logs"
    tags = event_files.open_events(logs / "train").Tags()
    tags = [*tags["tensors"], *(["graph"] if tags["graph"] else [])]
    wanted = [*expected_tags(kind, recipe.family != "gan"), "graph"]
    # The rows held out of the small table are fewer than the Projector's pieces are long.
    folders = ("profile",) if kind == "series" else ("projector", "profile")
    return {
        "devices": open_devices("mirrored").count,
        "moved": apart({k: first[k] for k in weights}, weights),
        "apart": apart(part(one, "model", "best", "state"), part(two, "model", "best", "state")),
        "losses_apart": abs(record["best"]["loss"] - other["best"]["loss"]),
        "tags_missing": [
            *(tag for tag in wanted if watched and not any(each.startswith(tag) for each in tags)),
            *(name for name in folders if watched and not any(logs.rglob(f"{name}/*"))),
        ],
    }


def main():
    warnings.filterwarnings("error", message="TensorBoard goes without")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_data(folder)
        for name, (family, kind, changes) in json.loads(sys.argv[1]).items():
            recipe = Recipe(family).override(settings(family, kind, folder, **changes))
            found[name] = compare(recipe, kind, folder / name, compiled="compiled" in name)
            print(name, found[name], file=sys.stderr, flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
