"""A serial port as a byte transport, by pyserial.

A port is named by ``/dev/serial/by-id/…``, or by ``/dev/serial/by-path/…`` where two probes have the same
serial number; the name is looked up each time the port is opened. It is locked while it is open.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import serial

from device_drivers.transports.base import SerialLine, line_time, standard_baud
from harness.domain.errors import ConfigurationError, TransportLost
from harness.hooks import Fence, unfenced

PORTS: Final = Path("/dev/serial/by-id")
LOCKS: Final = Path("/proc/locks")
_REMEDY: Final = "see that the probe is plugged in and its cable whole"
_BEYOND_LINE_TIME: Final = 5.0  # seconds that sending may take beyond the bytes' own time on the line
_SHOWN_OF_COMMAND: Final = 100
_PIECE: Final = 256  # bytes that go to the port between two questions to the fence


class SerialPort:
    """Implements :class:`SerialLine`; every trouble of the port is a :class:`TransportLost`."""

    def __init__(self, port: Any, name: str, fence: Fence = unfenced) -> None:
        self._port = port
        self._name = name
        self._fence = fence
        self._left_at = 0.0  # when the last byte has left a line of this rate, at the earliest

    @property
    def name(self) -> str:
        return self._name

    @property
    def baud(self) -> int:
        return int(self._port.baudrate)

    def write(self, data: bytes) -> None:
        on_the_line = line_time(len(data), self.baud)
        self._left_at = time.monotonic() + on_the_line
        with self._trouble("could not send"):
            self._port.write_timeout = on_the_line + _BEYOND_LINE_TIME
            for at in range(0, len(data), _PIECE):
                self._fence()
                self._port.write(data[at : at + _PIECE])
            self._drain(self._left_at + _BEYOND_LINE_TIME)

    def read(self, at_most: int, timeout: float) -> bytes:
        with self._trouble("could not receive"):
            descriptor = self._port.fileno()
            if not select.select([descriptor], [], [], max(timeout, 0.0))[0]:
                return b""
            if data := os.read(descriptor, at_most):
                return data
            raise OSError("it says that bytes are there, and has none: the device is gone")

    def set_baud(self, baud: int) -> None:
        standard_baud(baud)
        # A probe's own buffer, or a pseudo terminal, may say that all has left when it has not
        time.sleep(max(0.0, self._left_at - time.monotonic()))
        with self._trouble(f"could not change to {baud} baud"):
            self._drain(time.monotonic() + _BEYOND_LINE_TIME)
            self._port.baudrate = baud

    def close(self) -> None:
        if not self._port.is_open:
            return
        with contextlib.suppress(OSError, termios.error):  # it may be gone: then there is nothing to discard
            if self._port.out_waiting:  # the kernel would wait for it to leave
                self._port.reset_output_buffer()
        self._port.close()

    def _drain(self, deadline: float) -> None:
        """Wait until the kernel has handed over every byte: ``flush`` alone has no deadline."""
        while waiting := self._port.out_waiting:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TransportLost(f"{self._name}: {waiting} bytes never left the port", remedy=_REMEDY)
            time.sleep(min(left, line_time(waiting, self.baud)))
        self._port.flush()

    @contextlib.contextmanager
    def _trouble(self, what: str) -> Iterator[None]:
        if not self._port.is_open:
            raise TransportLost(f"{self._name}: {what}: closed", remedy="open it anew")
        try:
            yield
        except (OSError, termios.error) as error:  # SerialException is an OSError
            raise TransportLost(f"{self._name}: {what}: {error}", remedy=_REMEDY) from error


def open_serial(parameters: Mapping[str, Any], fence: Fence = unfenced) -> SerialLine:
    """Open and lock ``port`` at ``baud`` (default 9600)."""
    if "port" not in parameters:
        raise ConfigurationError("a serial transport needs port", remedy=f"a name from {PORTS}")
    device = str(parameters["port"])
    baud = standard_baud(int(parameters.get("baud", 9_600)))
    try:
        port = serial.Serial(device, baud, timeout=0, write_timeout=_BEYOND_LINE_TIME, exclusive=True)
    except (OSError, termios.error) as error:
        raise _not_opened(device, error) from error
    return SerialPort(port, f"serial {device}", fence)


def _not_opened(device: str, error: OSError | termios.error) -> TransportLost:
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return TransportLost(f"serial {device}: there is no such port", remedy=_ports_at_hand())
        case errno.EAGAIN | errno.EBUSY:
            return TransportLost(
                f"serial {device}: held by {_holder(device)}", remedy="end that program, or wait for it"
            )
        case errno.EACCES | errno.EPERM:
            return TransportLost(
                f"serial {device}: no permission to open it",
                remedy="become a member of the device's group (often dialout), and sign in anew",
            )
    return TransportLost(f"serial {device}: could not open: {error}", remedy=_REMEDY)


def _ports_at_hand() -> str:
    try:
        names = sorted(path.name for path in PORTS.iterdir())
    except OSError:
        names = []
    return f"plug the probe in, or name another port: {PORTS} has {', '.join(names) or 'none'}"


def _holder(device: str) -> str:
    """Who has locked the device, as far as the kernel tells."""
    with contextlib.suppress(OSError):
        status = Path(device).stat()
        inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in LOCKS.read_text().splitlines():
            _, kind, _, _, process, locked, *_ = line.split()
            if kind == "FLOCK" and locked == inode:
                command = (
                    Path(f"/proc/{process}/cmdline")
                    .read_bytes()
                    .replace(b"\0", b" ")
                    .decode(errors="replace")
                )
                return f"process {process} ({command.strip()[:_SHOWN_OF_COMMAND]})"
    return "another process"
