"""The doors in front of a twin: of the kind that its lab file names, on this computer's own ports."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from device_drivers.dlms.hdlc.server import HdlcServer
from device_drivers.dlms.server import DlmsServer
from device_drivers.dlms.tcp_server import TcpDlmsServer
from device_drivers.iec62056.messages import Identification
from device_drivers.iec62056.meter import SignOnMeter
from device_drivers.simulated.optical_port import MeterPort, OpticalPort, SerialServer
from device_drivers.simulated.twin import Twin
from harness.domain.errors import ConfigurationError
from harness.domain.lab import Door

_PLAIN: Final = Door(transport="tcp")
_QUICK, _SLOW = "TWi", "TWI"  # nobody's letters; a small one at the end: it reacts in 20 ms, else in 200
_FASTEST: Final = 19_200
_NO_LINE: Final = {"baud": 115_200}  # the server has no line behind it that would take longer

ServerFactory = Callable[[], DlmsServer]


def open_door(
    twin: Twin,
    servers: ServerFactory,
    lock: contextlib.AbstractContextManager[object],
    held: ExitStack,
    port: int = 0,
) -> Door:
    """Open the twin's door and say where it is; ``held`` closes it.

    ``servers`` makes the DLMS server of each session. ``port`` is that of a TCP door; 0 is any. Raises
    :class:`ConfigurationError` for a port that is taken, and for a kind of door that no twin has.
    """
    door = twin.device.door or _PLAIN
    if door.protocol != "dlms":
        raise _no_such_door(f"speaks {door.protocol!r}")
    try:
        match door.transport:
            case "tcp" if door.hdlc is None:
                server = TcpDlmsServer(servers, port=port, lock=lock)
                held.callback(server.close)
                server.start()
                return _at(door, server.address)
            case "tcp" | "serial-tcp" if door.optical is None or door.optical.mode == "direct":
                behind = SerialServer(_meter(twin, door, servers, lock), port)
                held.callback(behind.close)
                return _at(door, behind.address, **_NO_LINE)
            case "serial":
                optical = OpticalPort(
                    _meter(twin, door, servers, lock), echo=bool(door.optical and door.optical.echo)
                )
                held.callback(optical.close)
                return replace(door, parameters={**door.parameters, "port": optical.path})
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on port {port} for {twin.device.type} {twin.device_id}: {error.strerror}",
            remedy="end what holds the port, or choose other ports",
        ) from None
    raise _no_such_door(f"is reached by {door.transport!r}{' with a sign-on' if door.optical else ''}")


def _at(door: Door, address: tuple[str, int], **more: int) -> Door:
    host, port = address
    return replace(door, parameters={**door.parameters, "host": host, "port": port, **more})


def _meter(
    twin: Twin, door: Door, servers: ServerFactory, lock: contextlib.AbstractContextManager[object]
) -> MeterPort:
    if door.hdlc is None:
        raise _no_such_door("has DLMS without HDLC on a serial line")
    hdlc = HdlcServer(servers, physical_address=door.hdlc.physical_address, lock=lock)
    sign_on = None
    if door.optical is not None and door.optical.mode == "mode-e":
        flag = _SLOW if door.optical.confirms == "after" else _QUICK  # the client must have changed by then
        identification = Identification(flag, _FASTEST, twin.device.model.model)
        sign_on = SignOnMeter(
            identification, address=_dialled(twin.device.serial_number), confirms=door.optical.confirms
        )
    baud = door.optical.baud if door.optical else 9_600
    return MeterPort(hdlc, sign_on, baud=baud, power=lambda: (twin.power_cuts, twin.powered))


def _dialled(serial_number: str) -> str:
    """As much of a serial number as can be called."""
    return "".join(character for character in serial_number if character.isalnum())


def _no_such_door(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"no twin has a door that {why}",
        remedy="tcp; serial with hdlc, and optical in mode-e or direct; serial-tcp with hdlc",
    )
