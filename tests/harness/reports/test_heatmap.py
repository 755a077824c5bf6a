"""The heatmap shows the numbers of ``run.json`` in one file that stands alone, and leads to the evidence."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from harness.config.ttm_links import Link, links_file, write_links
from harness.domain.lab import Lab
from harness.domain.words import Outcome
from harness.records.evidence import read_steps
from harness.records.journal import Journal
from harness.records.plan import Plan
from harness.records.run import RunRecord, read_run
from harness.reports import heatmap, summary
from harness.reports.heatmap.grid import make_grid

NUMBERS = ("planned", "run", "passed", "failed", "blocked", "not-run", "descoped")


@pytest.fixture(scope="module")
def record(fabricated_whole: tuple[Path, Lab]) -> RunRecord:
    return read_run(fabricated_whole[0])


@pytest.fixture(scope="module")
def text(fabricated_whole: tuple[Path, Lab]) -> str:
    (path,) = heatmap.render(*fabricated_whole)
    return path.read_text()


@pytest.fixture(scope="module")
def page(text: str) -> Any:
    return html.fromstring(text.encode())


@pytest.fixture(scope="module")
def run_json(fabricated_whole: tuple[Path, Lab]) -> dict[str, Any]:
    (path,) = summary.render(*fabricated_whole)
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def tests(page: Any) -> list[dict[str, Any]]:
    return json.loads(page.get_element_by_id("tests").text)


def unpacked(page: Any) -> dict[str, Any]:
    """The evidence by attempt, as the page's script restores it."""
    packed = json.loads(zlib.decompress(base64.b64decode(page.get_element_by_id("evidence").text)))
    for attempt in packed["attempts"].values():
        attempt["steps"] = [
            {name: packed["values"][place] for name, place in step.items()} for step in attempt["steps"]
        ]
    return packed["attempts"]


def numbers(cell: Any) -> dict[str, int]:
    return {name: int(cell.get(f"data-{name}", "0")) for name in NUMBERS}


def row(page: Any, key: str) -> dict[str, dict[str, int]]:
    (line,) = page.xpath(f"//tr[@data-row='{key}']")
    return {cell.get("data-column"): numbers(cell) for cell in line.xpath("td[@data-column]")}


def added(cells: Any) -> dict[str, int]:
    chosen = list(cells)
    return {name: sum(cell[name] for cell in chosen) for name in NUMBERS}


def test_the_totals_are_the_counts_of_run_json(page: Any, run_json: dict[str, Any]) -> None:
    counts = run_json["counts"]
    total = row(page, "all")["all"]
    assert {name.replace("-", "_"): value for name, value in total.items() if name != "run"} == counts
    assert total["run"] == counts["passed"] + counts["failed"]


def test_the_tiles_show_the_counts_of_run_json(page: Any, run_json: dict[str, Any]) -> None:
    shown = {}
    for tile in page.xpath("//li[contains(@class, 'tile')]"):
        number, word = re.findall(r"(\d+)\s*(\D+)$", tile.text_content().strip())[0]
        shown[word.strip().replace("de-scoped", "descoped").replace(" ", "_")] = int(number)
    assert shown.pop("run") == run_json["counts"]["passed"] + run_json["counts"]["failed"]
    assert shown == run_json["counts"]


def test_groups_add_up_to_the_total_in_every_column(page: Any) -> None:
    groups = [row(page, line.get("data-row")) for line in page.xpath("//tr[@class='group']")]
    for column, total in row(page, "all").items():
        assert added(group[column] for group in groups) == total


def test_columns_add_up_to_their_row(page: Any) -> None:
    for line in page.xpath("//tr[@data-row]"):
        cells = row(page, line.get("data-row"))
        total = cells.pop("all")
        assert added(cells.values()) == total


def test_a_cell_shows_in_print_what_it_says_in_its_data(page: Any) -> None:
    for cell in page.xpath("//td[@data-tests]"):
        data = numbers(cell)
        shown = cell.xpath("string(.//span[@class='first'])").split()[-1]
        assert shown == f"{data['passed']}/{data['planned']}"
        counts = cell.xpath(".//span[@class='counts']/i")
        assert [item.text_content().lstrip("✕◆○⊘") for item in counts[:4]] == [
            f"run {data['run']}", str(data["failed"]), str(data["blocked"]), str(data["not-run"]),
        ]  # fmt: skip
        assert f"{data['planned']} planned, {data['run']} run" in cell[0].get("aria-label")


