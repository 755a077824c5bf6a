"""The error set of migration: what is wrong with it is told with its line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.config import load_lab
from harness.domain.errors import ConfigurationError
from harness.domain.migration_rules import Consequence, MigrationParty, MigrationStage

REPO = Path(__file__).resolve().parents[3]


@pytest.fixture
def migrating(lab_folder: Path) -> Path:
    """The small lab with the shipped error set beside it."""
    shutil.copy(REPO / "lab_config" / "migration.yaml", lab_folder)
    lab = lab_folder / "lab.yaml"
    lab.write_text(lab.read_text().replace("packs: packs\n", "packs: packs\nmigration: migration.yaml\n"))
    return lab


def told(lab: Path, old: str, new: str) -> str:
    path = lab.with_name("migration.yaml")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as raised:
        load_lab(lab)
    return str(raised.value)


def test_the_shipped_checks_say_what_is_known_of_each(migrating: Path) -> None:
    rules = load_lab(migrating).migration
    assert rules is not None
    named = {check.code for check in rules.checks.values() if check.evidence == "confirmed"}
    assert {"MA110", "GT01"} <= named
    assert all(check.code.startswith("X") for check in rules.checks.values() if check.evidence == "ours")
    gas = rules.checks["han_gas"]
    assert (gas.party, gas.stage) == (MigrationParty.S1SP, MigrationStage.DEVICE_TESTED)
    assert (gas.consequence, rules.attempts) == (Consequence.ELECTRICITY_ONLY, 5)


def test_a_lab_without_an_error_set_has_none(lab_folder: Path) -> None:
    assert load_lab(lab_folder / "lab.yaml").migration is None


def test_a_check_can_be_removed(migrating: Path) -> None:
    path = migrating.with_name("migration.yaml")
    path.write_text(path.read_text().replace("    code: MA110\n", "    code: MA110\n    on: false\n"))
    rules = load_lab(migrating).migration
    assert rules is not None
    assert not rules.checks["epcl_entry"].on


def test_a_code_that_two_checks_have_is_told_with_its_line(migrating: Path) -> None:
    message = told(migrating, "code: XA02", "code: XA01")
    assert "migration.yaml:" in message
    assert "code XA01 is that of authorisation_form already" in message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("stage: prepared", "stage: perpared", "stage"),
        ("consequence: excluded", "consequence: gone", "consequence"),
        ("uneconomic: []", "uneconomic: [ioc-elderwick]", "no DMC is called 'ioc-elderwick'"),
        ("attempts: 5", "attempts: 0", "attempts"),
    ],
)
def test_a_word_that_nobody_knows_is_told(migrating: Path, old: str, new: str, said: str) -> None:
    assert said in told(migrating, old, new)
