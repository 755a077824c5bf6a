"""A command that goes on until Ctrl-C, and what it shows meanwhile."""

from __future__ import annotations

import fcntl
import os
import pty
import queue
import re
import signal
import struct
import subprocess
import termios
import threading

from tests.harness.cli.physical import CONFIG, HARNESS, REPO

LONG = 30.0  # seconds: a deadline that only a failure reaches
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Shown:
    """A process of the harness in the simulated lab; on a terminal of its own, or on a pipe."""

    def __init__(self, *arguments: str, terminal: bool = False) -> None:
        theirs_not_ours = {"COLUMNS", "LINES"}  # of the terminal that these tests run on
        environment = {name: value for name, value in os.environ.items() if name not in theirs_not_ours}
        environment |= {"TERM": "xterm", "HARNESS_LAB": str(CONFIG / "simulated.yaml")}
        self._ours, theirs = pty.openpty() if terminal else os.pipe()
        if terminal:
            self.resize(80, 24)
        self.process = subprocess.Popen(
            [*HARNESS, *arguments],
            cwd=REPO,
            env=environment,
            stdout=theirs,
            stderr=theirs,
            start_new_session=terminal,
        )
        os.close(theirs)
        self.shown = ""
        self._new: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while chunk := os.read(self._ours, 65536):
                self._new.put(chunk)
        except OSError:  # how Linux says that nobody holds the other end of a terminal
            pass

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def until(self, pattern: str) -> str:
        """What was shown since the last call, once it has the pattern in it."""
        while re.search(pattern, self.shown) is None:
            try:
                self.shown += COLOUR.sub("", self._new.get(timeout=LONG).decode(errors="replace"))
            except queue.Empty:
                raise AssertionError(f"{pattern} was not shown:\n{self.shown}") from None
        shown, self.shown = self.shown, ""
        return shown

    def stop(self, by: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C, or another signal; the exit code."""
        self.process.send_signal(by)
        code = self.process.wait(LONG)
        self._reader.join(LONG)
        while not self._new.empty():
            self.shown += self._new.get().decode(errors="replace")
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(LONG)
        os.close(self._ours)