def test_a_cell_takes_the_gravest_outcome_in_it(page: Any) -> None:
    for cell in page.xpath("//td[@data-tests]"):
        data = numbers(cell)
        gravest = next(name for name in ("failed", "blocked", "not-run", "passed", "descoped") if data[name])
        assert cell.get("class") == f"cell {gravest.replace('-', '_')}"


def test_a_cell_lists_exactly_its_tests(page: Any, tests: list[dict[str, Any]]) -> None:
    for line in page.xpath("//tr[contains(@class, 'srv')]"):
        srv = line.xpath("string(th/span)")
        for cell in line.xpath("td[@data-tests]"):
            listed = [tests[int(place)] for place in cell.get("data-tests").split()]
            assert len(listed) == numbers(cell)["planned"]
            assert all(srv in test["srvs"] for test in listed)
            if cell.get("data-column") != "all":
                assert {test["column"] for test in listed} == {cell.get("data-column")}


def test_a_test_with_two_srvs_stands_in_both_rows_and_counts_once_in_its_group(page: Any) -> None:
    (group,) = page.xpath("//tbody[@data-group='Supply']")
    total, *srvs = [
        set(cell.get("data-tests").split()) for cell in group.xpath("tr/td[@data-column='all'][@data-tests]")
    ]
    assert set.union(*srvs) == total
    assert sum(map(len, srvs)) > len(total)


def test_columns_are_dmc_by_installation_type(page: Any, record: RunRecord) -> None:
    shown = {cell.get("data-column") for cell in page.xpath("//td[@data-column]")} - {"all"}
    assert shown == {f"{entry.dmc}/{entry.installation_type}" for entry in record.plan.epcl_entries}


def test_srvs_stand_in_the_order_of_their_numbers(page: Any) -> None:
    (group,) = page.xpath("//tbody[@data-group='Readings']")
    srvs = group.xpath("tr[contains(@class, 'srv')]/th/span[@class='number']/text()")
    assert srvs == ["4.1.1", "4.2", "4.3", "4.6.1", "4.8.1", "4.8.2", "4.10"]


def test_groups_stand_in_the_order_of_their_numbers_then_of_their_names(record: RunRecord) -> None:
    ttm = ["Security: S1SP", "11 Firmware management", "Migration files", "2 Prepayment"]
    for groups in (ttm, ttm[::-1]):
        labels = [row.label for row in make_grid(record, {}, groups).groups if row.label in ttm]
        assert labels == ["2 Prepayment", "11 Firmware management", "Migration files", "Security: S1SP"]


def test_a_group_of_the_ttm_without_a_planned_test_is_shown_as_such(page: Any) -> None:
    assert "nothing planned" in page.xpath("string(//tbody[@data-group='Alerts'])")


def test_requirements_of_a_group_that_other_groups_tests_show_are_told_as_such(
    fabricated: tuple[Path, Lab], tmp_path: Path
) -> None:
    folder, lab = fabricated
    matrix = tmp_path / "ttm.csv"
    matrix.write_text(lab.ttm.read_text().replace(",Supply,", ",Elsewhere,"))
    (path,) = heatmap.render(folder, replace(lab, ttm=matrix))
    page = html.fromstring(path.read_bytes())
    assert "tests of other groups cover some" in page.xpath("string(//tbody[@data-group='Elsewhere'])")
    assert "tests of other groups" not in page.xpath("string(//tbody[@data-group='Alerts'])")
    assert page.xpath("string(//tbody[@data-group='Supply']/tr[1]/td[@class='ttm'])") == "–"


def test_every_attempt_is_there_interrupted_and_blocked_ones_too(
    tests: list[dict[str, Any]], record: RunRecord
) -> None:
    for shown, test in zip(tests, record.plan.tests, strict=True):
        assert shown["id"] == test.id
        assert shown["outcome"] == record.outcome(test.id)
        expected = [(a.number, a.result.value, a.rig, a.message) for a in record.of(test.id)]
        assert [(a["number"], a["result"], a["rig"], a["message"]) for a in shown["attempts"]] == expected


def test_the_evidence_can_be_read_in_place(page: Any, record: RunRecord) -> None:
    evidence = unpacked(page)
    test = record.tests(Outcome.FAILED)[0]
    latest = record.latest(test.id)
    assert latest is not None
    shown = evidence[latest.id]
    folder = record.evidence_of(latest)
    assert len(shown["steps"]) == len(read_steps(folder))
    messages = [step for step in shown["steps"] if step["kind"] == "message"]
    assert messages[0]["hex"]
    assert messages[-1]["text"] == (folder / messages[-1]["path"]).read_text()
    assert shown["trace"] == latest.trace


