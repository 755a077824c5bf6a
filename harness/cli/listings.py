"""``harness packs`` and ``faults``: what there is."""

from __future__ import annotations

from pathlib import Path

from harness.cli.output import ExitCode, answer_json, answer_table
from harness.config import load_lab
from harness.config.packs import find_packs, manifests, selected_tests
from harness.hooks import plugin_manager


def list_packs(file: Path, *, as_json: bool) -> ExitCode:
    """The packs of the lab's packs folder."""
    lab = load_lab(file)
    packs = find_packs(lab.packs, manifests(lab.packs))
    if as_json:
        answer_json(
            [
                {
                    "name": pack.name,
                    "title": pack.title,
                    "version": pack.version,
                    "kind": pack.kind,
                    "capability_release": pack.release,
                    "test_phase": pack.test_phase,
                    "tests": len(selected_tests(pack)),
                    "digest": pack.digest,
                }
                for pack in packs
            ]
        )
        return ExitCode.GOOD
    rows = (
        (pack.name, pack.version, pack.kind, pack.release, len(selected_tests(pack)), pack.digest[:16])
        for pack in packs
    )
    answer_table("packs", ("pack", "version", "kind", "release", "tests", "digest"), rows)
    return ExitCode.GOOD


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
