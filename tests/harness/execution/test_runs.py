"""Whole runs over fake rigs, in processes of their own: what is planned, what becomes of it, what is kept."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

TWELVE = """
@planned
@pytest.mark.parametrize("number", range(6))
def test_one_of_many(rig, number, evidence):
    evidence.note("rig", rig.rig.id)
    time.sleep(0.05)
"""


def rigs_used(bench) -> set[str]:
    return {attempt.rig for attempts in bench.record().attempts.values() for attempt in attempts}


def wait_for(path: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)


def wait_for_lines(path: Path, count: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists() or len(path.read_text().splitlines()) < count:
        assert time.monotonic() < deadline, f"{path} never had {count} lines"
        time.sleep(0.02)


def test_every_rig_takes_a_share_and_the_plan_was_frozen_before(bench) -> None:
    bench.write_tests("""
    @planned
    def test_waits_for_the_others(rig):
        assert Path("runs/run/plan.json").exists()
        Path(rig.rig.id).touch()
        for _ in range(500):
            if len(list(Path().glob("ioc-*"))) == 2:
                return
            time.sleep(0.02)
        raise AssertionError("the other rig never ran a test beside this one")
    """)
    code, output = bench.run("-n", "rigs")
    assert code == 0, output
    assert len(rigs_used(bench)) == 2  # planned on the two EPCL entries of the DMC, at the same time
    record = bench.record()
    assert not record.problems
    journals = (bench.folder / "runs/run/journal").iterdir()
    heads = [json.loads(path.read_text().splitlines()[0]) for path in journals]
    assert [head["plan_digest"] for head in heads] == [record.plan.digest] * 3


def test_failures_lab_faults_and_errors_of_the_script_are_told_apart(bench) -> None:
    bench.write_tests("""
    @planned
    def test_device_wrong(rig): assert 1 == 2
    @planned
    def test_device_silent(rig): raise DeviceFault("no answer")
    @planned
    def test_probe_gone(rig): raise LabFault("the probe was pulled")
    @planned
    def test_script_broken(rig): {}["nothing"]
    @planned
    def test_well(rig): pass
    """)
    code, _ = bench.run("-n", "rigs")
    assert code == 1
    assert bench.outcomes() == {
        "test_device_wrong": "failed",
        "test_device_silent": "failed",
        "test_probe_gone": "blocked",
        "test_script_broken": "failed",
        "test_well": "passed",
    }
    causes = {
        key.partition("::")[2].partition("[")[0]: str(attempts[-1].cause)
        for key, attempts in bench.record().attempts.items()
    }
    assert causes["test_device_wrong"] == causes["test_device_silent"] == "device failure"
    assert causes["test_script_broken"] == "harness error"
    assert causes["test_probe_gone"] == "lab fault"


def test_a_lab_fault_sends_the_test_to_another_rig_and_both_attempts_show(bench) -> None:
    bench.write_tests("""
    @planned
    def test_only_works_elsewhere(rig):
        try:
            Path("first").touch(exist_ok=False)
        except FileExistsError:
            return
        raise LabFault("this rig's relay does not answer")
    """)
    code, output = bench.run("-n", "rigs")
    assert code == 0, output
    attempts = [attempts for attempts in bench.record().attempts.values() if len(attempts) == 2]
    assert [[str(a.result) for a in pair] for pair in attempts] == [["blocked", "passed"]]
    assert attempts[0][0].rig != attempts[0][1].rig


def test_after_a_lab_fault_the_rig_is_taken_in_hand_anew(bench) -> None:
    bench.write_tests("""
    @planned
    def test_device_wrong(rig):
        rig.same = True
        assert False
    @planned
    def test_probe_gone(rig):
        assert rig.same  # a device that did wrong is no reason to put the rig down
        raise LabFault("the probe was pulled")
    @planned
    def test_well_again(rig):
        assert not hasattr(rig, "same")
    @pytest.fixture
    def shaky(rig):
        yield rig
        raise LabFault("the relay does not answer")
    @planned
    def test_device_and_relay_wrong(shaky):
        shaky.other = True
        assert False
    @planned
    def test_well_again_too(rig):
        assert not hasattr(rig, "other")
    """)
    bench.run("-n", "0", "-k", "active")  # one EPCL entry
    assert bench.outcomes() == {
        "test_device_wrong": "failed",
        "test_probe_gone": "blocked",
        "test_well_again": "passed",
        "test_device_and_relay_wrong": "failed",
        "test_well_again_too": "passed",
    }
    assert not list((bench.folder / "runs/run/open").iterdir())  # every rig that was opened was put down


def test_a_rig_that_cannot_be_opened_takes_no_more_tests(bench) -> None:
    bench.environment["BROKEN_RIGS"] = "ioc-2"
    bench.write_tests(TWELVE)
    code, output = bench.run("-n", "rigs")
    assert code == 0, output
    blocked = [
        a for attempts in bench.record().attempts.values() for a in attempts if str(a.result) == "blocked"
    ]
    assert len(blocked) <= 1
    assert set(bench.outcomes().values()) == {"passed"}


def test_losing_every_rig_of_the_dmc_ends_the_run_with_reasons(bench) -> None:
    bench.environment["BROKEN_RIGS"] = "ioc-1,ioc-2"
    bench.write_tests(TWELVE)
    code, _ = bench.run("-n", "rigs")
    record = bench.record()
    reasons = {
        record.reason(test.id) for test in record.plan.tests if str(record.outcome(test.id)) == "not_run"
    }
    assert any("Clause 20.19" in reason and "its probe is not there" in reason for reason in reasons)
    assert {str(record.outcome(test.id)) for test in record.plan.tests} == {"blocked", "not_run"}
    assert code != 0


def test_a_run_without_a_single_rig_is_planned_and_not_run(bench) -> None:
    bench.write_tests(TWELVE)
    code, output = bench.run("-n", "rigs", pack="pack-foc")
    assert code == 1, output
    counts = bench.record().counts()
    assert counts["not_run"] == counts["planned"] > 0


def test_a_dmc_without_a_rig_is_not_run_at_once(bench) -> None:
    bench.write_tests(TWELVE)
    code, _ = bench.run("--pack=pack-foc", "-n", "rigs")
    assert code == 1  # not everything that was planned has passed
    record = bench.record()
    reasons = {record.reason(test.id) for test in record.plan.tests if test.release == "FOC"}
    assert all("no rig of DMC" in reason for reason in reasons)
    assert record.counts()["not_run"] == 12


def test_a_killed_worker_leaves_an_interrupted_attempt_and_the_next_one_beside_it(bench) -> None:
    bench.environment["RIGS_DIE"] = "1"
    bench.write_tests("""
    @planned
    def test_before(rig): pass

    @planned
    def test_dies_once(rig, planned_case):
        try:
            Path("died").touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    @planned
    def test_after(rig): pass
    """)
    code, output = bench.run("-n", "rigs")
    assert code == 0, output
    assert sorted(map(len, bench.record().attempts.values())) == [1, 1, 1, 1, 1, 2]
    died = next(attempts for attempts in bench.record().attempts.values() if len(attempts) == 2)
    assert [str(attempt.result) for attempt in died] == ["interrupted", "passed"]


def test_a_test_that_kills_its_workers_is_set_aside(bench) -> None:
    bench.environment["RIGS_DIE"] = "1"
    bench.write_tests("""
    @planned
    def test_deadly(rig, planned_case):
        if planned_case.entry.id.endswith("active"):
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    bench.run("-n", "rigs")
    record = bench.record()
    deadly = next(test for test in record.plan.tests if "active" in test.entry)
    assert str(record.outcome(deadly.id)) == "not_run"
    assert "set aside" in record.reason(deadly.id)
    assert len(record.attempts[deadly.id]) == 2


