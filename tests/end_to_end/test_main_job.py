"""The main job: three packs over the simulated lab, and everything that it promises to leave behind."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from device_drivers.dcc.identities import simulated_identities, simulated_pki
from device_drivers.dcc.inspection import Inspector
from device_drivers.dcc.signature import Ring
from device_drivers.dcc.tree import parse
from harness.config import load_lab
from harness.records.run import read_run

REPO = Path(__file__).parents[2]
RELEASES = {"IOC", "MOC", "FOC"}


def messages(run: Path) -> Iterator[dict[str, Any]]:
    for line in (run / "dcc" / "messages.jsonl").read_text().splitlines():
        yield json.loads(line)


def lab_of(main_job):
    return load_lab(
        REPO / "lab_config" / "simulated.yaml", state=main_job.folder.parent / "state" / "simulated"
    )


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


def test_every_message_validates_and_is_signed_as_the_profile_says(main_job, schemas: Path) -> None:
    lab = lab_of(main_job)
    identities = simulated_identities(lab)
    inspector = Inspector(identities, schemas)
    schema = etree.XMLSchema(etree.parse(schemas / "DUIS_V5.4.xsd"))
    pki = simulated_pki(lab)
    users = Ring({str(u.role): pki.user(u.role, u.eui).certificate for u in identities.users.values()})
    seen: Counter[str] = Counter()
    refused = {m["request_id"] for m in messages(main_job.folder) if m.get("status") == 400}
    for message in messages(main_job.folder):
        xml = message["xml"].encode()
        seen[message["kind"]] += 1
        if message["kind"] == "request":
            root = parse(xml)
            if not message["forged"]:
                users.verify(root)
                # A value out of the schema's range is sent on purpose, and then refused for it
                assert schema.validate(root) or message["request_id"] in refused, schema.error_log
        else:
            is_duis = message.get("status", 200) == 200  # an HTTP refusal is a line of text
            problems = inspector.inspect(xml).problems if is_duis else ()
            assert not problems, (message["kind"], problems, message["xml"])
    assert seen["request"] > 500
    assert seen["answer"] == seen["request"]


def test_counters_rise_strictly_for_each_originator(main_job) -> None:
    last: dict[str, int] = {}
    for message in messages(main_job.folder):
        if message["kind"] == "request" and not message["forged"]:
            originator, _, counter = message["request_id"].split(":")
            assert int(counter) > last.get(originator, 0)
            last[originator] = int(counter)


def test_every_passed_attempt_has_evidence_of_the_dcc_and_of_the_devices_own_port(main_job) -> None:
    record = read_run(main_job.folder)
    for test, attempts in record.attempts.items():
        steps = (main_job.folder / "evidence" / attempts[-1].id / "steps.jsonl").read_text()
        assert '"DCC"' in steps or not record.plan.by_id[test].srvs, test
        assert '"ESME"' in steps or '"GSME"' in steps or '"CH"' in steps, test


@pytest.mark.parametrize("command", [("ttm", "check"), ("packs",), ("rigs",), ("faults",), ("lab", "schema")])
def test_listings_work_on_the_shipped_lab(command: tuple[str, ...]) -> None:
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "harness", *command], cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
