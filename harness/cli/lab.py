"""``harness lab``: the lab file's schema, and the lab held against its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pluggy

from harness.cli.output import ExitCode, answer_json, answer_table, tell
from harness.config import json_schema, load_lab
from harness.domain.errors import ConfigurationError, DeviceFault, HarnessError, LabFault
from harness.domain.instruments import Identity
from harness.domain.lab import Lab, Rig
from harness.execution.context import new_run_id
from harness.execution.rig_keeper import open_rig
from harness.hooks import RunContext, plugin_manager
from harness.records.evidence import TraceRouter
from harness.rigs.lease import RigInUse, take

GOOD, IN_USE, BAD = "good", "in use", "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was tried, what came back, and what to do now; ``device`` is empty for a rig as a whole."""

    rig: str
    device: str
    state: str
    tried: str
    found: str
    remedy: str = ""


def schema() -> ExitCode:
    """Print the JSON schema of lab files."""
    answer_json(json_schema())
    return ExitCode.GOOD


def check(file: Path, runs: Path, *, as_json: bool) -> ExitCode:
    """Start what a run would share, open each rig in turn under its lease, and say what came back."""
    lab = load_lab(file)
    run_id = f"check-{new_run_id()}"
    context = RunContext(run_id=run_id, folder=(runs / run_id).resolve(), seed=lab.seed)
    context.folder.mkdir(parents=True)
    with ExitStack() as held:
        findings = list(_findings(lab, plugin_manager(lab.plugins), context, held))
    if as_json:
        answer_json([asdict(finding) for finding in findings])
    else:
        _show(lab, findings)
    bad = [finding for finding in findings if finding.state != GOOD]
    tell(f"{len(lab.rigs)} rigs checked, {len(bad) or 'nothing'} to look at")
    return ExitCode.BLOCKED if bad else ExitCode.GOOD


def _show(lab: Lab, findings: list[Finding]) -> None:
    columns = ("rig", "device", "state", "tried", "found")
    rows = [tuple(getattr(finding, column) for column in columns) for finding in findings]
    answer_table(f"lab {lab.name}", columns, rows)
    for finding in findings:
        if finding.remedy:
            tell(f"{finding.rig}: {finding.remedy}")


def _findings(
    lab: Lab, hooks: pluggy.PluginManager, context: RunContext, held: ExitStack
) -> Iterator[Finding]:
    """The DCC side first. Where it cannot be started the rigs are checked none the less, without it."""
    addresses: Mapping[str, Any] = {}
    tried = "start the DCC link"
    try:
        if services := hooks.hook.harness_start_lab(lab=lab, run=context):
            held.callback(services.close)
            addresses = services.addresses
        yield Finding("all", "DCC", GOOD, tried, "started" if services else "this lab has none")
    except HarnessError as error:
        yield Finding("all", "DCC", BAD, tried, error.message, error.remedy)
    for rig in lab.rigs:
        tell(f"checking {rig.id}")
        yield from _check_rig(lab, rig, hooks, addresses, context)


def _check_rig(
    lab: Lab, rig: Rig, hooks: pluggy.PluginManager, addresses: Mapping[str, Any], context: RunContext
) -> list[Finding]:
    """A line for each device; for a rig that another holds, or that cannot be opened, one line."""
    tried = "lease the rig"
    with ExitStack() as held:
        try:
            held.callback(take(lab.state, rig.id, "harness lab check").release)
            tried = f"open {', '.join(rig.devices)} and hold each to its baseline"
            in_hand = open_rig(hooks, lab, rig, addresses, context, TraceRouter())
            held.callback(in_hand.close)
            return [
                Finding(rig.id, type_, GOOD, "read its identity", _told(device.identity()))
                for type_, device in in_hand.devices.items()
            ]
        except RigInUse as error:
            return [Finding(rig.id, "", IN_USE, tried, error.message, error.remedy)]
        except (LabFault, DeviceFault, ConfigurationError) as error:
            return [Finding(rig.id, "", BAD, tried, error.message, error.remedy)]


def _told(identity: Identity) -> str:
    return (
        f"{identity.manufacturer} {identity.model}, firmware {identity.firmware}, "
        f"serial number {identity.serial_number}, {identity.device_id}"
    )
