"""A simulated rig in hand: twins, hub and bench in this process, each behind a real socket."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from device_drivers.dlms.counters import FileCounters, ServerCounters
from device_drivers.dlms.security import Association
from device_drivers.dlms.server import DlmsServer
from device_drivers.rigs.assembly import HeldRig, chosen_faults, take_in_hand
from device_drivers.simulated.bench import SimulatedBench
from device_drivers.simulated.ch import ChTwin
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.doors import open_door
from device_drivers.simulated.keys import MANAGEMENT, PUBLIC, READER, KeyRing, key_ring, server_title
from device_drivers.simulated.lockout import TwinGuard
from device_drivers.simulated.meters.esme import EsmeTwin
from device_drivers.simulated.meters.gsme import GsmeTwin
from device_drivers.simulated.migration import cabinet as keys_held
from device_drivers.simulated.migration.cabinet import GenerationCounters, KeyCabinet, KeyedModel
from device_drivers.simulated.migration.keys import HEAD_END, enrolled_keys, master_key
from device_drivers.simulated.twin import Twin
from harness.domain.bench import ModbusBenchSettings
from harness.domain.errors import ConfigurationError
from harness.domain.events import Event
from harness.domain.faults import Fault, Interceptions, Place
from harness.domain.lab import Controller, Lab, Rig, RigDevice
from harness.domain.words import DeviceType
from harness.hooks import WHOLE, Fence, RunContext, Trace, Wanted, unfenced

_PLACES: Final = {
    DeviceType.ESME: Place.ESME,
    DeviceType.GSME: Place.GSME,
    DeviceType.CH: Place.CH,
}


@dataclass(frozen=True, slots=True)
class Twins:
    """The twins of one rig and their clock, without any socket."""

    clock: VirtualClock
    hub: ChTwin
    esme: EsmeTwin | None
    gsme: GsmeTwin | None

    def all(self) -> tuple[Twin, ...]:
        """Hub first."""
        return tuple(twin for twin in (self.hub, self.esme, self.gsme) if twin is not None)

    def displays(self) -> dict[DeviceType, Callable[[], str]]:
        """What each meter's display shows, by device type."""
        return {meter.device.type: meter.display for meter in (self.esme, self.gsme) if meter is not None}


def build_twins(rig: Rig, seed: int, faults: tuple[Fault, ...] = ()) -> Twins:
    """The rig's twins at the beginning of its lab time; everything random in them grows from ``seed``."""
    if rig.simulation is None or DeviceType.CH not in rig.devices:
        raise ConfigurationError(
            f"rig {rig.id} cannot be simulated without {'a hub' if rig.simulation else 'a simulation'}",
            remedy="give it a CH and `simulation:` in the lab file",
        )
    clock = VirtualClock(rig.simulation.starts)

    def parts(device: RigDevice) -> tuple[Interceptions, int]:
        own = derived_seed(seed, rig.id, device.type)
        return Interceptions(_PLACES[device.type], own, faults), own

    hub = ChTwin(rig.devices[DeviceType.CH], rig, clock, parts(rig.devices[DeviceType.CH])[0])
    esme = rig.devices.get(DeviceType.ESME)
    gsme = rig.devices.get(DeviceType.GSME)
    return Twins(
        clock,
        hub,
        EsmeTwin(esme, rig, clock, *parts(esme)) if esme else None,
        GsmeTwin(gsme, rig, clock, *parts(gsme)) if gsme else None,
    )


def derived_seed(seed: int, *names: str) -> int:
    """A seed of its own for each part of a lab, the same in every process."""
    return int.from_bytes(hashlib.sha256("/".join((str(seed), *names)).encode()).digest()[:8])


@dataclass(frozen=True, slots=True)
class Site:
    """Twins behind the doors that their lab file names, and where those are: ``rig`` is as a physical one.

    ``bench`` is the twins' own, and none where it stands behind Modbus too. ``cabinets`` are by device id.
    """

    rig: Rig
    twins: Twins
    bench: SimulatedBench | None
    cabinets: Mapping[str, KeyCabinet]


def stand_up(
    rig: Rig,
    lab: Lab,
    twins: Twins,
    held: ExitStack,
    ports: Mapping[DeviceType, int] | None = None,
) -> Site:
    """Put DLMS in front of every twin, at a door of its own and behind the hub; ``held`` ends it.

    A device that ``ports`` does not name gets any free port of the loopback.
    """
    wanted, ring = ports or {}, key_ring(lab)
    cabinets = {twin.device_id: _cabinet(twin, ring) for twin in twins.all()}
    doors = {
        twin.device.type: _serve(
            twin, twins, ring, cabinets[twin.device_id], wanted.get(twin.device.type, 0), held
        )
        for twin in twins.all()
    }
    rig = replace(rig, devices={type_: doors[type_] for type_ in rig.devices})
    if rig.simulation and rig.simulation.controller:
        rig = replace(rig, controller=_controller(rig, lab, held))
    bench = SimulatedBench(twins.clock, twins.esme, twins.gsme, twins.hub)
    if rig.modbus is None:
        return Site(rig, twins, bench, cabinets)
    return Site(replace(rig, modbus=_behind_modbus(bench, rig.modbus, held)), twins, None, cabinets)


def _controller(rig: Rig, lab: Lab, held: ExitStack) -> Controller:
    """A real sshd, and what a lab file would say of it."""
    from device_drivers.simulated.controller import TwinController

    folder = lab.state / "controllers"
    return held.enter_context(TwinController(folder, folder / rig.id)).settings


