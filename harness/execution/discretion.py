"""What pytest tells of a test, on a terminal, in a log or to another process, tells no secret of the lab."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import pytest

from harness.records.redaction import hidden

DISCRETION: Final = "smets1-discretion"


class Discretion:
    """Takes known secrets out of each report: traceback, what was printed or logged, and our own words.

    Journals and evidence see to themselves (:mod:`harness.records.redaction`).
    """

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Outermost, and so after everybody else has said what they have to say."""
        report = yield
        if not hidden.knows_any:
            return report
        _be_discreet(report)
        report.user_properties = [
            (name, hidden.of_text(value) if isinstance(value, str) else value)
            for name, value in report.user_properties
        ]
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """A pack's module that fails as it is imported says why, and may name what it has read."""
        report = yield
        if hidden.knows_any:
            _be_discreet(report)
        return report


def _be_discreet(report: pytest.TestReport | pytest.CollectReport) -> None:
    if isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        report.longrepr = (path, line, hidden.of_text(reason))
    elif hidden.of_text(told := report.longreprtext) != told:
        report.longrepr = hidden.of_text(told)
    report.sections = [(name, hidden.of_text(text)) for name, text in report.sections]