def test_a_killed_controller_leaves_journals_that_account_for_every_finished_test(bench) -> None:
    bench.write_tests("""
    @planned
    @pytest.mark.parametrize("number", range(20))
    def test_slowly(rig, number, planned_case):
        time.sleep(0.1)
        with open("finished", "a") as file:
            file.write(f"{number} {planned_case.id}\\n")
            file.flush()
    """)
    process = bench.start("-n", "rigs")
    wait_for_lines(bench.folder / "finished", 3)  # of two rigs: one at least is at its next test by now
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()  # its pipe ends when the workers, too, have ended
    finished = len((bench.folder / "finished").read_text().splitlines())
    record = bench.record()
    passed = [a for attempts in record.attempts.values() for a in attempts if str(a.result) == "passed"]
    still_open = [
        a for attempts in record.attempts.values() for a in attempts if str(a.result) == "interrupted"
    ]
    assert passed
    assert 0 <= finished - len(passed) <= len(still_open)  # the last line of a test may come before its end
    assert str(record.outcome(record.plan.tests[-1].id)) == "not_run"
    assert not record.problems

    unsealed = bench.harness("evidence", "verify", "run")
    assert (unsealed.returncode, unsealed.stdout) == (
        1,
        "manifest-sha256.txt: there is no manifest: the run did not end\n",
    )
    rendered = bench.harness("ttm", "heatmap", "run", "--lab=lab.yaml")
    assert rendered.returncode == 0, rendered.stderr
    for name in ("heatmap.html", "allure-results"):
        assert f"runs/run/{name}" in rendered.stderr
    summary = json.loads((bench.folder / "runs/run/run.json").read_text())
    assert summary["counts"]["passed"] == len(passed)
    assert summary["counts"]["not_run"] == len(record.plan.tests) - len(passed)
    assert "not sealed: it has no seal yet; harness resume runs/run brings it to its end" in rendered.stderr
    assert bench.harness("evidence", "verify", "run").returncode == 1


