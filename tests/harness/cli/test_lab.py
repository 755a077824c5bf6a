"""``harness lab check``: every device is told; of what fails: what was tried, what came back, what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.execution.terminal import login_name
from harness.rigs.health_words import HealthState
from tests.harness.rigs.room import health_of, no_check, somebody, status_of

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


def test_a_sound_lab_tells_what_each_part_is(check, lab_file: Path, tmp_path: Path) -> None:
    keep_rigs(lab_file, "ioc-1")
    done = check("--json")
    assert done.returncode == 0, done.stderr
    findings = json.loads(done.stdout)
    assert [(each["rig"], each["part"], each["state"]) for each in findings] == [
        ("all", "DCC", "good"),
        ("ioc-1", "bench", "good"),
        ("ioc-1", "ESME", "good"),
        ("ioc-1", "GSME", "good"),
        ("ioc-1", "CH", "good"),
    ]
    esme = findings[2]
    assert esme["tried"] == "open tcp → associate → read identity → read clock"
    assert "Alderwick Metering AE-110, firmware 1.4.20, serial number E01101" in esme["found"]
    assert "clock 0.0 s" in esme["found"]
    first, evidence, last = done.stderr.splitlines()
    assert (first, last) == ("checking ioc-1", "1 rig checked, nothing to look at")
    folder = Path(evidence.removeprefix("what passed over the ports: "))
    assert any(file.stat().st_size for file in (folder / "ioc-1").rglob("*") if file.is_file())


def test_a_device_that_is_not_its_baseline_is_named_and_everything_else_is_checked(
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
    findings = json.loads(done.stdout)
    (bad,) = [each for each in findings if each["state"] != "good"]
    assert (bad["rig"], bad["part"]) == ("ioc-1", "ESME")
    assert "ESME says its firmware is '9.9'; the baseline of alderwick-e1 is '1.4.20'" in bad["found"]
    assert bad["remedy"] == "correct the lab file, or bring the device to its baseline"
    assert {each["part"] for each in findings if each["rig"] == "foc-2"} == {"bench", "ESME", "CH"}


def test_the_rigs_are_checked_while_the_dcc_cannot_be_reached(check, lab_file: Path, tmp_path: Path) -> None:
    keep_rigs(lab_file, "foc-2")
    (tmp_path / "no_dcc.py").write_text(PLUGIN)
    lab_file.write_text(lab_file.read_text() + "plugins: [no_dcc]\n")
    done = check()
    assert done.returncode == 3
    assert "found: the gateway does not answer" in done.stdout
    assert "to do: ask the DCC" in done.stdout
    assert "Cedarholt" in done.stdout  # the devices are looked at none the less
    assert "foc-2 is good" in done.stderr.splitlines()  # the DCC is not the rig's
    assert done.stderr.splitlines()[-1] == "1 rig checked, 1 to look at"


def test_a_rig_that_somebody_holds_is_left_alone(check, lab_file: Path, tmp_path: Path) -> None:
    keep_rigs(lab_file, "foc-2")
    state = tmp_path / "state" / "simulated"
    with somebody(lab_file, state) as pool:
        pool.take("foc-2", "bench work", no_check)
        done = check("--json")
    found = json.loads(done.stdout)[-1]
    assert (found["state"], found["tried"], found["family"]) == ("in use", "lease the rig", "RigTaken")
    assert "foc-2 is held by ann (bench work; process " in found["found"]
    assert found["remedy"] == "wait for it, or use another rig"
    assert done.returncode == 3
    assert health_of(state, "foc-2").state is HealthState.UNKNOWN


def test_a_dirty_rig_is_checked_once_and_clean_where_nothing_is_wrong(
    check, lab_file: Path, tmp_path: Path
) -> None:
    keep_rigs(lab_file, "foc-2")
    state = tmp_path / "state" / "simulated"
    with somebody(lab_file, state) as pool:
        pool.take("foc-2", "a run", no_check).release(dirty="its run was killed")
    done = check("--json")
    assert done.returncode == 0, done.stderr
    assert [each["part"] for each in json.loads(done.stdout)] == ["DCC", "bench", "ESME", "CH"]
    assert str(status_of(state, "foc-2")) == "foc-2 is free"
    found = health_of(state, "foc-2")
    assert (found.state, found.by.startswith("check-")) == (HealthState.GOOD, True)


def test_a_dirty_rig_in_which_something_is_wrong_stays_dirty_and_all_of_it_is_told(
    check, lab_file: Path, tmp_path: Path
) -> None:
    keep_rigs(lab_file, "foc-2")
    state = tmp_path / "state" / "simulated"
    (tmp_path / "wrong_firmware.py").write_text("""
from dataclasses import replace
from device_drivers.esme import EsmeDriver
read = EsmeDriver.identity
EsmeDriver.identity = lambda self: replace(read(self), firmware="9.9")
""")
    lab_file.write_text(lab_file.read_text() + "plugins: [wrong_firmware]\n")
    with somebody(lab_file, state) as pool:
        pool.take("foc-2", "a run", no_check).release(dirty="its run was killed")
    done = check()
    assert done.returncode == 3
    assert "foc-2 is bad since " in done.stderr
    assert str(status_of(state, "foc-2")).startswith("foc-2 is dirty: LabFault: ")
    with somebody(lab_file, state) as pool:
        parts = {part: each.state for part, each in pool.health.parts("foc-2").items()}
    assert parts == {"bench": "good", "ESME": "bad", "CH": "good"}


def test_a_rig_in_maintenance_is_checked_by_who_maintains_it_and_by_nobody_else(
    check, lab_file: Path, tmp_path: Path
) -> None:
    keep_rigs(lab_file, "foc-1", "foc-2")
    state = tmp_path / "state" / "simulated"
    for rig, person in (("foc-1", "bob"), ("foc-2", login_name())):
        with somebody(lab_file, state, person) as pool:
            pool.leases.maintain(rig, "a new relay")
    done = check()
    assert "foc-1 is in maintenance by bob: a new relay" in done.stdout
    assert re.search(r"^foc-2 is in maintenance since \S+Z$", done.stderr, re.MULTILINE)
    with somebody(lab_file, state) as pool:
        assert pool.health.parts("foc-1") == {}
        assert pool.health.parts("foc-2")["bench"].state is HealthState.GOOD


def test_only_the_rigs_that_are_named_are_checked(check, lab_file: Path) -> None:
    done = check("FOC-2", "foc-2", "--json")
    assert {each["rig"] for each in json.loads(done.stdout)} == {"all", "foc-2"}
    done = check("foc-22")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: there is no rig 'foc-22' (did you mean 'foc-2'?)\n"
