"""Tables of text: CSV, TSV and their kin, and the sheets of Excel files, row by row."""

import array
import csv
import itertools
import re
import zipfile

from tfgen.data import layout, readers
from tfgen.data.array_tables import NUMBERS_OF_A_ROW
from tfgen.errors import InputError, unknown

ROWS = 1 << 14  # read at once
_REMARKS = ("#", "%", "!", "//")  # above a table; below its names only the first
_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_DELIMITERS = {"tab": "\t", "\\t": "\t", "space": layout.SPACES, "whitespace": layout.SPACES}


def looks_like_table(path):
    """Whether the first lines of a text are rows of mostly numbers and times."""
    lines = readers.first_lines(path)
    return lines is not None and layout.is_table(lines)


def read_delimited(path, table):
    """Reads a file of lines into a `tfgen.data.tables.Table`."""
    config = table.config
    csv.field_size_limit(max(csv.field_size_limit(), readers.MAX_FIELD))
    lines = _lines(path, table)
    head = list(itertools.islice(lines, layout.HEAD))
    if not any(line.strip() for _, line in head):
        raise InputError(f"{path} is empty: a table begins with the names of its columns")
    found = _SEPARATOR.fullmatch(head[0][1].strip())
    delimiter = config.delimiter and _DELIMITERS.get(config.delimiter.lower(), config.delimiter)
    if delimiter is not None and len(delimiter) != 1:
        raise InputError(
            "data.delimiter must be one character, 'tab' or 'space'. "
            f"Received: data.delimiter={config.delimiter!r}"
        )
    if found:
        delimiter, head = delimiter or found[1], head[1:]
    comment = None
    while head and (head[0][1].startswith(_REMARKS) or not head[0][1].strip()):
        if head[0][1].strip():
            comment = head[0]
        head = head[1:]
    body = [line for _, line in head if not line.startswith("#")]
    if delimiter is None:
        tabs = readers.suffix_of(path) == ".tsv"
        delimiter = "\t" if tabs else layout.find_delimiter(body)
    if comment is not None:
        head = _names_in_comment(comment, body, delimiter) + head
    marked = sum(line.startswith("#") for _, line in head)
    rows = _Rows(path, itertools.chain(head, lines), delimiter, comments=marked <= len(body))
    if delimiter != ("\t" if readers.suffix_of(path) == ".tsv" else ","):
        shown = {"\t": "tabs", layout.SPACES: "spaces", layout.WIDE_SPACES: "spaces"}.get(
            delimiter, f"'{delimiter}'"
        )
        table.note(f"fields are separated by {shown}")
    add_rows(path, table, rows, semicolons=delimiter == ";")


def add_rows(path, table, rows, semicolons=False):
    """Adds rows of texts to a `Table`.

    Args:
        path: The file.
        table: The `tfgen.data.tables.Table`.
        rows: Iterator of `(line, fields)`; None as the fields says that a quote is left open.
        semicolons: Whether semicolons separate the fields, as where commas are decimal.
    """
    rows = iter(rows)
    first = list(itertools.islice(rows, layout.HEAD))
    head = [(line, fields) for line, fields in first if fields]
    header = layout.find_header(head, table.config.header)
    if header is None:
        raise InputError(
            "data.header must be 'auto', 'none' or the number of a line among the first "
            f"{layout.HEAD} of {path}. Received: data.header={table.config.header!r}"
        )
    names = header.names
    if not any(names) and not head[header.start :]:
        raise InputError(f"{path} is empty: a table begins with the names of its columns")
    numbers, waiting = array.array("q"), []
    stores = table.begin(path, names, lines=numbers, semicolons=semicolons)
    for note in header.notes:
        table.note(note)
    begin = head[header.start][0] if header.start < len(head) else None
    skip = [] if begin is None else [row for row in first if row[0] >= begin]
    wide = len(names)
    ragged = table.config.layout == "rows"
    for line, fields in itertools.chain(skip, rows):
        if fields is None:
            # The reader wanted more lines for this row than there are.
            table.lose("a quote is left open", f"{path}:{line}")
        elif not fields:
            table.empty("the line is empty", f"{path}:{line}")
        else:
            if len(fields) > wide and not any(map(str.strip, fields[wide:])):
                fields = fields[:wide]
            if len(fields) < wide and ragged:
                fields = fields + [""] * (wide - len(fields))
            if len(fields) != wide:
                much = "more" if len(fields) > wide else "fewer"
                table.lose(f"the row has {much} fields than the header", f"{path}:{line}")
            elif not any(fields):
                table.empty("the row is empty", f"{path}:{line}")
            else:
                numbers.append(line)
                waiting.append(fields)
                if len(waiting) == ROWS:
                    table.add(stores, list(zip(*waiting, strict=True)))
                    waiting = []
    if waiting:
        table.add(stores, list(zip(*waiting, strict=True)))


