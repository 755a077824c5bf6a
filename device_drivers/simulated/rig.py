"""A simulated rig in hand: twins, hub and bench in this process, each behind a real socket."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

from device_drivers.assembly import HeldRig, chosen_faults, take_in_hand
from device_drivers.dlms.counters import CounterStore, FileCounters, ServerCounters
from device_drivers.dlms.security import Association
from device_drivers.dlms.server import DlmsServer
from device_drivers.dlms.tcp_server import TcpDlmsServer
from device_drivers.simulated.bench import SimulatedBench
from device_drivers.simulated.ch import ChTwin
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.cosem import TwinModel
from device_drivers.simulated.keys import MANAGEMENT, PUBLIC, READER, S1SP, KeyRing, key_ring, server_title
from device_drivers.simulated.meters.esme import EsmeTwin
from device_drivers.simulated.meters.gsme import GsmeTwin
from device_drivers.simulated.twin import Twin
from harness.domain.errors import ConfigurationError
from harness.domain.faults import Fault, Interceptions, Place
from harness.domain.lab import Door, Lab, Rig, RigDevice
from harness.domain.words import DeviceType
from harness.hooks import RunContext, Trace

_PLACES: Final = {
    DeviceType.ESME: Place.ESME,
    DeviceType.GSME: Place.GSME,
    DeviceType.CH: Place.CH,
}
_AUTHENTICATION_FAILED: Final = 0x0083  # of device_drivers.objects.EVENTS


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
    """Twins behind real sockets. ``rig`` has a door for each device, with the management credentials."""

    rig: Rig
    twins: Twins
    bench: SimulatedBench


def stand_up(
    rig: Rig,
    ring: KeyRing,
    twins: Twins,
    held: ExitStack,
    ports: Mapping[DeviceType, int] | None = None,
) -> Site:
    """Put DLMS in front of every twin, at a port of its own and behind the hub; ``held`` ends it.

    A device that ``ports`` does not name gets any free port of the loopback.
    """
    wanted = ports or {}
    doors = {
        twin.device.type: _serve(twin, twins, ring, wanted.get(twin.device.type, 0), held)
        for twin in twins.all()
    }
    bench = SimulatedBench(twins.clock, twins.esme, twins.gsme, twins.hub)
    return Site(replace(rig, devices={type_: doors[type_] for type_ in rig.devices}), twins, bench)


def open_simulated_rig(
    lab: Lab,
    rig: Rig,
    services: Mapping[str, Any],
    run: RunContext,
    trace: Trace,
    devices: Collection[DeviceType] | None = None,
) -> HeldRig:
    """Build the twins, connect their hub to the S1SP at ``services["wan"]``, and drivers to their ports.

    Without ``services`` the rig has no DCC: its hub stays unconnected, and its user says so. Raises
    :class:`ConfigurationError` for a fault that nobody knows.
    """
    twins = build_twins(rig, run.seed, chosen_faults(lab, run.faults))
    with ExitStack() as held:
        site = stand_up(rig, key_ring(lab), twins, held)
        if services:
            join_the_dcc(twins, services, held)
        return take_in_hand(
            lab, site.rig, services, twins.clock, trace, held,
            devices=devices, bench=site.bench, displays=twins.displays(),
        )  # fmt: skip


class _TwinServer(DlmsServer):
    """A twin's DLMS: silent without power, and a failed authentication is an event of the twin."""

    def __init__(self, twin: Twin, associations: Mapping[int, Association], counters: CounterStore) -> None:
        super().__init__(
            TwinModel(twin, counters),
            associations,
            server_title(twin.device_id),
            counters,
            on_authentication_failure=lambda _: twin.report(_AUTHENTICATION_FAILED),
        )
        self._twin = twin

    def handle(self, apdu: bytes, client_sap: int) -> bytes:
        return super().handle(apdu, client_sap) if self._twin.powered else b""


def _serve(twin: Twin, twins: Twins, ring: KeyRing, wanted_port: int, held: ExitStack) -> RigDevice:
    """Put DLMS in front of a twin, at a port of its own and behind the hub; the device with its door."""
    # Shared by both ways in: a counter is spent whichever way it came
    counters = ServerCounters(FileCounters(ring.folder / "twin-counters"), twin.device_id)
    local = ring.associations(twin.device_id, PUBLIC, MANAGEMENT, READER)
    try:
        port = TcpDlmsServer(
            lambda: _TwinServer(twin, local, counters), port=wanted_port, lock=twins.clock.lock
        )
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on port {wanted_port} for {twin.device.type} {twin.device_id}: {error.strerror}",
            remedy="end what holds the port, or choose other ports",
        ) from None
    held.callback(port.close)
    port.start()
    remote = _TwinServer(twin, ring.associations(twin.device_id, PUBLIC, S1SP), counters)
    if isinstance(twin, ChTwin):
        twin.serve(remote)
    elif isinstance(twin, GsmeTwin):
        twins.hub.attach_gas(twin, remote)
    else:
        twins.hub.attach(twin, remote)
    host, number = port.address
    return replace(
        twin.device,
        door=Door(transport="tcp", parameters={"host": host, "port": number}),
        security=ring.security(twin.device_id, MANAGEMENT),
    )


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
