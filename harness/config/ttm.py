"""The Test Traceability Matrix of Clause 11: a CSV file of requirements and scenarios that a lab may replace.

A lab may add columns of its own. Text that a spreadsheet would take for a formula has an apostrophe before
it in the file (:mod:`harness.config.sheets`). The clause cell is empty where a clause number is not known:
none is ever invented. The functional groups of the shipped matrix follow the DUIS service groups; their
names are ours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from harness.config.problems import Problems, nearest
from harness.config.sheets import plain
from harness.config.tables import Row, read_table
from harness.domain.errors import ConfigurationError
from harness.domain.words import CapabilityRelease, DeviceType

COLUMNS: Final = (
    "id", "requirement", "source", "clause", "srv", "scenario", "functional_group", "device_types",
    "releases", "evidence",
)  # fmt: skip
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.()_-]*")
_GRADES: Final = ("confirmed", "supported", "inferred", "unknown")
_NEEDED: Final = ("requirement", "source", "scenario", "functional_group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One row: a requirement, where it comes from, and the scenario that tests it."""

    id: str
    requirement: str
    source: str
    clause: str  # of the source; empty where it is not known
    srv: str  # empty where no single SRV is meant
    scenario: str
    functional_group: str
    device_types: frozenset[DeviceType]
    releases: frozenset[CapabilityRelease]
    evidence: str  # how well it is known that the requirement holds for SMETS1
    line: int

    @property
    def stamp(self) -> str:
        """A digest of what the requirement says and how it is to be tested, 16 hex digits.

        A test that was written against another text is suspect (:mod:`harness.config.ttm_links`).
        """
        text = "\0".join((self.requirement, self.scenario))
        return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Ttm:
    """The matrix: its rows in the order of the file."""

    file: Path
    rows: tuple[Requirement, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Requirement]:
        """The rows by id."""
        return {row.id: row for row in self.rows}

    def groups(self) -> tuple[str, ...]:
        """The functional groups, in the order in which the file first names them."""
        return tuple(dict.fromkeys(row.functional_group for row in self.rows))

    def only(self, *, group: str = "", source: str = "") -> Ttm:
        """The rows of a functional group and a source, each named by a part of its words.

        :class:`ConfigurationError` where no row is of them.
        """
        rows = self.rows
        for part, column in ((group, "functional_group"), (source, "source")):
            there = dict.fromkeys(getattr(row, column) for row in rows)
            rows = tuple(row for row in rows if part.casefold() in getattr(row, column).casefold())
            if not rows:
                what = f"no requirement of {self.file.name} has {part!r} in its {column.replace('_', ' ')}"
                raise ConfigurationError(what, remedy=nearest(part, there))
        return Ttm(self.file, rows)

    def nearest(self, id_: str) -> str:
        """What to do about an id that the matrix lacks, such as ``did you mean 'TTM-7.2-E-01'?``."""
        say = nearest(id_, self.by_id)
        return say if say.startswith("did") else f"add it to {self.file.name}, or correct the test"


def load_ttm(path: Path, *, srvs: Collection[str] | None = None) -> Ttm:
    """The matrix of a file; with ``srvs``, those of the catalogue, an SRV that it lacks is an error.

    Raises :class:`~harness.domain.errors.ConfigurationError` naming file and line of every wrong cell.
    """
    problems = Problems()
    read = read_table(path, COLUMNS, problems, more=True)
    rows = (Row(row.line, {name: plain(cell) for name, cell in row.cells.items()}) for row in read)
    found = requirements(path, rows, srvs, problems)
    problems.tell()
    return Ttm(path, found)


def requirements(
    path: Path, read: Iterable[Row], srvs: Collection[str] | None, problems: Problems
) -> tuple[Requirement, ...]:
    """What rows say, as far as they are right; what is wrong is written down."""
    rows: dict[str, Requirement] = {}
    for row in read:
        if row["id"] in rows:
            message = f"id {row['id']!r} stands twice, first on line {rows[row['id']].line}"
            problems.add(path, row.line, message, "give each requirement its own")
            continue
        before = len(problems.found)
        _check(path, row, srvs, problems)
        if len(problems.found) == before:
            rows[row["id"]] = _requirement(row)
    return tuple(rows.values())


def _check(path: Path, row: Row, srvs: Collection[str] | None, problems: Problems) -> None:
    if not _ID.fullmatch(row["id"]):
        message = f"found id {row['id']!r}, expected letters, digits and . ( ) _ -"
        problems.add(path, row.line, message, "correct it: tests name the row by it")
    for column in _NEEDED:
        if not row[column]:
            problems.add(path, row.line, f"{row['id']}: no {column.replace('_', ' ')}", "fill it in")
    if row["srv"] and srvs is not None and row["srv"] not in srvs:
        problems.add(path, row.line, f"{row['id']}: unknown SRV {row['srv']!r}", nearest(row["srv"], srvs))
    for column, words in (("device_types", list(DeviceType)), ("releases", list(CapabilityRelease))):
        if not row[column]:
            problems.add(path, row.line, f"{row['id']}: no {column}", nearest("", words))
        for word in row[column].split():
            if word not in words:
                message = f"{row['id']}: found {word!r} among {column}"
                problems.add(path, row.line, message, nearest(word, words))
    if not row["evidence"].startswith(_GRADES):
        message = f"{row['id']}: found evidence {row['evidence']!r}, expected it to begin with its grade"
        problems.add(path, row.line, message, nearest(row["evidence"], _GRADES))


def _requirement(row: Row) -> Requirement:
    texts = ("id", "requirement", "source", "clause", "srv", "scenario", "functional_group", "evidence")
    return Requirement(
        **{name: row[name] for name in texts},
        device_types=frozenset(map(DeviceType, row["device_types"].split())),
        releases=frozenset(map(CapabilityRelease, row["releases"].split())),
        line=row.line,
    )
