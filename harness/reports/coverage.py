"""``ttm-coverage.csv``, and coverage of the lab's TTM for the other exports."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.config.ttm import load_ttm
from harness.config.ttm_links import read_links
from harness.domain.lab import Lab
from harness.records.run import RunRecord, read_run
from harness.traceability.coverage import Coverage, of_run, write_csv


def render(folder: Path, lab: Lab) -> Iterable[Path]:
    """Write ``ttm-coverage.csv``."""
    path = folder / "ttm-coverage.csv"
    write_csv(coverage_of(read_run(folder), lab), path)
    return [path]


def coverage_of(record: RunRecord, lab: Lab) -> Coverage:
    """What became of the requirements of the lab's TTM in a run."""
    ttm = load_ttm(lab.ttm)
    return of_run(ttm, record, read_links(lab.ttm).suspect_ids(ttm))
