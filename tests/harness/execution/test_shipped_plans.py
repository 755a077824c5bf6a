"""What shipped packs select is planned: a test whose marks keep it from every EPCL entry tests nothing."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from harness.config import pack_sources
from harness.config.packs import find_packs, manifests
from harness.domain.packs import Pack

REPO = Path(__file__).resolve().parents[3]
SHIPPED = REPO / "test_packs"
SWITCHED_OFF = "unknown_services/"  # until a lab turns on what no source knows of SMETS1


@pytest.fixture(scope="module")
def packs() -> tuple[Pack, ...]:
    return find_packs(SHIPPED, manifests(SHIPPED))


@pytest.fixture(scope="module")
def planned(packs: tuple[Pack, ...]) -> dict[str, set[str]]:
    """The tests that are planned in the simulated lab, by pack."""
    named = [f"--pack={pack.name}" for pack in packs]
    python = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", *named]
    done = subprocess.run(python, cwd=REPO, capture_output=True, text=True, timeout=120)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for line in done.stdout.splitlines():
        test, bracket, case = line.partition("[")
        if bracket and "::" in test:
            found[case.partition(",")[0]].add(test.removeprefix("test_packs/"))
    assert found, done.stdout + done.stderr
    return found


def test_every_test_that_a_pack_selects_is_planned_in_some_pack(
    packs: tuple[Pack, ...], planned: dict[str, set[str]]
) -> None:
    anywhere = set().union(*planned.values())
    selected = {
        test.id
        for pack in packs
        for test in pack_sources.tests_of(pack)
        if not test.id.startswith(SWITCHED_OFF) and "duis_schema" not in test.source.text
    }
    assert sorted(selected - anywhere) == []


def test_what_a_non_standard_pack_adds_is_planned_in_it(
    packs: tuple[Pack, ...], planned: dict[str, set[str]]
) -> None:
    for pack in packs:
        added = {change.by or change.test for change in pack.changes if change.kind != "removed"}
        assert added <= planned[pack.name], pack.name
