"""A run from its recipe to its folder, and that stopping it changes nothing."""

import re
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext

import event_files
import keras
import numpy as np
import pytest
from eager import eagerly

from tfgen import models
from tfgen.errors import InputError
from tfgen.models.engines.token_rollout import TokenRollout
from tfgen.models.text.model import TextModel
from tfgen.networks import RecurrentNetwork
from tfgen.recipe import Recipe
from tfgen.training import dashboard, train, trainer
from tfgen.training.checkpoints import Checkpoints, read_arrays
from tfgen.training.dashboard import text_block
from tfgen.training.data import open_data
from tfgen.training.failures import first_not_finite

SETTINGS = {
    "model.units": 12,
    "model.layers": 1,
    "model.dropout": 0.2,
    "training.steps": 12,
    "training.batch_size": 4,
    "training.window": 16,
    "training.warmup_steps": 2,
    "training.learning_rate": 0.01,
    "training.log_every": 4,
    "training.validate_every": 4,
    "training.validation_batches": 2,
    "training.checkpoint_every": 4,
    "training.sample_every": 0,
    "training.histogram_every": 0,
}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "text.txt"
    rng = np.random.default_rng(0)
    words = ["to", "be", "or", "not", "that", "is", "the", "question"]
    path.write_text(" ".join(rng.choice(words, 800)))
    return path


TRANSFORMER = {
    **{key: value for key, value in SETTINGS.items() if not key.startswith("model.")},
    "model.layers": 1,
    "model.heads": 2,
    "model.width": 16,
    "model.window": 8,
    "model.conv": 2,
    "model.dropout": 0.2,
    "training.optimizer": "muon",
    "training.precision": "mixed_bfloat16",
}


# These tests are about the loop: what XLA compiles, and what is traced, is tested once.


@pytest.fixture
def recipe(text):
    with eagerly():
        yield Recipe(family="lstm").override({**SETTINGS, "data.name": str(text)})


@pytest.fixture
def traced(text, monkeypatch):
    """The recipe of runs whose steps are graphs."""
    monkeypatch.setattr(RecurrentNetwork, "jit_compile_training", False)
    return Recipe(family="lstm").override({**SETTINGS, "data.name": str(text)})


def weights(folder):
    model = models.load(folder)
    return {weight.path: weight.numpy() for weight in model.weights}


def assert_bit_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def stop_at(monkeypatch, step):
    """Sends Ctrl-C to this process while step number `step` runs."""
    original = trainer.Run.one_step

    def one_step(self, batch):
        if self.state.step == step - 1:
            signal.raise_signal(signal.SIGINT)
        return original(self, batch)

    monkeypatch.setattr(trainer.Run, "one_step", one_step)


@pytest.mark.long
def test_a_run_stopped_and_resumed_ends_with_the_same_bits(traced, tmp_path, monkeypatch):
    changes = {
        "training.carry_state": True,
        "training.augment": ["dropout=0.1", "noise=0.2"],
        "training.ema": 0.9,
        "model.recurrent_dropout": 0.2,
    }
    assert_resumes(traced.override(changes), tmp_path, monkeypatch)


@pytest.mark.long
def test_so_does_a_run_on_windows(recipe, tmp_path, monkeypatch):
    assert_resumes(recipe, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(eagerly, id="eagerly", marks=pytest.mark.long),
        pytest.param(nullcontext, marks=pytest.mark.exhaustive),
    ],
)
def test_so_does_a_transformer(way, text, tmp_path, monkeypatch):
    """With all that its step has beyond an RNN's: muon, bfloat16 and a state that grows."""
    changes = {"data.name": str(text), "training.carry_state": True, "training.ema": 0.9}
    recipe = Recipe(family="transformer").override({**TRANSFORMER, **changes})
    with way():
        arrays = assert_resumes(recipe, tmp_path, monkeypatch)
    state = [array for name, array in arrays.items() if name.startswith("state/")]
    # The features of the convolution are bfloat16, keys and values the bits of such numbers.
    assert {array.dtype.name for array in state} == {"bfloat16", "uint16", "int32"}
    assert (4, 1, 2, 7, 8) in {array.shape for array in state}  # the keys of a window of eight


@pytest.mark.long
def test_so_does_a_model_of_latents(text, tmp_path, monkeypatch):
    """Whose noise, hidden inputs and price of a nat are those of the step, also of its parts."""
    own = {"model.latent_size": 2, "model.encoder_units": 4, "model.kl_anneal_steps": 10}
    more = {"training.accumulate": 2, "training.ema": 0.9, "training.batch_size": 8}
    recipe = Recipe("vae").override({**SETTINGS, "data.name": str(text), **own, **more})
    with eagerly():
        arrays = assert_resumes(recipe, tmp_path, monkeypatch)
    assert "model/recognition/gaussian/kernel" in arrays


def assert_resumes(recipe, tmp_path, monkeypatch):
    """Returns the arrays of the last checkpoint."""
    # A line of the log falls between two checkpoints, and is of steps before and after the stop.
    recipe = recipe.override({"training.log_every": 5})
    train(recipe, tmp_path / "whole", progress=False)
    with monkeypatch.context() as patch:
        stop_at(patch, 6)  # between two checkpoints
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "parts", progress=False)
    assert not (tmp_path / "parts" / "final").exists()
    train(None, tmp_path / "parts", resume=True, progress=False)
    assert_bit_equal(weights(tmp_path / "parts" / "final"), weights(tmp_path / "whole" / "final"))
    last = [
        read_arrays(tmp_path / run / "checkpoints" / "step-000000012.npz")
        for run in ("whole", "parts")
    ]
    assert_bit_equal(last[0][0], last[1][0])  # the optimizer and the carried state as well
    assert last[0][1] == last[1][1]
    for split, tag in (
        ("train", "epoch_loss"), ("train", "gradients/global_norm"), ("validation", "epoch_loss")
    ):  # fmt: skip
        assert events(tmp_path / "whole", split, tag) == events(tmp_path / "parts", split, tag)
    return last[0][0]


@pytest.mark.long
def test_what_a_model_is_shown_is_changed_and_what_it_predicts_is_not(
    recipe, tmp_path, monkeypatch
):
    changes = {"model.dropout": 0.0, "training.steps": 2, "training.log_every": 1}
    recipe = recipe.override({**changes, "training.accumulate": 2, "training.histogram_every": 2})
    changed = recipe.override({"training.augment": ["dropout=0.3"]})
    batches = []

    def one_step(self, batch, original=trainer.Run.one_step):
        batches.append(batch)
        return original(self, batch)

    monkeypatch.setattr(trainer.Run, "one_step", one_step)
    train(changed, tmp_path / "run", progress=False)
    data = open_data(recipe)
    model = models.build(recipe, data.preprocessing)
    for k, (inputs, targets) in enumerate(batches):
        tokens = data.windows["train"].batch(k)
        np.testing.assert_array_equal(targets, tokens[:, 1:])
        hidden = inputs.numpy() == data.preprocessing.unknown_id
        assert 0.1 < hidden.mean() < 0.5
        np.testing.assert_array_equal(np.where(hidden, 0, tokens[:, :-1]), inputs)
    first = data.windows["train"].batch(0)
    # In two parts, the loss of the first step is that of the inputs it was shown.
    shown, clean = (float(model.batch_loss(model.unpack(each))[0]) for each in (batches[0], first))
    logged = events(tmp_path / "run", "train", "epoch_loss")[0][1]
    assert logged == pytest.approx(shown, rel=1e-5) and shown != pytest.approx(clean, rel=1e-4)
    # Nor does validation know of it.
    held_out = open_data(changed).windows["validation"].batch(0)
    np.testing.assert_array_equal(held_out, data.windows["validation"].batch(0))


