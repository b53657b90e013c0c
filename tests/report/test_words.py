"""Values, tables and results are as a person reads them."""

from tfgen.report.results import results_text
from tfgen.report.score import Score
from tfgen.report.words import aligned, readable


def test_values_are_short():
    assert readable(0.123456) == "0.1235" and readable(1234567) == "1,234,567"
    assert readable({"mean": 1.5, "runs": [1, 2.25]}) == "mean 1.5, runs 1, 2.25"
    assert readable(True) == "True" and readable("a") == "a"


def test_columns_are_aligned():
    assert aligned([["a", "bb", "c"], ["aaa", "b", ""]]) == "a    bb  c\naaa  b"


def test_results_are_facts_and_scores_beside_others():
    score = Score.of([1.0, 2.0], real=[0.5], baseline=[3.0, 5.0]).to_dict()
    results = {
        "data": "weather",
        "notes": [],
        "likelihood": {"values": 12345, "nats_per_value": Score.of([float("nan")]).to_dict()},
        "generation": {"scores": {"mmd": score}},
    }
    assert results_text(results).splitlines() == [
        "data  weather",
        "",
        "likelihood",
        "values          12,345",
        "nats per value  none",
        "",
        "generation, scores",
        "mmd  1.5 ± 0.71   real 0.5   naive 4 ± 1.4",
    ]
