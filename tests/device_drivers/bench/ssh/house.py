"""What the tests of the controller and of capture share: an sshd's processes, and a trace that remembers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_drivers.simulated.controller import TwinController

PATIENCE = 10.0  # seconds that anything may take on a busy machine


@dataclass
class Kept:
    """A trace that remembers."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    messages: list[tuple[str, bytes, str]] = field(default_factory=list)

    def event(self, source: str, what: str, **detail: Any) -> None:
        self.events.append((what, detail))

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        self.messages.append((name, content, media_type))

    def told(self, what: str) -> list[dict[str, Any]]:
        return [detail for told, detail in self.events if what in told]


def below(pid: int) -> Iterator[int]:
    """The processes that one has started, and those that they have."""
    try:
        children = [
            task.joinpath("children").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir()
        ]
    except OSError:  # it has gone meanwhile
        return
    for child in (int(each) for some in children for each in some):
        yield child
        yield from below(child)


def sessions(twin: TwinController) -> list[int]:
    """The processes of its sshd that serve connections, without the one that listens."""
    assert twin._keeper is not None
    (listening,) = (pid for pid in below(twin._keeper.pid) if _parent(pid) == twin._keeper.pid)
    return [pid for pid in below(listening) if _program(pid).startswith("sshd")]


def tell_sessions(twin: TwinController, number: signal.Signals) -> None:
    """Send the processes that serve connections a signal."""
    told = sessions(twin)
    assert told
    _tell(told, number)


@contextmanager
def frozen(twin: TwinController) -> Iterator[list[int]]:
    """While it lasts, the processes that serve connections stand still; then they are killed."""
    stopped = sessions(twin)
    assert stopped
    _tell(stopped, signal.SIGSTOP)
    try:
        yield stopped
    finally:
        _tell(stopped, signal.SIGKILL)
        soon(lambda: not any(lives(pid) for pid in stopped), "killed sessions live on")


def lives(pid: int) -> bool:
    """Whether a process is there and no mere corpse."""
    try:
        return _field(pid, 0) not in "ZX"
    except OSError:
        return False


def soon(condition: Callable[[], Any], what: str) -> None:
    """Wait until something that no event tells has come about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def _tell(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # one of another test, which has just ended
            os.kill(pid, number)


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int(_field(pid, 1))
    except OSError:
        return 0


def _field(pid: int, number: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[number]
