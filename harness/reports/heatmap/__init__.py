"""``heatmap.html``: coverage and success of testing, traceable to the TTM (Table 13.1, row 7), in one file.

The page opens from the run folder without a server or network: numbers are in the page as plain HTML, a click
on a cell lists its tests, and their evidence is read in place.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.domain.lab import Lab
from harness.domain.words import Outcome
from harness.records.run import RunRecord, read_run
from harness.records.strays import MESSAGES, read_strays
from harness.reports.coverage import coverage_of
from harness.reports.heatmap.details import EvidencePack, tests_of
from harness.reports.heatmap.grid import make_grid
from harness.traceability.coverage import Status

SYMBOLS = {"passed": "✓", "failed": "✕", "blocked": "◆", "not_run": "○", "descoped": "⊘", "none": ""}
WORDS = {
    "passed": "passed",
    "failed": "failed",
    "blocked": "blocked",
    "not_run": "not run",
    "descoped": "de-scoped",
}

STATUS_WORDS = WORDS | {"incomplete": "incomplete: some tests did not run", "untested": "no planned test"}


def render(folder: Path, lab: Lab) -> Iterable[Path]:
    """Write ``heatmap.html``."""
    path = folder / "heatmap.html"
    page = _page(read_run(folder), lab)
    path.write_text(page, encoding="utf-8", errors="backslashreplace")
    return [path]


def _page(record: RunRecord, lab: Lab) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    jinja = Environment(
        loader=PackageLoader(__name__, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["script_json"] = script_json
    coverage = coverage_of(record, lab)
    names = {srv: row.name for srv, row in lab.catalogue.items()}
    grid = make_grid(record, names, coverage.groups)
    return jinja.get_template("page.html").render(
        record=record,
        plan=record.plan,
        grid=grid,
        tally=grid.total.total,
        coverage=coverage,
        wanting=[row for row in coverage.rows if row.status not in {Status.PASSED, Status.UNTESTED}],
        untested=[row for row in coverage.rows if row.status is Status.UNTESTED],
        not_passed=record.tests(Outcome.FAILED, Outcome.BLOCKED, Outcome.NOT_RUN, Outcome.DESCOPED),
        tests=tests_of(record),
        evidence=EvidencePack(record).packed(),
        places={test.id: place for place, test in enumerate(record.plan.tests)},
        served=Counter(attempt.rig for tries in record.attempts.values() for attempt in tries),
        strays=read_strays(record.folder),
        messages_file=MESSAGES,
        status_words=STATUS_WORDS,
        symbols=SYMBOLS,
        words=WORDS,
    )


def script_json(value: Any) -> Any:
    """JSON that cannot end the script element that it stands in."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(  # noqa: S704  # nothing in it can open or close an element
        text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )
