"""``harness ttm matrix``: each requirement with the tests that show it, whole or in part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.cli.choosing import chosen
from harness.cli.output import ExitCode, answer_json, answer_table, tell
from harness.config import load_lab
from harness.config.pack_sources import tests_of
from harness.config.packs import find_packs, manifests
from harness.config.ttm import load_ttm
from harness.config.ttm_links import read_links
from harness.domain.packs import Pack
from harness.domain.words import TestPhase


@dataclass(frozen=True, slots=True)
class Part:
    """What of matrix and tests is asked for; empty: all."""

    group: str = ""
    source: str = ""
    phase: str = ""

    def test_phase(self) -> str:
        """The Test Phase as the Code writes it; :class:`UsageError` where there is no such."""
        return (
            chosen({each.value: each.value for each in TestPhase}, self.phase, "Test Phase")
            if self.phase
            else ""
        )


def ids_of(packs: Iterable[Pack]) -> dict[str, tuple[str, ...]]:
    """The TTM ids of every test of these packs, by its name below the packs folder."""
    return {test.id: test.source.ttm for pack in packs for test in tests_of(pack)}


def matrix(out: Path | None, part: Part, file: Path, *, as_json: bool) -> ExitCode:
    """Requirements, and what shows them."""
    lab = load_lab(file)
    ttm, phase = load_ttm(lab.ttm), part.test_phase()
    suspects = {(link.test, link.id) for link in read_links(lab.ttm).suspects(ttm)}
    packs = [pack for pack in find_packs(lab.packs, manifests(lab.packs)) if phase in {"", pack.test_phase}]
    shown = _shown_by(packs)
    rows = []
    for row in ttm.only(group=part.group, source=part.source).rows:
        tests = shown.get(row.id, {})
        rows.append(
            {
                "id": row.id,
                "requirement": row.requirement,
                "source": row.source,
                "clause": row.clause,
                "functional_group": row.functional_group,
                "scenario": row.scenario,
                "tests": "\n".join(tests),
                "packs": "\n".join(sorted({pack for names in tests.values() for pack in names})),
                "suspect": "\n".join(test for test in tests if (test, row.id) in suspects),
                "evidence": row.evidence,
            }
        )
    untested = sum(not row["tests"] for row in rows)
    if out is not None:
        from harness.config.sheets import Sheet, write_sheet

        write_sheet(out, Sheet.of_mappings(rows))
    elif as_json:
        answer_json(
            [row | {key: row[key].splitlines() for key in ("tests", "packs", "suspect")} for row in rows]
        )
    else:
        shown_columns = ("id", "requirement", "tests", "packs", "suspect")
        answer_table(
            "requirements and their tests", shown_columns, (_cells(row, shown_columns) for row in rows)
        )
    tell(f"{len(rows)} requirements, {untested} without a test{f' in {phase}' if phase else ''}")
    return ExitCode.GOOD


def _cells(row: Mapping[str, str], columns: Iterable[str]) -> list[str]:
    return [row[column] for column in columns]


def _shown_by(packs: Iterable[Pack]) -> Mapping[str, Mapping[str, set[str]]]:
    """The packs of every test of each requirement."""
    found: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for pack in packs:
        for test in tests_of(pack):
            for id_ in test.source.ttm:
                found[id_][test.id].add(pack.name)
    return found
