"""``harness packs``, ``rigs`` and ``faults``: what there is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from harness.cli.output import ExitCode, answer_json, answer_table, tell
from harness.config import load_lab
from harness.config.packs import find_packs, manifests, selected_tests
from harness.hooks import plugin_manager
from harness.rigs.health import WELL, health
from harness.rigs.lease import holder


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


def list_rigs(file: Path, *, as_json: bool) -> ExitCode:
    """The rigs, who holds each, and how each is."""
    lab = load_lab(file)
    holders = {rig.id: holder(lab.state, rig.id) for rig in lab.rigs}
    healths = {rig.id: health(lab.state, rig.id) for rig in lab.rigs}
    if as_json:
        answer_json(
            [
                {
                    "rig": rig.id,
                    "dmc": rig.dmc.id,
                    "release": rig.dmc.release,
                    "devices": {type_: device.device_id for type_, device in rig.devices.items()},
                    "holder": holders[rig.id],
                    "health": asdict(healths[rig.id]),
                }
                for rig in lab.rigs
            ]
        )
        return ExitCode.GOOD
    rows = (
        (
            rig.id,
            rig.dmc.id,
            rig.dmc.release.value,
            ", ".join(rig.devices),
            "simulated" if rig.simulation else rig.place,
            ", ".join(f"{key} {value}" for key, value in (holders[rig.id] or {}).items()) or "free",
            healths[rig.id].state,
        )
        for rig in lab.rigs
    )
    answer_table(f"lab {lab.name}", ("rig", "DMC", "release", "devices", "where", "held by", "health"), rows)
    for id_, found in healths.items():
        if found.state != WELL:
            tell(f"{id_} is {found}")
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
