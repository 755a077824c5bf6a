"""Which text of a requirement each test was written or reviewed against: ``<matrix>.links.csv``, beside it.

A requirement's text carries a stamp. A link of a test to a requirement holds the stamp of the text that the
test was held against; where that is another one now, the link is *suspect* until somebody clears it
(Clause 11.2: the matrix follows every change of what it rests on).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

from harness.config.problems import Problems
from harness.config.sheets import guarded, plain
from harness.config.tables import read_table
from harness.config.ttm import Ttm
from harness.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link of a test to a requirement, and who last held them against each other."""

    test: str  # module.py::test_name, below the packs folder
    id: str
    stamp: str
    cleared_by: str = ""  # empty where the link is as it was made
    cleared_on: str = ""  # a date
    reason: str = ""


_COLUMNS: Final = tuple(field.name for field in fields(Link))
Key = tuple[str, str]
"""Test and requirement of a link."""


@dataclass(frozen=True)
class Links:
    """The links of a matrix. ``kept`` is false where no file keeps them: then nothing can be suspect."""

    file: Path
    links: Mapping[Key, Link]
    kept: bool = True

    def suspects(self, ttm: Ttm) -> tuple[Link, ...]:
        """The links whose requirement says something else now."""
        return tuple(
            link
            for link in self.links.values()
            if link.id in ttm.by_id and ttm.by_id[link.id].stamp != link.stamp
        )

    def suspect_ids(self, ttm: Ttm) -> frozenset[str]:
        """The requirements that a suspect link leads to."""
        return frozenset(link.id for link in self.suspects(ttm))


def links_file(ttm: Path) -> Path:
    """Where the links of a matrix are kept.

    >>> str(links_file(Path("lab_config/ttm.csv")))
    'lab_config/ttm.links.csv'
    """
    return ttm.with_suffix(".links.csv")


def read_links(ttm: Path) -> Links:
    """The links of a matrix; :class:`ConfigurationError` names the line of a wrong one."""
    path = links_file(ttm)
    if not path.exists():
        return Links(path, {}, kept=False)
    problems = Problems()
    found: dict[Key, Link] = {}
    for row in read_table(path, _COLUMNS, problems):
        link = Link(**{column: plain(row[column]) for column in _COLUMNS})
        if not (link.test and link.id and link.stamp):
            problems.add(path, row.line, "a link needs test, id and stamp", "remove it: harness ttm link")
        elif (key := (link.test, link.id)) in found:
            problems.add(path, row.line, f"{link.test} is linked to {link.id} twice", "remove one")
        else:
            found[key] = link
    problems.tell()
    return Links(path, found)


def write_links(path: Path, links: Iterable[Link]) -> None:
    """Write the file, whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            ordered = sorted(links, key=lambda link: (link.test, link.id))
            writer.writerows([guarded(cell) for cell in astuple(link)] for link in ordered)
        part.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
