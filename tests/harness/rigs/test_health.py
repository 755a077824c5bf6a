"""A rig is suspect from its first lab fault until a check finds nothing wrong with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.domain.errors import (
    BenchFault,
    BeyondBench,
    CaptureUnavailable,
    ControllerFault,
    LabFault,
    LinkLost,
    OperatorAbsent,
    TransportLost,
)
from harness.rigs.health import SUSPECT, WELL, Health, health, now_suspect, now_well, watched
from harness.rigs.lease import RigInUse


def record_of(state: Path, rig: str) -> Path:
    return state / "health" / f"{rig}.json"


def test_a_rig_of_which_nothing_was_ever_written_down_is_well(tmp_path: Path) -> None:
    assert health(tmp_path, "bench-a") == Health(WELL, "", None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("family", [TransportLost, BenchFault, ControllerFault, LabFault])
def test_a_fault_of_the_rig_makes_it_suspect_and_is_told_whole(tmp_path: Path, family) -> None:
    now_suspect(tmp_path, "bench-a", family("it is gone", remedy="plug it in"), "run 7")
    found = health(tmp_path, "bench-a")
    assert found.state == SUSPECT
    assert found.fault is not None
    told = (found.fault.family, found.fault.message, found.fault.run, found.fault.remedy)
    assert told == (family.__name__, "it is gone", "run 7", "plug it in")
    assert found.since == found.fault.when
    assert str(found) == f"suspect since {found.since}, run 7: {family.__name__}: it is gone"
    assert health(tmp_path, "bench-b").state == WELL


@pytest.mark.parametrize("family", [LinkLost, CaptureUnavailable, OperatorAbsent, BeyondBench, RigInUse])
def test_what_stands_in_the_way_without_being_the_rigs_leaves_its_health_alone(
    tmp_path: Path, family
) -> None:
    now_suspect(tmp_path, "bench-a", family("nobody is there"), "run 7")
    assert health(tmp_path, "bench-a") == Health()


def test_one_fault_alone_can_say_that_the_rig_is_well(tmp_path: Path) -> None:
    now_suspect(tmp_path, "bench-a", ControllerFault("there is none", suspect=False), "run 7")
    assert health(tmp_path, "bench-a") == Health()


def test_a_suspect_rig_stays_so_since_its_first_fault_and_tells_the_last(tmp_path: Path) -> None:
    now_suspect(tmp_path, "bench-a", TransportLost("the probe"), "run 7")
    path = record_of(tmp_path, "bench-a")
    path.write_text(path.read_text().replace(health(tmp_path, "bench-a").since, "2026-03-02T09:00:00Z"))
    now_suspect(tmp_path, "bench-a", BenchFault("the relay"), "run 8")
    found = health(tmp_path, "bench-a")
    assert found.since == "2026-03-02T09:00:00Z"
    assert found.fault is not None
    assert (found.fault.message, found.fault.run) == ("the relay", "run 8")
    assert found.fault.when > found.since


def test_a_good_check_makes_it_well_and_the_last_fault_stays_known(tmp_path: Path) -> None:
    now_suspect(tmp_path, "bench-a", TransportLost("the probe"), "run 7")
    now_well(tmp_path, "bench-a")
    found = health(tmp_path, "bench-a")
    assert (found.state, str(found)) == (WELL, "well")
    assert found.fault is not None
    assert found.fault.message == "the probe"
    now_suspect(tmp_path, "bench-a", BenchFault("the relay"), "run 8")
    assert health(tmp_path, "bench-a").state == SUSPECT


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"state": "well"}', "\x00" * 20, '{"fault": 7}'])
def test_a_damaged_record_makes_its_rig_suspect_until_it_is_checked(tmp_path: Path, damage: str) -> None:
    now_suspect(tmp_path, "bench-a", TransportLost("the probe"), "run 7")
    record_of(tmp_path, "bench-a").write_text(damage)
    found = health(tmp_path, "bench-a")
    assert found.state == SUSPECT
    assert found.fault is not None
    assert "bench-a.json cannot be read" in found.fault.message
    now_well(tmp_path, "bench-a")
    assert health(tmp_path, "bench-a").state == WELL


def test_what_a_later_version_writes_down_is_read_over(tmp_path: Path) -> None:
    now_suspect(tmp_path, "bench-a", TransportLost("the probe"), "run 7")
    path = record_of(tmp_path, "bench-a")
    record = json.loads(path.read_text())
    record["fault"]["device"] = "ESME"
    path.write_text(json.dumps(record | {"faults_in_a_row": 2}))
    assert health(tmp_path, "bench-a").state == SUSPECT


def test_what_is_done_with_a_rig_is_watched_and_the_fault_goes_on(tmp_path: Path) -> None:
    with pytest.raises(TransportLost), watched(tmp_path, "bench-a", "device bench-a ESME read"):
        raise TransportLost("the probe")
    assert health(tmp_path, "bench-a").state == SUSPECT
    with pytest.raises(AssertionError), watched(tmp_path, "bench-b", "a check"):
        raise AssertionError
    assert health(tmp_path, "bench-b").state == WELL


FINDS_FAULTS = """
import sys
from pathlib import Path
from harness.domain.errors import BenchFault
from harness.rigs.health import now_suspect
state, run = sys.argv[1:]
for number in range(100):
    now_suspect(Path(state), "bench-a", BenchFault(f"{run} fault {number} " + "x" * 500), run)
"""


def test_writers_at_the_same_time_never_mix_and_no_reader_sees_half_of_a_record(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", FINDS_FAULTS, str(tmp_path), run])
        for run in ("run-1", "run-2")
    ]
    while any(writer.poll() is None for writer in writers):
        fault = health(tmp_path, "bench-a").fault
        if fault is not None:
            assert fault.message.startswith(f"{fault.run} fault ")
            assert len(fault.message) > 500
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sorted(path.name for path in (tmp_path / "health").iterdir()) == ["bench-a.json", "lock"]
