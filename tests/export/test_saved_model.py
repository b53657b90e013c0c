"""The SavedModel, served by TensorFlow alone, against the live model."""

import base64
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfgen import export
from tfgen.errors import InputError
from tfgen.export import Function
from tfgen.models import make as new_model
from tfgen.preprocessing import ByteTokenizer, CharacterTokenizer

PROMPTS = ["", "a", "abc é\nab", "Zürich ❤ \x00!"]
PLAIN = {
    "max_new_tokens": 30, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0,
    "repetition_penalty": 1.0, "stop": [], "num_samples": 1, "seed": 5, "strip_prompt": False,
}  # fmt: skip

# Runs where only TensorFlow is installed: reads cases, calls signatures, writes what they give.
# The cases are batches of four or of one, because each size is compiled.
CLIENT = """
import base64, json, sys
import tensorflow as tf

TYPES = {"top_k": tf.int32, "max_new_tokens": tf.int32, "num_samples": tf.int32, "seed": tf.int64,
         "strip_prompt": tf.bool, "stop": tf.string, "prompts": tf.string, "texts": tf.string}

def tensor(name, value):
    if name in ("prompts", "texts"):
        value = [base64.b64decode(text) for text in value]
    return tf.constant(value, TYPES.get(name, tf.float32))

def plain(value):
    value = value.numpy().tolist()
    flat = lambda x: [flat(y) for y in x] if isinstance(x, list) else (
        base64.b64encode(x).decode() if isinstance(x, bytes) else x)
    return flat(value)

before = set(sys.modules)  # TensorFlow imports a Keras by itself
loaded = {}
for case in json.load(sys.stdin):
    folder, copy, signature, inputs = case
    if (folder, copy) not in loaded:
        loaded[folder, copy] = tf.saved_model.load(folder)
    run = loaded[folder, copy].signatures[signature]
    outputs = run(**{name: tensor(name, value) for name, value in inputs.items()})
    print("RESULT", json.dumps({name: plain(value) for name, value in outputs.items()}))
new = set(sys.modules) - before
print("MODULES", json.dumps([name for name in new if name.partition(".")[0] in ("tfgen", "keras")]))
"""


def make(tokenizer, **options):
    options = {"units": 16, "layers": 2, "layer_norm": True, "attention": 3, "seed": 1, **options}
    model = new_model("lstm", tokenizer=tokenizer, **options)
    kernel = model.engine.emission.head.kernel
    kernel.assign(np.random.default_rng(0).normal(size=kernel.shape) * 2)
    return model


@pytest.fixture(
    scope="module", params=["characters", pytest.param("bytes", marks=pytest.mark.exhaustive)]
)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def served(kind, tmp_path_factory):
    """`(live model, folder of its export)`."""
    folder = tmp_path_factory.mktemp("served") / "1"
    if kind == "characters":
        model = make(
            CharacterTokenizer("\n abcé"),
            generation={"max_new_tokens": 25, "temperature": 0.9, "stop": ["\n\n"]},
        )
    else:
        model = make(ByteTokenizer(), cell="gru", layers=1, generation={"max_new_tokens": 9})
    with pytest.MonkeyPatch.context() as patch:
        # As on a machine with a GPU, where Keras' own loop is that of the fused kernels, and in a
        # program that has set a seed.
        patch.setattr("tfgen.layers.recurrent.has_gpu", lambda: True)
        for layer in (keras.layers.LSTM, keras.layers.GRU):
            patch.setattr(
                layer, "inner_loop", lambda *_, **__: pytest.fail("exported fused kernels")
            )
        tf.random.set_seed(3)
        model.export(folder)
    return model, folder


def encoded(texts):
    texts = [text.encode() if isinstance(text, str) else text for text in texts]
    return [base64.b64encode(text).decode() for text in texts]


def decoded(texts):
    if isinstance(texts, list):
        return [decoded(text) for text in texts]
    return base64.b64decode(texts).decode()  # strictly: what is served is valid UTF-8


GENERATE = {
    "plain": (PROMPTS, {}),
    "one prompt": (PROMPTS[:1], {}),
    "every argument": (
        PROMPTS[1:3],
        {
            "max_new_tokens": 40, "temperature": 0.7, "top_k": 3, "top_p": 0.9, "min_p": 0.05,
            "repetition_penalty": 1.3, "stop": ["é", "ab"], "num_samples": 2, "seed": -(2**62),
            "strip_prompt": True,
        },
    ),
    "greedy": (PROMPTS, {"temperature": 0.0}),
    "no prompts": ([], {}),
}  # fmt: skip
SCORED = ["", "a", "abc é\nab", "Zürich", "ab \n" * 90]
INVALID = [b"\xff\xfe", b"ab\xc3", b"\xed\xa0\x80\x00", b"\x80"]


