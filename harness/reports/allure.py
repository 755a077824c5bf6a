"""``allure-results``: one result for each attempt, written from the journals, for Allure 2 and 3.

The results of one planned test share a ``historyId``: Allure shows the latest, and the others as its retries.
What Allure says and what it means here: ``passed`` and ``failed`` are that; ``broken`` is *blocked* by a lab
fault; ``unknown`` is an *interrupted* attempt (as an outcome: not run); ``skipped`` is *not run* or
*descoped*, with the reason. The label ``result`` says it in our own words, so that coverage can be computed
from here alone. The links to the TTM hold where a report is generated beside the results, in the run folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from harness.domain.lab import Lab
from harness.domain.words import AttemptResult, Cause, Outcome
from harness.records.canonical import canonical_of_plain
from harness.records.plan import Plan, PlannedTest
from harness.records.run import Attempt, RunRecord, read_run
from harness.reports.allure_steps import Attachments, steps_of

FOLDER = "allure-results"

STATUS: Mapping[str, str] = {
    AttemptResult.PASSED: "passed",
    AttemptResult.FAILED: "failed",
    AttemptResult.BLOCKED: "broken",
    AttemptResult.INTERRUPTED: "unknown",
    Outcome.NOT_RUN: "skipped",
    Outcome.DESCOPED: "skipped",
}

WORDS = {outcome: outcome.replace("_", " ") for outcome in Outcome} | {Outcome.DESCOPED: "de-scoped"}
"""Outcomes as people read them; labels have them as our files do."""

CATEGORIES = [
    {
        "name": "Lab fault: the attempt was blocked",
        "matchedStatuses": ["broken"],
        "messageRegex": rf"(?s)\[{Cause.LAB}\].*",
    },
    {
        "name": "Harness error: the test script or the harness broke",
        "matchedStatuses": ["failed", "broken"],
        "messageRegex": rf"(?s)\[{Cause.HARNESS}\].*",
    },
    {"name": "Device failure", "matchedStatuses": ["failed"]},
    {"name": "Interrupted: started and never ended", "matchedStatuses": ["unknown"]},
    {
        "name": "De-scoped with approval",
        "matchedStatuses": ["skipped"],
        "messageRegex": r"(?s)\[de-scoped\].*",
    },
    {"name": "Not run", "matchedStatuses": ["skipped"]},
]


def render(folder: Path, lab: Lab) -> Iterable[Path]:
    """Write ``allure-results`` anew."""
    del lab
    record = read_run(folder)
    target = folder / FOLDER
    if target.exists():
        shutil.rmtree(target)
    target.mkdir()
    for test in record.plan.tests:
        attempts = record.of(test.id)
        for attempt in attempts:
            _write(target, _of_attempt(record, test, attempt, target))
        if not attempts or record.outcome(test.id) is Outcome.DESCOPED:
            _write(target, _without_attempt(record, test))
    _write_surroundings(target, record)
    return sorted(target.iterdir(), key=attrgetter("name"))  # paths are slow to compare


def _write(target: Path, result: Mapping[str, Any]) -> None:
    with open(f"{target}/{result['uuid']}-result.json", "wb") as file:  # noqa: PTH123  # paths of text are cheap
        file.write(canonical_of_plain(result) + b"\n")


def identity(plan: Plan, what: str) -> str:
    """A UUID that is the same whenever the same run is exported."""
    return str(uuid5(NAMESPACE_URL, f"smets1-harness:{plan.run_id}:{plan.digest}:{what}"))


def _of_attempt(record: RunRecord, test: PlannedTest, attempt: Attempt, target: Path) -> dict[str, Any]:
    uuid = identity(record.plan, attempt.id)
    evidence = record.evidence_of(attempt)
    attachments = Attachments(evidence, target, lambda path: identity(record.plan, f"{attempt.id}/{path}"))
    steps = steps_of(evidence, attachments)
    files = [attachments.add(name, name) for name in attachments.rest()]
    ended = attempt.ended or attempt.started
    return _base(test, attempt.rig) | {
        "uuid": uuid,
        "status": STATUS[attempt.result],
        "statusDetails": _details(attempt),
        "start": milliseconds(attempt.started),
        "stop": milliseconds(ended),
        "labels": _labels(test, attempt.result, rig=attempt.rig, attempt=attempt),
        "steps": steps,
        "attachments": files,
    }


def _without_attempt(record: RunRecord, test: PlannedTest) -> dict[str, Any]:
    outcome, after = record.outcome(test.id), milliseconds(record.ended)
    return _base(test) | {
        "uuid": identity(record.plan, f"{test.id}:{outcome}"),
        "status": STATUS[outcome],
        "statusDetails": {"message": f"[{WORDS[outcome]}] {record.reason(test.id)}"},
        "start": after,
        "stop": after,
        "labels": _labels(test, outcome),
        "steps": [],
        "attachments": [],
    }


def _base(test: PlannedTest, rig: str = "") -> dict[str, Any]:
    case = hashlib.md5(test.full_name.encode(), usedforsecurity=False).hexdigest()
    parameters = [
        {"name": "pack", "value": test.pack},
        {"name": "dmc", "value": test.dmc},
        {"name": "EPCL entry", "value": test.entry},
        {"name": "device", "value": test.device_type.value},
    ]
    history = hashlib.md5(canonical_of_plain([test.full_name, parameters]), usedforsecurity=False).hexdigest()
    rig_parameter = [{"name": "rig", "value": rig, "excluded": True}] if rig else []
    return {
        "name": f"{test.title} ({test.device_type}, {test.entry})",
        "fullName": test.full_name,
        "testCaseId": case,
        "historyId": history,
        "stage": "finished",
        "parameters": parameters + rig_parameter,
        "links": [
            {"type": "ttm", "name": id_, "url": f"../heatmap.html#ttm={id_}"} for id_ in sorted(test.ttm)
        ],
    }


def _labels(
    test: PlannedTest, result: str, *, rig: str = "", attempt: Attempt | None = None
) -> list[dict[str, str]]:
    module = test.full_name.partition("#")[0]
    labels = [("ttm", id_) for id_ in test.ttm] + [("srv", srv) for srv in test.srvs]
    labels += [
        ("parentSuite", test.test_phase),
        ("suite", test.pack),
        ("subSuite", test.functional_group),
        ("phase", test.test_phase),
        ("release", test.release),
        ("deviceType", test.device_type),
        ("dmc", test.dmc),
        ("epclEntry", test.entry),
        ("installationType", test.installation_type),
        ("test", test.id),
        ("result", result),
        ("framework", "pytest"),
        ("language", "python"),
        ("package", module),
    ]
    if attempt:
        labels += [("rig", rig), ("host", rig), ("thread", attempt.worker), ("attempt", str(attempt.number))]
    return [{"name": name, "value": str(value)} for name, value in sorted(labels)]


def _details(attempt: Attempt) -> dict[str, Any]:
    if attempt.result is AttemptResult.INTERRUPTED:
        return {"message": f"[interrupted] {attempt.told()}"}
    if not attempt.message:
        return {}
    cause = f"[{attempt.cause}] " if attempt.cause else ""
    return {"message": f"{cause}{attempt.message}", "trace": attempt.trace}


def _write_surroundings(target: Path, record: RunRecord) -> None:
    plan = record.plan
    facts = {
        "Run": plan.run_id,
        "Lab": plan.lab,
        "Environment": plan.environment.id,
        "Matches.production": "yes" if plan.environment.matches_production else "no",
        "TAG.agreement": plan.environment.tag_agreement or "none",
        "Test.Phase": plan.test_phase.value,
        "Cycle": plan.cycle or "none",
        "Witness": plan.witness or "none",
        "Seed": str(plan.seed),
        "Faults": ", ".join(plan.faults) or "none",
        "Plan.digest": plan.digest,
    }
    facts |= {
        f"DCC.{system.replace(' ', '.')}": version for system, version in plan.environment.dcc_systems.items()
    }
    facts |= {
        f"Pack.{pack.name}": f"{pack.version} ({pack.digest[:12]}), {pack.standing}" for pack in plan.packs
    }
    lines = [f"{name} = {_property(value)}\n" for name, value in facts.items()]
    (target / "environment.properties").write_text("".join(lines), encoding="utf-8")
    executor = {"name": "SMETS1 harness", "type": "smets1-harness", "buildName": plan.run_id}
    executor |= {"reportName": f"{plan.test_phase} {plan.run_id}"}
    (target / "executor.json").write_text(json.dumps(executor, indent=2) + "\n", encoding="utf-8")
    (target / "categories.json").write_text(json.dumps(CATEGORIES, indent=2) + "\n", encoding="utf-8")


def _property(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", " ")


def milliseconds(moment: datetime) -> int:
    """Unix time in ms, as Allure counts."""
    return round(moment.timestamp() * 1000)
