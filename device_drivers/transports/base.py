"""The small interface that every byte transport has; drivers and protocols know nothing else of ports."""

from __future__ import annotations

from typing import Protocol


class ByteTransport(Protocol):
    """An open port. Every failure of the port is a :class:`~harness.domain.errors.TransportLost`.

    Life cycle: open (by its constructor function), ``write`` and ``read`` in turns, ``close``.
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
