r"""The short messages of a sign-on (IEC 62056-21 6.3), and how they are found in any stream of bytes.

>>> identification = Identification.parse(b"/LGz5\\2E650\r\n")
>>> identification.flag, identification.baud, identification.hdlc, identification.reaction
('LGz', 9600, True, 0.02)
>>> finder = MessageFinder(b"/")
>>> finder.feed(b"\x00noise" + with_parity(b"/?!\r\n"))
[b'/?!\r\n']
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from device_drivers.iec62056.parity import with_parity, without_parity, wrong_parity
from harness.domain.errors import ConfigurationError, ProtocolViolation

SIGN_ON_BAUD: Final = 300
BAUD_RATES: Final = (300, 600, 1_200, 2_400, 4_800, 9_600, 19_200)  # by the digit that stands for each
ACK: Final = b"\x06"
LONGEST_MESSAGE: Final = 64
_END: Final = with_parity(b"\r\n")
_ADDRESS: Final = re.compile(r"[0-9A-Za-z ]{0,32}")
_IDENTIFICATION: Final = re.compile(rb"/([A-Za-z]{3})([0-6])((?:\\[\x20-\x7e])*)([\x20-\x7e]*)\r\n")
_MODE_E: Final = b"\\2"


@dataclass(frozen=True, slots=True)
class Identification:
    """What a meter says of itself: its manufacturer's FLAG letters, the rate it offers, its own words.

    ``hdlc``: it offers mode E, HDLC over binary characters.
    """

    flag: str
    baud: int
    text: str
    hdlc: bool = True

    @property
    def reaction(self) -> float:
        """Seconds that either end waits before it answers: 0.02 where the third letter is a small one."""
        return 0.02 if self.flag[2].islower() else 0.2

    def encode(self) -> bytes:
        """The message, without parity."""
        digit = BAUD_RATES.index(self.baud)
        return (
            f"/{self.flag}{digit}".encode() + (_MODE_E if self.hdlc else b"") + self.text.encode() + b"\r\n"
        )

    @classmethod
    def parse(cls, message: bytes) -> Identification:
        """Raises :class:`ProtocolViolation`, also for a meter whose rate cannot be chosen (modes A and B)."""
        match = _IDENTIFICATION.fullmatch(message)
        if match is None:
            raise ProtocolViolation(f"{message!r} is no identification of a meter of mode C or E")
        flag, digit, options, text = match.groups()
        offered = {options[at : at + 2] for at in range(0, len(options), 2)}
        return cls(flag.decode(), BAUD_RATES[int(digit)], text.decode(), _MODE_E in offered)


def request(address: str = "") -> bytes:
    """What calls the meter of that address, or whichever is there; :class:`ConfigurationError`."""
    if not _ADDRESS.fullmatch(address):
        raise ConfigurationError(
            f"an optical port's address {address!r}", remedy="up to 32 letters, digits and spaces"
        )
    return f"/?{address}!\r\n".encode()


def option(baud: int, *, hdlc: bool) -> bytes:
    """What chooses the rate, and HDLC (mode E) or the data readout (mode C)."""
    protocol, digit = "2" if hdlc else "0", rate_digit(baud)
    return ACK + f"{protocol}{digit}{protocol}\r\n".encode()


def rate_digit(baud: int) -> int:
    """The digit that stands for a rate; :class:`ConfigurationError` where none does."""
    if baud not in BAUD_RATES:
        raise ConfigurationError(
            f"an optical port of {baud} baud", remedy=f"one of {', '.join(map(str, BAUD_RATES))}"
        )
    return BAUD_RATES.index(baud)


class MessageFinder:
    """Finds messages in any stream of bytes, each from one of ``starts`` to CR LF, all of right parity.

    What does not belong to a message is passed over. Keeps no more than one message.
    """

    def __init__(self, starts: bytes) -> None:
        self._starts = [bytes((start,)) for start in with_parity(starts)]
        self._buffer = bytearray()
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why what came is no message; empty where nothing came."""
        if self._buffer:
            return _complaint(bytes(self._buffer), "no whole message")
        return self._trouble

    def feed(self, received: bytes) -> list[bytes]:
        """The messages that these bytes complete, without parity."""
        self._buffer += received
        *lines, rest = self._buffer.split(_END)
        messages = []
        for line in lines:
            start = max(line.rfind(start) for start in self._starts)
            message = bytes(line[max(start, 0) :]) + _END
            if start < 0:
                self._trouble = _complaint(message, "no beginning of a message")
            elif len(message) > LONGEST_MESSAGE:
                self._trouble = f"a message of {len(message)} bytes"
            elif wrong_parity(message):
                self._trouble = _complaint(message, "")
            else:
                messages.append(without_parity(message))
        self._buffer = rest[-LONGEST_MESSAGE:]
        return messages


def _complaint(received: bytes, otherwise: str) -> str:
    shown = received[:LONGEST_MESSAGE].hex(" ")
    return f"characters of wrong parity in {shown}" if wrong_parity(received) else f"{otherwise} in {shown}"