@pytest.mark.long
def test_steps_that_were_done_again_are_told_once(recipe, tmp_path, monkeypatch):
    """What was logged after the last checkpoint, before a kill."""
    recipe = recipe.override({"training.log_every": 1, "training.checkpoint_every": 4})
    with monkeypatch.context() as patch:
        killed = RuntimeError("killed")

        def between(self, batch, original=trainer.Run.between_steps):
            original(self, batch)
            if self.state.step == 7:
                self.dashboard.flush()
                raise killed

        patch.setattr(trainer.Run, "between_steps", between)
        with pytest.raises(RuntimeError, match="killed"):
            train(recipe, tmp_path / "run", progress=False)
    (tmp_path / "run" / "checkpoints" / ".tmp-abcstep-000000008.npz").write_bytes(b"torn")
    train(None, tmp_path / "run", resume=True, progress=False)
    assert [step for step, _ in events(tmp_path / "run", "train", "epoch_loss")] == [*range(1, 13)]
    assert not [*(tmp_path / "run" / "checkpoints").glob(".tmp-*")]


@pytest.mark.long
def test_a_full_disk_ends_the_run_in_one_line_and_leaves_what_was_there(
    recipe, begun, tmp_path, monkeypatch
):
    shutil.copytree(begun, tmp_path / "run")
    before = contents(tmp_path / "run" / "checkpoints")
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "No space")))
        with pytest.raises(InputError, match="checkpoint of step 8 could not be written: No space"):
            train(recipe, tmp_path / "run", resume=True, progress=False)
    assert contents(tmp_path / "run" / "checkpoints") == before
    train(None, tmp_path / "run", resume=True, progress=False)
    assert (tmp_path / "run" / "final").is_dir()


