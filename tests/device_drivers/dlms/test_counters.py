from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from device_drivers.dlms.counters import (
    HIGHEST,
    SENT,
    CounterStore,
    FileCounters,
    MemoryCounters,
    ServerCounters,
    received_from,
)
from harness.domain.errors import LabFault


@pytest.fixture(params=["memory", "file"])
def counters(request, tmp_path: Path) -> CounterStore:
    return MemoryCounters() if request.param == "memory" else FileCounters(tmp_path, block=3)


def test_numbers_begin_at_one_and_rise_by_one(counters: CounterStore) -> None:
    assert [counters.next("a") for _ in range(8)] == list(range(1, 9))
    assert counters.last("a") == 8


def test_each_name_counts_for_itself(counters: CounterStore) -> None:
    assert (counters.next("a"), counters.next("b"), counters.next("a")) == (1, 1, 2)
    assert counters.last("never used") == 0


def test_raising_skips_ahead_and_never_back(counters: CounterStore) -> None:
    counters.raise_to("a", 100)
    counters.raise_to("a", 50)
    assert counters.last("a") == 100
    assert counters.next("a") == 101


def test_a_used_up_counter_says_so_and_does_not_wrap(counters: CounterStore) -> None:
    counters.raise_to("a", HIGHEST - 1)
    assert counters.next("a") == HIGHEST
    with pytest.raises(LabFault, match="used up"):
        counters.next("a")


def test_threads_never_get_the_same_number(counters: CounterStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: counters.next("a"), range(200)))
    assert sorted(numbers) == list(range(1, 201))


def test_numbers_rise_over_a_restart(tmp_path: Path) -> None:
    used = [FileCounters(tmp_path, block=5).next("a") for _ in range(4)]
    assert used == [1, 6, 11, 16]  # a restart gives up what was reserved and not used


def test_a_number_is_on_the_disk_before_it_is_handed_out(tmp_path: Path) -> None:
    counters = FileCounters(tmp_path, block=10)
    for _ in range(25):
        number = counters.next("a")
        assert int((tmp_path / "a.counter").read_text()) >= number


def test_what_was_received_is_kept_exactly(tmp_path: Path) -> None:
    FileCounters(tmp_path).raise_to("received", 42)
    assert FileCounters(tmp_path).last("received") == 42


def test_numbers_rise_whichever_process_asks(tmp_path: Path) -> None:
    one, other = FileCounters(tmp_path, block=10), FileCounters(tmp_path, block=10)
    numbers = [(one, other)[n % 2].next("a") for n in range(10)]
    assert numbers == sorted(set(numbers))


def test_a_killed_process_repeats_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from device_drivers.dlms.counters import FileCounters\n"
        "counters = FileCounters(Path(sys.argv[1]), block=7)\n"
        "while True: print(counters.next('a'), flush=True)\n"
    )
    seen: list[int] = []
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        seen += [int(process.stdout.readline()) for _ in range(20)]
        process.kill()
        seen += [int(line) for line in process.stdout.read().split("\n")[:-1]]
        process.stdout.close()
        process.wait()
    assert seen == sorted(set(seen))


def test_a_server_started_anew_repeats_nothing_that_it_sent(tmp_path: Path) -> None:
    sent, received = [], []
    for _ in range(3):
        counters = ServerCounters(FileCounters(tmp_path, block=2), "meter-1")
        counters.raise_to(received_from(1), 70)
        sent += [counters.next(SENT) for _ in range(3)]
        received.append(counters.last(received_from(1)))
        assert counters.last(SENT) == sent[-1]
    assert sent == sorted(set(sent))
    assert received == [70, 70, 70]
    counters.raise_to(SENT, 1_000)
    assert counters.next(SENT) == 1_001


def test_a_spoilt_file_is_a_lab_fault_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.counter").write_text("not a number\n")
    with pytest.raises(LabFault, match=r"a\.counter.*public client"):
        FileCounters(tmp_path).next("a")


def test_a_name_never_leaves_the_folder(tmp_path: Path) -> None:
    FileCounters(tmp_path / "counters").next("../../escape")
    assert {path.name for path in tmp_path.iterdir()} == {"counters"}


def test_no_file_stays_open(tmp_path: Path) -> None:
    open_files = Path("/proc/self/fd")
    before = set(open_files.iterdir())
    counters = FileCounters(tmp_path)
    for _ in range(5):
        counters.next("a")
    assert set(open_files.iterdir()) <= before