def _behind_modbus(
    bench: SimulatedBench, settings: ModbusBenchSettings, held: ExitStack
) -> ModbusBenchSettings:
    """A real Modbus server, and where it listens."""
    from device_drivers.simulated.modbus_bench import ModbusBenchTwin

    server = ModbusBenchTwin(bench, settings)
    held.callback(server.close)
    return server.settings


def open_simulated_rig(
    lab: Lab,
    rig: Rig,
    services: Mapping[str, Any],
    run: RunContext,
    trace: Trace,
    wanted: Wanted = WHOLE,
    fence: Fence = unfenced,
) -> HeldRig:
    """Stand the twins up, and connect drivers to their ports."""
    with ExitStack() as held:
        site = stand_up_rig(lab, rig, services, run, held)
        return take_in_hand(
            lab, site.rig, services, site.twins.clock, trace, held, wanted,
            fence=fence, bench=site.bench, displays=site.twins.displays(), site=site,
        )  # fmt: skip


def stand_up_rig(lab: Lab, rig: Rig, services: Mapping[str, Any], run: RunContext, held: ExitStack) -> Site:
    """Build the twins, put their doors in front of them, and connect their hub to the S1SP.

    The S1SP is at ``services["wan"]``. Without ``services`` the rig has no DCC: its hub stays
    unconnected, and its user says so. Raises :class:`ConfigurationError` for a fault that nobody knows.
    """
    twins = build_twins(rig, run.seed, chosen_faults(lab, run.faults))
    site = stand_up(rig, lab, twins, held)
    if services:
        join_the_dcc(twins, services, held)
    return site


class _TwinServer(DlmsServer):
    """A twin's DLMS: silent without power, and a failed authentication is an event of the twin.

    A change of the head end's keys ends its association, once the answer to the change has gone.
    """

    def __init__(
        self,
        twin: Twin,
        associations: Mapping[int, Association],
        counters: ServerCounters,
        cabinet: KeyCabinet,
        guard: TwinGuard,
    ) -> None:
        self._twin = twin
        self._cabinet = cabinet
        self._twin_guard = guard
        self._counters = GenerationCounters(counters, cabinet)
        super().__init__(
            KeyedModel(twin, self._counters),
            associations,
            server_title(twin.device_id),
            self._counters,
            on_authentication_failure=self._failed,
            guard=self._twin_guard,
        )
        self._renew_head_end()

    def handle(self, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
        if not self._twin.powered:
            return ()
        if client_sap != HEAD_END:
            return super().handle(apdu, client_sap)
        if self._generation != self._cabinet.generation:
            self._renew_head_end()
        return self._head_end.handle(apdu, client_sap)

    def _renew_head_end(self) -> None:
        self._generation = self._cabinet.generation
        self._head_end = DlmsServer(
            KeyedModel(self._twin, self._counters),
            {HEAD_END: self._cabinet.association()},
            server_title(self._twin.device_id),
            self._counters,
            on_authentication_failure=self._failed,
            guard=self._twin_guard,
        )

    def _failed(self, _: int) -> None:
        self._twin.report(Event.AUTHENTICATION_FAILED)


class _LocalServer(_TwinServer):
    """One session at the twin's own door: a power cut ends it without a word."""

    def __init__(
        self,
        twin: Twin,
        associations: Mapping[int, Association],
        counters: ServerCounters,
        cabinet: KeyCabinet,
        guard: TwinGuard,
    ) -> None:
        super().__init__(twin, associations, counters, cabinet, guard)
        self._cuts = twin.power_cuts

    def handle(self, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
        return super().handle(apdu, client_sap) if self._twin.power_cuts == self._cuts else ()


def _cabinet(twin: Twin, ring: KeyRing) -> KeyCabinet:
    """The keys of a device that has been migrated; their transfer is a command of the twin."""
    cabinet = KeyCabinet(enrolled_keys(ring, twin.device_id), master_key(ring, twin.device_id))
    twin.commands[keys_held.COMMAND] = cabinet.transfer
    return cabinet


def _serve(
    twin: Twin, twins: Twins, ring: KeyRing, cabinet: KeyCabinet, wanted_port: int, held: ExitStack
) -> RigDevice:
    """Put DLMS in front of a twin, at a port of its own and behind the hub; the device with its door."""
    # Shared by both ways in: a counter is spent whichever way it came
    counters = ServerCounters(FileCounters(ring.folder / "twin-counters"), twin.device_id)
    guard = TwinGuard(twin)
    local = ring.associations(twin.device_id, PUBLIC, MANAGEMENT, READER)
    door = open_door(
        twin, lambda: _LocalServer(twin, local, counters, cabinet, guard), twins.clock.lock, held, wanted_port
    )
    remote = _TwinServer(twin, ring.associations(twin.device_id, PUBLIC), counters, cabinet, guard)
    if isinstance(twin, ChTwin):
        twin.wan_proof = partial(ring.hub_proof, twin.device_id)
        twin.serve(remote)
    elif isinstance(twin, GsmeTwin):
        twins.hub.attach_gas(twin, remote)
    else:
        twins.hub.attach(twin, remote)
    return replace(twin.device, door=door, security=ring.security(twin.device_id, MANAGEMENT))


def join_the_dcc(twins: Twins, services: Mapping[str, Any], held: ExitStack) -> None:
    """Connect the hub, and let lab time wait for whatever is under way between hub, S1SP and user."""
    from device_drivers.dcc.user import gateway_settler

    wan = twins.hub.connect(services["wan"])
    held.callback(wan.close)
    gateway_settled = gateway_settler(services, tuple(twin.device_id for twin in twins.all()))

    def settled() -> None:
        wan.drained()
        gateway_settled()
        wan.drained()  # alerts that the gateway's last requests gave rise to

    twins.clock.on_settle(settled)
