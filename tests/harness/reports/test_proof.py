"""The page of a proof says what the command line says."""

from __future__ import annotations

from pathlib import Path

from lxml import html

from harness.assurance.proof import Idle, Proof
from harness.reports.proof import render


def test_tests_that_were_run_under_no_fault_are_counted_and_not_blamed(tmp_path: Path) -> None:
    idle = (Idle(pack="p", name="test_a", faults=0), Idle(pack="p", name="test_b", faults=2))
    proof = Proof(
        folder=tmp_path, lab="lab", seed=1, began="2025-03-03T08:00:00Z", seconds=1.0, processor_seconds=1.0,
        entries={}, digests={}, controlled=2, faults=(), idle=idle,
    )  # fmt: skip
    _, path = render(proof)
    page = html.fromstring(path.read_bytes())
    (table,) = page.xpath("//h2[.='Tests that were run and caught nothing']/following-sibling::table")
    assert table.xpath("tr/td//text()") == ["test_b", "p", "2"]
    assert "1 test was run under no fault" in page.text_content()
