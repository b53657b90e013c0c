"""Models that make texts of sequences of numbers: drawings in, words out."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tfgen import zoo
from tfgen.cli import main
from tfgen.data import Feature, Sequences, open_pairs
from tfgen.errors import InputError
from tfgen.models import families
from tfgen.networks.source_readers import NumberReader
from tfgen.preprocessing import CharacterTokenizer, SequenceProcessor, TokenizerWithSource
from tfgen.recipe import Recipe
from tfgen.report.texts import as_json_lines, as_text
from tfgen.training import train

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

FEATURES = (Feature("dx"), Feature("dy"), Feature("pen", levels=("down", "up")))


def drawing(points, rng, size=10.0):
    """Pen movements of a line of so many points."""
    moves = rng.normal(size=(points, 2)) * size + [3.0, -1.0]
    return np.c_[moves, np.arange(points) == points - 1].astype(np.float32)


def processor_of(values):
    ids = [str(number) for number in range(len(values))]
    return SequenceProcessor.fit(Sequences("drawings", "strokes", FEATURES, values, ids))


def make(family="gru", encoder="transformer"):
    rng = np.random.default_rng(0)
    sizes = {"gru": {"units": 8}, "transformer": {"layers": 1, "heads": 2, "width": 8}}
    model = families.make(
        family, encoder=encoder, encoder_units=8, encoder_layers=1, seed=1,
        tokenizer=CharacterTokenizer("\nab"), source_processor=processor_of([drawing(30, rng)]),
        **sizes[family],
    )  # fmt: skip
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) * 0.6)
    return model


def test_a_reader_gives_scaled_numbers_and_a_number_a_level():
    values = [np.array([[0, 10, 0], [4, np.nan, 1]], np.float32)]
    reader = NumberReader(processor_of(values))
    # Of dx the mean is 2 and the deviation 2, and dy is missing once, which counts as the mean.
    scaled = np.array([[-1, 0], [1, 0]], np.float32)
    expected = np.c_[scaled, [[0, 0], [0, 1]], [[1, 0], [0, 1]]][None]
    np.testing.assert_allclose(reader.features(values[0][None]), expected, atol=1e-5)
    assert reader.width == 6


def test_a_text_is_scored_given_its_drawing_however_that_is_padded():
    model, rng = make(), np.random.default_rng(5)
    sources, texts = [drawing(3, rng), drawing(9, rng)], ["ab\n", "bba\n"]
    found = model.score(texts, source=sources)["log_likelihood"]
    for text, source, nats in zip(texts, sources, found):
        ids = [model.tokenizer.start_id, *model.tokenizer.encode(text)]
        given = source[None], np.ones([1, len(source)], bool)
        logits = model({"tokens": np.array([ids[:-1]]), "condition": given})[0]
        shares = tf.nn.log_softmax(tf.cast(logits, tf.float64)).numpy()
        assert nats == pytest.approx(shares[np.arange(len(text)), ids[1:]].sum(), rel=1e-4)
    # Another drawing says something else of the same text, and so does its end.
    other = sources[0].copy()
    other[-1, 2] = 0
    assert abs(model.score("ab\n", source=other)["log_likelihood"] - found[0]) > 1e-4
    made = model.generate(source=sources, temperature=0, max_new_tokens=2)
    assert made[0] == model.generate(source=sources[0], temperature=0, max_new_tokens=2)


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
def test_a_stored_and_a_served_model_scale_drawings_as_before(tmp_path):
    model, rng = make("transformer", "gru"), np.random.default_rng(5)
    sources = [drawing(5, rng), drawing(19, rng)]
    told = {"source": sources, "temperature": 0, "max_new_tokens": 6}
    made, score = model.generate(**told), model.score(["ab\n", "b\n"], source=sources)
    model.save(tmp_path / "kept")
    again = zoo.get(tmp_path / "kept")
    assert isinstance(again.preprocessing, TokenizerWithSource)
    assert again.generate(**told) == made
    again.save(tmp_path / "kept")  # over what is there
    model.generation = model.generation.__class__(temperature=0, max_new_tokens=6)
    model.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served")).signatures
    values, lengths, _ = model.preprocessing.source.as_values(sources)
    given = {"source": tf.constant(values), "source_lengths": tf.constant(lengths)}
    texts = served["serving_default"](prompts=tf.constant(["", ""]), **given)["texts"].numpy()
    assert [each.decode() for each in texts] == made
    found = served["score"](texts=tf.constant(["ab\n", "b\n"]), **given)["log_likelihood"]
    np.testing.assert_allclose(found, score["log_likelihood"], rtol=1e-5)
    (tmp_path / "kept" / "source.json").unlink()
    with pytest.raises(InputError, match=r"source\.json is missing"):
        zoo.get(tmp_path / "kept")


def test_what_a_drawing_may_be_is_told_in_a_line():
    model = make()
    for wrong, rule in (
        ("seven", "arrays \\(time, 3\\). Received: source='seven'"),
        (np.zeros([4, 2]), "3"),
        (np.zeros([0, 3]), "must not be empty"),
        ([np.zeros([2, 3])] * 2, "one for all or 3"),
    ):
        with pytest.raises(InputError, match=rule) as caught:
            model.generate(["a"] * 3, source=wrong)
        assert "\n" not in str(caught.value)
    assert model.generate(source=[]) == []


def test_samples_are_named_by_their_sources():
    assert as_text([["x"], ["y"]], ["a.svg", "b.svg"]) == "--- a.svg ---\nx\n--- b.svg ---\ny"
    assert as_text([["x"], ["y"]], ["a.svg"]).startswith("--- prompt 1 ---")
    assert as_json_lines(["p"], [["x"]], ["a"]) == (
        '{"source": "a", "prompt": "p", "sample": 1, "text": "x"}\n'
    )


# Data


def svg(path, points):
    line = " ".join(f"{x},{y}" for x, y in points)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><polyline fill="none" '
        f'stroke="black" points="{line}"/></svg>'
    )


def test_a_table_names_files_of_a_folder_or_classes_of_a_set(tmp_path):
    (tmp_path / "in").mkdir()
    svg(tmp_path / "in" / "a.svg", [(0, 0), (4, 0)])
    svg(tmp_path / "b.svg", [(0, 0), (0, 4), (4, 4)])
    (tmp_path / "c.svg").write_text("none")
    table = tmp_path / "table.csv"
    table.write_text("file,text\nin/a.svg,flat\nb.svg,bent\nb.svg,angle\nd.svg,no\nc.svg,no\n")
    pairs = open_pairs(table, "file", "text", source_data=str(tmp_path))
    assert pairs.references("all").items() == {
        "in/a.svg": ["flat"], "b.svg": ["bent", "angle"]
    }.items()  # fmt: skip
    found = pairs.sequences("all")
    flat = found.values[found.ids.index("in/a.svg")]
    np.testing.assert_allclose(flat, [[-2, 0, 0], [4, 0, 1]])
    dropped = " ".join(pairs.report.dropped)
    assert pairs.report.kept == 3 and "no such file" in dropped and "the file of" in dropped
    values = {"points": np.repeat(flat, 3, axis=0), "offsets": np.array([0, 2, 4, 6])}
    np.savez(tmp_path / "s.npz", **values, labels=np.array([0, 1, 0]), classes=np.array(["p", "q"]))
    table.write_text("class,text\np,pea\nr,no\n")
    pairs = open_pairs(table, "class", "text", source_data=str(tmp_path / "s.npz"))
    assert len(pairs.references("all")) == pairs.report.kept == 2
    assert "no id and no class in" in str(pairs.report.dropped)


@pytest.mark.long
def test_a_fine_tuning_keeps_the_scaling_of_sources_whatever_the_vocabulary(tmp_path):
    tables = {"digits": ("zero", "seven"), "capitals": ("ZERO", "SEVEN")}
    for name, (zero, seven) in tables.items():
        (tmp_path / f"{name}.csv").write_text(f"digit,word\n0,{zero}\n7,{seven}\n")
    recipe = Recipe("gru").override({
        "data.name": str(tmp_path / "digits.csv"), "data.source": "digit", "data.column": "word",
        "data.source_data": "pendigits", "model.encoder": "gru", "model.encoder_units": 4,
        "model.encoder_layers": 1, "model.units": 4, "model.layers": 1, "training.window": 16,
        "training.steps": 1, "training.warmup_steps": 0, "training.batch_size": 4,
        "training.validate_every": 0, "training.sample_every": 0, "training.histogram_every": 0,
    })  # fmt: skip
    start = train(recipe, tmp_path / "first", progress=False)
    other = recipe.override({"data.name": str(tmp_path / "capitals.csv")})
    found = train(other, tmp_path / "second", start=str(start), progress=False)
    first, second = zoo.get(start), zoo.get(found)
    assert {*second.tokenizer.vocabulary} == {*"\nZEROSVN"}
    source = [each.preprocessing.source.get_config() for each in (first, second)]
    assert source[0]["scaler"] == source[1]["scaler"]
    # What was scaled so is read by the weights of the start, but for a step.
    kernels = [each.engine.emission.source_encoder.embedding.kernel for each in (first, second)]
    np.testing.assert_allclose(*kernels, atol=0.01)
    pairs = recipe.override({"data.name": "cmudict", "data.source_data": None})
    pairs = pairs.override({"data.source": "word", "data.column": "phonemes"})
    with pytest.raises(InputError, match="cmudict has other sources"):
        train(pairs, tmp_path / "third", start=str(start), progress=False)


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
def test_a_model_is_trained_to_name_drawings_and_goes_on_after_a_stop(tmp_path, capsys):
    rng, rows = np.random.default_rng(0), []
    ways = {"flat": (6, 0), "high": (0, 6), "steep": (6, 6)}
    for number in range(240):
        name = list(ways)[number % 3]
        start = rng.uniform(0, 2, 2)
        svg(tmp_path / f"{number}.svg", [start, start + ways[name] + rng.normal(0, 0.5, 2)])
        rows.append(f"{number}.svg,{name}")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["file,text", *rows]) + "\n")
    settings = [
        "data.source=file", "data.column=text", f"data.source_data={tmp_path}", "model.units=24",
        "model.layers=1", "model.encoder=gru", "model.encoder_units=16", "model.encoder_layers=1",
        "training.window=16", "training.batch_size=32", "training.learning_rate=0.02",
        "training.validate_every=60", "training.sample_every=60", "training.histogram_every=0",
        "training.steps=60",
    ]  # fmt: skip
    sets = [word for each in settings for word in ("--set", each)]
    run = str(tmp_path / "run")
    assert main(["train", "gru", "--data", str(table), *sets, "--logdir", run]) == 0
    more = ["--resume", "--logdir", run, "--set", "training.steps=80"]
    assert main(["train", *more]) == 0
    capsys.readouterr()
    assert main(["evaluate", run, "--data", str(table), "--out", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["sources"] == 12 and found["sequence_error_rate"] < 0.1
    capsys.readouterr()
    svg(tmp_path / "mine.svg", [(0, 0), (0, 5)])
    command = ["generate", run, "--source", str(tmp_path / "mine.svg")]
    assert main(command) == 0
    assert capsys.readouterr().out.strip() == "high"
    assert main([*command, "--source", "nothing.svg"]) == 2
