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

from harness.execution.rig_news import RigNews
from harness.execution.worker_loop import WorkerLoop


class ExecModel:
    """As execnet's thread model."""

    RLock, Event = threading.RLock, threading.Event


class Channel:
    def __init__(self) -> None:
        self.gateway = SimpleNamespace(execmodel=ExecModel)
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[int, list[Any]] = {}  # what the controller says when it has heard so many messages

    def send(self, message: tuple[str, dict[str, Any]]) -> None:
        self.sent.append(message)
        for command in self.answers.get(len(self.sent), ()):
            self.callback(command)

    def setcallback(self, callback: Any, endmarker: object) -> None:
        self.callback, self.endmarker = callback, endmarker


class Keeper:
    """A rig that is ours, or is so at a later look."""

    def __init__(self, *looks: bool) -> None:
        self.looks = list(looks)
        self.idle = 30.0
        self.closed = threading.Event()
        self.tenancy = SimpleNamespace(until_changed=lambda: None)

    def ready(self) -> bool:
        return self.looks.pop(0) if self.looks else True

    def news(self) -> RigNews:
        return RigNews("bench-a", "bench-a is held by ann")

    def close(self) -> None:
        self.closed.set()


class Worker:
    """xdist's own interactor over a channel that a test feeds, with our loop beside it."""

    def __init__(self, tests: int, keeper: Keeper | None = None) -> None:
        self.ran: list[tuple[str, object]] = []
        self.keeper = keeper or Keeper()
        self.send_while_running: list[Any] = []
        self.channel = Channel()
        manager = pytest.PytestPluginManager()
        config: Any = SimpleNamespace(
            workerinput={"workerid": "gw0", "testrunuid": "run"},
            option=SimpleNamespace(debug=False),
            pluginmanager=manager,
            hook=SimpleNamespace(
                pytest_runtest_protocol=self.protocol,
                pytest_warning_recorded=manager.hook.pytest_warning_recorded,
            ),
        )
        self.loop = WorkerLoop(self.keeper)  # type: ignore[arg-type]
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

    @property
    def said(self) -> list[tuple[str, Any]]:
        """What the controller was told: tests complete or given back, and what the rig waits for."""
        return [(name, _gist(fields)) for name, fields in self.channel.sent]


def _gist(fields: dict[str, Any]) -> Any:
    if "warning_message_data" in fields:
        return fields["warning_message_data"]["message_str"]
    return fields.get("item_index", fields.get("indices"))


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
    worker.channel.callback(SHUTDOWN)
    assert worker.interactor.torun.get() is remote.Marker.SHUTDOWN


@pytest.mark.parametrize("word", ["shouldstop", "shouldfail"])
def test_a_session_that_should_stop_takes_no_more(word: str) -> None:
    worker = Worker(tests=2)
    setattr(worker.session, word, "maxfail")
    worker.run(runtests(0), runtests(1))
    assert [node_id for node_id, _ in worker.ran] == ["test_0"]


def test_a_test_is_given_back_while_the_rig_is_somebody_elses_and_the_rig_announced_when_it_is_here() -> None:
    worker = Worker(2, Keeper(False, False, True))
    worker.channel.answers = {3: [runtests(1), SHUTDOWN]}
    worker.run(runtests(0))
    assert worker.said == [
        ("unscheduled", [0]),
        ("warning_recorded", "bench-a waits: bench-a is held by ann"),
        ("unscheduled", []),
        ("runtest_protocol_complete", 1),
    ]
    assert worker.ran == [("test_1", None)]


def test_who_waits_for_a_rig_ends_when_the_controller_does() -> None:
    worker = Worker(1, Keeper(False, False, False, False))
    worker.channel.answers = {1: [SHUTDOWN]}
    worker.run(runtests(0))
    assert worker.said == [("unscheduled", [0])]
    assert worker.ran == []


def test_a_rig_is_given_back_while_the_controller_is_silent_for_long() -> None:
    keeper = Keeper()
    keeper.idle = 0.01
    worker = Worker(1, keeper)
    looping = threading.Thread(target=worker.run)
    looping.start()
    assert keeper.closed.wait(30)
    for command in (runtests(0), SHUTDOWN):
        worker.channel.callback(command)
    looping.join(30)
    assert worker.ran == [("test_0", None)]
