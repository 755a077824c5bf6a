# ruff: noqa: E501 - cells stand here as they are
"""Tables as CSV and XLSX: there and back without loss, nothing evaluated, damage named."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path
from random import Random

import pytest
from openpyxl import Workbook, load_workbook

from harness.config import sheets
from harness.config.sheets import Sheet, guarded, plain, read_sheet, write_sheet
from harness.domain.errors import ConfigurationError, UsageError

OURS = ("id", "requirement")
CELLS = (
    "=1+1", "+2", "-3", "@SUM(A1)", "'=1", "''=1", "'tis so", "two\nlines", "two\r\nlines", "bare\rreturn",
    " blank around ", "_x000D_", "_x0041_", "bell\x07", "ünïcode ✓ 漢字 😀", ",", ';"q"', "\ttab", "6.20", "1e5",
    "TRUE", "#REF!", "2025-01-01", "",
)  # fmt: skip
TABLE = Sheet(
    columns=("id", "our own column", "requirement"),
    rows=tuple((f"R-{number}", cell, cell) for number, cell in enumerate(CELLS)),
)


@pytest.mark.parametrize("name", ["m.csv", "m.xlsx", "M.XLSX"])
def test_a_table_comes_back_as_it_went(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_sheet(path, TABLE)
    found = read_sheet(path, OURS)
    assert (found.columns, found.rows) == (TABLE.columns, TABLE.rows)
    assert [each.name for each in tmp_path.iterdir()] == [name], "nothing half-written is left"


def test_from_one_form_to_the_other_and_back_nothing_is_lost(tmp_path: Path) -> None:
    write_sheet(tmp_path / "m.csv", TABLE)
    write_sheet(tmp_path / "m.xlsx", read_sheet(tmp_path / "m.csv", OURS))
    write_sheet(tmp_path / "n.csv", read_sheet(tmp_path / "m.xlsx", OURS))
    assert (tmp_path / "n.csv").read_bytes() == (tmp_path / "m.csv").read_bytes()


def test_no_cell_of_a_workbook_is_anything_but_text(tmp_path: Path) -> None:
    write_sheet(tmp_path / "m.xlsx", TABLE)
    book = load_workbook(tmp_path / "m.xlsx")
    cells = [cell for row in book["TTM"].iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} <= {"s", "inlineStr"}
    assert {cell.number_format for cell in cells} == {"@"}
    assert all(cell.quotePrefix for cell in cells if str(cell.value).startswith(("=", "+", "-", "@")))


def test_a_spreadsheet_that_opens_the_csv_has_nothing_to_evaluate(tmp_path: Path) -> None:
    write_sheet(tmp_path / "m.csv", TABLE)
    for line in (tmp_path / "m.csv").read_text().splitlines():
        assert not [cell for cell in line.split(",") if cell.strip('"').startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("text", CELLS)
def test_the_guard_before_a_formula_is_taken_away_again(text: str) -> None:
    assert plain(guarded(text)) == text


def workbook(path: Path, cell: object, place: str = "B2") -> Path:
    book = Workbook()
    page = book.active
    assert page is not None
    page.title = "Requirements"
    for row in (["id", "requirement", "their own"], ["R-1", "it holds", "x"]):
        page.append(row)
    page[place] = cell
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("cell", "place", "message"),
    [
        ("=1+1", "B2", r"m\.xlsx:2: sheet Requirements, cell B2: a formula, which is never evaluated"),
        ("=1+1", "C2", r"cell C2: a formula"),
        (6.20, "B2", r"cell B2: 6\.2, which is no text \(format the cell as text"),
        (True, "A2", r"cell A2: True, which is no text"),
        ("#REF!", "C2", r"cell C2: the error #REF!"),
        ("id", "B1", r"m\.xlsx:1: column 'id' stands twice"),
        ("beyond", "E2", r"cell E2: a cell beyond the last column"),
    ],
)
def test_a_wrong_cell_is_named_with_sheet_row_and_column(
    tmp_path: Path, cell: object, place: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_sheet(workbook(tmp_path / "m.xlsx", cell, place), OURS)


def test_a_number_in_a_column_of_theirs_is_kept_as_text(tmp_path: Path) -> None:
    assert read_sheet(workbook(tmp_path / "m.xlsx", 7, "C2"), OURS).rows == (("R-1", "it holds", "7"),)


def test_what_a_cell_cannot_hold_is_refused_and_not_cut_off(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"sheet TTM, cell B2: 40,000 characters"):
        write_sheet(tmp_path / "m.xlsx", Sheet(("id", "x"), (("R-1", "x" * 40_000),)))
    assert not [*tmp_path.iterdir()]


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"m\.ods: tables are read and written as \.csv or \.xlsx"):
        read_sheet(tmp_path / "m.ods", OURS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"m\.csv: empty"),
        ("id,requirement\nR-1\n", r"m\.csv:2: found 1 cell, expected 2 \(write all cells"),
        ('id,requirement\nR-1,"it\nholds\n', r"m\.csv:\d: not CSV"),
        ("id,,requirement\n", r"m\.csv:1: a column has no name"),
    ],
)
def test_damaged_csv_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_sheet(tmp_path / "m.csv", OURS)


def test_a_damaged_workbook_is_an_error_and_never_a_crash(tmp_path: Path) -> None:
    path = workbook(tmp_path / "m.xlsx", "it holds")
    whole, random = path.read_bytes(), Random(20250303)
    read = 0
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(random.randint(1, 6)):
            content[random.randrange(len(content))] = random.randrange(256)
        path.write_bytes(content[: random.randrange(1, len(content))] if random.random() < 0.2 else content)
        with contextlib.suppress(ConfigurationError):
            read_sheet(path, OURS)
            read += 1
    assert read < 75, "most of it was damaged enough"


def test_a_workbook_with_a_document_type_is_refused(tmp_path: Path) -> None:
    path, wrong = workbook(tmp_path / "m.xlsx", "it holds"), tmp_path / "wrong.xlsx"
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(wrong, "w") as other:
        for part in whole.infolist():
            content = whole.read(part)
            if part.filename.endswith("sheet1.xml"):
                content = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]>' + content
            other.writestr(part.filename, content)
    with pytest.raises(ConfigurationError, match=r"sheet1\.xml has a document type"):
        read_sheet(wrong, OURS)


def test_a_workbook_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "_UNPACKED", 1_000_000)
    path = tmp_path / "m.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("xl/worksheets/sheet1.xml", b" " * 1_000_001)
    with pytest.raises(ConfigurationError, match="larger than 1,000,000 bytes unpacked"):
        read_sheet(path, OURS)
