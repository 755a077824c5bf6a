"""Runs in forks of a process that has imported and collected for them all: each begins in milliseconds.

Each fork has a process group, a lab state and an output file of its own, and runs pytest as ``harness run``
does. Where the process that forks is killed its forks go on to the end of their runs.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from select import POLLIN, poll
from typing import Final, Generic, TypeVar

import pytest

PATIENCE: Final = 900.0
"""Seconds after which a run that has not ended is killed: each test has a deadline of its own already."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """A run that is over: pytest's exit status, negative where a signal ended it, and how long it took."""

    of: T
    status: int
    seconds: float
    processor_seconds: float


@dataclass(slots=True)
class _Fork(Generic[T]):
    of: T
    pid: int
    handle: int
    began: float
    state: Path


class Forks(Generic[T]):
    """Runs some jobs, several at once. ``arguments`` are pytest's for a job, ``name`` names its files.

    Left as a context, it kills what still runs.
    """

    def __init__(
        self, folder: Path, at_once: int, arguments: Callable[[T], Sequence[str]], name: Callable[[T], str]
    ) -> None:
        self._folder = folder
        self._at_once = at_once
        self._arguments = arguments
        self._name = name
        self._running: dict[int, _Fork[T]] = {}  # by the descriptor of the process
        self._poll = poll()

    def __enter__(self) -> Forks[T]:
        gc.collect()
        gc.freeze()  # else the first collection in a fork would copy every page
        return self

    def __exit__(self, *_: object) -> None:
        for fork in list(self._running.values()):
            os.killpg(fork.pid, signal.SIGKILL)
            self._reap(fork)
        shutil.rmtree(self._folder / "state", ignore_errors=True)
        gc.unfreeze()

    def run(self, jobs: Iterable[T]) -> Iterator[Ended[T]]:
        """Each job as it ends."""
        waiting = deque(jobs)
        while waiting or self._running:
            while waiting and len(self._running) < self._at_once:
                self._start(waiting.popleft())
            yield from self._ended()

    def _start(self, job: T) -> None:
        name = self._name(job)
        state = self._folder / "state" / name
        arguments = list(self._arguments(job))
        output = self._folder / "output" / f"{name}.txt"
        for folder in (state, output.parent):
            folder.mkdir(parents=True, exist_ok=True)
        sys.stdout.flush()
        sys.stderr.flush()
        with _undisturbed():
            pid = os.fork()
            if not pid:
                _work(arguments, state, output)
            with contextlib.suppress(OSError):  # it may have done so itself, and even be gone
                os.setpgid(pid, pid)
            handle = os.pidfd_open(pid)
            self._running[handle] = _Fork(job, pid, handle, time.monotonic(), state)
            self._poll.register(handle, POLLIN)

    def _ended(self) -> Iterator[Ended[T]]:
        oldest = min(fork.began for fork in self._running.values())
        ready = self._poll.poll(1000 * max(0.0, oldest + PATIENCE - time.monotonic()))
        if not ready:
            for fork in self._running.values():
                if fork.began == oldest:
                    os.killpg(fork.pid, signal.SIGKILL)
        for handle, _ in ready:
            yield self._reap(self._running[handle])

    def _reap(self, fork: _Fork[T]) -> Ended[T]:
        _, status, usage = os.wait4(fork.pid, 0)
        self._poll.unregister(fork.handle)
        os.close(fork.handle)
        del self._running[fork.handle]
        shutil.rmtree(fork.state, ignore_errors=True)  # keys and counters of twins that are no more
        used = usage.ru_utime + usage.ru_stime
        return Ended(fork.of, os.waitstatus_to_exitcode(status), time.monotonic() - fork.began, used)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C waits: what :func:`os.fork` calls on its way would lose it, and nobody knew of the fork yet."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(arguments: Sequence[str], state: Path, output: Path) -> None:
    """The life of a fork; it never comes back."""
    status = int(pytest.ExitCode.INTERNAL_ERROR)
    try:
        os.setpgid(0, 0)  # Ctrl-C at the terminal is for who has forked it
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in ((0, nothing), (1, file), (2, file)):
            os.dup2(descriptor, number)
        os.environ["HARNESS_STATE"] = str(state)
        status = int(pytest.main(list(arguments)))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
