"""A DCC on real sockets for the tests: our link, our gateway stub, and an S1SP that answers as it is told."""

from __future__ import annotations

import os
import pty
import select
import termios
import threading
import tty
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from device_drivers.dcc.link import Link
    from device_drivers.dcc.orders import Sent
    from device_drivers.simulated.gateway.stub import Gateway
    from device_drivers.simulated.s1sp.answer import CountersignedRequest, Smets1Answer
    from harness.domain.faults import Fault
    from harness.domain.lab import Lab

REPO = Path(__file__).parents[2]
SPEC = REPO.parent / "shared" / "spec"
MORNING = datetime(2025, 3, 3, 8, tzinfo=UTC)


@pytest.fixture(scope="session")
def spec() -> Path:
    """The folder of facts, schemas and samples beside the repository."""
    if not SPEC.is_dir():
        pytest.skip(f"the schemas and samples are not there: {SPEC}")
    return SPEC


@pytest.fixture(scope="session")
def shipped_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The simulated lab that the project ships."""
    from harness.config import load_lab

    return load_lab(REPO / "lab_config" / "simulated.yaml", state=tmp_path_factory.mktemp("state"))


@pytest.fixture
def dcc_lab(shipped_lab: Lab, tmp_path: Path) -> Lab:
    """The same lab with a state of its own: fresh keys and counters."""
    return replace(shipped_lab, state=tmp_path / "state")


@dataclass
class ToldS1sp:
    """Answers every request with what ``answer`` makes of it, and remembers what it was asked."""

    answer: Callable[[CountersignedRequest], Smets1Answer]
    asked: list[CountersignedRequest] = field(default_factory=list)
    images: list[tuple[str, str, bytes]] = field(default_factory=list)

    def perform(self, request: CountersignedRequest) -> Smets1Answer:
        self.asked.append(request)
        return self.answer(request)

    def distribute_firmware(self, device_id: str, version: str, image: bytes) -> None:
        self.images.append((device_id, version, image))

    def firmware_version(self, device_id: str) -> str:
        return self.images[-1][1]

    def installed(self, device_ids: Collection[str]) -> None:
        """It keeps nothing of a device."""


@dataclass
class StandingTime:
    """Lab time that stands, and remembers how long it was asked to pass."""

    held: list[tuple[str, float]] = field(default_factory=list)
    rung: list[tuple[str, datetime]] = field(default_factory=list)
    moment: datetime = MORNING

    def now(self, ch_id: str) -> datetime:
        return self.moment

    def hold(self, ch_id: str, seconds: float) -> None:
        self.held.append((ch_id, seconds))

    def ring(self, ch_id: str, moment: datetime) -> None:
        self.rung.append((ch_id, moment))


DATA: dict[str, Any] = {
    "4.1.1": {"Electricity": {"ActiveImportRegister": {"Value": 1000, "ActiveEnergyUnit": "Wh"}}},
}


def success(request: CountersignedRequest) -> Smets1Answer:
    """Done, with what little the schema wants to hear."""
    from device_drivers.dcc.duis import response_element
    from device_drivers.simulated.s1sp.answer import Smets1Answer

    return Smets1Answer(
        device_id=request.target,
        srv=request.srv,
        response_element=response_element(request.body_element),
        success=True,
        data=DATA.get(request.srv),
        timestamp=MORNING,
    )


@dataclass
class DccBench:
    """Link and gateway connected over TLS, with the ends in the test's hand."""

    lab: Lab
    folder: Path
    link: Link
    gateway: Gateway
    gateway_server: Any
    s1sp: ToldS1sp
    time: StandingTime
    services: dict[str, Any]

    @property
    def esme(self) -> str:
        return next(iter(self.lab.rigs)).devices["ESME"].device_id

    @property
    def gsme(self) -> str:
        return next(iter(self.lab.rigs)).devices["GSME"].device_id

    def send(self, srv: str, body: Any = None, *, role: str = "IS", target: str = "", **forgery: Any) -> Sent:
        """Send one request and return its answer on the same connection."""
        from device_drivers.dcc.orders import Order
        from device_drivers.dcc.tree import body_element, fragment
        from harness.domain.instruments import Forgery
        from harness.domain.words import UserRole

        row = self.lab.catalogue[srv]
        order = Order(
            srv=srv,
            role=UserRole(role),
            target=target or (self.lab.dcc.dcc_eui if row.non_device else self.esme),
            body_xml=fragment(body_element(row.body_element, body)),
            forgery=Forgery(**forgery),
        )
        return self.link.send(order)

    def code(self, srv: str, body: Any = None, **how: Any) -> str:
        """The response code on the same connection."""
        from device_drivers.dcc.duis import ResponseMessage
        from device_drivers.dcc.tree import parse

        sent = self.send(srv, body, **how)
        return ResponseMessage.read(parse(sent.answer)).code if sent.status == 200 else f"HTTP {sent.status}"

    def settle(self) -> None:
        """Wait until every message has arrived."""
        devices = [device.device_id for rig in self.lab.rigs for device in rig.devices.values()]
        self.gateway.in_flight.settle([device.upper() for device in devices], 10)


