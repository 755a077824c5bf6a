"""What goes wrong at an optical port, each on a pseudo terminal: one lab fault, in time, and nothing left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from device_drivers.doors.opening import open_association, open_transport
from device_drivers.iec62056 import sign_on
from device_drivers.iec62056.messages import Identification
from device_drivers.iec62056.parity import with_parity
from device_drivers.iec62056.readout import read_out
from device_drivers.iec62056.sign_on import signed_on
from device_drivers.named.device import NoTrace
from device_drivers.transports.base import SerialLine, line_time
from device_drivers.transports.serial import open_serial
from harness.domain.errors import LabFault, TransportLost
from harness.domain.lab import DlmsSecurity, Door, Hdlc, OpticalPort
from harness.domain.words import DeviceType

pytestmark = pytest.mark.usefixtures("leaving_nothing")

METER = Identification("EXa", 9600, "TWIN")
TEXT = b"1-0:1.8.0(000123.45*kWh)\r\n!\r\n"
MODE_E = OpticalPort(mode="mode-e", settle=0.01, answer=0.5)
MODE_C = OpticalPort(mode="mode-c", settle=0.01, answer=0.5)
DEADLINE = 10.0  # seconds; the waits of these tests come to less than two


@contextmanager
def lost(match: str) -> Iterator[None]:
    """What happens within is a lost transport, that is a lab fault, within the deadline."""
    began = time.monotonic()
    with pytest.raises(TransportLost, match=match) as raised:
        yield
    assert time.monotonic() - began < DEADLINE
    assert isinstance(raised.value, LabFault)
    assert raised.value.remedy


# --- pulled out ----------------------------------------------------------------------------------------


class PulledOut:
    """A serial line whose probe is pulled out as its client comes to a step; it keeps the steps."""

    def __init__(self, line: SerialLine, pull: Callable[[], None], step: str) -> None:
        self._line, self._pull, self._step = line, pull, step
        self._heard_after = iter(("identification", "what follows"))
        self._reading = ""
        self.steps: list[str] = []

    @property
    def name(self) -> str:
        return self._line.name

    @property
    def baud(self) -> int:
        return self._line.baud

    def write(self, data: bytes) -> None:
        self._come_to("request" if not self._reading else "choice")
        self._line.write(data)
        self._reading = next(self._heard_after)

    def read(self, at_most: int, timeout: float) -> bytes:
        self._come_to(self._reading)
        return self._line.read(at_most, timeout)

    def set_baud(self, baud: int) -> None:
        self._come_to(f"change to {baud} baud")
        self._line.set_baud(baud)

    def close(self) -> None:
        self._line.close()

    def _come_to(self, step: str) -> None:
        if step == self._step and step not in self.steps:
            self._pull()
        self.steps.append(step)


STEPS = ("change to 300 baud", "request", "identification", "choice", "what follows", "change to 9600 baud")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("act", [lambda line: signed_on(line, MODE_E), lambda line: read_out(line, MODE_C)])
def test_a_probe_pulled_out_at_any_step_is_a_lost_transport(line, meter_end, act, step) -> None:
    pulled = PulledOut(line, meter_end(METER, readout=lambda: TEXT).pull, step)
    with lost(r"serial /dev/pts/\d+: could not .*plugged in"):
        act(pulled)
    assert pulled.steps[-1] == step


def test_a_probe_pulled_out_while_the_meter_is_waited_for_is_noticed_at_once(line, cable) -> None:
    timer = threading.Timer(0.3, cable.unplug)
    timer.start()
    with lost("could not receive"):
        signed_on(line, OpticalPort(mode="mode-e", settle=0.01, answer=60))
    timer.join()


def test_a_probe_that_comes_back_is_signed_on_to_when_it_is_opened_anew(plug_in, meter_end, tmp_path) -> None:
    """Its name leads to another device then."""
    name, first = tmp_path / "usb-probe", plug_in()
    name.symlink_to(first.path)
    line = open_serial({"port": str(name)})
    meter_end(METER, at=first).pull()
    with lost("could not"):
        signed_on(line, MODE_E)
    line.close()
    name.unlink()
    with lost("no such port"):
        open_serial({"port": str(name)})
    again = plug_in()
    name.symlink_to(again.path)
    meter_end(METER, at=again)
    line = open_serial({"port": str(name)})
    assert signed_on(line, MODE_E) == METER
    line.close()


# --- what comes is not what was said -------------------------------------------------------------------


def flipped(said: bytes) -> bytes:
    return said[:3] + bytes((said[3] ^ 0x80,)) + said[4:]


SPOILED = {
    "silence": (lambda said: b"", "nothing came"),
    "half": (lambda said: said[: len(said) // 2], "no whole message in"),
    "all but its end": (lambda said: said[:-1], "no whole message in"),
    "headless": (lambda said: said[1:], "no beginning of a message in"),
    "parity": (flipped, "characters of wrong parity in"),
    "noise alone": (lambda said: b"\x00\xff\x55", r"characters of wrong parity in 00 ff 55|no whole message"),
}


@pytest.mark.parametrize("spoiled", SPOILED)
@pytest.mark.parametrize(("number", "what"), [(0, "identification"), (1, "confirmation of mode E")])
def test_an_answer_that_does_not_come_whole_is_a_lost_transport(
    line, meter_end, number, what, spoiled
) -> None:
    spoil, trouble = SPOILED[spoiled]
    meter_end(METER, lambda said, at: spoil(said) if at == number else said)
    with lost(rf"no {what}: ({trouble}).*time-out"):
        signed_on(line, MODE_E)


def test_noise_before_and_between_is_passed_over(line, cable, meter_end) -> None:
    cable.say(b"\xff\x00\x7e\xa0 late answers of a session that broke off\r\n")
    meter_end(METER, lambda said, _: b"\x00\xff/half" + said)
    assert signed_on(line, MODE_E) == METER


def test_a_line_that_never_falls_silent_keeps_nobody_beyond_the_deadline(
    line, cable, far_end, monkeypatch
) -> None:
    monkeypatch.setattr(sign_on, "LONGEST_MESSAGE", 8)
    quiet = threading.Event()

    def noise() -> None:
        while not quiet.wait(line_time(1, 300)):
            cable.say(b"\xaa")

    far_end(noise)
    try:
        with lost("no identification: no whole message in aa aa"):
            signed_on(line, MODE_E)
    finally:
        quiet.set()


def test_a_meter_that_says_another_thing_over_and_over_is_lost(line, cable, far_end, monkeypatch) -> None:
    monkeypatch.setattr(sign_on, "LONGEST_MESSAGE", 8)
    quiet = threading.Event()

    def other() -> None:
        while not quiet.wait(0.05):
            cable.say(with_parity(b"/EXAATWIN\r\n"))

    far_end(other)
    try:
        with lost("no identification: .*is no identification of a meter of mode C or E"):
            signed_on(line, MODE_E)
    finally:
        quiet.set()


# --- behind a door -------------------------------------------------------------------------------------


@pytest.fixture
def esme(shipped_lab: Any) -> Any:
    described = next(iter(shipped_lab.rigs)).devices[DeviceType.ESME]
    return replace(described, security=DlmsSecurity(mechanism="none"))


def door(cable: Any, **optical: Any) -> Door:
    return Door(
        transport="serial",
        parameters={"port": cable.path},
        optical=replace(MODE_E, **optical),
        hdlc=Hdlc(answer=0.1, attempts=1),
    )


@pytest.mark.parametrize(
    ("speech", "trouble"),
    [
        (lambda said, _: b"", "no identification"),
        (lambda said, _: said, "of our frames brought no answer of use"),
    ],
    ids=["sign-on", "HDLC"],
)
def test_a_door_that_does_not_open_lets_go_of_its_port(
    cable, meter_end, shipped_lab, esme, speech, trouble
) -> None:
    meter_end(METER, speech)
    with lost(trouble):
        open_association(esme, door(cable), shipped_lab, NoTrace())
    open_serial({"port": cable.path}).close()  # the lock is gone


def test_a_door_that_is_in_use_is_a_lab_fault_that_names_its_port(cable, line, shipped_lab) -> None:
    with lost(f"serial {cable.path}: held by process"):
        open_transport(door(cable), shipped_lab, NoTrace(), "ESME")


def test_a_door_with_echo_drops_it(cable, meter_end, shipped_lab) -> None:
    meter_end(METER, echo=True)
    with closing(open_transport(door(cable, echo=True), shipped_lab, NoTrace(), "ESME")) as transport:
        assert signed_on(transport, MODE_E) == METER


def test_a_door_without_echo_hears_it(cable, meter_end, shipped_lab) -> None:
    meter_end(METER, echo=True)
    with (
        closing(open_transport(door(cable), shipped_lab, NoTrace(), "ESME")) as transport,
        lost(r"the probe echoes.*echo: true"),
    ):
        signed_on(transport, MODE_E)
