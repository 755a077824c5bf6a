"""A lab file and its data files become one Lab."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.config import load_lab
from harness.domain.lab import DlmsSecurity, Door, Hdlc, Lab, OpticalPort
from harness.domain.references import is_reference, secret_references
from harness.domain.words import CapabilityRelease, DeviceType, InstallationType, UserRole

REPO = Path(__file__).resolve().parents[3]
LABS = REPO / "lab_config"


@pytest.fixture(scope="module")
def simulated() -> Lab:
    return load_lab(LABS / "simulated.yaml")


@pytest.fixture(scope="module")
def physical() -> Lab:
    return load_lab(LABS / "physical-example.yaml")


def test_the_simulated_lab_has_seven_rigs_over_one_dmc_or_more_of_each_release(simulated: Lab) -> None:
    assert [rig.id for rig in simulated.rigs] == [
        "ioc-1",
        "ioc-2",
        "ioc-3",
        "moc-1",
        "moc-2",
        "foc-1",
        "foc-2",
    ]
    assert {dmc.release for dmc in simulated.dmcs} == set(CapabilityRelease)
    assert [len(simulated.rigs_of(dmc.id)) for dmc in simulated.dmcs] == [3, 2, 1, 1]


@pytest.mark.parametrize(("lab", "has_benches"), [("simulated", False), ("physical-example", True)])
def test_models_of_benches_are_made_for_a_lab_that_has_one(lab: str, has_benches: bool) -> None:
    python = (
        "import sys, pathlib; from harness.config import load_lab; load_lab(pathlib.Path(sys.argv[1]));"
        "print('harness.config.bench_models' in sys.modules)"
    )
    command = [sys.executable, "-c", python, str(LABS / f"{lab}.yaml")]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert answer.strip() == str(has_benches)


def test_its_epcl_entries_are_of_all_installation_types_and_name_their_provider(simulated: Lab) -> None:
    assert {entry.installation_type for entry in simulated.epcl} == set(InstallationType)
    assert all(entry.communications_provider for entry in simulated.epcl)
    assert {entry.dmc.id for entry in simulated.epcl} == {dmc.id for dmc in simulated.dmcs}


def test_one_of_its_rigs_has_no_gas_and_one_moc_rig_is_woken_by_sms(simulated: Lab) -> None:
    without_gas = [rig.id for rig in simulated.rigs if DeviceType.GSME not in rig.devices]
    slow = [rig for rig in simulated.rigs if rig.simulation and rig.simulation.wan == "slow"]
    assert without_gas == ["foc-2"]
    assert [rig.dmc.release for rig in slow] == [CapabilityRelease.MOC]


def test_the_lab_has_an_identity_in_every_user_role(simulated: Lab) -> None:
    assert [user.role for user in simulated.dcc.users] == list(UserRole)
    assert len({user.eui for user in simulated.dcc.users}) == len(UserRole)


def test_versions_stay_as_they_were_written(simulated: Lab) -> None:
    assert simulated.rig("moc-1").devices[DeviceType.ESME].model.firmware == "5.40"


def test_lab_time_begins_in_utc(simulated: Lab) -> None:
    simulation = simulated.rig("ioc-1").simulation
    assert simulation
    assert simulation.starts == datetime(2025, 3, 3, 8, tzinfo=UTC)
    assert simulation.starts.tzinfo is UTC


def test_a_lab_reaches_another_process_whole(simulated: Lab, physical: Lab) -> None:
    assert pickle.loads(pickle.dumps(simulated)) == simulated
    assert pickle.loads(pickle.dumps(physical)) == physical


def test_schemas_that_are_not_there_are_no_error_where_they_are_not_required(tmp_path: Path) -> None:
    shutil.copytree(LABS, tmp_path / "deep" / "lab_config", ignore=shutil.ignore_patterns(".state"))
    (tmp_path / "deep" / "test_packs").mkdir()
    assert load_lab(tmp_path / "deep" / "lab_config" / "simulated.yaml").dcc.schemas is None


def test_physical_devices_have_doors_and_their_secrets_are_references(physical: Lab) -> None:
    esme = physical.rig("bench-a").devices[DeviceType.ESME]
    assert esme.door
    assert esme.door.transport == "serial"
    assert str(esme.door.parameters["port"]).startswith("/dev/serial/by-id/")
    assert esme.door.optical == OpticalPort(mode="mode-e", baud=9600)
    assert esme.door.hdlc == Hdlc()
    gsme = physical.rig("bench-a").devices[DeviceType.GSME]
    assert gsme.door == Door(
        transport="tcp",
        parameters={"host": "10.0.0.22", "port": 4059, "connect_timeout": 30},
        via_controller=True,
    )
    assert esme.security == DlmsSecurity(
        system_title="4C41423100000001",
        encryption_key="env:BENCH_A_ESME_EK",
        authentication_key="env:BENCH_A_ESME_AK",
    )


def test_files_of_secrets_are_found_from_the_lab_file_wherever_a_run_starts(
    physical: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert physical.dcc.users[0].key == f"file:{LABS / 'secrets' / 'is-signing.key'}"
    assert physical.dcc.trust["s1sp"] == f"file:{LABS / 'secrets' / 's1sp-signing.pem'}"


def test_state_lies_beside_the_lab_file_or_where_the_environment_or_the_caller_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LABS / "simulated.yaml"
    monkeypatch.delenv("HARNESS_STATE", raising=False)
    assert load_lab(file).state == LABS / ".state" / "simulated"
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path))
    assert load_lab(file).state == tmp_path / "simulated"
    assert load_lab(file, state=tmp_path / "mine").state == tmp_path / "mine"
    assert not list(tmp_path.iterdir())


def test_a_critical_request_carries_the_command_variant_that_the_lab_sets(lab_folder: Path) -> None:
    file = lab_folder / "lab.yaml"
    assert load_lab(file).catalogue["7.1"].command_variant == 1
    file.write_text(file.read_text().replace("  receive:", "  critical_command_variant: 4\n  receive:"))
    changed = load_lab(file).catalogue
    assert changed["7.1"].command_variant == 4
    assert changed["7.4"].command_variant == 1
    assert changed["8.2"].command_variant == 8


def test_codes_of_alerts_that_nobody_has_published_are_the_labs_to_set(lab_folder: Path) -> None:
    file = lab_folder / "lab.yaml"
    assert (load_lab(file).dcc.ch_firmware_alert_code, load_lab(file).dcc.s1sp_alert_codes) == ("N56", {})
    known = "ch_firmware_alert_code: N57\n  s1sp_alert_codes: {firmware_distributed: A1}"
    file.write_text(file.read_text().replace("  receive:", f"  {known}\n  receive:"))
    dcc = load_lab(file).dcc
    assert (dcc.ch_firmware_alert_code, dcc.s1sp_alert_codes) == ("N57", {"firmware_distributed": "A1"})


def test_a_rig_may_hold_another_device_model_than_its_dmc_says_in_general(lab_folder: Path) -> None:
    file = lab_folder / "lab.yaml"
    file.write_text(file.read_text().replace("serial_number: E1", "model: alderwick-e1"))
    assert load_lab(file).rig("one").devices[DeviceType.ESME].model.id == "alderwick-e1"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", ""),
        ("database: postgresql://lab@db.example:5433/rigs", "postgresql://lab@db.example:5433/rigs"),
        ("database: postgresql:///rigs?host=/run/db", "postgresql:///rigs?host=/run/db"),
        ("database: env:LAB_DATABASE", "env:LAB_DATABASE"),
        ("database: file:secrets/database", "file:{folder}/secrets/database"),
    ],
)
def test_leases_are_kept_in_the_state_folder_or_in_the_database_that_is_named(
    lab_folder: Path, said: str, found: str
) -> None:
    file = lab_folder / "lab.yaml"
    file.write_text(f"{said}\n{file.read_text()}")
    lab = load_lab(file)
    assert lab.database == found.format(folder=lab_folder)
    assert list(secret_references(lab)) == ([lab.database] if is_reference(lab.database) else [])


def test_what_is_unknown_of_smets1_is_off_until_the_lab_turns_it_on(lab_folder: Path) -> None:
    file = lab_folder / "lab.yaml"
    off = load_lab(file).catalogue
    file.write_text(f"unknown_services: true\n{file.read_text()}")
    on = load_lab(file).catalogue
    assert (off["3.1"].device_types, off["3.1"].unknown_for) == (
        frozenset(),
        {DeviceType.ESME, DeviceType.GSME},
    )
    assert on["3.1"].device_types == {DeviceType.ESME, DeviceType.GSME}
    assert {srv for srv in on if on[srv] != off[srv]} == {srv for srv in off if off[srv].unknown_for}
