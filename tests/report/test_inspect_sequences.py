"""`inspect_sequences` shows what was kept, ranges, gaps, lengths, classes and correlations."""

import numpy as np
import pytest

from tfgen.errors import InputError
from tfgen.recipe import DataConfig
from tfgen.report.inspect_sequences import inspect_sequences, sparkline

RNG = np.random.default_rng(0)
DAY = 24


def inspected(path, content=None, **fields):
    if content is not None:
        path.write_text(content, encoding="utf-8")
    return inspect_sequences(DataConfig(name=str(path), **fields)).splitlines()


def test_a_table(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"2013-01-01 {hour:02}:00,{hour % 4},{'xy'[hour % 2]},{hour}" for hour in range(16)]
    rows[3] = "2013-01-01 03:00,,,3"
    del rows[10:12]
    text = "time,a,b,c\n" + "\n".join([*rows, "noon,1,x,1"])
    lines = inspected(path, text, bounds=("a=0:",), known="c", validation_fraction=0.25)
    assert lines == [
        f"{path}: series, 1 sequence, 14 positions, 2 features",
        "kept: 14 rows",
        f"dropped: 1 x 'time' is no timestamp (first: {path}:16)",
        "split: the last 25% of the sequence in time are for validation",
        "lengths: 14 positions",
        "time column: 'time', read as year-month-day with time",
        "times: 2013-01-01 to 2013-01-01 15:00:00, step 1 h",
        "gaps: 1 of 13 steps (7.7%) are of another length; the largest is 3 h, after "
        "2013-01-01 09:00:00",
        "known: c",
        "a: 0 to 3, mean 1.231, standard deviation 1.049; 7.1% missing; bounds 0:",
        lines[10],
        "    ▁▃▆ ▁▃▆█▁▃▁▃▆█",
        "b: 2 levels: x 7, y 6; 7.1% missing",
        "    ▁█▁ ▁█▁█▁█▁█▁█",
    ]
    assert lines[10].startswith("    autocorrelation: ") and "lag 5" in lines[10]


def test_a_table_without_faults(tmp_path):
    content = "id,a,c\n" + "".join(f"{n % 3},{n},{'xy'[n % 3 == 0]}\n" for n in range(9))
    lines = inspected(tmp_path / "a.csv", content + "0,9,y\n", id="id", label="c")
    assert lines[2:6] == [
        "dropped: nothing",
        "split: the last 10% of each of 3 sequences in time are for validation",
        "lengths: 3 to 4, median 3 positions",
        "classes: 2: x 2, y 1",
    ]
    assert lines[-2:] == ["    ▁▃▆█", "(drawn: '0', the longest sequence)"]


def test_the_split_is_the_recipe_s(tmp_path):
    content = "id,a\n" + "".join(f"{n},{n}\n" for n in range(10))
    lines = inspected(
        tmp_path / "a.csv", content, id="id", split="sequences", validation_fraction=0.2
    )
    assert "split: 2 of 10 sequences (20%), evenly spread, are for validation" in lines


def test_regular_times_have_no_gaps(tmp_path):
    lines = inspected(tmp_path / "a.csv", "time,a\n2013-01-01,1\n2013-01-08,2\n2013-01-15,4\n")
    assert "time column: 'time', read as year-month-day" in lines
    assert "times: 2013-01-01 to 2013-01-15, step 7 d" in lines
    assert "gaps: none, every step is of this length" in lines


@pytest.mark.parametrize(
    ("cells", "form", "step"),
    [
        (["1990-01", "1990-02", "1990-03"], "year-month", "1 month (start)"),
        (["31.01.2013", "28.02.2013", "31.03.2013"], "day.month.year", "1 month (end)"),
        (["Q1 2013", "Q2 2013", "Q3 2013"], "quarter and year", "1 quarter (start)"),
        (["1990", "1991", "1992"], "year", "1 year (start)"),
        (["2022-01-06", "2022-01-07", "2022-01-10"], "year-month-day", "business days"),
        (["1/1/2013 1:00", "1/1/2013 2:00", "1/1/2013 3:00"], "month/day/year with time", "1 h"),
    ],
)
def test_the_step_is_told_by_its_name(tmp_path, cells, form, step):
    rows = "".join(f"{cell},{number}\n" for number, cell in enumerate(cells))
    lines = inspected(tmp_path / "a.csv", f"date,a\n{rows}")
    assert f"time column: 'date', read as {form}" in lines
    assert any(line.startswith("times: ") and line.endswith(f", step {step}") for line in lines)
    assert "gaps: none, every step is of this length" in lines


def test_the_largest_gap_is_in_its_sequence(tmp_path):
    rows = ["u,2013-01-01", "u,2013-01-02", "v,2013-01-01", "v,2013-02-01", "v,2013-02-02"]
    content = "id,date,a\n" + "".join(f"{row},{n}\n" for n, row in enumerate(rows))
    lines = inspected(tmp_path / "a.csv", content, id="id")
    expected = "gaps: 1 of 3 steps (33%) are of another length; the largest is 31 d in 'v', after "
    assert f"{expected}2013-01-01" in lines


def test_the_season_is_told(tmp_path):
    hours = np.arange(40 * DAY)
    values = np.sin(2 * np.pi * hours / DAY) + hours / 100 + RNG.normal(size=len(hours)) / 9
    content = "a\n" + "\n".join(f"{value:.6f}" for value in values)
    (line,) = (
        line for line in inspected(tmp_path / "a.csv", content) if "strongest season" in line
    )
    assert line.endswith(" at lag 24")
    content = "a\n" + "\n".join(f"{value:.6f}" for value in np.cumsum(RNG.normal(size=900)))
    assert "strongest season" not in "".join(inspected(tmp_path / "a.csv", content))


def test_other_kinds_are_shown():
    lines = inspected("kanji")
    assert (
        lines[0].startswith("kanji: strokes, 6,703 sequences, ") and "kept: 6,703 drawings" in lines
    )
    lines = inspected("drums", max_length=1000)
    assert "seconds at 16,000 samples a second" in lines[4] and "clips" in lines[1]


def test_texts_of_drawings_are_shown():
    [line] = [line for line in inspected("handwriting", source="texts") if "texts: " in line]
    assert line.startswith("texts: 1 to 20 of 95 characters: '") and "and 9,99" in line


def test_nothing_that_a_terminal_would_obey_is_shown(tmp_path):
    lines = inspected(tmp_path / "a.csv", "a\x1b[1m,b\n1,\x1b[2m\n2,y\n")
    assert not any("\x1b" in line for line in lines)


def test_text_is_refused():
    with pytest.raises(InputError, match="shakespeare is text"):
        inspected("shakespeare")


def test_a_sparkline_has_a_bar_for_each_part():
    assert sparkline(np.arange(8.0)) == "▁▂▃▄▅▆▇█"
    assert sparkline(np.array([2, np.nan, 3])) == "▁ █"
    assert sparkline(np.array([5.0, 5.0])) == "▁▁"
    assert sparkline(np.full(3, np.nan)) == "   "
    assert sparkline(np.arange(16.0), width=8) == "▁▂▃▄▅▆▇█"
    assert len(sparkline(np.arange(1000.0))) == 60
