"""WAN and HAN traffic of a rig, captured by the system's tools and read with scapy."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import NoReturn

from harness.domain.errors import CaptureUnavailable
from harness.domain.instruments import Capture, Recording, RigController
from harness.domain.lab import Rig
from harness.hooks import Trace


class NoCapture:
    """Stands where a rig's lab file names no line that can be heard."""

    def __init__(self, rig_id: str) -> None:
        self._rig_id = rig_id

    def record(self, line: str = "wan") -> AbstractContextManager[Recording]:
        self._missing(f"its {line}")

    def read(self, path: Path) -> Recording:
        self._missing(str(path))

    def _missing(self, what: str) -> NoReturn:
        raise CaptureUnavailable(
            f"rig {self._rig_id} names no captures, and the test asks for {what}",
            remedy="name the interface under the rig's captures: in the lab file",
        )


def open_capture(rig: Rig, controller: RigController, trace: Trace) -> Capture:  # noqa: ARG001
    """What hears the rig's lines."""
    return NoCapture(rig.id)
