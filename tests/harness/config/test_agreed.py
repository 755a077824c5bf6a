# ruff: noqa: E501 - messages stand here as their reader sees them, each on one line
"""What was agreed with the TAG: written, read back, and held against packs that have changed since."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from harness.config import FileProblems
from harness.config.agreed import Agreement, read_agreed, write_agreed
from harness.domain.packs import Pack
from tests.harness.config.pack_folders import load, with_imports

DAY = date(2026, 3, 2)


@pytest.fixture
def pack(packs: Path) -> Pack:
    with_imports(packs)
    return load(packs)


def agreed(pack: Pack) -> Agreement:
    return Agreement.to(pack, "TAG 41/7", DAY, 'Ann O\'Hara: "tester"')


def test_an_agreement_comes_back_as_it_was_written(pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / "agreed.yaml"
    write_agreed(path, {pack.name: agreed(pack)})
    assert read_agreed(path) == {pack.name: agreed(pack)}
    assert not [*tmp_path.glob(".agreed*")], "nothing half-written is left"


def test_where_there_is_no_file_nothing_was_agreed(tmp_path: Path) -> None:
    assert read_agreed(tmp_path / "agreed.yaml") == {}


def test_a_pack_as_it_was_agreed_departs_in_nothing(pack: Pack) -> None:
    assert agreed(pack).departures(pack) == ()


@pytest.mark.parametrize(
    ("name", "old", "new", "departures"),
    [
        ("test_clock.py", "right(meter): ...", "right(meter): 1", ("test_clock.py::test_the_clock_is_right has changed",)),
        ("readings/test_registers.py", "def test_export", "def test_exports",
         ("readings/test_registers.py::test_exports is new", "readings/test_registers.py::test_export is gone")),
        ("readings/test_registers.py", '"TTM-2"', '"TTM-3"', ("readings/test_registers.py::test_import has changed",)),
        ("units.py", "1", "2", ("units.py has changed",)),
        ("test_clock.py", "limits import high", "limits import high as low", ("test_clock.py has changed",)),
        ("conftest.py", "pytest_plugins", "plugins", ("conftest.py has changed", "lazy.py is gone")),
        ("manifests/small.yaml", 'version: "1"', 'version: "2"',
         ("its version is 2, and 1 was agreed", "manifests/small.yaml has changed")),
    ],
)  # fmt: skip
def test_what_has_changed_since_is_named(
    pack: Pack, packs: Path, name: str, old: str, new: str, departures: tuple[str, ...]
) -> None:
    before, path = agreed(pack), packs / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert before.departures(load(packs)) == departures


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("reference:", "refrence:", r"agreed\.yaml:\d+: small\.refrence: unknown key 'refrence'"),
        ('date: "2026-03-02"', 'date: "March"', r"agreed\.yaml:\d+: small\.date"),
        ('digest: "', 'digest: "x', r"agreed\.yaml:\d+: small\.digest"),
    ],
)
def test_a_damaged_file_is_told_with_its_line(
    pack: Pack, tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "agreed.yaml"
    write_agreed(path, {pack.name: agreed(pack)})
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(FileProblems, match=message):
        read_agreed(path)
