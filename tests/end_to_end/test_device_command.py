"""``harness device`` as a bench engineer types it, on rigs that a lab file describes as physical ones.

Behind their doors stand twins of this process, which remember what one command did when the next comes.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from device_drivers.simulated.meters.esme import EsmeTwin
from harness.rigs.health_words import HealthState
from harness.rigs.lease_words import RigState
from tests.harness.cli.physical import HARNESS, REPO, PhysicalLab, physical_lab
from tests.harness.rigs.room import health_of, holder_of, somebody, status_of

LIMIT = 30.0  # seconds for anything to be seen


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhysicalLab]:
    """bench-1 has a Modbus bench and is well; on bench-2 nothing is as the lab file has it."""
    with ExitStack() as held:
        lab = physical_lab(tmp_path_factory.mktemp("benches"), held)
        lab.stand_up("ioc-1", bench=True)
        two = lab.stand_up("foc-1", hub_firmware="R9.9", starts=datetime.now(UTC) - timedelta(hours=2))
        two["devices"]["GSME"]["door"]["parameters"]["port"] = 1  # nobody listens there
        lab.write()
        yield lab


@pytest.fixture
def device(lab: PhysicalLab) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*HARNESS, "device", *words], cwd=REPO, env=os.environ | lab.environment,
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done

    return run


def esme(lab: PhysicalLab) -> EsmeTwin:
    found = lab.sites["bench-1"].twins.esme
    assert found is not None
    return found


def soon(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LIMIT
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


class Typed:
    """A command on a terminal, typed at by the test. ``whole`` is all that it has shown."""

    def __init__(self, lab: PhysicalLab, *words: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*HARNESS, "device", *words], cwd=REPO, stdin=theirs, stdout=theirs, stderr=theirs,
            env=os.environ | lab.environment | {"TERM": "dumb"}, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.whole = self._new = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def waits(self) -> bool:
        """Whether the command's main thread sleeps, as it does while it waits for a key."""
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"

    def sees(self, pattern: str) -> str:
        """Wait until what follows the last thing that was waited for shows the pattern."""
        deadline = time.monotonic() + LIMIT
        while not (found := re.search(pattern, self._new)):
            ready = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))[0]
            assert ready, f"{pattern!r} never came: {self.whole}"
            try:
                heard = os.read(self._ours, 65536).decode()
            except OSError:  # how Linux says that nobody holds the other end any more
                raise AssertionError(f"{pattern!r} never came: {self.whole}") from None
            self.whole, self._new = self.whole + heard, self._new + heard
        self._new = self._new[found.end() :]
        return found.group()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextmanager
def at_a_terminal(lab: PhysicalLab, *words: str) -> Iterator[Typed]:
    typed = Typed(lab, *words)
    try:
        yield typed
    finally:
        typed.close()


def test_what_one_command_wrote_the_next_one_reads(device) -> None:
    assert device("bench-1", "ESME", "write", "supplier_name", "Nobody Ltd").returncode == 0
    done = device("bench-1", "ESME", "read", "supplier_name", "voltage", "--json")
    assert [(each["value"], each["unit"]) for each in json.loads(done.stdout)] == [
        ("Nobody Ltd", ""),
        ("230.0", "V"),
    ]


def test_a_clock_that_is_off_is_set_to_lab_time(device, lab: PhysicalLab) -> None:
    def ahead(*words: str) -> float:
        done = device("bench-2", "ESME", "clock", "--json", *words)
        assert done.returncode == 0, done.stderr
        seconds: float = json.loads(done.stdout)[2]["value"]
        return seconds

    twin = lab.sites["bench-2"].twins.esme
    assert twin is not None
    assert (datetime.now(UTC) - twin.time()).total_seconds() > 7000
    assert abs(ahead("--set")) < 30
    assert abs(ahead()) < 60


def test_the_supply_stays_as_it_was_left(device, lab: PhysicalLab) -> None:
    assert esme(lab).supply.closed
    assert device("bench-1", "ESME", "supply", "disabled").returncode == 0
    assert not esme(lab).supply.closed
    done = device("bench-1", "ESME", "supply", "enabled")
    assert (done.returncode, "Enabled" in done.stdout) == (0, True)
    assert esme(lab).supply.closed


def test_a_device_that_is_not_its_baseline_may_be_looked_at_and_not_changed(device) -> None:
    done = device("bench-2", "CH", "info")
    assert done.returncode == 3
    assert re.search(r"│ firmware +│ R9\.9 +│ R4\.1 +│", done.stdout)
    assert "the CH says its firmware is 'R9.9'; the baseline of cedarholt-h3 is 'R4.1'" in done.stderr
    assert device("bench-2", "CH", "read", "clock").returncode == 0
    done = device("bench-2", "CH", "clock", "--set")
    assert (done.returncode, done.stdout) == (3, "")
    assert "(correct the lab file, or bring the device to its baseline)" in done.stderr


def test_a_device_that_is_not_there_is_a_lab_fault_and_written_into_the_rigs_health(
    device, lab: PhysicalLab
) -> None:
    done = device("bench-2", "GSME", "read", "clock", "--json")
    assert (done.returncode, done.stdout) == (3, "")
    assert "error: tcp 127.0.0.1:1: could not connect" in done.stderr
    assert "(check address and power)" in done.stderr
    found = health_of(lab.state, "bench-2")
    assert found.family == "TransportLost"
    assert found.by.startswith("device-")
    assert found.faults
    assert str(status_of(lab.state, "bench-2")) == "bench-2 is free"


def test_power_is_off_until_the_engineer_presses_enter(lab: PhysicalLab) -> None:
    with at_a_terminal(lab, "bench-1", "ESME", "power", "off") as typed:
        typed.sees(r"power +│ off")
        typed.sees("off; back to the bench's safe state on Enter")
        assert not esme(lab).powered
        typed.type("\n")
        typed.sees("the bench of rig bench-1 is in its safe state again")
        assert typed.process.wait(LIMIT) == 0
    assert esme(lab).powered