@pytest.mark.parametrize(
    "change,refused",
    [
        ({"model.window": 0}, r"model\.window=16\. Received: training\.carry_state=true$"),
        ({"model.positions": "learned"}, r"model\.positions=rotary\. Received: training\.carry"),
        (
            {"model.positions": "learned", "model.max_length": 15, "training.carry_state": False},
            r"at most model\.max_length, 15\. Received: training\.window=16$",
        ),
    ],
    ids=["no window", "learned positions", "too few positions"],
)
def test_windows_and_states_that_a_transformer_cannot_take(text, change, refused, tmp_path):
    changes = {"data.name": str(text), "training.carry_state": True, **change}
    recipe = Recipe(family="transformer").override({**TRANSFORMER, **changes})
    with pytest.raises(InputError, match=refused):
        train(recipe, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.exhaustive
def test_ctrl_c_at_the_command_line_and_resume_under_xla(text, tmp_path):
    """The same through the command itself, with the compiled step."""
    settings = {**SETTINGS, "training.steps": 60, "training.checkpoint_every": 1000}
    command = [sys.executable, "-m", "tfgen", "train", "gru", "--data", str(text)]
    command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    whole = subprocess.run(
        [*command, "--logdir", str(tmp_path / "whole")], capture_output=True, text=True
    )
    assert whole.returncode == 0, whole.stderr

    parts = tmp_path / "parts"
    process = subprocess.Popen(
        [*command, "--logdir", str(parts)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    while not re.search(r"loss \d", process.stderr.readline()):  # the bar's: it is under way
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=600)
    assert process.returncode == 130, error
    assert "--resume" in error
    assert not (parts / "final").exists()

    again = subprocess.run(
        [sys.executable, "-m", "tfgen", "train", "--resume", "--logdir", str(parts)],
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stderr
    assert_bit_equal(weights(parts / "final"), weights(tmp_path / "whole" / "final"))


@pytest.mark.long
def test_the_loss_falls_and_the_best_weights_are_kept(recipe, tmp_path):
    # A learning rate that ruins the model late: the best weights are not the last.
    final = train(
        recipe.override({"training.steps": 40, "training.final_learning_rate": 0.5}),
        tmp_path / "run",
        progress=False,
    )
    arrays, record = read_arrays(tmp_path / "run" / "checkpoints" / "step-000000040.npz")
    best = {k.removeprefix("best/"): v for k, v in arrays.items() if k.startswith("best/")}
    assert_bit_equal(weights(final), best)
    record = record["best"]
    losses = scalars(tmp_path / "run", "validation", "epoch_loss")
    assert record["loss"] == pytest.approx(min(losses.values()), abs=1e-6)
    assert losses[record["step"]] == pytest.approx(record["loss"], abs=1e-6)
    assert min(losses.values()) < losses[4] - 0.1


@pytest.mark.long
def test_early_stopping_ends_after_patience_validations_without_improvement(recipe, tmp_path):
    recipe = recipe.override(
        {"training.steps": 400, "training.learning_rate": 3.0, "training.patience": 2}
    )
    train(recipe, tmp_path / "run", progress=False)
    losses = scalars(tmp_path / "run", "validation", "epoch_loss")
    best = min(losses, key=losses.get)
    assert max(losses) == best + 2 * 4 < 400


def test_weight_decay_shrinks_matrices_and_leaves_biases(recipe, tmp_path):
    """With a learning rate of next to nothing, what changes is decay alone."""
    from tfgen.training.optimizers import make_optimizer

    model = models.build(recipe)
    optimizer = make_optimizer(recipe.override({"training.weight_decay": 0.5}).training)
    optimizer.build(model.trainable_variables)
    excluded = [w.path for w in model.trainable_variables if not optimizer._use_weight_decay(w)]
    assert excluded and all("bias" in path for path in excluded)
    assert all("bias" in w.path for w in model.trainable_variables if len(w.shape) == 1)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_no_weight_decay_leaves_weights_without_a_gradient(recipe, name):
    from tfgen.training.optimizers import make_optimizer

    settings = {"training.weight_decay": 0.0, "training.optimizer": name}
    optimizer = make_optimizer(recipe.override(settings).training)
    weight = keras.Variable([[3.0, 4.0], [1.0, 2.0]], name="kernel")
    optimizer.build([weight])
    optimizer.apply([keras.ops.zeros([2, 2])], [weight])
    np.testing.assert_array_equal(np.asarray(weight), [[3, 4], [1, 2]])


def test_muon_updates_the_matrices_inside_the_network_and_adamw_the_rest():
    from tfgen.training.optimizers import make_optimizer

    options = {"model.tie_embeddings": False, "model.qk_norm": True, "model.bias": True}
    conditions = {"model.num_classes": 3, "model.positions": "learned"}
    recipe = Recipe(family="transformer").override({**TRANSFORMER, **options, **conditions})
    model = models.build(recipe)
    optimizer = make_optimizer(recipe.training)
    optimizer.build(model.trainable_variables)
    muon = {w.path for w in model.trainable_variables if not optimizer._should_use_adamw(w)}
    parts = {
        "attention": ["qkv", "output"],
        "cross_attention": ["query", "key", "value", "output"],
        "mlp": ["input", "output"],
    }
    assert muon == {f"block_0/{part}/{n}_kernel" for part, names in parts.items() for n in names}
    decayed = {w.path for w in model.trainable_variables if optimizer._use_weight_decay(w)}
    assert decayed == {w.path for w in model.trainable_variables if len(w.shape) == 2}


@pytest.mark.long
def test_the_learning_rate_warms_up_and_decays(recipe, tmp_path):
    recipe = recipe.override({"training.log_every": 1, "training.final_learning_rate": 0.002})
    train(recipe, tmp_path / "run", progress=False)
    rates = scalars(tmp_path / "run", "train", "epoch_learning_rate")
    assert rates[1] == pytest.approx(0.005)
    assert rates[2] == pytest.approx(0.01)
    cosine = [0.002 + 0.008 * (1 + np.cos(np.pi * k / 10)) / 2 for k in range(11)]
    np.testing.assert_allclose([rates[k] for k in range(2, 13)], cosine, rtol=1e-5)


def test_tensorboard_hears_the_story(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(dashboard, "SAMPLE_TOKENS", 20)
    recipe = recipe.override({"training.sample_every": 12, "training.histogram_every": 12})
    train(recipe, tmp_path / "run", progress=False)
    found = {}
    for split in ("train", "validation"):
        found[split] = event_files.open_events(tmp_path / "run" / "logs" / split)
    tags = set(found["train"].Tags()["tensors"])
    assert {
        "epoch_loss",
        "epoch_learning_rate",
        "Loss/loss_in_bits_per_token",
        "gradients/global_norm",
        "gradients/clip_fraction",
        "gradients/lstm_0/lstm_cell/kernel",
        "gradient_norms/lstm_0",
        "update_ratios/head",
        "throughput/process_peak_mib",
        "throughput/tokens_per_second",
        "throughput/waiting_for_data",
        "samples/temperature_1.0",
        "units/lstm_0",
        "units/lstm_0/dead_fraction",
    } <= tags
    assert any(node.name.startswith("lstm_0/") for node in found["train"].Graph().node)
    assert sum(tag.startswith("weights/") for tag in tags) == 6
    assert {"epoch_loss", "Loss/loss", "Loss/loss_in_bits_per_token"} <= set(
        found["validation"].Tags()["tensors"]
    )
    losses = scalars(tmp_path / "run", "train", "epoch_loss")
    assert sorted(losses) == [4, 8, 12]
    bits = scalars(tmp_path / "run", "train", "Loss/loss_in_bits_per_token")
    assert bits[12] == pytest.approx(losses[12] / np.log(2), rel=1e-5)
    fractions = scalars(tmp_path / "run", "train", "gradients/clip_fraction")
    assert all(0 <= fraction <= 1 for fraction in fractions.values())
    sample = found["train"].Tensors("samples/temperature_1.0")[0].tensor_proto
    assert sample.string_val[0].decode().startswith("    ")

    # What TensorBoard shows first: groups by the alphabet, capitals first.
    about = {tag: found["train"].SummaryMetadata(tag) for tag in tags}
    groups = {}
    for tag in sorted(tags):
        if about[tag].plugin_data.plugin_name == "scalars":
            groups.setdefault(tag.partition("/")[0], []).append(tag)
    epochs = ["epoch_learning_rate", "epoch_loss"]  # Keras' names
    assert [*groups] == [
        "Loss", *epochs, "gradient_norms", "gradients", "throughput", "units", "update_ratios"
    ]  # fmt: skip
    # One tag alone have these, and the units of a model of one layer.
    alone = [name for name, each in groups.items() if len(each) == 1]
    assert alone == [*epochs, "units"]
    for tag in epochs:
        assert "drawn over steps" in about[tag].summary_description


def test_a_sample_is_no_wider_than_its_card():
    text = "  the first\tline \n\n" + "very long, " * 40 + "\n" + "x" * 250 + "\n" + "長い行" * 40
    block = text_block(text)
    lines = block.split("\n")
    assert all(line.startswith("    ") for line in lines)  # Markdown's mark of what stays as it is
    lines = [line[4:] for line in lines]
    assert lines[:2] == ["  the first\tline ", ""]
    assert [len(line) for line in lines if line.startswith("x")] == [100, 100, 50]
    assert [len(line) for line in lines if "長" in line] == [50, 50, 20]  # twice as wide
    assert max(map(len, lines)) == 100
    # Nothing is lost.
    assert "".join(lines) == text.replace("\n", "")


def test_a_layer_that_clips_is_shown(tmp_path):
    import keras
    import tensorflow as tf

    from tfgen.layers import ClipByValue
    from tfgen.training.dashboard import Dashboard

    class Clipping(keras.Model):
        def __init__(self):
            super().__init__()
            self.clip = ClipByValue(-1.0, 1.0, name="bounds")

        def call(self, inputs):
            return self.clip(inputs, training=True)

        def activations(self, inputs):
            return {"bounds": self(inputs)}

    model = Clipping()
    inputs = tf.constant([[0.0, 0.5, 2.0, -3.0], [0.1, 0.5, 4.0, 0.5]])
    dashboard = Dashboard(tmp_path / "logs", model)
    dashboard.histograms(1, inputs, [])
    dashboard.close()
    assert scalars(tmp_path, "train", "units/bounds/clip_fraction") == {1: 3 / 8}
    # The second unit never changes, and the third is clipped wherever one looks.
    assert scalars(tmp_path, "train", "units/bounds/dead_fraction") == {1: 0.5}


def test_norms_and_updates_of_each_layer(recipe, tmp_path):
    """Without clipping, a step of SGD is the gradient times the learning rate."""
    settings = {
        "training.optimizer": "sgd", "training.schedule": "constant", "training.warmup_steps": 0,
        "training.learning_rate": 0.25, "training.clip_norm": 0.0, "training.weight_decay": 0.0,
        "training.steps": 1, "training.log_every": 1,
    }  # fmt: skip
    before = weights_of_groups(models.build(recipe, open_data(recipe).preprocessing))
    run = train(recipe.override(settings), tmp_path / "run", progress=False).parent
    after = weights_of_groups(models.load(run / "final"))
    assert before.keys() == {"token_embedding", "lstm_0", "head"}
    squares = 0
    for name in before:
        moved, size = (np.linalg.norm(each) for each in (after[name] - before[name], before[name]))
        norm = scalars(run, "train", f"gradient_norms/{name}")[1]
        assert norm == pytest.approx(moved / 0.25, rel=1e-4)
        assert scalars(run, "train", f"update_ratios/{name}")[1] == pytest.approx(moved / size)
        squares += norm**2
    assert scalars(run, "train", "gradients/global_norm")[1] == pytest.approx(squares**0.5)


def weights_of_groups(model):
    groups = {}
    for weight in model.weights:
        groups.setdefault(weight.path.partition("/")[0], []).append(weight.numpy().ravel())
    return {name: np.concatenate(parts).astype(np.float64) for name, parts in groups.items()}


def test_the_table_of_hyperparameters_and_the_charts(recipe, tmp_path):
    from tensorboard.plugins.custom_scalar import layout_pb2
    from tensorboard.plugins.hparams import plugin_data_pb2

    recipe = recipe.override({"training.seed": 7, "training.histogram_every": 12})
    train(recipe, tmp_path / "run", progress=False)
    logs = tmp_path / "run" / "logs"
    assert {path.parent.name for path in logs.rglob("*tfevents*")} == {"train", "validation"}
    accumulator = event_files.open_events(logs / "validation")
    data = {
        tag: plugin_data_pb2.HParamsPluginData.FromString(
            accumulator.SummaryMetadata(tag).plugin_data.content
        )
        for tag in accumulator.Tags()["tensors"]
        if tag.startswith("_hparams_")
    }
    shown = data["_hparams_/session_start_info"].session_start_info.hparams
    assert shown["family"].string_value == "lstm" and shown["training.seed"].number_value == 7
    assert shown["model.units"].number_value == 12  # not the default
    assert "training.beta_2" not in shown  # the default
    assert data["_hparams_/session_end_info"].session_end_info.status == 1  # succeeded

    accumulator = event_files.open_events(logs / "train")
    text = accumulator.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    tags = {
        tag
        for split in ("train", "validation")
        for tag in event_files.open_events(tmp_path / "run" / "logs" / split).Tags()["tensors"]
    }
    charts = [c for category in layout_pb2.Layout.FromString(text).category for c in category.chart]
    empty = [
        chart.title
        for chart in charts
        if not any(re.search(pattern, tag) for pattern in chart.multiline.tag for tag in tags)
    ]
    assert len(charts) == 10 and not empty
    titles = [chart.title for chart in charts]
    assert titles[:3] == ["loss", "learning rate", "loss in bits per token"]
    # What this model does not have, a ClipByValue, has no chart that would stay empty.
    assert "share of clipped values" not in titles
    # The table's row has the run's name, not only what tells it from another of that name.
    row = data["_hparams_/session_start_info"].session_start_info.group_name
    assert re.fullmatch("run [0-9a-f]{6}", row)


def test_a_folder_in_use_is_refused(recipe, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        train(recipe, tmp_path, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_data_that_is_too_short_is_refused_and_nothing_written(recipe, tmp_path):
    (tmp_path / "short.txt").write_text("a few words")
    recipe = recipe.override({"data.name": str(tmp_path / "short.txt")})
    with pytest.raises(InputError, match="too short"):
        train(recipe, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change,refused",
    [
        ({"family": "gru"}, "cannot change family from 'lstm'. Received: family='gru'"),
        ({"preprocessing.tokenizer": "byte"}, "cannot change preprocessing.tokenizer from"),
        (
            {"model.units": 13},
            r"the weight token_embedding/embeddings was \((\d+), 12\) in its checkpoint and would "
            r"be \(\1, 13\); model.units was 12 and is 13",
        ),
        (
            {"model.layers": 2},
            "the weight lstm_1/lstm_cell/kernel was absent .* model.layers was 1 and is 2",
        ),
        ({"training.ema": 0.9}, "the optimizer's variable .* training.ema was 0.0 and is 0.9"),
        ({"training.carry_state": True}, "the carried state .* training.carry_state was False"),
        ({"training.steps": 2}, r"done 4 steps already. Received: training\.steps=2"),
    ],
    ids=lambda change: next(iter(change)) if isinstance(change, dict) else "",
)
def test_a_resumed_run_refuses_what_cannot_go_on(recipe, change, refused, begun, tmp_path):
    shutil.copytree(begun, tmp_path / "run")
    before = contents(tmp_path / "run")
    changed = recipe.override({"training.steps": 8, **change})
    with pytest.raises(InputError, match=refused):
        train(changed, tmp_path / "run", resume=True, progress=False)
    assert contents(tmp_path / "run") == before


@pytest.fixture(scope="module")
def begun(text, tmp_path_factory):
    """A run of four steps, to be copied and gone on with."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    settings = {**SETTINGS, "data.name": str(text), "training.steps": 4}
    with eagerly():
        train(Recipe("lstm").override(settings), folder, progress=False)
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.long
def test_a_resumed_run_says_what_it_changes_and_does_it(recipe, begun, tmp_path, capsys):
    runs = {}
    for name, change in {
        "as it was": {},
        "faster": {"training.learning_rate": 0.02},
        "less dropout": {"model.dropout": 0.0},
        "other batches": {"training.batch_size": 3},
        "other data": {"data.validation_fraction": 0.2},
    }.items():
        shutil.copytree(begun, tmp_path / name)
        go_on = recipe.override({"training.steps": 8, **change})
        capsys.readouterr()
        runs[name] = weights(train(go_on, tmp_path / name, resume=True))
        said = capsys.readouterr().err
        assert "Changed: training.steps was 4 and is 8" in said
        for key, value in change.items():
            assert f"Changed: {key} was " in said and f" and is {value!r}" in said
        assert ("best so far does not count" in said) == (name.startswith("other"))
    kernel = "lstm_0/lstm_cell/kernel"
    assert len({array[kernel].tobytes() for array in runs.values()}) == len(runs)


@pytest.mark.exhaustive
def test_a_resumed_run_may_go_on_for_longer_but_not_shorter(recipe, tmp_path):
    train(recipe.override({"training.steps": 8}), tmp_path / "run", progress=False)
    train(recipe.override({"training.steps": 12}), tmp_path / "run", resume=True, progress=False)
    assert max(scalars(tmp_path / "run", "train", "epoch_loss")) == 12
    with pytest.raises(InputError, match="12 steps already"):
        train(recipe.override({"training.steps": 4}), tmp_path / "run", resume=True, progress=False)


def test_resuming_where_there_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="no run to resume"):
        train(None, tmp_path / "nothing", resume=True, progress=False)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.long
def test_a_run_whose_weights_explode_says_what_went_first(recipe, tmp_path):
    settings = {
        "training.optimizer": "sgd", "training.clip_norm": 0.0, "training.log_every": 50,
        "training.learning_rate": 1e30, "training.weight_decay": 0.0, "training.warmup_steps": 0,
    }  # fmt: skip
    expected = "not finite: the activations of lstm_0; there is no checkpoint.*learning_rate=1e"
    with pytest.raises(InputError, match=expected):
        train(recipe.override(settings), tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "final").exists()
    assert not [*(tmp_path / "run").glob("checkpoints/step-*")]


def test_weights_and_data_are_looked_at_first(recipe):
    model = models.build(recipe)
    given = {"values": np.array([1.0, np.inf]), "valid": np.array([True, True])}
    nothing = first_not_finite(model, {}, dict, lambda: (1.0, [0.0] * 5))
    assert nothing is None
    assert first_not_finite(model, given, dict, None) == "the data"
    gaps = {**given, "values": np.array([1.0, np.nan])}
    assert first_not_finite(model, gaps, dict, lambda: (np.inf, [])).startswith("the loss")
    weight = model.weights[2]
    weight.assign(np.full(weight.shape, -np.inf))
    assert first_not_finite(model, given, dict, None).startswith(f"the weight {weight.path}, by")


@pytest.mark.parametrize(
    "place,first",
    [
        pytest.param("hidden", "the activations of lstm_0", marks=pytest.mark.long),
        pytest.param("loss", "the loss itself", marks=pytest.mark.exhaustive),
        pytest.param("gradient", "the gradient of head/", marks=pytest.mark.exhaustive),
    ],
)
def test_a_tensor_that_goes_bad_is_named_and_the_checkpoint_before_it_kept(
    recipe, place, first, tmp_path, monkeypatch
):
    """At step 11, between the checkpoint of step 8 and the line of the log at step 12."""
    import tensorflow as tf

    steps = tf.Variable(0.0)
    original = {
        "hidden": TokenRollout.hidden_states,
        "loss": TextModel.batch_total,
    }

    @tf.custom_gradient
    def times(tensor, bad):
        forward = 1.0 if place == "gradient" else bad
        return tensor * forward, lambda upstream: (upstream * bad, None)

    def poison(tensor):
        return times(tensor, tf.where(steps >= 10.0, float("nan"), 1.0))

    def hidden(self, *args, record=None, **kwargs):
        record = {} if record is None else record
        result, state = original["hidden"](self, *args, record=record, **kwargs)
        if place == "hidden":
            record["lstm_0"] = result = poison(result)
        return result, state

    def total(self, *args, **kwargs):
        value, *rest = original["loss"](self, *args, **kwargs)
        return poison(value) if place != "hidden" else value, *rest

    def counted(self, batch, one_step=trainer.Run.one_step):
        steps.assign(self.state.step)
        return one_step(self, batch)

    monkeypatch.setattr(TokenRollout, "hidden_states", hidden)
    monkeypatch.setattr(TextModel, "batch_total", total)
    monkeypatch.setattr(trainer.Run, "one_step", counted)
    monkeypatch.setattr("tfgen.training.run.first_not_finite", lambda *given: _at(steps, 10, given))
    with pytest.raises(InputError, match=f"Step 11 .*not finite: {first}.*of step 8 is kept"):
        train(recipe, tmp_path / "run", progress=False)
    latest = Checkpoints(tmp_path / "run" / "checkpoints").latest()
    assert latest[1]["step"] == 8
    assert all(np.all(np.isfinite(array)) for array in latest[0].values())


def _at(steps, number, given):
    steps.assign(number)
    return first_not_finite(*given)


def scalars(run, split, tag):
    return dict(events(run, split, tag))


def events(run, split, tag):
    """`(step, value)` of each event, as TensorBoard shows them."""
    return event_files.scalars(run / "logs" / split)[tag]