@pytest.fixture
def open_dcc(tmp_path: Path) -> Iterator[Callable[..., DccBench]]:
    """Opens benches on a lab, with faults; closes them all."""
    from device_drivers.dcc.identities import simulated_identities
    from device_drivers.dcc.link import Link
    from device_drivers.dcc.loopback import LinkDoor
    from device_drivers.simulated.dcc_process import Commission
    from device_drivers.simulated.dcc_side import build_gateway, serve_control, serve_gateway
    from harness.domain.faults import Interceptions, Place
    from harness.hooks import RunContext

    with ExitStack() as held:

        def open_bench(lab: Lab, *faults: Fault, answer: Any = success) -> DccBench:
            link = Link(lab, simulated_identities(lab), tmp_path / "dcc")
            held.callback(link.close)
            commission = Commission(lab, RunContext("r1", tmp_path, 1), link.receive_url, link.counters())
            s1sp, time = ToldS1sp(answer), StandingTime()
            gateway = build_gateway(commission, s1sp, time, Interceptions(Place.GATEWAY, 1, faults))
            held.callback(gateway.close)
            server = serve_gateway(gateway, lab)
            held.callback(server.close)
            link.connect(f"https://{server.host}:{server.port}")
            held.callback(link.disconnect)
            control, door = serve_control(gateway), LinkDoor(link)
            held.callback(control.close)
            held.callback(door.close)

            def stop_at_once() -> None:
                """Servers take a tenth of a second each to stop: let them do it side by side."""
                link.disconnect()
                gateway.close()
                for stopping in (server, link._receiver):
                    stopping.stop()

            held.callback(stop_at_once)
            services = {
                "link": door.address,
                "token": door.token,
                "settle": control.address,
                "settle_token": control.token,
            }
            return DccBench(lab, tmp_path / "dcc", link, gateway, server, s1sp, time, services)

        yield open_bench


@pytest.fixture
def dcc(open_dcc: Callable[..., DccBench], dcc_lab: Lab) -> DccBench:
    """A bench without faults on the shipped lab."""
    return open_dcc(dcc_lab)


class Cable:
    """A pseudo terminal: our end is a port with a path, the other end is in the test's hand."""

    def __init__(self) -> None:
        self.far, self._near = pty.openpty()
        self._ends = [self.far, self._near]
        tty.setraw(self._near)
        self.path = os.ttyname(self._near)

    @property
    def baud(self) -> int:
        """The rate at which the port stands."""
        constant = termios.tcgetattr(self.far)[5]
        return next(baud for baud in (300, 9600, 19200, 115200) if getattr(termios, f"B{baud}") == constant)

    def say(self, data: bytes) -> None:
        os.write(self.far, data)

    def hear(self, count: int) -> bytes:
        """The next so many bytes; those that came until 5 s of silence."""
        heard = b""
        while len(heard) < count and select.select([self.far], [], [], 5)[0]:
            heard += os.read(self.far, count - len(heard))
        return heard

    def unplug(self) -> None:
        while self._ends:  # once: another file may have their numbers by now
            os.close(self._ends.pop())


@pytest.fixture
def plug_in() -> Iterator[Callable[[], Cable]]:
    """Makes cables, and takes them away."""
    with ExitStack() as held:

        def plug_in() -> Cable:
            cable = Cable()
            held.callback(cable.unplug)
            return cable

        yield plug_in


@pytest.fixture
def cable(plug_in: Callable[[], Cable]) -> Cable:
    return plug_in()


@pytest.fixture
def far_end() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Runs what happens at the far end of a line beside the test, and fails the test where that failed."""
    with ThreadPoolExecutor() as pool:
        running: list[Future[Any]] = []
        yield lambda act: running.append(pool.submit(act))
        for one in running:
            one.result(10)


@pytest.fixture
def leaving_nothing() -> Iterator[None]:
    """No thread and no file descriptor of the test is left."""
    threads, files = set(threading.enumerate()), set(Path("/proc/self/fd").iterdir())
    yield
    assert set(threading.enumerate()) <= threads
    assert set(Path("/proc/self/fd").iterdir()) <= files
