"""Counters never repeat: not between threads, processes or runs, not after a crash."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from device_drivers.dcc.counters import DurableCounter, milliseconds
from harness.domain.errors import ConfigurationError, LinkLost

COUNT = """
import sys
from pathlib import Path
from device_drivers.dcc.counters import DurableCounter
counter = DurableCounter(Path(sys.argv[1]))
for _ in range(50):
    print(counter.next())
"""


def test_a_counter_starts_at_its_floor_and_rises_by_one(tmp_path: Path) -> None:
    counter = DurableCounter(tmp_path / "c", floor=lambda: 1000)
    assert [counter.next() for _ in range(3)] == [1000, 1001, 1002]


def test_a_counter_never_falls_behind_the_clock(tmp_path: Path) -> None:
    before = milliseconds()
    assert DurableCounter(tmp_path / "c", floor=milliseconds).next() >= before


def test_a_clock_that_was_set_back_does_not_bring_a_counter_back(tmp_path: Path) -> None:
    assert DurableCounter(tmp_path / "c", floor=lambda: 5000).next() == 5000
    assert DurableCounter(tmp_path / "c", floor=lambda: 10).next() == 5001


def test_the_number_is_on_disk_before_it_is_used(tmp_path: Path) -> None:
    with DurableCounter(tmp_path / "c").held() as counter:
        number = counter.next()
        assert (tmp_path / "c").read_text() == f"{number}\n"


def test_threads_and_processes_never_share_a_number(tmp_path: Path) -> None:
    numbers: list[int] = []
    shared = DurableCounter(tmp_path / "c")

    def count() -> None:
        numbers.extend(shared.next() for _ in range(50))

    def count_elsewhere() -> None:
        told = subprocess.run(
            [sys.executable, "-c", COUNT, str(tmp_path / "c")], capture_output=True, text=True, check=True
        )
        numbers.extend(map(int, told.stdout.split()))

    threads = [threading.Thread(target=target) for target in [count] * 4 + [count_elsewhere] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 301))


def test_a_counter_that_another_run_holds_fails_clearly(tmp_path: Path) -> None:
    impatient = DurableCounter(tmp_path / "c", patience=0.05)
    with DurableCounter(tmp_path / "c").held(), pytest.raises(LinkLost, match="held by another run"):
        impatient.next()


def test_a_file_that_holds_no_counter_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("12x")
    with pytest.raises(ConfigurationError, match="'12x', not a counter"):
        DurableCounter(tmp_path / "c").next()
