"""Runs that were killed, interrupted or cut short, and taken up again: real processes over fake rigs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.records.run_lock import LOCKS

from .test_runs import wait_for, wait_for_lines

SLOWLY = """
def begun():
    return len(Path("begun").read_text().splitlines())
@planned
@pytest.mark.parametrize("number", range(8))
def test_slowly(rig, number, planned_case):
    with open("begun", "a") as file:
        file.write(f"{number} {planned_case.id}\\n")
    time.sleep(0.15)
"""
HOLDS = """
@planned
def test_holds(rig, evidence):
    Path("held-" + rig.rig.id).touch()
    while not Path("go-on").exists():
        time.sleep(0.02)
@planned
@pytest.mark.parametrize("number", range(3))
def test_after(rig, number):
    Path("after").touch()
"""


def summary(bench) -> dict:
    return json.loads((bench.folder / "runs/run/run.json").read_text())


def resume(bench, *arguments: str) -> subprocess.CompletedProcess[str]:
    return bench.harness("resume", "run", "--lab=lab.yaml", *arguments)


def attempts(bench) -> dict[str, list[str]]:
    return {
        test: [str(attempt.result) for attempt in tried] for test, tried in bench.record().attempts.items()
    }


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def cut_short(bench) -> None:
    """A run whose one-process controller is killed in its third test."""
    bench.environment["RIGS_DIE"] = "1"
    process = bench.start("-n", "0", "-k", "active")
    wait_for_lines(bench.folder / "begun", 3)
    process.kill()
    ended(process)


@pytest.fixture
def left_alone(bench) -> Iterator[Path]:
    """The folder of a run that was cut short, in which a test must change nothing."""
    bench.write_tests(SLOWLY)
    cut_short(bench)
    folder = bench.folder / "runs/run"
    before = {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name not in LOCKS
    }
    yield folder
    after = {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name not in LOCKS
    }
    assert after == before


def test_after_a_kill_only_what_is_left_runs_and_the_record_has_both_parts(bench) -> None:
    bench.environment["RIGS_DIE"] = "1"
    bench.write_tests(SLOWLY.replace("time.sleep(0.15)", "time.sleep(3 if begun() in (5, 6) else 0.15)"))
    process = bench.start("-n", "rigs", "--seed=11", "--cycle=C4")
    wait_for_lines(bench.folder / "begun", 5)
    process.kill()
    resumed = resume(bench)  # at once: the workers of the killed one are still there, with their rigs
    ended(process)

    assert resumed.returncode == 0, resumed.stderr
    record = bench.record()
    first, second = ({}, {})
    for test, tried in record.attempts.items():
        assert [attempt.number for attempt in tried] == list(range(1, len(tried) + 1))
        for attempt in tried:
            part = first if attempt.process == f"rig-{attempt.rig}" else second
            part.setdefault(test, []).append(str(attempt.result))
    finished = {test for test, results in first.items() if results == ["passed"]}
    assert finished
    assert set(map(tuple, first.values())) <= {("passed",), ("interrupted",)}
    left = {test.id for test in record.plan.tests} - finished
    assert second == {test: ["passed"] for test in left}  # each once, and nothing else
    assert f"resumed: {len(left)} of them are left" in resumed.stderr

    told = summary(bench)
    assert (told["run_id"], told["seed"], told["cycle"]) == ("run", 11, "C4")
    assert (told["counts"]["planned"], told["counts"]["passed"]) == (16, 16)
    assert [part["reason"] for part in told["parts"]] == [
        "it never said why: its process was killed, or its machine stopped",
        "completed",
    ]
    assert told["parts"][0]["pid"] == process.pid
    assert told["parts"][0]["started"] <= told["parts"][0]["ended"] <= told["parts"][1]["started"]
    assert "in 2 parts" in (bench.folder / "runs/run/heatmap.html").read_text()
    assert bench.harness("evidence", "verify", "run").returncode == 0
    assert not list((bench.folder / "runs/run").glob(".lock*"))


def test_where_none_is_named_it_is_the_run_that_was_begun_last_though_it_was_killed(bench) -> None:
    bench.write_tests(SLOWLY)
    code, output = bench.run("-n", "0", "-k", "active", "--run-id=z-is-older")
    assert code == 0, output
    (bench.folder / "begun").unlink()
    cut_short(bench)
    resumed = bench.harness("resume", "--lab=lab.yaml")
    assert resumed.returncode == 0, resumed.stderr
    assert "run run: 8 planned tests" in resumed.stderr
    assert set(bench.outcomes().values()) == {"passed"}


def test_a_failed_test_is_finished_and_a_blocked_one_only_until_it_is_asked_for(bench) -> None:
    bench.write_tests("""
    @planned
    def test_bad(rig): assert False
    @planned
    def test_blocked(rig):
        if not Path("mains").exists():
            raise LabFault("no mains")
    @planned
    def test_good(rig): pass
    """)
    assert bench.run("-n", "0", "-k", "active")[0] == 1
    folder = bench.folder / "runs/run"
    journals = sorted((folder / "journal").iterdir())

    nothing = resume(bench)
    assert nothing.returncode == 1
    assert "run run: nothing is left to run" in nothing.stderr
    assert sorted((folder / "journal").iterdir()) == journals

    (bench.folder / "mains").touch()
    again = resume(bench, "--blocked", "--json")
    assert again.returncode == 1, again.stderr
    counts = json.loads(again.stdout)["counts"]
    assert (counts["passed"], counts["failed"], counts["blocked"]) == (2, 1, 0)
    assert sorted(attempts(bench).values()) == [["blocked", "passed"], ["failed"], ["passed"]]


def test_a_run_that_was_killed_after_its_last_test_is_brought_to_its_end(bench) -> None:
    bench.write_tests(SLOWLY)
    bench.run("-n", "0", "-k", "active")
    folder = bench.folder / "runs/run"
    journal = folder / "journal/controller.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))  # it never said its end
    for made in ("run.json", "manifest-sha256.txt", "manifest-sha256.txt.sig"):
        (folder / made).unlink(missing_ok=True)

    resumed = resume(bench)
    assert resumed.returncode == 0, resumed.stderr
    assert "nothing is left to run" in resumed.stderr
    assert summary(bench)["counts"]["passed"] == 8
    assert summary(bench)["end_reason"] == "completed: nothing was left to run"
    assert bench.harness("evidence", "verify", "run").returncode == 0


def test_a_pack_that_has_changed_is_named_and_nothing_is_done(bench, left_alone) -> None:
    bench.write_tests(SLOWLY + "# another byte\n")
    refused = resume(bench)
    assert refused.returncode == 2
    assert re.search(
        r"run run cannot be resumed: pack pack-ioc has changed: \w{12}… was planned, \w{12}… is there",
        refused.stderr,
    )


def test_rigs_and_devices_that_are_gone_are_all_named_and_nothing_is_done(bench, left_alone) -> None:
    lab = bench.folder / "lab.yaml"
    whole = lab.read_text()
    device = next(each for rig in bench.record().plan.rigs for each in rig.devices if rig.id == "ioc-1")
    assert device.device_id in whole
    bench.edit_lab(r"\n  ioc-2:.*\Z", "")
    bench.edit_lab(re.escape(device.device_id), f"{device.device_id[:-2]}EE")
    refused = resume(bench)
    assert refused.returncode == 2, refused.stderr
    assert "lab.yaml has no rig ioc-2 any more" in refused.stderr
    assert f"the {device.type} of rig ioc-1 is {device.device_id[:-2]}EE" in refused.stderr
    assert f"{device.device_id} {device.model} {device.firmware} was planned" in refused.stderr

    lab.write_text(whole.replace("name: simulated", "name: elsewhere"))
    assert "run run is a run of lab simulated" in resume(bench).stderr


@pytest.mark.parametrize("how", ["laid out anew", "edited"])
def test_a_plan_that_was_touched_is_not_gone_on_with(bench, how: str) -> None:
    bench.write_tests(SLOWLY)
    cut_short(bench)
    plan = bench.folder / "runs/run/plan.json"
    plan.chmod(0o644)
    text = plan.read_text()
    plan.write_text(text.replace('"cycle":""', '"cycle":"C9"') if how == "edited" else f"{text}\n")
    begun = (bench.folder / "begun").read_text()
    done = resume(bench)
    assert (done.returncode, "plan.json is not the plan that the run began with" in done.stderr) == (2, True)
    assert (bench.folder / "begun").read_text() == begun


def test_what_of_a_record_cannot_be_believed_is_said_before_it_runs_again(bench) -> None:
    bench.write_tests(SLOWLY)
    cut_short(bench)
    journal = bench.folder / "runs/run/journal/alone.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"result":"passed"', b'"result":"failed"', 1))
    done = resume(bench)
    assert done.returncode == 0, done.stderr
    assert "journal/alone.jsonl line 3" in done.stderr
    assert "was changed after it was written" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("workers", ["rigs", "0"])
def test_a_run_that_is_told_to_end_stops_at_once_with_a_whole_record(bench, number, workers: str) -> None:
    bench.write_tests(HOLDS)
    before = signal.signal(number, signal.SIG_DFL)  # a run under nohup is deaf to it, and so would be ours
    try:
        process = bench.start(*(["--one-process"] if workers == "0" else []), program=("harness",))
    finally:
        signal.signal(number, before)
    wait_for(bench.folder / "held-ioc-1")
    process.send_signal(number)
    code, output = ended(process)
    assert code == 4, output
    (run,) = (path for path in (bench.folder / "runs").iterdir() if not path.is_symlink())
    told = json.loads((run / "run.json").read_text())
    assert told["end_reason"] == f"interrupted, at once by {number.name}"
    assert not list((run / "open").iterdir())  # every rig was put down
    assert bench.harness("evidence", "verify", run.name).returncode == 0


def test_what_is_no_run_is_said_to_be_none(bench) -> None:
    nowhere = bench.harness("resume", "no-such-run", "--lab=lab.yaml")
    assert nowhere.returncode == 2
    assert "no run folder" in nowhere.stderr


def test_a_run_that_still_goes_on_is_not_resumed_and_its_holder_is_named(bench) -> None:
    bench.write_tests(HOLDS)
    process = bench.start("-n", "rigs")
    for rig in ("ioc-1", "ioc-2"):
        wait_for(bench.folder / f"held-{rig}")
    journals = sorted((bench.folder / "runs/run/journal").iterdir())
    refused = resume(bench)
    assert refused.returncode == 3, refused.stderr
    assert f"run run is in use: host {os.uname().nodename}, pid {process.pid}, since " in refused.stderr
    assert sorted((bench.folder / "runs/run/journal").iterdir()) == journals
    (bench.folder / "go-on").touch()
    code, output = ended(process)
    assert code == 0, output
    assert {tuple(results) for results in attempts(bench).values()} == {("passed",)}
    assert len(summary(bench)["parts"]) == 1


def test_of_two_that_resume_a_run_one_wins_and_the_other_is_told(bench) -> None:
    bench.write_tests(SLOWLY)
    cut_short(bench)
    both = [bench.start(fixed=("resume", "run", "--lab=lab.yaml"), program=("harness",)) for _ in range(2)]
    told = dict(ended(process) for process in both)
    assert sorted(told) == [0, 3], told
    assert "run run is in use: " in told[3]
    assert len(summary(bench)["parts"]) == 2
    assert sum(map(len, attempts(bench).values())) == 8 + 1  # the one that was interrupted


@pytest.fixture
def small_disk(bench) -> Iterator[Path]:
    """The runs' folder, on a disk of its own that is soon full."""
    runs = bench.folder / "runs"
    runs.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(runs)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield runs
    subprocess.run(["umount", runs], check=True)


