"""The pack under chaos: copied into a lab's folder as ``test_subject.py``, and run there by the harness.

Each test tells the referee when it begins and when it ends, and has its rig's bench under load in between;
most leave it so, for it is the harness that puts a rig down. A test fails or passes by its number alone.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from harness.domain.errors import DeviceFault
from harness.domain.words import DeviceType

COUNT = int(os.environ["CHAOS_TESTS"])
SECONDS = float(os.environ["CHAOS_SECONDS"])  # that a test is at work, on average
HAS = os.environ.get("CHAOS_HAS", "")  # besides a bench: "devices", or "devices and DCC"
HANGS = Path(os.environ["CHAOS_HANGS"])  # says how the test that may hang does so; not there: it does not

pytestmark = pytest.mark.ttm("TTM-4.1.1-E-01")


@pytest.fixture
def in_hand(rig, evidence):
    """The referee knows of the test for as long as it is in hand."""
    attempt = f"{evidence.folder.parent.name}/{evidence.folder.name}"
    told = {"attempt": attempt, "rig": rig.rig.id, "run": os.environ["CHAOS_RUN"]}
    with socket.socket(socket.AF_UNIX) as referee:
        referee.connect(os.environ["CHAOS_REFEREE"])
        referee.sendall(json.dumps(told).encode() + b"\n")
        referee.recv(64)  # it has heard
        yield rig
        referee.sendall(b"ended\n")
        referee.recv(64)


def use(rig):
    """Ask whatever is there."""
    if "devices" in HAS:
        rig.devices[DeviceType.ESME].read("active_import")
    if "DCC" in HAS:
        answer = rig.user.request("4.1.1", rig.devices[DeviceType.ESME])
        assert answer.success, answer.code


@pytest.mark.parametrize("number", range(COUNT))
def test_under_load(in_hand, evidence, number):
    in_hand.bench.load(1000 + number)
    use(in_hand)
    time.sleep(SECONDS * (0.5 + number % 3 / 2))
    in_hand.bench.voltage(231 + number)
    use(in_hand)
    evidence.attach("what the load bank told", os.urandom(4000), "application/octet-stream")
    if number % 4 == 3:
        raise DeviceFault(f"the meter counts nothing at {1000 + number} W")
    if number % 4 == 1:
        in_hand.bench.load(0)


@pytest.mark.deadline(float(os.environ["CHAOS_DEADLINE"]))
def test_that_may_hang(in_hand):
    in_hand.bench.load(2300)
    match HANGS.read_text() if HANGS.exists() else "":
        case "asleep":
            time.sleep(3600)
        case "busy":
            while True:
                pass
        case "in a library":
            ctypes.CDLL(None).pause()
        case "deaf":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
            while True:
                time.sleep(3600)
