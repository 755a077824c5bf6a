"""What pytest tells of a test, on a terminal, in a log or to another process, tells no secret of the lab."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from harness.records.redaction import hidden


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
        if isinstance(report.longrepr, tuple):
            path, line, reason = report.longrepr
            report.longrepr = (path, line, hidden.of_text(reason))
        elif hidden.of_text(told := report.longreprtext) != told:
            report.longrepr = hidden.of_text(told)
        report.sections = [(name, hidden.of_text(text)) for name, text in report.sections]
        report.user_properties = [
            (name, hidden.of_text(value) if isinstance(value, str) else value)
            for name, value in report.user_properties
        ]
        return report
