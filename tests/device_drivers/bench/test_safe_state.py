"""Whatever ends the driver, the bench comes to its declared safe state."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from device_drivers.bench.hold import BenchHold
from harness.domain.errors import BenchFault, TransportLost
from harness.domain.words import DeviceType
from tests.device_drivers.bench.conftest import guard_of_this_process

REPO = Path(__file__).resolve().parents[3]
HOLDER = """
import pickle, sys
from device_drivers.bench.controller import NoController
from device_drivers.bench.modbus.bench import open_modbus_bench
from device_drivers.named.device import NoTrace
from harness.domain.words import DeviceType
lab, rig = pickle.load(open(sys.argv[1], "rb"))
bench = open_modbus_bench(rig, lab, NoTrace(), NoController(rig.id))
bench.tamper(DeviceType.ESME, True)
bench.load(2000)
print("under load", flush=True)
sys.stdin.read()
"""


def state(bay) -> dict[str, object]:
    """What the house sees of the bench."""
    house = bay.house
    return {
        "W": house.bench.demand[0],
        "cover": house.esme.values["cover_open"],
        "V": house.bench.volts,
        "power": house.esme.powered,
    }


SAFE = {"W": 0, "cover": False, "V": 230, "power": True}


@contextmanager
def holder(bay, lab, tmp_path):
    """Another process that holds the bench, under load."""
    told = tmp_path / "told"
    told.write_bytes(pickle.dumps((lab, bay.rig(lab, timeout=20))))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, told],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPO,
    )
    try:
        assert process.stdout.readline() == "under load\n"
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_the_bench_is_brought_to_it_when_opened_in_its_declared_order(bay, open_it, settings) -> None:
    bay.house.bench.tamper(DeviceType.ESME, True)
    open_it()
    addresses = {(point.table, point.address): point.name for point in settings.map.points.values()}
    assert [addresses[request.table, request.address] for request in bay.writes] == list(settings.safe)
    assert state(bay) == SAFE


def test_closing_brings_it_there(bay, open_it) -> None:
    bench = open_it()
    bench.voltage(240)
    bench.load(3000)
    assert state(bay) == {**SAFE, "W": 3000, "V": 240}
    bench.close()
    assert state(bay) == SAFE


def test_an_exception_on_the_way_brings_it_there(bay, open_it) -> None:
    def fail() -> None:
        with closing(open_it()) as bench:
            bench.load(3000)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert state(bay) == SAFE


def test_a_step_that_fails_does_not_keep_the_next_from_it(bay, bench) -> None:
    bench.load(3000)
    bench.tamper(DeviceType.ESME, True)
    bay.twin.hold("gas.flow", 17)
    with pytest.raises(
        BenchFault, match=r"not in its safe state: .*gas\.flow was written 0 l/h and reads 17"
    ):
        bench.safe()
    assert state(bay) == SAFE


def test_a_lost_connection_is_opened_anew_for_it(bay, bench, notes) -> None:
    bench.load(3000)
    bay.refuse = lambda request: bay.twin.drop()
    with pytest.raises(TransportLost, match="connection was lost"):
        bench.load(10)
    bay.heal()
    bench.safe()
    assert state(bay) == SAFE
    assert notes.told("reconnecting")


def test_the_guard_does_it_where_the_driver_cannot(bay, open_it, notes, monkeypatch) -> None:
    bench = open_it()
    bench.load(3000)
    monkeypatch.setattr(
        "device_drivers.bench.modbus.bench.bring_to_safe_state",
        lambda *_: (_ for _ in ()).throw(BenchFault("no")),
    )
    bench.close()
    assert state(bay) == SAFE
    assert notes.told("guard must")


def test_nothing_is_switched_when_the_guard_has_died(bay, bench) -> None:
    os.kill(guard_of_this_process(), signal.SIGKILL)
    bench._hold._guard.wait()
    with pytest.raises(BenchFault, match=r"guard .* has died"):
        bench.load(1000)
    assert not bay.requests
    bench.safe()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_death_of_the_holder_brings_it_there_and_the_next_waits(
    bay, lab, notes, tmp_path, open_it, how
) -> None:
    with holder(bay, lab, tmp_path) as process:
        assert state(bay)["W"] == 2000
        guarding, go_on = threading.Event(), threading.Event()

        def hesitate(request):
            guarding.set()
            assert go_on.wait(20)

        bay.refuse = hesitate
        process.send_signal(how)
        process.wait(20)
        assert guarding.wait(20)  # the guard is at work, and holds the lock
        with pytest.raises(BenchFault, match=r"still held after 0\.2 s"):
            BenchHold.take(bay.rig(lab), lab, notes, within=0.2)
        bay.heal()
        go_on.set()
        with closing(open_it()):
            assert notes.told("waiting for whoever holds the bench")
            [told] = notes.told("a guard had to bring the bench to its safe state")
            assert told["outcome"] == "safe"
        assert state(bay) == SAFE


def test_a_holder_that_lives_is_not_taken_from(bay, lab, notes, tmp_path) -> None:
    with holder(bay, lab, tmp_path):
        with pytest.raises(BenchFault, match="still held"):
            BenchHold.take(bay.rig(lab), lab, notes, within=0.1)
        assert state(bay)["W"] == 2000
    BenchHold.take(bay.rig(lab), lab, notes).release(safe=True)
    assert state(bay) == SAFE


def test_a_guard_that_cannot_reach_the_bench_says_so_to_the_next(bay, lab, notes, tmp_path) -> None:
    with holder(bay, lab, tmp_path) as process:
        bay.twin.close()
        process.kill()
    BenchHold.take(bay.rig(lab), lab, notes).release(safe=True)
    [told] = notes.told("a guard had to")
    assert told["outcome"] == "failed"
    assert "attempt 3" in told["told"]
    assert "could not connect" in told["told"]


def test_the_guard_is_told_no_secret_on_its_command_line(bench) -> None:
    command = Path("/proc", str(guard_of_this_process()), "cmdline").read_bytes().split(b"\0")
    assert [Path(os.fsdecode(word)).name for word in command[1:-1]] == ["-P", "guard.py"]


def test_the_guard_loads_nothing_until_it_must() -> None:
    import device_drivers.bench.guard as guard

    loaded = subprocess.run(
        [sys.executable, "-P", "-X", "importtime", guard.__file__],
        input=b"", capture_output=True, check=True,
    )  # fmt: skip
    assert not [
        name for name in (b"harness", b"device_drivers", b"pymodbus", b"paramiko") if name in loaded.stderr
    ]


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\0" * 7 + b"\x09abc"])
def test_a_guard_whose_parent_died_before_it_was_told_anything_has_nothing_to_do(content) -> None:
    import device_drivers.bench.guard as guard

    subprocess.run([sys.executable, "-P", guard.__file__], input=content, check=True, timeout=20)
