"""The processes of a round: commands and what they show, and whatever came of them."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .labs import ChaosLab

PATIENCE = 180.0  # seconds that anything may take which must come
_SHOWN = re.compile(r"\s*\d+/\d+ (passed|failed|blocked|interrupted) +(\S+) +(\S+?\])(?::|\s|$)")


class TooLate(AssertionError):
    """What must come did not come."""


@dataclass(frozen=True)
class Shown:
    """An attempt whose end a run has shown to whoever looks."""

    test: str
    rig: str
    result: str


@dataclass(frozen=True)
class Process:
    """A process of a round, by its surroundings and its command line."""

    pid: int
    run: str
    command: str

    @property
    def is_guard(self) -> bool:
        return "guard.py" in self.command


class Run:
    """A command in a process group of its own, and what it shows; ``news`` is notified of each line.

    ``said`` is what of its environment is its own.
    """

    def __init__(
        self,
        name: str,
        lab: ChaosLab,
        arguments: tuple[str, ...],
        said: Mapping[str, str],
        environment: Mapping[str, str],
        news: threading.Condition,
    ) -> None:
        self.name = name
        self.lab = lab
        self.said = said
        self.shown: list[Shown] = []
        self.lines: list[str] = []
        self._news = news
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=lab.folder,
            env=environment,
            stdin=subprocess.DEVNULL if arguments[0] == "-m" else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        self._reading = threading.Thread(target=self._read, name=f"{name} in {lab.folder}")
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout, (self.lab.folder / f"{self.name}.log").open("w", buffering=1) as kept:
            for line in self.process.stdout:
                kept.write(line)
                with self._news:
                    self.lines.append(line)
                    if found := _SHOWN.match(line):
                        result, rig, test = found.groups()
                        self.shown.append(Shown(test, rig, result))
                    self._news.notify_all()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def over(self) -> bool:
        """Whether its first process has ended; others of it may linger."""
        return self.process.poll() is not None

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def ended(self, seconds: float = PATIENCE) -> int:
        """Wait until its first process has ended; its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TooLate(f"{self.name} has not ended in {seconds:g} s:\n{self.output[-1500:]}") from None

    def end(self) -> None:
        """Nobody needs it any more; read the last that it said."""
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self._reading.join()


def processes_of(marker: str) -> Iterator[Process]:
    """Those that live and were started in the surroundings of that round."""
    wanted = f"CHAOS_ROUND={marker}".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):
            surroundings = (folder / "environ").read_bytes().split(b"\0")
            if wanted in surroundings:
                run = next(each[10:].decode() for each in surroundings if each.startswith(b"CHAOS_RUN="))
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield Process(int(folder.name), run, command)