def test_every_path_that_the_page_leads_to_exists(page: Any, record: RunRecord) -> None:
    for shown in unpacked(page).values():
        for name in [step["path"] for step in shown["steps"] if "path" in step] + shown["files"]:
            assert (record.folder / shown["folder"] / name).is_file()
    ours = {"plan.json", "ttm-coverage.csv"}
    links = {a.get("href") for a in page.iter("a") if not a.get("href").startswith("#")}
    assert links == ours


def test_a_large_file_is_linked_not_embedded(page: Any, record: RunRecord) -> None:
    evidence = unpacked(page)
    steps = [step for shown in evidence.values() for step in shown["steps"] if step["kind"] == "file"]
    assert steps
    assert all(("text" in step) == (step["size"] <= 24_000) for step in steps)


def test_the_page_asks_nothing_of_the_network(text: str, page: Any) -> None:
    assert "default-src 'none'" in page.xpath("//meta[@http-equiv]/@content")[0]
    assert not page.xpath("//*[@src]")
    assert not page.xpath("//link")
    without_data = re.sub(r'<script type="application.*?</script>', "", text, flags=re.DOTALL)
    assert not re.search(r"https?:|url\((?!data:)|@import|fetch\(|XMLHttpRequest", without_data)


def test_the_page_of_three_packs_is_small(text: str) -> None:
    assert len(text.encode()) < 3_000_000


def test_packs_that_the_tag_has_not_agreed_to_are_told_above_the_numbers(
    page: Any, record: RunRecord
) -> None:
    (notice,) = page.xpath("//section[@id='notices']//li/text()")
    assert notice == f"not agreed with the TAG: {', '.join(pack.name for pack in record.plan.packs)}"
    assert not page.xpath("//main//*[@id='notices']")


def test_requirements_with_suspect_tests_are_told_above_the_numbers(
    fabricated_whole: tuple[Path, Lab], page: Any, tmp_path: Path
) -> None:
    assert not page.xpath("//section[@id='suspect']")
    folder, lab = fabricated_whole
    shutil.copytree(folder, tmp_path / "run")
    matrix = tmp_path / "ttm.csv"
    shutil.copy(lab.ttm, matrix)
    link = Link(test="test_x.py::test_y", id="FAB-7.2-ESME", stamp="of an older text")
    write_links(links_file(matrix), [link])
    (path,) = heatmap.render(tmp_path / "run", replace(lab, ttm=matrix))
    banner = html.fromstring(path.read_bytes()).xpath("//section[@id='suspect']")[0]
    assert banner.xpath(".//a/text()") == ["FAB-7.2-ESME"]
    assert "1 requirement with suspect tests" in banner.text_content()


def test_the_head_names_run_packs_environment_and_faults(page: Any, record: RunRecord) -> None:
    head = page.text_content()
    for what in (record.plan.run_id, "DMCT SRVT", "cycle 2", "S1SP", "3.12", "Clause 20.18", "TAG 41/7"):
        assert what in head
    assert "Faults switched on: esme-import-stuck" in head
    assert all(pack.name in head for pack in record.plan.packs)


def test_records_that_cannot_be_trusted_are_said_at_the_top(fabricated: tuple[Path, Lab]) -> None:
    folder, lab = fabricated
    journal = folder / "journal" / "gw0.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"result":"passed"', b'"result":"failed"', 1))
    (path,) = heatmap.render(folder, lab)
    alert = html.fromstring(path.read_bytes()).xpath("string(//*[@role='alert'])")
    assert "Records that cannot be trusted" in alert
    assert "journal/gw0.jsonl line" in alert


HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>&{{ 7*7 }}'


@pytest.fixture
def hostile(fabricated: tuple[Path, Lab]) -> Path:
    """A page whose reasons were written by somebody who does not wish us well."""
    folder, lab = fabricated
    plan = Plan.read(folder)
    process = {"run_id": plan.run_id, "plan_digest": plan.digest, "process": "late"}
    with Journal.begin(folder, **process) as journal:
        journal.write("descoped", test=plan.tests[0].id, approval=HOSTILE)
    (path,) = heatmap.render(folder, lab)
    return path


