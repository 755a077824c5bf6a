"""What was heard on a line, read when somebody asks, and what a test can hold against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device_drivers.bench.capturing.pcapng import as_pcapng
from device_drivers.bench.capturing.streams import put_together
from device_drivers.dlms.blocks import GENERAL_BLOCK
from harness.domain.errors import CaptureUnavailable, LabFault
from harness.domain.heard import Heard, HeardStream
from harness.domain.instruments import CapturedApdu, CapturedFrame
from harness.hooks import LineReading, Trace

if TYPE_CHECKING:
    from device_drivers.bench.capturing.frames import ReadFile

_MAY_GO_IN_CLEAR = frozenset(
    {b"\x60", b"\x61", b"\x62", b"\x63", b"\xd8"}
)  # AARQ, AARE, RLRQ, RLRE, exception response
_EMPTY_BLOCK_BYTES = 7


@dataclass(frozen=True, slots=True)
class Kept:
    """A capture file, and what stands against relying on it."""

    content: bytes = field(repr=False)
    cut: bool = False  # it reached its limit, and what came after is not in it
    lost: int = 0  # frames that the tool had to let go
    problem: LabFault | None = None  # the tool ended before it was told to


class LineRecording:
    """Implements :class:`harness.domain.instruments.Recording` over a capture that may still go on."""

    def __init__(self, name: str, reading: LineReading, heard: Callable[[], Kept], trace: Trace) -> None:
        self._name = name
        self._reading = reading
        self._heard = heard
        self._trace = trace
        self._read_at = -1
        self._file: ReadFile | None = None
        self._said: Heard | None = None

    @property
    def pcapng(self) -> bytes:
        content = self._heard().content
        return as_pcapng(content) if content else b""

    @property
    def frames(self) -> tuple[CapturedFrame, ...]:
        return self._up_to_now().frames

    @property
    def apdus(self) -> tuple[CapturedApdu, ...]:
        return self._told().apdus

    def expect_nothing_in_clear(self) -> None:
        told = self._told()
        bare = [apdu for apdu in told.apdus if not apdu.ciphered and not _may_go_in_clear(apdu.raw)]
        self._trace.event(
            "capture", f"ciphered APDUs on the {self._name}", heard=len(told.apdus), in_clear=len(bare)
        )
        if bare:
            first = bare[0]
            raise AssertionError(
                f"on the {self._name} {first.kind} went in clear from {first.source} to {first.destination} "
                f"(client {first.client_sap}, server {first.server_sap}) at {first.timestamp.isoformat()}"
                + (f", and {len(bare) - 1} more" if len(bare) > 1 else "")
            )
        self._be_whole(told)
        if not told.apdus:
            raise self._proves_nothing(
                "no APDU was heard", "check interface, filter and what the line carries"
            )

    def expect_wake_ups(self, count: int) -> None:
        told = self._told()
        if told.wake_ups is None:
            raise self._proves_nothing(
                f"what the line carries, {self._reading.name!r}, does not tell how a hub is woken",
                "bring a line reading that knows it (hook harness_line_readings), and name it in `carries`",
            )
        moments = [moment.isoformat() for moment in told.wake_ups]
        self._trace.event("capture", f"wake-ups on the {self._name}", expected=count, found=moments)
        if len(moments) != count:
            seen = f": at {', '.join(moments[:10])}" if moments else ""
            raise AssertionError(
                f"on the {self._name} the hub was woken {len(moments)} times, {count} expected{seen}"
            )
        self._be_whole(told)

    def _be_whole(self, told: Heard) -> None:
        """Raise unless everything was heard and could be read: what is not seen may be anything."""
        kept = self._heard()
        if kept.problem:
            raise kept.problem
        if kept.cut:
            raise self._proves_nothing("it reached its largest size and was cut", "narrow the line's filter")
        if kept.lost:
            raise self._proves_nothing(f"{kept.lost} frames were lost", "narrow the line's filter")
        if told.unread:
            raise self._proves_nothing(
                f"{told.unread} bytes among its APDUs cannot be read", "look at the file in the evidence"
            )

    def _proves_nothing(self, why: str, remedy: str) -> CaptureUnavailable:
        return CaptureUnavailable(f"the recording of the {self._name} proves nothing: {why}", remedy=remedy)

    def _up_to_now(self) -> ReadFile:
        content = self.pcapng
        if self._file is None or len(content) != self._read_at:
            self._file, self._said, self._read_at = _frames_of(content), None, len(content)
        return self._file

    def _told(self) -> Heard:
        file = self._up_to_now()
        if self._said is None:
            streams: Sequence[HeardStream] = (*put_together(file.segments), *file.datagrams)
            self._said = self._reading.read(streams).in_order()
        return self._said


def _frames_of(content: bytes) -> ReadFile:
    try:
        from device_drivers.bench.capturing.frames import read_file
    except ImportError as error:
        raise CaptureUnavailable(
            f"nothing here can read a capture: {error}",
            remedy="pip install 'smets1-harness[capture]' (it brings scapy, whose licence is GPL-2.0-only)",
        ) from None
    return read_file(content)


def _may_go_in_clear(raw: bytes) -> bool:
    """Association control, an exception response, and a general block that carries nothing."""
    empty_block = raw[:1] == bytes((GENERAL_BLOCK,)) and len(raw) == _EMPTY_BLOCK_BYTES
    return raw[:1] in _MAY_GO_IN_CLEAR or empty_block
