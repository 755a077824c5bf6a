"""Exports can be made again at any time, and come out the same."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from harness.domain.lab import Lab
from harness.hooks import Renderer, hookimpl
from harness.records.manifest import verify_manifest
from harness.reports import render_all
from harness.reports.rendering import renderers

TRUTH = ("plan.json", "journal", "evidence")


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_every_export_of_the_contract_is_made_and_the_manifest_comes_last(
    fabricated: tuple[Path, Lab],
) -> None:
    folder, lab = fabricated
    written = render_all(folder, lab)
    expected = {"run.json", "junit.xml", "ttm-coverage.csv", "heatmap.html", "manifest-sha256.txt"}
    assert expected <= {path.name for path in written}
    assert all(path.is_file() for path in written)
    assert [path.name for path in written[-2:]] == ["run.json", "manifest-sha256.txt"]


def test_a_second_rendering_gives_the_same_bytes(fabricated: tuple[Path, Lab]) -> None:
    folder, lab = fabricated
    render_all(folder, lab)
    first = files(folder)
    render_all(folder, lab)
    assert files(folder) == first


def test_plan_journals_and_evidence_elsewhere_give_the_same_exports(
    fabricated: tuple[Path, Lab], tmp_path: Path
) -> None:
    folder, lab = fabricated
    render_all(folder, lab)
    copy = tmp_path / "elsewhere" / folder.name
    copy.mkdir(parents=True)
    for name in TRUTH:
        source = folder / name
        shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
    render_all(copy, lab)
    assert files(copy) == files(folder)


def test_rendering_leaves_the_truth_alone(fabricated: tuple[Path, Lab]) -> None:
    folder, lab = fabricated
    before = files(folder)
    render_all(folder, lab)
    assert before.items() <= files(folder).items()


def test_the_manifest_covers_every_file_of_the_folder(fabricated: tuple[Path, Lab]) -> None:
    folder, lab = fabricated
    render_all(folder, lab)
    assert verify_manifest(folder) == ()
    listed = {line.split("  ", 1)[1] for line in (folder / "manifest-sha256.txt").read_text().splitlines()}
    assert listed == files(folder).keys() - {"manifest-sha256.txt", "manifest-sha256.txt.sig"}


def test_results_of_an_earlier_rendering_do_not_linger(fabricated: tuple[Path, Lab]) -> None:
    folder, lab = fabricated
    render_all(folder, lab)
    (folder / "allure-results" / "stale-result.json").write_text("{}")
    render_all(folder, lab)
    assert not (folder / "allure-results" / "stale-result.json").exists()


def test_a_third_party_renderer_comes_in_by_the_same_door_and_is_sealed(
    fabricated: tuple[Path, Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, lab = fabricated
    plugin = ModuleType("renderer_of_a_third_party")

    def render(folder: Path, lab: Lab) -> Iterable[Path]:
        (folder / "third.txt").write_text(lab.name)
        return [folder / "third.txt"]

    @hookimpl
    def harness_renderers() -> Iterable[Renderer]:
        return [Renderer("third", render, "something of their own")]

    plugin.harness_renderers = harness_renderers  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    lab = replace(lab, plugins=(plugin.__name__,))
    assert next(renderer.name for renderer in renderers(lab)) == "third"
    render_all(folder, lab)
    assert "  third.txt\n" in (folder / "manifest-sha256.txt").read_text()


def test_the_plugin_imports_nothing_heavy() -> None:
    heavy = ("jinja2", "lxml", "pydantic", "openpyxl", "sqlalchemy")
    code = f"import sys, harness.reports.plugin; print([m for m in {heavy!r} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
