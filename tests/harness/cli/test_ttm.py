"""``harness ttm``: the matrix out and in again, its links, and what of it is asked for."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner

from harness.cli.app import app
from tests.harness.cli.physical import CONFIG, with_paths

Do = Callable[..., tuple[int, str]]


@pytest.fixture
def do(tmp_path: Path) -> Do:
    """A command on a copy of the simulated lab with its own matrix: its exit code, and all that it says."""
    for name in ("ttm.csv", "ttm.links.csv"):
        if (CONFIG / name).exists():
            shutil.copy(CONFIG / name, tmp_path)
    text = with_paths((CONFIG / "simulated.yaml").read_text()).replace(f"{CONFIG}/ttm.csv", "ttm.csv")
    (tmp_path / "lab.yaml").write_text(text)

    def invoke(*words: str | Path) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["ttm", *map(str, words), "--lab", str(tmp_path / "lab.yaml")])
        return done.exit_code, done.output

    return invoke


@pytest.fixture
def small(do: Do, tmp_path: Path) -> Do:
    """The same, with the first forty requirements alone."""
    rows = csv_rows((tmp_path / "ttm.csv").read_bytes())[:41]
    with (tmp_path / "ttm.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return do


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


FIRST = "The DCC serves Update Import Tariff (Primary Element) for an ESME with"


def test_every_test_of_the_shipped_packs_was_held_against_the_text_of_today(do: Do) -> None:
    code, told = do("check")
    assert code == 0, told
    assert "0 unknown ids, 0 without an id, 0 links suspect, 0 without a stamp" in told


def test_a_test_is_suspect_from_the_change_of_a_text_until_somebody_clears_it(do: Do, tmp_path: Path) -> None:
    assert do("link")[0] == 0
    change(tmp_path / "ttm.csv", FIRST, FIRST.replace("with", "at once with"))
    code, told = do("check", "--json")
    found = [row for row in json.loads(told[: told.rindex("]") + 1]) if row["what"] == "suspect"]
    assert code == 1
    assert {row["where"] for row in found} == {
        "service_reference_variants/test_tariff.py::test_a_tariff_is_held_whole"
    }
    assert do("link")[0] == 1, "linking clears nothing"
    code, told = do(
        "clear", "TTM-1.1.1-E-01", "--by", "Ann", "--reason", "the test looks at the time as well"
    )
    assert code == 0
    assert "TTM-1.1.1-E-01 is cleared for service_reference_variants/test_tariff.py" in told
    assert do("check")[0] == 0
    with (tmp_path / "ttm.links.csv").open() as file:
        (link,) = (row for row in csv.DictReader(file) if row["cleared_by"])
    assert (link["cleared_by"], link["reason"]) == ("Ann", "the test looks at the time as well")
    assert link["cleared_on"]


def test_a_suspect_requirement_is_named_by_coverage(do: Do, tmp_path: Path) -> None:
    assert do("link")[0] == 0
    change(tmp_path / "ttm.csv", FIRST, FIRST.replace("with", "at once with"))
    results = tmp_path / "allure-results"
    results.mkdir()
    labels = {"ttm": "TTM-1.1.1-E-01", "dmc": "d", "release": "IOC", "deviceType": "ESME", "phase": "SIT"}
    told = [{"name": name, "value": value} for name, value in labels.items()]
    (results / "a-result.json").write_text(json.dumps({"status": "passed", "labels": told}))
    found = json.loads(do("coverage", "--allure", results, "--json")[1])
    assert found["suspect"] == ["TTM-1.1.1-E-01"]
    assert found["total"]["passed"] == 1
    other = json.loads(do("coverage", "--allure", results, "--phase", "UTS", "--json")[1])
    assert other["total"]["covered"] == 0
    group = json.loads(do("coverage", "--allure", results, "--group", "product", "--json")[1])
    assert set(group) == {"total", "1 Product management", "suspect"}


def test_covered_is_passed_and_failed_and_incomplete(do: Do, tmp_path: Path) -> None:
    results = tmp_path / "allure-results"
    results.mkdir()
    labels = {"ttm": "TTM-1.1.1-E-01", "dmc": "d", "release": "IOC", "deviceType": "ESME"}
    told = [{"name": name, "value": value} for name, value in labels.items()]
    for test, status in (("a", "passed"), ("b", "broken")):
        result = {"status": status, "historyId": test, "labels": told}
        (results / f"{test}-result.json").write_text(json.dumps(result))
    lines = [
        [cell.strip() for cell in line.split("│")]
        for line in do("coverage", "--allure", results)[1].splitlines()
    ]
    (counts,) = (line[2:-1] for line in lines if line[1:2] == ["all"])
    assert counts[1:5] == ["1", "0", "0", "1"], "covered, passed, failed, incomplete"


@pytest.mark.parametrize("name", ["out.csv", "out.xlsx"])
def test_the_matrix_goes_out_and_comes_in_again_the_same(small: Do, tmp_path: Path, name: str) -> None:
    before = (tmp_path / "ttm.csv").read_bytes()
    assert small("export", tmp_path / name)[0] == 0
    code, told = small("import", tmp_path / name, "--write")
    assert code == 0
    assert "0 added, 0 removed, 0 changed" in told
    assert csv_rows((tmp_path / "ttm.csv").read_bytes()) == csv_rows(before)


def csv_rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(content.decode().splitlines(keepends=True)))


def test_an_import_shows_what_changes_and_writes_only_when_it_is_told(small: Do, tmp_path: Path) -> None:
    assert small("link")[0] == 0
    before = (tmp_path / "ttm.csv").read_bytes()
    assert small("export", tmp_path / "out.xlsx")[0] == 0
    book = load_workbook(tmp_path / "out.xlsx")
    page = book["TTM"]
    page["B2"] = f"=1 {FIRST}"
    page["B2"].data_type = "s"
    page["L1"] = "our reviewer"
    page["L2"] = "Ann"
    page.delete_rows(3)
    page.append(["TTM-OUR-01", "It\nholds – ünïcode", "ours", "", "", "look", "g", "ESME", "IOC", "inferred"])
    page["K1"] = "note"
    book.save(tmp_path / "out.xlsx")
    code, told = small("import", tmp_path / "out.xlsx", "--json")
    changes = json.loads(told[: told.rindex("]") + 1])
    assert code == 0
    assert {(row["what"], row["where"]) for row in changes} == {
        ("column added", "note"), ("column added", "our reviewer"), ("added", "TTM-OUR-01"),
        ("removed", "TTM-1.1.1-E-02"), ("changed", "TTM-1.1.1-E-01"),
    }  # fmt: skip
    assert "1 tests are suspect with it" in told
    assert "tests name what is removed: TTM-1.1.1-E-02" in told
    assert (tmp_path / "ttm.csv").read_bytes() == before
    assert small("import", tmp_path / "out.xlsx", "--write")[0] == 0
    after = csv_rows((tmp_path / "ttm.csv").read_bytes())
    assert after[0][-2:] == ["note", "our reviewer"]
    assert after[1][1].startswith("'=1 The DCC"), "no spreadsheet evaluates it"
    assert after[1][-1] == "Ann"
    assert after[-1][1] == "It\nholds – ünïcode"


@pytest.mark.parametrize(
    ("cell", "value", "message"),
    [
        (
            "H2",
            "ESME GMSE",
            "out.xlsx:2: TTM-1.1.1-E-01: found 'GMSE' among device_types (did you mean 'GSME'?)",
        ),
        ("E2", 1.1, "out.xlsx:2: sheet TTM, cell E2: 1.1, which is no text"),
        ("B3", "=HYPERLINK(A1)", "out.xlsx:3: sheet TTM, cell B3: a formula"),
        ("A3", "TTM-1.1.1-E-01", "out.xlsx:3: id 'TTM-1.1.1-E-01' stands twice, first on line 2"),
        ("F1", "scenarios", "out.xlsx:1: no column scenario"),
    ],
)
def test_a_damaged_file_is_refused_and_changes_nothing(
    small: Do, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str, value: object, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "ttm.csv").read_bytes()
    assert small("export", "out.xlsx")[0] == 0
    book = load_workbook("out.xlsx")
    book["TTM"][cell] = value
    book.save("out.xlsx")
    code, told = small("import", "out.xlsx", "--write")
    assert (code, message in told) == (2, True), told
    assert (tmp_path / "ttm.csv").read_bytes() == before


def test_the_security_matrix_of_a_test_phase_is_a_part_of_the_whole(do: Do, tmp_path: Path) -> None:
    code, told = do("matrix", "--group", "security", "--phase", "SIT", "--out", tmp_path / "security.csv")
    assert code == 0, told
    with (tmp_path / "security.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert all(row["id"].startswith("TTM-SEC-") for row in rows)
    assert {pack for row in rows for pack in row["packs"].split()} >= {"security-ioc", "security-foc"}
    assert any(row["tests"].startswith("security/") for row in rows)
