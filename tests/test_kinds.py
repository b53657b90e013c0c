"""A kind of data is one row of a table: ours, and what a person adds."""

import dataclasses

import numpy as np
import pytest

from tfgen.data import (
    Feature,
    Kind,
    Sequences,
    data_kind,
    open_sequences,
    open_text,
    register_kind,
)
from tfgen.data.augmentation import check_augmentation
from tfgen.data.readers import Report
from tfgen.errors import InputError
from tfgen.kinds import _RESERVED, KINDS, find_kind, kinds_of_numbers, load
from tfgen.recipe import DataConfig, Recipe
from tfgen.report.inspection import draw_data, inspect_data
from tfgen.report.kinds import formats_of, lines_of, noun_of
from tfgen.report.output import check_output, write_sequences
from tfgen.uses import TRAITS, model_words

FACES = Feature("face", levels=("1", "2", "3", "4", "5", "6"))


def open_dice(name, paths, config):
    report, values, ids = Report(), [], []
    for path in paths:
        rolls = path.read_text().split()
        if not rolls:
            report.drop("no roll in it", str(path))
            continue
        values.append(np.array(rolls, np.float32)[:, None] - 1)
        ids.append(path.stem)
    report.kept = len(values)
    return Sequences(name, "dice", (FACES,), values, ids, report=report)


def as_dice(samples):
    lines = [" ".join(f"{face + 1:g}" for face in values[:, 0]) for values in samples.arrays]
    return [lambda path: path.write_text("\n".join(lines))]


DICE = Kind(
    name="dice", words="dice rolls", open=open_dice, suffixes=(".dice",), ends=True,
    formats={".dice": as_dice}, unit="game",
)  # fmt: skip


@pytest.fixture(autouse=True)
def kinds_as_they_were():
    before = dict(KINDS)
    yield
    KINDS.clear()
    KINDS.update(before)


@pytest.fixture
def games(tmp_path):
    register_kind(DICE)
    for number, rolls in enumerate(("1 6 6 2", "3", "", "5 5 1")):
        (tmp_path / f"game-{number}.dice").write_text(rolls)
    (tmp_path / "readme.txt").write_text("rolled by hand")
    return tmp_path


def test_ours_are_listed_text_first_and_asked_last():
    assert list(KINDS) == ["text", "series", "strokes", "audio", "music", "events"]
    assert kinds_of_numbers() == ("series", "strokes", "audio", "music")
    assert all(name == row.name for name, row in KINDS.items())
    assert [name for name, row in KINDS.items() if row.goes_on] == ["series"]
    assert {*TRAITS} - {*_RESERVED} == {name for name in TRAITS if " " in name}


@pytest.mark.parametrize("row", KINDS.values(), ids=KINDS)
def test_every_path_of_a_row_is_there(row):
    for field in dataclasses.fields(row):
        value = getattr(row, field.name)
        for path in value.values() if isinstance(value, dict) else [value]:
            if isinstance(path, str) and path.startswith("tfgen."):
                assert callable(load(path))


def test_the_files_of_a_persons_kind_are_recognized_and_read(games):
    config = DataConfig(name=str(games))
    assert data_kind(config) == "dice" and data_kind(DataConfig(name=str(games / "game-1.dice")))
    sequences = open_sequences(config)
    assert sequences.kind == "dice" and sequences.ends  # as the row says
    assert [values[:, 0].tolist() for values in sequences.values] == [[0, 5, 5, 1], [2], [4, 4, 0]]
    assert sequences.report.kept == 3
    assert [*sequences.report.dropped] == ["no roll in it", "a file is no dice"]
    named = open_sequences(DataConfig(name=str(games), kind="dice"))
    assert named.ids == sequences.ids


