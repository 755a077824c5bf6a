"""A test that hangs is stopped at its own deadline, in real time, and tells where it hung.

The deadline runs from set-up to the end of teardown. When it has come,
:class:`~harness.execution.verdict.Overdue` is raised in whatever
the test is doing, and again a grace later where it goes on (or where its teardown hangs too). A test that is
deaf to it, deep in a library that never comes back to Python, is ended three to four graces after its
deadline together with its worker: the attempt is *interrupted*, and another worker takes the rig.

Every thread's stack at that moment is evidence of the attempt. What waits for a device has deadlines of its
own, which blame the device or the lab; who hung here is not known, so it is an error of the harness.
"""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import os
import signal
import threading
import time
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Final

import pytest

from harness.execution.attempts import AttemptRecorder
from harness.execution.context import Settings
from harness.execution.planning import CASE, DEADLINE, Case, marked_deadline
from harness.execution.verdict import Overdue
from harness.records.evidence import evidence_folder

SIMULATED: Final = 600.0  # seconds that a test may last on twins, whose lab time nobody waits for
LONGEST_GRACE: Final = 30.0  # seconds for a teardown, say, once the deadline has come
STACKS: Final = "stacks.txt"
_GRACES: Final = 3  # after the deadline, until the worker is ended, or one more


def hung_in(run_folder: Path, test: str) -> bool:
    """Whether the latest attempt at a test, which was interrupted, was deaf to its deadline."""
    numbers = itertools.count(1)
    folders = (evidence_folder(run_folder, test, number) for number in numbers)
    tried = list(itertools.takewhile(Path.is_dir, folders))
    stacks = tried[-1] / STACKS if tried else None
    return stacks is not None and stacks.is_file() and stacks.stat().st_size > 0


class Deadlines:
    """Holds each test to its deadline: its mark's, else its pack's, else on twins ten minutes.

    On a real rig, where tests wait for hours and days to pass, and where the engineer is asked, there is none
    that nobody has set. ``lone``: there is no worker to end, and a deaf test only tells where it hangs.
    """

    def __init__(self, settings: Settings, recorder: AttemptRecorder, *, lone: bool) -> None:
        self._settings = settings
        self._recorder = recorder
        self._seconds = 0.0
        self._ends = 0.0  # monotonic seconds
        self._last_resort = _LastResort(ends_it_all=not lone)
        self._stacks: int | None = None  # a descriptor: a file object would cost each test more
        self._stacks_path = ""
        self._in_phase = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Around all others: putting a rig down that hung may hang as well."""
        try:
            return (yield)
        finally:
            self._disarm()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """The test begins."""
        self._arm(item)
        return (yield from self._phase())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Where it may be stopped."""
        return (yield from self._phase())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        """The last of it; then what the stacks were becomes evidence."""
        try:
            return (yield from self._phase())
        finally:
            self._keep_stacks()

    @pytest.hookimpl(trylast=True)
    def pytest_exception_interact(self) -> None:
        """Pytest's own fault handler takes the last resort off at a failure; teardown is still to come."""
        self._last_resort.take_off()
        if self._stacks is not None:
            self._watch()

    def pytest_enter_pdb(self) -> None:
        """Somebody is thinking."""
        self._disarm()
        self._take_off()

    def pytest_unconfigure(self) -> None:
        """There are no more tests."""
        self._take_off()
        self._last_resort.close()

    # -- the clockwork -----------------------------------------------------------------------------

    def _allowed(self, item: pytest.Item) -> float:
        case: Case = item.callspec.params[CASE]  # type: ignore[attr-defined]  # parametrised by us
        attempt = self._recorder.current
        assert attempt is not None
        twins = self._settings.lab.rig(attempt.rig).simulation is not None
        asks = "operator" in item.fixturenames  # type: ignore[attr-defined]  # a test function, as planned
        return marked_deadline(item) or case.pack.deadline or (SIMULATED if twins and not asks else 0.0)

    def _arm(self, item: pytest.Item) -> None:
        self._seconds = self._allowed(item)
        attempt = self._recorder.current
        if not self._seconds or attempt is None or threading.current_thread() is not threading.main_thread():
            return
        self._ends = time.monotonic() + self._seconds
        self._stacks_path = f"{attempt.evidence.folder}/{STACKS}"
        self._stacks = os.open(self._stacks_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._last_resort.writes_to(self._stacks)
        signal.signal(signal.SIGALRM, self._rung)
        signal.setitimer(signal.ITIMER_REAL, self._seconds, self._grace)
        self._watch()

    @property
    def _grace(self) -> float:
        return min(LONGEST_GRACE, max(1.0, self._seconds))

    def _watch(self) -> None:
        self._last_resort.rings_after(self._ends + _GRACES * self._grace, within=self._grace)

    def _phase(self) -> Generator[None, object, object]:
        self._in_phase = True
        try:
            return (yield)
        finally:
            self._in_phase = False

    def _rung(self, number: int, frame: FrameType | None) -> None:
        """In a signal handler: between phases nothing is raised, nobody would catch it; it rings again."""
        del number, frame
        if self._stacks is None:
            self._take_off()
        if self._in_phase and self._stacks is not None:
            faulthandler.dump_traceback(self._stacks)
            overdue = Overdue(
                f"it did not end within its deadline of {self._seconds:g} s",
                remedy=f"see where it hung; if it needs longer, say @pytest.mark.{DEADLINE}(seconds)",
            )
            if self._recorder.current is not None:
                self._recorder.current.overdue = overdue
            raise overdue

    def _keep_stacks(self) -> None:
        attempt = self._recorder.current
        if self._stacks is None or attempt is None:
            return
        if size := os.fstat(self._stacks).st_size:
            content = os.pread(self._stacks, size, 0)
            attempt.evidence.attach("where each thread was when the deadline had come", content)

    def _disarm(self) -> None:
        """The test is over. Its alarm may ring on, where no other test sets it, and then it takes all off."""
        if self._stacks is None:
            return
        stacks, self._stacks = self._stacks, None
        if time.monotonic() >= self._ends:
            self._take_off()
        os.close(stacks)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._stacks_path)  # noqa: PTH108  # what was in it is kept among the steps

    def _take_off(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._last_resort.take_off()


class _LastResort:
    """A thread that needs no interpreter: when it rings it writes down the stacks, and ends the process.

    To start and stop it costs more than most tests do: it stays on over many tests, with one moment for all
    that are to be ended shortly before.
    """

    def __init__(self, *, ends_it_all: bool) -> None:
        self._ends_it_all = ends_it_all
        self._rings: float | None = None  # monotonic seconds
        self._file: int | None = None  # a descriptor of its own, of the stacks of the test in hand

    def writes_to(self, stacks: int) -> None:
        """Where the stacks go from now on."""
        self._file = os.dup(stacks) if self._file is None else os.dup2(stacks, self._file, inheritable=False)

    def rings_after(self, moment: float, *, within: float) -> None:
        """Let it ring at a monotonic moment, or later by that many seconds at most."""
        if self._file is None or (self._rings is not None and moment <= self._rings <= moment + within):
            return
        self._rings = moment + within
        left = max(0.1, self._rings - time.monotonic())
        faulthandler.dump_traceback_later(left, file=self._file, exit=self._ends_it_all)

    def take_off(self) -> None:
        """Let it not ring."""
        self._rings = None
        faulthandler.cancel_dump_traceback_later()

    def close(self) -> None:
        """Twice is fine."""
        self.take_off()
        if self._file is not None:
            os.close(self._file)
            self._file = None