class _Rows:
    """The rows of lines: iterates `(line, fields)`, with the number of a row's first line."""

    def __init__(self, path, lines, delimiter, comments):
        self._path, self._lines, self._delimiter = path, lines, delimiter
        self._comments = comments

    def __iter__(self):
        begun, ended, start = [], False, 1

        def source():
            nonlocal ended
            for number, line in self._lines:
                if self._comments and not begun and line.startswith("#"):
                    continue
                begun.append(number)
                if self._delimiter == layout.SPACES:
                    line = " ".join(line.split()) + "\n"
                elif self._delimiter == layout.WIDE_SPACES:
                    line = "\t".join(layout.split_fields([line], self._delimiter)[0]) + "\n"
                yield line
            ended = True

        delimiter = "\t" if self._delimiter == layout.WIDE_SPACES else self._delimiter
        reader = csv.reader(source(), delimiter=delimiter, skipinitialspace=True)
        try:
            for fields in reader:
                start = begun[0]
                begun.clear()
                yield start, (None if ended else fields)
        except csv.Error as error:
            start = begun[0] if begun else start
            raise InputError(
                f"{self._path}:{start} is no CSV: {error}; is a quote left open?"
            ) from error


def _names_in_comment(comment, body, delimiter):
    """Returns the last comment as the line of names that it may be, in a list."""
    rows = [row for row in layout.split_fields(body, delimiter) if row]
    spaced = delimiter in (layout.SPACES, layout.WIDE_SPACES)
    line = comment[1].lstrip("#%!/ ").rstrip("\n")
    names = layout.split_fields([line], layout.SPACES if spaced else delimiter)[0]
    if not rows or len(names) < 2 or len(names) != len(rows[0]):
        return []
    nameless = layout.find_header([(0, row) for row in rows]).start == 0
    line = ("\t" if spaced else delimiter).join(names)
    return [(comment[0], line + "\n")] if nameless else []


def _lines(path, table):
    """Yields `(number, line)` of UTF-8, UTF-16 or, if it is neither, Windows-1252."""

    def measure(count, size):
        # At least a column, and what is kept of a row.
        table.budget.check(path, max(count * (1 + NUMBERS_OF_A_ROW), size // 16))

    encoding = readers.find_encoding(path, measure)
    if encoding != "utf-8":
        shown = {"cp1252": "Windows-1252", "utf-16": "UTF-16"}[encoding]
        table.note(f"{path.name} is not UTF-8; it is read as {shown}")
    characters, taken = 0, 0
    for number, line in readers.numbered_lines(path, encoding):
        characters += len(line)
        # Long texts count for more than the numbers that they are.
        if characters - taken >= 1 << 20:
            table.budget.take(path, (characters - taken) // 16)
            taken = characters
        yield number, line


def read_excel(path, table):
    """Reads a sheet of an Excel file into a `tfgen.data.tables.Table`."""
    try:
        import openpyxl
    except ImportError as error:
        raise InputError(
            f"{path} cannot be read: .xlsx files need openpyxl: "
            "pip install 'tfgen-sequences[data]', or save it as CSV"
        ) from error

    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        # A cell takes some 30 bytes of XML.
        table.budget.check(path, size // 16)
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        names = book.sheetnames
        chosen = table.config.sheet if table.config.sheet is not None else names[0]
        sheet = book[chosen] if chosen in names else None
        rows = list(_cells_of(sheet)) if sheet is not None else []
        book.close()
    except InputError:
        raise
    # A damaged file makes openpyxl raise nearly anything.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"{path} cannot be read as an Excel file: {reason}") from error
    if sheet is None:
        raise unknown(f"sheet of {path}", chosen, names)
    if not any(any(fields) for _, fields in rows):
        raise InputError(f"{path}: the sheet {chosen!r} is empty")
    if len(names) > 1 and table.config.sheet is None:
        others = ", ".join(names[1:6])
        table.note(f"of {path.name} the first sheet, {chosen!r}, is read; others: {others}")
    width = max(len(fields) for _, fields in rows)
    add_rows(path, table, [(n, fields + [""] * (width - len(fields))) for n, fields in rows])


def _cells_of(sheet):
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        yield number, [_spell(value) for value in row]


def _spell(value):
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else str(value)
