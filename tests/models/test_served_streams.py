"""The function `stream` of a SavedModel: pieces that are, joined, what `generate` samples."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.models.contract.rows import as_if_trained
from tests.models.test_windows import START, everything, processor
from tests.models.test_windows import model as unet_of
from tfgen.data import Feature, Sequences
from tfgen.models import make
from tfgen.preprocessing import ByteTokenizer, CharacterTokenizer, SequenceProcessor
from tfgen.recipe import PreprocessingConfig

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")
OF_TEXT = {
    "temperature": 0.9, "top_k": 9, "top_p": 0.95, "min_p": 0.0, "repetition_penalty": 1.1, "seed": 5
}  # fmt: skip
CHARACTERS = CharacterTokenizer("\n abé𐐷")
GRU, TRANSFORMER = {"units": 8, "layers": 1}, {"layers": 1, "heads": 2, "width": 8}


def of_numbers(family="lstm", given=None, **arguments):
    return as_if_trained(make(family, processor=given or everything(), seed=1, **arguments))


def of_text(family="gru", tokenizer=None, **arguments):
    """A model of texts; that of bytes mostly writes a, and parts of é (2 bytes) and of 𐐷 (4)."""
    if tokenizer is not None:
        return as_if_trained(make(family, tokenizer=tokenizer, seed=1, **arguments))
    made = as_if_trained(make(family, tokenizer=ByteTokenizer(), seed=1, **arguments))
    kernel, bias = made.engine.emission.head.get_weights()
    bias[list("aé𐐷".encode())] += 4
    made.engine.emission.head.set_weights([kernel, bias])
    return made


def stream_of(made):
    """The function `stream` of a model, and the state at the beginning of so many rows."""
    function = next(each for each in made.functions() if each.name == "stream")
    return function, lambda rows: beginning(function.specs["state"], rows)


def beginning(spec, rows):
    state = tf.zeros([rows, *(size or 0 for size in spec.shape[1:])], spec.dtype)
    return {"state": state, "index": tf.constant(0)}


def numbers_of(made, sizes, rows=1, known=None, **told):
    """Pieces of so many positions, joined, and the outputs of the last call."""
    function, begin = stream_of(made)
    state, pieces, done = begin(rows), [], 0
    for size in sizes:
        own = {"seed": 5, "temperature": 0.9, "bias": 0.0, "length": size, **told}
        if known is not None:
            own["known"] = known[:, done : done + size]
        own = {name: tf.constant(own[name], function.specs[name].dtype) for name in own}
        found = function.call({**state, **own})
        state = {name: found[name] for name in state}
        pieces.append(found["values"].numpy())
        done += pieces[-1].shape[1]
    return np.concatenate(pieces, axis=1), found


def texts_of(made, prompts, sizes, stop=(), **told):
    """Texts of pieces of so many tokens, the pieces, and the outputs of the last call."""
    function, begin = stream_of(made)
    state, pieces = begin(len(prompts)), []
    for size in sizes:
        own = {
            **OF_TEXT,
            "prompts": list(prompts),
            "stop": list(stop),
            "max_new_tokens": size,
            **told,
        }
        own = {name: tf.constant(own[name], function.specs[name].dtype) for name in own}
        found = function.call({**state, **own})
        state = {name: found[name] for name in state}
        pieces.append([text.decode() for text in found["texts"].numpy()])
    return ["".join(row) for row in zip(*pieces)], pieces, found


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
@pytest.mark.parametrize(
    "family, arguments",
    [
        ("transformer", {**TRANSFORMER, "window": 12}),
        pytest.param(
            "lstm",
            {"units": 8, "layers": 2, "lags": (2, 5), "seasonal_skip": 3},
            marks=pytest.mark.exhaustive,
        ),
        pytest.param("transformer", {**TRANSFORMER, "conv": 2}, marks=pytest.mark.exhaustive),
        pytest.param("gru", {**GRU, "attention": 3}, marks=pytest.mark.exhaustive),
    ],
)
def test_pieces_of_numbers_are_what_is_generated(family, arguments, monkeypatch):
    """Whatever their sizes; each knows the class, the calendar and what is known of its positions."""
    monkeypatch.setattr("tfgen.models.engines.rollout_stream.ROOM", 16)
    made, rng = of_numbers(family, **arguments), np.random.default_rng(3)
    known = rng.normal(size=(2, 30, 1)).astype(np.float32)
    given = {"known": known, "start_time": [START, START + 7200], "condition": [1, 0]}
    whole = made.generate(2, 30, seed=5, temperature=0.9, **given)
    joined, _ = numbers_of(made, (7, 1, 8, 6, 8), 2, **given)
    np.testing.assert_allclose(joined, whole, rtol=1e-4, atol=1e-3)
    live = made.stream(30, 5, temperature=0.9, known=known[0], start_time=START, condition=1)
    np.testing.assert_allclose(np.concatenate(list(live)), whole[0], rtol=1e-4, atol=1e-3)
    for name, other in (("start_time", [START] * 2), ("condition", [0, 0]), ("known", 0 * known)):
        changed, _ = numbers_of(made, (7, 1, 8, 6, 8), 2, **{**given, name: other})
        assert np.abs(changed - joined).max() > 0.01, name


def test_pieces_of_patches_are_whole_patches():
    made = of_numbers("gru", processor(), frame=4, **GRU)
    whole = made.generate(1, 22, seed=5, temperature=0.9)
    joined, found = numbers_of(made, (6, 4, 10))
    assert joined.shape[1] == 8 + 4 + 12 and found["index"] == 6
    np.testing.assert_allclose(joined[:, :22], whole, rtol=1e-4, atol=1e-3)


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
def test_each_drawing_ends_for_itself():
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(size, 2)).astype(np.float32) for size in (4, 7, 5, 9)]
    data = Sequences(
        "made", "strokes", (Feature("dx"), Feature("dy")), values, list("0123"), ends=True
    )
    made = of_numbers("gru", SequenceProcessor.fit(data, PreprocessingConfig(scaler="none")), **GRU)
    whole = made.generate(6, 40, seed=5, temperature=0.9)
    sizes = [len(each) for each in whole]
    assert len(set(sizes)) > 2 and min(sizes) < 8
    joined, found = numbers_of(made, [8] * 5, 6)
    for row, each in zip(joined, whole, strict=True):
        np.testing.assert_allclose(row[: len(each)], each, rtol=1e-4, atol=1e-3)
        assert np.isnan(row[len(each) :]).all()
    assert found["finished"].numpy().tolist() == [size < 40 for size in sizes]
    assert not found["lengths"].numpy()[found["finished"]].any()


PROMPTS = ("ab", "é𐐷\n", "")


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
@pytest.mark.parametrize(
    "family, arguments",
    [
        ("gru", {**GRU, "attention": 3}),
        pytest.param("transformer", TRANSFORMER, marks=pytest.mark.exhaustive),
        pytest.param("transformer", {**TRANSFORMER, "window": 12}, marks=pytest.mark.exhaustive),
        pytest.param("lstm", GRU, marks=pytest.mark.exhaustive),
    ],
)
def test_pieces_of_texts_are_what_is_generated(family, arguments, monkeypatch):
    """Of whole characters; what is left of one at the end comes with a piece of no tokens."""
    monkeypatch.setattr("tfgen.models.engines.rollout_stream.ROOM", 16)
    made = of_text(family, None if family == "gru" else CHARACTERS, **arguments)
    options = {**OF_TEXT, "strip_prompt": True}
    whole = made.generate(list(PROMPTS), 40, stop=[], **options)
    assert all("𐐷" in text or "é" in text for text in whole)
    joined, pieces, _ = texts_of(made, PROMPTS, [7, 1, 1, 2, 8, 8, 8, 5, 0])
    assert joined == whole
    assert texts_of(made, PROMPTS[:1], [8] * 5 + [0])[0] == whole[:1]
    # Nothing is told that may be the beginning of a stop text, and a text ends before it.
    stop = ["aé", "𐐷"]
    cut = made.generate(list(PROMPTS), 40, stop=stop, **options)
    assert cut != whole
    joined, pieces, found = texts_of(made, PROMPTS, [3] * 13 + [1, 0], stop)
    assert joined == cut
    ended = [len(text) < len(before) for text, before in zip(cut, whole)]
    assert found["finished"].numpy().tolist() == ended
    for end in range(len(pieces)):
        so_far = ["".join(row) for row in zip(*pieces[: end + 1])]
        assert all(text.startswith(part) for text, part in zip(cut, so_far))


@pytest.mark.exhaustive
@pytest.mark.usefixtures("as_graphs")
def test_guided_texts_of_classes_and_texts_that_end_with_the_positions():
    made = of_text("transformer", CharacterTokenizer("\n ab"), num_classes=2, **TRANSFORMER)
    told = {"condition": [0, 1], "guidance_scale": 2.0}
    options = {**OF_TEXT, "strip_prompt": True, "stop": []}
    whole = made.generate(["a", "b"], 20, **told, **options)
    assert texts_of(made, ["a", "b"], [6, 14], **told)[0] == whole
    assert texts_of(made, ["a", "b"], [6, 14], **{**told, "condition": [1, 1]})[0] != whole
    made = of_text("transformer", CharacterTokenizer("\n ab"), positions="learned", max_length=16,
                   **TRANSFORMER)  # fmt: skip
    joined, _, found = texts_of(made, ["a" * 6, ""], [7, 7, 7, 7])
    # The last token needs no position.
    assert [len(text) for text in joined] == [10, 16] and found["finished"].numpy().all()
    assert joined[0] == made.generate("a" * 6, **options)


@pytest.mark.long
def test_a_state_of_another_model_is_refused():
    made = of_text()
    function, _ = stream_of(made)
    own = {**OF_TEXT, "prompts": [""], "stop": [], "max_new_tokens": 1, "index": 3}
    own = {name: tf.constant(own[name], function.specs[name].dtype) for name in own}
    for width in (5, 400):
        with pytest.raises(tf.errors.InvalidArgumentError, match="what this function returned"):
            function.call({**own, "state": tf.zeros([1, width], tf.int32)})


CLIENT = """
import json, resource, sys, time
import tensorflow as tf

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

