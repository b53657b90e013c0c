"""An exported model through TensorFlow's C API, as a server that knows no Python would run it."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfgen.models import make as new_model
from tfgen.models.text.graphs import ARGUMENTS
from tfgen.preprocessing import CharacterTokenizer

SOURCE = Path(__file__).with_name("c_client.c")
LIBRARIES = Path(tf.__file__).parent
PROMPTS = ["a", "", "abc é\nZürich ❤"]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (gcc or cc) to compile the client with")
    wanted = [LIBRARIES / f"libtensorflow_{name}.so.2" for name in ("cc", "framework")]
    if not all(path.is_file() for path in wanted):
        pytest.skip(f"TensorFlow's shared libraries are not in {LIBRARIES}")
    program = tmp_path_factory.mktemp("c") / "c_client"
    command = [compiler, "-std=c99", "-Wall", "-Werror", f"-I{tf.sysconfig.get_include()}", SOURCE]
    command += [*wanted, f"-Wl,-rpath,{LIBRARIES}", "-o", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.long
def test_the_c_api_writes_the_live_models_texts(client, tmp_path):
    model = new_model(
        "lstm",
        tokenizer=CharacterTokenizer("\n abcé"),
        units=8,
        layers=2,
        layer_norm=True,
        attention=3,
        seed=1,
    )
    model.engine.emission.head.kernel.assign(
        np.random.default_rng(0).normal(size=model.engine.emission.head.kernel.shape) * 4
    )
    folder = tmp_path / "model" / "1"
    model.export(folder)

    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    signature = saved.meta_graphs[0].signature_def["generate"]
    names = [signature.outputs["texts"].name, *(signature.inputs[name].name for name in ARGUMENTS)]
    # Without the variables of this process: the client needs its own libraries only.
    done = subprocess.run(
        [client, folder, *names, *PROMPTS], capture_output=True, env={"TF_CPP_MIN_LOG_LEVEL": "1"}
    )
    assert done.returncode == 0, os.fsdecode(done.stderr)
    texts = done.stdout.decode().split("\0")[:-1]
    live = model.generate(
        PROMPTS, 30, 0.9, 5, 0.95, 0.01, 1.1, stop=["b\n", "cc"], num_samples=2, seed=5
    )
    assert texts == [text for row in live for text in row]
    assert len(set(texts)) > 3
