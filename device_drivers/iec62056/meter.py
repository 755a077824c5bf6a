r"""Signing on to a meter's optical port, the meter's end, sans-IO: for twins.

>>> meter = SignOnMeter(Identification("EXa", 9600, "TWIN"))
>>> meter.feed(with_parity(b"/?!\r\n"), now=0.0) == (Spoken(with_parity(b"/EXa5\\2TWIN\r\n"), 300),)
True
>>> chosen = with_parity(b"\x06252\r\n")
>>> meter.feed(chosen, now=0.1) == (Spoken(chosen, 300),)
True
>>> meter.phase, meter.baud
(<Phase.HDLC: 'hdlc'>, 9600)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from device_drivers.iec62056.messages import (
    ACK,
    BAUD_RATES,
    SIGN_ON_BAUD,
    Identification,
    MessageFinder,
    option,
    request,
)
from device_drivers.iec62056.parity import with_parity
from device_drivers.iec62056.readout import block


class Phase(StrEnum):
    """Where a meter stands; each says who hears what comes next."""

    IDLE = "idle"  # waits for a request, at 300 baud
    IDENTIFIED = "identified"  # has told who it is, and waits for the client's choice
    HDLC = "hdlc"  # whatever comes is HDLC's, at the agreed rate


@dataclass(frozen=True, slots=True)
class Spoken:
    """Bytes that the meter sends, and the rate at which it does."""

    data: bytes
    baud: int


class SignOnMeter:
    """``feed`` takes what came while the meter is not in phase HDLC, and gives what it says to that.

    ``readout`` makes the text of the data readout; without it mode C is not offered. ``confirms`` is as in
    :class:`~harness.domain.lab.OpticalPort`. A choice that does not come within ``patience`` seconds of
    ``now`` is not waited for any more. ``release`` ends phase HDLC.
    """

    def __init__(
        self,
        identification: Identification,
        readout: Callable[[], bytes] | None = None,
        *,
        address: str = "",
        confirms: str = "before",
        patience: float = 3.0,
    ) -> None:
        self.phase = Phase.IDLE
        self.baud = SIGN_ON_BAUD
        self._identification = identification
        self._readout = readout
        self._confirms = confirms
        self._requests = {request(), request(address)}
        self._patience = patience
        self._identified_at = 0.0
        self._finder = MessageFinder(b"/" + ACK)

    @property
    def reaction(self) -> float:
        """Seconds that the meter waits before it answers."""
        return self._identification.reaction

    def feed(self, received: bytes, now: float) -> tuple[Spoken, ...]:
        """What the meter says to these bytes, in order."""
        self.expire(now)
        spoken: list[Spoken] = []
        for message in self._finder.feed(received):
            if message in self._requests:
                self.phase, self._identified_at = Phase.IDENTIFIED, now
                spoken.append(Spoken(with_parity(self._identification.encode()), SIGN_ON_BAUD))
            elif message.startswith(ACK) and self.phase is Phase.IDENTIFIED:
                spoken += self._chosen(message)
        return tuple(spoken)

    def expire(self, now: float) -> None:
        """Go back to idle where the client's choice is overdue."""
        if self.phase is Phase.IDENTIFIED and now - self._identified_at > self._patience:
            self.release()

    def release(self) -> None:
        """Listen for a request again, at 300 baud."""
        self.phase, self.baud = Phase.IDLE, SIGN_ON_BAUD
        self._finder = MessageFinder(b"/" + ACK)

    def _chosen(self, message: bytes) -> list[Spoken]:
        rates = BAUD_RATES[: BAUD_RATES.index(self._identification.baud) + 1]
        by_message = {option(baud, hdlc=hdlc): (baud, hdlc) for baud in rates for hdlc in (True, False)}
        baud, hdlc = by_message.get(message, (SIGN_ON_BAUD, None))
        self.release()
        if hdlc and self._identification.hdlc:
            self.phase, self.baud = Phase.HDLC, baud
            if self._confirms == "never":
                return []
            return [Spoken(with_parity(message), SIGN_ON_BAUD if self._confirms == "before" else baud)]
        if hdlc is False and self._readout is not None:
            return [Spoken(block(self._readout()), baud)]
        return []
