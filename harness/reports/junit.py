"""``junit.xml``: what every CI server reads. One suite a pack, one test case for each planned test.

``failed`` is a failure, ``blocked`` an error (of the lab), ``not_run`` and ``descoped`` are skipped with
their reason. Earlier attempts, which the format has no place for, are told in ``system-out``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.domain.lab import Lab
from harness.domain.words import Outcome
from harness.records.plan import PlannedPack, PlannedTest
from harness.records.run import Attempt, RunRecord, read_run

_FORBIDDEN = "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
"""The characters that XML cannot hold at all."""
_TO_ESCAPE = re.compile(f"[&<>]|{_FORBIDDEN}")
_TO_QUOTE = re.compile(f'[&<>"\r\n\t]|{_FORBIDDEN}')
_ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\r": "&#13;",
    "\n": "&#10;",
    "\t": "&#09;",
}


def render(folder: Path, lab: Lab) -> Iterable[Path]:
    """Write ``junit.xml``."""
    del lab
    path = folder / "junit.xml"
    path.write_bytes("\n".join(_lines(read_run(folder))).encode() + b"\n")
    return [path]


def _lines(record: RunRecord) -> Iterator[str]:
    """Written as text: a tree of elements would take twice as long."""
    yield "<?xml version='1.0' encoding='utf-8'?>"
    yield f"<testsuites{_attributes(_totals(record, record.plan.tests, name=record.plan.run_id))}>"
    for pack in record.plan.packs:
        yield from _suite(record, pack)
    yield "</testsuites>"


def _suite(record: RunRecord, pack: PlannedPack) -> Iterator[str]:
    tests = [test for test in record.plan.tests if test.pack == pack.name]
    started = record.started.isoformat(timespec="seconds")
    totals = _totals(record, tests, name=pack.name) | {"timestamp": started}
    facts = {
        "run_id": record.plan.run_id,
        "version": pack.version,
        "digest": pack.digest,
        "standing": pack.standing,
        "agreement": pack.agreement,
        "capability_release": pack.capability_release,
        "test_phase": pack.test_phase,
        "environment": record.plan.environment.id,
        "seed": str(record.plan.seed),
        "faults": ", ".join(record.plan.faults),
    }
    yield f"  <testsuite{_attributes(totals)}>"
    yield from _properties("    ", facts.items())
    for test in tests:
        yield from _case(record, test)
    yield "  </testsuite>"


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


def _case(record: RunRecord, test: PlannedTest) -> Iterator[str]:
    attempts, outcome = record.of(test.id), record.outcome(test.id)
    seconds = sum(attempt.seconds for attempt in attempts)
    where = {"classname": test.full_name.replace("#", "."), "name": test.id, "time": f"{seconds:.3f}"}
    rig = attempts[-1].rig if attempts else ""
    facts = [("ttm", id_) for id_ in test.ttm] + [("srv", srv) for srv in test.srvs]
    facts += [("dmc", test.dmc), ("epcl_entry", test.entry), ("installation_type", test.installation_type)]
    facts += [("device_type", test.device_type), ("rig", rig), ("pack", test.pack)]
    facts += [("functional_group", test.functional_group), ("outcome", outcome)]
    yield f"    <testcase{_attributes(where)}>"
    yield from _properties("      ", [(name, value) for name, value in facts if value])
    if outcome is not Outcome.PASSED:
        yield f"      {_verdict(record, test, outcome)}"
    if len(attempts) > 1 or (attempts and outcome is Outcome.NOT_RUN):
        told = "\n".join(map(_told, attempts))
        yield f"      <system-out>{_escaped(told)}</system-out>"
    yield "    </testcase>"


def _verdict(record: RunRecord, test: PlannedTest, outcome: Outcome) -> str:
    reason, latest = record.reason(test.id), record.latest(test.id)
    if outcome in {Outcome.NOT_RUN, Outcome.DESCOPED}:
        return f"<skipped{_attributes({'type': outcome, 'message': reason})} />"
    kind = latest.cause if latest and latest.cause else outcome
    tag = "failure" if outcome is Outcome.FAILED else "error"
    trace = _escaped(latest.trace) if latest else ""
    return f"<{tag}{_attributes({'type': kind, 'message': reason})}>{trace}</{tag}>"


def _told(attempt: Attempt) -> str:
    told = f"attempt {attempt.number} on {attempt.rig} by {attempt.worker}: {attempt.result}"
    return f"{told} ({attempt.message})" if attempt.message else told


def _properties(indent: str, facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"{indent}<properties>"
    for name, value in facts:
        yield f'{indent}  <property name="{name}" value="{_quoted(value)}" />'
    yield f"{indent}</properties>"


def _attributes(values: Mapping[str, str]) -> str:
    return "".join(f' {name}="{_quoted(value)}"' for name, value in values.items())


def _quoted(text: str) -> str:
    """The text as it stands in an attribute, without what XML cannot hold."""
    return _TO_QUOTE.sub(_escape, text)


def _escaped(text: str) -> str:
    """The text as it stands in an element, without what XML cannot hold."""
    return _TO_ESCAPE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0], "\ufffd")
