"""Signing on to a meter's optical port, the client's end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from device_drivers.iec62056.messages import (
    LONGEST_MESSAGE,
    SIGN_ON_BAUD,
    Identification,
    MessageFinder,
    option,
    rate_digit,
    request,
)
from device_drivers.iec62056.parity import with_parity
from device_drivers.transports.base import ByteTransport, SerialLine, line_time
from harness.domain.errors import ConfigurationError, LabFault, ProtocolViolation, TransportLost
from harness.domain.lab import OpticalPort

_PIECE: Final = 4_096
_REMEDY: Final = (
    "see that the probe sits straight on the port and the meter has power; after a session that broke off, "
    "a meter listens to a sign-on again only when it has been idle for its time-out (often 2 minutes)"
)


def signed_on(transport: ByteTransport, optical: OpticalPort) -> Identification | None:
    """Bring a meter to where its protocol begins; its identification, none in mode ``direct``.

    Behind it both ends stand at the agreed rate: in ``mode-e`` and ``direct`` the meter waits for HDLC, in
    ``mode-c`` its data come (:mod:`device_drivers.iec62056.readout`). Meters differ in whether and when they
    confirm mode E: ``optical.confirms``. Silence, noise, wrong parity and torn messages are a
    :class:`TransportLost`, a meter that does not offer the mode is a :class:`LabFault`.
    """
    line = serial_line(transport)
    match optical.mode:
        case "direct":
            _change_baud(line, optical.baud, optical.settle)
            return None
        case "mode-e" | "mode-c":
            return _called(line, optical, hdlc=optical.mode == "mode-e")
    raise ConfigurationError(f"no sign-on is called {optical.mode!r}", remedy="mode-e, mode-c or direct")


def serial_line(transport: ByteTransport) -> SerialLine:
    """The transport, if a probe can be at its end; else :class:`ConfigurationError`."""
    if not isinstance(transport, SerialLine):
        raise ConfigurationError(
            f"{transport.name} reaches no optical port", remedy="transport serial, rfc2217 or serial-tcp"
        )
    return transport


def _called(line: SerialLine, optical: OpticalPort, *, hdlc: bool) -> Identification:
    calling, _ = request(optical.address), rate_digit(optical.baud)
    _change_baud(line, SIGN_ON_BAUD, optical.settle)
    line.write(with_parity(calling))
    identification = _identified(line, optical, calling)
    if hdlc and not identification.hdlc:
        raise LabFault(
            f"{line.name}: the meter {identification.flag} {identification.text!r} offers no HDLC (mode E)",
            remedy="mode-c or direct in the lab file, or another meter at the probe",
        )
    baud = min(optical.baud, identification.baud)
    choice = option(baud, hdlc=hdlc)
    time.sleep(identification.reaction)
    line.write(with_parity(choice))
    if hdlc and optical.confirms == "before":
        _confirmed(line, optical, choice)
    _change_baud(line, baud, optical.settle if hdlc else 0)
    if hdlc and optical.confirms == "after":
        _confirmed(line, optical, choice)
    return identification


def _change_baud(line: SerialLine, baud: int, settle: float) -> None:
    if line.baud != baud:
        line.set_baud(baud)
        time.sleep(settle)


def _identified(line: SerialLine, optical: OpticalPort, calling: bytes) -> Identification:
    finder, trouble = MessageFinder(b"/"), ""
    for piece in pieces(line, optical.answer, LONGEST_MESSAGE, sent=len(calling)):
        for message in finder.feed(piece):
            if message == calling:
                raise TransportLost(
                    f"{line.name}: the request itself came back: the probe echoes",
                    remedy="echo: true at its door",
                )
            try:
                return Identification.parse(message)
            except ProtocolViolation as violation:
                trouble = violation.message
    raise _no_answer(line, "identification", trouble or finder.trouble)


def _confirmed(line: SerialLine, optical: OpticalPort, choice: bytes) -> None:
    finder, trouble = MessageFinder(choice[:1]), ""
    for piece in pieces(line, optical.answer, LONGEST_MESSAGE, sent=len(choice)):
        for message in finder.feed(piece):
            if message == choice:
                return
            trouble = f"{message!r} in place of {choice!r}"
    raise _no_answer(line, "confirmation of mode E", trouble or finder.trouble)


def _no_answer(line: SerialLine, what: str, trouble: str) -> TransportLost:
    return TransportLost(f"{line.name}: no {what}: {trouble or 'nothing came'}", remedy=_REMEDY)


def pieces(line: SerialLine, answer: float, longest: int, *, sent: int = 0) -> Iterator[bytes]:
    """What comes, until nothing has come for ``answer`` seconds.

    Ends also when ``longest`` bytes would be through twice over: noise has no end of its own. ``sent``: so
    many bytes may still be on their way, for a probe's own buffer may have taken them at once.
    """
    patience = answer + line_time(sent, line.baud)
    deadline = time.monotonic() + 2 * (patience + line_time(longest, line.baud))
    while (left := deadline - time.monotonic()) > 0 and (piece := line.read(_PIECE, min(patience, left))):
        yield piece
        patience = answer
