"""`TransformerNetwork`: its arguments, its ways of reading a text, its limits and its training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.layers import decoding
from tfgen.models import make as new_model
from tfgen.networks import TransformerNetwork, slots
from tfgen.networks.transformer import POSITIONS, SITES
from tfgen.preprocessing import CharacterTokenizer
from tfgen.sampling import random
from tfgen.sampling.buckets import stepped

pytestmark = pytest.mark.usefixtures("op_by_op")
as_graphs = pytest.mark.usefixtures("as_graphs")

TOKENIZER = CharacterTokenizer("\n abcdefgh")
VOCABULARY = 11
BATCH, TIME = 3, 12
IDS = np.random.default_rng(0).integers(0, VOCABULARY, (BATCH, TIME)).astype("int32")
TARGETS = np.random.default_rng(1).integers(0, VOCABULARY, (BATCH, TIME)).astype("int32")
KEY = random.root(5, random.DROPOUT)


def make(seed=1, **options):
    """A small model whose weights are far from their initial values, biases and gains included."""
    options = {"layers": 2, "heads": 4, "width": 16, "tokenizer": TOKENIZER, **options}
    model = new_model("transformer", seed=seed, **options)
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(weight.numpy() + 0.3 * generator.normal(size=weight.shape))
    return model


def whole(model, ids=IDS):
    return model.engine.hidden_states(tf.constant(ids))[0].numpy()


# What each argument means


@pytest.mark.parametrize(
    "options",
    [{}, {"positions": "learned"}, {"positions": "sinusoidal"}, {"norm": "rms", "bias": True},
     {"tie_embeddings": False}],
    ids=str,
)  # fmt: skip
def test_the_model_is_its_parts(options):
    model = make(**options)
    x = model.token_embedding.embeddings.numpy()[IDS]
    if model.network.position_embedding is not None:
        x = x + model.network.position_embedding(tf.range(TIME)[None])
    for block in model.network.blocks:
        x = block(x)
    hidden = model.network.final_norm(x)
    kernel = tf.transpose(model.token_embedding.embeddings.value)
    kernel = kernel if model.engine.emission.head is None else model.engine.emission.head.kernel
    np.testing.assert_allclose(model(IDS), hidden @ kernel, atol=1e-5)
    assert model(IDS).shape == (BATCH, TIME, VOCABULARY)


def test_the_defaults_are_those_that_the_docstring_names():
    model = new_model("transformer", layers=1, heads=2, width=96)
    (block,) = model.network.blocks
    assert block.mlp.hidden_width == 384 and block.attention.head_width == 48
    other = new_model("transformer", layers=1, heads=2, width=96, mlp="swiglu")
    assert other.network.blocks[0].mlp.hidden_width == 256
    assert model.engine.emission.head is None and model.network.position_embedding is None
    assert {weight.name for weight in model.weights} == {
        "embeddings", "qkv_kernel", "output_kernel", "input_kernel", "gamma",
    }  # fmt: skip


def test_the_window_looks_back_so_far():
    # Of two blocks, each of which sees three positions: five.
    model = make(window=3)
    other = IDS.copy()
    other[:, 4] = (other[:, 4] + 1) % VOCABULARY
    changed = np.abs(whole(model, other) - whole(model)).max(axis=(0, 2)) > 1e-5
    assert changed.tolist() == [False] * 4 + [True] * 5 + [False] * 3


def test_dropout_drops_its_share_everywhere_and_keeps_the_mean():
    model = make(dropout=0.25, attention_dropout=0.5)
    drop, ones = model.network._drop(True, KEY, False), tf.ones([50, 40])
    masks = {}
    sites = [(index, name) for index in range(2) for name in SITES[1:]]
    for index, name in [(-1, "embedding"), *sites]:
        masks[name, index] = mask = drop(ones, name, index).numpy()
        rate = 0.5 if name == "probabilities" else 0.25
        assert set(np.unique(mask)) == {0, np.float32(1 / (1 - rate))}
        assert abs((mask == 0).mean() - rate) < 0.05
    zeros = {tuple((mask == 0).ravel()) for mask in masks.values()}
    assert len(zeros) == len(masks) == 9  # each site has its own
    assert model.network._drop(False, KEY, False)(ones, "mlp", 0) is ones


def test_arguments_that_do_not_go_together():
    with pytest.raises(ValueError, match="Received: condition_width=3"):
        make(num_classes=2, condition_width=3)
    with pytest.raises(ValueError, match="Received: width=15"):
        make(heads=3, width=15, positions="sinusoidal")
    # An odd head has no pairs to turn; other positions have no need of them.
    make(heads=3, width=15, positions="alibi")


# The ways to read a text


WAYS = [
    (positions, conv, window) for positions in POSITIONS for conv in (0, 3) for window in (0, 5)
]
SOME = {("rotary", 3, 5), ("alibi", 0, 0)}


@pytest.mark.parametrize(
    "positions,conv,window",
    [way if way in SOME else pytest.param(*way, marks=pytest.mark.long) for way in WAYS],
)
def test_in_pieces_step_by_step_and_at_once_it_reads_the_same(positions, conv, window):
    model = make(positions=positions, conv=conv, window=window, qk_norm=True, kv_heads=2)
    expected = whole(model)

    pieces, state = [], model.initial_state(BATCH)
    for piece in np.split(IDS, (3, 4, 9), axis=1):
        hidden, state = model.engine.hidden_states(piece, state)
        pieces.append(hidden)
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), expected, atol=1e-5)

    _, state = model.engine.hidden_states(IDS[:, :4], model.initial_state(BATCH))
    state, step = model.engine.reserve(state, 8), model.engine.stepper()
    for position in range(4, 7):
        hidden, state = step(tf.constant(IDS[:, position]), state)
        np.testing.assert_allclose(hidden, expected[:, position], atol=1e-5)

    verify, rewind = model.engine.verifier()
    hidden, marks = verify(tf.constant(IDS[:, 7:]), state)
    np.testing.assert_allclose(hidden, expected[:, 7:], atol=1e-5)
    for kept in ([0, 1, 5], [3, 0, 2], [4, 4, 4]):
        after = rewind(marks, tf.constant(kept))
        tf.nest.assert_same_structure(after, state)
        assert after["length"].numpy().tolist() == [7 + count for count in kept]
        following = [IDS[row, min(7 + count, TIME - 1)] for row, count in enumerate(kept)]
        hidden, _ = step(tf.constant(following), after)
        for row, count in enumerate(kept):
            if 7 + count < TIME:
                np.testing.assert_allclose(hidden[row], expected[row, 7 + count], atol=1e-5)
    # A single row, whose products are others.
    alone = tf.nest.map_structure(lambda tensor: tensor[:1], state)
    for position in range(7, 9):
        hidden, alone = step(tf.constant(IDS[:1, position]), alone)
        np.testing.assert_allclose(hidden, expected[:1, position], atol=1e-5)
    # After the whole, the state is that of the steps.
    again = rewind(marks, tf.constant([5, 5, 5]))
    for position in range(7, TIME):
        _, state = step(tf.constant(IDS[:, position]), state)
    for mine, theirs in zip(tf.nest.flatten(again), tf.nest.flatten(state)):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_taking_everything_back_gives_the_state_of_before():
    model = make(conv=3, window=5)
    _, state = model.engine.hidden_states(IDS[:, :6], model.initial_state(BATCH))
    state = model.engine.reserve(state, 6)
    verify, rewind = model.engine.verifier()
    _, marks = verify(tf.constant(TARGETS[:, :4]), state)
    after = rewind(marks, tf.constant([0, 0, 0]))
    for name in ("position", "length", "cursor", "past"):
        for mine, theirs in zip(tf.nest.flatten(after[name]), tf.nest.flatten(state[name])):
            np.testing.assert_array_equal(mine, theirs, err_msg=name)
    hidden, _ = verify(tf.constant(IDS[:, 6:]), after)
    np.testing.assert_allclose(hidden, whole(model)[:, 6:], atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"conv": 3, "window": 4},
        *(pytest.param(each, marks=pytest.mark.long) for each in ({}, {"positions": "learned"})),
    ],
    ids=str,
)
def test_a_padded_row_gives_what_it_gives_alone_and_goes_on_from_there(options):
    model, lengths = make(**options), [12, 5, 1]
    mask = tf.constant(np.arange(TIME)[None] < np.array(lengths)[:, None])
    hidden, state = model.engine.hidden_states(IDS, model.initial_state(BATCH), mask=mask)
    assert state["length"].numpy().tolist() == lengths
    texts = [[*IDS[row, :length], *TARGETS[row]] for row, length in enumerate(lengths)]
    expected = [whole(model, np.array([text], np.int32))[0] for text in texts]
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(hidden[row, :length], expected[row][:length], atol=1e-5)
    # More at once, step by step, and at once again.
    more, state = model.engine.hidden_states(TARGETS[:, :3], state)
    state, step = model.engine.reserve(state, 9), model.engine.stepper()
    outputs = [more]
    for position in range(3, 6):
        one, state = step(tf.constant(TARGETS[:, position]), state)
        outputs.append(one[:, None])
    outputs.append(model.engine.verifier()[0](tf.constant(TARGETS[:, 6:]), state)[0])
    outputs = np.concatenate(outputs, axis=1)
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(outputs[row], expected[row][length:], atol=1e-5)


def small_slots(monkeypatch, number):
    """A cache grows and is read by so many slots at a time."""
    monkeypatch.setattr(slots, "SLOTS", number)
    monkeypatch.setattr(decoding, "BLOCK", number)


def sizes(state):
    return [tuple(tensor.shape) for tensor in tf.nest.flatten(state)]


@pytest.mark.long
@pytest.mark.parametrize(
    "positions,conv", [("rotary", 3), pytest.param("alibi", 0, marks=pytest.mark.long)]
)
def test_a_ring_goes_on_without_end(positions, conv, monkeypatch):
    small_slots(monkeypatch, 4)
    model = make(positions=positions, conv=conv, window=5)
    ids = np.random.default_rng(3).integers(0, VOCABULARY, (BATCH, 60)).astype("int32")
    expected = whole(model, ids)
    _, state = model.engine.hidden_states(ids[:, :7], model.initial_state(BATCH))
    state = model.engine.reserve(state, 10**6)
    assert state["position"].shape == (BATCH, 12)  # the window and as much again as is read at once
    step, (verify, rewind) = model.engine.stepper(), model.engine.verifier()
    before = sizes(state)
    for position in range(7, 40):
        hidden, state = step(tf.constant(ids[:, position]), state)
        np.testing.assert_allclose(hidden, expected[:, position], atol=1e-5)
    for position in range(40, 56, 3):  # three guesses at a time, of which two are right
        guesses = np.concatenate([ids[:, position : position + 2], ids[:, :1]], axis=1)
        hidden, marks = verify(tf.constant(guesses), state)
        np.testing.assert_allclose(hidden[:, :2], expected[:, position : position + 2], atol=1e-5)
        state = rewind(marks, tf.constant([2, 2, 2]))
        hidden, state = step(tf.constant(ids[:, position + 2]), state)
        np.testing.assert_allclose(hidden, expected[:, position + 2], atol=1e-5)
    assert sizes(state) == sizes(model.engine.reserve(state, 10**6)) == before
    # Whatever is read in one pass leaves as much of it as the next position needs.
    _, state = model.engine.hidden_states(ids[:, :58], model.initial_state(BATCH))
    _, state = model.engine.hidden_states(ids[:, 58:59], state)
    assert state["position"].shape == (BATCH, 4)
    hidden, _ = model.engine.hidden_states(ids[:, 59:], state)
    np.testing.assert_allclose(hidden, expected[:, 59:], atol=1e-5)


@pytest.mark.long
def test_reserve_makes_room_in_few_sizes_and_changes_nothing_else():
    model = make(conv=2)
    _, state = model.engine.hidden_states(IDS[:, :6], model.initial_state(BATCH))
    found = set()
    for count in range(1, 1000):
        size = int(stepped(tf.constant(count), slots.SLOTS))
        assert count <= size < count + max(64, count / 4)
        found.add(size)
    assert len(found) < 20
    for count in (1, 58, 59, 300):
        more = model.engine.reserve(state, count)
        assert more["position"].shape[1] >= 6 + count
        assert more["position"].shape[1] % 64 == 0
        assert (more["position"].numpy()[:, 6:] == -1).all()
        hidden, _ = model.engine.stepper()(tf.constant(IDS[:, 6]), more)
        np.testing.assert_allclose(hidden, whole(model)[:, 6], atol=1e-5)
        # Where there is room already, there is nothing to do.
        assert sizes(model.engine.reserve(more, 1)) == sizes(more)
    assert model.engine.reserve(model.initial_state(0), 5)["keys"].shape == (0, 2, 4, 64, 4)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_cache_may_have_another_precision(policy):
    plain, rounded = make(dtype=policy), make(dtype=policy, cache_dtype="bfloat16")
    exact = make(dtype=policy, cache_dtype="float32")
    rounded.set_weights(plain.get_weights())
    exact.set_weights(plain.get_weights())

    def stepped(model):
        _, state = model.engine.hidden_states(IDS[:, :6], model.initial_state(BATCH))
        hidden, state = model.engine.stepper()(
            tf.constant(IDS[:, 6]), model.engine.reserve(state, 1)
        )
        return tf.cast(hidden, tf.float32).numpy(), state["keys"].dtype

    (first, name), (second, other), (third, last) = map(stepped, (plain, rounded, exact))
    # bfloat16 is kept as its bits.
    own = tf.float32 if policy == "float32" else tf.uint16
    assert (name, other, last) == (own, tf.uint16, tf.float32)
    np.testing.assert_allclose(second, first, atol=0.1)
    assert np.array_equal(first, second if policy == "mixed_bfloat16" else third)


# Generation: one text and the logits of `model(...)` on the whole of it


def forced(model, prompt, text):
    """The likeliest token at each position behind a prompt, the text before it given."""
    ids = np.concatenate([model.tokenizer.encode("\n"), model.tokenizer.encode(text)])
    logits = model(tf.constant(ids[None, :-1].astype("int32")))[0].numpy()
    likeliest = logits[:, 1:].argmax(axis=-1) + 1  # 0 is unknown, which is never drawn
    return TOKENIZER.decode(likeliest[len(prompt) :])


PROMPTS = ["", "abc", "cab dea\nfgh ab"]


@pytest.fixture(scope="module")
def model():
    return make(layers=1, conv=2, kv_heads=2, generation={"max_new_tokens": 30, "temperature": 0})


def test_a_text_is_what_the_model_finds_likeliest(model):
    for prompt, text in zip(PROMPTS, model.generate(PROMPTS), strict=True):
        assert len(text) == len(prompt) + 30
        assert text[len(prompt) :] == forced(model, prompt, text)


@pytest.mark.long
@as_graphs
def test_texts_of_a_batch_and_of_a_stream_are_those_of_each_alone(model):
    together = model.generate(PROMPTS)
    assert [model.generate(prompt) for prompt in PROMPTS] == together
    assert ["".join(model.stream(prompt)) for prompt in PROMPTS] == together
    drawn = model.generate(PROMPTS, temperature=1.0, seed=3)
    assert model.generate(PROMPTS[0], temperature=1.0, seed=3) == drawn[0] != together[0]
    assert "".join(model.stream(PROMPTS[0], temperature=1.0, seed=3)) == drawn[0]


@pytest.mark.long
@as_graphs
def test_a_second_call_of_the_same_bucket_compiles_nothing(model):
    def traces():
        engine, graphs = model.engine, model.graphs
        graphs = (
            engine.decode,
            engine.decode_single,
            graphs.begin_graph,
            graphs.generate_graph(False),
        )
        return [graph.experimental_get_tracing_count() for graph in graphs]

    model.generate(PROMPTS)
    "".join(model.stream("abc"))
    before = traces()
    model.generate(["a", "abcdefgh", "ab"], 64, 0.5, 3, 0.9, seed=2)
    "".join(model.stream("abcdefghabcdefghabcdefgh", 60, 0.5, stop=["ab"], seed=2))
    assert traces() == before
    # What XLA compiles for are the sizes of what enters the loop.
    found = set()
    for prompts in (["", ""], ["a", "abcdefgh"], ["abcdefgh" * 7, "abc"]):
        sampling = model.graphs.sampling(1.0, 0, 1.0, 0.0, 1.0, tf.constant(["ab"]))
        carry = model.graphs.begin(tf.constant(prompts), sampling, 1, 30, 64, {})
        found.add(str(sizes(carry)))
    assert len(found) == 1


@pytest.mark.long
def test_a_window_generates_on_and_on(monkeypatch):
    small_slots(monkeypatch, 8)  # a ring of 16, which so wraps several times
    model = make(window=8, conv=3, layers=1)
    prompts = ["ab", "abcdefgh\nab cd ef gh hgfedcba dcba"]
    for prompt, text in zip(prompts, model.generate(prompts, 60, temperature=0), strict=True):
        assert text[len(prompt) :] == forced(model, prompt, text)
    assert model.engine.reserve(model.initial_state(1), 60)["position"].shape == (1, 16)


def test_smaller_weights_are_those_that_it_then_has():
    model, exact = make(num_classes=2), make(num_classes=2)
    model.quantize_weights("int8")
    changed = {
        mine.path for mine, theirs in zip(model.weights, exact.weights) if np.any(mine != theirs)
    }
    assert changed == {w.path for w in exact.weights if w.path.endswith("_kernel")}
    for mine, theirs in zip(model.weights, exact.weights):
        scale = np.abs(theirs).max(axis=0)
        assert (np.abs(mine - theirs) <= scale / 254 * 1.001).all()
    # The loop over a single text reads the small ones, everything else the rounded ones.
    _, state = model.engine.hidden_states(IDS[:1, :6], model.initial_state(1))
    hidden, _ = model.engine.stepper()(tf.constant(IDS[:1, 6]), model.engine.reserve(state, 1))
    np.testing.assert_allclose(hidden, whole(model, IDS[:1])[:, 6], atol=1e-5)
    assert 1e-4 < np.abs(whole(model) - whole(exact)).max() < 0.5


def test_weights_of_float32_stay_and_others_are_refused(model):
    before = model.get_weights()
    model.quantize_weights("float32")
    for mine, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(InputError, match="Unknown dtype of weights 'int4'"):
        model.quantize_weights("int4")
    rnn = new_model("lstm", units=4, layers=1)
    with pytest.raises(InputError, match="Received: dtype='int8'$"):
        rnn.quantize_weights("int8")


# Learned positions end


@pytest.fixture(scope="module")
def learned():
    return make(positions="learned", max_length=20, layers=1)


def too_long(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert message.startswith("Too long: this model has 20 positions (max_length)")
    assert "\n" not in message
    return int(message.rpartition("Received: tokens=")[2])


def test_a_text_longer_than_the_learned_positions_is_refused(learned):
    text = "abcdefgh ab cd ef gh"
    assert len(text) == 20
    assert too_long(learned.generate, text[:16], 5) == 21
    assert too_long(learned.generate, ["", text[:16], "a"], 5, num_samples=2) == 21
    assert too_long(learned.generate, text) == 21  # no room for a single token
    assert too_long(learned.stream, text) == 21
    assert too_long(learned.stream, text[:16], 5) == 21
    assert too_long(learned.score, ["a", text + "a"]) == 21
    assert too_long(learned.encode, text) == 21  # the line break before it has a position as well
    learned.score(["", text])
    learned.encode(text[:19])
    assert len(learned.score([])["characters"]) == 0
    generated = learned.generate(text[:16], 4, temperature=0)
    assert generated[16:] == forced(learned, text[:16], generated)
    pieces = learned.stream(text[:16], 4, temperature=0)
    assert "".join(pieces) == generated


def test_the_message_says_what_to_change(learned):
    with pytest.raises(
        InputError, match="longest prompt has 8 tokens, so max_new_tokens can be at"
    ):
        learned.generate("abcdefgh", 200)
    with pytest.raises(InputError, match="at most 19 tokens here, and the longest has 30: shorten"):
        learned.generate("a" * 30)


@pytest.mark.long
def test_a_default_is_no_more_than_there_is_room_for(learned):
    # Each text as far as its own prompt lets it, as it would be alone.
    prompts = ["", "abcdefgh", "a b c d e f g h i j"]
    texts = learned.generate(prompts, temperature=0)
    assert [len(text) for text in texts] == [20, 20, 20]
    assert texts == [learned.generate(prompt, temperature=0) for prompt in prompts]
    assert texts[1] == learned.generate(prompts[1], 12, temperature=0)
    assert "".join(learned.stream(prompts[1], temperature=0)) == texts[1]
    drawn, stop = texts[1][8:], texts[1][9]
    stopped = learned.generate(prompts, temperature=0, stop=[stop])
    assert stopped[1] == prompts[1] + drawn.partition(stop)[0]


@pytest.mark.long
@as_graphs
def test_a_served_default_is_no_more_than_there_is_room_for(learned, tmp_path):
    learned.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served")).signatures
    texts = served["serving_default"](prompts=tf.constant(["", "abcdefgh"]))["texts"]
    assert [len(text.decode()) for text in texts.numpy()] == [20, 20]


@pytest.mark.long
def test_searches_refuse_it_as_well(learned):
    from tfgen.sampling.search import BeamSearch, ContrastiveSearch

    for search in (BeamSearch(num_beams=2), ContrastiveSearch(top_k=2)):
        assert too_long(learned.generate, "abcdefgh", 15, search=search) == 23
        assert [len(t) for t in learned.generate(["abcdefgh", "a"], search=search)] == [20, 13]


def test_a_window_longer_than_the_learned_positions_is_refused(learned):
    ids = np.ones([2, 21], np.int32)
    for call in (learned, lambda ids: learned.batch_loss((ids, ids))):
        with pytest.raises(
            ValueError, match=r"max_length == 20 positions long\. Received: window=21"
        ):
            call(tf.constant(ids))
        call(tf.constant(ids[:, :20]))
    learned.compile(jit_compile=False)
    with pytest.raises(ValueError, match="Received: window=21"):
        learned.fit(np.ones([2, 22], np.int32), verbose=0)
    assert not learned.state_is_constant
    assert not make(positions="learned", window=5).state_is_constant
    assert make(window=5).state_is_constant and not make().state_is_constant


# Scores and embeddings


def test_scores_are_the_sum_of_the_log_probabilities_however_long_the_text():
    generator = np.random.default_rng(1)
    texts = ["a", "", "".join(generator.choice(list("abcde \n"), 600))]
    for options in ({}, {"window": 5, "conv": 3}, {"positions": "alibi"}):
        model = make(layers=1, **options)
        for text, found in zip(texts, model.score(texts)["log_likelihood"], strict=True):
            ids = np.concatenate([TOKENIZER.encode("\n"), TOKENIZER.encode(text)]).astype("int32")
            logits = model(tf.constant(ids[None])).numpy()[0, :-1].astype("float64")
            log_probability = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            expected = log_probability[np.arange(len(text)), ids[1:]].sum()
            assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["transformer", "ring", "rnn"])
def test_an_embedding_is_the_mean_or_the_last_of_the_hidden_states(kind):
    if kind == "rnn":
        model = new_model("lstm", units=6, layers=1, tokenizer=TOKENIZER, seed=1)
    else:
        model = make(window=3 if kind == "ring" else 0)
    texts = ["abc", "", "hgf edc\nab"]
    found = {pooling: model.encode(texts, pooling=pooling) for pooling in ("mean", "last")}
    for row, text in enumerate(texts):
        ids = np.concatenate([TOKENIZER.encode("\n"), TOKENIZER.encode(text)]).astype("int32")
        hidden = whole(model, ids[None])[0]
        np.testing.assert_allclose(found["mean"][row], hidden.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(found["last"][row], hidden[-1], atol=1e-5)
    assert found["mean"].dtype == np.float32 and found["mean"].shape == (3, hidden.shape[-1])
    np.testing.assert_allclose(model.encode("abc"), found["mean"][0], atol=1e-6)
    assert model.encode([]).shape == (0, hidden.shape[-1])
    with pytest.raises(InputError, match="Unknown pooling 'first'"):
        model.encode("abc", pooling="first")


# Training


def batch(ids=IDS, targets=TARGETS):
    return tf.constant(ids), tf.constant(targets)


def gradients(model, data=None, **kwargs):
    with tf.GradientTape() as tape:
        loss, _ = model.batch_loss(data or batch(), KEY, training=True, **kwargs)
    found = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    return loss, [tf.convert_to_tensor(gradient) for gradient in found]


def test_the_loss_is_the_mean_cross_entropy_and_a_pure_function_of_batch_and_key():
    model = make(dropout=0.5)
    logits = model(IDS).numpy().astype("float64")
    log_probability = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    nats = -np.take_along_axis(log_probability, TARGETS[..., None], axis=-1)

    def loss(key=None, training=True):
        return float(model.batch_loss(batch(), key, training=training)[0])

    assert loss(training=False) == pytest.approx(nats.mean(), rel=1e-5)
    assert loss(KEY) == loss(KEY) != loss(random.fold(KEY, 1))
    assert loss(KEY, training=False) == loss(training=False) != loss(KEY)


@pytest.mark.long
@as_graphs
def test_pieces_compiled_by_xla_and_the_whole_step_have_the_same_gradients(monkeypatch):
    monkeypatch.setattr(TransformerNetwork, "jit_compile_training", False)
    model = make(
        layers=1, dropout=0.2, attention_dropout=0.1, conv=2, qk_norm=True, condition_width=2,
        condition_dropout=0.5,
    )  # fmt: skip
    data = (*batch(), tf.random.stateless_normal([BATCH, 3, 2], [1, 2]))
    loss, pieces = gradients(model, data)
    plain = model.batch_loss(data)[0]
    assert abs(loss - plain) > 1e-3  # dropout is on
    monkeypatch.setattr(TransformerNetwork, "jit_compile_training", True)
    compiled = tf.function(lambda: gradients(model, data), jit_compile=True, autograph=False)
    other, everything = compiled()
    np.testing.assert_allclose(loss, other, rtol=1e-5)
    for weight, mine, theirs in zip(model.trainable_weights, pieces, everything, strict=True):
        assert np.isfinite(mine).all() and np.abs(mine).max() > 1e-7, weight.path
        np.testing.assert_allclose(mine, theirs, atol=1e-5, err_msg=weight.path)


@pytest.mark.parametrize("policy,jit", [("float32", True), ("mixed_bfloat16", False)])
def test_the_step_is_compiled_whole_where_that_is_faster(policy, jit):
    assert make(dtype=policy).jit_compile_training == jit


EVERYTHING = {
    "layers": 1, "kv_heads": 2, "head_width": 6, "mlp": "swiglu", "mlp_width": 20, "norm": "layer",
    "norm_epsilon": 1e-3, "positions": "learned", "max_length": 40,
    "window": 4, "dropout": 0.1, "attention_dropout": 0.2, "tie_embeddings": False, "bias": True,
    "qk_norm": True, "conv": 2, "cache_dtype": "bfloat16", "condition_width": 3,
    "condition_dropout": 0.3,
}  # fmt: skip


def test_every_weight_gets_a_gradient():
    condition = np.random.default_rng(2).normal(size=(BATCH, 2, 3)).astype("float32")
    model = make(**{**EVERYTHING, "condition_dropout": 0.5})
    _, found = gradients(model, (*batch(), tf.constant(condition)))
    for weight, gradient in zip(model.trainable_weights, found, strict=True):
        assert np.isfinite(gradient).all(), weight.path
        # A key's bias adds the same to each score of a query without rotation.
        assert np.abs(gradient).max() > 1e-7 or "key_bias" in weight.path, weight.path


def test_the_state_goes_from_window_to_window():
    model = make(window=4, conv=3)
    ids = np.concatenate([IDS, TARGETS], axis=1)
    whole, none = model.batch_loss(batch(ids[:, :-2], ids[:, 1:-1]))
    assert none is None
    state, total = model.initial_state(BATCH), 0
    for first in (0, 11):
        piece = batch(ids[:, first : first + 11], ids[:, first + 1 : first + 12])
        loss, state = model.batch_loss(piece, state=state)
        total += loss / 2
        assert state["position"].shape == (BATCH, 3)
    np.testing.assert_allclose(total, whole, rtol=1e-5)


def toy_windows(count=48, length=12):
    ids = TOKENIZER.encode("abcdefgh\n" * (count * length))
    return np.stack([ids[i * 5 : i * 5 + length + 1] for i in range(count)])  # uint8


@pytest.mark.long
@as_graphs
def test_fit_learns_a_toy_text_in_bfloat16():
    model = new_model(
        "transformer", layers=1, heads=2, width=16, tokenizer=TOKENIZER, dropout=0.05, seed=1,
        dtype="mixed_bfloat16",
    )  # fmt: skip
    model.compile(keras.optimizers.AdamW(1e-2))
    assert not model.jit_compile
    history = model.fit(toy_windows(), batch_size=16, epochs=25, verbose=0).history["loss"]
    assert history[0] > 1.5 and history[-1] < 0.5
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model(IDS).dtype == tf.bfloat16
    loss = model.evaluate(toy_windows(16), batch_size=16, verbose=0)
    exact = new_model("transformer", layers=1, heads=2, width=16, tokenizer=TOKENIZER)
    exact.set_weights(model.get_weights())
    windows = toy_windows(16)
    expected, _ = exact.batch_loss((windows[:, :-1], windows[:, 1:]))
    assert loss == pytest.approx(float(expected), abs=0.02)


def test_activations_are_those_of_the_blocks():
    model = make()
    outputs = model.activations(tf.constant(IDS))
    assert list(outputs) == ["block_0", "block_1"]
    np.testing.assert_allclose(
        model.network.final_norm(outputs["block_1"]), whole(model), atol=1e-6
    )
