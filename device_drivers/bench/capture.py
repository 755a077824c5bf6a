"""WAN and HAN traffic of a rig, captured by the system's tools and read with scapy.

A recording is evidence whether or not anybody can read it here: only who asks for its frames needs scapy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn, Protocol

from device_drivers.bench.capturing.local import LocalCapture, find_tool
from device_drivers.bench.capturing.pcapng import MEDIA_TYPE, as_pcapng
from device_drivers.bench.capturing.recording import Kept, LineRecording
from device_drivers.bench.capturing.remote import RemoteCapture
from device_drivers.bench.capturing.tools import MOST_BYTES
from device_drivers.doors.opening import plugins
from harness.domain.errors import CaptureUnavailable, HarnessError
from harness.domain.instruments import Capture, Recording, RigController
from harness.domain.lab import CaptureLine, Lab, Rig
from harness.domain.names import named
from harness.hooks import Fence, LineReading, Trace, unfenced

LARGEST_FILE: Final = 2 * MOST_BYTES
"""How large a capture file from elsewhere may be, in bytes."""
_DLMS: Final = "dlms"


class RunningCapture(Protocol):
    """A tool that listens until it is told to stop."""

    def heard(self) -> Kept:
        """What it has heard by now."""

    def stop(self) -> Kept:
        """End it and leave nothing behind; what it heard. A second call says the same."""


class NoCapture:
    """Stands where a rig's lab file names no line that can be heard. Files from elsewhere it does read."""

    def __init__(self, rig: Rig, readings: Callable[[str], LineReading], trace: Trace) -> None:
        self._rig = rig
        self._readings = readings
        self._trace = trace

    def record(self, line: str = "wan") -> AbstractContextManager[Recording]:
        self._missing(line)

    def read(self, path: Path) -> Recording:
        """A capture file as a recording that is over."""
        carries = {line.carries for line in self._rig.captures.values()} or {_DLMS}
        reading = self._readings(carries.pop() if len(carries) == 1 else _DLMS)
        try:
            size = path.stat().st_size
            found = path.read_bytes() if size <= LARGEST_FILE else b""
        except OSError as error:
            raise CaptureUnavailable(
                f"capture file {path} cannot be read: {error.strerror}", remedy="name a file that is there"
            ) from None
        if size > LARGEST_FILE:
            raise CaptureUnavailable(
                f"capture file {path} has {size} bytes, more than {LARGEST_FILE}", remedy="split it"
            )
        try:
            content = as_pcapng(found)
        except CaptureUnavailable as error:
            raise CaptureUnavailable(f"{path}: {error.message}", remedy=error.remedy) from None
        self._trace.message("capture", path.name, content, MEDIA_TYPE)
        return LineRecording(path.name, reading, lambda: Kept(content), self._trace)

    def _missing(self, line: str) -> NoReturn:
        raise CaptureUnavailable(
            f"rig {self._rig.id} names no capture of its {line}, and the test asks for it",
            remedy=f"name the interface under the rig's captures: {line}: in the lab file",
        )


class RigCapture(NoCapture):
    """Hears the lines that the rig's lab file names."""

    def __init__(
        self,
        rig: Rig,
        readings: Callable[[str], LineReading],
        trace: Trace,
        controller: RigController,
        fence: Fence,
    ) -> None:
        super().__init__(rig, readings, trace)
        self._controller = controller
        self._fence = fence

    @contextmanager
    def record(self, line: str = "wan") -> Iterator[Recording]:
        """Hear a line while the ``with`` lasts.

        A tool that ends meanwhile is a :class:`CaptureUnavailable` when the ``with`` ends, and a lost
        controller a :class:`TransportLost`, unless another error is on its way already.
        """
        described = self._rig.captures.get(line) or self._missing(line)
        reading = self._readings(described.carries)
        self._fence()
        running = start(described, self._controller)
        recording = LineRecording(line, reading, running.heard, self._trace)
        told = {"interface": described.interface, "filter": described.filter}
        self._trace.event("capture", f"recording the {line}", **told)
        try:
            yield recording
        except BaseException:
            with suppress(HarnessError):  # the first trouble is the one to tell
                self._keep(line, recording, running.stop())
            raise
        kept = running.stop()
        self._keep(line, recording, kept)
        if kept.problem:
            raise kept.problem

    def _keep(self, line: str, recording: LineRecording, kept: Kept) -> None:
        pcapng = recording.pcapng
        self._trace.event(
            "capture", f"recorded the {line}", bytes=len(pcapng), cut=kept.cut, frames_lost=kept.lost
        )
        self._trace.message("capture", line, pcapng, MEDIA_TYPE)


def start(line: CaptureLine, controller: RigController, most_bytes: int = MOST_BYTES) -> RunningCapture:
    """Listen from now on, here or on the controller."""
    return (
        RemoteCapture(line, controller, most_bytes) if line.on_controller else LocalCapture(line, most_bytes)
    )


def open_capture(
    rig: Rig, lab: Lab, controller: RigController, trace: Trace, fence: Fence = unfenced
) -> Capture:
    """What hears the rig's lines; :class:`NoCapture` where its lab file names none."""

    def reading(name: str) -> LineReading:
        return line_reading(name, rig, lab)

    if rig.captures:
        return RigCapture(rig, reading, trace, controller, fence)
    return NoCapture(rig, reading, trace)


def line_reading(name: str, rig: Rig, lab: Lab) -> LineReading:
    """The registered reading of that name."""
    known: dict[str, LineReading] = {
        reading.name: reading
        for some in plugins(lab.plugins).hook.harness_line_readings()
        for reading in some
    }
    return named(name, known, f"rig {rig.id}: no line reading is called {name!r}")


def probe(line: CaptureLine, name: str, controller: RigController) -> str:
    """Listen for a moment: what hears the line, in a sentence; :class:`CaptureUnavailable` if nothing can."""
    kept = start(line, controller).stop()
    if kept.problem:
        raise kept.problem
    where = "on the controller" if line.on_controller else f"with {find_tool(line)[1]}"
    return f"the {name} is heard on {line.interface} {where}"
