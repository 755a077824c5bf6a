"""A meter's end of an optical port: the sans-IO meter on a real pseudo terminal, at the pace of its line."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from select import select
from typing import Any

import pytest

from device_drivers.iec62056.messages import Identification
from device_drivers.iec62056.meter import Phase, SignOnMeter
from device_drivers.transports import serial
from device_drivers.transports.base import SerialLine, line_time
from device_drivers.transports.serial import open_serial


@dataclass(frozen=True)
class Passed:
    """What passed at the meter's end: bytes, the rate at which the port stood, and when the last had come."""

    what: str  # "heard" or "said"
    data: bytes
    baud: int
    at: float


Speech = Callable[[bytes, int], bytes]


def faithfully(data: bytes, _number: int) -> bytes:
    return data


class MeterEnd:
    """Answers at the far end of a cable as the meter does, until it is closed.

    Every answer passes ``speech``, with its number from 0: it may spoil it, or cut it short. ``echo``: the
    probe sends back what it hears. ``paced``: what comes takes the time that it takes on the line. What comes
    once HDLC has begun is heard, and not answered.
    """

    def __init__(self, cable: Any, meter: SignOnMeter, speech: Speech, *, echo: bool, paced: bool) -> None:
        self.passed: list[Passed] = []
        self._cable, self._meter, self._speech = cable, meter, speech
        self._echo, self._paced = echo, paced
        self._said = 0
        self._came = threading.Condition()
        self._stop, self._stopping = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def heard(self) -> bytes:
        """All that came so far."""
        return b"".join(each.data for each in self.passed if each.what == "heard")

    def hears(self, data: bytes) -> bool:
        """Wait until such bytes have come; whether they did within 5 s."""
        with self._came:
            return self._came.wait_for(lambda: self.heard.endswith(data), 5)

    def pull(self) -> None:
        """Take the cable away."""
        self.close()
        self._cable.unplug()

    def close(self) -> None:
        if self._stopping < 0:
            return
        os.write(self._stopping, b"x")
        self._thread.join()
        os.close(self._stop)
        os.close(self._stopping)
        self._stopping = -1

    def _run(self) -> None:
        while self._stop not in select([self._cable.far, self._stop], [], [])[0]:
            self._take(os.read(self._cable.far, 100))

    def _take(self, data: bytes) -> None:
        baud = self._cable.baud
        self._rest(line_time(len(data), baud) if self._paced else 0)
        with self._came:
            self.passed.append(Passed("heard", data, baud, time.monotonic()))
            self._came.notify()
        if self._echo:
            self._cable.say(data)
        if self._meter.phase is Phase.HDLC:
            return
        for spoken in self._meter.feed(data, time.monotonic()):
            self._rest(self._meter.reaction)
            said = self._speech(spoken.data, self._said)
            self._said += 1
            self.passed.append(Passed("said", said, self._cable.baud, time.monotonic()))
            self._cable.say(said)

    def _rest(self, seconds: float) -> None:
        select([self._stop], [], [], seconds)


@pytest.fixture
def real_pace() -> None:
    """For a test in which bytes take the time that they take on their line."""


@pytest.fixture(autouse=True)
def paced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether they do; in most tests they take none."""
    if "real_pace" in request.fixturenames:
        return True
    monkeypatch.setattr(serial, "line_time", lambda *_: 0.0)
    return False


@pytest.fixture
def meter_end(cable: Any, paced: bool) -> Iterator[Callable[..., MeterEnd]]:
    """Puts a meter at the far end of a cable, the test's own unless it names another."""
    with ExitStack() as held:

        def stand(
            identification: Identification,
            speech: Speech = faithfully,
            *,
            readout: Callable[[], bytes] | None = None,
            address: str = "",
            echo: bool = False,
            at: Any = cable,
        ) -> MeterEnd:
            meter = SignOnMeter(identification, readout, address=address)
            end = MeterEnd(at, meter, speech, echo=echo, paced=paced)
            held.callback(end.close)
            return end

        yield stand


@pytest.fixture
def line(cable: Any) -> Iterator[SerialLine]:
    """Our end of the cable."""
    opened = open_serial({"port": cable.path})
    yield opened
    opened.close()
