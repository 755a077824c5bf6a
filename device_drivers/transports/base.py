"""The small interface that every byte transport has; drivers and protocols know nothing else of ports."""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

from harness.domain.errors import ConfigurationError

BAUD_RATES: Final = (300, 600, 1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200)
_BITS_PER_BYTE: Final = 10  # with start and stop bit


class ByteTransport(Protocol):
    """An open port. Every failure of the port is a :class:`~harness.domain.errors.TransportLost`.

    Life cycle: open (by its constructor function), ``write`` and ``read`` in turns, ``close``. Before bytes
    leave the fence is asked; what that raises comes out as it is.
    """

    @property
    def name(self) -> str:
        """How messages call this port, e.g. ``tcp 127.0.0.1:4059``."""

    def write(self, data: bytes) -> None:
        """Send all of it."""

    def read(self, at_most: int, timeout: float) -> bytes:
        """At least one byte and at most so many; ``b""`` if none came within ``timeout`` seconds."""

    def close(self) -> None:
        """Let go of the port; closing twice is fine."""


@runtime_checkable
class SerialLine(ByteTransport, Protocol):
    """A port with a baud rate: eight data bits, no parity and one stop bit, always.

    Seven bits with parity are made in software (:mod:`device_drivers.iec62056.parity`). ``write`` returns
    when the last byte has left, as far as the port can tell.
    """

    @property
    def baud(self) -> int:
        """The rate at which the port stands."""

    def set_baud(self, baud: int) -> None:
        """Change the rate once the last byte has left; :class:`ConfigurationError` where it cannot be had."""


def line_time(count: int, baud: int) -> float:
    """How long so many bytes take on a line, in seconds."""
    return count * _BITS_PER_BYTE / baud


def standard_baud(baud: int) -> int:
    """The rate, if ports have it: others depend on driver, kernel and C library."""
    if baud not in BAUD_RATES:
        raise ConfigurationError(
            f"no port has {baud} baud", remedy=f"one of {', '.join(map(str, BAUD_RATES))}"
        )
    return baud