def test_an_interrupt_brings_the_power_back_and_gives_the_rig_back(lab: PhysicalLab) -> None:
    with at_a_terminal(lab, "bench-1", "ESME", "power", "off", "--for", "600") as typed:
        typed.sees("on Enter or in 600 s")
        assert not esme(lab).powered
        typed.process.send_signal(signal.SIGINT)
        typed.sees("interrupted")
        assert typed.process.wait(LIMIT) == 4
    assert esme(lab).powered
    assert holder_of(lab.state, "bench-1") is None


def test_killed_it_leaves_the_bench_to_its_guard_and_the_rig_to_the_next_who_cleans_it(
    device, lab: PhysicalLab, monkeypatch
) -> None:
    monkeypatch.setenv("HARNESS_LEASE_EXPIRY", "1.5")
    with at_a_terminal(lab, "bench-1", "ESME", "power", "off") as typed:
        typed.sees("on Enter")
        assert not esme(lab).powered
    soon(lambda: esme(lab).powered)
    monkeypatch.delenv("HARNESS_LEASE_EXPIRY")
    soon(lambda: is_dirty(lab))
    done = device("bench-1", "ESME", "read", "voltage")
    assert done.returncode == 0, done.stderr
    found = health_of(lab.state, "bench-1")
    assert (found.state, found.by) == (HealthState.GOOD, "harness device bench-1 ESME")


def is_dirty(lab: PhysicalLab) -> bool:
    status = status_of(lab.state, "bench-1")
    return status is not None and status.state is RigState.DIRTY


def test_at_the_prompt_the_drivers_answer_and_the_rig_is_held(device, lab: PhysicalLab) -> None:
    with at_a_terminal(lab, "bench-1", "ESME", "shell") as typed:
        typed.sees("rig bench-1, ESME 00-DB-12-34-56-01-00-01:")
        typed.sees(r"Alderwick Metering AE-110, firmware 1\.4\.20")
        typed.sees(">>> ")
        typed.type('device.read("voltage")\n')
        typed.sees(r"Decimal\('230\.0'\)")
        typed.type('device.read("voltag")\n')
        typed.sees(r"UsageError: the ESME has no item 'voltag' \(did you mean 'voltage'\?\)")
        typed.sees(">>> ")
        soon(typed.waits)  # a signal before that is lost to the prompt until the next key
        typed.process.send_signal(signal.SIGINT)
        typed.sees("KeyboardInterrupt")  # as at every prompt of Python, it ends a line and not the session
        typed.sees(">>> ")
        typed.type("bench.load(1500)\n")
        typed.type('device.read("active_power_import")\n')
        typed.sees(r"1500")
        refused = device("bench-1", "GSME", "read", "clock")
        assert refused.returncode == 3
        assert re.search(r"bench-1 is held by \S+ \(harness device bench-1 ESME; process ", refused.stderr)
        typed.type("\x04")
        typed.sees("rig bench-1 put down, its bench in the safe state")
        assert typed.process.wait(LIMIT) == 0
    assert "Traceback" not in typed.whole
    assert holder_of(lab.state, "bench-1") is None
    done = device("bench-1", "ESME", "read", "active_power_import", "--json")
    assert json.loads(done.stdout)[0]["value"] in (0, "0")


def test_a_device_lost_at_the_prompt_is_written_into_the_rigs_health(lab: PhysicalLab) -> None:
    with at_a_terminal(lab, "bench-1", "CH", "shell") as typed:
        typed.sees(">>> ")
        typed.type('device.close(); device.read("clock")\n')
        typed.sees("TransportLost: ")
        typed.type("exit()\n")
        typed.sees("rig bench-1 put down")
        assert typed.process.wait(LIMIT) == 0
    found = health_of(lab.state, "bench-1")
    assert (found.state, found.family) == (HealthState.UNKNOWN, "TransportLost")


def test_a_rig_that_another_process_holds_is_refused_naming_it(device, lab: PhysicalLab) -> None:
    with (
        somebody(lab.file, lab.state) as pool,
        pool.take("bench-1", "bench work", lambda _: None),  # another test may have left it dirty
    ):
        done = device("bench-1", "ESME", "read", "clock")
    assert (done.returncode, done.stdout) == (3, "")
    here = f"process {os.getpid()} on {os.uname().nodename}, since 20"
    assert f"bench-1 is held by ann (bench work; {here}" in done.stderr
    assert "(wait for it, or use another rig)" in done.stderr


def test_who_has_lost_the_rig_at_the_prompt_writes_nothing_to_it_any_more(
    lab: PhysicalLab, monkeypatch
) -> None:
    monkeypatch.setenv("HARNESS_LEASE_EXPIRY", "1.5")
    with (
        at_a_terminal(lab, "bench-1", "ESME", "shell") as typed,
        somebody(lab.file, lab.state, "bob") as pool,
    ):
        typed.sees(">>> ")
        pool.leases.evict("bench-1", "it is needed")
        soon(lambda: is_dirty(lab))
        typed.type('device.write("supplier_name", "Too Late Ltd")\n')
        typed.sees("StaleLease: the lease of bench-1 .* has ended")
        typed.type('device.read("voltage")\n')
        typed.sees("StaleLease")
        typed.type("exit()\n")
        typed.sees("error: the lease of bench-1")
        assert typed.process.wait(LIMIT) == 3
    assert esme(lab).values["supplier_name"] != "Too Late Ltd"
    status = status_of(lab.state, "bench-1")
    assert status is not None
    assert status.state is RigState.DIRTY
