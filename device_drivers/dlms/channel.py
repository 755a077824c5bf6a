"""What carries a client's APDUs; the TCP wrapper is one such channel (Green Book 7.3.3), HDLC another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from struct import pack, unpack
from typing import Final, Protocol

from device_drivers.transports.base import ByteTransport
from harness.domain.errors import DeviceTimeout, HarnessError, ProtocolViolation, TransportLost

WRAPPER_VERSION: Final = 1
HEADER_BYTES: Final = 8
LONGEST_APDU: Final = 0xFFFF


class ApduChannel(Protocol):
    """Carries a client's APDUs, one conversation at a time.

    Trouble of the carrier is a :class:`TransportLost`, wrong framing a :class:`ProtocolViolation`.
    """

    def send(self, apdu: bytes, timeout: float) -> None:
        """Send one APDU; a carrier that can tell has it acknowledged within ``timeout`` seconds."""

    def receive(self, timeout: float) -> bytes:
        """The next APDU, which comes within ``timeout`` seconds or is a :class:`DeviceTimeout`.

        Called again for each further APDU where the device answers with several.
        """

    def close(self) -> None:
        """Let go of the carrier; closing twice is fine."""

    def abandon(self) -> None:
        """Let go of the carrier without a word to the other end, which is not there to hear it."""


def wrap_frame(source: int, destination: int, apdu: bytes) -> bytes:
    """A wrapper frame. Raises :class:`ValueError` for an APDU that its length field cannot count."""
    if len(apdu) > LONGEST_APDU:
        raise ValueError(f"the wrapper carries APDUs up to {LONGEST_APDU} bytes, this one has {len(apdu)}")
    return pack(">HHHH", WRAPPER_VERSION, source, destination, len(apdu)) + apdu


def parse_header(header: bytes) -> tuple[int, int, int]:
    """Source and destination SAP and the length of the APDU that follows the 8-byte header."""
    version, source, destination, length = unpack(">HHHH", header)
    if version != WRAPPER_VERSION:
        raise ProtocolViolation(f"wrapper version {version}: expected {WRAPPER_VERSION}")
    return source, destination, length


class WrapperChannel:
    """The wrapper over any byte transport.

    After a failure the two ends may disagree on whose turn it is: the channel closes, and every later
    call says so.
    """

    def __init__(self, transport: ByteTransport, client_sap: int, server_sap: int = 1) -> None:
        self._transport = transport
        self._client_sap = client_sap
        self._server_sap = server_sap
        self._closed = ""

    def send(self, apdu: bytes, timeout: float) -> None:  # noqa: ARG002 - a socket has a deadline of its own for writing
        frame = wrap_frame(self._client_sap, self._server_sap, apdu)
        with self._usable():
            self._transport.write(frame)

    def receive(self, timeout: float) -> bytes:
        with self._usable():
            return self._receive(time.monotonic() + timeout, timeout)

    def close(self) -> None:
        self._close("closed")

    def abandon(self) -> None:
        self._close("abandoned")

    @contextmanager
    def _usable(self) -> Iterator[None]:
        if self._closed:
            raise TransportLost(f"{self._transport.name}: {self._closed}", remedy="open a new connection")
        try:
            yield
        except HarnessError as error:
            self._close(f"closed after an earlier failure: {error.message}")
            raise

    def _close(self, why: str) -> None:
        self._closed = self._closed or why
        self._transport.close()

    def _receive(self, deadline: float, timeout: float) -> bytes:
        source, destination, length = parse_header(self._read(HEADER_BYTES, deadline, timeout))
        if (source, destination) != (self._server_sap, self._client_sap):
            raise ProtocolViolation(
                f"{self._transport.name}: an answer from SAP {source} to {destination}, expected from "
                f"{self._server_sap} to {self._client_sap}"
            )
        return self._read(length, deadline, timeout)

    def _read(self, count: int, deadline: float, timeout: float) -> bytes:
        buffer = bytearray()
        while len(buffer) < count:
            left = deadline - time.monotonic()
            piece = self._transport.read(count - len(buffer), left) if left > 0 else b""
            if not piece:
                raise DeviceTimeout(f"{self._transport.name}: no complete answer within {timeout:g} s")
            buffer += piece
        return bytes(buffer)
