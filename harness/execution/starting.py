"""Workers start one after another while those that are there work: no rig waits for the start of another.

xdist starts all of them before it hears of any. Here it starts none: each is started between two things that
it hears, once it is known which rigs have most to do, and the controller collects before that. The second one
waits until the first has its test: what workers are forked from goes on importing meanwhile, for the others.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Generator, Mapping
from typing import Any, Final

import pytest

_NEXT: Final = "next_worker_starts"
"""What xdist is told when it is time for the next one; it looks for a method of its own by that name."""


class Starting:
    """A plugin of the controller, for one run; ``rigs`` has the DMC of each rig, by its id."""

    def __init__(self, rigs: Mapping[str, str]) -> None:
        self._rigs = rigs
        self._free = deque(rigs)  # without a worker
        self._waiting: deque[Any] = deque()  # xdist's specifications of workers
        self._first_awaited = False  # the first worker has no test yet
        self._session: Any = None  # xdist's

    # -- rigs --------------------------------------------------------------------------------------

    def busiest_first(self, work: Mapping[str, float]) -> None:
        """Let those rigs start next of whose DMC each has most to do; ``work`` has seconds, by DMC."""
        of_dmc = Counter(self._rigs.values())
        work_of = {rig: work.get(dmc, 0.0) / of_dmc[dmc] for rig, dmc in self._rigs.items()}
        self._free = deque(sorted(self._free, key=lambda rig: -work_of[rig]))

    def next_rig(self) -> str:
        """The rig of the worker that starts now."""
        return self._free.popleft()

    def give_back(self, rig: str, *, died: bool) -> None:
        """The rig of a worker that has died is its replacement's; that of one that has ended comes last."""
        with contextlib.suppress(ValueError):  # xdist says it twice of a worker that was interrupted
            self._free.remove(rig)
        if died:
            self._free.appendleft(rig)
        else:
            self._free.append(rig)
        self._go_on()

    # -- workers -----------------------------------------------------------------------------------

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
        setattr(self._session, f"worker_{_NEXT}", self._start_next)
        self._first_awaited = True
        self._start_one()
        return (yield)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """The worker gets its test now, and then the next may start."""
        self._go_on()

    def _go_on(self) -> None:
        if self._first_awaited:
            self._first_awaited = False
            self._session.queue.put((_NEXT, {}))

    def _start_next(self) -> None:
        if self._start_one():
            self._session.queue.put((_NEXT, {}))

    def _start_one(self) -> bool:
        xdist = self._session
        if not self._waiting or xdist.shuttingdown:
            return False
        node = xdist.nodemanager.setup_node(self._waiting.popleft(), xdist.queue.put)
        xdist._active_nodes.add(node)
        return True
