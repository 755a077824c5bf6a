"""The services of a run: the DCC side as a process, the link in front of it, and how both end."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_drivers.dcc.duis import ResponseMessage
from device_drivers.dcc.loopback import LinkClient
from device_drivers.dcc.orders import Order
from device_drivers.dcc.services import start_lab
from device_drivers.dcc.tree import body_element, fragment, parse
from device_drivers.dcc.user import gateway_settler
from harness.domain.errors import ConfigurationError, LinkLost
from harness.domain.lab import Lab
from harness.domain.words import UserRole
from harness.hooks import RunContext


@pytest.fixture
def start(dcc_lab: Lab, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    started: list[Any] = []

    def start_it(lab: Lab = dcc_lab, *faults: str, run: str = "r1") -> Any:
        started.append(start_lab(lab, RunContext(run, tmp_path / run, 1, faults)))
        return started[-1]

    yield start_it
    for services in started:
        services.close()


def inventory_order(lab: Lab) -> Order:
    body = body_element("ReadInventory", {"DeviceID": lab.rigs[0].devices["ESME"].device_id})
    return Order(srv="8.2", role=UserRole.IS, target=lab.dcc.dcc_eui, body_xml=fragment(body))


def code(services: Any, lab: Lab) -> str:
    link = LinkClient(services.addresses["link"], services.addresses["token"])
    try:
        return ResponseMessage.read(parse(link.send(inventory_order(lab)).answer)).code
    finally:
        link.close()


def test_a_worker_reaches_the_dcc_through_the_run_s_link(start: Callable[..., Any], dcc_lab: Lab) -> None:
    services = start()
    assert code(services, dcc_lab) == "I0"
    gateway_settler(services.addresses, ("any",))()
    assert {"link", "token", "wan", "settle", "settle_token", "gateway", "receive"} == set(services.addresses)
    assert pickle.loads(pickle.dumps(dict(services.addresses))) == services.addresses


def test_two_runs_of_one_lab_at_once_do_not_disturb_each_other(
    start: Callable[..., Any], dcc_lab: Lab
) -> None:
    first, second = start(), start(run="r2")
    counters = []
    for services in (first, second, first, second):
        link = LinkClient(services.addresses["link"], services.addresses["token"])
        counters.append(int(link.send(inventory_order(dcc_lab)).request_id.split(":")[2]))
        link.close()
    assert counters == sorted(set(counters))


def test_the_dcc_side_ends_with_the_run(start: Callable[..., Any], tmp_path: Path) -> None:
    services = start()
    process = services.dcc_side.process
    services.close()
    assert process.returncode == 0
    services.close()
    assert (tmp_path / "r1" / "dcc-side.log").read_text() == ""


def test_an_interrupt_from_the_keyboard_is_not_for_the_dcc_side(start: Callable[..., Any]) -> None:
    assert os.getsid(start().dcc_side.process.pid) != os.getsid(0)


def test_a_dcc_side_that_is_killed_is_a_lost_link(start: Callable[..., Any], dcc_lab: Lab) -> None:
    services = start()
    services.dcc_side.process.kill()
    services.dcc_side.process.wait()
    with pytest.raises(LinkLost, match="the DCC gateway"):
        code(services, dcc_lab)
    with pytest.raises(LinkLost, match="the simulated gateway"):
        gateway_settler(services.addresses, ("any",))()


def test_a_fault_that_nobody_knows_is_told_from_the_process(start: Callable[..., Any], dcc_lab: Lab) -> None:
    with pytest.raises((LinkLost, ConfigurationError), match="no fault is called 'nonsense'"):
        start(dcc_lab, "nonsense")


def test_a_lab_with_a_dcc_outside_starts_the_link_alone(start: Callable[..., Any], dcc_lab: Lab) -> None:
    inside = start()
    trusted = replace(dcc_lab.dcc, gateway="http://127.0.0.1:9", users=())
    outside = start(replace(dcc_lab, dcc=trusted), run="r2")
    assert set(outside.addresses) == {"link", "token", "receive"}
    assert outside.link.receive_url.startswith("http://127.0.0.1:")
    assert inside.link.receive_url.startswith("https://127.0.0.1:")
    gateway_settler(outside.addresses, ("any",))()
