"""Columns: what is a number, a category or missing, and how numbers are written."""

import numpy as np
import pytest

from tfgen.data.cells import read_number
from tfgen.data.columns import Coded, Column

NAN = float("nan")


def test_cells_are_numbers_missing_or_faults():
    column = Column()
    column.add_texts([" 1 ", "", "NA", "nan", "NULL", "-2.5e3", "N/A", None, "+.5", "007"])
    column.add_texts(["1_000", "inf", "-Infinity", "1e39", "1e999", "abc", "3"])
    expected = [1, NAN, NAN, NAN, NAN, -2500, NAN, NAN, 0.5, 7] + [NAN] * 6 + [3]
    np.testing.assert_array_equal(column.numbers(), expected)
    assert column.faults == {"is no number": [2, 10, "1_000"], "is not finite": [4, 11, "inf"]}
    assert not column.is_text()


def test_a_column_is_text_if_most_cells_are_no_numbers():
    for texts, expected in ((3, True), (2, False), (1, False)):
        column = Column()
        column.add_texts(["1", "2", *["x"] * texts, "", "nan"])
        assert column.is_text() == expected


def test_numbers_of_an_array_count_against_texts():
    column = Column()
    column.add_numbers(np.array([1, 2, 3]))
    column.add_texts(["x", "y"])
    assert not column.is_text()
    column = Column()
    column.add_numbers(np.array([1, np.nan, 3]))
    column.add_texts(["x", "y", "z"])
    assert column.is_text()


def test_levels_are_sorted_and_those_that_occur():
    column = Column()
    column.add_texts(["b", "", "a", "c", "b"])
    assert column.categories(np.arange(5))[0] == ("a", "b", "c")
    levels, codes = column.categories(np.array([0, 1, 3]))
    assert levels == ("b", "c") and codes.tolist() == [0, -1, 1]


def test_levels_that_are_numbers_are_sorted_as_numbers():
    column = Column()
    column.add_texts(["10", "9", "-1", "10"])
    levels, codes = column.categories(np.arange(4))
    assert levels == ("-1", "9", "10") and codes.tolist() == [2, 1, 0, 2]


def test_numbers_of_an_array_have_levels_too():
    column = Column()
    column.add_numbers(np.array([3.0, np.nan, 0.5]))
    column.add_numbers(np.array([10, 3], np.int32))
    column.add_numbers(np.array([True]))
    levels, codes = column.categories(np.arange(6))
    assert levels == ("0.5", "1", "3", "10") and codes.tolist() == [2, -1, 0, 3, 2, 1]
    assert column.numbers()[[0, 2, 3, 4, 5]].tolist() == [3, 0.5, 10, 3, 1]


def test_large_whole_numbers_stay_apart_as_names():
    column = Column()
    column.add_numbers(np.array([2**60 + 1, 2**60]))
    assert column.categories(np.arange(2))[0] == (str(2**60), str(2**60 + 1))


def test_infinite_numbers_of_an_array_are_counted():
    column = Column()
    column.add_numbers(np.array([1.0, np.inf, 1e300, -np.inf]))
    np.testing.assert_array_equal(column.numbers(), [1, NAN, NAN, NAN])
    assert column.faults == {"is not finite": [3, 1, "inf"]}


def column_of(*texts, missing=()):
    column = Column(missing)
    column.add_texts(list(texts))
    return column


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,234", "2,345.5", "12"], [1234, 2345.5, 12]),
        (["1.234,5", "12,25", "7"], [1234.5, 12.25, 7]),
        (["1.234.567", "1.200", "3"], [1234567, 1200, 3]),
        (["1 234", "12 345,6", "7"], [1234, 12345.6, 7]),
        (["1\u202f234,5", "1\u00a0000", "2"], [1234.5, 1000, 2]),
        (["1'234", "1\u2019234.5", "2"], [1234, 1234.5, 2]),
        (["12,34,567", "1,234.5"], [1234567, 1234.5]),
        (["0,123", "1,234", "5,5"], [0.123, 1.234, 5.5]),
        (["\u22125", "+3", "\u20132.5"], [-5, 3, -2.5]),
        (["5-", "(1,234)", "3"], [-5, -1234, 3]),
        (["20%", "3.5 %", "1"], [20, 3.5, 1]),
        (["$5.50", "US$ 3", "-$2", "$-2", "($1)"], [5.5, 3, -2, -2, -1]),
        (["5,50 \u20ac", "\u20ac3", "1.234,00 \u20ac"], [5.5, 3, 1234]),
        (["\u00a3 5", "USD 7", "7 USD", "CHF 1'000"], [5, 7, 7, 1000]),
        (["1.2M", "3.4k", "5B", "2K", "1bn"], [1.2e6, 3400, 5e9, 2000, 1e9]),
        (["1.2m", "850k", "3m"], [1.2e6, 850e3, 3e6]),
        (["1.2 million", "3 billion", "2,5 Mio. €"], [1.2e6, 3e9, 2.5e6]),
        (["1e3", "2,5E-1", "1.5e+2"], [1000, 0.25, 150]),
        (["1.5D+02", "-2.5d-01", "0.1D+01"], [150, -0.25, 1]),
        (["12", "13*", "14", "15.5p", "16", "17[a]"], [12, 13, 14, 15.5, 16, 17]),
        (["5 kg", "7 kg", "1,5 kg"], [5, 7, 1.5]),
        (["5.1 p", "7", "8", "6 e", "9"], [5.1, 7, 8, 6, 9]),
        (["-", "--", "?", ".", "..", "N/A", "#DIV/0!", "missing", ":", "1"], [*[NAN] * 9, 1]),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(cells, expected):
    column = column_of(*cells)
    assert not column.is_text()
    np.testing.assert_allclose(column.numbers(), expected, rtol=1e-15)
    assert not column.faults


