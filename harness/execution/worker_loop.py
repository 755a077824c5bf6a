"""The worker's loop: one test in hand at a time, and none before the worker's rig is its own.

xdist's own loop takes the next test from its queue before it runs the one in hand, so a rig would always
have a second test pinned to it. Ours asks for one, runs it, reports, and asks again. Nothing outlives a test
but the rig in hand, which is no fixture of wider scope: so a test has no *next* one to keep fixtures for.

A test that comes while the rig is somebody else's is given back (xdist's event ``unscheduled``), so that
another rig takes it; the same event without a test says that the rig is here again.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from typing import Any

import pytest

from harness.execution.rig_keeper import RigKeeper
from harness.execution.rig_news import tell
from harness.records.recording import RecordFault


class WorkerLoop:
    """Replaces ``pytest_runtestloop`` of xdist's worker; touches its interactor's queue and channel.

    That is not public in xdist 3.8; ``tests/harness/execution/test_worker_loop.py`` is the contract.
    """

    def __init__(self, keeper: RigKeeper) -> None:
        self._keeper = keeper
        self._interactor: Any = None
        self._heard = threading.Event()  # the controller has said something that is not looked at yet

    def pytest_plugin_registered(self, plugin: object) -> None:
        """Notice xdist's interactor, which registers itself under no name."""
        if type(plugin).__name__ == "WorkerInteractor":
            self._interactor = plugin

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run what the controller sends until it says that is all."""
        interactor = self._interactor
        interactor.channel.setcallback(self._hear, endmarker=self._shutdown)
        while (index := self._next()) is not self._shutdown:
            interactor.item_index = index  # goes with each report
            item = session.items[index]
            began = time.perf_counter()
            try:
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            except RecordFault as fault:  # what cannot be written down is not done either
                session.shouldstop = str(fault)
            interactor.sendevent(
                "runtest_protocol_complete", item_index=index, duration=time.perf_counter() - began
            )
            if session.shouldfail or session.shouldstop:
                break
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None]:
        """Whoever wants the worker to stop now has what he wants: the rig is put down, undisturbed."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return (yield)

    @property
    def _shutdown(self) -> Any:
        """The worker's own copy of xdist's enum: its module runs under another name than xdist.remote."""
        return type(self._interactor).handle_command.__globals__["Marker"].SHUTDOWN

    def _hear(self, command: Any) -> None:
        """In execnet's thread."""
        self._interactor.handle_command(command)
        self._heard.set()

    def _next(self) -> Any:
        """The next test for a rig that is ours, or the end."""
        while (index := self._sent()) is not self._shutdown and not self._keeper.ready():
            self._interactor.sendevent("unscheduled", indices=[index])
            if not self._have_rig():
                return self._shutdown
            self._interactor.sendevent("unscheduled", indices=[])
        return index

    def _sent(self) -> Any:
        """What the controller sends next. Where it is silent for long the rig is given back meanwhile."""
        while not self._is_sent():
            if not self._heard.wait(self._keeper.idle):
                self._keeper.close()
                self._heard.wait()
        return self._interactor.torun.get()

    def _is_sent(self) -> bool:
        self._heard.clear()  # before the look: what comes after it is heard
        with self._interactor.torun.lock() as sent:
            return bool(sent)

    def _have_rig(self) -> bool:
        """Wait for our turn; whether it came before the end did, for nothing else is sent to us meanwhile."""
        said = ""
        while not self._keeper.ready():
            if self._is_sent():
                return False
            if (news := self._keeper.news()).sentence != said:
                said = news.sentence
                tell(self._interactor.config, news)
            self._keeper.tenancy.until_changed()
        return True
