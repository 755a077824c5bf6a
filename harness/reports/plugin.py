"""The built-in exports, handed over by the same hook as a third party's.

Nothing heavy is imported until an export is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.domain.lab import Lab
from harness.hooks import Renderer, hookimpl


@hookimpl(trylast=True)
def harness_renderers() -> Iterable[Renderer]:
    """In the order in which they are made: the summary comes last, and then the run is sealed."""
    return (
        Renderer("junit", _junit, "junit.xml: one test case for each planned test"),
        Renderer("allure", _allure, "allure-results: one result for each attempt, for Allure 2 and 3"),
        Renderer(
            "ttm-coverage", _coverage, "ttm-coverage.csv: every requirement of the matrix, and its tests"
        ),
        Renderer("heatmap", _heatmap, "heatmap.html: coverage and success by functional group and DMC"),
        Renderer("summary", _summary, "run.json: what was run, where, and the numbers"),
    )


def _junit(folder: Path, lab: Lab) -> Iterable[Path]:
    from harness.reports.junit import render

    return render(folder, lab)


def _allure(folder: Path, lab: Lab) -> Iterable[Path]:
    from harness.reports.allure import render

    return render(folder, lab)


def _coverage(folder: Path, lab: Lab) -> Iterable[Path]:
    from harness.reports.coverage import render

    return render(folder, lab)


def _heatmap(folder: Path, lab: Lab) -> Iterable[Path]:
    from harness.reports.heatmap import render

    return render(folder, lab)


def _summary(folder: Path, lab: Lab) -> Iterable[Path]:
    from harness.reports.summary import render

    return render(folder, lab)
