"""What pytest lets through is no pass: a run's record says of such an attempt that it failed, and why."""

from __future__ import annotations

import pytest

from harness.records.run import RunRecord, read_run


def failures(record: RunRecord) -> dict[str, tuple[str, str]]:
    """Outcome and message of each planned test, by its function."""
    return {
        test.id.partition("[")[0].rpartition("::")[2]: (str(record.outcome(test.id)), record.reason(test.id))
        for test in record.plan.tests
    }


@pytest.mark.parametrize("workers", ["0", "rigs"])
def test_a_test_that_catches_its_deadline_has_not_passed(bench, workers: str) -> None:
    bench.write_tests("""
    @planned
    @pytest.mark.deadline(1)
    def test_expects_any_error(rig):
        with pytest.raises(Exception):
            time.sleep(60)
    @planned
    @pytest.mark.deadline(1)
    def test_tries_again(rig):
        for _ in range(2):
            try:
                time.sleep(60)
            except Exception:
                continue
    @planned
    def test_passes(rig): pass
    """)
    code, output = bench.run("-n", workers, "-k", "active")
    assert code == 1, output
    found = failures(bench.record())
    for name in ("test_expects_any_error", "test_tries_again"):
        outcome, why = found[name]
        assert outcome == "failed"
        assert "did not end within its deadline of 1 s" in why
    assert found["test_passes"][0] == "passed"


def test_a_test_that_was_to_fail_and_does_not_has_not_passed(bench) -> None:
    bench.write_tests("""
    @planned
    @pytest.mark.xfail(strict=True, reason="known to be wrong")
    def test_passes_after_all(rig): pass
    """)
    code, output = bench.run("-n", "0", "-k", "active")
    assert code == 1, output
    [(outcome, why)] = failures(bench.record()).values()
    assert (outcome, "known to be wrong" in why) == ("failed", True)


@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan"])
def test_nothing_is_recorded_of_tests_whose_bodies_are_not_to_run(bench, option: str) -> None:
    bench.write_tests("""
    @planned
    def test_fails(rig): assert False
    """)
    code, output = bench.run("-n", "0", option)
    assert (code, "not their set-up alone" in output) == (4, True)
    assert not (bench.folder / "runs/run/plan.json").exists()


def test_a_body_that_another_plugin_leaves_out_is_no_pass(bench) -> None:
    bench.write_tests("""
    @planned
    def test_fails(rig): assert False
    """)
    (bench.folder / "packs" / "conftest.py").write_text(
        "def pytest_runtestloop(session): session.config.option.setuponly = True\n"
    )
    code, output = bench.run("-n", "0", "-k", "active")
    assert code == 1, output
    assert list(failures(bench.record()).values()) == [("failed", "its body did not run")]


@pytest.mark.parametrize("workers", ["0", "rigs"])
def test_words_that_are_no_text_cost_no_more_than_their_own_test(bench, workers: str) -> None:
    bench.write_tests(r"""
    import logging
    @planned
    def test_says_bytes(rig):
        assert False, "found " + b"caf\xe9".decode("utf-8", "surrogateescape")
    @planned
    def test_logs_bytes(rig):
        logging.warning(os.fsdecode(b"caf\xe9"))
        print(os.fsdecode(b"caf\xe9"))
        assert rig is None
    @planned
    def test_passes(rig): pass
    """)
    bench.environment["PYTHONIOENCODING"] = "utf-8:surrogateescape"
    code, output = bench.run("-n", workers)
    assert (code, "INTERNAL" in output) == (1, False), output
    counts = bench.record().counts()
    assert (counts["failed"], counts["passed"], counts["planned"]) == (4, 2, 6)


def test_a_viewer_that_quits_does_not_end_the_run(bench) -> None:
    bench.write_tests("""
    @planned
    @pytest.mark.parametrize("number", range(4))
    def test_passes(rig, number): time.sleep(0.1)
    """)
    process = bench.start(program=("harness",))
    process.stdout.readline()
    process.stdout.close()
    process.wait(60)
    [folder] = [path for path in (bench.folder / "runs").iterdir() if path.name != "latest"]
    counts = read_run(folder).counts()
    assert (counts["passed"], counts["planned"]) == (8, 8)
    assert (folder / "manifest-sha256.txt.sig").exists()


def test_no_test_stops_the_run(bench) -> None:
    bench.write_tests("""
    @planned
    def test_plays_the_user(rig): raise KeyboardInterrupt
    @planned
    def test_wants_out(rig): pytest.exit("I want out")
    @planned
    def test_passes(rig): pass
    """)
    code, output = bench.run("-n", "rigs")
    assert code == 1, output
    found = failures(bench.record())
    assert found["test_plays_the_user"][0] == found["test_wants_out"][0] == "failed"
    assert "nobody had pressed Ctrl-C" in found["test_plays_the_user"][1]
    assert "I want out" in found["test_wants_out"][1]
    assert found["test_passes"][0] == "passed"
    assert {part.reason for part in bench.record().parts} == {"completed"}


@pytest.mark.parametrize("workers", ["0", "rigs"])
def test_a_run_that_ends_at_the_first_failure_says_so(bench, workers: str) -> None:
    bench.write_tests("""
    @planned
    @pytest.mark.parametrize("number", range(8))
    def test_fails(rig, number): assert False
    """)
    code, output = bench.run("-n", workers, "-x")
    assert code in {1, 2}, output
    assert "stopping after 1 failures" in bench.record().end_reason
