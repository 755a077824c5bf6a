"""``harness lab check``: every device is told; of what fails: what was tried, what came back, what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.rigs.lease import take

PLUGIN = """
from harness.domain.errors import LinkLost
from harness.hooks import hookimpl

@hookimpl(tryfirst=True)
def harness_start_lab(lab, run):
    raise LinkLost("the gateway does not answer", remedy="ask the DCC")
"""


@pytest.fixture
def check(harness, lab_file: Path, tmp_path: Path):
    """Check that lab; the findings, the exit code, and what was said beside them."""

    def run(*arguments: str):
        done = harness(
            "lab",
            "check",
            "--lab",
            lab_file,
            "--runs",
            tmp_path / "runs",
            *arguments,
            PYTHONPATH=str(tmp_path),
        )
        assert "Traceback" not in done.stderr
        return done

    return run


def keep_rigs(lab_file: Path, *rigs: str) -> None:
    """Leave the lab these rigs alone."""
    head, _, tail = lab_file.read_text().partition("\nrigs:\n")
    blocks = re.split(r"^  (?=[\w-]+:$)", tail, flags=re.MULTILINE)
    kept = [f"  {block}" for block in blocks if block.partition(":")[0] in rigs]
    lab_file.write_text(f"{head}\nrigs:\n{''.join(kept).rstrip()}\n")


def test_a_sound_lab_tells_what_each_device_is(check, lab_file: Path) -> None:
    keep_rigs(lab_file, "ioc-1")
    done = check("--json")
    assert done.returncode == 0, done.stderr
    findings = json.loads(done.stdout)
    assert [(each["rig"], each["device"], each["state"]) for each in findings] == [
        ("all", "DCC", "good"),
        ("ioc-1", "ESME", "good"),
        ("ioc-1", "GSME", "good"),
        ("ioc-1", "CH", "good"),
    ]
    assert "firmware" in findings[1]["found"]
    assert done.stderr.splitlines() == ["checking ioc-1", "1 rigs checked, nothing to look at"]


def test_a_device_that_is_not_its_baseline_is_named_and_the_other_rigs_are_checked(
    check, lab_file: Path, tmp_path: Path
) -> None:
    keep_rigs(lab_file, "ioc-1", "foc-2")
    (tmp_path / "wrong_firmware.py").write_text("""
from dataclasses import replace
from device_drivers.esme import EsmeDriver
read = EsmeDriver.identity
EsmeDriver.identity = lambda self: (
    replace(found, firmware="9.9") if "E011" in (found := read(self)).serial_number else found
)
""")
    lab_file.write_text(lab_file.read_text() + "plugins: [wrong_firmware]\n")
    done = check("--json")
    assert done.returncode == 3, done.stderr
    bad = [each for each in json.loads(done.stdout) if each["state"] != "good"]
    assert [(each["rig"], each["tried"]) for each in bad] == [
        ("ioc-1", "open ESME, GSME, CH and hold each to its baseline")
    ]
    assert "ESME says its firmware is '9.9'" in bad[0]["found"]
    assert bad[0]["remedy"] == "correct the lab file, or bring the device to its baseline"
    assert any(each["rig"] == "foc-2" and each["state"] == "good" for each in json.loads(done.stdout))


def test_the_rigs_are_checked_while_the_dcc_cannot_be_reached(check, lab_file: Path, tmp_path: Path) -> None:
    keep_rigs(lab_file, "foc-2")
    (tmp_path / "no_dcc.py").write_text(PLUGIN)
    lab_file.write_text(lab_file.read_text() + "plugins: [no_dcc]\n")
    done = check()
    assert done.returncode == 3
    assert "the gateway does not answer" in done.stdout
    assert "all: ask the DCC" in done.stderr
    assert "Cedarholt" in done.stdout  # the devices are looked at none the less
    assert done.stderr.splitlines()[-1] == "1 rigs checked, 1 to look at"


def test_a_rig_that_somebody_holds_is_left_alone(check, lab_file: Path, tmp_path: Path) -> None:
    keep_rigs(lab_file, "foc-2")
    lease = take(tmp_path / "state" / "simulated", "foc-2", "bench work")
    done = check("--json")
    lease.release()
    found = json.loads(done.stdout)[-1]
    assert (found["state"], found["tried"]) == ("in use", "lease the rig")
    assert "purpose bench work" in found["found"]
    assert done.returncode == 3
