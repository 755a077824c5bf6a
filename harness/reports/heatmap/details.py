"""What stands behind a cell: its tests with every attempt, and the evidence to be read in place.

Tests and attempts are plain JSON in the page. The evidence (steps, messages, small files) is a second JSON
text, compressed, which the browser unpacks at the first click; larger files are linked by their path.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from harness.domain.words import AttemptResult
from harness.records.canonical import moment
from harness.records.evidence import STEPS, names_in, read_steps
from harness.records.run import Attempt, RunRecord
from harness.reports.heatmap.grid import column_key

FILE_BOUND = 24_000  # bytes of a file that is shown in the page
HEX_BOUND = 4096  # the same, of a file that is no text
PAGE_BOUND = 24_000_000  # bytes of evidence in one page, before compression: passed tests give way first

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_READABLE = ("text/", "application/xml", "application/json")


def tests_of(record: RunRecord) -> list[dict[str, Any]]:
    """Every planned test with its outcome and attempts, in the order of the plan."""
    return [
        {
            "id": test.id,
            "title": test.title,
            "outcome": record.outcome(test.id),
            "reason": record.reason(test.id),
            "ttm": list(test.ttm),
            "srvs": list(test.srvs),
            "group": test.functional_group,
            "device": test.device_type,
            "pack": test.pack,
            "entry": test.entry,
            "column": column_key(test),
            "node": test.node_id,
            "attempts": [_attempt(attempt) for attempt in record.of(test.id)],
        }
        for test in record.plan.tests
    ]


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "number": attempt.number,
        "result": attempt.result,
        "cause": attempt.cause or "",
        "rig": attempt.rig,
        "worker": attempt.worker,
        "started": moment(attempt.started),
        "seconds": round(attempt.seconds, 3),
        "lab": [attempt.lab_started, attempt.lab_ended],
        "message": attempt.message,
    }


class EvidencePack:
    """The evidence of all attempts, up to the page's bound, as the page carries it.

    Much of it repeats from test to test, so each value stands once, in a table that is sorted by length (like
    beside like: it compresses four times as well), and a step holds places in that table instead.
    """

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.left = PAGE_BOUND

    def packed(self) -> str:
        """``{values, attempts}``: JSON, deflated (RFC 1950), in Base64."""
        attempts = [attempt for test in self.record.plan.tests for attempt in self.record.of(test.id)]
        attempts.sort(key=lambda attempt: attempt.result is AttemptResult.PASSED)
        evidence = {attempt.id: self._of(attempt) for attempt in attempts}
        steps = [step for found in evidence.values() for step in found["steps"]]
        values = sorted(
            {text for step in steps for text in step.values()}, key=lambda text: (len(text), text)
        )
        places = {text: place for place, text in enumerate(values)}
        for step in steps:
            step.update({name: places[text] for name, text in step.items()})
        text = f'{{"values":[{",".join(values)}],"attempts":{_text(evidence)}}}'
        return base64.b64encode(zlib.compress(text.encode("utf-8", "backslashreplace"), 9)).decode()

    def _of(self, attempt: Attempt) -> dict[str, Any]:
        folder = self.record.evidence_of(attempt)
        there = sorted(names_in(str(folder)))
        steps = read_steps(folder) if STEPS in there else []
        named = {step.get("path") for step in steps}
        return {
            "folder": "/".join(folder.parts[-3:]),  # from the run folder
            "began": steps[0]["at"] if steps else "",
            "after": [milliseconds(steps[0]["at"], step["at"]) for step in steps],
            "steps": [self._step(folder, step) for step in steps],
            "files": [name for name in there if name not in named],
            "trace": attempt.trace,
            "devices": list(attempt.devices),
            "phases": [f"{phase.name} {phase.result} {phase.seconds:.2f} s" for phase in attempt.phases],
        }

    def _step(self, folder: Path, step: Mapping[str, Any]) -> dict[str, Any]:
        """What the page shows of a step, each value as JSON text."""
        shown = {name: value for name, value in step.items() if name not in {"n", "at"}}
        if "path" in step and step["size"] <= min(FILE_BOUND, self.left):
            shown |= _content(folder / step["path"], step["media_type"])
            self.left -= step["size"]
        return {name: _text(value) for name, value in shown.items()}


def _content(path: Path, media_type: str) -> dict[str, str]:
    if not path.is_file():
        return {"lost": "the file is no longer there"}
    content = path.read_bytes()
    if media_type.startswith(_READABLE) or media_type.endswith("+xml"):
        return {"text": content.decode("utf-8", "replace")}
    return {"hex": content.hex()} if len(content) <= HEX_BOUND else {}


def milliseconds(start: str, end: str) -> int:
    """From one moment to another, as the steps have them."""
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000)


def _text(value: Any) -> str:
    return str(value) if type(value) is int else _ENCODER.encode(value)
