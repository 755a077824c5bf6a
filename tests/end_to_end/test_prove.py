"""``harness packs --prove`` with faults of somebody else: caught, missed, or caught by the wrong test."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.records.run import read_run
from tests.end_to_end.conftest import REPO

FAULTS = """\
from harness.domain.faults import DROP, Fault, Place, Point
from harness.hooks import hookimpl

def told(seen):
    return "Disabled" if (seen.item, seen.details["client"]) == ("supply_state", 2) else seen.value

def fault(name, srv, intercept, **more):
    return Fault(name, Place.ESME, Point.READ, f"{name}, for a test", intercept, srvs=(srv,), **more)

@hookimpl
def harness_faults():
    return [
        fault("told-disabled", "7.4", told),
        fault("nothing-wrong", "7.4", lambda seen: seen.value),
        fault("of-another-srv", "6.11", told),
        fault("of-no-test", "1.1.1", told),
        fault("beyond-reach", "7.4", lambda seen: seen.value, may_be_missed="no port shows it"),
    ]
"""
MANIFEST = """\
title: {title}
version: "1"
kind: service_reference_variant
capability_release: IOC
test_phase: DMCT SRVT
installation_types: [dormant]
select:
{select}
"""
TESTS = (
    "service_reference_variants/test_supply_management.py::test_the_status_read_is_the_meters",
    "service_reference_variants/test_clock.py::test_a_time_beyond_the_tolerance_is_declined",
)
SICK = """\
import pytest

@pytest.mark.srv("7.4")
@pytest.mark.ttm("TTM-7.4-E-01")
@pytest.mark.devices("ESME")
def test_that_never_passes(esme):
    assert esme.supply() is None
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped lab with two small packs and four faults of somebody else's."""
    folder = tmp_path_factory.mktemp("lab")
    packs, config = folder / "test_packs", folder / "lab_config"
    shutil.copytree(REPO / "test_packs", packs, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPO / "lab_config", config)
    put_pack(packs, "tiny", TESTS)
    (packs / "test_sick.py").write_text(SICK)
    put_pack(packs, "sick", ("test_sick.py",))
    (folder / "their_faults.py").write_text(FAULTS)
    file = config / "simulated.yaml"
    file.write_text(
        file.read_text().replace("../../shared", str(REPO.parent / "shared")) + "\nplugins: [their_faults]\n"
    )
    return file


def put_pack(packs: Path, name: str, tests: tuple[str, ...]) -> None:
    select = "\n".join(f"  - {test}" for test in tests)
    (packs / "manifests" / f"{name}.yaml").write_text(
        MANIFEST.format(title=f"The {name} pack", select=select)
    )


def command(lab: Path, runs: Path, *arguments: str) -> dict[str, Any]:
    folder = lab.parents[1]
    return {
        "args": [sys.executable, "-m", "harness", "packs", f"--lab={lab}", f"--runs={runs}", *arguments],
        "cwd": folder,
        "env": {**os.environ, "PYTHONPATH": str(folder), "HARNESS_STATE": str(folder / "state")},
    }


OUTSIDE = "--faults=told-disabled,nothing-wrong,of-another-srv,of-no-test"


@pytest.fixture(scope="module")
def proven(
    lab: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    runs = tmp_path_factory.mktemp("runs")
    done = subprocess.run(
        **command(lab, runs, "--prove=tiny", OUTSIDE, "--bystanders=9", "--json"),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    (folder,) = runs.iterdir()
    return done, folder


def faults_of(proven: tuple[subprocess.CompletedProcess[str], Path]) -> dict[str, Any]:
    return {fault["name"]: fault for fault in json.loads(proven[0].stdout)["faults"]}


def test_each_fault_gets_its_verdict_and_the_exit_code_says_that_not_all_is_well(proven: Any) -> None:
    assert proven[0].returncode == 1, proven[0].stderr
    assert {name: fault["verdict"] for name, fault in faults_of(proven).items()} == {
        "told-disabled": "caught",
        "nothing-wrong": "missed",
        "of-another-srv": "wrong",
        "of-no-test": "not applicable",
    }


def test_a_miss_with_a_reason_of_its_own_is_no_gap_of_the_packs(lab: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        **command(lab, tmp_path, "--prove=tiny", "--faults=told-disabled,beyond-reach"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "may be missed: no port shows it" in done.stdout
    assert "1 missed, 1 caught: 50.0% of the faults that the packs can touch were caught" in done.stderr
    (page,) = tmp_path.glob("*/proof.html")
    assert "may be missed: no port shows it" in page.read_text()


def test_it_is_told_which_tests_caught_it_and_which_failed_without_a_reason(proven: Any) -> None:
    faults = faults_of(proven)
    (caught,) = faults["told-disabled"]["packs"][0]["caught_by"]
    assert caught["name"] == "test_the_status_read_is_the_meters"
    assert caught["cause"] == "device failure"
    (wrong,) = faults["of-another-srv"]["packs"][0]["wrong"]
    assert wrong["name"] == "test_the_status_read_is_the_meters"
    assert (proven[1] / caught["evidence"] / "steps.jsonl").is_file()


def test_tests_that_caught_nothing_are_named_with_the_number_of_their_faults(proven: Any) -> None:
    (idle,) = json.loads(proven[0].stdout)["idle"]
    assert idle == {"pack": "tiny", "name": "test_a_time_beyond_the_tolerance_is_declined", "faults": 1}


def test_a_proof_is_kept_for_programs_and_for_people_and_its_runs_are_records(proven: Any) -> None:
    done, folder = proven
    assert json.loads((folder / "proof.json").read_text()) == json.loads(done.stdout)
    page = (folder / "proof.html").read_text()
    assert all(name in page for name in faults_of(proven))
    record = read_run(folder / "told-disabled")
    assert record.plan.faults == ("told-disabled",)
    assert record.plan.narrowed["test"]
    assert not record.problems
    assert not (folder / "state").exists(), "keys of twins that are no more"


def test_packs_that_fail_without_a_fault_prove_nothing(lab: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        **command(lab, tmp_path, "--prove=sick", "--faults=told-disabled"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "without a fault 1 tests fail" in done.stderr
    assert not list(tmp_path.glob("*/told-disabled"))


def test_an_interrupted_proof_keeps_what_it_has_and_leaves_nobody_behind(lab: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        **command(lab, tmp_path, "--prove=tiny", OUTSIDE, "--workers=1"),
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    heard = ""
    while "   2/4" not in heard:  # the first is not applicable, and costs nothing
        line = process.stderr.readline()
        assert line, heard
        heard += line
    process.send_signal(signal.SIGINT)
    heard += process.communicate(timeout=30)[1]
    assert process.returncode == 4, heard
    (proof,) = tmp_path.glob("proof-*/proof.json")
    told = json.loads(proof.read_text())
    assert len(told["faults"]) + len(told["left"]) == 4
    assert len(told["faults"]) >= 2
    mentioning = [pid for pid in Path("/proc").glob("[0-9]*") if str(tmp_path).encode() in cmdline(pid)]
    assert not mentioning


def cmdline(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def test_a_misspelt_fault_or_place_is_refused_with_the_nearest(lab: Path, tmp_path: Path) -> None:
    for option, nearest in (("--faults=told-disable", "told-disabled"), ("--place=gateways", "gateway")):
        done = subprocess.run(
            **command(lab, tmp_path, "--prove=tiny", option), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2
        assert f"did you mean '{nearest}'?" in done.stderr
