"""A bench whose lease has ended: neither its driver nor its guard writes to it any more."""

from __future__ import annotations

import os
import select
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from device_drivers.bench.capture import open_capture
from device_drivers.bench.controller import NoController
from device_drivers.bench.modbus.bench import ModbusBench, open_modbus_bench
from device_drivers.bench.modbus.client import open_link
from device_drivers.rigs.assembly import take_in_hand
from device_drivers.rigs.wall_clock import WallClock
from harness.domain.bench import SerialPort, Table
from harness.domain.errors import BenchFault, TransportLost
from harness.domain.lab import CaptureLine
from harness.domain.words import DeviceType
from harness.hooks import Wanted
from harness.rigs.lease_words import StaleLease
from tests.device_drivers.bench.conftest import belongings
from tests.device_drivers.fencing import Gate, Tap

Open = Callable[[Gate], ModbusBench]


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def line(bay) -> Iterator[Tap]:
    with Tap((bay.settings.host, bay.settings.port)) as tap:
        yield tap


@pytest.fixture
def fenced(bay, lab, notes, line: Tap) -> Iterator[Open]:
    """Opens the driver behind a fence; what it sends passes the line."""
    with ExitStack() as held:

        def open_bench(gate: Gate) -> ModbusBench:
            host, port = line.address
            rig = bay.rig(lab, host=host, port=port)
            bench = open_modbus_bench(rig, lab, notes, NoController(rig.id), gate)
            held.callback(bench.abandon)
            return bench

        yield open_bench


def requests(sent: bytes) -> int:
    """How many requests of Modbus TCP those bytes are."""
    count = at = 0
    while at < len(sent):
        at += 6 + int.from_bytes(sent[at + 4 : at + 6])
        count += 1
    return count


def late_calls(bench: ModbusBench) -> list[Callable[[], object]]:
    return [
        lambda: bench.load(2_000),
        lambda: bench.voltage(240),
        lambda: bench.tamper(DeviceType.ESME, True),
        bench.reference,
        bench.temperature,
        bench.safe,
    ]


def test_a_late_bench_refuses_whatever_is_asked(bay, fenced: Open, gate: Gate, line: Tap) -> None:
    bench = fenced(gate)
    bench.load(1_000)
    gate.shut()
    sent = bytes(line.heard)
    for call in late_calls(bench):
        with pytest.raises(StaleLease):
            call()
    assert line.all() == sent  # it has hung up at the first refusal
    assert bay.house.bench.demand == (1_000, 0)


@pytest.mark.parametrize("way", ["close", "abandon"])
def test_a_late_bench_is_let_go_of_as_it_is_and_its_guard_goes_in_peace(
    way: str, bay, fenced: Open, gate: Gate, line: Tap
) -> None:
    bench = fenced(gate)
    bench.load(1_000)
    gate.shut()
    sent, heard = bytes(line.heard), len(bay.requests)
    if way == "close":
        with pytest.raises(StaleLease):
            bench.close()
    bench.abandon()
    assert line.all() == sent
    assert len(bay.requests) == heard  # the guard would have come by a way of its own
    assert bay.house.bench.demand == (1_000, 0)


def test_who_has_the_bench_next_finds_it_free_and_makes_it_safe(bay, fenced: Open, gate: Gate) -> None:
    late = fenced(gate)
    late.load(1_000)
    gate.shut()
    late.abandon()
    fenced(Gate()).close()
    assert bay.house.bench.demand == (0, 0)


@pytest.mark.parametrize("after", [1, 3, 10])
def test_a_lease_that_ends_on_the_way_to_the_safe_state_stops_there(
    after: int, fenced: Open, gate: Gate, line: Tap
) -> None:
    bench = fenced(gate)
    bench.load(1_000)
    sent = requests(line.heard)
    gate.shut(after=after)
    with pytest.raises(StaleLease):  # and no BenchFault that tells of steps that failed
        bench.safe()
    assert requests(line.all()) == sent + after - 1  # asked once before the first, then before each


def test_a_bench_is_not_opened_for_who_is_late(bay, fenced: Open, gate: Gate, line: Tap) -> None:
    before = belongings()
    gate.shut()
    with pytest.raises(StaleLease):
        fenced(gate)
    assert belongings() == before
    assert not line.heard


def test_a_lease_that_ends_while_the_bench_is_opened_leaves_it_and_no_guard(
    bay, fenced: Open, gate: Gate, line: Tap
) -> None:
    children = belongings()[2]
    gate.shut(after=5)
    with pytest.raises(StaleLease):
        fenced(gate)
    assert 0 < requests(line.all()) < 5
    assert belongings()[2] == children


def test_a_bench_that_is_ours_and_fails_is_still_rescued_by_its_guard(bay, fenced: Open, gate: Gate) -> None:
    bench = fenced(gate)
    bench.load(1_000)
    bay.refuse = lambda request: 4 if request.words else None
    with pytest.raises(BenchFault):
        bench.safe()
    bay.heal()
    bench._panel.link.close()
    bench.close()
    assert bay.house.bench.demand == (0, 0)


def test_not_a_byte_leaves_a_late_serial_port(settings, gate: Gate) -> None:
    far, near = os.openpty()
    tty.setraw(near)
    link = open_link(replace(settings, serial=SerialPort(port=os.ttyname(near)), timeout=0.1), ("", 0), gate)
    gate.shut()
    for ask in (
        lambda: link.read(Table.COIL, 0, 1),
        lambda: link.write(Table.COIL, 0, (1,)),
        lambda: link.write(Table.HOLDING_REGISTER, 0, (1, 2)),
    ):
        with pytest.raises(StaleLease):
            ask()
    link.close()
    assert select.select([far], [], [], 0)[0] == []
    os.close(near)
    os.close(far)


def test_a_bench_behind_rtu_is_fenced_as_well(settings, stand_bay, lab, notes, gate: Gate) -> None:
    bay = stand_bay(replace(settings, serial=SerialPort(port="", baud=115_200)))
    bench = open_modbus_bench(bay.rig(lab), lab, notes, NoController("one"), gate)
    bench.load(1_000)
    gate.shut()
    heard = len(bay.requests)
    for call in late_calls(bench):
        with pytest.raises(StaleLease):
            call()
    bench.abandon()
    ours = open_modbus_bench(bay.rig(lab), lab, notes, NoController("one"))
    first, *_ = bay.requests[heard:]
    assert first == bay.writes[0]  # the new owner's first: nothing came in between
    ours.close()


def test_a_bench_that_keeps_its_rig_closed_is_named(bay, lab, notes) -> None:
    clock = WallClock(lambda _what, _left: None)
    with ExitStack() as held, pytest.raises(TransportLost) as met:
        take_in_hand(lab, bay.rig(lab, port=1), {}, clock, notes, held, Wanted(devices=()))
    assert met.value.part == "bench"


def test_a_late_rig_is_not_listened_to(lab, notes, gate: Gate) -> None:
    rig = replace(lab.rigs[0], captures={"wan": CaptureLine(interface="lo")})
    capture = open_capture(rig, lab, NoController(rig.id), notes, gate)
    gate.shut()
    with pytest.raises(StaleLease), capture.record("wan"):
        pytest.fail("it listens")
    assert notes.events == []
