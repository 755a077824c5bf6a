"""A rig whose lease has ended: whatever its door, nothing more reaches the device, not even a goodbye."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from device_drivers.esme import EsmeDriver
from device_drivers.named.device import NoTrace
from device_drivers.rigs.assembly import HeldRig, take_in_hand
from device_drivers.simulated.optical_port import _Speaker
from device_drivers.simulated.rig import Site, build_twins, stand_up
from harness.config import load_lab
from harness.domain.lab import Door, Hdlc, Lab, OpticalPort, RigDevice
from harness.domain.words import DeviceType
from harness.hooks import Wanted
from harness.rigs.lease_words import StaleLease
from tests.device_drivers.fencing import PATIENCE, Gate, Tap

REPO = Path(__file__).parents[3]
ESME = DeviceType.ESME
HDLC = Hdlc(answer=1.0)
PROBE = OpticalPort(settle=0, answer=1.0)
DOORS = {
    "the TCP wrapper": Door(transport="tcp"),
    "a serial server": Door(transport="serial-tcp", hdlc=HDLC),
    "an optical port with a sign-on": Door(transport="serial", optical=PROBE, hdlc=HDLC),
    "an optical port without one": Door(
        transport="serial", optical=replace(PROBE, mode="direct", baud=19_200), hdlc=HDLC
    ),
    "a probe that echoes, in the evidence": Door(
        transport="serial", optical=replace(PROBE, echo=True), hdlc=HDLC, log_bytes=True
    ),
}
MARK = b"\x7fmark"


class Pty:
    """The twin's end of a pseudo terminal: what it has read, by whatever program."""

    def __init__(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.heard = bytearray()
        self._path = path
        self._marked = threading.Event()
        answer = _Speaker._answer

        def hear(speaker: _Speaker, received: bytes) -> None:
            self.heard.extend(received)
            if self.heard.endswith(MARK):
                self._marked.set()
            else:
                answer(speaker, received)

        monkeypatch.setattr(_Speaker, "_answer", hear)

    def all(self) -> bytes:
        """All that came of a client that has closed the port: up to a mark that the test makes itself."""
        self._marked.clear()
        descriptor = os.open(self._path, os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(descriptor, MARK)
            assert self._marked.wait(PATIENCE), "the mark did not come through"
        finally:
            os.close(descriptor)
        return bytes(self.heard.removesuffix(MARK))


@dataclass
class Behind:
    """A twin behind a door, and who sees what reaches it."""

    lab: Lab
    site: Site
    esme: RigDevice
    peer: Tap | Pty
    gate: Gate

    @property
    def door(self) -> Door:
        assert self.esme.door is not None
        return self.esme.door

    def driver(self) -> EsmeDriver:
        """The driver alone: nothing stands between it and the fence of its port."""
        clock = self.site.twins.clock
        return EsmeDriver.connect(self.esme, self.door, self.lab, clock, NoTrace(), self.gate)

    def in_hand(self, **services: Any) -> HeldRig:
        """The rig with its bench and this one device."""
        rig = replace(self.site.rig, devices={**self.site.rig.devices, ESME: self.esme})
        with ExitStack() as held:
            return take_in_hand(
                self.lab, rig, services, self.site.twins.clock, NoTrace(), held, Wanted(devices=(ESME,)),
                fence=self.gate, bench=self.site.bench,
            )  # fmt: skip


@pytest.fixture
def behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Door], Behind]]:
    lab = load_lab(REPO / "lab_config" / "simulated.yaml", state=tmp_path / "state")
    with ExitStack() as held:

        def stand(door: Door) -> Behind:
            rig = lab.rigs[0]
            devices = {**rig.devices, ESME: replace(rig.devices[ESME], door=door)}
            rig = replace(rig, devices=devices, simulation=replace(rig.simulation, history_days=1))
            site = stand_up(rig, lab, build_twins(rig, 7), held)
            esme = site.rig.devices[ESME]
            assert esme.door is not None
            parameters = dict(esme.door.parameters)
            if "host" not in parameters:
                return Behind(lab, site, esme, Pty(parameters["port"], monkeypatch), Gate())
            tap = held.enter_context(Tap((parameters["host"], parameters["port"])))
            parameters["host"], parameters["port"] = tap.address
            esme = replace(esme, door=replace(esme.door, parameters=parameters))
            return Behind(lab, site, esme, tap, Gate())

        yield stand


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_late_driver_sends_nothing_more_and_closes_without_a_word(
    door: Door, behind: Callable[[Door], Behind]
) -> None:
    at = behind(door)
    for is_late in (False, True):
        esme = at.driver()
        esme.read("active_import")
        sent = bytes(at.peer.heard)
        if is_late:
            at.gate.shut()
            with pytest.raises(StaleLease):
                esme.read("active_import")
        esme.close()
        assert (at.peer.all() == sent) == is_late  # in time it says goodbye