def test_a_full_disk_costs_what_was_in_hand_and_once_there_is_room_the_rest_is_run(bench, small_disk) -> None:
    bench.environment["RIGS_DIE"] = "1"
    bench.write_tests("""
    @planned
    @pytest.mark.parametrize("number", range(8))
    def test_fills(rig, number, evidence):
        evidence.attach("load", os.urandom(60_000), "application/octet-stream")
    """)
    code, output = ended(bench.start(program=("harness",)))
    assert code == 4, output
    (run,) = (path for path in small_disk.iterdir() if not path.is_symlink())
    assert re.search(r"the run was stopped: \S+ cannot be written: No space left on device", output)
    left = re.search(rf"(\d+) planned tests are left; to go on: harness resume {run.name}", output)
    assert left, output
    assert "Traceback" not in output
    subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)

    resumed = bench.harness("resume", run.name, "--lab=lab.yaml")
    assert resumed.returncode == 0, resumed.stderr
    assert f"resumed: {left[1]} of them are left" in resumed.stderr
    told = json.loads((run / "run.json").read_text())
    assert told["counts"]["passed"] == 16
    assert len(told["parts"]) == 2
    verified = bench.harness("evidence", "verify", run.name)
    assert verified.returncode == 0, verified.stdout


class TestCtrlC:
    def test_once_finishes_the_tests_in_hand_and_says_how_to_go_on(self, bench) -> None:
        bench.write_tests(HOLDS)
        process = bench.start(program=("harness",), new_group=True)
        for rig in ("ioc-1", "ioc-2"):
            wait_for(bench.folder / f"held-{rig}")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
        line = process.stdout.readline()
        while "ending: tests in hand are finished first; Ctrl-C again stops them" not in line:
            assert line, "it never said that it ends"
            line = process.stdout.readline()
        (bench.folder / "go-on").touch()
        code, output = ended(process)
        assert code == 4, output
        (run,) = (path for path in (bench.folder / "runs").iterdir() if not path.is_symlink())
        told = json.loads((run / "run.json").read_text())
        assert told["counts"]["passed"] == 2
        assert told["counts"]["not_run"] == 6
        assert told["attempts"]["interrupted"] == 0
        assert told["end_reason"] == "interrupted"
        assert f"6 planned tests are left; to go on: harness resume {run.name} --lab lab.yaml" in output
        assert not list((run / "open").iterdir())  # every rig was put down
        assert bench.harness("evidence", "verify", run.name).returncode == 0

        resumed = bench.harness("resume", run.name, "--lab=lab.yaml")
        assert resumed.returncode == 0, resumed.stderr
        assert json.loads((run / "run.json").read_text())["counts"]["passed"] == 8
        assert bench.harness("evidence", "verify", run.name).returncode == 0  # it is sealed again

    @pytest.mark.parametrize("workers", ["rigs", "0"])
    def test_twice_stops_now_with_rigs_put_down_and_a_readable_record(self, bench, workers: str) -> None:
        bench.write_tests(HOLDS)
        process = bench.start("-n", workers, new_group=True)
        for rig in ("ioc-1", "ioc-2") if workers == "rigs" else ("ioc-1",):
            wait_for(bench.folder / f"held-{rig}")
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)  # two signals at once would be one
        os.killpg(process.pid, signal.SIGINT)
        code, output = ended(process)  # the tests hold for ever
        assert code == 2, output
        assert time.monotonic() - began < 30
        told = summary(bench)
        in_hand = 2 if workers == "rigs" else 1
        assert told["attempts"]["interrupted"] == in_hand
        assert told["counts"]["not_run"] == told["counts"]["planned"] == 8
        assert told["end_reason"] == "interrupted, at once"
        assert not list((bench.folder / "runs/run/open").iterdir())
        assert bench.harness("evidence", "verify", "run").returncode == 0
        (bench.folder / "go-on").touch()
        assert resume(bench).returncode == 0
        assert summary(bench)["counts"]["passed"] == 8