folder, name, count, given = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
call = tf.saved_model.load(folder).signatures[name]
specs = call.structured_input_signature[1]
given = {key: tf.constant(value, specs[key].dtype) for key, value in given.items()}
state = [1, *(size or 0 for size in specs["state"].shape[1:])]
run = {"state": tf.zeros(state, specs["state"].dtype), "index": tf.constant(0)}
pieces, times, memory = [], [], []
for piece in range(count):
    begun = time.process_time()
    found = call(**run, **given)
    run = {key: found[key] for key in run}
    pieces.append(found["texts"].numpy()[0].decode() if "texts" in found else found["values"].numpy()[0].tolist())
    times.append(time.process_time() - begun)
    memory.append(resident() if piece % 100 == 99 else 0)
    if count > 1000:
        pieces.clear()
assert "tfgen" not in sys.modules
print(json.dumps({"pieces": pieces, "times": times, "memory": memory, "size": int(tf.size(run["state"]))}))
"""


def served(folder, name, count, **given):
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, folder, name, str(count), json.dumps(given)], text=True,
        capture_output=True, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
@pytest.mark.parametrize("of", ["text", pytest.param("numbers", marks=pytest.mark.exhaustive)])
def test_what_is_served_streams_with_tensorflow_alone(of, tmp_path):
    """As the model itself does, in another process, from the seed and the state alone."""
    if of == "text":
        made, given = of_text(generation={"temperature": 0.7}), {"prompts": ["é"], "seed": 5}
    else:
        made = of_numbers("gru", processor(), **GRU)
        given = {"seed": 5, "length": 8, "temperature": 0.9, "bias": 0.0}
    made.export(tmp_path / "served")
    if of == "text":
        given = {**OF_TEXT, **given, "stop": [], "max_new_tokens": 8}
        found = served(tmp_path / "served", "stream", 5, **given)
        assert "".join(found["pieces"])[:30] == made.generate("é", 40, **OF_TEXT)[1:31]
    else:
        found = served(tmp_path / "served", "stream", 5, **given)
        whole = made.generate(1, 40, 5, temperature=0.9)[0]
        np.testing.assert_allclose(np.concatenate(found["pieces"]), whole, rtol=1e-4, atol=1e-3)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("as_graphs")
@pytest.mark.parametrize("family", ["unet1d", "gru", "gru text", "transformer text"])
def test_ten_thousand_pieces_cost_the_same(family, tmp_path):
    """CPU time and memory of a piece do not depend on how many came before."""
    if family == "unet1d":
        made = unet_of(window=16, noise_levels="independent")
        given = {"seed": 5, "num_steps": 3, "guidance_scale": 1.0}
    elif family == "gru":
        made = of_numbers("gru", processor(), **GRU)
        given = {"seed": 5, "length": 8, "temperature": 0.9, "bias": 0.0}
    else:
        own = {**TRANSFORMER, "window": 12} if "transformer" in family else GRU
        made = of_text(family.split()[0], CHARACTERS, **own)
        given = {**OF_TEXT, "prompts": ["a"], "stop": [], "max_new_tokens": 8}
    made.export(tmp_path / "served")
    found = served(tmp_path / "served", "stream", 10_000, **given)
    early, late = (
        1000 * np.median(found["times"][place]) for place in (slice(1, 101), slice(9_900, None))
    )
    before, after = (found["memory"][place] / 2**20 for place in (99, 9_999))
    print(
        f"{family}: {early:.2f} ms, {late:.2f} ms; {before:.1f} MiB, {after:.1f} MiB; {found['size']}"
    )
    assert late < 1.5 * early
    assert after < 1.02 * before
