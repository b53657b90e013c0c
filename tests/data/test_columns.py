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