@pytest.fixture(scope="module")
def answers(served):
    """What a process that has imported TensorFlow alone gets: `{case: outputs}`."""
    folder, cases = str(served[1]), {}
    for name, (prompts, options) in GENERATE.items():
        inputs = {**PLAIN, **options, "prompts": encoded(prompts)}
        cases[name] = folder, 0, "generate", inputs
    for count in (1, len(SCORED)):
        cases[f"score {count}"] = folder, 0, "score", {"texts": encoded(SCORED[:count])}
    for number, copy in enumerate((0, 0, 1)):
        inputs = {"prompts": encoded(PROMPTS)}
        cases[f"default {number}"] = folder, copy, "serving_default", inputs
    cases["invalid"] = folder, 0, "serving_default", {"prompts": encoded(INVALID)}
    cases["invalid score"] = folder, 0, "score", {"texts": encoded(INVALID)}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT], input=json.dumps(list(cases.values())), capture_output=True,
        text=True, cwd=served[1].parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    results = [json.loads(line[7:]) for line in lines if line.startswith("RESULT ")]
    (modules,) = [json.loads(line[8:]) for line in lines if line.startswith("MODULES ")]
    return {**dict(zip(cases, results, strict=True)), "modules": modules}


@pytest.mark.long
@pytest.mark.slow
def test_the_server_needs_tensorflow_alone(answers):
    assert answers["modules"] == []


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATE)
def test_generate_gives_the_live_models_texts(served, answers, name):
    prompts, options = GENERATE[name]
    texts = decoded(answers[name]["texts"])
    arguments = {**PLAIN, **options}
    if not prompts:
        assert texts == []
    elif arguments["num_samples"] == 1:
        assert texts == [[text] for text in served[0].generate(prompts, **arguments)]
    else:
        assert texts == served[0].generate(prompts, **arguments)
        assert [len(row) for row in texts] == [2] * len(prompts)


@pytest.mark.long
@pytest.mark.slow
def test_score_gives_the_live_models_scores(served, answers):
    for count in (1, len(SCORED)):
        live = served[0].score(SCORED[:count])
        scores = answers[f"score {count}"]
        assert set(scores) == set(live)
        for name, value in live.items():
            np.testing.assert_allclose(scores[name], value, rtol=1e-6, err_msg=name)


@pytest.mark.long
@pytest.mark.slow
def test_the_default_signature_continues_prompts_anew_each_time(served, answers, kind):
    texts = [decoded(answers[f"default {number}"]["texts"]) for number in range(3)]
    for row in texts:
        assert all(text.startswith(prompt) for text, prompt in zip(row, PROMPTS, strict=True))
    # Neither a second call nor a second server repeats the first, whatever the exporter's seed.
    assert len(set(map(tuple, texts))) == 3
    if kind == "characters":
        new = [text[len(p) :] for row in texts for text, p in zip(row, PROMPTS)]
        assert max(map(len, new)) <= 25 and not any("\n\n" in text for text in new)


@pytest.mark.long
@pytest.mark.slow
def test_invalid_utf8_is_read_as_replacement_characters(served, answers):
    texts = [base64.b64decode(text) for text in answers["invalid"]["texts"]]
    assert all(text.startswith(prompt) for text, prompt in zip(texts, INVALID))
    replaced = [text.decode("utf-8", "replace") for text in INVALID]
    live = served[0].score(replaced)
    for name, value in live.items():
        np.testing.assert_allclose(answers["invalid score"][name], value, rtol=1e-6)


@pytest.mark.long
def test_weights_are_stored_once_and_apart(served):
    model, folder = served
    assert sorted(p.name for p in (folder / "variables").iterdir()) == [
        "variables.data-00000-of-00001", "variables.index",
    ]  # fmt: skip
    stored = (folder / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert 0 <= stored - 4 * model.count_params() < 4096
    nodes = all_nodes(folder)
    constants = [node.attr["value"].tensor for node in nodes if node.op == "Const"]
    assert max(tensor.ByteSize() for tensor in constants) < 4096
    assert not [node.op for node in nodes if "Cudnn" in node.op or "PyFunc" in node.op]


def all_nodes(folder):
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    return [
        *graph.node,
        *(node for function in graph.library.function for node in function.node_def),
    ]


@pytest.mark.long
def test_signatures_name_their_inputs(served):
    _, folder = served
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    assert {"serving_default", "generate", "score"} <= set(signatures)
    assert list(signatures["serving_default"].inputs) == ["prompts"]
    assert set(signatures["generate"].inputs) == {"prompts", *PLAIN}
    assert list(signatures["score"].inputs) == ["texts"]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["characters"], indirect=True)
