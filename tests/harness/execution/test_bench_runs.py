"""Whole runs with a Modbus bench: what it does wrong blocks in time, and a worker's death leaves it safe."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from device_drivers.simulated.modbus_bench import Request
from harness.config import load_lab
from harness.domain.words import AttemptResult
from harness.records.rig_log import log_of
from tests.device_drivers.bench.conftest import BENCH, Bay

REPO = Path(__file__).resolve().parents[3]


@pytest.fixture
def bay(bench) -> Iterator[Bay]:
    """The bench of rig ioc-1, served from here; no other rig can be opened."""
    described = BENCH.replace("map: ", f"map: {REPO}/lab_config/")
    bench.edit_lab(r"(\n  ioc-1:.*?)(    devices:\n)", rf"\1{described}\2")
    settings = load_lab(bench.folder / "lab.yaml").rig("ioc-1").modbus
    assert settings is not None
    bay = Bay(settings)
    with closing(bay.twin):
        bench.environment |= {
            "MODBUS_BENCH": f"{bay.settings.host}:{bay.settings.port}",
            "BROKEN_RIGS": "ioc-2",
        }
        yield bay


def attempts_on(bench, rig: str) -> list:
    return [each for tried in bench.record().attempts.values() for each in tried if each.rig == rig]


def test_a_worker_that_is_killed_leaves_the_bench_safe_and_the_next_attempt_waits_for_it(bench, bay) -> None:
    bench.environment["RIGS_DIE"] = "yes"
    bench.write_tests("""
    @planned
    def test_dies_under_load(rig):
        rig.bench.load(2000)
        Path("under-load").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    _, output = bench.run("-n", "rigs", "-k", "dormant")
    assert (bench.folder / "under-load").exists(), output
    attempts = attempts_on(bench, "ioc-1")
    assert {each.result for each in attempts} == {AttemptResult.INTERRUPTED}
    log = log_of(bench.folder / "runs/run", "ioc-1").read_text()  # who cleaned the rig was told of the guard
    told = [line for line in log.splitlines() if "a guard had to bring the bench to its safe state" in line]
    assert len(told) == len(attempts) - 1
    assert all("outcome safe" in line for line in told)
    deadline = time.monotonic() + 30  # after the last death only the guard is there
    while bay.house.bench.demand != (0, 0):
        assert time.monotonic() < deadline, "the load stays on"
        time.sleep(0.02)


WRONG = {
    241: r"BenchFault: .*'write holding_register 0' with exception 4: it failed",
    242: r"BenchFault: .*no answer of device 1 to 'write holding_register 0' in time",
    243: r"TransportLost: .*the connection was lost over 'write holding_register 0'",
    244: r"BenchFault: .*mains\.voltage was written 244 V and reads 229 V",
}
"""What becomes of each voltage that the test sets."""


def test_what_the_bench_does_wrong_blocks_in_time_and_its_rigs_health_says_so(bench, bay) -> None:
    go_on = threading.Event()

    def misbehave(request: Request) -> int | None:
        bay.twin.hold("mains.voltage", None)
        match request.words:
            case (2410,):
                return 4
            case (2420,):
                go_on.wait(2 * bay.settings.timeout)
            case (2430,):
                bay.twin.drop()
            case (2440,):
                bay.twin.hold("mains.voltage", Decimal(229))
        return None

    bay.refuse = misbehave
    bench.write_tests("""
    @planned
    @pytest.mark.parametrize("volts", [241, 242, 243, 244])
    def test_sets(rig, volts):
        rig.bench.voltage(volts)
    """)
    bench.run("-n", "rigs", "-k", "dormant")
    told = {each.message for each in attempts_on(bench, "ioc-1")}
    assert {each.result for each in attempts_on(bench, "ioc-1")} == {AttemptResult.BLOCKED}
    assert len(told) == len(WRONG)
    for pattern in WRONG.values():
        assert any(re.match(pattern, message) for message in told), (pattern, told)
    assert max(each.seconds for each in attempts_on(bench, "ioc-1")) < 20
    [health] = [
        rig["health"]
        for rig in json.loads(bench.harness("rigs", "--lab=lab.yaml", "--json").stdout)
        if rig["rig"] == "ioc-1"
    ]
    assert health["state"] == "bad"  # four lab faults in a row
    assert any(message.startswith(f"{health['family']}: {health['reason']}") for message in told)
    assert bay.house.bench.volts == 230
