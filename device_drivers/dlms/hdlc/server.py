"""A meter's end of an HDLC line: bytes in, bytes out, one DLMS server for each client in session."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from device_drivers.dlms.hdlc.frame import FINAL, Frame, FrameDecoder, Kind, address_parts, encode
from device_drivers.dlms.hdlc.negotiation import LARGEST_WINDOW, LONGEST_FIELD, Parameters, both_ways
from device_drivers.dlms.hdlc.secondary import Secondary, Serve
from device_drivers.dlms.server import DlmsServer

MOST_SESSIONS = 8
_LARGEST = both_ways(LONGEST_FIELD, LARGEST_WINDOW)


@dataclass
class _Session:
    station: Secondary
    last_frame: float


class HdlcServer:
    """Answers at upper address ``server_sap``, and ``physical_address`` where a client gives a lower one.

    ``factory`` makes the server of each session, at SNRM; ``lock``, where given, is held while an APDU is
    handled. Times are in seconds of the clock that the caller reads: a session whose client is silent for
    ``inactivity`` ends, a frame that stops for ``gap`` is given up. Without a physical address any will do.
    """

    def __init__(
        self,
        factory: Callable[[], DlmsServer],
        server_sap: int = 1,
        physical_address: int | None = None,
        *,
        parameters: Parameters = _LARGEST,
        inactivity: float = 120.0,
        gap: float = 0.5,
        lock: contextlib.AbstractContextManager[object] | None = None,
    ) -> None:
        self._factory = factory
        self._server_sap = server_sap
        self._physical_address = physical_address
        self._parameters = parameters
        self._inactivity = inactivity
        self._gap = gap
        self._lock = lock or contextlib.nullcontext()
        self._decoder = FrameDecoder()
        self._sessions: dict[bytes, _Session] = {}
        self._last_byte = 0.0

    @property
    def connected(self) -> bool:
        """Whether any client is in session."""
        return bool(self._sessions)

    def feed(self, data: bytes, now: float) -> bytes:
        """Take what came at ``now``; what to send at once."""
        self.expire(now)
        frames = self._decoder.abandon() if now - self._last_byte > self._gap else []
        self._last_byte = now
        frames += self._decoder.feed(data)
        return b"".join([self._handle(frame, now) for frame in frames])

    def expire(self, now: float) -> None:
        """End the sessions that have rested too long."""
        self._sessions = {
            client: session
            for client, session in self._sessions.items()
            if now - session.last_frame <= self._inactivity
        }

    def reset(self) -> None:
        """End every session without a word, as a power cut does."""
        self._sessions.clear()
        self._decoder = FrameDecoder()

    def _handle(self, frame: Frame, now: float) -> bytes:
        client = frame.source
        if not self._is_ours(frame.destination) or len(client) != 1:
            return b""
        session = self._sessions.get(client)
        if session is None or session.station.address != frame.destination:
            if frame.kind is not Kind.SNRM or len(self._sessions) >= MOST_SESSIONS:
                return self._disconnected(frame)
            session = _Session(self._station(frame), now)
        answer = session.station.handle(frame)
        session.last_frame = now
        if session.station.connected:
            self._sessions[client] = session
        else:
            self._sessions.pop(client, None)
        return answer

    def _is_ours(self, destination: bytes) -> bool:
        upper, lower = address_parts(destination)
        return upper == self._server_sap and (
            lower is None or self._physical_address is None or lower == self._physical_address
        )

    def _disconnected(self, frame: Frame) -> bytes:
        if not frame.final or frame.kind in (Kind.UI, Kind.UA, Kind.DM, Kind.FRMR):
            return b""
        return encode(Frame(frame.source, frame.destination, Kind.DM | FINAL))

    def _station(self, frame: Frame) -> Secondary:
        client_sap, _ = address_parts(frame.source)

        def open_application() -> Serve:
            server = self._factory()

            def serve(apdu: bytes) -> tuple[bytes, ...]:
                with self._lock:
                    return server.handle(apdu, client_sap)

            return serve

        return Secondary(frame.destination, frame.source, self._parameters, open_application)
