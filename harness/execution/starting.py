"""Workers start one after another while those that are there work: no rig waits for the start of another.

xdist starts all of them before it hears of any. Here it starts none: each is started between two things that
it hears, once it is known which rigs have most to do, and the controller collects before that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any, Final

import pytest

_NEXT: Final = "next_worker_starts"
"""What xdist is told when it is time for the next one; it looks for a method of its own by that name."""


class Starting:
    """A plugin of the controller, for one run."""

    def __init__(self) -> None:
        self._waiting: deque[Any] = deque()  # xdist's specifications of workers
        self._session: Any = None  # xdist's

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_xdist_setupnodes(self, specs: list[Any]) -> None:
        """Everybody has seen how many there will be: leave none to be started now."""
        self._waiting.extend(specs)
        specs.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Start the first, for xdist ends where there is none."""
        self._session = session.config.pluginmanager.getplugin("dsession")
        self._session.nodemanager.specs.extend(self._waiting)
        setattr(self._session, f"worker_{_NEXT}", self._start_one)
        self._start_one()
        return (yield)

    def _start_one(self) -> None:
        xdist = self._session
        if self._waiting and not xdist.shuttingdown:
            node = xdist.nodemanager.setup_node(self._waiting.popleft(), xdist.queue.put)
            xdist._active_nodes.add(node)
            xdist.queue.put((_NEXT, {}))