def test_what_came_from_elsewhere_is_never_markup(hostile: Path) -> None:
    page = html.fromstring(hostile.read_bytes())
    assert len(page.xpath("//script")) == 3
    assert not page.xpath("//img")
    assert json.loads(page.get_element_by_id("tests").text)[0]["reason"] == HOSTILE
    assert HOSTILE in [cell.text_content() for cell in page.xpath("//td[@class='reason']")]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-component-update", "--disable-background-networking", "--virtual-time-budget=5000",
    "--dump-dom",
)  # fmt: skip


def in_browser(path: Path, address: str, profile: Path, *more: str) -> Any:
    command = [str(CHROMIUM), *FLAGS, *more, f"--user-data-dir={profile}", f"{path.as_uri()}{address}"]
    result = subprocess.run(command, capture_output=True, timeout=60, check=True)
    return html.fromstring(result.stdout)


browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")


@browser
def test_a_click_on_a_cell_leads_to_its_tests_and_their_evidence(
    page: Any, record: RunRecord, tmp_path: Path, text: str
) -> None:
    cell = page.xpath("//tr[contains(@class, 'srv')]/td[contains(@class, 'failed')]/a")[0]
    shown = in_browser(record.folder / "heatmap.html", cell.get("href"), tmp_path)
    panel = shown.get_element_by_id("panel")
    assert panel.get("hidden") is None
    listed = panel.xpath(".//details[contains(@class, 'test ')]")
    assert len(listed) == numbers(cell.getparent())["planned"]
    opened = listed[0].text_content()
    assert "the meter holds what the response said" in opened
    assert "ServiceReferenceVariant" in opened, "the DUIS message can be read in place"
    assert "device failure" in opened
    assert "firmware 4.02.11" in opened, "what was tested"
    assert "call failed 0.25 s" in opened
    (go,) = listed[0].xpath(".//button[@class='go']")
    assert go.text == "✕ Go to the failed check"


@browser
@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("#cell=nonsense", "There is no cell “nonsense”"),
        ("#cell=%", "There is no cell “%”"),
        ("#test=nonsense", "There is no test “nonsense”"),
        ("#outcome=nonsense", "There is no outcome “nonsense”"),
    ],
)
def test_an_address_that_names_nothing_is_told_so(
    record: RunRecord, tmp_path: Path, text: str, address: str, told: str
) -> None:
    panel = in_browser(record.folder / "heatmap.html", address, tmp_path).get_element_by_id("panel")
    assert panel.get("hidden") is None
    assert told in panel.text_content()


MEASURE = """<script>
const wide = (box) => box.scrollWidth > box.clientWidth;
const wider = [...document.querySelectorAll("html, .card")].filter(wide);
document.body.dataset.wide = wider.map((box) => box.className || "page");
</script>"""


@browser
@pytest.mark.parametrize("width", [1400, 500])  # no window of Chromium is narrower
def test_nothing_sticks_out_of_the_page_or_of_its_card(text: str, tmp_path: Path, width: int) -> None:
    path = tmp_path / "heatmap.html"
    path.write_text(text.replace("</body>", f"{MEASURE}</body>"))
    shown = in_browser(path, "", tmp_path / "profile", f"--window-size={width},900")
    assert shown.body.get("data-wide") == ""
    assert len(shown.find_class("card")) == 4


@browser
def test_a_requirement_leads_to_its_tests(record: RunRecord, tmp_path: Path, text: str) -> None:
    shown = in_browser(record.folder / "heatmap.html", "#ttm=FAB-4.8.1-ESME", tmp_path)
    naming = [test for test in record.plan.tests if "FAB-4.8.1-ESME" in test.ttm]
    panel = shown.get_element_by_id("panel")
    assert len(panel.xpath(".//details[contains(@class, 'test ')]")) == len(naming)


@browser
def test_tests_are_found_by_words_of_theirs(record: RunRecord, tmp_path: Path, text: str) -> None:
    shown = in_browser(record.folder / "heatmap.html", "#find=birchfell-3%20display", tmp_path)
    listed = shown.get_element_by_id("panel").xpath(".//details[contains(@class, 'test ')]/summary")
    assert listed
    assert all("Display Message" in test.text_content() for test in listed)


@browser
def test_a_browser_runs_nothing_that_came_with_a_message(hostile: Path, tmp_path: Path) -> None:
    shown = in_browser(hostile, "#test=0", tmp_path / "profile")
    panel = shown.get_element_by_id("panel")
    assert HOSTILE in panel.text_content()
    assert not panel.xpath(".//img | .//script")
