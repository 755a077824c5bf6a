"""What was planned is frozen before the first test."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.errors import ConfigurationError, UsageError
from harness.records.plan import Plan
from harness.records.redaction import Redactor


def test_a_plan_reads_back_equal_and_with_the_same_digest(fabricated_plan: Plan, tmp_path: Path) -> None:
    fabricated_plan.write(tmp_path / "run")
    again = Plan.read(tmp_path / "run")
    assert again == fabricated_plan
    assert again.digest == fabricated_plan.digest


def test_sha256sum_of_plan_json_is_the_digest(fabricated_plan: Plan, tmp_path: Path) -> None:
    path = fabricated_plan.write(tmp_path / "run")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == fabricated_plan.digest


def test_a_plan_is_never_written_twice(fabricated_plan: Plan, tmp_path: Path) -> None:
    path = fabricated_plan.write(tmp_path / "run")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="frozen already"):
        replace(fabricated_plan, seed=8).write(tmp_path / "run")
    assert path.read_bytes() == before
    assert [name.name for name in path.parent.iterdir()] == ["plan.json"]


def test_any_change_of_the_plan_changes_its_digest(fabricated_plan: Plan) -> None:
    changed = [
        replace(fabricated_plan, seed=8),
        replace(fabricated_plan, faults=("esme-import-stuck",)),
        replace(fabricated_plan, tests=fabricated_plan.tests[1:]),
    ]
    assert len({plan.digest for plan in (fabricated_plan, *changed)}) == 4


def test_two_planned_tests_cannot_share_an_id(fabricated_plan: Plan) -> None:
    first = fabricated_plan.tests[0]
    with pytest.raises(UsageError, match=r"planned twice: test_update_import_tariff"):
        replace(fabricated_plan, tests=(first, first))


def test_a_plan_names_only_what_its_tests_concern(fabricated_plan: Plan) -> None:
    kept = [test for test in fabricated_plan.tests if test.dmc == "moc-birchfell"]
    assert {rig.id for rig in fabricated_plan.rigs} > {"birchfell-3"}
    assert {test.entry for test in kept} == {"moc-birchfell-mixed"}


def test_a_folder_without_a_plan_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no run folder: it has no plan\.json"):
        Plan.read(tmp_path)


def test_what_stands_in_the_place_of_a_plan_and_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file is no run folder: it has no plan\.json"):
        Plan.read(tmp_path / "file")
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(ConfigurationError, match=r"plan\.json cannot be read: it is no file"):
        Plan.read(tmp_path)
    (tmp_path / "plan.json").rmdir()
    os.mkfifo(tmp_path / "plan.json")
    with pytest.raises(ConfigurationError, match=r"plan\.json cannot be read: it is no file"):
        Plan.read(tmp_path)
    (tmp_path / "plan.json").unlink()
    (tmp_path / "plan.json").symlink_to("plan.json")
    with pytest.raises(ConfigurationError, match=r"plan\.json cannot be read: Too many levels"):
        Plan.read(tmp_path)


def test_a_spoilt_plan_is_told_with_its_place(fabricated_plan: Plan, tmp_path: Path) -> None:
    path = fabricated_plan.write(tmp_path / "run")
    content = json.loads(path.read_bytes())
    content["tests"][3]["device_type"] = "TOASTER"
    path.chmod(0o644)
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match=r"plan\.json: tests\.3\.device_type"):
        Plan.read(tmp_path / "run")


def test_a_plan_with_a_secret_in_it_is_not_written_and_says_which_and_where(
    fabricated_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redactor = Redactor()
    redactor.learn_referred({"env:OTHER": b"unheard of", "env:PIN": b"correct horse"})
    monkeypatch.setattr("harness.records.plan.hidden", redactor)
    *others, last = fabricated_plan.tests
    told = replace(last, id="test_pin[correct horse-moc-birchfell-mixed]")
    with pytest.raises(UsageError) as refused:
        replace(fabricated_plan, tests=(*others, told)).write(tmp_path / "run")
    place = f"tests.{len(others)}.id is test_pin[*************-moc-birchfell-mixed]"
    assert refused.value.message == (
        f"env:PIN occurs in the plan, which every record and report repeats: {place}"
    )
    assert refused.value.remedy.startswith("choose another secret")
    assert not (tmp_path / "run").exists()


def test_a_secret_of_which_no_reference_is_known_is_refused_in_a_plan_too(
    fabricated_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.records.plan.hidden", Redactor([fabricated_plan.rigs[0].id.encode()]))
    with pytest.raises(UsageError, match=r"one of the lab's secrets occurs in the plan.* rigs\.0\.id is \*+"):
        fabricated_plan.write(tmp_path / "run")


def test_a_secret_that_stands_in_a_digest_of_a_plan_by_chance_is_no_secret_in_it(
    fabricated_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = [fabricated_plan.lab_digest, *(pack.digest for pack in fabricated_plan.packs)]
    monkeypatch.setattr("harness.records.plan.hidden", Redactor([each[:6].encode() for each in digests]))
    fabricated_plan.write(tmp_path / "run")
    assert Plan.read(tmp_path / "run") == fabricated_plan
