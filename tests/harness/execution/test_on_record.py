"""What is on the disk when a test speaks to a device, and what becomes of a run whose disk fails then."""

from __future__ import annotations

SYNCS = """
from harness.records import disk

disk.SOON = 60  # no thread is as quick as that
sync = os.fdatasync

def synced(file):
    if os.environ.get("DISK_FAILS"):
        raise OSError(5, "Input/output error")
    sync(file)
    path = Path(f"/proc/self/fd/{file}")
    Path(path.readlink().name + ".synced").write_bytes(path.read_bytes())

os.fdatasync = synced

def on_disk(event):
    return Path("alone.jsonl.synced").read_text().count(f'"event":"{event}"')
"""
ONE = ("--only-device=ESME", "--only-entry=ioc-alderwick-active")
SPEAKS = """
@planned
@pytest.mark.parametrize("number", range(3))
def test_speaks(rig, evidence, number):
    evidence.note("a step")
    rig.say()
    assert on_disk("attempt_started") == number + 1
    assert on_disk("attempt_finished") == number
    if number:
        assert "a step" in Path("steps.jsonl.synced").read_text()  # of the attempt before
"""
SILENT = """
@planned
@pytest.mark.parametrize("number", range(3))
def test_says_nothing(rig, number):
    assert on_disk("attempt_started") == on_disk("attempt_finished") == 0
"""


def test_that_an_attempt_began_and_how_the_last_one_ended_is_on_the_disk_before_a_device_is_spoken_to(
    bench,
) -> None:
    bench.write_tests(SYNCS + SPEAKS)
    code, output = bench.run(*ONE)
    assert code == 0, output


def test_an_attempt_that_says_nothing_to_a_device_waits_for_no_disk(bench) -> None:
    bench.write_tests(SYNCS + SILENT)
    code, output = bench.run(*ONE)
    assert code == 0, output


def test_nothing_is_said_to_a_device_when_the_disk_fails_and_its_bench_is_made_safe_all_the_same(
    bench,
) -> None:
    bench.write_tests(
        SYNCS
        + """
@planned
@pytest.mark.parametrize("number", range(3))
def test_speaks(rig, number, monkeypatch):
    monkeypatch.setenv("DISK_FAILS", "yes")
    rig.say()
    Path("spoken").touch()
"""
    )
    code, output = bench.run(*ONE)
    assert code == 2, output  # pytest's own: interrupted
    assert "alone.jsonl cannot be written: Input/output error (make room, then resume the run)" in output
    assert not (bench.folder / "spoken").exists()
    assert not (bench.folder / "left-live").exists()
    outcomes = [bench.record().outcome(test.id) for test in bench.record().plan.tests]
    assert outcomes == ["not_run"] * 3
