"""``harness lab``: the lab file's schema, and the lab held against its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from harness.cli.choosing import chosen
from harness.cli.grip import check_doors
from harness.cli.output import ExitCode, answer_json, answer_table, tell
from harness.config import json_schema, load_lab
from harness.config.references import reference_places
from harness.domain.errors import ConfigurationError, HarnessError, LabFault
from harness.domain.findings import BAD, GOOD, IN_USE, Finding
from harness.domain.lab import Lab, Rig
from harness.domain.run_ids import new_run_id
from harness.execution.terminal import login_name
from harness.hooks import RunContext, plugin_manager
from harness.records.evidence import AttemptEvidence, TraceRouter
from harness.records.redaction import hide_secrets_of, read_reference
from harness.records.run_folder import make_run_folder
from harness.records.seal import check_reference
from harness.rigs.health_words import Health, HealthState
from harness.rigs.lease_words import RigTaken
from harness.rigs.pool import Pool

if TYPE_CHECKING:
    from harness.rigs.leases import Lease

_COLUMNS = ("rig", "part", "state", "what was tried, what came back, what to do")
_OF_THE_FILE = ConfigurationError.__name__


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
    make_run_folder(context.folder)
    with ExitStack() as held:
        pool = held.enter_context(Pool(lab, login_name()))
        findings = list(_of_secrets(replace(lab, rigs=wanted)))
        findings += _findings(pool, wanted, plugin_manager(lab.plugins), context, held)
        healths = pool.health.all()
    if as_json:
        answer_json([asdict(finding) for finding in findings])
    else:
        answer_table(f"lab {lab.name}", _COLUMNS, (_row(finding) for finding in findings))
        _tell_health(healths, wanted)
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


def _tell_health(healths: Mapping[str, Health], rigs: Sequence[Rig]) -> None:
    for rig in rigs:
        found = healths[rig.id]
        where = "in " if found.state is HealthState.MAINTENANCE else ""
        since = f" since {found.since}" if found.since and found.state is not HealthState.GOOD else ""
        tell(f"{rig.id} is {where}{found.state}{since}")


def _of_secrets(lab: Lab) -> Iterator[Finding]:
    """All references that lead nowhere at once: each door would tell of its first one alone.

    Then the sealing key, which no door asks for.
    """
    missing = []
    for reference, place in reference_places(lab).items():
        try:
            read_reference(reference)
        except ConfigurationError as error:
            missing.append(f"{place}: {error.message}")
    if missing:
        yield Finding(
            "all",
            "secrets",
            BAD,
            "read what the lab file refers to",
            "\n".join(missing),
            "set the variables for the harness and make the files, or correct the lab file",
            _OF_THE_FILE,
        )
        return
    try:
        check_reference(lab)
    except ConfigurationError as error:
        yield _of("all", "evidence", "read the key that runs are sealed with", error)


def _findings(
    pool: Pool, rigs: Sequence[Rig], hooks: pluggy.PluginManager, context: RunContext, held: ExitStack
) -> Iterator[Finding]:
    """The DCC side first. Where it cannot be started the rigs are checked none the less, without it."""
    addresses: Mapping[str, Any] = {}
    tried = "start the DCC link"
    try:
        if services := hooks.hook.harness_start_lab(lab=pool.lab, run=context):
            held.callback(services.close)
            addresses = services.addresses
        yield Finding("all", "DCC", GOOD, tried, "started" if services else "this lab has none")
    except HarnessError as error:
        yield _of("all", "DCC", tried, error)
    for rig in rigs:
        tell(f"checking {rig.id}")
        yield from _check_rig(pool, rig, hooks, addresses, context)


def _check_rig(
    pool: Pool, rig: Rig, hooks: pluggy.PluginManager, addresses: Mapping[str, Any], context: RunContext
) -> list[Finding]:
    """What the plugins find, under the rig's lease; a dirty rig in which nothing is wrong is clean then."""
    findings: list[Finding] = []

    def look(lease: Lease) -> list[Finding]:
        with closing(AttemptEvidence(context.folder / rig.id)) as kept:  # what passed over its ports
            trace = TraceRouter()
            trace.current = kept
            try:
                found = check_doors(hooks, pool.lab, rig, addresses, context, trace, lease)
            except HarnessError as error:
                if isinstance(error, LabFault) and not error.suspect:
                    raise
                found = [_of(rig.id, "", "check the rig", error)]
        findings.extend(found)
        return found

    try:
        with pool.take(rig.id, context.run_id, look) as lease:
            if not findings:  # else it was dirty, and that was its check
                pool.health.checked(rig.id, context.run_id, look(lease))
    except RigTaken as error:
        return [_of(rig.id, "", "lease the rig", error, IN_USE)]
    except HarnessError as error:
        return findings or [_of(rig.id, "", "check the rig", error)]
    return findings


def _of(rig: str, part: str, tried: str, error: HarnessError, state: str = BAD) -> Finding:
    return Finding(rig, part, state, tried, error.message, error.remedy, type(error).__name__)
