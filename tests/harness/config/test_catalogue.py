# ruff: noqa: E501 - messages stand here as their reader sees them, each on one line
"""The shipped Service Request catalogue, held against the schemas and the facts that it was made from."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.config import load_catalogue
from harness.domain.errors import ConfigurationError
from harness.domain.lab import ServiceRequest
from harness.domain.words import DeviceType, UserRole

REPO = Path(__file__).resolve().parents[3]
SHIPPED = REPO / "lab_config" / "srv_catalogue.csv"
SPEC = REPO.parent / "shared" / "spec"
needs_spec = pytest.mark.skipif(
    not SPEC.is_dir(), reason=f"the facts of the field are not beside the project: {SPEC}"
)


@pytest.fixture(scope="module")
def catalogue() -> Mapping[str, ServiceRequest]:
    return load_catalogue(SHIPPED)


@pytest.fixture(scope="module")
def schema() -> str:
    return (SPEC / "schemas" / "DUIS_V5.4.xsd").read_text(encoding="utf-8")


def enumeration(schema: str, name: str) -> list[str]:
    found = re.search(rf'simpleType name="{name}".*?</xs:simpleType>', schema, re.DOTALL)
    assert found
    return re.findall(r'enumeration value="([^"]+)"', found[0])


@needs_spec
def test_its_srvs_are_those_of_the_schema_in_the_same_order(
    catalogue: Mapping[str, ServiceRequest], schema: str
) -> None:
    assert list(catalogue) == enumeration(schema, "ServiceReferenceVariant")


@needs_spec
def test_its_service_references_are_those_of_the_schema(
    catalogue: Mapping[str, ServiceRequest], schema: str
) -> None:
    references = [request.service_reference for request in catalogue.values()]
    assert list(dict.fromkeys(references)) == enumeration(schema, "ServiceReference")


@needs_spec
def test_each_body_element_is_one_that_a_request_may_hold(
    catalogue: Mapping[str, ServiceRequest], schema: str
) -> None:
    elements = set(re.findall(r'<xs:element[^>]*?name="(\w+)"', schema))
    assert {request.body_element for request in catalogue.values()} <= elements
    assert len({request.body_element for request in catalogue.values()}) == len(catalogue)


@needs_spec
def test_it_says_what_the_facts_say_but_for_the_zero_that_a_spreadsheet_dropped() -> None:
    kept = (
        "srv",
        "name",
        "critical",
        "on_demand",
        "future_dated",
        "dcc_scheduled",
        "non_device",
        "user_roles",
    )
    kept += ("smets1_esme", "smets1_gsme", "smets1_ch", "evidence", "service_reference")
    with SHIPPED.open(newline="") as ours, (SPEC / "srv_catalogue.csv").open(newline="") as theirs:
        differences = [
            (row["srv"], name, fact[name], row[name])
            for row, fact in zip(csv.DictReader(ours), csv.DictReader(theirs), strict=True)
            for name in kept
            if row[name] != " ".join(fact[name].split())
        ]
    assert differences == [
        ("6.20.1", "service_reference", "6.2", "6.20"),
        ("6.20.2", "service_reference", "6.2", "6.20"),
    ]


def test_it_counts_as_the_facts_count(catalogue: Mapping[str, ServiceRequest]) -> None:
    requests = catalogue.values()
    assert len(requests) == 129
    assert sum(request.critical for request in requests) == 37
    assert sum(request.non_device for request in requests) == 16
    assert sum(bool(request.device_types) for request in requests) == 65
    assert sum(not request.device_types and not request.unknown_for for request in requests) == 35


def test_non_device_requests_carry_variant_8_and_all_others_1(
    catalogue: Mapping[str, ServiceRequest],
) -> None:
    assert {request.command_variant for request in catalogue.values() if request.non_device} == {8}
    assert {request.command_variant for request in catalogue.values() if not request.non_device} == {1}


def test_every_row_says_how_well_it_is_known(catalogue: Mapping[str, ServiceRequest]) -> None:
    grades = Counter(request.evidence.split()[0].rstrip(":") for request in catalogue.values())
    assert set(grades) == {"confirmed", "supported", "inferred", "unknown"}
    assert grades["confirmed"] == 2
    assert grades["inferred"] > 80


def test_a_row_is_read_whole(catalogue: Mapping[str, ServiceRequest]) -> None:
    request = catalogue["4.1.2"]
    assert request.name == "Read Instantaneous Import TOU Matrices"
    assert request.service_reference == "4.1"
    assert request.body_element == "ReadInstantaneousImportTOUMatrices"
    assert request.roles == (UserRole.IS, UserRole.GS, UserRole.ED, UserRole.GT)
    assert request.device_types == {DeviceType.ESME}
    assert request.unknown_for == {DeviceType.GSME}
    assert not request.critical


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",Yes,Yes,Device,No,No,IS GS,Y,Y,N,inferred: t", ",Yess,Yes,Device,No,No,IS GS,Y,Y,N,inferred: t",
         "c.csv:2: SRV 1.1.1: found critical 'Yess', expected one of Yes, No (correct it)"),
        ("No,IS GS,Y,Y,N", "No,IS RSAA,Y,Y,N",
         "c.csv:2: SRV 1.1.1: unknown User Role 'RSAA' (did you mean 'RSA'?)"),
        ("IS GS,Y,Y,N", "IS GS,Y,y,N",
         "c.csv:2: SRV 1.1.1: found smets1_gsme 'y', expected one of Y, N, ? (correct it)"),
        (",Yes,Yes,Device,No,", ",Yes,Yes,device,No,",
         "c.csv:2: SRV 1.1.1: found future_dated 'device', expected one of No, DSP, Device, DSP & Device (correct it)"),
        ("inferred: t", "guessed: t",
         "c.csv:2: SRV 1.1.1: the evidence does not begin with its grade "
         "(choose from 'confirmed', 'supported', 'inferred', 'unknown')"),
        ("Element,1,", "Element,0,", "c.csv:2: SRV 1.1.1: found command variant '0', expected 1 to 8 (correct it)"),
        ("UpdateImportTariffPrimaryElement", "", "c.csv:2: SRV 1.1.1: no body_element (fill it in)"),
        (",command_variant,", ",comand_variant,",
         "2 problems were found:\n  c.csv:1: no column 'command_variant' (add it, with its name in the first line)\n"
         "  c.csv:1: unknown column 'comand_variant' (did you mean 'command_variant'?)"),
        ("N,inferred: tariff", "N,inferred: t, ariff",
         "c.csv:2: found 16 cells, expected 15 (put quotes around a cell that holds a comma)"),
        ("N,inferred: tariff", 'N,"inferred: "tariff', "c.csv:2: not CSV: ',' expected after '\"' (correct its quotes)"),
    ],
)  # fmt: skip
def test_a_wrong_cell_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    header, row, *_ = SHIPPED.read_text().splitlines()
    text = f"{header}\n{row}\n"
    assert old in text
    Path("c.csv").write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        load_catalogue(Path("c.csv"))
    assert str(caught.value) == message


def test_who_may_hold_a_request_and_what_a_schedule_may_ask_is_read(
    catalogue: Mapping[str, ServiceRequest],
) -> None:
    held = {srv: set(catalogue[srv].future_dated) for srv in ("1.5", "4.1.1", "1.6", "6.23")}
    assert held == {"1.5": set(), "4.1.1": {"DSP"}, "1.6": {"Device"}, "6.23": {"DSP", "Device"}}
    assert (catalogue["4.8.1"].dcc_scheduled, catalogue["4.1.1"].dcc_scheduled) == (True, False)
