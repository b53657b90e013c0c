"""generate, stream and score against plain arithmetic on the logits of `model(...)`."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.models import make as new_model
from tfgen.preprocessing import ByteTokenizer, CharacterTokenizer
from tfgen.sampling import decode as decoding
from tfgen.sampling import random

CHARACTERS = CharacterTokenizer("\n abcdeé")
NEW = 24


def make(tokenizer, favoured=None, **options):
    """A model whose next token is neither certain nor a matter of chance alone."""
    model = new_model("lstm", tokenizer=tokenizer, units=12, layers=1, seed=1, **options)
    kernel, bias = model.engine.emission.head.get_weights()
    kernel = np.random.default_rng(0).normal(size=kernel.shape) * 4
    if favoured is not None:
        bias = bias - 30
        bias[list(favoured)] += 30
    model.engine.emission.head.set_weights([kernel, bias])
    return model


@pytest.fixture(scope="module")
def model():
    return make(CHARACTERS, generation={"max_new_tokens": NEW})


@pytest.fixture(scope="module")
def bytes_model():
    """Mostly writes a, b, parts of é (2 bytes) and of the letter deseret ew (4 bytes)."""
    return make(ByteTokenizer(), b"ab\xc3\xa9\xf0\x90\x90\xb7", cell="gru", attention=3)


def logits_after(model, texts):
    """Logits `(time + 1, vocabulary)` after the start and after each token of a text's."""
    ids = np.concatenate(
        [model.tokenizer.encode("\n"), *(model.tokenizer.encode(t) for t in texts)]
    )
    return model(tf.constant(ids[None].astype("int32"))).numpy()[0]


def drawn(model, prompt, text):
    """The tokens behind the prompt, and the logits that each was drawn from."""
    assert text.startswith(prompt)
    new = text[len(prompt) :]
    ids = model.tokenizer.encode(new)
    return ids, logits_after(model, [prompt, new])[-len(ids) - 1 : -1]


# What the arguments mean


PROMPTS = ["", "a", "abc dé\nab", "Zürich ❤ \x00!"]