def test_saved_model_cli(served, tmp_path):
    model, folder = served
    types = {"seed": "int64", "strip_prompt": "bool"}
    inputs = {"prompts": np.array([text.encode() for text in PROMPTS[1:]])}
    for name, value in PLAIN.items():
        kind = {bool: "bool", int: "int32", float: "float32", list: "S1"}[type(value)]
        inputs[name] = np.array(value, types.get(name, kind))
    np.savez(tmp_path / "inputs.npz", **inputs)
    command = [
        sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run", "--dir", folder,
        "--tag_set", "serve", "--signature_def", "generate", "--outdir", tmp_path / "out",
        "--inputs", ";".join(f"{name}={tmp_path}/inputs.npz[{name}]" for name in inputs),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # NumPy pickles an array of bytes; this one was written a moment ago.
    texts = np.load(tmp_path / "out" / "texts.npy", allow_pickle=True)
    live = model.generate(PROMPTS[1:], **PLAIN)
    assert [text.decode() for text in texts[:, 0]] == live


# Writing


def test_a_person_s_own_format(tmp_path, monkeypatch):
    monkeypatch.setattr(export.functions, "FORMATS", dict(export.FORMATS))
    written = []
    export.register_format("names", lambda *given: written.append(given))
    model = make(CharacterTokenizer("\n ab"), units=4, layers=1)
    model.export(tmp_path / "model", format="names", verbose=True)
    ((functions, path, verbose),) = written
    assert path == tmp_path / "model" and verbose
    own = ["generate", "score", "encode", "stream", "stream_default"]
    assert [each.name for each in functions] == ["serving_default", *own]
    texts = tf.constant(["ab", "a"])
    found = next(each for each in functions if each.name == "score").call({"texts": texts})
    np.testing.assert_allclose(
        found["log_likelihood"], model.score(["ab", "a"])["log_likelihood"], rtol=1e-6
    )
    with pytest.raises(InputError, match="'tf_saved_model' already"):
        export.register_format("tf_saved_model", print)
    with pytest.raises(InputError, match="Unknown format 'onnx'.*names"):
        model.export(tmp_path / "model", format="onnx")


SPEC = {"x": tf.TensorSpec([None], tf.float32)}


def test_any_functions_can_be_exported(tmp_path):
    factor = tf.Variable(3.0)
    functions = [
        Function("halve", lambda given: {"half": given["x"] / 2}, SPEC),
        Function("serving_default", lambda given: {"product": given["x"] * factor}, SPEC),
    ]
    export.write(functions, tmp_path / "model" / "1")
    signatures = tf.saved_model.load(str(tmp_path / "model" / "1")).signatures
    assert signatures["halve"](x=tf.constant([4.0]))["half"] == 2
    assert signatures["serving_default"](x=tf.constant([4.0]))["product"] == 12


def test_a_function_is_traced_once_and_saved_without_gradients_of_its_own(tmp_path, capsys):
    traced = []

    @tf.custom_gradient
    def passed_on(x):
        return tf.clip_by_value(x, 0.0, 1.0), lambda gradient: gradient

    def clip(given):
        traced.append(given["x"])
        return {"clipped": passed_on(given["x"])}

    functions = [Function("serving_default", clip, SPEC)]
    export.write(functions, tmp_path / "model", verbose=True)
    assert len(traced) == 1
    assert capsys.readouterr().out.startswith("serving_default: ")
    assert b"_gradient_op_type" not in (tmp_path / "model" / "saved_model.pb").read_bytes()
    x = tf.constant([-1.0, 0.5])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"](x=x)
    np.testing.assert_array_equal(y["clipped"], [0.0, 0.5])
    np.testing.assert_array_equal(tape.gradient(y["clipped"], x), [0.0, 1.0])  # that of a clip


def test_a_folder_in_use_is_refused_and_a_failure_leaves_nothing(tmp_path):
    def fails(given):
        raise RuntimeError("no graph")

    failing = [Function("serving_default", fails, SPEC)]
    with pytest.raises(RuntimeError, match="no graph"):
        export.write(failing, tmp_path / "model")
    assert not list(tmp_path.iterdir())

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "note").write_text("x")
    with pytest.raises(InputError, match="is not empty"):
        export.write(failing, tmp_path / "model")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["note"]


@pytest.mark.parametrize(
    "kind,message,number",
    [
        (tf.errors.ResourceExhaustedError, "variables.data; No space left on device", 28),
        (tf.errors.OutOfRangeError, "saved_model.pb; File too large", 27),
    ],
)
def test_a_full_disk_is_an_error_of_the_system_and_nothing_is_left(
    tmp_path, monkeypatch, kind, message, number
):
    def fail(module, folder, *arguments):
        open(f"{folder}/half", "w").close()
        raise kind(None, None, f"/somewhere/{message} [Op:SaveV2]")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    functions = [Function("serving_default", lambda given: {"y": given["x"]}, SPEC)]
    with pytest.raises(OSError) as caught:
        export.write(functions, tmp_path / "deep" / "model")
    assert caught.value.errno == number and caught.value.filename == str(tmp_path / "deep/model")
    assert not [*tmp_path.iterdir()]


def test_another_error_of_tensorflow_stays_what_it_is(tmp_path, monkeypatch):
    def fail(*arguments):
        raise tf.errors.InvalidArgumentError(None, None, "something else")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    functions = [Function("serving_default", lambda given: {"y": given["x"]}, SPEC)]
    with pytest.raises(tf.errors.InvalidArgumentError):
        export.write(functions, tmp_path / "model")
