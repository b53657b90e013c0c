"""`RecurrentNetwork` against stock Keras layers on the same weights, and what it trains on."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from tfgen.layers.products import look_up
from tfgen.models import make as new_model
from tfgen.models.files import config_of
from tfgen.networks import RecurrentNetwork
from tfgen.preprocessing import CharacterTokenizer
from tfgen.sampling import random

TOKENIZER = CharacterTokenizer("\n abcdefgh")
VOCABULARY = 11
BATCH, TIME, UNITS = 3, 7, 6
IDS = np.random.default_rng(0).integers(0, VOCABULARY, (BATCH, TIME)).astype("int32")
TARGETS = np.random.default_rng(1).integers(0, VOCABULARY, (BATCH, TIME)).astype("int32")
KEY = random.root(5, random.DROPOUT)
EVERYTHING = {"layer_norm": True, "residual": True, "tie_embeddings": True, "attention": 3}
OPTIONS = {
    "lstm": {},
    "gru": {"cell": "gru"},
    "one layer": {"layers": 1},
    "embedding": {"embedding": 5},
    "norm": {"layer_norm": True},
    "gru norm": {"cell": "gru", "layer_norm": True, "embedding": 5},
    "residual": {"residual": True},
    "residual of one width only": {"residual": True, "embedding": 5, "cell": "gru"},
    "tied": {"tie_embeddings": True},
    "attention": {"attention": 3},
    "everything lstm": EVERYTHING,
    "everything gru": {**EVERYTHING, "cell": "gru", "layers": 3},
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
some_options = pytest.mark.parametrize(
    "options",
    [
        value if number % 4 == 0 else pytest.param(value, marks=pytest.mark.long)
        for number, value in enumerate(OPTIONS.values())
    ],
    ids=OPTIONS,
)


def make(seed=1, **options):
    """A small model whose weights are far from their initial values, biases and gains included."""
    options = {"units": UNITS, "tokenizer": TOKENIZER, **options}
    model = new_model("lstm", seed=seed, **options)
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(weight.numpy() + 0.3 * generator.normal(size=weight.shape))
    return model


def run(model, ids=IDS, state=None, **kwargs):
    ids = tf.constant(ids)
    state = model.initial_state(len(ids)) if state is None else state
    hidden, state = model.engine.hidden_states(ids, state, **kwargs)
    return hidden.numpy(), state


def stock(model, ids):
    """The logits of the same network, put together from layers of Keras."""

    def twin(new, mine, shape):
        new.build(shape)
        new.set_weights(mine.get_weights())
        return new

    def norm(index, x):
        if not model.network.layer_norm:
            return x
        return twin(keras.layers.LayerNormalization(), model.network.norms[index], x.shape)(x)

    width = model.token_embedding.output_dim
    embedding = twin(keras.layers.Embedding(VOCABULARY, width), model.token_embedding, (None, None))
    x = embedding(ids)
    for index, mine in enumerate(model.network.recurrent):
        cls = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[model.network.cell]
        new = twin(cls(model.network.units, return_sequences=True, use_cudnn=False), mine, x.shape)
        y = new(norm(index, x))
        x = x + y if model.network.residual and x.shape[-1] == y.shape[-1] else y
    x = norm(-1, x)
    if model.network.attention:  # has its own test against NumPy
        x, _ = model.network.past_attention(
            x, model.network.past_attention.initial_state(len(ids), model.network.units)
        )
    if model.engine.emission.tie_embeddings:
        return (x @ tf.transpose(embedding.embeddings)).numpy()
    return twin(keras.layers.Dense(VOCABULARY), model.engine.emission.head, x.shape)(x).numpy()


@some_options
def test_equals_stock_keras(options):
    model = make(**options)
    logits = model(IDS).numpy()
    assert logits.shape == (BATCH, TIME, VOCABULARY)
    np.testing.assert_allclose(logits, stock(model, IDS), atol=1e-5)


@some_options
def test_position_by_position_equals_the_whole_sequence(options):
    model = make(**options)
    hidden, last = run(model)
    expected = model.engine.logits(hidden).numpy()
    step, state = model.engine.stepper(), model.initial_state(BATCH)
    for position in range(TIME):
        hidden, state = step(tf.constant(IDS[:, position]), state)
        np.testing.assert_allclose(model.engine.logits(hidden), expected[:, position], atol=1e-5)
    tf.nest.assert_same_structure(state, last)
    for mine, theirs in zip(tf.nest.flatten(state), tf.nest.flatten(last)):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {**EVERYTHING, "cell": "gru"}], ids=["plain", "everything"]
)
def test_two_pieces_with_the_state_carried_equal_the_whole(options):
    model = make(**options)
    whole, _ = run(model)
    for cut in (1, 4):
        first, state = run(model, IDS[:, :cut])
        second, _ = run(model, IDS[:, cut:], state)
        np.testing.assert_allclose(np.concatenate([first, second], 1), whole, atol=1e-6)
        fresh, _ = run(model, IDS[:, cut:])
        assert np.abs(fresh - second).max() > 1e-3  # the state matters


@pytest.mark.parametrize(
    "options", [{}, {**EVERYTHING, "cell": "gru"}], ids=["plain", "everything"]
)
def test_a_padded_row_gives_what_it_gives_alone(options):
    model = make(**options)
    lengths = [7, 3, 1]
    mask = tf.constant(np.arange(TIME)[None] < np.array(lengths)[:, None])
    hidden, state = run(model, mask=mask)
    for row, length in enumerate(lengths):
        alone, last = run(model, IDS[row : row + 1, :length])
        np.testing.assert_allclose(hidden[row, :length], alone[0], atol=1e-6)
        for mine, theirs in zip(
            tf.nest.flatten(state["recurrent"]), tf.nest.flatten(last["recurrent"])
        ):
            np.testing.assert_allclose(mine[row], theirs[0], atol=1e-6)
    # And it goes on as it would alone.
    again, _ = run(model, state=state)
    for row, length in enumerate(lengths):
        both = np.concatenate([IDS[row, :length], IDS[row]])[None]
        np.testing.assert_allclose(again[row], run(model, both)[0][0, length:], atol=1e-5)


@pytest.mark.parametrize("vocabulary", [1024, 1025])
def test_looking_up_rows_has_the_gradient_of_a_gather_however_large_the_table(vocabulary):
    table = tf.constant(np.random.default_rng(0).normal(size=(vocabulary, 3)).astype("float32"))
    ids = tf.constant([[0, 5, 1023], [5, 5, vocabulary - 1]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(table)
        rows, expected = look_up(table, ids), tf.gather(table, ids)
        losses = [tf.reduce_sum(x * tf.reshape(tf.range(18.0), x.shape)) for x in (rows, expected)]
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    mine, theirs = (tf.convert_to_tensor(tape.gradient(loss, table)) for loss in losses)
    np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_a_large_vocabulary_gives_what_a_small_one_gives():
    small = make()
    tokenizer = CharacterTokenizer("".join(map(chr, range(100, 1200))))
    large = new_model("lstm", units=UNITS, tokenizer=tokenizer)
    for mine, theirs in zip(large.weights, small.weights):
        value = mine.numpy()
        value[tuple(slice(size) for size in theirs.shape)] = theirs.numpy()
        mine.assign(value)
    np.testing.assert_allclose(large(IDS)[..., :VOCABULARY], small(IDS), atol=1e-5)


# What each argument means


def shapes(model):
    return {weight.path: tuple(weight.shape) for weight in model.weights}


def test_cell_units_and_layers_make_the_layers():
    model = new_model("gru", units=5, layers=3, tokenizer=TOKENIZER)
    assert (model.network.cell, model.network.units, model.network.num_layers) == ("gru", 5, 3)
    assert [layer.units for layer in model.network.recurrent] == [5, 5, 5]
    assert [shapes(model)[f"gru_{i}/gru_cell/recurrent_kernel"] for i in range(3)] == [(5, 15)] * 3
    assert shapes(new_model("lstm", units=5, tokenizer=TOKENIZER))[
        "lstm_0/lstm_cell/recurrent_kernel"
    ] == (5, 20)


@pytest.mark.parametrize(
    "arguments,width",
    [
        ({"units": 6}, 6),
        ({"units": 130}, 128),
        ({"units": 130, "tie_embeddings": True}, 130),
        ({"units": 6, "embedding": 9}, 9),
        ({"units": 6, "embedding": 6, "tie_embeddings": True}, 6),
    ],
)
def test_the_width_of_the_embedding(arguments, width):
    model = new_model("lstm", layers=1, tokenizer=TOKENIZER, **arguments)
    assert model.token_embedding.embeddings.shape == (VOCABULARY, width)
    assert (model.engine.emission.head is None) == arguments.get("tie_embeddings", False)


def test_dropout_drops_the_same_units_at_every_position_and_keeps_the_mean():
    model = make(layers=1, units=40, dropout=0.25)
    plain, _ = run(model)
    dropped, _ = run(model, training=True, key=KEY)
    factors = dropped / plain  # (batch, time, units)
    assert np.isclose(factors, 0).any()
    assert (np.isclose(factors, 0) | np.isclose(factors, 1 / 0.75, rtol=1e-4)).all()
    np.testing.assert_allclose(factors, np.repeat(factors[:, :1], TIME, axis=1), rtol=1e-4)
    assert 0.1 < np.isclose(factors, 0).mean() < 0.4
    assert not np.array_equal(factors[0], factors[1])  # each row has its own
    np.testing.assert_array_equal(run(model, key=KEY)[0], plain)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_recurrent_dropout_drops_what_a_cell_hands_to_itself(cell):
    model = make(cell=cell, layers=1, recurrent_dropout=0.5)
    plain, _ = run(model)
    dropped, _ = run(model, training=True, key=KEY)
    # At the first position there is no output before to be dropped.
    np.testing.assert_allclose(dropped[:, 0], plain[:, 0], atol=1e-6)
    assert np.abs(dropped[:, 1:] - plain[:, 1:]).max() > 1e-3
    assert (np.abs(dropped).max(axis=(0, 1)) > 0).all()  # the output itself is not dropped
    np.testing.assert_array_equal(run(model, key=KEY)[0], plain)


def test_layer_norm_normalises_what_goes_into_the_softmax():
    model = new_model("lstm", units=UNITS, tokenizer=TOKENIZER, layer_norm=True, seed=1)
    hidden, _ = run(model)
    np.testing.assert_allclose(hidden.mean(axis=-1), 0, atol=1e-5)
    np.testing.assert_allclose(hidden.var(axis=-1), 1, atol=0.2)  # Keras adds an epsilon of 1e-3
    assert len(model.network.norms) == model.network.num_layers + 1


def test_attention_looks_back_so_many_positions():
    narrow, wide = make(attention=1), make(attention=3)
    wide.set_weights(narrow.get_weights())
    np.testing.assert_allclose(wide(IDS)[:, 0], narrow(IDS)[:, 0], atol=1e-6)
    assert np.abs(wide(IDS)[:, 1:] - narrow(IDS)[:, 1:]).max() > 1e-3
    assert [x.shape[1] for x in wide.initial_state(BATCH)["attention"]] == [2, 2]
    assert make().network.past_attention is None


def test_tied_embeddings_have_the_width_of_the_layers():
    with pytest.raises(ValueError, match=r"needs embedding == units == 4\. Received: embedding=5$"):
        new_model("lstm", units=4, embedding=5, tie_embeddings=True)


# Saving as Keras does


ODD = {
    "cell": "gru", "units": 6, "layers": 3, "embedding": 6, "dropout": 0.1, "recurrent_dropout": 0.2,
    "layer_norm": True, "residual": True, "tie_embeddings": True, "attention": 2, "seed": 9,
}  # fmt: skip


@pytest.mark.long
def test_a_keras_file_of_a_compiled_model(tmp_path):
    model = make(**{**ODD, "seed": 1}, generation={"temperature": 0.5})
    model.compile(keras.optimizers.SGD(0.25), jit_compile=False)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.network) is RecurrentNetwork
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(again(IDS), model(IDS))
    assert isinstance(again.optimizer, keras.optimizers.SGD) and not again.jit_compile
    assert again.compiled and again.optimizer.learning_rate == 0.25


# Training


def test_the_loss_is_the_mean_cross_entropy():
    model = make()
    logits = stock(model, IDS).astype("float64")
    log_probability = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    nats = -np.take_along_axis(log_probability, TARGETS[..., None], axis=-1)
    for kind in ("int32", "uint8", "int64", "uint16"):
        loss, _ = model.batch_loss(
            (tf.constant(IDS.astype(kind)), tf.constant(TARGETS.astype(kind)))
        )
        assert loss.dtype == tf.float32
        np.testing.assert_allclose(loss, nats.mean(), rtol=1e-5)


def test_labels_are_smoothed_in_training_alone():
    model, stiff = make(label_smoothing=0.3), make()
    stiff.set_weights(model.get_weights())
    logits = stock(model, IDS).astype("float64")
    targets = 0.7 * np.eye(logits.shape[-1])[TARGETS] + 0.3 / logits.shape[-1]
    nats = -np.sum(targets * special.log_softmax(logits, axis=-1), axis=-1)
    batch = tf.constant(IDS), tf.constant(TARGETS)
    np.testing.assert_allclose(
        model.batch_loss(batch, KEY, training=True)[0], nats.mean(), rtol=1e-5
    )
    np.testing.assert_array_equal(model.batch_loss(batch)[0], stiff.batch_loss(batch)[0])
    assert config_of(model)["label_smoothing"] == 0.3
    with pytest.raises(ValueError, match=r"label_smoothing .*\[0, 1\)"):
        make(label_smoothing=1.0)


@pytest.mark.long
def test_the_loss_is_a_pure_function_of_batch_and_key():
    model = make(dropout=0.5, recurrent_dropout=0.5)
    batch = tf.constant(IDS), tf.constant(TARGETS)

    def loss(key=None, training=True, state=None):
        return float(model.batch_loss(batch, key, state, training)[0])

    assert loss(KEY) == loss(KEY)
    assert loss(KEY) != loss(random.fold(KEY, 1))
    assert loss(KEY, training=False) == loss(training=False) != loss(KEY)
    graph = tf.function(lambda key: model.batch_loss(batch, key, training=True)[0])
    np.testing.assert_allclose(graph(KEY), loss(KEY), rtol=1e-6)


def test_the_state_goes_from_window_to_window():
    model = make(attention=3)
    ids = np.concatenate([IDS, TARGETS], axis=1)
    pair = lambda x, y: (tf.constant(x), tf.constant(y))  # noqa: E731
    whole, _ = model.batch_loss(pair(ids[:, :-2], ids[:, 1:-1]))
    first, state = model.batch_loss(pair(ids[:, :6], ids[:, 1:7]))
    second, _ = model.batch_loss(pair(ids[:, 6:12], ids[:, 7:13]), state=state)
    np.testing.assert_allclose((first + second) / 2, whole, rtol=1e-5)


@some_options
def test_every_weight_gets_a_gradient(options):
    model = make(**options, dropout=0.2, recurrent_dropout=0.2)
    with tf.GradientTape() as tape:
        loss, _ = model.batch_loss((tf.constant(IDS), tf.constant(TARGETS)), KEY, training=True)
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    assert len(gradients) == len(model.weights)
    for weight, gradient in zip(model.trainable_weights, gradients):
        assert gradient is not None, weight.path
        gradient = tf.convert_to_tensor(gradient)
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-7, weight.path


def test_activations_are_those_of_the_layers():
    model = make(attention=2)
    outputs = model.activations(tf.constant(IDS))
    assert list(outputs) == ["lstm_0", "lstm_1", "past_attention"]
    np.testing.assert_array_equal(outputs["past_attention"], run(model)[0])


def toy_windows(count=48, length=12):
    ids = TOKENIZER.encode("abcdefgh\n" * (count * length))
    return np.stack([ids[i * 5 : i * 5 + length + 1] for i in range(count)])  # uint8


@pytest.mark.long
def test_fit_learns_a_toy_text_with_the_defaults():
    model = make(units=16)
    model.compile()
    assert isinstance(model.optimizer, keras.optimizers.AdamW) and model.jit_compile
    history = model.fit(toy_windows(), batch_size=16, epochs=80, verbose=0).history["loss"]
    assert history[0] > 1.5 and history[-1] < 0.5
    assert len(model.optimizer.variables) > len(model.weights)
    # The text has no surprises left: the model goes on as it does.
    windows = toy_windows(4).astype("int32")
    logits = model.predict(windows[:, :-1], verbose=0)
    np.testing.assert_allclose(logits, model(windows[:, :-1]), atol=1e-5)
    assert (logits[:, 4:].argmax(-1) == windows[:, 5:]).mean() > 0.9


def test_fit_takes_windows_or_pairs_and_its_dropout_is_seeded():
    windows = toy_windows(8)

    def history(data, seed=1):
        model = make(seed=2, dropout=0.5)
        model.seed = seed
        model.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
        fitted = model.fit(*data, batch_size=4, epochs=1, shuffle=False, verbose=0)
        return fitted.history["loss"]

    first = history([windows])
    np.testing.assert_allclose(history([windows[:, :-1], windows[:, 1:]]), first, rtol=1e-6)
    assert history([windows], seed=3) != first


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_other_precisions(policy):
    model = new_model(
        "lstm", units=UNITS, tokenizer=TOKENIZER, **EVERYTHING, dropout=0.2, seed=1, dtype=policy
    )
    assert model(IDS).dtype == model.compute_dtype
    loss, _ = model.batch_loss((tf.constant(IDS), tf.constant(TARGETS)), KEY, training=True)
    assert loss.dtype == tf.float32 and np.isfinite(loss)
    hidden, _ = model.engine.stepper()(tf.constant(IDS[:, 0]), model.initial_state(BATCH))
    # Eight bits of mantissa.
    np.testing.assert_allclose(
        tf.cast(model.engine.logits(hidden), tf.float32),
        tf.cast(model(IDS)[:, 0], tf.float32),
        atol=0.05,
    )
