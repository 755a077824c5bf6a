"""The client's station: connects, asks, acknowledges, and asks again (IEC 62056-46 6.4.4.4).

Two-way alternate, unbalanced: the meter speaks when it was polled, and its last frame is marked. What is
lost is found by RR: it tells the meter what arrived, and the meter's answer tells what it has; so nothing
is asked twice for being lost on the line. An answer that brings nothing new is an earlier one come twice,
and goes unanswered: else two conversations would run side by side and each give rise to more.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Final

from device_drivers.dlms.hdlc import negotiation
from device_drivers.dlms.hdlc.frame import FINAL, MODULUS, Frame, FrameDecoder, Kind, encode, numbered
from device_drivers.dlms.hdlc.negotiation import DEFAULTS, Parameters
from device_drivers.dlms.hdlc.numbering import LLC_COMMAND, LLC_RESPONSE, Incoming, Outgoing
from harness.domain.errors import AccessRefused, ProtocolViolation, TransportLost

REMEDY: Final = "check probe, power, baud rate and addresses"

_REASONS: Final = {
    0x01: "control field not known",
    0x02: "information where none is allowed",
    0x04: "information field too long",
    0x08: "acknowledgement of what was not sent",
}


class State(Enum):
    """What the client has asked for last, or has."""

    DISCONNECTED = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    DISCONNECTING = auto()


class Primary:
    """Bytes in and out; ``feed``, ``timed_out`` and the commands return what is to be sent at once.

    ``awaiting`` says that the meter was polled and has not finished; ``apdus`` are those that have arrived;
    ``progress`` grows as APDUs get on; ``heard`` counts the meter's frames. Raises :class:`TransportLost`
    when ``attempts`` polls or repetitions in a row were in vain and where the meter has left the session,
    :class:`AccessRefused` where it refuses one, :class:`ProtocolViolation` for what a meter must not send.

    Life cycle: ``connect``, any number of ``send`` and ``poll``, ``disconnect``.
    """

    def __init__(
        self, server: bytes, client: bytes, proposal: Parameters, *, attempts: int = 3, name: str = "hdlc"
    ) -> None:
        self.state = State.DISCONNECTED
        self.parameters = DEFAULTS
        self.apdus: deque[bytes] = deque()
        self.awaiting = False
        self.nothing_yet = False
        """The meter answered the last poll and has no APDU for us, or is not ready for ours."""
        self.progress = 0
        self.heard = 0
        self.vain = 0
        """Polls in a row that brought nothing, not even that there is nothing."""
        self._server = server
        self._client = client
        self._proposal = proposal
        self._attempts = attempts
        self._name = name
        self._decoder = FrameDecoder()
        self._restart()

    def _restart(self) -> None:
        self._outgoing = Outgoing(self.parameters.transmit_field, self.parameters.transmit_window)
        self._incoming = Incoming(LLC_RESPONSE)
        self._asked = Kind.RR  # by what kind of frame the meter was polled last
        self._polled_at = 0  # V(R) at that poll
        self._taken = 0  # I frames taken since then
        self._news = False  # something new came since then
        self._missed = False  # an I frame behind a gap came since then
        self._repeated = 0  # times in a row that we went on with nothing new
        self._not_ready = False

    @property
    def unsent(self) -> int:
        """Segments of an APDU that never went out."""
        return self._outgoing.unsent

    @property
    def within_frame(self) -> bool:
        return self._decoder.within_frame

    @property
    def damaged(self) -> int:
        """Frames that began well and did not end so."""
        return self._decoder.damaged

    # --- commands --------------------------------------------------------------------------------------

    def connect(self) -> bytes:
        """SNRM; agreed is whatever the meter's UA says."""
        self.state, self.awaiting = State.CONNECTING, True
        return self._unnumbered(Kind.SNRM, negotiation.encode(self._proposal))

    def disconnect(self) -> bytes:
        """DISC."""
        self.state, self.awaiting = State.DISCONNECTING, True
        return self._unnumbered(Kind.DISC)

    def send(self, apdu: bytes) -> bytes:
        """As many segments of an APDU as may go at once; only when no answer is awaited."""
        assert self.state is State.CONNECTED
        assert not self.awaiting
        self._outgoing.put(LLC_COMMAND + apdu)
        return b"" if self._not_ready else self._batch()

    def poll(self) -> bytes:
        """RR: says what has arrived, asks for what is to come."""
        self._polled(Kind.RR)
        return encode(
            Frame(self._server, self._client, numbered(Kind.RR, self._incoming.expected, final=True))
        )

    def timed_out(self) -> bytes:
        """No more came of what was awaited: ask again."""
        found = self._decoder.abandon()
        if found:
            return self._each(found)
        self._in_vain()
        match self.state:
            case State.CONNECTING:
                return self.connect()
            case State.DISCONNECTING:
                return self.disconnect()
        return self.poll()

    # --- what comes ------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> bytes:
        """Take what came from the line."""
        return self._each(self._decoder.feed(data))

    def _each(self, frames: list[Frame]) -> bytes:
        return b"".join([self._handle(frame) for frame in frames])

    def _handle(self, frame: Frame) -> bytes:
        if (frame.destination, frame.source) != (self._client, self._server):
            return b""  # another conversation on the line, or the echo of ours
        self.heard += 1
        match self.state:
            case State.CONNECTING:
                self._connecting(frame)
            case State.DISCONNECTING if frame.kind in (Kind.UA, Kind.DM):
                self.state, self.awaiting = State.DISCONNECTED, False
            case State.CONNECTED:
                return self._connected(frame)
        return b""

    def _connecting(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.UA:
                self.parameters = negotiation.agreed(self._proposal, negotiation.parse(frame.information))
                self._restart()
                self.state, self.awaiting = State.CONNECTED, False
                self.progress += 1
            case Kind.DM:
                raise AccessRefused(
                    f"{self._name}: the meter refuses an HDLC session (DM)",
                    result="disconnected-mode",
                    remedy="another client may be in session: wait until it has left",
                )

    def _connected(self, frame: Frame) -> bytes:
        match frame.kind:
            case Kind.I:
                return self._information(frame)
            case Kind.RR | Kind.RNR | Kind.REJ:
                return self._supervisory(frame)
            case Kind.DM:
                raise self._lost("the meter has left the session (DM)")
            case Kind.FRMR:
                raise ProtocolViolation(f"{self._name}: the meter rejects a frame: {_rejection(frame)}")
        return b""  # a late UA; UI, which asks for nothing; what no response can be

    def _information(self, frame: Frame) -> bytes:
        if len(frame.information) > self.parameters.receive_field:
            raise ProtocolViolation(
                f"{self._name}: {len(frame.information)} bytes in an I frame, "
                f"agreed were {self.parameters.receive_field}"
            )
        if not self._acknowledged(frame):
            return b""
        self._join(frame)
        if not frame.final or not (self._news or self._missed):
            return b""  # nothing new at the end of an answer: an earlier one come twice, ours is still due
        self.nothing_yet = False
        return self._go_on()

    def _join(self, frame: Frame) -> None:
        """Take the frame that is due; notice one that shows a gap before it.

        An answer to our last poll begins with the frame that was due then: the end of an answer that lies
        before it is that of an earlier answer, and so was what seemed to lie ahead.
        """
        window = self.parameters.receive_window
        ahead = (frame.sent_number - self._polled_at) % MODULUS
        if self._incoming.is_due(frame) and self._taken < window:
            self._taken += 1
            self.progress += 1
            self._news = True
            apdu = self._incoming.take(frame)
            if apdu is not None:
                self.apdus.append(apdu)
        elif ahead >= window:
            self._missed = self._missed and not frame.final
        elif ahead >= (self._incoming.expected - self._polled_at) % MODULUS:
            self._missed = True

    def _supervisory(self, frame: Frame) -> bytes:
        if not self._acknowledged(frame):
            return b""
        self._not_ready = frame.kind is Kind.RNR
        if not frame.final:
            return b""
        if self._not_ready:
            self._missed, self._repeated = False, 0  # busy, not lost: it is asked again in its own time
        if self._asked is Kind.I and frame.kind is Kind.RR and not self._news:
            return b""  # an earlier answer come twice, or a gap before all that we sent: a time-out tells
        self.nothing_yet = True
        return self._go_on()

    def _acknowledged(self, frame: Frame) -> bool:
        waiting = len(self._outgoing)
        current = self._outgoing.acknowledge(frame.received_number)
        if len(self._outgoing) < waiting:
            self._news = True
            self.progress += 1
        return current

    def _go_on(self) -> bytes:
        """The meter has finished. What goes without anything new having come is counted: it ends."""
        if not (self.awaiting or self._news):
            return b""
        missed, news = self._missed, self._news
        self.awaiting = self._news = self._missed = False
        self.vain = 0
        self._outgoing.look_back()
        more = bool(self._outgoing) and not self._not_ready
        if not (more or missed or (self._incoming.within_apdu and not self.nothing_yet)):
            return b""
        self._repeated = 0 if news else self._repeated + 1
        if self._repeated >= self._attempts:
            raise self._lost(f"{self._repeated} repetitions brought no answer of use")
        return self._batch() if more else self.poll()

    # --- what goes -------------------------------------------------------------------------------------

    def _batch(self) -> bytes:
        self._polled(Kind.I)
        return self._outgoing.batch(self._server, self._client, self._incoming.expected)

    def _polled(self, asked: Kind) -> None:
        self.awaiting = True
        self._asked, self._polled_at = asked, self._incoming.expected
        self._taken, self._news, self._missed = 0, False, False

    def _unnumbered(self, kind: Kind, information: bytes = b"") -> bytes:
        return encode(Frame(self._server, self._client, kind | FINAL, information))

    def _in_vain(self) -> None:
        self.vain = 0 if self._news else self.vain + 1
        if self.vain >= self._attempts:
            raise self._lost(f"{self.vain} of our frames brought no answer of use")

    def _lost(self, problem: str) -> TransportLost:
        return TransportLost(f"{self._name}: {problem}", remedy=REMEDY)


def _rejection(frame: Frame) -> str:
    reasons = frame.information[2] if len(frame.information) > 2 else 0
    told = [reason for bit, reason in _REASONS.items() if reasons & bit]
    return f"{', '.join(told) or 'no reason told'} (FRMR {frame.information.hex()})"
