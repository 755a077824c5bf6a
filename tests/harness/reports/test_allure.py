"""Allure results: one for each attempt, complete, stable across rigs, and enough to compute coverage from."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from harness.config.ttm import load_ttm
from harness.domain.lab import Lab
from harness.domain.words import AttemptResult, Outcome
from harness.records.evidence import read_steps
from harness.records.run import RunRecord, read_run
from harness.reports.allure import render
from harness.reports.coverage import coverage_of
from harness.traceability.allure import of_allure

Results = dict[str, list[dict[str, Any]]]

FIELDS = """uuid historyId testCaseId fullName name status statusDetails stage start stop labels links
            parameters steps attachments"""


@pytest.fixture(scope="module")
def record(fabricated_whole: tuple[Path, Lab]) -> RunRecord:
    return read_run(fabricated_whole[0])


@pytest.fixture(scope="module")
def target(fabricated_whole: tuple[Path, Lab]) -> Path:
    list(render(*fabricated_whole))
    return fabricated_whole[0] / "allure-results"


@pytest.fixture(scope="module")
def results(target: Path) -> Results:
    """The results by planned test, earliest first."""
    found: Results = defaultdict(list)
    for path in target.glob("*-result.json"):
        result = json.loads(path.read_text())
        assert path.name == f"{result['uuid']}-result.json"
        found[labels(result)["test"][0]].append(result)
    for tries in found.values():
        tries.sort(key=lambda result: (result["start"], labels(result)["attempt"]))
    return found


def labels(result: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for label in result["labels"]:
        found[label["name"]].append(label["value"])
    return found


def test_every_planned_test_has_a_result_and_every_attempt_its_own(
    results: Results, record: RunRecord
) -> None:
    assert results.keys() == record.plan.by_id.keys()
    for test in record.plan.tests:
        attempts = [result for result in results[test.id] if "attempt" in labels(result)]
        assert [labels(result)["result"][0] for result in attempts] == [a.result for a in record.of(test.id)]


def test_each_result_has_the_fields_that_allure_reads(results: Results) -> None:
    for tries in results.values():
        for result in tries:
            assert set(FIELDS.split()) == result.keys()
            assert result["stage"] == "finished"
            assert result["start"] <= result["stop"]


def test_the_status_says_what_became_of_the_attempt(results: Results) -> None:
    status = {
        "passed": "passed",
        "failed": "failed",
        "blocked": "broken",
        "interrupted": "unknown",
        "not_run": "skipped",
        "descoped": "skipped",
    }
    seen = {(labels(result)["result"][0], result["status"]) for tries in results.values() for result in tries}
    assert seen == set(status.items())


def test_attempts_of_a_test_share_a_history_and_no_other_test_has_it(results: Results) -> None:
    histories = {test: {result["historyId"] for result in tries} for test, tries in results.items()}
    assert all(len(ids) == 1 for ids in histories.values())
    assert len(set.union(*histories.values())) == len(histories)


def test_the_rig_is_no_part_of_the_history_and_the_dmc_is(results: Results) -> None:
    tries = next(
        tries
        for tries in results.values()
        if len({p["value"] for r in tries for p in r["parameters"] if p["name"] == "rig"}) == 2
    )
    assert len({result["historyId"] for result in tries}) == 1
    for result in tries:
        parameters = {parameter["name"]: parameter for parameter in result["parameters"]}
        assert parameters["rig"]["excluded"] is True
        assert not any(parameters[name].get("excluded") for name in ("dmc", "EPCL entry", "device", "pack"))


def test_one_test_function_is_one_test_case_on_every_dmc(results: Results) -> None:
    cases = defaultdict(set)
    for tries in results.values():
        for result in tries:
            cases[result["fullName"]].add(result["testCaseId"])
    assert all(
        ids == {hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()} for name, ids in cases.items()
    )


def test_labels_lead_to_requirement_place_and_suite(results: Results, record: RunRecord) -> None:
    for test in record.plan.tests:
        for result in results[test.id]:
            found = labels(result)
            assert tuple(found["ttm"]) == test.ttm
            assert tuple(found["srv"]) == test.srvs
            single = {
                "dmc": test.dmc, "phase": test.test_phase, "release": test.release,
                "deviceType": test.device_type, "parentSuite": test.test_phase, "suite": test.pack,
                "subSuite": test.functional_group, "installationType": test.installation_type,
            }  # fmt: skip
            assert {name: found[name] for name in single} == {name: [value] for name, value in single.items()}
            assert result["labels"] == sorted(
                result["labels"], key=lambda label: (label["name"], label["value"])
            )
            links = [(link["type"], link["name"]) for link in result["links"]]
            assert links == [("ttm", id_) for id_ in sorted(test.ttm)]


def test_an_attempt_names_its_rig_also_as_host(results: Results, record: RunRecord) -> None:
    for test in record.plan.tests:
        rigs = [labels(result)["rig"] for result in results[test.id] if "attempt" in labels(result)]
        hosts = [labels(result)["host"] for result in results[test.id] if "attempt" in labels(result)]
        assert rigs == hosts == [[attempt.rig] for attempt in record.of(test.id)]


def test_a_failure_brings_its_message_and_traceback(results: Results, record: RunRecord) -> None:
    test = record.tests(Outcome.FAILED)[0]
    details = results[test.id][-1]["statusDetails"]
    latest = record.latest(test.id)
    assert latest is not None
    assert details == {"message": f"[device failure] {latest.message}", "trace": latest.trace}


def test_what_was_not_run_or_descoped_gives_its_reason(results: Results, record: RunRecord) -> None:
    for test in record.tests(Outcome.NOT_RUN, Outcome.DESCOPED):
        last = results[test.id][-1]
        if last["status"] == "skipped":
            word = {Outcome.NOT_RUN: "not run", Outcome.DESCOPED: "de-scoped"}[record.outcome(test.id)]
            assert last["statusDetails"]["message"] == f"[{word}] {record.reason(test.id)}"
        else:
            assert last["status"] == "unknown"
            assert last["statusDetails"]["message"].endswith("started and never ended")


def test_steps_tell_expected_and_found(results: Results, record: RunRecord) -> None:
    test = record.tests(Outcome.FAILED)[0]
    latest = record.latest(test.id)
    assert latest is not None
    steps = read_steps(record.evidence_of(latest))
    result = results[test.id][-1]
    assert len(result["steps"]) == len(steps)
    broken = [step for step in result["steps"] if step["status"] == "failed"]
    assert [step["name"] for step in broken] == ["the meter holds what the response said"]
    parameters = {parameter["name"]: parameter["value"] for parameter in broken[0]["parameters"]}
    assert parameters["expected"] == str(steps[-1]["expected"])
    assert parameters["found"] == str(steps[-1]["found"])


def test_every_file_of_the_evidence_is_attached_with_its_bytes(
    results: Results, record: RunRecord, target: Path
) -> None:
    for test in record.plan.tests[:20]:
        for attempt, result in zip(record.of(test.id), results[test.id], strict=False):
            attached = result["attachments"] + [a for step in result["steps"] for a in step["attachments"]]
            found = sorted((target / attachment["source"]).read_bytes() for attachment in attached)
            folder = record.evidence_of(attempt)
            assert found == sorted(path.read_bytes() for path in folder.iterdir())


def test_no_attachment_is_an_orphan(results: Results, target: Path) -> None:
    named = {
        attachment["source"]
        for tries in results.values()
        for result in tries
        for holder in (result, *result["steps"])
        for attachment in holder["attachments"]
    }
    assert named == {path.name for path in target.glob("*-attachment*")}


def test_categories_part_device_failure_lab_fault_and_harness_error(target: Path, results: Results) -> None:
    import re

    categories = json.loads((target / "categories.json").read_text())

    def category(result: dict[str, Any]) -> str:
        return next(
            (
                c["name"]
                for c in categories
                if result["status"] in c["matchedStatuses"]
                and re.fullmatch(c.get("messageRegex", "(?s).*"), result["statusDetails"].get("message", ""))
            ),
            "",
        )

    seen = {(labels(result)["result"][0], category(result)) for tries in results.values() for result in tries}
    assert seen == {
        ("passed", ""),
        ("failed", "Device failure"),
        ("blocked", "Lab fault: the attempt was blocked"),
        ("interrupted", "Interrupted: started and never ended"),
        ("not_run", "Not run"),
        ("descoped", "De-scoped with approval"),
    }


def test_environment_and_executor_name_the_run(target: Path, record: RunRecord) -> None:
    lines = (target / "environment.properties").read_text().splitlines()
    environment = dict(line.split(" = ", 1) for line in lines)
    assert environment["Run"] == record.plan.run_id
    assert environment["DCC.S1SP"] == "3.12"
    assert environment["Matches.production"] == "no"
    assert environment["Faults"] == "esme-import-stuck"
    assert json.loads((target / "executor.json").read_text())["buildName"] == record.plan.run_id


def test_coverage_from_the_results_alone_is_that_of_the_run(
    target: Path, record: RunRecord, fabricated_whole: tuple[Path, Lab], tmp_path: Path
) -> None:
    lab = fabricated_whole[1]
    copy = tmp_path / "on-another-machine"
    shutil.copytree(target, copy)
    assert of_allure(load_ttm(lab.ttm), copy) == coverage_of(record, lab)


def test_every_kind_of_attempt_was_seen_here(record: RunRecord) -> None:
    results = {attempt.result for tries in record.attempts.values() for attempt in tries}
    assert results == set(AttemptResult)
