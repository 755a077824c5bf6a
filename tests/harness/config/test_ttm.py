# ruff: noqa: E501 - messages stand here as their reader sees them, each on one line
"""The matrix that is shipped, and what is told of one that is wrong."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from harness.config import load_catalogue
from harness.config.ttm import COLUMNS, Requirement, Ttm, load_ttm
from harness.domain.errors import ConfigurationError
from harness.domain.words import CapabilityRelease, DeviceType

REPO = Path(__file__).resolve().parents[3]
SHIPPED = REPO / "lab_config" / "ttm.csv"
README = (REPO / "lab_config" / "README.md").read_text()  # which says what ids there are
CATALOGUE = load_catalogue(REPO / "lab_config" / "srv_catalogue.csv")
APPENDIX = REPO.parent / "shared" / "spec" / "appendix-ak.txt"
LETTERS = {DeviceType.ESME: "E", DeviceType.GSME: "G", DeviceType.CH: "C"}
ROW = {
    "id": "TTM-7.2-E-01", "requirement": "The supply is disabled", "source": "DUIS SRV 7.2", "clause": "", "srv": "7.2",
    "scenario": "Disable it and look", "functional_group": "7 Supply management", "device_types": "ESME GSME",
    "releases": "IOC FOC", "evidence": "inferred",
}  # fmt: skip


@pytest.fixture(scope="module")
def shipped() -> Ttm:
    return load_ttm(SHIPPED, srvs=CATALOGUE)


def matrix(folder: Path, rows: Iterable[dict[str, str]]) -> Path:
    path = folder / "m.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_row_is_read_whole(tmp_path: Path) -> None:
    path = matrix(tmp_path, [ROW])
    assert load_ttm(path).rows == (
        Requirement(
            id="TTM-7.2-E-01", requirement="The supply is disabled", source="DUIS SRV 7.2", clause="", srv="7.2",
            scenario="Disable it and look", functional_group="7 Supply management",
            device_types=frozenset({DeviceType.ESME, DeviceType.GSME}),
            releases=frozenset({CapabilityRelease.IOC, CapabilityRelease.FOC}), evidence="inferred", line=2,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"id": "TTM 7.2"}, "m.csv:2: found id 'TTM 7.2', expected letters, digits and . ( ) _ - (correct it: tests name the row by it)"),
        ({"requirement": ""}, "m.csv:2: TTM-7.2-E-01: no requirement (fill it in)"),
        ({"source": " "}, "m.csv:2: TTM-7.2-E-01: no source (fill it in)"),
        ({"srv": "7.22"}, "m.csv:2: TTM-7.2-E-01: unknown SRV '7.22' (did you mean '7.2'?)"),
        ({"device_types": "ESME GMSE"}, "m.csv:2: TTM-7.2-E-01: found 'GMSE' among device_types (did you mean 'GSME'?)"),
        ({"device_types": ""}, "m.csv:2: TTM-7.2-E-01: no device_types (choose from 'ESME', 'GSME', 'CH')"),
        ({"releases": "R1"}, "m.csv:2: TTM-7.2-E-01: found 'R1' among releases (choose from 'IOC', 'MOC', 'FOC')"),
        ({"evidence": "guess"}, "m.csv:2: TTM-7.2-E-01: found evidence 'guess', expected it to begin with its grade "
         "(choose from 'confirmed', 'supported', 'inferred', 'unknown')"),
    ],
)  # fmt: skip
def test_a_wrong_cell_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    matrix(tmp_path, [ROW | changed])
    with pytest.raises(ConfigurationError) as caught:
        load_ttm(Path("m.csv"), srvs=CATALOGUE)
    assert str(caught.value) == message


def test_an_id_that_stands_twice_is_named_with_both_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    matrix(tmp_path, [ROW, ROW | {"id": "B", "scenario": "over\ntwo lines"}, ROW])
    with pytest.raises(ConfigurationError) as caught:
        load_ttm(Path("m.csv"))
    assert str(caught.value) == (
        "m.csv:5: id 'TTM-7.2-E-01' stands twice, first on line 2 (give each requirement its own)"
    )


def test_columns_of_the_labs_own_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(",".join([*COLUMNS, "our reviewer"]) + "\n" + ",".join([*ROW.values(), "Ann"]) + "\n")
    assert load_ttm(path).rows[0].requirement == "The supply is disabled"
    path.write_text(path.read_text().replace("scenario,", "scenarios,"))
    with pytest.raises(ConfigurationError, match="no column 'scenario'"):
        load_ttm(path)


def test_text_like_a_formula_has_an_apostrophe_in_the_file_alone(tmp_path: Path) -> None:
    assert (
        load_ttm(matrix(tmp_path, [ROW | {"requirement": "'=1 V is told"}])).rows[0].requirement
        == "=1 V is told"
    )


def test_a_stamp_is_of_what_a_requirement_says_and_of_nothing_else(tmp_path: Path) -> None:
    def stamp(**changed: str) -> str:
        return load_ttm(matrix(tmp_path, [ROW | changed])).rows[0].stamp

    assert re.fullmatch("[0-9a-f]{16}", stamp())
    assert (
        stamp(
            evidence="confirmed",
            releases="MOC",
            functional_group="Supply",
            requirement="The supply  is\ndisabled",
        )
        == stamp()
    )
    assert stamp(requirement="The supply is disabled at once") != stamp()
    assert stamp(scenario="Disable it and look twice") != stamp()


def test_the_matrix_can_be_narrowed_to_a_group_or_a_source(shipped: Ttm) -> None:
    supply = shipped.only(group="supply management")
    assert {row.functional_group for row in supply.rows} == {"7 Supply management"}
    assert {row.source for row in shipped.only(source="duis srv 7.2").rows} == {"DUIS SRV 7.2"}
    with pytest.raises(
        ConfigurationError, match=r"no requirement of ttm\.csv has 'suply' in its functional group"
    ):
        shipped.only(group="suply")


def test_the_shipped_matrix_has_rows_for_every_srv_that_the_catalogue_marks(shipped: Ttm) -> None:
    for srv, request in CATALOGUE.items():
        for device_type in request.device_types:
            assert f"TTM-{srv}-{LETTERS[device_type]}-01" in shipped.by_id
        if request.non_device and request.device_types:
            assert f"TTM-{srv}-D-01" in shipped.by_id


def test_it_claims_nothing_for_an_srv_that_the_catalogue_does_not_mark(shipped: Ttm) -> None:
    for row in shipped.rows:
        if row.id.startswith("TTM-UNK-"):  # what a lab may turn on
            assert row.device_types <= CATALOGUE[row.srv].unknown_for, row.id
        elif row.srv:
            assert row.device_types <= CATALOGUE[row.srv].device_types, row.id


def test_an_id_says_what_its_row_is_about(shipped: Ttm) -> None:
    for row in shipped.rows:
        match row.id.split("-"):
            case ["TTM", "AK", _, number]:
                assert row.source == "SEC Appendix AK"
                assert row.clause
            case ["TTM", "SEC", topic, number]:
                assert row.functional_group.startswith("Security: "), topic
            case ["TTM", "REF", group, "E" | "G" | "C" | "D" as letter, number]:
                assert group == "ALL" or row.functional_group.startswith(f"{group} ")
                assert letter == "D" or row.device_types == {
                    type_ for type_, each in LETTERS.items() if each == letter
                }
            case ["TTM", word, *_, number] if f"`TTM-{word}-" in README:
                assert row.srv == "" or row.srv in CATALOGUE
            case ["TTM", srv, "E" | "G" | "C" | "D" as letter, number]:
                assert row.srv == srv
                assert row.functional_group.startswith(f"{srv.split('.')[0]} ")
                assert letter == "D" or row.device_types == {
                    type_ for type_, each in LETTERS.items() if each == letter
                }
            case _:
                pytest.fail(f"{row.id} does not follow the scheme")
        assert re.fullmatch(r"\d\d", number)


def test_there_are_refusals_in_every_service_group(shipped: Ttm) -> None:
    refusing = {row.functional_group for row in shipped.rows if row.id.startswith("TTM-REF-")}
    assert refusing == {group for group in shipped.groups() if group[0].isdecimal()}


@pytest.mark.skipif(
    not APPENDIX.is_file(), reason=f"the text of Appendix AK is not beside the project: {APPENDIX}"
)
def test_a_clause_stands_only_where_appendix_ak_has_it(shipped: Ttm) -> None:
    text = APPENDIX.read_text(encoding="utf-8")
    for row in shipped.rows:
        if row.clause:
            assert "Appendix AK" in row.source, f"{row.id}: the clause numbers of other sources are not known"
            assert row.clause.partition("(")[0] in text, row.id


def test_no_requirement_is_written_twice(shipped: Ttm) -> None:
    texts = [(row.requirement, row.scenario) for row in shipped.rows]
    assert len(set(texts)) == len(texts)
