"""``harness simulate``: stands the twins up for other tools to talk to, until it is asked to stop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.grip import self_check
from harness.cli.output import ExitCode, answer_json, tell
from harness.config import load_lab
from harness.domain.errors import ConfigurationError
from harness.domain.lab import Lab, Rig
from harness.domain.run_ids import new_run_id
from harness.domain.stand_in import DccPorts, Listing, Port
from harness.execution.terminal import login_name
from harness.hooks import RunContext, plugin_manager
from harness.records.run_folder import make_run_folder
from harness.rigs.lease_words import StaleLease
from harness.rigs.pool import Pool

if TYPE_CHECKING:
    from harness.rigs.leases import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateOptions:
    """What the command line says of a lab to stand up."""

    lab: Path
    runs: Path
    faults: Sequence[str] = ()
    rigs: Sequence[str] = ()  # all simulated ones by default
    base_port: int
    as_json: bool = False


def simulate(options: SimulateOptions) -> ExitCode:
    """Hold the rigs' leases, stand the lab up, say where it listens, and wait for Ctrl-C or SIGTERM.

    Who loses a lease, because somebody has ended it, stops as well.
    """
    lab = load_lab(options.lab)
    rigs = chosen_rigs(lab, options.rigs)
    name = f"simulate-{new_run_id()}"
    run = RunContext(name, (options.runs / name).resolve(), lab.seed, tuple(options.faults))
    plugins = plugin_manager(lab.plugins)
    lost: list[Lease] = []
    with _asked_to_stop() as (wait, stop), ExitStack() as held:

        def lose(lease: Lease) -> None:
            lost.append(lease)
            stop()

        pool = held.enter_context(Pool(lab, login_name(), on_lost=lose))
        for rig in rigs:
            check = self_check(plugins, lab, rig, replace(run, faults=()))
            held.callback(pool.take(rig.id, "harness simulate", check).release)
        make_run_folder(run.folder)
        standing = plugins.hook.harness_stand_up(lab=lab, rigs=rigs, run=run, base_port=options.base_port)
        if standing is None:
            raise ConfigurationError(
                f"no plugin can stand lab {lab.name} up", remedy="install the plugin that its lab file needs"
            )
        held.callback(standing.close)
        show(standing.listing, as_json=options.as_json)
        sys.stdout.flush()  # who reads a pipe waits for it
        wait()
    if lost:
        raise StaleLease(f"stopped: {lost[0]} has ended", remedy="see who has the rig now: harness rigs")
    tell("stopped")
    return ExitCode.GOOD


def chosen_rigs(lab: Lab, names: Sequence[str]) -> tuple[Rig, ...]:
    """The lab's simulated rigs, or those of the given names; :class:`ConfigurationError` where none is."""
    simulated = {rig.id: rig for rig in lab.rigs if rig.simulation is not None}
    if unknown := [name for name in names if name not in simulated]:
        raise ConfigurationError(
            f"lab {lab.name} has no simulated rig {', '.join(unknown)}",
            remedy=f"it has {', '.join(simulated) or 'none'}",
        )
    if not simulated:
        raise ConfigurationError(
            f"{lab.file}: no rig of lab {lab.name} is simulated", remedy="name another lab with --lab"
        )
    return tuple(simulated[name] for name in names or simulated)


@contextmanager
def _asked_to_stop() -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """Gives what waits for Ctrl-C or SIGTERM, and what ends the wait; one that came earlier ends it at once.

    A pipe carries it, for a signal handler may not touch a lock that the interrupted code holds.
    """
    waiting, asking = os.pipe()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, lambda *_: os.write(asking, b".")) for each in signals]
    try:
        yield lambda: os.read(waiting, 1), lambda: os.write(asking, b".")
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)
        os.close(waiting)
        os.close(asking)


def show(listing: Listing, *, as_json: bool) -> None:
    """Where everything listens, and the credentials to use."""
    if as_json:
        answer_json(asdict(listing))
        return
    for port in listing.ports:
        _show_port(port)
    if listing.dcc is not None:
        _show_dcc(listing.dcc)
    tell("standing; stop it with Ctrl-C")


def _show_port(port: Port) -> None:
    print(
        f"{port.rig} {port.device} {port.device_id}: {port.protocol} at {port.host}:{port.port}, "
        f"server SAP {port.server_sap}, system title {port.system_title}"
    )
    for client in port.clients:
        fields = asdict(client)
        use, sap, mechanism = (fields.pop(name) for name in ("use", "client_sap", "mechanism"))
        proof = _told(fields)
        print(f"  client SAP {sap}: {use}; {mechanism}{', ' if proof else ''}{proof}")


def _show_dcc(dcc: DccPorts) -> None:
    fields = asdict(dcc)
    users = fields.pop("users")
    print("DCC")
    for name, value in fields.items():
        print(f"  {_told({name: value})}")
    for user in users:
        print(f"  user {_told(user)}")


def _told(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in fields.items() if value)
