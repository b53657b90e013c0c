"""What separates fields, and where a table begins."""

import pytest

from tfgen.data.layout import (
    SPACES,
    WIDE_SPACES,
    clean_names,
    find_delimiter,
    find_header,
    is_table,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n3,4", ","),
        ("a;b\n1,5;2,5\n3,5;4,5", ";"),
        ("a\tb\n1,5\t2,5", "\t"),
        ("a|b|c\n1|2|3", "|"),
        ("a  b   c\n1 2\t3\n 4 5 6", SPACES),
        ("a  b   c\n1  2\t3\n 4   5  6", WIDE_SPACES),
        ("a\n1\n2", ","),
        ("my value\n1\n2", ","),
        ("value\n1 000\n2 000", ","),
        ("time value\n1 2020-01-01 5\n2 2020-01-02 6", SPACES),
        ("a;b, in m;c\n1,5;2.5;-3,25e1", ";"),
        ("a title, with a comma\n\nx;y\n1;2\n3;4\n5;6", ";"),
        ('a,"x;y;z"\n1,2\n3,"4;5;6"', ","),
        ("time,a\n2020-01-01 00:00,1\n2020-01-01 01:00,2", ","),
        ("time              value\n2020-01-01 00:00  1.5\n2020-01-01 01:00  12", WIDE_SPACES),
        ("", ","),
    ],
)
def test_the_delimiter_cuts_all_lines_alike(text, expected):
    assert find_delimiter(text.split("\n")) == expected


def header(text, option="auto"):
    rows = [(number, line.split(",")) for number, line in enumerate(text.split("\n"), 1)]
    found = find_header([row for row in rows if row[1] != [""]], option)
    return found.names, found.start


@pytest.mark.parametrize(
    ("text", "names", "start"),
    [
        ("time,a\n2020-01-01,1", ["time", "a"], 1),
        ("2020-01-01,1\n2020-01-02,2", ["x0", "x1"], 0),
        ("1.5,2\n3,4", ["x0", "x1"], 0),
        ("u,1,2\nv,3,4", ["x0", "x1", "x2"], 0),
        ("0,1,2\n5.5,6.5,7\n1,2.5,3", ["0", "1", "2"], 1),
        (",0,1\n0,5.5,6\n1,7,8", ["", "0", "1"], 1),
        ("country,1960,1961,1962\nu,5,6,7\nv,6,7,9", ["country", "1960", "1961", "1962"], 1),
        ("page,2020-01-01,2020-01-02,2020-01-03\nu,5,6,7",
         ["page", "2020-01-01", "2020-01-02", "2020-01-03"], 1),
        ("A report\n\ntime,a\n2020-01-01,1\n2020-01-02,2", ["time", "a"], 2),
        ("A report,,\n,,\ntime,a,b\n2020-01-01,1,2\n2020-01-02,2,2", ["time", "a", "b"], 3),
        ("Station,17\nUnits,degC\ntime,a\n2020-01-01,1\n2020-01-02,2", ["time", "a"], 3),
        ("time,a\n,(degC)\n2020-01-01,1\n2020-01-02,2", ["time", "a"], 1),
        ("time,a,b\n2020-01-01,M,M\n2020-01-02,2,1\n2020-01-03,2,2", ["time", "a", "b"], 1),
        ("x,y\nu,v\nu,w", ["x", "y"], 1),
        ("a,b\n1,5,6\n2,7,8", ["", "a", "b"], 1),
        ("a,b\n5,6,\n7,8,", ["a", "b"], 1),
        ("a,b,,\n5,6,,\n7,8,,", ["a", "b"], 1),
        ("a,a,b\n1,2,3", ["a", "a.1", "b"], 1),
        ("0\n1.5\n2.5", ["0"], 1),
        ("value\n1\n2", ["value"], 1),
        ("1\n2\n3", ["x0"], 0),
    ],
)  # fmt: skip
def test_where_a_table_begins(text, names, start):
    assert header(text) == (names, start)


def test_the_header_may_be_said():
    text = "p,q\ntime,a\n1,2"
    assert header(text, "2") == (["time", "a"], 2)
    assert header(text, "none") == (["x0", "x1"], 0)
    assert find_header([(1, ["a"])], "7") is None


def test_names_are_each_there_once():
    assert clean_names([" a ", "a", "a.1", "", "", "b\n c"]) == ["a", "a.1", "a.1.1", "", "", "b c"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Date;Time;P\n1/1/2020;00:00;1.5\n1/1/2020;00:01;?\n1/1/2020;00:02;2", True),
        ("a,b\n1,2\n3,4\n5,6", True),
        ("\n".join(f"{i} {i * i} 7" for i in range(20)), True),
        ("1 2 3\n4 5 6\n7 8 9", False),
        ("To be, or not\nto be, that\nis, the question", False),
        ("1, 2\nBuckle my shoe", False),
        ("\n".join(f"{i} + {i} = {2 * i}" for i in range(20)), False),
        ("1\n2\n3\n4", False),
        ("", False),
        ("name,text\nu,hello\nv,bye\nw,no", False),
    ],
)
def test_a_text_is_a_table_only_beyond_doubt(text, expected):
    assert is_table(text.split("\n")) == expected
