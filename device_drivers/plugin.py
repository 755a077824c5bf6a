"""The built-in drivers, transports and simulated lab, through the same hooks as a third party's.

Nothing heavy is imported here: every pytest session loads this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from device_drivers.transports.base import BAUD_RATES
from harness.domain.parameters import Parameter
from harness.domain.words import DeviceType
from harness.hooks import (
    BenchDriver,
    Driver,
    Fence,
    LabServices,
    LineReading,
    MessageCheck,
    RunContext,
    StandIn,
    Trace,
    Transport,
    Wanted,
    hookimpl,
)

if TYPE_CHECKING:
    from device_drivers.transports.base import ByteTransport
    from harness.domain.faults import Fault
    from harness.domain.findings import Finding
    from harness.domain.heard import Heard, HeardStream
    from harness.domain.instruments import Bench, Device, LabClock, RigController, RigInHand
    from harness.domain.lab import Door, EpclEntry, Lab, Rig, RigDevice
    from harness.domain.migration import Migration
    from harness.domain.misuse import Adversary

_LONGEST: Final = 3_600.0  # seconds: who waits longer for an answer has written something else
_TCP: Final = (
    Parameter(name="host", meaning="the name or address to connect to", needed=True),
    Parameter(
        name="port", meaning="the TCP port there, 1 to 65535", type=int, above=0, most=65_535, needed=True
    ),
    Parameter(
        name="connect_timeout",
        meaning="seconds that connecting may take",
        type=float,
        above=0,
        most=_LONGEST,
    ),
)
_SERIAL_PORT: Final = Parameter(name="port", meaning="a name from /dev/serial/by-id", needed=True)
_BAUD: Final = Parameter(name="baud", meaning="the rate of the serial line", type=int, choice=BAUD_RATES)
_DLMS: Final = (
    Parameter(name="timeout", meaning="seconds that an answer may take", type=float, above=0, most=_LONGEST),
)
_READOUT: Final = (
    Parameter(name="addresses", meaning="where the readout has its items, by their names", type=dict),
)


@hookimpl
def harness_transports() -> tuple[Transport, ...]:
    """TCP, and serial lines at this machine and at servers."""
    return (
        Transport("tcp", _tcp, "a TCP socket", _TCP),
        Transport("serial", _serial, "a serial port", (_SERIAL_PORT, _BAUD)),
        Transport("rfc2217", _rfc2217, "a serial port at an RFC 2217 server", (*_TCP, _BAUD)),
        Transport(
            "serial-tcp", _serial_tcp, "a serial port at a raw TCP server, at its baud", (*_TCP, _BAUD)
        ),
    )


@hookimpl
def harness_drivers() -> tuple[Driver, ...]:
    """ESME, GSME and CH over DLMS; an ESME whose optical port only tells."""
    return (
        Driver(DeviceType.ESME, "dlms", _esme, "electricity meter over DLMS/COSEM", _DLMS),
        Driver(
            DeviceType.ESME, "iec62056-21", _readout_meter, "electricity meter, read out in mode C", _READOUT
        ),
        Driver(DeviceType.GSME, "dlms", _gsme, "gas meter over DLMS/COSEM", _DLMS),
        Driver(DeviceType.CH, "dlms", _ch, "communications hub over DLMS/COSEM", _DLMS),
    )


@hookimpl
def harness_benches() -> tuple[BenchDriver, ...]:
    """Modbus."""
    return (BenchDriver("modbus", _modbus_bench, "I/O behind Modbus TCP or RTU, by a register map"),)


@hookimpl
def harness_line_readings() -> tuple[LineReading, ...]:
    """DLMS."""
    return (LineReading("dlms", _wrapped_dlms, "DLMS in its TCP or UDP wrapper"),)


@hookimpl
def harness_faults() -> tuple[Fault, ...]:
    """The built-in fault catalogue."""
    from device_drivers.simulated.faults import FAULTS

    return FAULTS


@hookimpl
def harness_preload(lab: Lab) -> tuple[str, ...]:
    """The way to the DCC and to the devices, the lab's kinds of bench, and the twins where there are some."""
    twins = any(rig.simulation is not None for rig in lab.rigs)
    modbus = any(rig.modbus is not None for rig in lab.rigs)
    return (
        "device_drivers.dcc.user",
        "device_drivers.esme",
        "device_drivers.gsme",
        "device_drivers.ch",
        "device_drivers.transports.tcp",
        "device_drivers.rigs.physical",
        *(["device_drivers.bench.modbus.bench"] if modbus else []),
        *(["device_drivers.simulated.faults", "device_drivers.simulated.rig"] if twins else []),
    )


