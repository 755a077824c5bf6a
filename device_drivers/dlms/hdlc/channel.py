"""APDUs over HDLC over any byte transport: the clock and the deadlines of the client's station."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from device_drivers.dlms.hdlc.frame import client_address, server_address
from device_drivers.dlms.hdlc.negotiation import Parameters, both_ways
from device_drivers.dlms.hdlc.primary import REMEDY, Primary, State
from device_drivers.transports.base import ByteTransport
from harness.domain.errors import DeviceTimeout, HarnessError, TransportLost
from harness.domain.lab import Hdlc

_AT_MOST: Final = 4096
_POLL: Final = 0.1
"""Seconds until a meter that had nothing to say is asked again."""
_LONGEST_FRAME: Final = 80.0
"""Seconds that the longest frame takes at 300 baud, and some."""


class HdlcChannel:
    """Implements :class:`~device_drivers.dlms.channel.ApduChannel`.

    A deadline counts from the last frame that brought something new, for a long APDU may take minutes on a
    slow line. Silence, noise and torn frames are a :class:`TransportLost`; a meter that answers on HDLC
    and gives no APDU is a :class:`DeviceTimeout`. After a failure the channel closes, and every later call
    says so.

    Life cycle: ``connect``, ``send`` and ``receive``, ``close``.
    """

    def __init__(self, transport: ByteTransport, hdlc: Hdlc, client_sap: int, server_sap: int = 1) -> None:
        self._transport = transport
        self._hdlc = hdlc
        self._primary = Primary(
            server_address(server_sap, hdlc.physical_address, hdlc.address_bytes),
            client_address(client_sap),
            both_ways(hdlc.information_field, hdlc.window),
            attempts=hdlc.attempts,
            name=transport.name,
        )
        self._closed = ""

    @property
    def parameters(self) -> Parameters:
        """As agreed with the meter."""
        return self._primary.parameters

    def connect(self) -> None:
        """SNRM and UA. Raises :class:`TransportLost`, or :class:`AccessRefused` where the meter will not."""
        with self._usable():
            self._write(self._primary.connect())
            while self._primary.awaiting:
                self._answered(self._hdlc.answer)

    def send(self, apdu: bytes, timeout: float) -> None:
        """Returns when the last segment is on its way: it is acknowledged by what ``receive`` waits for."""
        with self._usable():
            deadline = _Deadline(self._primary, timeout)
            while self._primary.awaiting:
                self._wait(deadline)
            self._write(self._primary.send(apdu))
            while self._primary.unsent:
                self._wait(deadline)

    def receive(self, timeout: float) -> bytes:
        with self._usable():
            deadline = _Deadline(self._primary, timeout)
            while not self._primary.apdus:
                self._wait(deadline)
            return self._primary.apdus.popleft()

    def close(self) -> None:
        """DISC, answered or not, where the line has not failed; then the transport."""
        if not self._closed and self._primary.state is State.CONNECTED:
            with suppress(HarnessError):  # the meter ends the session by itself soon enough
                self._write(self._primary.disconnect())
                self._listen(self._hdlc.answer)
        self._close("closed")

    def abandon(self) -> None:
        """Let go of the transport without DISC."""
        self._close("abandoned")

    # --- one step --------------------------------------------------------------------------------------

    def _wait(self, deadline: _Deadline) -> None:
        """Let something happen on the line, or the deadline pass."""
        primary = self._primary
        left = deadline.left()
        if left <= 0:
            raise deadline.passed(self._transport.name)
        if primary.awaiting:
            self._answered(left)
            return
        if primary.nothing_yet and self._read(min(left, _POLL)):
            return  # whatever it was, it may be what was waited for
        self._write(primary.poll())

    def _answered(self, left: float) -> None:
        """Listen; ask again after a whole answer time of silence."""
        if not self._listen(min(left, self._hdlc.answer)) and left >= self._hdlc.answer:
            self._write(self._primary.timed_out())

    def _listen(self, patience: float) -> bool:
        """Read until the meter has finished, or something new has come: nothing did for ``patience`` seconds
        where this is ``False``. A frame that has begun may end, and no second one.
        """  # noqa: D205 - one sentence says it
        primary = self._primary
        heard, damaged = primary.heard, primary.damaged
        until = time.monotonic() + patience
        latest = until + _LONGEST_FRAME
        while primary.awaiting and primary.heard == heard:
            left = until - time.monotonic()
            if left <= 0:
                return False
            if self._read(left) and primary.within_frame and primary.damaged == damaged:
                until = min(time.monotonic() + patience, latest)
        return True

    def _read(self, timeout: float) -> bool:
        data = self._transport.read(_AT_MOST, timeout)
        self._write(self._primary.feed(data))
        return bool(data)

    def _write(self, data: bytes) -> None:
        if data:
            self._transport.write(data)

    # --- the end ---------------------------------------------------------------------------------------

    @contextmanager
    def _usable(self) -> Iterator[None]:
        if self._closed:
            raise TransportLost(f"{self._transport.name}: {self._closed}", remedy="open a new connection")
        try:
            yield
        except TransportLost as error:
            self._close(f"closed after an earlier failure: {error.message}")
            raise
        except HarnessError as error:
            self.close()
            self._closed = f"closed after an earlier failure: {error.message}"
            raise

    def _close(self, why: str) -> None:
        self._closed = self._closed or why
        self._transport.close()


class _Deadline:
    """So many seconds after the last thing new."""

    def __init__(self, primary: Primary, seconds: float) -> None:
        self._primary = primary
        self._seconds = seconds
        self._heard = primary.heard
        self._progress = primary.progress
        self._until = time.monotonic() + seconds

    def left(self) -> float:
        now = time.monotonic()
        if self._primary.progress != self._progress:
            self._progress = self._primary.progress
            self._until = now + self._seconds
        return self._until - now

    def passed(self, name: str) -> HarnessError:
        """The meter's fault where it was heard, the line's where it was not."""
        if self._primary.heard == self._heard or self._primary.vain:
            return TransportLost(f"{name}: silent for {self._seconds:g} s", remedy=REMEDY)
        return DeviceTimeout(
            f"{name}: the meter answers on HDLC and gives no APDU within {self._seconds:g} s"
        )
