"""``run.json``: what was run, where, against what, and the numbers; for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.domain.lab import Lab
from harness.domain.words import AttemptResult
from harness.records.canonical import moment, plain
from harness.records.run import Part, RunRecord, read_run
from harness.records.strays import counted, read_strays
from harness.reports.coverage import coverage_of


def render(folder: Path, lab: Lab) -> Iterable[Path]:
    """Write ``run.json``, whole or not at all: on a full disk there is none, and no old one either."""
    path, part = folder / "run.json", folder / ".run.json.part"
    path.unlink(missing_ok=True)
    text = json.dumps(summary(read_run(folder), lab), indent=2, ensure_ascii=False)
    try:
        part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return [path]


def summary(record: RunRecord, lab: Lab) -> dict[str, Any]:
    """The content of ``run.json``."""
    plan = record.plan
    attempts = [attempt for tries in record.attempts.values() for attempt in tries]
    results = Counter(attempt.result for attempt in attempts)
    served = Counter(attempt.rig for attempt in attempts)
    coverage = coverage_of(record, lab)
    whole: dict[str, Any] = {
        "run_id": plan.run_id,
        "plan_digest": plan.digest,
        "notices": plan.notices,
        "witness": plan.witness,
        "packs": [plain(pack) | {"counts": record.counts(pack.name)} for pack in plan.packs],
        "test_phase": plan.test_phase,
        "cycle": plan.cycle,
        "dmcs": plan.dmcs,
        "epcl_entries": plan.epcl_entries,
        "lab": {"name": plan.lab, "digest": plan.lab_digest},
        "environment": plan.environment,
        "seed": plan.seed,
        "faults": plan.faults,
        "narrowed": plan.narrowed,
        "left_out": plan.left_out,
        "started": moment(record.started),
        "ended": moment(record.ended),
        "end_reason": record.end_reason,
        "parts": [_part(part) for part in record.parts],
        "counts": record.counts(),
        "attempts": {result.value: results[result] for result in AttemptResult},
        "rigs": [plain(rig) | {"attempts": served[rig.id]} for rig in plan.rigs],
        "ttm": coverage.total,
        "suspect": coverage.suspect,
        "strays": counted(read_strays(record.folder)),
        "problems": [str(problem) for problem in record.problems],
        "tests": [
            {
                "id": test.id,
                "outcome": record.outcome(test.id),
                "reason": record.reason(test.id),
                "attempts": len(record.of(test.id)),
            }
            for test in plan.tests
        ],
    }
    return plain(whole)  # type: ignore[no-any-return]  # plain() of a mapping is a dict


def _part(part: Part) -> dict[str, Any]:
    """What one controller did of the run: the first one, or one that resumed it."""
    return {
        "started": moment(part.started),
        "ended": moment(part.ended),
        "reason": part.why,
        "host": part.host,
        "pid": part.pid,
    }
