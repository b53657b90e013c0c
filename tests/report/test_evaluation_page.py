"""The report: scores, the JSON file and the page."""

import base64
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tfgen.errors import InputError
from tfgen.report.evaluation_page import page, write_report
from tfgen.report.score import Score, readable

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def results():
    return {
        "model": "gru <b>",
        "data": "weather & more",
        "runs": 3,
        "notes": ["no <i>forecasts</i>"],
        "likelihood": {
            "values": 12345,
            "nats_per_value": Score.of([1.5], baseline=[2.5]).to_dict(),
        },
        "generation": {
            "windows": np.int64(100),
            "scores": {
                "mmd": Score.of([1.0, 2.0, 3.0], [0.5, 0.7], [9.0]).to_dict(),
                "coverage_80": Score.of([0.75, math.nan], better="near", target=0.8).to_dict(),
            },
        },
    }


def test_a_score_is_mean_and_spread():
    score = Score.of([1.0, 2.0, 4.5], real=[0.0, 1.0], baseline=[7.0])
    assert score.mean == 2.5 and score.spread == pytest.approx(np.std([1, 2, 4.5], ddof=1))
    assert score.real == 0.5 and score.real_spread == pytest.approx(math.sqrt(0.5))
    assert score.baseline == 7 and score.baseline_spread is None
    assert readable(score) == "2.5 ± 1.8"
    assert readable(Score(mean=0.123456)) == "0.1235"
    assert Score.of([1.0, math.nan, 3.0]).mean == 2
    nothing = Score.of([math.nan])
    assert math.isnan(nothing.mean) and nothing.spread is None and readable(nothing) == "–"
    assert nothing.to_dict()["mean"] is None and nothing.to_dict()["runs"] == [None]
    assert Score.from_dict(score.to_dict()) == score
    with pytest.raises(InputError, match="better"):
        Score.of([1.0], better="bigger")


def test_the_files_hold_what_was_found(tmp_path):
    path = write_report(results(), tmp_path / "new" / "folder", [("Two & two", PNG)])
    assert path == tmp_path / "new" / "folder" / "report.html"
    record = json.loads((path.parent / "report.json").read_text("utf-8"))
    assert record["generation"]["windows"] == 100
    assert record["generation"]["scores"]["mmd"]["mean"] == 2
    assert record["generation"]["scores"]["coverage_80"]["runs"] == [0.75, None]
    text = path.read_text("utf-8")
    assert "<td>2 ± 1</td><td>0.6 ± 0.14</td><td>9</td><td>lower</td>" in text
    assert "<td>0.75</td><td>–</td><td>–</td><td>near 0.8</td>" in text
    assert "<td>nats per value</td><td>1.5</td><td>–</td><td>2.5</td>" in text
    assert "12,345" in text and "weather &amp; more" in text
    write_report({"model": "other"}, path.parent)
    assert "weather" not in path.read_text("utf-8")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        write_report(results(), tmp_path / "file")


def test_the_page_needs_no_other_file_and_trusts_no_text():
    text = page(json.loads(json.dumps(results(), default=int)), [("<script>", PNG)])
    assert "gru &lt;b&gt;" in text and "<script" not in text and "<i>" not in text
    [source] = re.findall(r'src="([^"]*)"', text)
    assert base64.b64decode(source.removeprefix("data:image/png;base64,")) == PNG
    assert "http:" not in text and "https:" not in text and "href" not in text

    class Balance(HTMLParser):
        open = []

        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "img"):
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    parser = Balance()
    parser.feed(text)
    assert not parser.open
