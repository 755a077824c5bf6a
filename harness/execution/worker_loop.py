"""The worker's loop: one test in hand at a time.

xdist's own loop takes the next test from its queue before it runs the one in hand, so a rig would always
have a second test pinned to it. Ours asks for one, runs it, reports, and asks again. Nothing outlives a test
but the rig in hand, which is no fixture of wider scope: so a test has no *next* one to keep fixtures for.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Generator
from typing import Any

import pytest


class WorkerLoop:
    """Replaces ``pytest_runtestloop`` of xdist's worker; touches its interactor's queue and channel.

    That is not public in xdist 3.8; ``tests/harness/execution/test_worker_loop.py`` is the contract.
    """

    def __init__(self) -> None:
        self._interactor: Any = None

    def pytest_plugin_registered(self, plugin: object) -> None:
        """Notice xdist's interactor, which registers itself under no name."""
        if type(plugin).__name__ == "WorkerInteractor":
            self._interactor = plugin

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run what the controller sends until it says that is all."""
        interactor = self._interactor
        # The worker's own copy of the enum: its module runs under another name than xdist.remote
        marker = type(interactor).handle_command.__globals__["Marker"]
        interactor.channel.setcallback(interactor.handle_command, endmarker=marker.SHUTDOWN)
        while (index := interactor.torun.get()) is not marker.SHUTDOWN:
            interactor.item_index = index  # goes with each report
            item = session.items[index]
            began = time.perf_counter()
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
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
