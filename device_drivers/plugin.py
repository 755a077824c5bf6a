"""The built-in drivers, transports and simulated lab, through the same hooks as a third party's.

Nothing heavy is imported here: every pytest session loads this module.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.domain.faults import Fault
from harness.domain.instruments import Device, LabClock, RigInHand
from harness.domain.lab import Door, Lab, Rig, RigDevice
from harness.domain.words import DeviceType
from harness.hooks import Driver, LabServices, RunContext, StandIn, Trace, Transport, hookimpl

if TYPE_CHECKING:
    from device_drivers.transports.base import ByteTransport


@hookimpl
def harness_transports() -> tuple[Transport, ...]:
    """TCP."""
    return (Transport("tcp", _tcp, "a TCP socket: host, port, connect_timeout (seconds)"),)


@hookimpl
def harness_drivers() -> tuple[Driver, ...]:
    """ESME, GSME and CH over DLMS."""
    return (
        Driver(DeviceType.ESME, "dlms", _esme, "electricity meter over DLMS/COSEM"),
        Driver(DeviceType.GSME, "dlms", _gsme, "gas meter over DLMS/COSEM"),
        Driver(DeviceType.CH, "dlms", _ch, "communications hub over DLMS/COSEM"),
    )


@hookimpl
def harness_faults() -> tuple[Fault, ...]:
    """The built-in fault catalogue."""
    from device_drivers.simulated.faults import FAULTS

    return FAULTS


@hookimpl
def harness_start_lab(lab: Lab, run: RunContext) -> LabServices:
    """The DCC link, and the DCC side of a simulated lab behind it."""
    from device_drivers.dcc.services import start_lab

    return start_lab(lab, run)


@hookimpl
def harness_open_rig(
    lab: Lab,
    rig: Rig,
    services: Mapping[str, Any],
    run: RunContext,
    trace: Trace,
    devices: Collection[DeviceType] | None,
) -> RigInHand:
    """Twins for a rig that says so; else the devices behind the rig's doors."""
    if rig.simulation is not None:
        from device_drivers.simulated.rig import open_simulated_rig

        return open_simulated_rig(lab, rig, services, run, trace, devices)
    from device_drivers.physical import open_physical_rig

    return open_physical_rig(lab, rig, services, run, trace, devices)


@hookimpl
def harness_stand_up(lab: Lab, rigs: Sequence[Rig], run: RunContext, base_port: int) -> StandIn:
    """The twins of those rigs on ports of their own, and the simulated DCC beside them."""
    from device_drivers.simulated.stand_in import stand_up_lab

    return stand_up_lab(lab, rigs, run, base_port)


def _tcp(parameters: Mapping[str, Any]) -> ByteTransport:
    from device_drivers.transports.tcp import open_tcp

    return open_tcp(parameters)


def _esme(device: RigDevice, door: Door, lab: Lab, clock: LabClock, trace: Trace) -> Device:
    from device_drivers.esme import EsmeDriver

    return EsmeDriver.connect(device, door, lab, clock, trace)


def _gsme(device: RigDevice, door: Door, lab: Lab, clock: LabClock, trace: Trace) -> Device:
    from device_drivers.gsme import GsmeDriver

    return GsmeDriver.connect(device, door, lab, clock, trace)


def _ch(device: RigDevice, door: Door, lab: Lab, clock: LabClock, trace: Trace) -> Device:
    from device_drivers.ch import HubDriver

    return HubDriver.connect(device, door, lab, clock, trace)
