"""The main job: three packs over the simulated lab, and everything that it promises to leave behind."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from harness.records.run import read_run
from tests.end_to_end.conftest import harness

REPO = Path(__file__).parents[2]
RELEASES = {"IOC", "MOC", "FOC"}
KEPT_BY_ITSELF = "test_memory::"
"""What a meter keeps without power is looked for at its own port, whatever request has put it there."""


def test_everything_passes_and_the_exit_code_says_so(main_job) -> None:
    record = read_run(main_job.folder)
    bad = [
        f"{attempt.rig} {test}: {attempt.message}"
        for test, attempts in record.attempts.items()
        for attempt in attempts
        if str(attempt.result) != "passed"
    ]
    assert not bad
    assert main_job.code == 0, main_job.output
    assert record.problems == ()


def test_three_releases_on_three_dmcs_and_every_rig_had_work(main_job) -> None:
    summary = main_job.summary
    assert {dmc["release"] for dmc in summary["dmcs"]} == RELEASES
    assert len(summary["dmcs"]) >= 3
    record = read_run(main_job.folder)
    worked = Counter(attempt.rig for attempts in record.attempts.values() for attempt in attempts)
    assert set(worked) == {rig["id"] for rig in summary["rigs"]}


def test_at_least_thirty_srvs_of_the_catalogue_are_tested(main_job) -> None:
    plan = read_run(main_job.folder).plan
    srvs = {srv for test in plan.tests for srv in test.srvs}
    assert len(srvs) >= 30
    assert {srv.partition(".")[0] for srv in srvs} >= {"1", "2", "3", "4", "6", "7", "8", "11"}


def test_the_run_folder_holds_what_the_contract_names(main_job) -> None:
    for name in (
        "plan.json",
        "run.json",
        "junit.xml",
        "ttm-coverage.csv",
        "heatmap.html",
        "manifest-sha256.txt",
    ):
        assert (main_job.folder / name).is_file(), name
    assert (main_job.folder.parent / "latest").resolve() == main_job.folder
    check = subprocess.run(
        ["sha256sum", "--check", "--quiet", "manifest-sha256.txt"],
        cwd=main_job.folder,
        capture_output=True,
        text=True,
    )
    assert check.returncode == 0, check.stdout


def test_counts_add_up_to_the_plan(main_job) -> None:
    counts = main_job.summary["counts"]
    outcomes = ("passed", "failed", "blocked", "not_run", "descoped")
    assert sum(counts[name] for name in outcomes) == counts["planned"] > 0


def test_coverage_from_the_allure_results_alone_gives_the_numbers_of_run_json(main_job) -> None:
    from harness.config.ttm import load_ttm
    from harness.traceability.allure import of_allure

    total = of_allure(load_ttm(REPO / "lab_config" / "ttm.csv"), main_job.folder / "allure-results").total
    for name, number in main_job.summary["ttm"].items():
        assert getattr(total, name) == number, name


def test_every_message_holds_against_schema_signatures_and_counters(main_job, schemas: Path) -> None:
    state = main_job.folder.parent / "state"
    done = harness("evidence", "messages", str(main_job.folder), "--json", state=state)
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout)
    assert told["problems"] == []
    assert told["by_schema"]
    assert told["messages"]["answer"] == told["messages"]["request"] > 500
    assert told["messages"]["response"] > 300
    assert told["messages"]["alert"] > 20
    assert told["forged"] > 20


def test_every_passed_attempt_has_evidence_of_the_dcc_and_of_the_devices_own_port(main_job) -> None:
    record = read_run(main_job.folder)
    for test, attempts in record.attempts.items():
        steps = (main_job.folder / "evidence" / attempts[-1].id / "steps.jsonl").read_text()
        asks = record.plan.by_id[test].srvs and not test.startswith(KEPT_BY_ITSELF)
        assert '"DCC"' in steps or not asks, test
        assert '"ESME"' in steps or '"GSME"' in steps or '"CH"' in steps, test


@pytest.mark.parametrize("command", [("ttm", "check"), ("packs",), ("rigs",), ("faults",), ("lab", "schema")])
def test_listings_work_on_the_shipped_lab(command: tuple[str, ...]) -> None:
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "harness", *command], cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or command == ("ttm", "check")  # with nothing to complain of
