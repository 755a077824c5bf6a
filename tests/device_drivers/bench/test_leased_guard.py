"""The guard of a bench whose owner died acts for him only while the rig is his, or nobody's."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.rigs.leases import Leases, RigState
from harness.rigs.store import Store, sqlite_url

REPO = Path(__file__).resolve().parents[3]
HOLDER = """
import pickle, sys
from pathlib import Path
from device_drivers.bench.controller import NoController
from device_drivers.bench.modbus.bench import open_modbus_bench
from device_drivers.named.device import NoTrace
from harness.rigs.leases import Leases
from harness.rigs.store import Store, sqlite_url
lab, rig = pickle.load(open(sys.argv[1], "rb"))
lease = Leases(Store(sqlite_url(lab.state)), "ann", expiry=2).acquire(rig.id, purpose="run 7")
bench = open_modbus_bench(rig, lab, NoTrace(), NoController(rig.id), lease)
bench.load(2000)
print("under load", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def rivals(lab) -> Iterator[Leases]:
    """The lab's rigs as another host has them."""
    with Store(sqlite_url(lab.state)) as store, Leases(store, "ben", expiry=30) as leases:
        leases.enrol({lab.rigs[0].id: "dmc-1"})
        yield leases


@contextmanager
def holder(bay, lab, tmp_path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds rig and bench, under load; the load of a dead one is still there."""
    told = tmp_path / "told"
    told.write_bytes(pickle.dumps((lab, bay.rig(lab))))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, told],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPO,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "under load\n"
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def report_of_guard(lab) -> str:
    """What the guard came to; it writes that down before and after it acts."""
    report = lab.state / "benches" / f"{lab.rigs[0].id}.guard.json"
    until(lambda: report.exists() and json.loads(report.read_text())["told"] != "the guard did not finish")
    return json.loads(report.read_text())["outcome"]


def test_it_acts_at_once_for_an_owner_whose_lease_goes_on(bay, lab, rivals, tmp_path) -> None:
    with holder(bay, lab, tmp_path) as process:
        assert bay.house.bench.demand[0] == 2000
        process.kill()
        assert report_of_guard(lab) == "safe"
    assert bay.house.bench.demand[0] == 0


def test_it_leaves_a_bench_alone_that_another_owner_has_by_now(bay, lab, rivals, tmp_path) -> None:
    with holder(bay, lab, tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        until(lambda: rivals.rigs()[0].state is RigState.DIRTY)
        rivals.take_dirty(lab.rigs[0].id).clean()
        lease = rivals.acquire(lab.rigs[0].id, purpose="run 8")
        bay.requests.clear()
        process.kill()
        assert report_of_guard(lab) == "left alone"
        lease.check()
    assert bay.requests == []


def test_it_acts_for_an_owner_who_was_stopped_too_long_where_nobody_has_the_rig(
    bay, lab, rivals, tmp_path
) -> None:
    with holder(bay, lab, tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        until(lambda: rivals.rigs()[0].state is RigState.DIRTY)
        process.kill()
        assert report_of_guard(lab) == "safe"
        until(lambda: rivals.rigs()[0].holder is None)
        assert rivals.rigs()[0].state is RigState.DIRTY  # nobody has checked it
    assert bay.house.bench.demand[0] == 0
