"""The same packs over the same twins behind optical ports, Modbus benches and rig controllers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.records.run import read_run
from tests.end_to_end.conftest import REPO, run_packs

PACK = "standard-srvt-foc"
PART = "test_meter_reading or test_gas_settings or test_load_limiting"
"""Registers and power cuts, gas, loads and the contactor."""

pytestmark = pytest.mark.skipif(
    shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin:/usr/local/sbin") is None,
    reason="no sshd here to be the rigs' controller: install openssh-server",
)


def outcomes(folder: Path, lab: str) -> dict[str, str]:
    run = run_packs(folder, PACK, f"--lab={REPO / 'lab_config' / lab}", "-k", PART)
    record = read_run(run.folder)
    assert run.code == 0, run.output
    return {test.id: record.outcome(test.id).value for test in record.plan.tests}


def test_a_part_of_a_pack_comes_to_the_same_outcomes(tmp_path: Path) -> None:
    behind_doors = outcomes(tmp_path / "doors", "simulated-doors.yaml")
    assert len(behind_doors) >= 20
    assert behind_doors == outcomes(tmp_path / "plain", "simulated.yaml")