@pytest.mark.parametrize(
    "text",
    ["1,23,4", "1.2.3", "01.01.2020", "12:00", "2020-01-01", "5a6", "", "1 2", "1,,2", "--5", "(5",
     "5)", "(-5)", "1.2M3", "S0", "0x1F", "1/2", "1" * 61, "10.0.0.1", "2020Q1", "$", "%"],
)  # fmt: skip
def test_what_is_no_number(text):
    assert read_number(text) is None


def test_texts_that_begin_with_a_number_are_texts():
    for cells in (["5a", "5b", "7c"], ["7 am", "8 pm", "9 am"], ["1st", "2nd", "3rd"]):
        assert column_of(*cells).is_text()


def test_the_other_cells_say_what_a_comma_is():
    assert column_of("1,234", "5.5").numbers().tolist() == [1234, 5.5]
    assert column_of("1,234", "5,5").numbers().tolist() == [1.234, 5.5]
    assert column_of("1.234", "5,5").numbers().tolist() == [1234, 5.5]
    column = column_of("1,234", "1,234")
    assert column.is_ambiguous() and column.numbers().tolist() == [1234, 1234]
    assert column.notes == ["1,234 is read with ',' for thousands (data.decimal)"]
    column = column_of("1,234", "0")
    column.comma = True
    assert column.numbers().tolist() == [1.234, 0]
    assert column.notes == ["1,234 is read with ',' for decimals (data.decimal)"]


def test_plain_numbers_need_no_note_and_are_not_ambiguous_without_commas():
    column = column_of("1.234", "5.678")
    assert not column.has_commas() and column.numbers().tolist() == [1.234, 5.678]
    assert not column.notes


def test_cells_that_are_no_numbers_are_counted_beside_written_ones():
    column = column_of("$1", "$2", "free", "$3", "free")
    np.testing.assert_array_equal(column.numbers(), [1, 2, NAN, 3, NAN])
    assert column.faults == {"is no number": [2, 2, "free"]}


def test_what_stands_for_missing_may_be_said():
    column = column_of("-200", "-200.0", "M", "1", missing=("-200", "m"))
    np.testing.assert_array_equal(column.numbers(), [NAN, NAN, NAN, 1])
    assert not column.faults
    column = Column(("-200", "x"))
    column.add_numbers(np.array([-200, 3]))
    column.add_texts(["x", "y"])
    assert column.categories(np.arange(4))[0] == ("3", "y")
    np.testing.assert_array_equal(column.numbers(), [NAN, 3, NAN, NAN])


def test_coded_texts_are_texts():
    column = Column()
    column.add_codes(Coded(["b", "1,5", ""], np.array([1, 0, -1, 2, 1], np.int32)))
    levels, codes = column.categories(np.arange(5))
    assert levels == ("1,5", "b") and codes.tolist() == [0, 1, -1, -1, 0]
    np.testing.assert_array_equal(column.numbers(), [1.5, NAN, NAN, NAN, 1.5])


def test_a_text_that_holds_what_joins_them_is_kept_apart():
    column = column_of("a\0b", "c")
    assert column.categories(np.arange(2))[0] == ("a b", "c")


def test_a_few_numbers_among_texts_that_come_again_are_codes():
    column = column_of(*["0"] * 20, "a", "b", "a")
    assert column.is_coded() and not column.is_text()
    assert not column_of(*["0"] * 20, "a").is_coded()
    assert not column_of(*["0"] * 20, "a", "b").is_coded()
    assert not column_of(*map(str, range(20)), "T", "T").is_coded()
