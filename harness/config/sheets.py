"""A table of texts as a CSV or XLSX file, there and back without loss: columns, order, line breaks, letters.

A spreadsheet must not make anything else of a text. In CSV, an apostrophe stands before what it would take
for a formula (:func:`guarded`); in XLSX every cell is text. A formula that is read is never evaluated: it is
an error, as is a number in a column of ours, since 6.20 would have become 6.2.
"""

from __future__ import annotations

import csv
import os
import re
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from typing import Any, Final

from harness.config.document import read_text
from harness.config.problems import Problems
from harness.config.tables import miscounted
from harness.domain.errors import ConfigurationError, UsageError

_SHEET: Final = "TTM"
_ROWS: Final = 50_000
_COLUMNS: Final = 200
_LONGEST: Final = 32_767  # characters of a cell in XLSX
_LARGEST: Final = 20_000_000  # bytes of an XLSX file
_UNPACKED: Final = 200_000_000
_FORMULA: Final = r"[=+\-@\t\r]"
_DAMAGED: Final = (  # what a damaged archive makes zipfile, the XML parser and openpyxl raise
    OSError, zipfile.BadZipFile, zlib.error, SyntaxError, LookupError, ValueError, TypeError, AttributeError,
    RuntimeError, EOFError, AssertionError,
)  # fmt: skip
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_TO_ESCAPE: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: the names of its columns, its rows, and where each stands (line or row of the file)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...] = ()

    @classmethod
    def of_mappings(cls, rows: Sequence[Mapping[str, str]]) -> Sheet:
        """Rows that all have the same columns; none where there are no rows."""
        columns = tuple(rows[0]) if rows else ()
        return cls(columns, tuple(tuple(row[name] for name in columns) for row in rows))


def plain(cell: str) -> str:
    """The text of a cell of CSV, without the apostrophe that keeps a spreadsheet from evaluating it.

    >>> plain("'=1+1"), plain("'tis so")
    ('=1+1', "'tis so")
    """
    return cell[1:] if re.match(f"'+{_FORMULA}", cell) else cell


def guarded(text: str) -> str:
    """The other way: what stands in CSV for a text, so that no spreadsheet evaluates it.

    >>> guarded("=1+1"), guarded("'=1+1"), guarded("1+1")
    ("'=1+1", "''=1+1", '1+1')
    """
    return f"'{text}" if re.match(f"'*{_FORMULA}", text) else text


def read_sheet(path: Path, ours: Collection[str]) -> Sheet:
    """The table of a file, by the ending of its name; ``ours`` are the columns that must be text.

    :class:`ConfigurationError` names sheet, row and column of what cannot be read.
    """
    problems = Problems()
    sheet = _read_xlsx(path, ours, problems) if _is_xlsx(path) else _read_csv(path, problems)
    problems.tell()
    assert sheet is not None
    for name in sheet.columns:
        if not name or sheet.columns.count(name) > 1:
            what = f"column {name!r} stands twice" if name else "a column has no name"
            raise ConfigurationError(f"{path}:1: {what}", remedy="give each column a name of its own")
    return sheet


def write_sheet(path: Path, sheet: Sheet) -> None:
    """Write the table, whole or not at all, by the ending of the file's name."""
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        if _is_xlsx(path):
            _write_xlsx(part, path, sheet)
        else:
            _write_csv(part, sheet)
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", remedy="see its folder") from error
    finally:
        part.unlink(missing_ok=True)


def _is_xlsx(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".xlsx"}:
        raise UsageError(f"{path}: tables are read and written as .csv or .xlsx", remedy="name such a file")
    return suffix == ".xlsx"


# -- CSV -----------------------------------------------------------------------------------------------


def _read_csv(path: Path, problems: Problems) -> Sheet | None:
    text = read_text(path, problems)
    if text is None:
        return None
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    try:
        columns = tuple(name.strip() for name in next(reader, []))
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(columns):
                rows.append(tuple(map(plain, cells)))
                lines.append(line)
            elif cells:
                problems.add(path, line, *miscounted(len(cells), len(columns)))
            line = reader.line_num + 1
    except csv.Error as error:
        problems.add(path, reader.line_num, f"not CSV: {error}", "correct its quotes")
        return None
    if not columns:
        problems.add(path, 0, "empty", "begin with the names of the columns")
    return Sheet(columns, tuple(rows), tuple(lines))


def _write_csv(part: Path, sheet: Sheet) -> None:
    with part.open("w", encoding="utf-8", newline="") as file:
        plainly = csv.writer(file, lineterminator="\n")
        quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)  # a bare CR would end a row
        plainly.writerow(sheet.columns)
        for row in sheet.rows:
            cells = [guarded(cell) for cell in row]
            (quoting if any("\r" in cell for cell in cells) else plainly).writerow(cells)


# -- XLSX ----------------------------------------------------------------------------------------------


