"""What drawings say: from archives, lines of JSON, InkML and tables beside them; and `handwriting`."""

import json

import numpy as np
import pytest

from tfgen.data import open_sequences
from tfgen.data.handwriting import write, write_lines
from tfgen.data.strokes import to_lines
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

INK = """<ink xmlns="http://www.w3.org/2003/InkML">
<annotation type="label">x+1</annotation><annotation type="splitTagOriginal">valid</annotation>
<traceFormat><channel name="T"/><channel name="X"/><channel name="Y"/></traceFormat>
<trace>0 10 20, 5 13 24</trace><trace>9 30 20, 0 '2 '-1, 0 3 0, 0 "1 "0</trace></ink>"""
OF_IAM = """<?xml version="1.0"?><WhiteboardCaptureSession><StrokeSet>
<Stroke colour="black"><Point x="1" y="2" time="0"/><Point x="4" y="6" time="1"/></Stroke>
</StrokeSet></WhiteboardCaptureSession>"""


def opened(path, **options):
    return open_sequences(DataConfig(name=str(path), **options))


def test_ink_is_read_with_its_channels_its_differences_and_its_label(tmp_path):
    (tmp_path / "a.inkml").write_text(INK)
    (tmp_path / "b.inkml").write_text(INK.replace(">x+1<", "><"))
    (tmp_path / "c.inkml").write_text(INK[:200])
    (tmp_path / "d.xml").write_text(OF_IAM)
    sequences = opened(tmp_path, source="label")
    assert (sequences.kind, sequences.ids, sequences.texts) == ("strokes", ["a"], ["x+1"])
    # The second trace by hand: 30, then differences of 2 and 3, then one of the difference.
    expected = [[0, 0, 0], [3, 4, 1], [17, -4, 0], [2, -1, 0], [3, 0, 0], [4, 0, 1]]
    np.testing.assert_array_equal(sequences.values[0], expected)
    dropped = {reason: number for reason, (number, _) in sequences.report.dropped.items()}
    assert dropped == {"no ink": 1, "the drawing has no text of 'label'": 2}
    # Without a text a drawing begins in its middle.
    np.testing.assert_array_equal(opened(tmp_path / "d.xml").values[0][0], [-1.5, -2, 0])


def test_texts_stand_in_lines_of_json_or_in_a_table(tmp_path):
    rows = [
        {"drawing": [[[0, n + 1], [0, 2]]], "word": w} for n, w in enumerate(["cat", " ", "dog"])
    ]
    (tmp_path / "d.ndjson").write_text("\n".join(map(json.dumps, rows)))
    assert opened(tmp_path / "d.ndjson", source="word").texts == ["cat", "dog"]
    folder = tmp_path / "svg"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.svg", "sub/a.svg", "c.svg"):
        (folder / name).write_text('<svg viewBox="0 0 9 9"><path d="M1 1 L5 6"/></svg>')
    (folder / "texts.csv").write_text('file,text\na.svg,"one, two"\nsub/a.svg,three\n')
    sequences = opened(folder, source="texts.csv")
    assert sequences.texts == ["one, two", "three"]
    (folder / "texts.csv").write_text("name,says\na.svg,one\n")
    with pytest.raises(InputError, match="columns file and text"):
        opened(folder, source="texts.csv")
    with pytest.raises(InputError, match="no table of texts"):
        opened(folder, source="other.csv")


def test_texts_of_an_archive_are_as_many_as_its_drawings(tmp_path):
    points, offsets = np.zeros([4, 3], "f4"), [0, 2, 4]
    np.savez(tmp_path / "d.npz", points=points, offsets=offsets, texts=["a", "b"])
    assert opened(tmp_path / "d.npz", source="texts").texts == ["a", "b"]
    assert opened(tmp_path / "d.npz").texts is None
    np.savez(tmp_path / "d.npz", points=points, offsets=offsets, texts=["a"])
    with pytest.raises(InputError, match="a text for each of the 2"):
        opened(tmp_path / "d.npz", source="texts")


def test_handwriting_is_the_same_for_a_seed_and_its_letters_stand_in_order():
    drawings, texts = write_lines(3, seed=5)
    again, _ = write_lines(3, seed=6)
    assert not np.array_equal(drawings[0], again[0])
    write_lines.cache_clear()
    same, _ = write_lines(3, seed=5)
    assert all(map(np.array_equal, drawings, same)) and all(text.isascii() for text in texts)
    # An "l" is a line downwards in both fonts, so four stand side by side, of about one height.
    for seed in range(6):
        drawing = write("l i", np.random.default_rng(seed))
        lines = to_lines(drawing)
        assert drawing[0, :2].tolist() == [0, 0] and drawing[-1, 2] == 1
        assert lines[0][:, 0].max() < lines[-1][:, 0].min()  # the dot is right of the l
        assert np.ptp(lines[0][:, 1]) > 12
