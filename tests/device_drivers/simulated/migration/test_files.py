"""Authorisations and submissions as files: what is read, and what is refused before anybody believes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest

from device_drivers.dcc.pki import SimulatedPki
from device_drivers.dcc.signature import Ring, Signer
from device_drivers.simulated.migration import files
from device_drivers.simulated.migration.authorisation import (
    read_authorisation,
    row_of,
    write_authorisation,
)
from device_drivers.simulated.migration.files import FileRefused
from harness.config import load_lab
from harness.domain.lab import Lab
from harness.domain.migration_rules import MigrationParty

REPO = Path(__file__).parents[4]
NOW = datetime(2025, 3, 3, 9, tzinfo=UTC)
EUI = "00-DB-12-34-90-00-01-01"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return load_lab(REPO / "lab_config" / "simulated.yaml", state=tmp_path_factory.mktemp("state"))


def refuse(rule: str, why: str) -> NoReturn:
    raise FileRefused(rule, why)


def authorised(lab: Lab, **changes: str) -> dict[str, bytes]:
    row = {
        "requesting_party": "HERON",
        "valid_from": NOW.isoformat(),
        "valid_to": NOW.isoformat(),
        **row_of(lab.rig("ioc-1"), lab.epcl[0], {}),
        **changes,
    }
    return write_authorisation(f"HERON_{EUI}", row, "secret", "secret", NOW)


def test_an_authorisation_is_read_as_it_was_written(lab: Lab) -> None:
    read = read_authorisation(authorised(lab), refuse)
    assert read.name == f"MA_HERON_{EUI}_20250303_090000.csv"
    assert (read.row["mpan"], read.row["gsme"]) == (lab.rig("ioc-1").mpan, "00-DB-12-34-56-01-00-02")
    assert read.valid_from == NOW


@pytest.mark.parametrize("value", ["2025-03-03T09:00:00", "soon", ""])
def test_a_period_without_a_zone_is_not_of_the_form(lab: Lab, value: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read_authorisation(authorised(lab, valid_from=value), refuse)
    assert refused.value.rule == "authorisation_form"


def test_a_removed_password_check_lets_the_content_be_read(lab: Lab) -> None:
    made = {
        name: b"another\n" if name.startswith("MAPASSWORD") else text
        for name, text in authorised(lab).items()
    }
    with pytest.raises(FileRefused) as refused:
        read_authorisation(made, refuse)
    assert refused.value.rule == "authorisation_password"
    assert read_authorisation(made, lambda rule, why: None).row["dmc"] == "ioc-alderwick"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPki:
    return SimulatedPki(tmp_path_factory.mktemp("pki"))


def submission(lab: Lab, pki: SimulatedPki, party: str = "Requesting Party", **more: Any) -> dict[str, bytes]:
    pair = pki.migration_party(party)
    head = {"FileID": "HERON-1", "Created": NOW}
    material = {MigrationParty.S1SP: b"one", MigrationParty.DCO: b"other"}
    bodies: Mapping[str, Mapping[str, Any]] = {
        "common": {**head, "RequestingParty": "HERON", "Authorisation": "MA"},
        "group": {**head, "Installation": files.installation_of(lab.rig("ioc-1"), lab.epcl[0], {}), **more},
        "encrypted": {**head, "KeyMaterial": files.key_material(material)},
    }
    names = files.submission_names("HERON", EUI, NOW)
    signer = Signer(pair.key, pair.certificate)
    return {names[kind]: files.written(files.ROOTS[kind], body, signer) for kind, body in bodies.items()}


def test_three_files_are_read_as_one(lab: Lab, pki: SimulatedPki) -> None:
    sorted_out = files.sorted_out(submission(lab, pki))
    read = files.joined_up({kind: files.read_file(kind, content) for kind, content in sorted_out.items()})
    assert (read.file_id, read.requesting_party) == ("HERON-1", "HERON")
    assert read.key_material == {MigrationParty.S1SP: b"one", MigrationParty.DCO: b"other"}
    assert [device.text("DeviceType") for device in read.installation.all("Device")] == ["ESME", "GSME", "CH"]


def test_a_file_signed_by_another_party_is_refused(lab: Lab, pki: SimulatedPki) -> None:
    ring = Ring({"Requesting Party": pki.migration_party("Requesting Party").certificate})
    for party, signed in (("Requesting Party", True), ("S1SP", False)):
        root = files.read_file("common", files.sorted_out(submission(lab, pki, party))["common"])
        if signed:
            files.check_signature("common", root, ring)
            continue
        with pytest.raises(FileRefused) as refused:
            files.check_signature("common", root, ring)
        assert refused.value.rule == "file_signature"


def test_an_element_that_the_schema_lacks_is_refused_by_its_name(lab: Lab, pki: SimulatedPki) -> None:
    group = files.sorted_out(submission(lab, pki, Extra="?"))["group"]
    with pytest.raises(FileRefused, match="Extra"):
        files.read_file("group", group)


def test_entities_and_document_types_are_refused_whole() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    with pytest.raises(FileRefused, match="document type"):
        files.read_file("common", bomb)