def _write_xlsx(part: Path, path: Path, sheet: Sheet) -> None:
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    wrapped, bold = Alignment(wrap_text=True, vertical="top"), Font(bold=True)
    book = Workbook()
    page = book.active
    assert page is not None
    page.title = _SHEET
    for number, cells in enumerate((sheet.columns, *sheet.rows), start=1):
        for place, text in enumerate(cells, start=1):
            held = _escaped(text)
            if len(held) > _LONGEST:
                where = f"{get_column_letter(place)}{number}"
                raise UsageError(
                    f"{path}: sheet {_SHEET}, cell {where}: {len(held):,} characters, {_LONGEST:,} are held",
                    remedy="shorten it, or write .csv",
                )
            cell: Any = page.cell(number, place)
            cell.value = held
            cell.data_type = "s"  # whatever it looks like
            cell.number_format = "@"  # text, also when a person types into it
            cell.alignment = wrapped
            if held.startswith(("=", "+", "-", "@")):
                cell.quotePrefix = True
            if number == 1:
                cell.font = bold
    page.freeze_panes = "A2"
    for place in range(1, len(sheet.columns) + 1):
        longest = max((len(row[place - 1]) for row in sheet.rows), default=0)
        page.column_dimensions[get_column_letter(place)].width = min(max(longest + 2, 12), 60)
    book.save(part)


def _read_xlsx(path: Path, ours: Collection[str], problems: Problems) -> Sheet | None:
    from openpyxl import load_workbook

    if not _may_be_opened(path, problems):
        return None
    try:
        book = load_workbook(path, read_only=True, data_only=False, keep_links=False)
        try:
            page = book[_SHEET] if _SHEET in book.sheetnames else book.worksheets[0]
            return _Page(path, str(page.title), ours, problems).read(page.iter_rows())
        finally:
            book.close()
    except ConfigurationError:
        raise
    except Exception as error:  # openpyxl lets through whatever a damaged file makes it raise
        problems.add(path, 0, f"not XLSX: {type(error).__name__}: {error}", "save it again as .xlsx")
        return None


def _may_be_opened(path: Path, problems: Problems) -> bool:
    """Whether the parts of the archive are of a bounded size, and none has a document type."""
    try:
        if path.stat().st_size > _LARGEST:
            problems.add(path, 0, f"larger than {_LARGEST:,} bytes", "name the right file")
            return False
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > _UNPACKED:
                problems.add(path, 0, f"larger than {_UNPACKED:,} bytes unpacked", "name the right file")
                return False
            for part in archive.infolist():
                if not part.filename.lower().endswith((".xml", ".rels", ".vml")):
                    continue
                content = archive.read(part)
                if b"<!DOCTYPE" in content or b"\0" in content[:64]:
                    problems.add(path, 0, f"{part.filename} has a document type", "save it again as .xlsx")
                    return False
    except FileNotFoundError:
        problems.add(path, 0, "no such file", "correct its name")
        return False
    except _DAMAGED as error:
        problems.add(path, 0, f"not XLSX: {error}", "save it again as .xlsx")
        return False
    return True


@dataclass
class _Page:
    """One sheet of a workbook that is read."""

    path: Path
    title: str
    ours: Collection[str]
    problems: Problems

    def read(self, rows: Any) -> Sheet | None:
        columns: tuple[str, ...] = ()
        found: list[tuple[str, ...]] = []
        lines: list[int] = []
        for number, cells in enumerate(rows, start=1):
            if number > _ROWS or len(cells) > _COLUMNS:
                self.wrong(
                    number, 0, f"more than {_ROWS:,} rows or {_COLUMNS} columns", "name the right file"
                )
                return None
            if number == 1:
                texts = [self.text(cell, number, place, text=True) for place, cell in enumerate(cells)]
                columns = tuple(text.strip() for text in _without_end(texts))
                continue
            texts = [
                self.text(
                    cell, number, place, text=columns[place : place + 1] and columns[place] in self.ours
                )
                for place, cell in enumerate(cells)
            ]
            texts = _without_end(texts)
            if len(texts) > len(columns):
                self.wrong(number, len(texts) - 1, "a cell beyond the last column", "give the column a name")
            elif texts:
                found.append((*texts, *[""] * (len(columns) - len(texts))))
                lines.append(number)
        if not columns:
            self.wrong(1, 0, "no names of columns", "begin with them")
        return Sheet(columns, tuple(found), tuple(lines))

    def text(self, cell: Any, row: int, place: int, *, text: Any) -> str:
        """What a cell holds; where it must be ``text``, anything else is wrong."""
        value, kind = cell.value, getattr(cell, "data_type", "n")
        if value is None:
            return ""
        if kind == "f":
            self.wrong(row, place, "a formula, which is never evaluated", "paste its value, as text")
        elif kind == "e":
            self.wrong(row, place, f"the error {value}", "correct it")
        elif isinstance(value, str):
            return _unescaped(value)
        elif text:
            self.wrong(
                row, place, f"{value!r}, which is no text", "format the cell as text, and type it again"
            )
        return value.isoformat() if isinstance(value, date | datetime) else str(value)

    def wrong(self, row: int, place: int, what: str, remedy: str) -> None:
        from openpyxl.utils import get_column_letter

        where = f"sheet {self.title}, cell {get_column_letter(place + 1)}{row}"
        self.problems.add(self.path, row, f"{where}: {what}", remedy)


def _without_end(texts: list[str]) -> list[str]:
    while texts and not texts[-1]:
        texts.pop()
    return texts


def _escaped(text: str) -> str:
    r"""A text as XLSX holds it: what XML cannot hold, or would change, as ``_xHHHH_``.

    >>> _escaped("a\r\nb _x000D_")
    'a_x000D_\nb _x005F_x000D_'
    """
    return _TO_ESCAPE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


def _unescaped(text: str) -> str:
    """The way back."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
