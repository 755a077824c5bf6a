"""A capture on the rig's controller: the same tools, over SSH, and the file brought back."""

from __future__ import annotations

import shlex
import time
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import uuid4

from device_drivers.bench.capturing.recording import Kept
from device_drivers.bench.capturing.tools import (
    MORE_PLACES,
    MOST_BYTES,
    Tool,
    candidates,
    lost_frames,
    missing,
    trouble,
    was_too_large,
)
from harness.domain.errors import ControllerFault, LabFault, TransportLost
from harness.domain.instruments import CommandResult, RigController, RunningCommand
from harness.domain.lab import CaptureLine

WHERE: Final = "the rig's controller"
_STARTS: Final = timedelta(seconds=10)
_STOPS: Final = timedelta(seconds=10)
_FOLDER: Final = "/tmp"  # noqa: S108 - of the controller; nobody can guess what is in it
_MADE_TO_END: Final = 143  # the status of a command that ran until it was told to stop


class RemoteCapture:
    """Captures from when it is made until :meth:`stop`; raises :class:`CaptureUnavailable` where it cannot.

    The file is one in the controller's folder for temporary files that its user alone can read; :meth:`stop`
    removes it. Trouble with the controller itself is a lab fault of its own.
    """

    def __init__(self, line: CaptureLine, controller: RigController, most_bytes: int = MOST_BYTES) -> None:
        self._line = line
        self._controller = controller
        self._tool, program = _find_tool(line, controller)
        self._file = f"{_FOLDER}/capture-{uuid4().hex}.pcap"
        self._kept: Kept | None = None
        command = shlex.join(self._tool.arguments(line, program))
        self._running: RunningCommand = controller.start(
            f"umask 077; {self._tool.limit(most_bytes)}; exec {command} >{self._file}"
        )
        try:
            self._until_it_listens()
        except BaseException:
            with suppress(LabFault):  # the first trouble is the one to tell
                self._running.stop(within=_STOPS)
                self._remove()
            raise

    def heard(self) -> Kept:
        """What is in the file by now."""
        return self._kept or Kept(self._controller.fetch(self._file, keep=False))

    def stop(self) -> Kept:
        """End the tool, fetch its file and remove it; what it heard. A second call says the same."""
        if self._kept is None:
            time.sleep(self._tool.rest)  # what it has heard and not yet written
            try:
                ended: CommandResult | TransportLost = self._running.stop(within=_STOPS)
            except TransportLost as lost:  # the tool has ended with the connection; its file is there yet
                ended = lost
            content = self._controller.fetch(self._file, keep=False)
            self._remove()
            self._kept = (
                Kept(content, problem=ended)
                if isinstance(ended, TransportLost)
                else self._judged(ended, content)
            )
        return self._kept

    def _judged(self, result: CommandResult, content: bytes) -> Kept:
        said = result.errors.decode("utf-8", "replace")
        too_large = was_too_large(result.status)
        problem = None
        if not too_large and result.status != _MADE_TO_END:
            problem = trouble(self._tool, self._line, f"{WHERE}, in the middle of a recording", said)
        return Kept(content, too_large, lost_frames(said), problem)

    def _until_it_listens(self) -> None:
        try:
            self._running.ready(self._tool.listens, within=_STARTS)
        except ControllerFault as fault:
            said = self._running.stop(within=_STOPS).errors.decode("utf-8", "replace")
            raise trouble(self._tool, self._line, WHERE, said) from fault

    def _remove(self) -> None:
        self._controller.run(f"rm -f {self._file}")


def _find_tool(line: CaptureLine, controller: RigController) -> tuple[Tool, str]:
    """The tool for a line and where its program is there; :class:`CaptureUnavailable` where there is none."""
    names = " ".join(tool.name for tool in candidates(line))
    told = controller.run(
        f'PATH="$PATH:{MORE_PLACES}"; for tool in {names}; do command -v "$tool"; done; true'
    )
    programs = told.output.decode("utf-8", "replace").splitlines()
    for tool in candidates(line):
        for program in programs:
            if program.endswith(f"/{tool.name}"):
                return tool, program
    raise missing(line, WHERE)
