"""What ``harness run`` is started in makes no other run: streams that are closed, options of pytest."""

from __future__ import annotations

import subprocess
import sys

import pytest

SUBJECT = """
@planned
def test_subject(rig):
    os.fstat(1), os.fstat(2)
"""


@pytest.mark.parametrize("closed", ["", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_run_whose_streams_are_closed_is_a_run(bench, closed: str) -> None:
    bench.write_tests(SUBJECT)
    command = [sys.executable, "-m", "harness", "run", "pack-ioc", "--lab=lab.yaml"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command],
        cwd=bench.folder,
        env=bench.surroundings(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert ("run 2" in done.stdout) is (closed in ("", "2>&-"))
    assert ("planned tests" in done.stderr) is (closed in ("", ">&-"))
    assert (bench.folder / "runs" / "latest" / "run.json").exists()


def test_options_that_pytest_is_given_by_the_environment_are_none_of_a_run_s(bench) -> None:
    bench.write_tests(SUBJECT)
    bench.environment["PYTEST_ADDOPTS"] = "--collect-only"
    code, output = bench.run(program=("harness",))
    assert code == 0, output
    assert (bench.folder / "runs" / "latest" / "run.json").exists()
