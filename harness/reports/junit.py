"""``junit.xml``: what every CI server reads. One suite a pack, one test case for each planned test.

``failed`` is a failure, ``blocked`` an error (of the lab), ``not_run`` and ``descoped`` are skipped with
their reason. Earlier attempts, which the format has no place for, are told in ``system-out``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from harness.domain.lab import Lab
from harness.domain.words import Outcome
from harness.records.plan import PlannedPack, PlannedTest
from harness.records.run import Attempt, RunRecord, read_run

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(folder: Path, lab: Lab) -> Iterable[Path]:
    """Write ``junit.xml``."""
    del lab
    record = read_run(folder)
    root = ET.Element("testsuites", _totals(record, record.plan.tests, name=record.plan.run_id))
    for pack in record.plan.packs:
        root.append(_suite(record, pack))
    ET.indent(root)
    path = folder / "junit.xml"
    path.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")
    return [path]


def _suite(record: RunRecord, pack: PlannedPack) -> ET.Element:
    tests = [test for test in record.plan.tests if test.pack == pack.name]
    started = record.started.isoformat(timespec="seconds")
    suite = ET.Element("testsuite", _totals(record, tests, name=pack.name) | {"timestamp": started})
    facts = {
        "run_id": record.plan.run_id,
        "version": pack.version,
        "digest": pack.digest,
        "capability_release": pack.capability_release,
        "test_phase": pack.test_phase,
        "environment": record.plan.environment.id,
        "seed": str(record.plan.seed),
        "faults": ", ".join(record.plan.faults),
    }
    suite.append(_properties(list(facts.items())))
    suite.extend(_case(record, test) for test in tests)
    return suite


def _totals(record: RunRecord, tests: Iterable[PlannedTest], *, name: str) -> dict[str, str]:
    planned = list(tests)
    outcomes = [record.outcome(test.id) for test in planned]
    seconds = sum(attempt.seconds for test in planned for attempt in record.of(test.id))
    return {
        "name": name,
        "tests": str(len(outcomes)),
        "failures": str(outcomes.count(Outcome.FAILED)),
        "errors": str(outcomes.count(Outcome.BLOCKED)),
        "skipped": str(outcomes.count(Outcome.NOT_RUN) + outcomes.count(Outcome.DESCOPED)),
        "time": f"{seconds:.3f}",
    }


def _case(record: RunRecord, test: PlannedTest) -> ET.Element:
    attempts, outcome = record.of(test.id), record.outcome(test.id)
    seconds = sum(attempt.seconds for attempt in attempts)
    case = ET.Element(
        "testcase",
        {"classname": test.full_name.replace("#", "."), "name": _clean(test.id), "time": f"{seconds:.3f}"},
    )
    rig = attempts[-1].rig if attempts else ""
    facts = [("ttm", id_) for id_ in test.ttm] + [("srv", srv) for srv in test.srvs]
    facts += [("dmc", test.dmc), ("epcl_entry", test.entry), ("installation_type", test.installation_type)]
    facts += [("device_type", test.device_type), ("rig", rig), ("pack", test.pack)]
    facts += [("functional_group", test.functional_group), ("outcome", outcome)]
    case.append(_properties([(name, value) for name, value in facts if value]))
    if (verdict := _verdict(record, test, outcome)) is not None:
        case.append(verdict)
    if len(attempts) > 1 or (attempts and outcome is Outcome.NOT_RUN):
        ET.SubElement(case, "system-out").text = "\n".join(_told(attempt) for attempt in attempts)
    return case


def _verdict(record: RunRecord, test: PlannedTest, outcome: Outcome) -> ET.Element | None:
    if outcome is Outcome.PASSED:
        return None
    reason, latest = _clean(record.reason(test.id)), record.latest(test.id)
    if outcome in {Outcome.NOT_RUN, Outcome.DESCOPED}:
        return ET.Element("skipped", {"type": outcome, "message": reason})
    kind = latest.cause if latest and latest.cause else outcome
    verdict = ET.Element(
        "failure" if outcome is Outcome.FAILED else "error", {"type": kind, "message": reason}
    )
    verdict.text = _clean(latest.trace if latest else "")
    return verdict


def _told(attempt: Attempt) -> str:
    told = f"attempt {attempt.number} on {attempt.rig} by {attempt.worker}: {attempt.result}"
    return _clean(f"{told} ({attempt.message})" if attempt.message else told)


def _properties(facts: Iterable[tuple[str, str]]) -> ET.Element:
    properties = ET.Element("properties")
    for name, value in facts:
        ET.SubElement(properties, "property", {"name": name, "value": _clean(str(value))})
    return properties


def _clean(text: str) -> str:
    """The text without the characters that XML cannot hold at all."""
    return _FORBIDDEN.sub("\ufffd", text)
