"""``harness lab``: the lab file's schema, and the lab held against its file."""

from __future__ import annotations

from pathlib import Path

from harness.cli.output import ExitCode, answer_json, answer_table, tell
from harness.config import json_schema, load_lab
from harness.domain.errors import DeviceFault, LabFault
from harness.domain.lab import Lab, Rig
from harness.execution.context import new_run_id
from harness.hooks import RunContext, plugin_manager
from harness.records.evidence import TraceRouter
from harness.rigs.lease import take


def schema() -> ExitCode:
    """Print the JSON schema of lab files."""
    answer_json(json_schema())
    return ExitCode.GOOD


def check(file: Path, runs: Path, *, as_json: bool) -> ExitCode:
    """Open each rig in turn, under its lease, and say what came back and what to do."""
    lab = load_lab(file)
    run_id = f"check-{new_run_id()}"
    context = RunContext(run_id=run_id, folder=(runs / run_id).resolve(), seed=lab.seed)
    context.folder.mkdir(parents=True)
    hooks = plugin_manager(lab.plugins)
    services = hooks.hook.harness_start_lab(lab=lab, run=context)
    addresses = services.addresses if services else {}
    try:
        findings = [
            finding for rig in lab.rigs for finding in _check_rig(lab, rig, hooks, addresses, context)
        ]
    finally:
        if services:
            services.close()
    columns = ("rig", "device", "state", "found")
    if as_json:
        answer_json([dict(zip(columns, row, strict=True)) for row in findings])
    else:
        answer_table(f"lab {lab.name}", columns, findings)
    bad = [row for row in findings if row[2] != "good"]
    tell(f"{len(lab.rigs)} rigs, {len(bad)} to look at")
    return ExitCode.BLOCKED if bad else ExitCode.GOOD


def _check_rig(lab: Lab, rig: Rig, hooks, addresses, context):  # type: ignore[no-untyped-def]
    """Rows of the answer for one rig."""
    try:
        lease = take(lab.state, rig.id, "harness lab check")
    except LabFault as error:
        return [(rig.id, "", "in use", str(error))]
    try:
        in_hand = hooks.hook.harness_open_rig(
            lab=lab, rig=rig, services=addresses, run=context, trace=TraceRouter()
        )
        try:
            return [
                (rig.id, type_.value, "good", str(device.identity()))
                for type_, device in in_hand.devices.items()
            ]
        finally:
            in_hand.close()
    except (LabFault, DeviceFault) as error:
        return [(rig.id, "", "bad", str(error))]
    finally:
        lease.release()
