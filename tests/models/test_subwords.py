"""Models of subwords: stop texts inside tokens, whole characters, and strings in and out of a file."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.models.test_hugging_face import write_model
from tests.models.test_served_streams import OF_TEXT, texts_of
from tfgen.errors import InputError
from tfgen.models import make as new_model
from tfgen.preprocessing import BytePairTokenizer
from tfgen.sampling.search import BeamSearch, ContrastiveSearch, Speculative
from tfgen.zoo import get

tokenizers = pytest.importorskip("tokenizers", reason="pip install .[subwords]")

pytestmark = pytest.mark.long
LINES = ["The quick brown fox, the lazy dog: 漢字 é 😀 and then the end.\n"] * 9


@pytest.fixture(scope="module")
def model():
    tokenizer = BytePairTokenizer(vocabulary_size=300).adapt(LINES)
    return new_model("gru", units=8, layers=1, tokenizer=tokenizer, seed=3)


def test_a_stop_text_is_found_inside_a_token_and_over_tokens(model):
    whole = model.generate(["The", "fox"], max_new_tokens=60, seed=5, strip_prompt=True)
    pieces = [model.tokenizer.decode(np.array([n])) for n in model.tokenizer.encode(whole[0])]
    long = next(piece for piece in pieces if len(piece) > 3 and piece.isascii())
    places = whole[0].index(long)
    for stop in (long[1:3], whole[0][places + 1 : places + len(long) + 2], whole[0][20:23]):
        if "\ufffd" in stop:
            continue
        expected = [text.partition(stop)[0] for text in whole]
        options = {"max_new_tokens": 60, "seed": 5, "stop": [stop, "\x00\x01"]}
        assert model.generate(["The", "fox"], strip_prompt=True, **options) == expected
        streamed = [*model.stream("The", strip_prompt=True, **options)]
        assert "".join(streamed) == model.generate("The", strip_prompt=True, **options)


def test_every_search_ends_before_a_stop_text(model):
    for search in (BeamSearch(2), ContrastiveSearch(), Speculative(model, 3)):
        options = {"max_new_tokens": 24, "search": search, "strip_prompt": True, "seed": 1}
        whole = model.generate("The", **options)
        stop = next(c for c in whole[3:] if c != "\ufffd")
        found = model.generate("The", stop=stop, **options)
        assert stop not in found
        if search.kind != "beam":  # which of several is best depends on where they end
            assert found == whole.partition(stop)[0]


def test_a_stream_gives_whole_characters(model):
    options = {"max_new_tokens": 90, "seed": 2, "temperature": 2.0}
    pieces = [*model.stream("漢", **options)]
    assert "".join(pieces) == model.generate("漢", **options) and len(pieces) > 2
    # So does the function that is served.
    pieces = texts_of(model, ["漢"], [8, 8, 8, 0])[1]
    whole = model.generate("漢", 24, stop=[], strip_prompt=True, **OF_TEXT)
    assert "".join(text for (text,) in pieces) == whole


CODE = """
import sys
import numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures
assert "tfgen" not in sys.modules and "tokenizers" not in sys.modules
text = tf.constant([sys.argv[2], "x\\n\\n 😀"])
print(ascii(served["generate"](
    prompts=text, max_new_tokens=tf.constant(12), temperature=tf.constant(0.0),
    top_k=tf.constant(0), top_p=tf.constant(1.0), min_p=tf.constant(0.0),
    repetition_penalty=tf.constant(1.0), stop=tf.constant([], tf.string),
    num_samples=tf.constant(1), seed=tf.constant(1, tf.int64), strip_prompt=tf.constant(False),
)["texts"].numpy()[0, 0].decode("utf-8")))
print(served["score"](texts=text)["log_likelihood"].numpy().tolist())
"""


def served(folder, prompt):
    """What a SavedModel gives to a process that has TensorFlow alone."""
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(
        [sys.executable, "-c", CODE, str(folder), prompt],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    text, likelihood = result.stdout.splitlines()
    return text, np.array(eval(likelihood))


@pytest.mark.parametrize(
    "kind", ["gpt2", pytest.param("llama", marks=pytest.mark.exhaustive), "own"]
)
def test_a_model_of_subwords_becomes_a_saved_model(kind, model, tmp_path):
    if kind == "own":
        model.save(tmp_path / "model")
    else:
        write_model(kind, tmp_path / "model")
    live = get(tmp_path / "model")
    assert type(live.tokenizer) is BytePairTokenizer
    live.export(tmp_path / "served")
    text, likelihood = served(tmp_path / "served", "to be, 漢")
    options = {"max_new_tokens": 12, "temperature": 0.0, "stop": []}
    assert text == ascii(live.generate("to be, 漢", **options))
    expected = live.score(["to be, 漢", "x\n\n 😀"])["log_likelihood"]
    np.testing.assert_allclose(likelihood, expected, rtol=1e-4)


def test_what_is_not_exact_in_the_graph_is_not_exported(tmp_path):
    write_model("llama", tmp_path / "model")
    path = Path(tmp_path / "model" / "tokenizer.json")
    made = tokenizers.Tokenizer.from_file(str(path))
    made.normalizer = tokenizers.normalizers.NFC()
    made.save(str(path))
    with pytest.raises(InputError, match="cannot hold a HuggingFaceTokenizer"):
        get(tmp_path / "model").export(tmp_path / "served")
