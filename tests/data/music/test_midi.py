"""MIDI files become notes and notes MIDI files, to the tick; damaged ones give a line."""

import sys

import numpy as np
import pytest

from tests.data.music.midi_bytes import END, fuzzed, meta, midi, off, on, simple, track
from tfgen.data.music.midi import read_midi, write_midi
from tfgen.data.music.piece import DRUMS, Piece
from tfgen.data.readers import Report, Unreadable
from tfgen.errors import InputError

BIG = (1 << 28) - 1  # the most ticks between two events


def written(tmp_path, data):
    path = tmp_path / "song.mid"
    path.write_bytes(data)
    return path


def as_set(piece):
    """Notes without the numbers of the tracks, and the tracks as sets of notes."""
    rows = [tuple(row) for row in piece.notes.tolist()]
    tracks = {}
    for row in rows:
        tracks.setdefault(row[5], []).append(row[:5])
    return sorted(row[:5] for row in rows), sorted(map(sorted, tracks.values()))


def test_a_file_by_hand_becomes_its_notes(tmp_path):
    pytest.importorskip("symusic")
    first = [
        (0, meta(0x51, 0x07, 0xA1, 0x20)),
        (0, meta(0x58, 3, 3, 24, 8)),
        (0, meta(0x59, 0xFD, 1)),
    ]
    violin = [
        (0, b"\xc1\x28"),
        (10, on(60, 80, 1)),
        (470, on(64, 81, 1)),
        (240, off(60, 1)),
        (0, off(64, 1)),
    ]
    drums = [(0, on(36, 127, 9)), (1, off(36, 9)), END]
    piece = read_midi(written(tmp_path, midi([track([*first, *violin, END]), track(drums)])))
    assert piece.notes.tolist() == [
        [0, 1, 36, 127, DRUMS, 1],
        [10, 710, 60, 80, 40, 0],
        [480, 240, 64, 81, 40, 0],
    ]
    assert piece.ticks_per_quarter == 480 and piece.name == "song" and piece.end == 720
    assert piece.tempos.tolist() == [[0, 120]]
    assert piece.metres.tolist() == [[0, 3, 8]] and piece.keys.tolist() == [[0, -3, 1]]


def test_seconds_go_by_the_tempos():
    piece = Piece(notes=[[0, 960, 60, 64, 0, 0]], ticks_per_quarter=480, tempos=[[480, 60]])
    # The first quarter at 120 takes half a second, those behind it a second each.
    assert piece.seconds([0, 240, 480, 960]).tolist() == [0, 0.25, 0.5, 1.5]


@pytest.mark.parametrize(
    "data, reason, words",
    [
        (b"", "empty", "is empty"),
        (b"no music, but a text", "no MIDI", "'MThd'"),
        (simple()[:9], "damaged", "14"),
        (simple()[:-5], "damaged", "length"),
        (midi([track([(0, b"\x3c\x40"), END])]), "damaged", "running status"),
        (midi([]), "no note", "no note"),
        (midi([], count=3), "no note", "no note"),
        (midi([track([(0, on(60)), END])]), "no note", "begins and ends"),
        (midi([track([(0, on(200)), END])]), "damaged", "200"),
        (midi([track([(0, on(60)), (9, off(60)), END])] * 10_000), "too many tracks", "10,000"),
        (midi([track([(BIG, on(60)), (BIG, off(60)), END])]), "too long", "quarter notes"),
        (midi([track([(BIG, on(60)), (BIG, off(60))] * 9 + [END])]), "too long", "quarter notes"),
        (midi([track([(0, on(60)), (9, off(60)), END])], division=0), "damaged", "0 ticks"),
        (midi([track([(0, on(60)), (9, off(60)), END])], division=0xE728), "damaged", "Division"),
    ],
)  # fmt: skip
def test_a_broken_file_gives_a_line_and_a_reason(tmp_path, data, reason, words):
    pytest.importorskip("symusic")
    path = written(tmp_path, data)
    with pytest.raises(Unreadable, match=words) as caught:
        read_midi(path)
    assert caught.value.reason == reason
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_left_out_of_a_file_is_counted(tmp_path):
    pytest.importorskip("symusic")
    report = Report()
    endless = [
        (0, meta(0x51, 0, 0, 0)),
        (0, on(62)),
        (0, on(63)),
        (1, meta(1, 65)),
        (1, b"\x40\x50"),
    ]
    piece = read_midi(written(tmp_path, simple(*endless)), report)
    assert piece.notes[:, 2].tolist() == [
        60
    ]  # a text ends no running status: symusic's own leniency
    assert {reason: count for reason, (count, _) in report.dropped.items()} == {
        "a note that never ends": 3,
        "a tempo of 0": 1,
    }
    assert not len(piece.tempos)


def round_trips(tmp_path, seeds):
    for seed in seeds:
        data, notes = fuzzed(np.random.default_rng(seed))
        piece = read_midi(written(tmp_path, data))
        assert as_set(piece)[0] == sorted(note[:5] for note in notes), seed
        channels = {}
        for note in notes:
            channels.setdefault(note[5], []).append(note[:5])
        assert as_set(piece)[1] == sorted(map(sorted, channels.values())), seed
        copy = tmp_path / "copy.mid"
        write_midi(piece, copy)
        again = read_midi(copy)
        np.testing.assert_array_equal(again.notes[:, :5], piece.notes[:, :5], str(seed))
        assert as_set(again) == as_set(piece), seed
        np.testing.assert_array_equal(again.tempos, piece.tempos)
        np.testing.assert_array_equal(again.metres, piece.metres)
        assert again.ticks_per_quarter == piece.ticks_per_quarter


def test_files_read_written_and_read_are_the_same_to_the_tick(tmp_path):
    pytest.importorskip("symusic")
    round_trips(tmp_path, range(10))


@pytest.mark.long
def test_200_files_read_written_and_read_are_the_same_to_the_tick(tmp_path):
    pytest.importorskip("symusic")
    round_trips(tmp_path, range(10, 210))


@pytest.mark.long
def test_thousands_of_damaged_files_are_read_or_refused(tmp_path):
    pytest.importorskip("symusic")
    random = np.random.default_rng(3)
    refused = 0
    for seed in range(400):
        data = bytearray(fuzzed(np.random.default_rng(seed))[0])
        for _ in range(random.integers(1, 4)):
            at = int(random.integers(len(data)))
            kind = random.integers(3)
            if kind == 0:
                data[at] = int(random.integers(256))
            elif kind == 1:
                del data[at : at + int(random.integers(1, 9))]
            else:
                data[at:at] = bytes(random.integers(0, 256, random.integers(1, 9)).tolist())
        try:
            piece = read_midi(written(tmp_path, bytes(data)), Report())
        except Unreadable:
            refused += 1
        else:
            assert piece.notes[:, :2].min() >= 0 and piece.notes[:, 2:5].max() <= DRUMS
    assert 40 < refused < 380


def test_without_symusic_a_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "symusic", None)
    with pytest.raises(InputError, match=r"pip install 'tfgen-sequences\[music\]'"):
        read_midi(written(tmp_path, simple()))
