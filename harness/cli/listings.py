"""``harness faults``: the fault catalogue."""

from __future__ import annotations

from pathlib import Path

from harness.cli.output import ExitCode, answer_json, answer_table
from harness.config import load_lab
from harness.hooks import plugin_manager


def list_faults(file: Path, *, as_json: bool) -> ExitCode:
    """The fault catalogue, built-in and from plugins."""
    lab = load_lab(file)
    faults = [fault for found in plugin_manager(lab.plugins).hook.harness_faults() for fault in found]
    faults.sort(key=lambda fault: (fault.place, fault.name))
    columns = ("fault", "place", "point", "SRVs", "description")
    rows = [(f.name, f.place.value, f.point.value, ", ".join(f.srvs) or "any", f.description) for f in faults]
    if as_json:
        answer_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        answer_table("twin faults", columns, rows)
    return ExitCode.GOOD
