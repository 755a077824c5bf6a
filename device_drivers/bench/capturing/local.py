"""A capture on this computer: the tool as a process of ours, and its file."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from device_drivers.bench.capturing.recording import Kept
from device_drivers.bench.capturing.tools import (
    MORE_PLACES,
    MOST_BYTES,
    WORDS_LIMIT,
    Tool,
    candidates,
    lost_frames,
    missing,
    trouble,
    was_too_large,
)
from harness.domain.errors import CaptureUnavailable
from harness.domain.lab import CaptureLine

WHERE: Final = "this computer"
_STARTS: Final = 10.0  # seconds until the tool listens
_STOPS: Final = 10.0
_TOLD_TO: Final = (0, -signal.SIGTERM)  # how a tool ends that was told to


def find_tool(line: CaptureLine) -> tuple[Tool, str]:
    """The tool for a line and where its program is; :class:`CaptureUnavailable` where there is none."""
    places = os.pathsep.join((os.environ.get("PATH", ""), MORE_PLACES))
    for tool in candidates(line):
        if program := shutil.which(tool.name, path=places):
            return tool, program
    raise missing(line, WHERE)


class LocalCapture:
    """Captures from when it is made until :meth:`stop`; raises :class:`CaptureUnavailable` where it cannot.

    The file lies in a folder of its own, which :meth:`stop` removes; so does the process's end if we die.
    """

    def __init__(self, line: CaptureLine, most_bytes: int = MOST_BYTES) -> None:
        self._line = line
        self._tool, program = find_tool(line)
        self._folder = tempfile.TemporaryDirectory(prefix="capture-")
        self._file = Path(self._folder.name) / "line.pcap"
        self._said = b""
        self._kept: Kept | None = None
        try:
            with self._file.open("xb") as file:
                self._process = subprocess.Popen(  # noqa: S603 - the lab file's own interface and filter
                    self._tool.command(line, most_bytes, program),
                    stdin=subprocess.PIPE,
                    stdout=file,
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C is for the harness, which then ends it in order
                )
            self._until_it_listens()
        except BaseException:
            self.stop()
            raise

    def heard(self) -> Kept:
        """What is in the file by now."""
        return self._kept or Kept(self._file.read_bytes())

    def stop(self) -> Kept:
        """End the tool and remove its file; what it heard. A second call says the same."""
        if self._kept is not None:
            return self._kept
        as_told = too_large = False
        if process := getattr(self, "_process", None):
            ended_by_itself = process.poll() is not None
            self._end(process)
            too_large = was_too_large(process.returncode)
            as_told = not ended_by_itself and process.returncode in _TOLD_TO
        content = self._file.read_bytes()
        self._folder.cleanup()
        said = self._words()
        problem = None
        if not as_told and not too_large:
            problem = trouble(self._tool, self._line, f"{WHERE}, in the middle of a recording", said)
        self._kept = Kept(content, too_large, lost_frames(said), problem)
        return self._kept

    def _until_it_listens(self) -> None:
        assert self._process.stderr is not None
        deadline = time.monotonic() + _STARTS
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stderr, selectors.EVENT_READ)
            while not self._tool.is_listening(self._words()):
                if not selector.select(max(deadline - time.monotonic(), 0)):
                    raise CaptureUnavailable(
                        f"{WHERE}: {self._tool.name} did not begin to listen on {self._line.interface} "
                        f"within {_STARTS:g} s: {self._words() or 'it says nothing'}",
                        remedy=f"run {self._tool.name} by hand",
                    )
                piece = os.read(self._process.stderr.fileno(), WORDS_LIMIT)
                if not piece:
                    raise trouble(self._tool, self._line, WHERE, self._words())
                self._hear(piece)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        try:
            _, said = process.communicate(timeout=_STOPS)  # closes its standard input first
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
        with suppress(ProcessLookupError):  # what stands beside the tool, where that ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        self._hear(said)

    def _hear(self, piece: bytes) -> None:
        self._said = (self._said + piece)[-WORDS_LIMIT:]

    def _words(self) -> str:
        return self._said.decode(errors="replace")
