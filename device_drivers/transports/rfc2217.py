"""A serial port behind a server that speaks RFC 2217: Telnet with the COM port control option.

Our own, without a thread: every call has its deadline, and closing leaves nothing behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from struct import pack
from typing import Any, Final

from device_drivers.transports.base import ByteTransport, SerialLine, line_time, standard_baud
from device_drivers.transports.tcp import open_tcp
from harness.domain.errors import TransportLost
from harness.hooks import Fence, unfenced

_IAC, _DONT, _DO, _WONT, _WILL, _SB, _SE = 255, 254, 253, 252, 251, 250, 240
_BINARY, _NO_GO_AHEAD, _COM_PORT = 0, 3, 44
_OURS: Final = (_BINARY, _NO_GO_AHEAD, _COM_PORT)
_THEIRS: Final = (_BINARY, _NO_GO_AHEAD)
_SET_BAUD, _SET_SIZE, _SET_PARITY, _SET_STOP, _CONTROL, _PURGE = 1, 2, 3, 4, 5, 12
_ANSWER: Final = 100  # what the server answers to a command is that command and so much
_NO_FLOW_CONTROL, _DTR_ON, _RTS_ON, _BOTH_BUFFERS = 1, 8, 11, 3
_LONGEST_SUBNEGOTIATION: Final = 64
_NEGOTIATION: Final = 3.0  # seconds that the server may take to agree
_PIECE: Final = 4_096


class ComPortControl:
    """What passes between client and server beside the data, sans-IO.

    ``feed`` takes what came and gives the data in it; ``outgoing`` is what is to be sent in answer.
    """

    def __init__(self) -> None:
        self.agreed = False  # the server takes commands to its port
        self.answers: dict[int, bytes] = {}  # command → the server's latest answer
        self.outgoing = bytearray()
        self._said: set[tuple[int, int]] = set()
        self._next: Callable[[int], int | None] = self._data
        self._verb = 0
        self._told: bytearray | None = None  # a subnegotiation under way
        for option in _OURS:
            self._say(_WILL, option)
        for option in _THEIRS:
            self._say(_DO, option)

    def feed(self, received: bytes) -> bytes:
        """The data among these bytes. Raises :class:`ValueError` for what no such server sends."""
        step = self._step
        return bytes(byte for byte in map(step, received) if byte is not None)

    def command(self, command: int, value: bytes) -> None:
        """Put a command in ``outgoing``, and forget the answer to the one before."""
        self.answers.pop(command, None)
        self.outgoing += bytes((_IAC, _SB, _COM_PORT, command)) + escaped(value) + bytes((_IAC, _SE))

    def _step(self, byte: int) -> int | None:
        return self._next(byte)

    def _data(self, byte: int) -> int | None:
        if byte == _IAC:
            self._next = self._after_iac
            return None
        return self._taken(byte)

    def _taken(self, byte: int) -> int | None:
        if self._told is None:
            return byte
        if len(self._told) >= _LONGEST_SUBNEGOTIATION:
            raise ValueError(f"a subnegotiation of more than {_LONGEST_SUBNEGOTIATION} bytes")
        self._told.append(byte)
        return None

    def _after_iac(self, byte: int) -> int | None:
        self._next = self._data
        if byte == _IAC:
            return self._taken(byte)
        if byte == _SB:
            self._told = bytearray()
        elif byte == _SE:
            self._subnegotiated(bytes(self._told or b""))
            self._told = None
        elif byte in (_WILL, _WONT, _DO, _DONT):
            self._verb = byte
            self._next = self._option
        return None

    def _option(self, option: int) -> None:
        self._next = self._data
        if self._verb == _DO and option == _COM_PORT:
            self.agreed = True
        elif self._verb == _WILL:
            self._say(_DO if option in _THEIRS or option == _COM_PORT else _DONT, option)
        elif self._verb == _DO and option not in _OURS:
            self._say(_WONT, option)

    def _subnegotiated(self, told: bytes) -> None:
        if len(told) >= 2 and told[0] == _COM_PORT and told[1] > _ANSWER:
            self.answers[told[1] - _ANSWER] = told[2:]

    def _say(self, verb: int, option: int) -> None:
        if (verb, option) not in self._said:  # once: two that repeat themselves would never end
            self._said.add((verb, option))
            self.outgoing += bytes((_IAC, verb, option))


def escaped(data: bytes) -> bytes:
    """Data as it goes over Telnet."""
    return data.replace(b"\xff", b"\xff\xff")


class Rfc2217Line:
    """Implements :class:`SerialLine` over a connection to the server; opened by :func:`open_rfc2217`."""

    def __init__(self, connection: ByteTransport, baud: int) -> None:
        self._connection = connection
        self._control = ComPortControl()
        self._baud = baud
        self._early = bytearray()  # data that came while something else was waited for

    @property
    def name(self) -> str:
        return f"rfc2217 {self._connection.name}"

    @property
    def baud(self) -> int:
        return self._baud

    def negotiate(self) -> None:
        """Agree on RFC 2217, and set the port up: 8N1, no flow control, ready, nothing in its buffers."""
        self._wait(lambda: self._control.agreed, "does not speak RFC 2217", "transport serial-tcp")
        for command in (_NO_FLOW_CONTROL, _DTR_ON, _RTS_ON):
            self._control.command(_CONTROL, bytes((command,)))
        self._control.command(_PURGE, bytes((_BOTH_BUFFERS,)))
        self._set(_SET_SIZE, b"\x08", "8 data bits")
        self._set(_SET_PARITY, b"\x01", "no parity")
        self._set(_SET_STOP, b"\x01", "one stop bit")
        self._set_baud(self._baud)

    def write(self, data: bytes) -> None:
        self._connection.write(escaped(data))
        time.sleep(line_time(len(data), self._baud))  # the server does not say when they have left

    def read(self, at_most: int, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while not self._early and self._exchange(deadline):
            pass
        piece = bytes(self._early[:at_most])
        del self._early[:at_most]
        return piece

    def set_baud(self, baud: int) -> None:
        self._set_baud(standard_baud(baud))

    def close(self) -> None:
        self._connection.close()

    def _set_baud(self, baud: int) -> None:
        self._set(_SET_BAUD, pack(">I", baud), f"{baud} baud")
        self._baud = baud

    def _set(self, command: int, value: bytes, what: str) -> None:
        answers = self._control.answers
        self._control.command(command, value)
        self._wait(lambda: command in answers, f"does not answer to {what}", "see the server's settings")
        if answers[command] != value:
            raise TransportLost(
                f"{self.name}: its port does not take {what}: the server answers {answers[command].hex()}",
                remedy="see what the server's port can do",
            )

    def _wait(self, condition: Callable[[], bool], complaint: str, remedy: str) -> None:
        deadline = time.monotonic() + _NEGOTIATION
        while not condition():
            if not self._exchange(deadline) and not condition():
                raise TransportLost(f"{self.name}: {complaint} within {_NEGOTIATION:g} s", remedy=remedy)

    def _exchange(self, deadline: float) -> bool:
        """Send what is due, take one piece of what comes; whether there is time for more.

        Not whether something came: a server may speak without end, and say nothing.
        """
        control = self._control
        if control.outgoing:
            self._connection.write(bytes(control.outgoing))
            control.outgoing.clear()
        received = self._connection.read(_PIECE, deadline - time.monotonic())
        try:
            self._early += control.feed(received)
        except ValueError as error:
            raise TransportLost(
                f"{self.name}: {error}", remedy="see that the server speaks RFC 2217"
            ) from error
        return time.monotonic() < deadline


def open_rfc2217(parameters: Mapping[str, Any], fence: Fence = unfenced) -> SerialLine:
    """Connect to ``host`` and ``port``; its serial port then stands at ``baud`` (default 9600)."""
    line = Rfc2217Line(open_tcp(parameters, fence), standard_baud(int(parameters.get("baud", 9_600))))
    try:
        line.negotiate()
    except BaseException:
        line.close()
        raise
    return line