def test_pytest_shows_what_the_lab_blocked_as_blocked(bench) -> None:
    bench.environment["RIGS_DIE"] = "1"
    bench.write_tests("""
    @planned
    def test_probe_gone(rig): raise LabFault("the probe was pulled", remedy="put it back")
    @planned
    def test_dies_once(rig):
        try:
            Path("died").touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    _, output = bench.run("-n", "rigs", "-vv", "-k", "active")
    assert "BLOCKED" in output
    assert "INTERRUPTED" in output
    assert "FAILED" not in output
    assert "on ioc-1: LabFault: the probe was pulled (put it back)" in output
    assert re.search(r"1 passed, .*1 interrupted, 2 blocked|1 passed, .*2 blocked, 1 interrupted", output)
    assert f"record: {bench.folder}/runs/run" in output


def test_what_a_device_does_after_the_lab_has_failed_is_kept_but_not_held_against_it(bench) -> None:
    bench.write_tests("""
    @pytest.fixture
    def put_back(rig):
        yield
        raise DeviceFault("silent")
    @planned
    def test_supply_off(rig, put_back): raise LabFault("the relay is stuck")
    """)
    _, output = bench.run("-n", "0", "-vv", "-k", "active")
    attempts = [attempt for tries in bench.record().attempts.values() for attempt in tries]
    assert {str(attempt.result) for attempt in attempts} == {"blocked"}
    assert "BLOCKED" in output
    assert not re.search("FAILED|ERROR", output)
    assert all("DeviceFault: silent" in attempt.trace for attempt in attempts)


def test_attempts_tell_lab_time_also_the_one_that_opens_the_rig(bench) -> None:
    bench.write_tests(TWELVE)
    bench.run("-n", "0", "-k", "active")
    attempts = [attempt for tries in bench.record().attempts.values() for attempt in tries]
    assert len(attempts) == 6
    for attempt in attempts:
        assert "2026-03-02T09:00:00" < attempt.lab_started < attempt.lab_ended


def test_an_export_that_breaks_costs_neither_the_others_nor_the_verdict(bench) -> None:
    bench.environment["BROKEN_EXPORT"] = "1"
    bench.write_tests(TWELVE)
    code, output = bench.run("-n", "0")
    assert code == 0
    assert "export theirs could not be made: ZeroDivisionError: a third party's mistake" in output
    for name in ("run.json", "junit.xml", "heatmap.html", "manifest-sha256.txt"):
        assert (bench.folder / "runs/run" / name).is_file()


def test_collecting_alone_shows_the_plan_and_leaves_no_run(bench) -> None:
    bench.write_tests(TWELVE)
    code, output = bench.run("-n", "rigs", "--collect-only")
    assert code == 0
    assert "12 tests collected" in output
    assert not (bench.folder / "runs").exists()


def test_without_workers_one_process_goes_from_rig_to_rig(bench) -> None:
    bench.write_tests(TWELVE)
    code, output = bench.run("-n", "0")
    assert code == 0, output
    assert set(bench.outcomes().values()) == {"passed"}


def test_a_worker_count_that_is_not_rigs_is_refused(bench) -> None:
    bench.write_tests(TWELVE)
    code, output = bench.run("-n", "2")
    assert code == 4
    assert "-n rigs" in output


def test_an_unknown_ttm_id_is_a_planning_error_that_names_all_of_them(bench) -> None:
    bench.write_tests("""
    @pytest.mark.ttm("TTM-NONE-1")
    def test_a(rig): pass
    @pytest.mark.ttm("TTM-NONE-2")
    def test_b(rig): pass
    def test_c(rig): pass
    """)
    code, output = bench.run("-n", "rigs")
    assert code == 4
    for word in ("TTM-NONE-1", "TTM-NONE-2", "test_c"):
        assert word in output
    assert not (bench.folder / "runs/run/plan.json").exists()


def test_an_unknown_pack_suggests_the_nearest(bench) -> None:
    bench.write_tests(TWELVE)
    code, output = bench.run("-n", "rigs", pack="pack-iocc")
    assert code == 4
    assert "did you mean 'pack-ioc'?" in output


def test_a_broken_test_module_is_shown_and_runs_nothing(bench) -> None:
    bench.write_tests("import nothing_of_that_name")
    code, output = bench.run("-n", "rigs")
    assert code != 0
    assert "nothing_of_that_name" in output


class TestHarnessRun:
    def test_exit_codes_follow_the_contract(self, bench) -> None:
        bench.write_tests("""
        @planned
        def test_good(rig): pass
        @planned
        def test_bad(rig): assert False
        @planned
        def test_blocked(rig): raise LabFault('no mains')
        """)

        def run(*arguments: str, pack: str = "pack-ioc") -> int:
            return bench.run("--one-process", *arguments, program=("harness",), pack=pack)[0]

        assert run("-k", "good") == 0
        assert run() == 1  # a failure outweighs what the lab blocked
        assert run("-k", "blocked") == 3
        assert run(pack="no-such-pack") == 2

    def test_json_goes_alone_to_standard_output(self, bench) -> None:
        bench.write_tests(TWELVE)
        run = bench.harness("run", "pack-ioc", "--lab=lab.yaml", "--json")
        assert json.loads(run.stdout)["counts"]["passed"] == 12
        assert run.stderr == ""

    def test_an_interruption_before_the_plan_is_frozen_says_so(self, bench) -> None:
        bench.environment["INTERRUPT_START"] = "1"
        bench.write_tests(TWELVE)
        code, output = bench.run(program=("harness",))
        assert code == 4
        assert output == "ended before the plan was frozen: nothing was run, and nothing is recorded\n"

    def test_a_module_that_cannot_be_collected_is_a_usage_error_in_words(self, bench) -> None:
        bench.write_tests("import nothing_of_that_name\n@planned\ndef test_a(rig): ...")
        code, output = bench.run(program=("harness",))
        assert code == 2
        assert "nothing_of_that_name" in output
        assert "nothing is run: 1 of the packs' modules cannot be collected" in output

    def test_ctrl_c_is_exit_code_4_and_the_record_is_whole(self, bench) -> None:
        bench.write_tests("""
        @planned
        @pytest.mark.parametrize("number", range(30))
        def test_slowly(rig, number):
            Path("begun").touch()
            time.sleep(0.2)
        """)
        process = bench.start(program=("harness",))
        wait_for(bench.folder / "begun")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 4, output
        run = next(
            path for path in (bench.folder / "runs").iterdir() if path.is_dir() and not path.is_symlink()
        )
        summary = json.loads((run / "run.json").read_text())
        assert summary["counts"]["not_run"] > 0
        assert sum(v for k, v in summary["counts"].items() if k != "planned") == summary["counts"]["planned"]