@pytest.mark.parametrize(
    "greedy",
    [{"temperature": 0}, {"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}],
    ids=lambda options: next(iter(options)),
)
def test_greedy_takes_the_likeliest_token_at_each_position(model, greedy):
    for prompt, text in zip(PROMPTS, model.generate(PROMPTS, seed=3, **greedy), strict=True):
        ids, logits = drawn(model, prompt, text)
        assert len(ids) == NEW
        assert logits[:, 1:].argmax(axis=-1).tolist() == (ids - 1.0).tolist()  # 0 is unknown


@pytest.mark.long
def test_sampled_tokens_are_those_of_the_noise_and_the_logits(model):
    # The whole of the sampling once more: Gumbel noise of token n in row r, from the seed alone.
    for temperature in (0.5, 1.0):
        texts = model.generate(PROMPTS, temperature=temperature, seed=9)
        for row, (prompt, text) in enumerate(zip(PROMPTS, texts)):
            ids, logits = drawn(model, prompt, text)
            for number, token in enumerate(ids):
                key = random.fold(random.root(9, random.SAMPLING), number)
                noise = random.gumbel(key, [len(PROMPTS), len(CHARACTERS.symbols)]).numpy()[row]
                assert (logits[number] / temperature + noise)[1:].argmax() + 1 == token


@pytest.mark.exhaustive
def test_the_frequencies_are_the_softmax(model):
    rows, temperature = 4000, 0.7
    first = model.generate(
        "ab", 1, temperature=temperature, num_samples=rows, seed=0, strip_prompt=True
    )
    assert len(first) == rows
    logits = logits_after(model, ["ab"])[-1, 1:].astype("float64") / temperature
    probability = np.exp(logits - logits.max())
    probability /= probability.sum()
    counts = np.bincount([CHARACTERS.encode(text)[0] for text in first], minlength=9)
    assert counts[0] == 0  # the unknown token is never drawn
    assert (probability * rows > 5).all()
    assert scipy.stats.chisquare(counts[1:], probability * rows).pvalue > 1e-3


@pytest.mark.long
def test_unknown_is_never_drawn_even_where_it_is_the_likeliest():
    model = make(CHARACTERS)
    kernel, bias = model.engine.emission.head.get_weights()
    bias[0] = 100.0
    model.engine.emission.head.set_weights([kernel, bias])
    for temperature in (0, 1.0):
        assert "\ufffd" not in model.generate("a", NEW, temperature, seed=1)


@pytest.mark.exhaustive
def test_max_new_tokens_counts_tokens(model, bytes_model):
    for number in (1, 7, 63, 64, 65):
        assert len(model.generate("ab", number, seed=1, strip_prompt=True)) == number
    whole = model.generate("ab", 60, seed=1)
    assert model.generate("ab", 20, seed=1) == whole[:22]
    text = bytes_model.generate("é", 20, temperature=0, strip_prompt=True)
    assert len(text.encode()) >= 20  # a U+FFFD for an invalid byte takes three


@pytest.mark.exhaustive
def test_a_large_repetition_penalty_repeats_nothing():
    # Every logit is positive, so the penalty brings what was there below what was not.
    model = make(CHARACTERS)
    kernel, bias = model.engine.emission.head.get_weights()
    model.engine.emission.head.set_weights([kernel, bias + 100])
    text = model.generate("ab\n", 5, repetition_penalty=1e6, seed=1, strip_prompt=True)
    assert sorted(text) == sorted(" cdeé")
    # The start of the line before the prompt was written by nobody.
    text = model.generate("ab", 6, repetition_penalty=1e6, seed=1, strip_prompt=True)
    assert sorted(text) == sorted("\n cdeé")


@pytest.mark.long
def test_num_samples_and_types(model):
    assert isinstance(model.generate("ab", seed=1), str)
    two = model.generate("ab", seed=1, num_samples=2)
    assert isinstance(two, list) and len(set(two)) == 2
    assert model.generate(["ab"], seed=1) == [model.generate("ab", seed=1)]
    rows = model.generate(["ab", "c"], seed=1, num_samples=3)
    assert [len(row) for row in rows] == [3, 3]
    assert all(text.startswith("c") for text in rows[1])
    assert model.generate(("ab", "c"), seed=1) == model.generate(["ab", "c"], seed=1)
    assert model.generate(np.array(["ab", "c"]), seed=1) == model.generate(["ab", "c"], seed=1)
    assert model.generate([]) == []
    assert model.generate(seed=1) == model.generate("", seed=1)


def test_strip_prompt(model):
    whole = model.generate(PROMPTS, seed=2)
    rest = model.generate(PROMPTS, seed=2, strip_prompt=True)
    assert [p + text for p, text in zip(PROMPTS, rest)] == whole
    assert all(len(text) == NEW for text in rest)


def test_the_seed(model):
    assert model.generate("ab", seed=5) == model.generate("ab", seed=5)
    texts = {model.generate("ab", seed=seed) for seed in (0, 1, -1, 2**63, np.int64(7), None, None)}
    assert len(texts) == 7
    # Unsigned and signed spellings of the same 64 bits.
    assert model.generate("ab", seed=2**64 - 1) == model.generate("ab", seed=-1)


@pytest.mark.parametrize("prompts", [3, None, ["a", 3], b"a", "\ud800"], ids=str)
def test_bad_prompts(model, prompts):
    for call in (model.generate, model.score):
        with pytest.raises(InputError, match="Received: "):
            call(prompts)
    with pytest.raises(InputError, match="Received: num_samples=0"):
        model.generate("a", num_samples=0)
    for prompt in (prompts, ["a"]):
        with pytest.raises(InputError, match="Received: prompt="):
            model.stream(prompt)


# Batches


@pytest.mark.long
def test_a_prompt_gives_in_a_batch_what_it_gives_alone(model, bytes_model):
    for chosen in (model, bytes_model):
        together = chosen.generate(PROMPTS, NEW, temperature=0)
        assert together == [chosen.generate(prompt, NEW, temperature=0) for prompt in PROMPTS]


@pytest.mark.long
def test_a_second_call_of_the_same_bucket_is_not_traced_again():
    model = make(CHARACTERS)

    def traces():  # the loop over several rows, and that over a single one
        loops = model.engine.decode, model.engine.decode_single
        return [loop.experimental_get_tracing_count() for loop in loops]

    model.generate(["ab", "c"], 40, seed=1)
    first = traces()
    model.generate(
        ["abcdeabcdeabcdeabcde", ""], 64, 0.5, 3, 0.9, 0.1, 1.2, stop=["abc", "d"], seed=2
    )
    model.generate(["a", "b"], 3, temperature=0, strip_prompt=True)
    model.generate(["a", "b"], 80, num_samples=2)
    assert model.graphs.generate_graph(False).experimental_get_tracing_count() == 1
    assert traces() == first == [1, 0]  # a loop that is not run is not traced
    model.generate("a", 3)
    assert traces() == [1, 1]


@pytest.mark.exhaustive
def test_a_stream_is_traced_once():
    model = make(CHARACTERS)
    "".join(model.stream("ab", 30, seed=1))
    "".join(model.stream("abcdeabcdeabcdeabcde", 61, 0.5, 3, 0.9, 0.1, 1.2, stop=["abc"], seed=2))
    assert model.engine.decode_single.experimental_get_tracing_count() == 1
    assert model.graphs.begin_graph.experimental_get_tracing_count() == 1


# Stop texts


def cut(text, stops):
    """The text before the first stop text that is complete; of several, the longest."""
    for end in range(1, len(text) + 1):
        hits = [stop for stop in stops if stop and text[:end].endswith(stop)]
        if hits:
            return text[: end - max(map(len, hits))]
    return text


@pytest.mark.long
def test_stop_texts_cut_the_text_where_they_first_appear(model):
    free = model.generate("ab", 60, seed=1, strip_prompt=True)
    for stops in [
        free[5],
        [free[7:10], "ZZZ"],
        [free[20:39], free[30:33]],  # 19 characters, but the short one comes first
        [free[10:29]],
        ["ZZZ", "é" * 30],  # never
        [free[9:12], free[10:12], free[11]],
        [],
    ]:
        expected = cut(free, [stops] if isinstance(stops, str) else stops)
        options = {"max_new_tokens": 60, "seed": 1, "stop": stops}
        assert model.generate("ab", **options, strip_prompt=True) == expected, stops
        assert model.generate("ab", **options) == "ab" + expected
        assert "".join(model.stream("ab", **options)) == "ab" + expected
    assert expected == free


def test_a_stop_text_in_the_prompt_stops_nothing(model):
    free = model.generate("abc", 30, seed=1, strip_prompt=True)
    assert len(model.generate("abc", 30, seed=1, stop="abc")) == 3 + len(cut(free, ["abc"]))
    # Nor one that begins in it.
    over = "c" + free[0]
    assert model.generate("abc", 30, seed=1, stop=over, strip_prompt=True) == cut(free, [over])


def test_rows_stop_each_for_itself(model):
    free = model.generate(PROMPTS, 30, seed=1, strip_prompt=True)
    stops = [free[0][8:10], free[2][3:5]]
    stopped = model.generate(PROMPTS, 30, seed=1, stop=stops, strip_prompt=True)
    assert stopped == [cut(text, stops) for text in free]
    assert len(set(map(len, stopped))) > 1


# Streams


@pytest.mark.long
def test_a_stream_gives_the_text_of_generate(model, bytes_model):
    generator = np.random.default_rng(0)
    for case in range(24):
        chosen = [model, bytes_model][case % 2]
        prompt = str(generator.choice(["", "a", "ab é", "𐐷b\n"]))
        options = {
            "max_new_tokens": int(generator.choice([1, 7, 8, 9, 30])),
            "temperature": float(generator.choice([0, 0.7, 1.5])),
            "top_k": int(generator.choice([0, 3])),
            "repetition_penalty": float(generator.choice([1.0, 1.3])),
            "stop": [[], ["a"], ["é"], ["ab"]][generator.integers(4)],
            "seed": case,
            "strip_prompt": bool(generator.integers(2)),
        }
        pieces = list(chosen.stream(prompt, **options))
        assert "".join(pieces) == chosen.generate(prompt, **options), options
        assert all(pieces)  # no empty ones


@pytest.mark.long
def test_a_stream_comes_in_pieces_and_tells_no_more_than_is_certain(model):
    pieces = list(model.stream("ab", 40, seed=1))
    assert pieces[0] == "ab" and len(pieces) > 4
    free = "".join(pieces[1:])
    for length in (1, 3, 12):
        for start in range(4, 24):  # across the borders of the chunks of eight
            stop = free[start : start + length]
            assert "".join(model.stream("ab", 40, stop=stop, seed=1))[2:] == cut(free, [stop])


@pytest.mark.long
def test_a_stream_yields_whole_characters():
    """Four-byte characters never come apart at the chunks' borders of eight tokens."""
    model = make(ByteTokenizer(), [])
    cycle = "𐐷a".encode() + "é".encode()  # 7 bytes
    kernel, bias = model.engine.emission.head.get_weights()
    model.engine.emission.head.set_weights([kernel * 0, bias])
    logits = tf.one_hot(list(cycle * 10), 256) * 100.0

    # The text is given; only how it is cut into pieces is of interest.
    def step(ids, state):
        position = state["position"] + 1
        return tf.gather(logits, position), {"position": position}

    def begin(prompts, sampling, *_):
        state = {"position": tf.zeros([1], tf.int32)}
        return decoding.start(state, logits[:1], tf.zeros([1, 256], tf.bool), sampling.stops)

    model.engine.stepper = lambda: step
    model.engine.logits = lambda hidden: hidden
    model.graphs.begin_graph = begin
    text = cycle.decode() * 10
    pieces = list(model.stream("", 70, temperature=0))
    assert "".join(pieces) == text and len(pieces) >= 8
    assert all("\ufffd" not in piece for piece in pieces)
    for stop in ("é", "a", "𐐷", "aé𐐷"):
        assert "".join(model.stream("", 70, temperature=0, stop=stop)) == cut(text, [stop])
    # What is left incomplete at the very end is one U+FFFD.
    assert "".join(model.stream("", 9, temperature=0)) == "𐐷aé\ufffd"


# Scores


def nats_of(model, text):
    ids = model.tokenizer.encode(text)
    logits = logits_after(model, [text])[:-1].astype("float64")
    log_probability = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -log_probability[np.arange(len(ids)), ids].sum()


@pytest.mark.long
def test_scores_are_the_sum_of_the_log_probabilities(model, bytes_model):
    texts = ["a", "", "abc dé\nab", "Zürich", "ab" * 40]
    for chosen in (model, bytes_model):
        scores = chosen.score(texts)
        nats = np.array([nats_of(chosen, text) for text in texts])
        np.testing.assert_allclose(scores["log_likelihood"], -nats, rtol=1e-5)
        assert scores["characters"].tolist() == [1, 0, 9, 6, 80]
        filled = scores["characters"] > 0
        per_character = nats[filled] / scores["characters"][filled]
        np.testing.assert_allclose(scores["nats_per_character"][filled], per_character, rtol=1e-5)
        bits = scores["nats_per_character"][filled] / np.log(2)
        np.testing.assert_allclose(scores["bits_per_character"][filled], bits, rtol=1e-12)
        assert np.isnan(scores["nats_per_character"][1]) and scores["log_likelihood"][1] == 0


@pytest.mark.exhaustive
def test_a_long_text_has_the_score_of_one_pass(model, bytes_model):
    generator = np.random.default_rng(1)
    for length in (255, 256, 257, 512, 700):
        text = "".join(generator.choice(list("abcde \n"), length))
        for chosen in (model, bytes_model):
            score = chosen.score([text, "a"])["log_likelihood"]
            np.testing.assert_allclose(score[0], -nats_of(chosen, text), rtol=1e-5)
            np.testing.assert_allclose(score[1], -nats_of(chosen, "a"), rtol=1e-5)


def test_the_score_of_one_text_is_numbers(model):
    score = model.score("abc")
    assert {name: np.ndim(value) for name, value in score.items()} == dict.fromkeys(
        ["log_likelihood", "nats_per_character", "bits_per_character", "characters"], 0
    )
    assert score["log_likelihood"] == pytest.approx(model.score(["abc"])["log_likelihood"][0])
    assert all(len(value) == 0 for value in model.score([]).values())
