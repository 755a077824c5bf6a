"""The contract with xdist 3.8: the private parts of its worker that our loop touches.

Whole runs over real workers stand in ``test_runs.py``; here, what would break first if xdist changed.
"""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
import xdist
from xdist import remote

from harness.execution.worker_loop import WorkerLoop


class ExecModel:
    """As execnet's thread model."""

    RLock, Event = threading.RLock, threading.Event


class Channel:
    def __init__(self) -> None:
        self.gateway = SimpleNamespace(execmodel=ExecModel)
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def send(self, message: tuple[str, dict[str, Any]]) -> None:
        self.sent.append(message)

    def setcallback(self, callback: Any, endmarker: object) -> None:
        self.callback, self.endmarker = callback, endmarker


class Worker:
    """xdist's own interactor over a channel that a test feeds, with our loop beside it."""

    def __init__(self, tests: int) -> None:
        self.ran: list[tuple[str, object]] = []
        self.send_while_running: list[Any] = []
        self.channel = Channel()
        manager = pytest.PytestPluginManager()
        config: Any = SimpleNamespace(
            workerinput={"workerid": "gw0", "testrunuid": "run"},
            option=SimpleNamespace(debug=False),
            pluginmanager=manager,
            hook=SimpleNamespace(pytest_runtest_protocol=self.protocol),
        )
        self.loop = WorkerLoop()
        manager.register(self.loop)
        self.interactor = remote.WorkerInteractor(config, self.channel)
        items = [SimpleNamespace(nodeid=f"test_{n}") for n in range(tests)]
        self.session: Any = SimpleNamespace(items=items, config=config, shouldfail=False, shouldstop=False)
        self.interactor.session = self.session

    def protocol(self, item: Any, nextitem: object) -> None:
        self.ran.append((item.nodeid, nextitem))
        if self.send_while_running:
            self.interactor.handle_command(self.send_while_running.pop(0))

    def run(self, *commands: Any) -> None:
        for command in commands:
            self.interactor.handle_command(command)
        assert self.loop.pytest_runtestloop(self.session) is True


def runtests(*indices: int) -> tuple[str, dict[str, Any]]:
    return "runtests", {"indices": list(indices)}


SHUTDOWN = ("shutdown", {})


def test_the_xdist_that_this_is_a_contract_with() -> None:
    assert xdist.__version__.startswith("3.8.")


def test_the_loop_notices_xdists_interactor_when_it_registers_itself() -> None:
    worker = Worker(tests=1)
    assert worker.loop._interactor is worker.interactor


def test_a_test_is_run_without_waiting_for_the_one_after_it() -> None:
    worker = Worker(tests=2)
    worker.send_while_running = [runtests(1), SHUTDOWN]  # nothing is queued when the first one starts
    worker.run(runtests(0))
    assert worker.ran == [("test_0", None), ("test_1", None)]  # and it has no next one


def test_each_test_is_reported_complete_with_its_index() -> None:
    worker = Worker(tests=3)
    worker.run(runtests(2), runtests(0), SHUTDOWN)
    completed = [kwargs for name, kwargs in worker.channel.sent if name == "runtest_protocol_complete"]
    assert [each["item_index"] for each in completed] == [2, 0]
    assert all(each["duration"] >= 0 for each in completed)


def test_reports_carry_the_index_of_the_test_in_hand() -> None:
    worker = Worker(tests=3)
    worker.run(runtests(1), SHUTDOWN)
    assert worker.interactor.item_index == 1


def test_a_channel_that_closes_ends_the_loop() -> None:
    worker = Worker(tests=1)
    worker.send_while_running = [remote.Marker.SHUTDOWN]  # what execnet calls back with when it is cut
    worker.run(runtests(0))
    assert worker.channel.endmarker is remote.Marker.SHUTDOWN
    assert worker.channel.callback == worker.interactor.handle_command


@pytest.mark.parametrize("word", ["shouldstop", "shouldfail"])
def test_a_session_that_should_stop_takes_no_more(word: str) -> None:
    worker = Worker(tests=2)
    setattr(worker.session, word, "maxfail")
    worker.run(runtests(0), runtests(1))
    assert [node_id for node_id, _ in worker.ran] == ["test_0"]
