"""Sheets of Excel files."""

import datetime
import sys
import zipfile

import pytest

from tfgen.data.series import data_kind, open_sequences
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

openpyxl = pytest.importorskip("openpyxl")


def write(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def opened(path, **fields):
    return open_sequences(DataConfig(name=str(path), **fields))


def refused(path, **fields):
    with pytest.raises(InputError) as error:
        opened(path, **fields)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def book(tmp_path):
    days = [datetime.datetime(2020, 1, day) for day in range(1, 6)]
    rows = [["Sales of a year"], [], ["date", "n", "share", "shop"]]
    rows += [[day, 1000 + i, i / 8, "ab"[i % 2]] for i, day in enumerate(days)]
    return write(tmp_path / "a.xlsx", Sales=rows, Other=[["x"], [1.5], [None], [2.5]])


def test_the_first_sheet_is_read_below_its_title(book):
    assert data_kind(DataConfig(name=str(book))) == "series"
    sequences = opened(book)
    assert [feature.name for feature in sequences.features] == ["n", "share", "shop"]
    assert sequences.values[0][:, 0].tolist() == [1000, 1001, 1002, 1003, 1004]
    assert sequences.values[0][:, 1].tolist() == [0, 0.125, 0.25, 0.375, 0.5]
    assert sequences.times[0][1] - sequences.times[0][0] == 86400
    notes = sequences.report.notes
    assert "of a.xlsx the first sheet, 'Sales', is read; others: Other" in notes
    assert "the names of the columns are in line 3" in notes


def test_another_sheet_may_be_named(book):
    sequences = opened(book, sheet="Other")
    assert sequences.values[0].tolist() == [[1.5], [2.5]]
    assert "Unknown sheet of" in refused(book, sheet="other") and "Did you mean 'Other'" in refused(
        book, sheet="other"
    )


def test_what_is_no_sheet_is_refused_in_one_line(tmp_path, monkeypatch):
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"no zip")
    assert "cannot be read as an Excel file" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
    assert "cannot be read as an Excel file" in refused(path)
    write(path, Empty=[[None]])
    assert "the sheet 'Empty' is empty" in refused(path)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert ".xlsx files need openpyxl: pip install 'tfgen-sequences[data]'" in refused(path)
    old = tmp_path / "a.xls"
    old.write_bytes(b"\xd0\xcf\x11\xe0")
    assert "is of the old Excel format: save it as .xlsx or CSV" in refused(old)


def test_a_sheet_that_would_become_too_large_is_refused_before_it_is_read(book):
    assert "data.max_numbers" in refused(book, max_numbers=100)
