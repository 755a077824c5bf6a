"""CSV tables with the line of every row; the catalogue and the matrix are such tables."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from harness.config.document import read_text
from harness.config.problems import Problems, nearest


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its cells by column, stripped, and the line that it begins on."""

    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


def read_table(
    path: Path, columns: Sequence[str], problems: Problems, *, more: bool = False
) -> tuple[Row, ...]:
    """The rows of a CSV file with these columns, in any order; or what is wrong, written down.

    With ``more``, a file may have columns of its own beside them.
    """
    text = read_text(path, problems)
    if text is None:
        return ()
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        if not _header_fits(path, header, columns, problems, more):
            return ()
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(header):
                rows.append(Row(line, dict(zip(header, (cell.strip() for cell in cells), strict=True))))
            elif cells:
                problems.add(path, line, *miscounted(len(cells), len(header)))
            line = reader.line_num + 1
    except csv.Error as error:
        problems.add(path, reader.line_num, f"not CSV: {error}", "correct its quotes")
    return tuple(rows)


def miscounted(found: int, expected: int) -> tuple[str, str]:
    """What is wrong with a row of so many cells, and what to do.

    >>> miscounted(1, 6)
    ('found 1 cell, expected 6', 'write all cells, those that are empty too')
    """
    few, many = "write all cells, those that are empty too", "put quotes around a cell that holds a comma"
    return f"found {found} cell{'s' * (found != 1)}, expected {expected}", few if found < expected else many


def _header_fits(
    path: Path, header: list[str], columns: Sequence[str], problems: Problems, more: bool
) -> bool:
    missing = [name for name in columns if name not in header]
    unknown = [name for name in header if name not in columns and not more]
    for name in unknown:
        problems.add(path, 1, f"unknown column {name!r}", nearest(name, missing or columns))
    for name in missing:
        problems.add(path, 1, f"no column {name!r}", "add it, with its name in the first line")
    if len(set(header)) < len(header):
        problems.add(path, 1, "a column stands twice", "remove or rename one")
    return not missing and not unknown and len(set(header)) == len(header)
