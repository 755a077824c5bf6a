"""A fault of somebody else's: a module of ten lines, named in the lab file, and nothing more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.domain.words import Cause, Outcome
from harness.records.run import read_run

PLUGIN = """\
from harness.domain.faults import Fault, Place, Point
from harness.hooks import hookimpl

def always_disabled(seen):
    return "Disabled" if (seen.item, seen.details["client"]) == ("supply_state", 2) else seen.value

@hookimpl
def harness_faults():
    told = "the meter always tells the S1SP that its supply is disabled"
    return [Fault("supply-always-disabled", Place.ESME, Point.READ, told, always_disabled, srvs=("7.4",))]
"""


@pytest.fixture
def lab(copied_lab: Path) -> Path:
    """The shipped lab with one plugin more."""
    (copied_lab.parent / "their_faults.py").write_text(PLUGIN)
    copied_lab.write_text(copied_lab.read_text() + "\nplugins: [their_faults]\n")
    return copied_lab


def harness(lab: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {"HARNESS_STATE": str(lab.parent / "state"), "PYTHONPATH": str(lab.parent)}
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments, f"--lab={lab}"],
        cwd=lab.parent,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_it_is_listed_beside_the_built_in_ones(lab: Path) -> None:
    assert len(PLUGIN.splitlines()) == 10
    done = harness(lab, "faults", "--json")
    assert done.returncode == 0, done.stderr
    listed = {fault["fault"]: fault for fault in json.loads(done.stdout)}
    assert listed["supply-always-disabled"]["SRVs"] == "7.4"
    assert "alert-lost" in listed


def test_switched_on_it_makes_the_test_of_its_srv_fail(lab: Path) -> None:
    tests = (
        "dormant and (test_the_status_read_is_the_meters or test_access_is_restricted_from_the_moment_sent)"
    )
    done = harness(
        lab, "run", "standard-srvt-ioc", "--one-process", "-k", tests, "--fault=supply-always-disabled"
    )
    assert done.returncode == 1, done.stderr
    record = read_run(lab.parent / "runs" / "latest")
    assert record.plan.faults == ("supply-always-disabled",)
    assert len(record.plan.tests) == 4
    (failed,) = record.tests(Outcome.FAILED)
    assert failed.srvs == ("7.4",)
    assert failed.device_type == "ESME"
    assert record.latest(failed.id).cause is Cause.DEVICE


def test_a_misspelt_fault_is_refused_with_the_nearest_name(lab: Path) -> None:
    done = harness(lab, "run", "standard-srvt-ioc", "--one-process", "--fault=supply-always-disable")
    assert done.returncode == 2
    assert "did you mean 'supply-always-disabled'?" in done.stdout + done.stderr
