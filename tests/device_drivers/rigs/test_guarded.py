"""What stands before drivers of any make: the fence at every call, and the part where a fault was met."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_drivers.named.device import NoTrace
from device_drivers.rigs.assembly import HeldRig, take_in_hand
from device_drivers.rigs.checks import check_rig
from device_drivers.rigs.guarded import guarded, letting_go
from device_drivers.rigs.wall_clock import WallClock
from device_drivers.simulated.rig import build_twins, stand_up
from harness.config import load_lab
from harness.domain.baseline import baseline_kept
from harness.domain.errors import (
    AccessRefused,
    BenchFault,
    CaptureUnavailable,
    ControllerFault,
    DeviceTimeout,
    LabFault,
    TransportLost,
)
from harness.domain.lab import Door, Lab, Rig
from harness.domain.words import DeviceType
from harness.hooks import unfenced
from harness.rigs.lease_words import StaleLease
from tests.device_drivers.fencing import PATIENCE, Gate

REPO = Path(__file__).parents[3]
ESME, CH = DeviceType.ESME, DeviceType.CH


class TheirMeter:
    """A third party's driver: it opens a port of its own, and knows nothing of fences."""

    device_type = ESME

    def __init__(self, port: socket.socket, trouble: Exception | None = None) -> None:
        self._port = port
        self._trouble = trouble
        self.tries = 0

    def read(self, item: str) -> int:
        self.tries += 1
        if self._trouble is not None:
            raise self._trouble
        self._port.sendall(item.encode())
        return 7

    def close(self) -> None:
        self._port.sendall(b"goodbye")
        self._port.close()


class TheirPoliteMeter(TheirMeter):
    """One that can leave without a word."""

    def abandon(self) -> None:
        self._port.close()


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    with ExitStack() as held:
        near, far = (held.enter_context(end) for end in socket.socketpair())
        far.settimeout(PATIENCE)
        yield near, far


Line = tuple[socket.socket, socket.socket]


def test_a_driver_with_ports_of_its_own_is_held_back_at_each_call(line: Line) -> None:
    near, far = line
    gate = Gate()
    meter = guarded(TheirMeter(near), gate, ESME)
    assert (meter.read("ours"), far.recv(99)) == (7, b"ours")
    gate.shut()
    for _ in range(2):
        with pytest.raises(StaleLease):
            meter.read("late")
    assert (meter.tries, meter.device_type) == (1, ESME)  # what is no call needs no fence
    near.close()
    assert far.recv(99) == b""


@pytest.mark.parametrize(
    ("kind", "is_late", "heard"),
    [
        (TheirMeter, False, b"goodbye"),
        (TheirPoliteMeter, False, b"goodbye"),
        (TheirMeter, True, b""),
        (TheirPoliteMeter, True, b""),
    ],
)
def test_only_who_is_in_time_lets_it_say_goodbye(
    kind: type[TheirMeter], is_late: bool, heard: bytes, line: Line
) -> None:
    near, far = line
    gate = Gate()
    let_go = letting_go(kind(near), gate)
    if is_late:
        gate.shut()
    let_go()
    assert (near.fileno() == -1) == (kind is TheirPoliteMeter or not is_late)
    near.close()
    assert far.recv(99) == heard


@pytest.mark.parametrize(
    ("fault", "part"),
    [
        (TransportLost("no probe"), ESME),
        (TransportLost("the controller is gone", part="controller"), "controller"),
        (BenchFault("no answer"), "bench"),
        (ControllerFault("no"), "controller"),
        (CaptureUnavailable("no tool"), "capture"),
    ],
)
def test_a_lab_fault_says_where_it_was_met(fault: LabFault, part: str, line: Line) -> None:
    meter = guarded(TheirMeter(line[0], fault), unfenced, ESME)
    with pytest.raises(type(fault)) as met:
        meter.read("active_import")
    assert met.value is fault
    assert met.value.part == part


@pytest.mark.parametrize("fault", [DeviceTimeout("late"), AccessRefused("no", result="denied"), ValueError()])
def test_what_is_no_lab_fault_passes_as_it_is(fault: Exception, line: Line) -> None:
    meter = guarded(TheirMeter(line[0], fault), unfenced, ESME)
    with pytest.raises(type(fault)) as met:
        meter.read("active_import")
    assert met.value is fault


# --- a whole rig ---------------------------------------------------------------------------------------


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return load_lab(REPO / "lab_config" / "simulated.yaml", state=tmp_path / "state")


@pytest.fixture
def rig(lab: Lab) -> Iterator[Rig]:
    """As of a lab file that names a door for each device."""
    with ExitStack() as held:
        described = lab.rigs[0]
        assert described.simulation is not None
        described = replace(described, simulation=replace(described.simulation, history_days=1))
        site = stand_up(described, lab, build_twins(described, 7), held)
        yield replace(site.rig, simulation=None)


Take = Callable[[Rig], HeldRig]


@pytest.fixture
def take(lab: Lab) -> Iterator[Take]:
    with ExitStack() as putting_down:

        def take(rig: Rig) -> HeldRig:
            clock = WallClock(lambda _what, _left: None)
            with ExitStack() as held:
                taken = take_in_hand(lab, rig, {}, clock, NoTrace(), held)
            putting_down.callback(taken.close)
            return taken

        yield take


def nowhere() -> Door:
    return Door(transport="tcp", parameters={"host": "127.0.0.1", "port": 1, "connect_timeout": 1})


def with_(rig: Rig, type_: DeviceType, **changes: Any) -> Rig:
    return replace(rig, devices={**rig.devices, type_: replace(rig.devices[type_], **changes)})


@pytest.mark.parametrize("type_", [ESME, CH])
def test_a_device_that_keeps_its_rig_closed_is_named(type_: DeviceType, rig: Rig, take: Take) -> None:
    model = replace(rig.devices[type_].model, firmware="9.9.9")
    stranger = replace(rig.devices[type_].security, system_title="0011223344556677")
    for broken in (
        with_(rig, type_, door=nowhere()),
        with_(rig, type_, model=model),
        with_(rig, type_, security=stranger),
    ):
        with pytest.raises(LabFault) as met:
            take(broken)
        assert met.value.part == type_


def test_a_check_of_a_rig_that_is_lost_meanwhile_finds_nothing_and_says_why(lab: Lab, rig: Rig) -> None:
    """A rig that is somebody else's by now must not be called bad."""
    whole = Gate()
    assert check_rig(lab, rig, {}, NoTrace(), whole)
    for share in (0.0, 0.3, 0.6, 0.9):
        gate = Gate()
        gate.shut(after=int(whole.asked * share))
        with pytest.raises(StaleLease):
            check_rig(lab, rig, {}, NoTrace(), gate)


def test_a_baseline_is_kept_until_a_device_tells_another_firmware(rig: Rig, take: Take) -> None:
    taken = take(rig)
    assert baseline_kept(taken) == []
    model = replace(rig.devices[CH].model, firmware="9.9.9")
    other = replace(taken, rig=with_(rig, CH, model=model))
    (deviation,) = baseline_kept(other)
    assert (deviation.device_type, deviation.part, deviation.expected) == (CH, "firmware", "9.9.9")