@hookimpl
def harness_preload_services(lab: Lab) -> tuple[str, ...]:
    """The link, and the DCC's side where it is simulated."""
    simulated = lab.dcc.gateway == "simulated"
    return (
        "httpcore",
        "device_drivers.dcc.services",
        *(["device_drivers.simulated.dcc_side"] if simulated else []),
    )


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
    wanted: Wanted,
    fence: Fence,
) -> RigInHand:
    """Twins for a rig that says so; else the devices behind the rig's doors."""
    if rig.simulation is not None:
        from device_drivers.simulated.rig import open_simulated_rig

        return open_simulated_rig(lab, rig, services, run, trace, wanted, fence)
    from device_drivers.rigs.physical import open_physical_rig

    return open_physical_rig(lab, rig, services, run, trace, wanted, fence)


@hookimpl
def harness_adversary(
    lab: Lab, rig: RigInHand, services: Mapping[str, Any], trace: Trace, fence: Fence
) -> Adversary:
    """Real sockets, our own XML and DLMS; more where the lab is simulated."""
    from device_drivers.misuse.adversary import LabAdversary
    from device_drivers.rigs.guarded import guarded

    return guarded(LabAdversary(lab, rig, services, trace, fence), fence, "")


@hookimpl
def harness_migration(
    lab: Lab, rig: RigInHand, entry: EpclEntry, services: Mapping[str, Any], trace: Trace, fence: Fence
) -> Migration | None:
    """Simulated rigs, whose parties are in the simulated DCC; nobody for others."""
    if rig.rig.simulation is None or "settle" not in services:
        return None
    from device_drivers.rigs.guarded import guarded
    from device_drivers.simulated.migration.client import open_simulated_migration

    return guarded(open_simulated_migration(lab, rig, entry, services, trace), fence, "")


@hookimpl
def harness_check_messages(lab: Lab, folder: Path) -> MessageCheck:
    """DUIS, as the run's link has kept it."""
    from device_drivers.dcc.recorded import check_messages

    return check_messages(lab, folder)


@hookimpl
def harness_check_rig(
    lab: Lab, rig: Rig, services: Mapping[str, Any], run: RunContext, trace: Trace, fence: Fence
) -> list[Finding]:
    """Every door of the rig, each by itself; of a simulated one, those that its twins stand behind."""
    if rig.simulation is not None:
        from device_drivers.simulated.checks import check_simulated_rig

        return check_simulated_rig(lab, rig, services, run, trace, fence)
    from device_drivers.rigs.checks import check_rig

    return check_rig(lab, rig, services, trace, fence)


@hookimpl
def harness_stand_up(lab: Lab, rigs: Sequence[Rig], run: RunContext, base_port: int) -> StandIn:
    """The twins of those rigs on ports of their own, and the simulated DCC beside them."""
    from device_drivers.simulated.stand_in import stand_up_lab

    return stand_up_lab(lab, rigs, run, base_port)


def _modbus_bench(rig: Rig, lab: Lab, trace: Trace, controller: RigController, fence: Fence) -> Bench:
    from device_drivers.bench.modbus.bench import open_modbus_bench

    return open_modbus_bench(rig, lab, trace, controller, fence)


def _wrapped_dlms(streams: Sequence[HeardStream]) -> Heard:
    from device_drivers.bench.capturing.wrapper import read_wrapped

    return read_wrapped(streams)


def _tcp(parameters: Mapping[str, Any], fence: Fence) -> ByteTransport:
    from device_drivers.transports.tcp import open_tcp

    return open_tcp(parameters, fence)


def _serial(parameters: Mapping[str, Any], fence: Fence) -> ByteTransport:
    from device_drivers.transports.serial import open_serial

    return open_serial(parameters, fence)


def _rfc2217(parameters: Mapping[str, Any], fence: Fence) -> ByteTransport:
    from device_drivers.transports.rfc2217 import open_rfc2217

    return open_rfc2217(parameters, fence)


def _serial_tcp(parameters: Mapping[str, Any], fence: Fence) -> ByteTransport:
    from device_drivers.transports.serial_tcp import open_serial_tcp

    return open_serial_tcp(parameters, fence)


def _esme(device: RigDevice, door: Door, lab: Lab, clock: LabClock, trace: Trace, fence: Fence) -> Device:
    from device_drivers.esme import EsmeDriver

    return EsmeDriver.connect(device, door, lab, clock, trace, fence)


def _readout_meter(
    device: RigDevice, door: Door, lab: Lab, clock: LabClock, trace: Trace, fence: Fence
) -> Device:
    from device_drivers.readout_meter import ReadoutMeter

    return ReadoutMeter.connect(device, door, lab, clock, trace, fence)


def _gsme(device: RigDevice, door: Door, lab: Lab, clock: LabClock, trace: Trace, fence: Fence) -> Device:
    from device_drivers.gsme import GsmeDriver

    return GsmeDriver.connect(device, door, lab, clock, trace, fence)


def _ch(device: RigDevice, door: Door, lab: Lab, clock: LabClock, trace: Trace, fence: Fence) -> Device:
    from device_drivers.ch import HubDriver

    return HubDriver.connect(device, door, lab, clock, trace, fence)
