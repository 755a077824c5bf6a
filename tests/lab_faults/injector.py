"""A plugin of pytest that breaks the lab of a good device, at seeded moments of every n-th test.

Between the driver and each twin's port, and between the DCC link and the gateway, is a proxy; the bench
stands behind Modbus. What is broken stays so until the test is over.

Where workers run the tests, the gateway is broken by the controller, and no record says in which test. No rig
is broken there while it is opened, but right after: one that cannot be opened has failed its check and is out
of the run, as it has to be, and in the end there would be no lab left to break.

Named in ``PYTEST_PLUGINS``; ``LAB_FAULTS`` says how, as JSON: ``seed``, ``every`` and ``record``, a file that
gets a line for each injection.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest

import device_drivers.simulated.rig as simulated
from device_drivers.dcc.link import Link
from device_drivers.simulated import modbus_bench
from device_drivers.simulated.modbus_bench import ModbusBenchTwin, Request
from harness.domain.lab import Lab, Rig
from harness.domain.words import DeviceType
from harness.execution.planning import planned_id
from tests.lab_faults.proxy import Proxy, State

CASES: Final = tuple(
    (kind, phase)
    for phase in ("call", "setup", "teardown")
    for kind in ("ESME", "gateway", "bench", "GSME", "CH", "gateway pulled")
    if phase != "teardown" or "gateway" not in kind  # nothing is asked of it there
)
"""What is broken when, in turn."""
REFUSED: Final = 4  # Modbus: the server failed
SOON: Final = 1.0  # seconds that the gateway is waited for: a lab's own patience would be the test's length
MOST_AFTER: Final = {"ESME": 6, "GSME": 6, "CH": 3, "bench": 2, "gateway": 0, "gateway pulled": 0}


@dataclass
class Plan:
    """What is to be broken in the test in hand."""

    test: str
    kind: str
    phase: str
    after: int
    reads: bool  # a bench that refuses reads as well
    fired: bool = False


class BenchDoor:
    """What a bench answers instead, once it is armed."""

    def __init__(self) -> None:
        self._left: int | None = None
        self._reads = False

    def watch(self, request: Request) -> int | None:
        if self._left is None or (request.words is None and not self._reads):
            return None
        if self._left:
            self._left -= 1
            return None
        self.fired = True
        return REFUSED

    fired = False

    def arm(self, after: int, *, reads: bool) -> None:
        self._left, self._reads = after, reads

    def heal(self) -> bool:
        fired, self.fired, self._left = self.fired, False, None
        return fired


class Injector:
    """Chooses tests, kinds, phases and moments by its seed, and keeps a record."""

    def __init__(
        self, seed: int, every: int, record: Path, cases: Sequence[tuple[str, str]], *, spare_openings: bool
    ) -> None:
        self._random = random.Random(seed)
        self._cases = cases
        self._spare_openings = spare_openings
        self._rigs_open = 0
        self._every, self._record = every, record
        self._first = self._random.randrange(every)
        self._tests = self._injections = 0
        self._plan: Plan | None = None
        self._phase = ""
        self.doors: dict[str, Proxy] = {}
        self.bench = BenchDoor()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        number, self._tests = self._tests, self._tests + 1
        chosen = number % self._every == self._first
        self._plan = self._next(planned_id(item)) if chosen else None
        result = yield
        if self._plan is not None:
            with self._record.open("a") as record:
                record.write(json.dumps(vars(self._plan)) + "\n")
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, Any]:
        if self._spare_openings and not self._rigs_open and self._plan is not None:
            self._plan = replace(self._plan, phase=self._plan.phase.replace("setup", "call"))
        self._arm("setup")
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        self._arm("call")
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        self._arm("teardown")
        try:
            return (yield)
        finally:
            self._heal()

    def _next(self, test: str) -> Plan:
        number, self._injections = self._injections, self._injections + 1
        kind, phase = self._cases[number % len(self._cases)]
        after, reads = self._random.randint(0, MOST_AFTER[kind]), self._random.random() < 0.5
        return Plan(test, kind, phase, after, reads)

    def put(self, part: str, door: Proxy) -> None:
        """A new door before a part of the rig, or before the gateway."""
        self.doors[part] = door
        self._arm_door(part)  # it may be opened in the phase that it is to break in

    @contextmanager
    def rig_open(self) -> Iterator[None]:
        """While a rig is."""
        self._rigs_open += 1
        yield
        self._rigs_open -= 1

    def _arm(self, phase: str) -> None:
        self._phase = phase
        plan = self._plan
        if plan is None or plan.phase != phase:
            return
        if plan.kind == "bench":
            self.bench.arm(plan.after, reads=plan.reads)
        else:
            self._arm_door(plan.kind.partition(" ")[0])

    def _arm_door(self, part: str) -> None:
        plan = self._plan
        if plan is None or plan.phase != self._phase or plan.kind.partition(" ")[0] != part:
            return
        if part in self.doors:
            state = State.SILENT if plan.kind == "gateway" else State.PULLED
            self.doors[part].arm(state, plan.after)

    def _heal(self) -> None:
        fired = [door.heal() for door in self.doors.values()]
        fired.append(self.bench.heal())
        if self._plan is not None:
            self._plan.fired = any(fired)


def put_between(injector: Injector) -> None:
    """From now on rigs open, and links connect, with the injector between."""
    simulated.stand_up = _standing(injector, simulated.stand_up)
    modbus_bench.ModbusBenchTwin = partial(ModbusBenchTwin, watch=injector.bench.watch)  # type: ignore[misc]
    connect, disconnect = Link.connect, Link.disconnect

    def connected(link: Link, url: str) -> None:
        where = urlsplit(url)
        proxy = Proxy(str(where.hostname), int(where.port or 0))
        injector.put("gateway", proxy)
        connect(link, f"{where.scheme}://127.0.0.1:{proxy.port}")
        assert link._gateway is not None
        link._gateway._client.timeout = httpx.Timeout(SOON)

    def disconnected(link: Link) -> None:
        disconnect(link)
        if proxy := injector.doors.pop("gateway", None):
            proxy.close()

    Link.connect, Link.disconnect = connected, disconnected  # type: ignore[method-assign]


def _standing(injector: Injector, stand_up: Callable[..., Any]) -> Callable[..., Any]:
    def standing(rig: Rig, lab: Lab, twins: Any, held: ExitStack, ports: Any = None) -> Any:
        site = stand_up(rig, lab, twins, held, ports)
        devices = {}
        for type_, device in site.rig.devices.items():
            assert device.door is not None
            proxy = Proxy(str(device.door.parameters["host"]), int(device.door.parameters["port"]))
            injector.put(type_.value, proxy)
            held.callback(proxy.close)
            door = replace(device.door, parameters={**device.door.parameters, "port": proxy.port})
            devices[type_] = replace(device, door=door)
        held.enter_context(injector.rig_open())
        return replace(site, rig=replace(site.rig, devices=_typed(devices)))

    return standing


def _typed(devices: Mapping[DeviceType, Any]) -> dict[DeviceType, Any]:
    return dict(devices)


class GatewayBreaker:
    """In the controller of workers: before every n-th test the gateway is pulled or silenced for a send."""

    def __init__(self, injector: Injector, every: int) -> None:
        self._injector, self._every, self._tests = injector, every, 0

    def pytest_runtest_logstart(self) -> None:
        self._tests += 1
        if self._tests % self._every == 0:
            state = State.SILENT if self._tests % (2 * self._every) else State.PULLED
            self._injector.doors["gateway"].arm(state, 0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown" and self._injector.doors["gateway"].fired:
            self._injector.doors["gateway"].heal()


def pytest_configure(config: pytest.Config) -> None:
    told = json.loads(os.environ["LAB_FAULTS"])
    worker, distributed = hasattr(config, "workerinput"), bool(config.getoption("numprocesses", default=None))
    cases = [case for case in CASES if not worker or "gateway" not in case[0]]
    record = Path(told["record"])
    injector = Injector(told["seed"], told["every"], record, cases, spare_openings=distributed or worker)
    put_between(injector)
    if distributed and not worker:
        config.pluginmanager.register(GatewayBreaker(injector, told["every"]), "lab-faults")
    else:
        config.pluginmanager.register(injector, "lab-faults")
