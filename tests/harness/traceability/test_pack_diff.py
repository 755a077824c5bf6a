"""One pack held against another: what a reviewer has to know, and why it was changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.config.packs import load_pack
from harness.domain.packs import Pack
from harness.traceability.pack_diff import PackDiff, pack_diff

PACK = """\
title: A pack
version: "1"
kind: functional
capability_release: FOC
test_phase: SIT
installation_types: [dormant, active]
select: [test_x.py]
"""
OTHER = """\
title: Another
version: "1"
derives: pack
dmcs: [foc-cedarholt]
add:
  - {test: test_y.py, rationale: it has one more, agreement: TAG 7}
change:
  - test: test_x.py::test_two
    by: test_z.py::test_two_slowly
    rationale: it is slow
remove:
  - {test: "test_x.py::test_one", rationale: it has none}
"""
SOURCES = {
    "test_x.py": """
import pytest
from packs.shared import LIMIT

@pytest.mark.ttm("R-1")
def test_one(): ...

@pytest.mark.ttm("R-2", "R-3")
def test_two():
    assert LIMIT
""",
    "test_y.py": "\nimport pytest\n\n@pytest.mark.ttm('R-4')\ndef test_three(): ...\n",
    "test_z.py": "\nimport pytest\n\n@pytest.mark.ttm('R-2')\ndef test_two_slowly(): ...\n",
    "shared.py": "LIMIT = 1\n",
    "manifests/pack.yaml": PACK,
    "manifests/other.yaml": OTHER,
}


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        path = tmp_path / "packs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "packs"


def load(packs: Path, name: str = "pack") -> Pack:
    return load_pack(packs / "manifests" / f"{name}.yaml", packs)


def told(found: PackDiff) -> list[tuple[str, str, str, str, str]]:
    return [(test.kind, test.test, test.by, test.rationale, test.agreement) for test in found.tests]


def test_a_kind_is_told_in_words(packs: Path) -> None:
    shutil.copytree(packs, packs.parent / "old")
    manifest = packs / "manifests" / "pack.yaml"
    manifest.write_text(PACK.replace("functional", "service_reference_variant"))
    found = pack_diff(load(packs.parent / "old"), load(packs))
    assert ("kind", "functional", "service reference variant") in found.header


def test_a_pack_does_not_differ_from_itself(packs: Path) -> None:
    assert pack_diff(load(packs), load(packs)).empty


def test_a_non_standard_pack_is_told_with_the_rationale_of_each_change(packs: Path) -> None:
    found = pack_diff(load(packs), load(packs, "other"))
    assert told(found) == [
        ("removed", "test_x.py::test_one", "", "it has none", ""),
        ("changed", "test_x.py::test_two", "test_z.py::test_two_slowly", "it is slow", ""),
        ("added", "test_y.py::test_three", "", "it has one more", "TAG 7"),
    ]
    assert ("title", "A pack", "Another") in found.header
    assert ("DMCs", "all of its release", "foc-cedarholt") in found.header
    assert (found.gained, found.lost) == (("R-4",), ("R-1", "R-3"))


def test_the_source_of_a_changed_test_is_told_line_by_line(packs: Path) -> None:
    (changed,) = (test for test in pack_diff(load(packs), load(packs, "other")).tests if test.by)
    assert "-    assert LIMIT" in changed.diff
    assert "+def test_two_slowly(): ..." in changed.diff


@pytest.fixture
def older(packs: Path, tmp_path: Path) -> Path:
    """The same packs folder in another checkout."""
    return Path(shutil.copytree(packs, tmp_path / "older" / "packs"))


def test_against_another_folder_a_test_that_has_changed_is_named_with_its_lines(
    packs: Path, older: Path
) -> None:
    path = packs / "test_x.py"
    path.write_text(path.read_text().replace("assert LIMIT", "assert LIMIT > 1"))
    found = pack_diff(load(older), load(packs))
    assert told(found) == [("changed", "test_x.py::test_two", "", "", "")]
    assert found.tests[0].diff[-2:] == ("-    assert LIMIT", "+    assert LIMIT > 1")
    assert not found.header
    assert not found.sources


@pytest.mark.parametrize(
    ("name", "old", "new"), [("shared.py", "1", "2"), ("test_x.py", "import LIMIT", "import LIMIT as LIMIT")]
)
def test_code_beside_the_tests_is_told_too(packs: Path, older: Path, name: str, old: str, new: str) -> None:
    (packs / name).write_text((packs / name).read_text().replace(old, new))
    found = pack_diff(load(older), load(packs))
    assert [source.file for source in found.sources] == [name]
    assert any(line.startswith("+") and new in line for line in found.sources[0].diff)
    assert not found.tests
    assert not found.empty
