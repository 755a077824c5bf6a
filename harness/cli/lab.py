"""``harness lab``: the lab file's schema, and the lab held against its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pluggy

from harness.cli.choosing import chosen
from harness.cli.output import ExitCode, answer_json, answer_table, tell
from harness.config import json_schema, load_lab
from harness.domain.errors import (
    BeyondBench,
    CaptureUnavailable,
    ConfigurationError,
    HarnessError,
    LabFault,
    LinkLost,
    UsageError,
)
from harness.domain.findings import BAD, GOOD, IN_USE, Finding
from harness.domain.lab import Lab, Rig
from harness.execution.context import new_run_id
from harness.hooks import RunContext, plugin_manager
from harness.records.evidence import AttemptEvidence, TraceRouter
from harness.records.redaction import hide_secrets_of
from harness.rigs.health import SUSPECT, LastFault, health, note, now_well
from harness.rigs.lease import RigInUse, take

_COLUMNS = ("rig", "part", "state", "what was tried, what came back, what to do")
_OF_THE_FILE = ConfigurationError.__name__
_NOT_THE_RIGS = frozenset(  # families that say nothing of the rig itself
    family.__name__ for family in (ConfigurationError, UsageError, BeyondBench, CaptureUnavailable, LinkLost)
)


def schema() -> ExitCode:
    """Print the JSON schema of lab files."""
    answer_json(json_schema())
    return ExitCode.GOOD


def check(file: Path, runs: Path, rigs: Sequence[str], *, as_json: bool) -> ExitCode:
    """Start what a run would share, try every door of each rig under its lease, and say what came back."""
    lab = load_lab(file)
    hide_secrets_of(lab)
    known = {rig.id: rig for rig in lab.rigs}
    named = {rig.id: rig for rig in (chosen(known, name, "rig") for name in rigs)} or known
    wanted = tuple(named.values())
    run_id = f"check-{new_run_id()}"
    context = RunContext(run_id=run_id, folder=(runs / run_id).resolve(), seed=lab.seed)
    context.folder.mkdir(parents=True)
    with ExitStack() as held:
        hooks = plugin_manager(lab.plugins)
        findings = list(_findings(lab, wanted, hooks, context, held))
    if as_json:
        answer_json([asdict(finding) for finding in findings])
    else:
        answer_table(f"lab {lab.name}", _COLUMNS, (_row(finding) for finding in findings))
        _tell_health(lab, wanted)
    bad = [finding for finding in findings if finding.state != GOOD]
    tell(f"what passed over the ports: {context.folder}")
    tell(f"{len(wanted)} rig{'s' if len(wanted) != 1 else ''} checked, {len(bad) or 'nothing'} to look at")
    return _exit_code(bad)


def _exit_code(bad: Sequence[Finding]) -> ExitCode:
    """Blocked by the lab, unless all that is wrong stands in the lab file."""
    if not bad:
        return ExitCode.GOOD
    return ExitCode.USAGE if all(each.family == _OF_THE_FILE for each in bad) else ExitCode.BLOCKED


def _row(finding: Finding) -> Sequence[str]:
    lines = [f"tried: {finding.tried}", f"found: {finding.found}"]
    if finding.remedy:
        lines.append(f"to do: {finding.remedy}")
    return finding.rig, finding.part or "rig", finding.state, "\n".join(lines)


def _tell_health(lab: Lab, rigs: Sequence[Rig]) -> None:
    for rig in rigs:
        found = health(lab.state, rig.id)
        tell(f"{rig.id} is {found.state}{f' since {found.since}' if found.state == SUSPECT else ''}")


def _findings(
    lab: Lab, rigs: Sequence[Rig], hooks: pluggy.PluginManager, context: RunContext, held: ExitStack
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
        yield _of("all", "DCC", tried, error)
    for rig in rigs:
        tell(f"checking {rig.id}")
        yield from _check_rig(lab, rig, hooks, addresses, context)


def _check_rig(
    lab: Lab, rig: Rig, hooks: pluggy.PluginManager, addresses: Mapping[str, Any], context: RunContext
) -> list[Finding]:
    """What the plugins find, under the rig's lease; what passed over its ports is kept beside."""
    with ExitStack() as held:
        try:
            held.callback(take(lab.state, rig.id, "harness lab check").release)
            trace = TraceRouter()
            trace.current = AttemptEvidence(context.folder / rig.id)
            held.callback(trace.current.close)
            found = hooks.hook.harness_check_rig(
                lab=lab, rig=rig, services=addresses, run=context, trace=trace
            )
            if found is None:
                raise ConfigurationError(
                    f"no plugin can check rig {rig.id}",
                    remedy="install the plugin that its lab file speaks of",
                )
            findings = list(found)
        except RigInUse as error:
            return [Finding(rig.id, "", IN_USE, "lease the rig", error.message, error.remedy, "RigInUse")]
        except HarnessError as error:
            findings = [_of(rig.id, "", "check the rig", error)]
        _write_health(lab, rig, findings, context.run_id)
    return findings


def _of(rig: str, part: str, tried: str, error: HarnessError) -> Finding:
    return Finding(rig, part, BAD, tried, error.message, error.remedy, type(error).__name__)


def _write_health(lab: Lab, rig: Rig, findings: Sequence[Finding], run_id: str) -> None:
    """A good check makes a rig well; what only the lab file has wrong says nothing of the rig."""
    bad = [each for each in findings if each.state != GOOD]
    if not bad:
        now_well(lab.state, rig.id)
    for each in [each for each in bad if each.family not in _NOT_THE_RIGS][:1]:
        family = each.family or LabFault.__name__
        note(lab.state, rig.id, LastFault.now(family, each.found, run_id, each.remedy))
