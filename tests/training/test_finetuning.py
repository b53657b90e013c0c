"""Training that starts from a model: what is taken, what is frozen, and adapters of low rank."""

import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

from tfgen import cli, models
from tfgen.errors import InputError
from tfgen.networks import RecurrentNetwork
from tfgen.preprocessing import ByteTokenizer, CharacterTokenizer
from tfgen.recipe import Recipe, TrainingConfig
from tfgen.training import train, trainer
from tfgen.training.adapters import ADAPTER, Adapters, merge
from tfgen.training.checkpoints import read_arrays
from tfgen.training.data import open_data
from tfgen.training.finetuning import Start, open_start
from tfgen.training.optimizers import make_optimizer
from tfgen.training.step import Step
from tfgen.zoo.runs import new_run, start_folder

SETTINGS = {
    "model.units": 8,
    "model.layers": 2,
    "model.embedding": 6,
    "training.steps": 6,
    "training.batch_size": 4,
    "training.window": 12,
    "training.warmup_steps": 0,
    "training.learning_rate": 0.05,
    "training.log_every": 4,
    "training.validate_every": 2,
    "training.validation_batches": 2,
    "training.checkpoint_every": 2,
    "training.sample_every": 0,
    "training.histogram_every": 0,
}


@pytest.fixture(autouse=True)
def no_xla(monkeypatch):
    monkeypatch.setattr(RecurrentNetwork, "jit_compile_training", False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two texts, of which the second has a new symbol, and lacks others; and a model of the first."""
    folder = tmp_path_factory.mktemp("finetuning")
    rng = np.random.default_rng(0)
    for name, words in {"old": "to be or not question", "new": "to be zoo not"}.items():
        (folder / f"{name}.txt").write_text(" ".join(rng.choice(words.split(), 400)))
    recipe = Recipe("lstm").override({**SETTINGS, "data.name": str(folder / "old.txt")})
    model = models.build(recipe, open_data(recipe).preprocessing)
    for weight in model.weights:  # biases too
        weight.assign(rng.normal(0, 0.3, weight.shape))
    model.save(folder / "start")
    return folder


@pytest.fixture
def recipe(folder):
    return Recipe.from_file(folder / "start" / "recipe.toml")


@pytest.fixture
def quick():
    with eagerly():
        yield


def weights(model):
    model = model if isinstance(model, keras.Model) else models.load(model)
    return {weight.path: weight.numpy() for weight in model.weights}


def assert_bit_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


# Weights and vocabularies


def test_all_weights_and_the_tokenizer_are_taken_where_the_text_has_no_other_symbols(
    folder, recipe
):
    start = open_start(recipe, folder / "start")
    recipe, data = start.open_data(recipe.override({"training.seed": 5}))
    assert data.preprocessing is start.model.preprocessing
    assert recipe.training.start_from == str(folder / "start")
    model = models.build(recipe, data.preprocessing)
    assert not np.array_equal(model.weights[0], start.model.weights[0])
    assert start.give(model) == f"From {folder / 'start'}: 9 of 9 weights"
    assert_bit_equal(weights(model), weights(start.model))


@pytest.mark.parametrize(
    "vocabulary,text,kept",
    [("auto", "old", True), ("auto", "new", False), ("keep", "new", True), ("new", "old", False)],
)
def test_when_the_vocabulary_is_a_new_one(folder, recipe, vocabulary, text, kept):
    start = open_start(recipe, folder / "start")
    changes = {"data.name": str(folder / f"{text}.txt"), "training.vocabulary": vocabulary}
    _, data = start.open_data(recipe.override(changes))
    assert (data.preprocessing is start.model.preprocessing) is kept
    if text == "new" and not kept:
        assert data.preprocessing.vocabulary == " benotz"


def test_another_tokenizer_that_the_recipe_asks_for_is_a_new_one(folder, recipe):
    start = open_start(recipe, folder / "start")
    changed, data = start.open_data(recipe.override({"preprocessing.tokenizer": "byte"}))
    assert isinstance(data.preprocessing, ByteTokenizer)
    _, data = start.open_data(recipe.override({"preprocessing.max_vocabulary": 5}))
    assert data.preprocessing.vocabulary_size == 6
    keep = changed.override({"training.vocabulary": "keep"})
    changed, data = start.open_data(keep)
    assert data.preprocessing is start.model.preprocessing
    assert changed.preprocessing.tokenizer == "character"


@pytest.mark.parametrize(
    "old,new,taken,mean_of",
    [
        ("abcd", "bcdx", "3 of 4 symbols", [1, 2, 3, 4]),  # as many, others
        ("abcd", "bx", "1 of 2 symbols", [1, 2, 3, 4]),
        ("abcde", "éa", "1 of 2 symbols", [1, 2, 3, 4, 5]),  # as many as the layer has units
    ],
)
def test_rows_and_columns_go_by_their_symbol(old, new, taken, mean_of):
    recipe = Recipe("lstm", {"units": 6, "layers": 1, "embedding": 6})
    old, new = (models.build(recipe, CharacterTokenizer(text)) for text in (old, new))
    rng = np.random.default_rng(1)
    for weight in old.weights:
        weight.assign(rng.normal(size=weight.shape))
    assert Start("old", old).give(new).endswith(f", {taken}")
    before, after = weights(old), weights(new)
    for path in before:
        axis = {"token_embedding/embeddings": 0, "head/kernel": 1, "head/bias": 0}.get(path)
        if axis is None:
            np.testing.assert_array_equal(after[path], before[path], err_msg=path)
            continue
        for number, symbol in enumerate(new.tokenizer.vocabulary, 1):
            row = np.take(after[path], number, axis)
            place = old.tokenizer.vocabulary.find(symbol)
            if place >= 0:
                np.testing.assert_array_equal(row, np.take(before[path], place + 1, axis))
            else:
                mean = np.take(before[path], mean_of, axis).mean(axis)
                np.testing.assert_allclose(row, mean, rtol=1e-5, atol=1e-6)
        # What is outside the one vocabulary is outside the other.
        np.testing.assert_array_equal(np.take(after[path], 0, axis), np.take(before[path], 0, axis))


def test_bytes_and_characters_share_what_is_one_byte():
    recipe = Recipe("lstm", {"units": 4, "layers": 1})
    old = models.build(recipe, ByteTokenizer())
    new = models.build(recipe, CharacterTokenizer("\naé"))
    assert Start("old", old).give(new).endswith(", 2 of 3 symbols")
    rows = [old.weights[0][10], old.weights[0][97]]
    np.testing.assert_array_equal(new.weights[0][1:3], rows)


@pytest.mark.parametrize(
    "change,refused",
    [
        ({"model.embedding": 7}, r"its token_embedding/embeddings is \(\d+, 6\), and .*\d+, 7\)$"),
        ({"model.layers": 3}, r"where it has head/kernel, the new model has lstm_2/lstm_cell/k"),
        ({"model.layers": 1}, r"where it has lstm_1/lstm_cell/kernel, the new model has head/k"),
        ({"family": "gru"}, "where it has lstm_0/lstm_cell/kernel, the new model has gru_0"),
        ({"data.name": "weather"}, r"is a model of text, and these data are numbers\. Received: d"),
        ({"training.freeze": ["embedding"]}, r"no weight matches 'embedding'\. There are: token_"),
        ({"training.freeze": ["*"]}, r"every weight is frozen\. Received: training\.freeze=\['\*'"),
        (
            {"training.lora_also": ["head"]},
            "training.lora_also does nothing without training.lora_rank",
        ),
        (
            {"training.lora_rank": 2, "training.lora_targets": ["*bias"]},
            "must name matrices .*lstm",
        ),
        (
            {"data.name": "new.txt", "training.freeze": ["head"]},
            r"head/kernel has 1 symbols that .* does not know, e\.g\. 'z', and would not be trained",
        ),
        ({"data.name": "new.txt", "training.lora_rank": 2}, r"embeddings has 1 .*name it in train"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_written(
    folder, recipe, change, refused, tmp_path
):
    if change.get("data.name") == "new.txt":
        change = {**change, "data.name": str(folder / "new.txt")}
    with pytest.raises(InputError, match=refused) as error:
        train(recipe.override(change), tmp_path / "run", progress=False, start=folder / "start")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_start_that_is_not_there_is_refused(recipe, tmp_path):
    named = recipe.override({"training.start_from": "lstm-shakespeare"})
    with pytest.raises(InputError, match=r"start=tfgen\.zoo\.get\('lstm-shakespeare'\)"):
        train(named, tmp_path / "run", progress=False)
    with pytest.raises(InputError, match=r"name it by --from\. Received: training\.lora_rank=2"):
        train(recipe.override({"training.lora_rank": 2}), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_model_of_numbers_keeps_its_scaling(tmp_path):
    def table(name, columns, scale):
        rows = np.random.default_rng(2).normal(0, scale, [80, len(columns)])
        lines = [",".join(columns), *(",".join(f"{value:.3f}" for value in row) for row in rows)]
        (tmp_path / name).write_text("\n".join(lines))
        return {"data.name": str(tmp_path / name)}

    recipe = Recipe("gru", {"units": 4, "layers": 1}).override(table("old.csv", "ab", 1))
    recipe = recipe.override({"training.window": 8, "training.batch_size": 2})
    start = Start("old", models.build(recipe, open_data(recipe).preprocessing))
    other = recipe.override(table("new.csv", "ba", 30))
    _, data = start.open_data(other)
    assert data.preprocessing is start.model.preprocessing
    assert start.give(models.build(other, data.preprocessing)).startswith("From old: ")
    values = data.windows["train"].batch(0)["values"]
    assert 20 < np.nanstd(values) < 40  # the columns of the file, in the order of the model's
    with pytest.raises(InputError, match=r"unknown: 'c'\)\. Received: a, c"):
        start.open_data(recipe.override(table("else.csv", "ac", 1)))
    with pytest.raises(InputError, match=r"keeps the scaling .* preprocessing\.scaler=robust$"):
        start.open_data(other.override({"preprocessing.scaler": "robust"}))


# Freezing


@pytest.mark.long
def test_what_is_frozen_has_no_gradient_and_no_optimizers_state(recipe):
    data = open_data(recipe)
    sizes = {}
    for freeze in ([], ["token_embedding", "lstm_*"]):
        config = recipe.override({"training.freeze": freeze, "training.weight_decay": 0.5}).training
        model = models.build(recipe, data.preprocessing)
        adapters, optimizer = Adapters(model, config), make_optimizer(config)
        optimizer.build(adapters.variables)
        step = Step(model, optimizer, config, 4, adapters)
        before = weights(model)
        batch = tf.constant(data.windows["train"].batch(0))
        _, norms, _ = step(batch)
        after = weights(model)
        moved = {path for path in before if not np.array_equal(before[path], after[path])}
        sizes[bool(freeze)] = len(optimizer.variables), len(norms)
        graph = step.gradients.get_concrete_function(batch, None).graph
        loops = [op for op in graph.get_operations() if "While" in op.type]
        if freeze:
            assert moved == {"head/kernel", "head/bias"}
            assert len(loops) == 2  # a layer's own, and none back through time
            assert adapters.summary.startswith("108 of 1,204 ")  # 8 x 12 and 12
        else:
            assert moved == set(before) and len(loops) == 4 and not adapters.summary
    assert sizes[False][0] - sizes[True][0] == 2 * 7 and sizes[True][1] == 1


def test_patterns_are_of_paths_and_of_layers():
    model = models.build(Recipe("transformer", {"layers": 2, "heads": 2, "width": 8}))

    def frozen(*patterns):
        before = weights(model)
        Adapters(model, TrainingConfig(freeze=patterns))
        left = {weight.path for weight in model.trainable_weights}
        for weight in model.weights:
            weight.trainable = True
        return {path for path in before if path not in left}

    assert frozen("block_0", "token*") == {
        path for path in weights(model) if path.startswith(("block_0/", "token_embedding"))
    }
    assert frozen("block_*/attention") == {
        f"block_{index}/attention/{name}_kernel" for index in (0, 1) for name in ("qkv", "output")
    }
    assert frozen("*gamma") == {path for path in weights(model) if "norm" in path}


# Adapters


def test_adapters_learn_as_an_explicit_sum_and_as_those_of_keras():
    """Three steps of Adam on a convolution and a dense layer, by the chain rule and by a tape."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=[5, 7, 4]).astype("f"), rng.normal(size=[5, 7, 3]).astype("f")
    model = keras.Sequential([keras.layers.Conv1D(6, 2, padding="same"), keras.layers.Dense(3)])
    model.build(x.shape)
    config = TrainingConfig(lora_rank=2, lora_alpha=6.0, lora_targets=("*kernel",), seed=4)
    adapters = Adapters(model, config)
    conv, dense = model.layers
    theirs = keras.layers.Dense(3)
    theirs.build([5, 7, 6])
    theirs.set_weights(dense.get_weights())
    theirs.enable_lora(2, lora_alpha=6.0)
    # Not zeros, of which A would have no gradient.
    for path, one in adapters.own.items():
        if path.endswith("lora_b"):
            one.assign(rng.normal(size=one.shape))
    adapters.push()
    ours = [one.value for one in adapters.variables]
    theirs.lora_kernel_a.assign(ours[2])
    theirs.lora_kernel_b.assign(ours[3])
    explicit = [tf.Variable(one) for one in ours[:2]]
    base = adapters.base[conv.kernel.path].value
    optimizers = [keras.optimizers.Adam(0.05) for _ in range(2)]

    def loss_of(outputs):
        return tf.reduce_mean((outputs - y) ** 2)

    first = weights(model)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = loss_of(model(x))
        found = tape.gradient(loss, [w.value for w in model.trainable_variables])
        found = adapters.pull(found)
        with tf.GradientTape() as tape:
            a, b = explicit
            hidden = tf.nn.conv1d(x, base, 1, "SAME")
            patches = tf.concat([x, tf.pad(x[:, 1:], [[0, 0], [0, 1], [0, 0]])], axis=-1)
            hidden += 3.0 * (patches @ a) @ b + conv.bias
            wanted_loss = loss_of(theirs(hidden))
        lora = [theirs.lora_kernel_a.value, theirs.lora_kernel_b.value]
        wanted = tape.gradient(wanted_loss, [*explicit, *lora])
        np.testing.assert_allclose(loss, wanted_loss, rtol=1e-5)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        optimizers[0].apply(found, adapters.variables)
        optimizers[1].apply(wanted, [*explicit, theirs.lora_kernel_a, theirs.lora_kernel_b])
        adapters.push()
    after = weights(model)
    # Keras gives the sum where it is read.
    np.testing.assert_allclose(after[dense.kernel.path], theirs.kernel, rtol=1e-4, atol=1e-5)
    for path in first:
        assert np.array_equal(first[path], after[path]) is path.endswith("bias")


def test_which_matrices_get_adapters(recipe):
    def adapted(family, arguments, **config):
        model = models.build(Recipe(family, arguments))
        return set(Adapters(model, TrainingConfig(lora_rank=1, **config)).base)

    lstm = {"units": 4, "layers": 1}
    assert adapted("lstm", lstm) == {"lstm_0/lstm_cell/kernel", "head/kernel"}
    assert adapted("lstm", lstm, lora_targets=("*recurrent_kernel",)) == {
        "lstm_0/lstm_cell/recurrent_kernel"
    }
    assert adapted("lstm", lstm, lora_also=("head",)) == {"lstm_0/lstm_cell/kernel"}
    assert adapted("gru", lstm, freeze=("head",)) == {"gru_0/gru_cell/kernel"}
    encoder = ("forwards/gru_0/gru_cell", "backwards/gru_0/gru_cell", "attention", "gaussian")
    assert adapted("vae", {**lstm, "encoder_units": 4}) == {
        *(f"recognition/{name}/kernel" for name in encoder),
        *("gru_0/gru_cell/kernel", "head/kernel", "latents/kernel"),
    }
    transformer = {"layers": 1, "heads": 1, "width": 4, "conv": 2}
    assert adapted("transformer", transformer) == {
        f"block_0/{name}_kernel"
        for name in ("attention/qkv", "attention/output", "mlp/input", "mlp/output")
    }


ADAPTED = {
    "training.lora_rank": 2,
    "training.lora_alpha": 3.0,
    "training.lora_targets": ["*kernel"],
    "training.lora_also": ["head/bias"],
    "training.ema": 0.8,
    "training.log_every": 4,
}


@pytest.fixture(scope="module")
def adapted(folder, tmp_path_factory):
    """A run that trained adapters, without XLA."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecurrentNetwork, "jit_compile_training", False)
        recipe = Recipe.from_file(folder / "start" / "recipe.toml").override(ADAPTED)
        run = tmp_path_factory.mktemp("adapted") / "run"
        train(recipe, run, progress=False, start=models.load(folder / "start"))
    return run


def test_adapters_merge_back_to_the_bit(folder, adapted):
    before, after = weights(folder / "start"), weights(adapted / "final")
    arrays, record = read_arrays(adapted / ADAPTER)
    assert record["scale"] == 1.5 and record["rank"] == 2
    assert arrays.keys() == {"head/bias"} | {
        f"{path}/lora_{part}" for path in before if path.endswith("kernel") for part in "ab"
    }
    for path in before:
        if path.endswith("kernel"):
            a, b = arrays[f"{path}/lora_a"], arrays[f"{path}/lora_b"]
            np.testing.assert_allclose(after[path], before[path] + 1.5 * a @ b, atol=1e-6)
            assert np.abs(after[path] - before[path]).max() > 1e-3
        elif path != "head/bias":
            np.testing.assert_array_equal(after[path], before[path], err_msg=path)
    merged = merge(models.load(folder / "start"), adapted / ADAPTER)
    assert_bit_equal(weights(merged), after)
    with pytest.raises(InputError, match="adapters of another model, or of other weights of it"):
        merge(merged, adapted / ADAPTER)
    recipe = Recipe("gru", {"units": 8, "layers": 2})
    with pytest.raises(InputError, match="adapters of another model"):
        merge(models.build(recipe), adapted / ADAPTER)


@pytest.mark.long
def test_a_run_of_adapters_stopped_and_resumed_ends_with_the_same_bits(
    folder, adapted, tmp_path, monkeypatch
):
    """And does not need what it started from."""
    shutil.copytree(folder / "start", tmp_path / "start")
    recipe = Recipe.from_file(folder / "start" / "recipe.toml").override(ADAPTED)
    with monkeypatch.context() as patch:
        one_step = trainer.Run.one_step

        def stopped(self, batch):
            if self.state.step == 3:
                signal.raise_signal(signal.SIGINT)
            return one_step(self, batch)

        patch.setattr(trainer.Run, "one_step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "run", progress=False, start=tmp_path / "start")
    shutil.rmtree(tmp_path / "start")
    with pytest.raises(InputError, match=r"cannot change training\.lora_alpha from 3\.0"):
        train(
            Recipe.from_file(tmp_path / "run" / "recipe.toml").override({"training.lora_alpha": 4}),
            tmp_path / "run",
            resume=True,
            progress=False,
        )
    train(None, tmp_path / "run", resume=True, progress=False)
    last = [
        read_arrays(run / "checkpoints" / "step-000000006.npz")
        for run in (adapted, tmp_path / "run")
    ]
    assert_bit_equal(*(arrays for arrays, _ in last))
    assert last[0][1] == last[1][1]
    assert {"base/head/kernel", "best/head/kernel/lora_a"} <= last[0][0].keys()
    assert (tmp_path / "run" / ADAPTER).read_bytes() == (adapted / ADAPTER).read_bytes()
    assert_bit_equal(weights(adapted / "final"), weights(tmp_path / "run" / "final"))


# The command line


@pytest.mark.long
@pytest.mark.usefixtures("quick")
def test_the_command_freezes_and_takes_new_symbols(folder, tmp_path, capsys):
    shutil.copytree(folder / "start", tmp_path / "start")
    run = tmp_path / "run"
    command = ["train", "--from", str(tmp_path / "start"), "--data", str(folder / "new.txt")]
    freeze = ["--set", 'training.freeze=["lstm_0"]', "--set", "training.ema=0.9"]
    assert cli.main([*command, *freeze, "--logdir", str(run)]) == 0
    told = capsys.readouterr().err
    assert "start: 9 of 9 weights, 6 of 7 symbols\n" in told
    assert "weights are trained" in told
    recipe = Recipe.from_file(run / "recipe.toml")
    assert recipe.training.start_from == str(tmp_path / "start")
    assert recipe.model == {"units": 8, "layers": 2, "embedding": 6}
    before, after = weights(tmp_path / "start"), weights(run / "final")
    for path in before:
        assert np.array_equal(before[path], after[path]) is path.startswith("lstm_0"), path
    assert not (run / ADAPTER).exists()
    # A run that lost its checkpoints begins again from the same.
    shutil.rmtree(run / "checkpoints")
    assert cli.main(["train", "--resume", "--logdir", str(run)]) == 0
    assert_bit_equal(weights(run / "final"), after)
    # What starts from it takes its recipe, and not how it came about.
    again, _ = new_run(None, tmp_path / "other", {"training.steps": 3}, run)
    assert again.training.start_from == str(run) and again.training.freeze == ()
    assert start_folder(again, tmp_path / "other") == run / "final"
    assert start_folder(again, run) is None
    assert cli.main([*command, "--resume", "--logdir", str(run)]) == 2
    assert "--from begins a run, and --resume goes on with one" in capsys.readouterr().err
    assert cli.main(["train", "--from", "lstm", "--logdir", str(tmp_path / "no")]) == 2
    assert "'lstm' has no weights to start from" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
