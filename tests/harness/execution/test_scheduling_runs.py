"""The scheduler in whole runs over fake rigs: xdist's own session, workers that are processes."""

from __future__ import annotations

import re
from itertools import groupby

import pytest

from harness.records.run import read_run

THIRD_RIG = """
  ioc-3:
    dmc: ioc-alderwick
    place: bay 2
    mpan: "9900000003016"
    export_mpan: "9900000003025"
    mprn: "9900000306"
    simulation: {starts: 2025-03-03T08:00:00Z}
    devices:
      ESME: {device_id: 00-DB-12-34-56-03-00-01, serial_number: E03101}
      GSME: {device_id: 00-DB-12-34-56-03-00-02, serial_number: G03102}
      CH: {device_id: 00-DB-12-34-56-03-00-03, serial_number: H03103}
"""
FOC_RIG = """
  foc-1:
    dmc: foc-cedarholt
    place: bay 4
    mpan: "9900000006017"
    export_mpan: "9900000006026"
    mprn: "9900000609"
    simulation: {starts: 2025-03-03T08:00:00Z}
    devices:
      ESME: {device_id: 00-DB-12-34-56-06-00-01, serial_number: E06101}
      GSME: {device_id: 00-DB-12-34-56-06-00-02, serial_number: G06102}
      CH: {device_id: 00-DB-12-34-56-06-00-03, serial_number: H06103}
"""


def add_rig(bench, text: str) -> None:
    lab = bench.folder / "lab.yaml"
    lab.write_text(lab.read_text().rstrip() + text)


ONE_AFTER_ANOTHER = """
import time
from pathlib import Path
import pytest

@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    with open("starts", "a") as file:
        file.write("x")
    queue = node.config.pluginmanager.getplugin("dsession").queue
    {
        1: lambda: None,
        2: lambda: wait_for(lambda: queue.qsize() >= 2),  # the first is ready, and has collected
        3: lambda: wait_for(Path("ran-on").exists),
    }[len(Path("starts").read_text())]()

def wait_for(what):
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline, "no test runs while there is another worker to start"
        time.sleep(0.02)
"""


def test_a_test_runs_before_all_workers_have_started_on_the_rig_that_has_most_to_do(bench) -> None:
    add_rig(bench, FOC_RIG)
    (bench.folder / "one_after_another.py").write_text(ONE_AFTER_ANOTHER)
    bench.write_tests("""
    @planned
    def test_first(rig):
        if not Path("ran-on").exists():
            Path("ran-on").write_text(rig.rig.id)
    """)
    _, output = bench.run("--pack=pack-foc", "-n", "rigs", "-k", "dormant", "-p", "one_after_another")
    assert (bench.folder / "starts").read_text() == "xxx", output
    assert (bench.folder / "ran-on").read_text() == "foc-1"


@pytest.mark.parametrize("workers", ["rigs", "0"])
def test_the_order_that_a_pack_declares_is_kept_on_each_installation(bench, workers: str) -> None:
    manifest = bench.folder / "packs" / "manifests" / "pack-ioc.yaml"
    manifest.write_text(manifest.read_text() + "stages: [install, migrate, read]\n")
    bench.write_tests("""
    def note(rig, planned_case, stage):
        with open("order", "a") as file:
            file.write(f"{planned_case.entry.id} {rig.rig.id} {stage}\\n")
    @planned
    @pytest.mark.stage("read")
    @pytest.mark.expected(100)
    def test_reads(rig, planned_case): note(rig, planned_case, "read")
    @planned
    @pytest.mark.stage("migrate")
    def test_migrates(rig, planned_case): note(rig, planned_case, "migrate")
    @planned
    @pytest.mark.stage("install")
    def test_installs(rig, planned_case): note(rig, planned_case, "install")
    """)
    code, output = bench.run("-n", workers)
    assert code == 0, output
    lines = sorted(
        (line.split() for line in (bench.folder / "order").read_text().splitlines()), key=lambda line: line[0]
    )
    for entry, of in groupby(lines, key=lambda line: line[0]):
        rigs, stages = zip(*((rig, stage) for _, rig, stage in of), strict=True)
        assert stages == ("install", "migrate", "read"), entry
        assert len(set(rigs)) == 1, entry


def test_workers_that_are_not_needed_any_more_end_and_a_dead_one_is_still_replaced_on_its_rig(bench) -> None:
    add_rig(bench, FOC_RIG)
    bench.environment["RIGS_DIE"] = "1"
    (bench.folder / "packs" / "conftest.py").write_text("""
import os
from pathlib import Path
def pytest_sessionfinish():
    Path("ended-" + os.environ.get("PYTEST_XDIST_WORKER", "controller")).touch()
""")
    bench.write_tests("""
    @planned
    def test_outlasts_the_others(rig):
        deadline = time.monotonic() + 40
        while rig.rig.id == "foc-1" and len(list(Path().glob("ended-gw*"))) < 2:
            assert time.monotonic() < deadline, "the other workers do not end"
            time.sleep(0.02)
        if rig.rig.id == "foc-1" and not Path("died").exists():
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    _, output = bench.run("--pack=pack-foc", "-n", "rigs")
    record = bench.record()
    outcomes = {test.entry: str(record.outcome(test.id)) for test in record.plan.tests if not test.not_run}
    assert set(outcomes.values()) == {"passed"}, output
    (died,) = (attempts for attempts in record.attempts.values() if len(attempts) == 2)
    assert [attempt.rig for attempt in died] == ["foc-1", "foc-1"]


def test_a_test_after_which_two_rigs_are_lost_gets_no_third_and_the_record_names_them(bench) -> None:
    add_rig(bench, THIRD_RIG)
    bench.write_tests("""
    @planned
    @pytest.mark.expected(100)
    def test_blows_the_fuse(rig, planned_case):
        if planned_case.entry.id.endswith("active"):
            os.environ["BROKEN_RIGS"] = rig.rig.id
            raise LabFault("the bench does not answer")
    @planned
    @pytest.mark.parametrize("number", range(6))
    def test_is_harmless(rig, number):
        time.sleep(0.3)
    """)
    code, output = bench.run("-n", "rigs")
    assert code == 1, output
    record = bench.record()
    suspect = next(test.id for test in record.plan.tests if "fuse" in test.id and "active" in test.entry)
    one, two = (attempt.rig for attempt in record.attempts[suspect])
    why = f"set aside as suspected: {one} was lost after it, then {two} was lost after it"
    assert record.reason(suspect).endswith(why)
    others = {str(record.outcome(test.id)) for test in record.plan.tests if test.id != suspect}
    assert others == {"passed"}


@pytest.mark.parametrize("forked", ["1", "0"])
def test_what_lasted_longest_before_begins_first(bench, forked: str) -> None:
    bench.environment["HARNESS_FORK"] = forked
    bench.write_tests("""
    @planned
    @pytest.mark.parametrize("number", range(6))
    def test_lasts(rig, number): time.sleep(0.15 * number)
    """)
    for run in ("first", "second"):
        code, output = bench.run("-n", "rigs", "-k", "active", f"--run-id={run}")
        assert code == 0, output
    attempts = [tries[0] for tries in read_run(bench.folder / "runs/second").attempts.values()]
    attempts.sort(key=lambda attempt: attempt.started)
    assert {re.search(r"\b(\d)\b", attempt.test)[1] for attempt in attempts[:2]} == {"5", "4"}