@pytest.mark.parametrize("name", ["the TCP wrapper", "a serial server", "an optical port with a sign-on"])
def test_a_late_rig_is_closed_without_a_word_to_its_meter(
    name: str, behind: Callable[[Door], Behind]
) -> None:
    at = behind(DOORS[name])
    with closing(at.in_hand()) as rig:
        at.gate.shut()
        sent = bytes(at.peer.heard)
        for late in (rig.devices[ESME].clock, lambda: rig.devices[ESME].write("supplier_name", "Late")):
            with pytest.raises(StaleLease):
                late()
        rig.close()
        assert at.peer.all() == sent


def test_a_door_is_not_opened_for_who_is_late(behind: Callable[[Door], Behind]) -> None:
    at = behind(DOORS["an optical port with a sign-on"])
    at.gate.shut()
    for opening in (at.driver, at.in_hand, lambda: at.in_hand(link="nowhere")):  # nor is the DCC link
        with pytest.raises(StaleLease):
            opening()
    assert at.peer.all() == b""


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_lease_that_ends_while_a_door_is_opened_ends_that(
    after: int, behind: Callable[[Door], Behind]
) -> None:
    """In the sign-on, in HDLC, in the association: whatever was to be said next is not said."""
    at = behind(DOORS["an optical port with a sign-on"])
    at.gate.shut(after=after)
    with pytest.raises(StaleLease):
        at.driver()
    assert at.gate.asked == after  # one when the port was opened, then one for each message
    assert (at.peer.all() == b"") == (after == 1)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_profile_is_read_no_further_than_the_lease_lasts(
    share: float, behind: Callable[[Door], Behind]
) -> None:
    short = replace(HDLC, information_field=128, window=1)
    at = behind(Door(transport="tcp", hdlc=short))
    esme = at.driver()
    before = at.gate.asked, len(at.peer.heard)
    assert len(esme.log("profile")) == 48
    asked, sent = at.gate.asked - before[0], len(at.peer.heard) - before[1]
    assert asked > 10  # a window of one short frame: many times asked to go on
    before = at.gate.asked, len(at.peer.heard)
    at.gate.shut(after=int(asked * share))
    with pytest.raises(StaleLease):
        esme.log("profile")
    esme.close()
    assert at.gate.asked - before[0] == int(asked * share)
    assert len(at.peer.all()) - before[1] < sent


def test_a_firmware_image_is_brought_no_further_than_the_lease_lasts(
    behind: Callable[[Door], Behind],
) -> None:
    at = behind(DOORS["the TCP wrapper"])
    with closing(at.in_hand()) as rig:
        esme = rig.devices[ESME]
        esme.perform("image_initiate", {"version": b"X9", "size": 4_096})
        blocks = iter(range(16))
        at.gate.shut(after=2 * 5 + 1)  # before each call and each write: block 5 stays here
        with pytest.raises(StaleLease):
            deque(esme.perform("image_block", {"number": each, "block": bytes(256)}) for each in blocks)
        assert next(blocks) == 6
        sent = bytes(at.peer.heard)
        rig.close()
        assert at.peer.all() == sent


def test_the_bench_and_the_service_user_of_a_late_rig_refuse(behind: Callable[[Door], Behind]) -> None:
    at = behind(DOORS["the TCP wrapper"])
    with closing(at.in_hand()) as rig:
        rig.bench.load(1_000)
        at.gate.shut()
        calls: list[Callable[[], Any]] = [
            lambda: rig.bench.load(2_000),
            lambda: rig.bench.mains(False),
            rig.bench.safe,
            lambda: rig.user.request("4.1.1", rig.devices[ESME]),
        ]
        for call in calls:
            with pytest.raises(StaleLease):
                call()
    assert at.site.bench is not None
    assert at.site.bench.demand == (1_000, 0)  # whoever has the rig now makes it safe


def test_a_rig_that_is_ours_is_left_safe(behind: Callable[[Door], Behind]) -> None:
    at = behind(DOORS["the TCP wrapper"])
    rig = at.in_hand()
    rig.bench.load(1_000)
    rig.close()
    assert at.site.bench is not None
    assert at.site.bench.demand == (0, 0)
