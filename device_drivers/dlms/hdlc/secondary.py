"""The meter's station of one client: answers when it is polled, and again when it is asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from device_drivers.dlms.hdlc import negotiation
from device_drivers.dlms.hdlc.frame import FINAL, Frame, Kind, encode, numbered
from device_drivers.dlms.hdlc.negotiation import Parameters
from device_drivers.dlms.hdlc.numbering import (
    LLC_COMMAND,
    LLC_RESPONSE,
    LONGEST_UNIT,
    Incoming,
    NeverSent,
    Outgoing,
    TooLong,
)
from harness.domain.errors import ProtocolViolation

Serve = Callable[[bytes], Iterable[bytes]]
"""An APDU of the client in, those of the answer out."""

_UNKNOWN, _UNEXPECTED, _TOO_LONG, _NEVER_SENT = 0x01, 0x02, 0x04, 0x08
_MOST_WAITING = 4 * LONGEST_UNIT


class Secondary:
    """Begins disconnected. ``open_application`` is called at each SNRM: a new session knows nothing of the
    one before. Never raises for what a client sends. While ``busy`` it takes no I frame and says RNR.
    """  # noqa: D205 - one sentence says it

    def __init__(
        self, address: bytes, client: bytes, limits: Parameters, open_application: Callable[[], Serve]
    ) -> None:
        self.address = address
        self.connected = False
        self.busy = False
        self.parameters = negotiation.DEFAULTS
        self._client = client
        self._limits = limits
        self._open_application = open_application
        self._serve: Serve = _nobody
        self._restart()

    def _restart(self) -> None:
        self._outgoing = Outgoing(self.parameters.transmit_field, self.parameters.transmit_window)
        self._incoming = Incoming(LLC_COMMAND)
        self._taken = 0  # I frames since the client last polled
        self._client_ready = True
        self._rejection = b""

    def handle(self, frame: Frame) -> bytes:
        """What to send in answer to one frame that is addressed to this station."""
        match frame.kind:
            case Kind.SNRM:
                return self._connect(frame)
            case Kind.DISC:
                was_connected = self.connected
                self.disconnect()
                return self._unnumbered(Kind.UA if was_connected else Kind.DM)
            case Kind.UI | Kind.UA | Kind.DM | Kind.FRMR:
                return b""  # no answer is due to UI, and the others are no commands
        if not self.connected:
            return self._unnumbered(Kind.DM) if frame.final else b""
        if not self._rejection:
            self._take(frame)
        return self._answer() if frame.final else b""

    def disconnect(self) -> None:
        """The session is over, and all that waited in it is gone."""
        self.connected = False
        self._serve = _nobody
        self._restart()

    def _connect(self, frame: Frame) -> bytes:
        try:
            proposed = negotiation.parse(frame.information)
        except ProtocolViolation:
            return self._unnumbered(Kind.DM)
        self.parameters = negotiation.agreed(self._limits, proposed)
        self._restart()
        self._serve = self._open_application()
        self.connected = True
        return self._unnumbered(Kind.UA, negotiation.encode(self.parameters))

    def _take(self, frame: Frame) -> None:
        kind = frame.kind
        if kind is None:
            self._reject(frame, _UNKNOWN)
        elif kind is not Kind.I and frame.information:
            self._reject(frame, _UNKNOWN | _UNEXPECTED)
        elif len(frame.information) > self.parameters.receive_field:
            self._reject(frame, _TOO_LONG)
        else:
            try:
                if self._outgoing.acknowledge(frame.received_number):
                    self._client_ready = kind is not Kind.RNR
                    self._information(frame)
            except NeverSent:
                self._reject(frame, _NEVER_SENT)
            except TooLong:
                self._reject(frame, _TOO_LONG)

    def _information(self, frame: Frame) -> None:
        window = self.parameters.receive_window
        if frame.kind is not Kind.I or self._not_ready or self._taken >= window:
            return
        if self._incoming.is_due(frame):
            self._taken += 1
            try:
                apdu = self._incoming.take(frame)
            except TooLong:
                raise
            except ProtocolViolation:  # no LLC header of DLMS: for somebody whom we do not have
                return
            for answer in self._serve(apdu) if apdu is not None else ():
                self._outgoing.put(LLC_RESPONSE + answer)

    @property
    def _not_ready(self) -> bool:
        return self.busy or len(self._outgoing) * self.parameters.transmit_field > _MOST_WAITING

    def _answer(self) -> bytes:
        """The client has polled: its N(R) has told what it has."""
        self._taken = 0
        if self._rejection:
            return self._unnumbered(Kind.FRMR, self._rejection)
        self._outgoing.look_back()
        if self._outgoing and self._client_ready:
            return self._outgoing.batch(self._client, self.address, self._incoming.expected)
        kind = Kind.RNR if self._not_ready else Kind.RR
        return encode(Frame(self._client, self.address, numbered(kind, self._incoming.expected, final=True)))

    def _reject(self, frame: Frame, reasons: int) -> None:
        """Nothing but SNRM or DISC ends this condition (ISO/IEC 13239 5.5.3)."""
        states = self._incoming.expected << 5 | self._outgoing.next_number << 1
        self._rejection = bytes((frame.control, states, reasons))

    def _unnumbered(self, kind: Kind, information: bytes = b"") -> bytes:
        return encode(Frame(self._client, self.address, kind | FINAL, information))


def _nobody(apdu: bytes) -> tuple[bytes, ...]:  # noqa: ARG001 - nobody looks at it
    return ()
