"""What a text is conditioned on: classes and vectors, guidance, and how they are trained."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.models import make as new_model
from tfgen.models.conditions import condition_specs, condition_tensors
from tfgen.models.engines.token_rollout import TokenRollout
from tfgen.models.text.emission import TokenEmission
from tfgen.networks import RecurrentNetwork, TransformerNetwork
from tfgen.preprocessing import CharacterTokenizer
from tfgen.recipe import GenerationConfig
from tfgen.sampling import random

pytestmark = pytest.mark.usefixtures("op_by_op")

TOKENIZER = CharacterTokenizer("\n abcdefgh")
VOCABULARY = 11
BATCH, TIME, FEATURES = 3, 8, 4
IDS = np.random.default_rng(0).integers(0, VOCABULARY, (BATCH, TIME)).astype("int32")
KEY = random.root(5, random.DROPOUT)
PROMPTS = ["", "ab", "cab dea"]
CLASSES = [2, 0, 1]


def make(seed=1, **options):
    options = {"layers": 1, "heads": 2, "width": 16, "tokenizer": TOKENIZER, **options}
    model = new_model(
        "transformer", seed=seed, **options, generation={"max_new_tokens": 12, "temperature": 0}
    )
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        # What the condition says must weigh as much as the text.
        scale = 1.0 if "cross" in weight.path or "condition" in weight.path else 0.3
        weight.assign(weight.numpy() + scale * generator.normal(size=weight.shape))
    return model


@pytest.fixture(scope="module")
def classes():
    return make(num_classes=3)


@pytest.fixture(scope="module")
def vectors():
    return make(condition_width=FEATURES, kv_heads=1)


def sequences():
    """One for each of three texts, of different numbers of items."""
    generator = np.random.default_rng(4)
    return [generator.normal(size=(items, FEATURES)).astype("float32") for items in (2, 5, 1)]


# Tensors


def test_classes_as_tensors():
    def found(value, count=3):
        return condition_tensors(value, count, num_classes=4)["condition"].numpy().tolist()

    assert found(None) == [-1, -1, -1]
    assert found(2) == found(np.int64(2)) == [2, 2, 2]
    assert found([3, 0, 1]) == found(np.array([3, 0, 1])) == [3, 0, 1]
    assert found(None, 0) == found(1, 0) == []
    specs = condition_specs(num_classes=4)
    assert specs == {"condition": tf.TensorSpec([None], tf.int32)}


def test_vectors_as_tensors():
    found = condition_tensors(sequences(), 3, condition_width=FEATURES)
    assert found["condition"].shape == (3, 5, FEATURES)
    assert found["condition_valid"].numpy().sum(axis=1).tolist() == [2, 5, 1]
    for row, sequence in enumerate(sequences()):
        np.testing.assert_array_equal(found["condition"][row, : len(sequence)], sequence)
        assert (found["condition"][row, len(sequence) :].numpy() == 0).all()
    one = condition_tensors(sequences()[0], 2, condition_width=FEATURES)
    np.testing.assert_array_equal(one["condition"], np.stack([sequences()[0]] * 2))
    array = condition_tensors(np.ones([2, 3, FEATURES]), 2, condition_width=FEATURES)
    assert array["condition_valid"].numpy().all() and array["condition"].dtype == tf.float32
    nothing = condition_tensors(None, 2, condition_width=FEATURES)
    assert not nothing["condition_valid"].numpy().any()
    specs = condition_specs(condition_width=FEATURES)
    assert {name: spec.dtype for name, spec in specs.items()} == {
        name: tensor.dtype for name, tensor in found.items()
    }
    assert condition_specs() == condition_tensors(None, 3) == {}


@pytest.mark.parametrize(
    "value",
    [3, -1, 1.0, True, "a", [0, 1], [0, 1, 3], [0, 1, 2, 0], [[0], [1], [2]], [[0], [1, 2]], {}],
    ids=str,
)  # fmt: skip
def test_what_is_no_class_is_refused(value):
    with pytest.raises(InputError) as caught:
        condition_tensors(value, 3, num_classes=3)
    assert "Received: " in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        3, "ab", np.zeros(4), np.zeros([2, 3]), np.zeros([3, 2, 4]), [np.zeros([1, 4])],
        [np.zeros([1, 4]), np.zeros([0, 4])], [np.zeros([1, 4]), [1, 2, 3, 4]],
        [np.zeros([1, 4]), [["x", 1, 2, 3]]], [np.zeros([1, 4]), [[np.nan, 1, 2, 3]]], {},
    ],
    ids=lambda value: str(np.shape(value)) if not isinstance(value, list) else None,
)  # fmt: skip
def test_what_are_no_vectors_is_refused(value):
    with pytest.raises(InputError) as caught:
        condition_tensors(value, 2, condition_width=4)
    assert "Received: " in str(caught.value)


# What the network makes of them


def test_each_row_has_its_own_class(classes):
    logits = classes(IDS, condition=tf.constant(CLASSES)).numpy()
    for row, label in enumerate(CLASSES):
        alone = classes(IDS[row : row + 1], condition=tf.constant([label]))
        np.testing.assert_allclose(logits[row], alone[0], atol=1e-5)
        other = classes(IDS[row : row + 1], condition=tf.constant([(label + 1) % 3]))
        assert np.abs(alone - other).max() > 0.1
    nothing = classes(IDS).numpy()
    np.testing.assert_allclose(classes(IDS, condition=tf.constant([-1] * 3)), nothing, atol=1e-6)
    assert np.abs(nothing - logits).max(axis=(1, 2)).min() > 0.1


def test_each_row_has_its_own_vectors(vectors):
    tensors = condition_tensors(sequences(), 3, condition_width=FEATURES)
    logits = vectors(IDS, condition=(tensors["condition"], tensors["condition_valid"])).numpy()
    for row, sequence in enumerate(sequences()):
        alone = vectors(IDS[row : row + 1], condition=tf.constant(sequence[None]))
        np.testing.assert_allclose(logits[row], alone[0], atol=1e-5)
        other = vectors(IDS[row : row + 1], condition=tf.constant(sequence[None] + 1))
        assert np.abs(alone - other).max() > 1e-2
    nothing = vectors(IDS).numpy()
    assert np.abs(nothing - logits).max(axis=(1, 2)).min() > 1e-2
    # No valid item is no condition, whatever stands there.
    hidden = vectors(IDS, condition=(tensors["condition"], tf.zeros([3, 5], tf.bool)))
    np.testing.assert_allclose(hidden, nothing, atol=1e-5)


def test_a_state_remembers_its_condition(vectors):
    tensors = condition_tensors(sequences(), 3, condition_width=FEATURES)
    pair = tensors["condition"], tensors["condition_valid"]
    expected, _ = vectors.engine.hidden_states(tf.constant(IDS), condition=pair)
    state = vectors.engine.initial_state(3, **tensors)
    first, state = vectors.engine.hidden_states(IDS[:, :3], state)
    state, step = vectors.engine.reserve(state, 5), vectors.engine.stepper()
    second, state = step(tf.constant(IDS[:, 3]), state)
    third, _ = vectors.engine.verifier()[0](tf.constant(IDS[:, 4:]), state)
    found = np.concatenate([first, second[:, None], third], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


# Generation


def log_likelihood(model, text, condition):
    ids = np.concatenate([TOKENIZER.encode("\n"), TOKENIZER.encode(text)]).astype("int32")[None]
    logits = model(ids, condition=condition).numpy()[0, :-1].astype("float64")
    log_probability = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return log_probability[np.arange(len(text)), ids[0, 1:]].sum()


def forced(model, prompt, text, label, scale=1.0):
    """The likeliest token at each position, of logits mixed by hand."""
    ids = np.concatenate([TOKENIZER.encode("\n"), TOKENIZER.encode(text)]).astype("int32")[None]
    free = model(ids).numpy()[0]
    given = free if label is None else model(ids, condition=tf.constant([label])).numpy()[0]
    logits = free + scale * (given - free)
    return TOKENIZER.decode((logits[:, 1:].argmax(axis=-1) + 1)[len(prompt) : -1])


@pytest.mark.long
def test_guidance_mixes_the_logits(classes):
    found = {}
    for scale in (1.0, 3.0, 0.0):
        texts = classes.generate(PROMPTS, condition=CLASSES, guidance_scale=scale)
        for prompt, text, label in zip(PROMPTS, texts, CLASSES, strict=True):
            assert text[len(prompt) :] == forced(classes, prompt, text, label, scale)
        found[scale] = texts
    assert found[1.0] != found[3.0] != found[0.0]
    # Without guidance is guidance by 1; without a condition is guidance by 0.
    assert classes.generate(PROMPTS, condition=CLASSES) == found[1.0]
    assert classes.generate(PROMPTS) == found[0.0]
    with pytest.raises(InputError, match="does nothing without a condition. Received: guidance_"):
        classes.generate(PROMPTS, guidance_scale=3.0)
    classes.generation = GenerationConfig(max_new_tokens=12, temperature=0, guidance_scale=3.0)
    try:  # the model's own default is that of a call with a condition
        assert classes.generate(PROMPTS) == found[0.0]
        assert classes.generate(PROMPTS, condition=CLASSES) == found[3.0]
    finally:
        classes.generation = GenerationConfig(max_new_tokens=12, temperature=0)
    # One class for all is that class for each; and a stream is guided, too.
    assert classes.generate(PROMPTS, condition=2)[0] == found[1.0][0]
    guided = classes.stream(PROMPTS[2], condition=CLASSES[2], guidance_scale=3.0)
    assert "".join(guided) == found[3.0][2]
    with pytest.raises(InputError, match="Received: guidance_scale=-1$"):
        classes.generate("a", guidance_scale=-1)


def test_scores_and_embeddings_know_the_condition(classes, vectors):
    texts = ["abc", "", "hgf ab"]
    conditions = [tf.constant([label]) for label in CLASSES]
    scores = classes.score(texts, condition=CLASSES)["log_likelihood"]
    expected = [log_likelihood(classes, *pair) for pair in zip(texts, conditions)]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    free = classes.score(texts)["log_likelihood"]
    np.testing.assert_allclose(free, [log_likelihood(classes, t, None) for t in texts], rtol=1e-5)
    assert abs(scores[0] - free[0]) > 1e-2

    scores = vectors.score(texts, condition=sequences())["log_likelihood"]
    conditions = [tf.constant(sequence[None]) for sequence in sequences()]
    expected = [log_likelihood(vectors, *pair) for pair in zip(texts, conditions)]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    one = vectors.score(texts[2], condition=sequences()[2])["log_likelihood"]
    assert one == pytest.approx(expected[2], rel=1e-5)

    encoded = classes.encode(texts, condition=CLASSES)
    np.testing.assert_allclose(classes.encode(texts[2], condition=1), encoded[2], atol=1e-5)
    assert np.abs(classes.encode(texts) - encoded).max() > 1e-2


def test_a_draft_need_not_know_the_condition(classes):
    """What a search begins with, for the model and for a draft without conditions."""
    draft = new_model("lstm", units=4, layers=1, tokenizer=TOKENIZER)
    begun = {}

    def run(search, begin, count, capacity, num_samples, seed):
        for model in (classes, draft):
            begun[model] = begin(model.graphs, 8, 1)
        none = tf.zeros([1], tf.int32)
        return none[None], none, none

    from tfgen.sampling.search import Speculative

    classes.searching.run = run
    try:
        classes.generate("ab", search=Speculative(draft), condition=1)
    finally:
        del classes.searching.run
    ids = TOKENIZER.encode("\nab")[None].astype("int32")
    expected = classes(ids, condition=tf.constant([1]))
    np.testing.assert_allclose(begun[classes][0].logits[0], expected[0, -1], atol=1e-5)
    assert begun[draft][0].logits.shape == (1, VOCABULARY)


def test_a_network_without_cross_attention_takes_no_condition():
    for network in (
        RecurrentNetwork(units=4, layers=1),
        TransformerNetwork(layers=1, heads=1, width=4),
    ):
        with pytest.raises(ValueError, match="need a network with cross_attention"):
            TokenRollout(network, TokenEmission(num_classes=3))


# Training


def test_a_share_of_the_conditions_is_hidden_in_training(classes):
    rate = classes.engine.emission.hide(4000, KEY).numpy().mean()
    assert abs(rate - 0.1) < 0.02
    assert make(num_classes=3, condition_dropout=0.0).engine.emission.hide(10, KEY) is None

    model = make(num_classes=3, condition_dropout=0.5)
    ids, labels = np.repeat(IDS[:1], 40, axis=0), tf.constant([1] * 40)
    given, free = model(ids[:1], condition=labels[:1])[0], model(ids[:1])[0]

    def trained(key):
        return model.engine.logits(
            model.engine.hidden_states(tf.constant(ids), condition=labels, training=True, key=key)[
                0
            ]
        ).numpy()

    logits = trained(KEY)
    knows = np.abs(logits - given).max(axis=(1, 2)) < 1e-5
    hidden = np.abs(logits - free).max(axis=(1, 2)) < 1e-5
    assert (knows ^ hidden).all() and 8 < knows.sum() < 32
    np.testing.assert_array_equal(hidden, model.engine.emission.hide(40, KEY))
    assert not np.array_equal(trained(random.fold(KEY, 1)), logits)
    # Out of training nothing is hidden.
    plain = model(ids, condition=labels)
    np.testing.assert_allclose(plain, np.repeat(given[None], 40, axis=0), atol=1e-5)


@pytest.mark.exhaustive
def test_fit_takes_a_dict_and_learns_what_the_classes_say():
    labels = np.arange(48) % 3
    windows = np.stack([TOKENIZER.encode("\n" + "abc"[label] * 8) for label in labels])
    model = new_model(
        "transformer", layers=1, heads=2, width=16, num_classes=3, condition_dropout=0.2, tokenizer=TOKENIZER,
        seed=1,
    )  # fmt: skip
    model.compile(keras.optimizers.AdamW(1e-2))
    data = {"tokens": windows, "condition": labels}
    model.fit(data, batch_size=16, epochs=30, verbose=0)
    for label in range(3):
        scores = [model.score(other * 8, condition=label)["nats_per_character"] for other in "abc"]
        assert np.argmin(scores) == label
    # The first letter is not known from the text.
    first = model.score(list("abc"), condition=[0, 1, 2])["log_likelihood"]
    assert (first > model.score(list("abc"))["log_likelihood"]).all()
    pair = {"tokens": windows[:, :-1], "condition": labels}, windows[:, 1:]
    expected = model.evaluate(data, batch_size=16, verbose=0)
    assert model.evaluate(*pair, batch_size=16, verbose=0) == pytest.approx(expected, rel=1e-5)
    wrong = {"tokens": windows, "condition": (labels + 1) % 3}
    assert model.evaluate(wrong, batch_size=16, verbose=0) > expected + 0.1
    with pytest.raises(ValueError, match=r"Received: keys=\['label', 'tokens'\]"):
        model.fit({"tokens": windows, "label": labels}, verbose=0)


@pytest.mark.long
def test_fit_takes_vectors():
    condition = np.random.default_rng(0).normal(size=(4, 2, FEATURES)).astype("float32")
    model = make(condition_width=FEATURES)
    model.compile(jit_compile=False)
    windows = np.repeat(IDS[:1], 4, axis=0)
    data = {"tokens": windows, "condition": condition}
    expected, _ = model.batch_loss(
        (windows[:, :-1], windows[:, 1:], tf.constant(condition)), training=False
    )
    assert model.evaluate(data, batch_size=4, verbose=0) == pytest.approx(float(expected), rel=1e-5)


def test_in_bfloat16_the_whole_of_it_is():
    model = make(num_classes=3, dtype="mixed_bfloat16")
    state = model.engine.initial_state(3, condition=tf.constant(CLASSES))
    assert {tensor.dtype for tensor in tf.nest.flatten(state["context"]["blocks"])} == {tf.bfloat16}
    exact = make(num_classes=3)
    exact.set_weights(model.get_weights())
    found, expected = (m(IDS, condition=tf.constant(CLASSES)) for m in (model, exact))
    error = np.abs(tf.cast(found, tf.float32) - expected)
    assert error.max() < 0.3 and error.mean() < 0.05


# Export


@pytest.mark.exhaustive
@pytest.mark.usefixtures("as_graphs")
def test_a_saved_model_takes_classes(classes, tmp_path):
    classes.export(tmp_path / "1")
    loaded = tf.saved_model.load(str(tmp_path / "1")).signatures
    texts, condition = tf.constant(PROMPTS), tf.constant([2, -1, 1])
    scores = loaded["score"](texts=texts, condition=condition)
    live = [classes.score(text, condition=label) for text, label in zip(PROMPTS, [2, None, 1])]
    for name, values in scores.items():
        np.testing.assert_allclose(values, [score[name] for score in live], rtol=1e-5)
    encoded = loaded["encode"](texts=texts, condition=condition)
    for pooling in ("mean", "last"):
        expected = classes.encode(PROMPTS[0], pooling=pooling, condition=2)
        np.testing.assert_allclose(encoded[pooling][0], expected, atol=1e-5)
    arguments = {
        "prompts": texts, "max_new_tokens": 12, "temperature": 0.0, "top_k": 0, "top_p": 1.0,
        "min_p": 0.0, "repetition_penalty": 1.0, "stop": tf.constant([], tf.string),
        "num_samples": 1, "seed": tf.constant(1, tf.int64), "strip_prompt": False,
        "condition": tf.constant(CLASSES), "guidance_scale": 3.0,
    }  # fmt: skip
    arguments = {name: tf.convert_to_tensor(value) for name, value in arguments.items()}
    served = [text.decode() for text in loaded["generate"](**arguments)["texts"].numpy()[:, 0]]
    assert served == classes.generate(PROMPTS, condition=CLASSES, guidance_scale=3.0)
    default = loaded["serving_default"](prompts=texts, condition=tf.constant(CLASSES))["texts"]
    live = classes.generate(PROMPTS, condition=CLASSES)
    assert [text.decode() for text in default.numpy()] == live


@pytest.mark.usefixtures("as_graphs")
@pytest.mark.exhaustive
def test_a_saved_model_takes_vectors(vectors, tmp_path):
    vectors.export(tmp_path / "1")
    score = tf.saved_model.load(str(tmp_path / "1")).signatures["score"]
    tensors = condition_tensors(sequences(), 3, condition_width=FEATURES)
    served = score(texts=tf.constant(PROMPTS), **tensors)["log_likelihood"]
    live = vectors.score(PROMPTS, condition=sequences())["log_likelihood"]
    np.testing.assert_allclose(served, live, rtol=1e-5)
