"""``harness ttm export`` and ``import``: the matrix as a file to work on, there and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.cli.output import ExitCode, answer_json, answer_table, tell
from harness.cli.ttm_matrix import ids_of
from harness.config import load_lab
from harness.config.packs import find_packs, manifests
from harness.config.problems import Problems
from harness.config.sheets import Sheet, read_sheet, write_sheet
from harness.config.tables import Row
from harness.config.ttm import COLUMNS, Ttm, requirements
from harness.config.ttm_links import read_links
from harness.domain.errors import ConfigurationError
from harness.domain.lab import Lab

_Cells = Mapping[str, str]


def export_ttm(out: Path, file: Path) -> ExitCode:
    """Write the lab's matrix, every column of it in its order."""
    lab = load_lab(file)
    sheet = read_sheet(lab.ttm, COLUMNS)
    _ttm(lab.ttm, sheet, lab)  # what is wrong with it is said here, and not when it comes back
    write_sheet(out, sheet)
    tell(f"{len(sheet.rows)} requirements are in {out}")
    return ExitCode.GOOD


def import_ttm(given: Path, file: Path, *, write: bool, as_json: bool) -> ExitCode:
    """Show how a file differs from the lab's matrix and, where it is wanted, put it in its place."""
    lab = load_lab(file)
    old, new = read_sheet(lab.ttm, COLUMNS), read_sheet(given, COLUMNS)
    ttm = _ttm(given, new, lab)
    rows = [*_changes(old, new)]
    columns = ("what", "where", "detail")
    if as_json:
        answer_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        answer_table(f"{given} against {lab.ttm.name}", columns, rows)
    links = read_links(lab.ttm)
    tell(
        f"{_count(rows, 'added')} added, {_count(rows, 'removed')} removed, {_count(rows, 'changed')} changed"
    )
    named = {id_ for ids in ids_of(find_packs(lab.packs, manifests(lab.packs))).values() for id_ in ids}
    if gone := sorted({where for what, where, _ in rows if what == "removed"} & named):
        tell(f"tests name what is removed: {', '.join(gone)}")
    if suspect := len(links.suspects(ttm)):
        tell(f"{suspect} tests are suspect with it: harness ttm check")
    if not write:
        tell(f"nothing is written; to replace {lab.ttm}, say --write")
        return ExitCode.GOOD
    write_sheet(lab.ttm, new)
    tell(f"{lab.ttm} is what {given} holds")
    return ExitCode.GOOD


def _ttm(path: Path, sheet: Sheet, lab: Lab) -> Ttm:
    """The matrix that a table holds; every wrong cell is named."""
    if missing := [name for name in COLUMNS if name not in sheet.columns]:
        raise ConfigurationError(f"{path}:1: no column {', '.join(missing)}", remedy="add it")
    problems = Problems()
    rows = [
        Row(line, {name: cell.strip() for name, cell in zip(sheet.columns, cells, strict=True)})
        for line, cells in zip(sheet.lines, sheet.rows, strict=True)
    ]
    found = requirements(path, rows, lab.catalogue, problems)
    problems.tell()
    return Ttm(path, found)


def _changes(old: Sheet, new: Sheet) -> Iterator[tuple[str, str, str]]:
    for what, names in (("column added", new.columns), ("column removed", old.columns)):
        other = old.columns if names is new.columns else new.columns
        yield from ((what, name, "") for name in names if name not in other)
    was, is_ = _by_id(old), _by_id(new)
    yield from (("added", id_, row["requirement"]) for id_, row in is_.items() if id_ not in was)
    yield from (("removed", id_, row["requirement"]) for id_, row in was.items() if id_ not in is_)
    for id_, row in is_.items():
        before = was.get(id_, row)
        for name in new.columns:
            if name in before and before[name] != row[name]:
                yield "changed", id_, f"{name}: {before[name]!r} → {row[name]!r}"
    if [id_ for id_ in was if id_ in is_] != [id_ for id_ in is_ if id_ in was]:
        yield "order", "", "the requirements stand in another order"


def _by_id(sheet: Sheet) -> dict[str, _Cells]:
    rows = (dict(zip(sheet.columns, cells, strict=True)) for cells in sheet.rows)
    return {row["id"].strip(): row for row in rows}


def _count(rows: list[tuple[str, str, str]], what: str) -> int:
    return len({where for kind, where, _ in rows if kind == what})