def test_inspect_tells_and_draws_a_persons_kind(games, tmp_path):
    told = inspect_data(DataConfig(name=str(games)))
    assert ": dice, 3 sequences, 8 positions, 1 feature" in told
    assert "kept: 3 games" in told and "face: 6 levels: 1 2, 5 2, 6 2, 2 1, 3 1, 4 0" in told
    [picture] = draw_data(DataConfig(name=str(games)), tmp_path / "dice.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_persons_kind_is_written_as_it_says_and_as_a_table(games, tmp_path):
    sequences = open_sequences(DataConfig(name=str(games)))
    assert [*formats_of("dice")] == [".csv", ".npz", ".png", ".dice"]
    assert DICE.usual_suffix == ".dice"
    [path] = write_sequences(tmp_path / "a.dice", sequences.values, sequences.features, "dice")
    assert path.read_text() == "1 6 6 2\n3\n5 5 1"
    [path] = write_sequences(tmp_path / "a.csv", sequences.values[1:2], sequences.features, "dice")
    assert path.read_text().splitlines() == ["sample,face", "1,3"]
    with pytest.raises(InputError, match=r"\.dice is for dice, and this is series: choose one of"):
        check_output("a.dice")
    with pytest.raises(InputError, match=r"\.svg is for strokes, and this is dice: choose one of"):
        check_output("a.svg", "dice")


def test_a_persons_kind_has_the_usual_picture_and_thumbnail(games):
    assert noun_of("dice") == "dice" and noun_of("strokes") == "drawings"
    [line] = lines_of("dice", np.array([[0.0], [5.0]]))
    np.testing.assert_allclose(line, [[-2, 1], [2, -1]], atol=1e-6)


def test_fields_of_other_kinds_are_refused_unless_it_is_like_them(games):
    recipe = Recipe("lstm").override({"data.max_length": 3, "training.augment": ["jitter=0.1"]})
    with pytest.raises(InputError, match="max_length is for pen strokes and sound and music as frames, and the data "
                       "are dice rolls"):  # fmt: skip
        recipe.check_used("dice")
    with pytest.raises(InputError, match="'jitter' is for time series and pen strokes, and the da"):
        check_augmentation(recipe.training.augment, "dice")
    register_kind(dataclasses.replace(DICE, like=("strokes",)))
    recipe.check_used("dice")
    check_augmentation(recipe.training.augment, "dice")
    assert model_words("dice", "diffusion") == "this is a diffusion model of dice rolls"


def test_the_same_kind_may_be_registered_again_and_another_may_not():
    register_kind(DICE)
    again = dataclasses.replace(DICE, words="rolls of dice")
    assert register_kind(again) is again and find_kind("dice").words == "rolls of dice"
    for name in ("dice", "strokes", "text", "numbers"):
        other = Kind(name=name, words="others", open=lambda name, paths, config: None)
        with pytest.raises(InputError, match=f"The name '{name}' is taken"):
            register_kind(other)
    assert find_kind("dice") is again


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "My dice"}, "has a name of lower-case letters.*Received: name='My dice'"),
        ({"open": None}, "'dice' needs a reader of files"),
        ({"suffixes": ".dice"}, r"suffixes of the kind 'dice' must be .*Received: suffixes='\.d"),
        ({"formats": {"dice": as_dice}}, "formats of the kind 'dice' must be of suffixes such as"),
        ({"like": ("stroke",)}, "Unknown kind of data 'stroke'. Did you mean 'strokes'"),
    ],
)
def test_a_row_that_cannot_be_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        register_kind(dataclasses.replace(DICE, **changes))
    assert "dice" not in KINDS
    with pytest.raises(InputError, match=r"Only a tfgen.data.Kind can be registered"):
        register_kind("dice")


@pytest.mark.parametrize(
    ("opened", "message"),
    [
        (lambda *_: None, "must return tfgen.data.Sequences of the kind 'dice'. Received: None"),
        (
            lambda *_: Sequences("x", "series", (FACES,), [np.zeros([2, 1])], ["0"]),
            "must return tfgen.data.Sequences of the kind 'dice'",
        ),
        (lambda *_: Sequences("x", "dice", (FACES,), [], []), "There are no dice rolls in "),
        (
            lambda *_: Sequences("x", "dice", (FACES,), [np.zeros(3)], ["game-0"]),
            r"must return arrays \(time, 1\), as many columns as features. Received: \(3,\) of ga",
        ),
    ],
)
def test_what_a_persons_reader_returns_is_checked(games, opened, message):
    KINDS["dice"] = dataclasses.replace(DICE, open=opened)
    with pytest.raises(InputError, match=message):
        open_sequences(DataConfig(name=str(games)))


def test_what_was_dropped_is_told_where_nothing_is_left(games):
    with pytest.raises(InputError, match=r"There are no dice rolls in .*: 1 x no roll in it \(fir"):
        open_sequences(DataConfig(name=str(games / "game-2.dice")))


def test_an_unknown_kind_is_refused_with_near_names():
    with pytest.raises(InputError, match="Unknown data.kind 'strokse'. Did you mean 'strokes'"):
        DataConfig(kind="strokse")
    with pytest.raises(InputError, match="Unknown kind of data 'dice'"):
        check_output("a.csv", "dice")


def test_a_persons_kind_may_be_read_as_text(tmp_path):
    def read(path, report):
        return " ".join(path.read_text().split(",")) + "\n"

    chess = Kind(
        name="chess", words="games", open=None, read=read, suffixes=(".moves",), like=("text",),
        tokenizer="word", unit="game",
    )  # fmt: skip
    register_kind(chess)
    for number in range(10):
        (tmp_path / f"{number}.moves").write_text(f"e4,e5,Nf{number}")
    assert data_kind(DataConfig(name=str(tmp_path))) == "chess"
    source = open_text(str(tmp_path))
    assert "e4 e5 Nf7\n" in "".join(source.chunks("all"))
    assert source.split_rule.startswith("9 games are for training, 1 (")
    Recipe("lstm").override({"preprocessing.max_vocabulary": 9}).check_used("chess")
