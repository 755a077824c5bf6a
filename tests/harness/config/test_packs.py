"""Manifests of test packs: what they select, what is told where they are wrong, what their digest covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import FileProblems
from harness.config.packs import find_packs, load_pack, manifests, selected_tests
from harness.domain.errors import ConfigurationError
from harness.domain.packs import Pack

MANIFEST = """\
title: A pack
version: "1"
kind: service_reference_variant
capability_release: IOC
test_phase: DMCT SRVT
installation_types: [dormant, active]
select:
  - readings/test_registers.py
  - test_clock.py::test_the_clock_is_right
"""
REGISTERS = """
import pytest

@pytest.mark.ttm("TTM-1", "TTM-2")
@pytest.mark.srv("4.1.1")
def test_import(meter): ...

def test_export(meter): ...

def helper(): ...
"""
CLOCK = """
def test_the_clock_is_right(meter): ...
def test_the_clock_can_be_set(meter): ...
"""


@pytest.fixture
def packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, source in {"readings/test_registers.py": REGISTERS, "test_clock.py": CLOCK}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    (tmp_path / "shared.py").write_text("LIMIT = 1\n")
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "small.yaml").write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(packs: Path, *changes: tuple[str, str]) -> Pack:
    """The pack, once these texts of its manifest are replaced."""
    path = packs / "manifests" / "small.yaml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return load_pack(path, packs)


def test_a_pack_is_named_after_its_manifest_and_selects_modules_and_single_tests(packs: Path) -> None:
    pack = load(packs)
    assert pack.name == "small"
    assert selected_tests(pack) == {
        "test_registers::test_import": ("TTM-1", "TTM-2"),
        "test_registers::test_export": (),
        "test_clock::test_the_clock_is_right": (),
    }
    assert pack.modules == (packs / "readings" / "test_registers.py", packs / "test_clock.py")
    assert not pack.selects(packs / "test_clock.py", "test_the_clock_can_be_set")


def test_a_pack_may_declare_an_order_and_how_long_its_tests_last(packs: Path) -> None:
    assert (load(packs).stages, load(packs).expected) == ((), 0)
    pack = load(packs, ("select:", "stages: [install, migrate, read]\nexpected: 2.5\nselect:"))
    assert (pack.stages, pack.expected) == (("install", "migrate", "read"), 2.5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: service", "knd: service", r"small\.yaml:3: knd: unknown key 'knd' \(did you mean 'kind'\?\)"),
        ("release: IOC", "release: XOC", r"small\.yaml:4: .*found 'XOC', expected one of 'IOC', "),
        ("[dormant, active]", "[]", r"small\.yaml:6: installation_types"),
        ("test_clock.py::", "test_clok.py::", r"small\.yaml:9: there is no module 'test_clok\.py' in .*"
         r"did you mean 'test_clock\.py'\?"),
        ("is_right", "is_rihgt", r"small\.yaml:9: test_clock\.py has no test 'test_the_clock_is_rihgt' "
         r"\(did you mean 'test_the_clock_is_right'\?\)"),
        ("select:", "stages: [a, b, a]\nselect:", r"small\.yaml:7: stage 'a' stands there twice"),
        ("select:", "stages: ['']\nselect:", r"small\.yaml:7: stages"),
        ("select:", "expected: -1\nselect:", r"small\.yaml:7: expected"),
        ("select:", "expected: .inf\nselect:", r"small\.yaml:7: expected"),
        ("readings/", "../", r"small\.yaml:8: there is no module '\.\./test_registers\.py'"),
        ('version: "1"', "version: [", r"small\.yaml:\d+"),
    ],
)  # fmt: skip
def test_a_wrong_manifest_is_told_with_its_line(packs: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(FileProblems, match=message):
        load(packs, (old, new))


def test_all_that_is_wrong_is_told_at_once(packs: Path) -> None:
    with pytest.raises(FileProblems, match=r"3 problems were found") as raised:
        load(packs, ("release: IOC", "release: XOC"), ("kind: service", "knd: service"))
    assert {problem.line for problem in raised.value.problems} == {1, 3, 4}


def test_a_module_that_is_no_python_is_told_with_file_and_line(packs: Path) -> None:
    (packs / "test_clock.py").write_text("x = 1\ndef test_the_clock_is_right(:\n")
    with pytest.raises(ConfigurationError, match=r"test_clock\.py:2: invalid syntax"):
        load(packs)


def test_an_unknown_pack_suggests_the_nearest(packs: Path) -> None:
    assert set(manifests(packs)) == {"small"}
    with pytest.raises(ConfigurationError, match=r"no pack 'smal' .*did you mean 'small'\?"):
        find_packs(packs, ["smal"])
    assert len(find_packs(packs, ["small", "small"])) == 1


@pytest.mark.parametrize("name", ["readings/test_registers.py", "shared.py", "manifests/small.yaml"])
def test_the_digest_covers_manifest_selected_modules_and_what_they_share(packs: Path, name: str) -> None:
    before = load(packs).digest
    assert load(packs).digest == before
    (packs / name).write_text((packs / name).read_text() + "\n# changed\n")
    assert load(packs).digest != before


def test_the_digest_leaves_out_modules_that_the_pack_does_not_select(packs: Path) -> None:
    before = load(packs).digest
    (packs / "test_other.py").write_text("def test_other(): ...\n")
    assert load(packs).digest == before


def test_every_shipped_manifest_loads_and_selects_something() -> None:
    shipped = Path(__file__).resolve().parents[3] / "test_packs"
    for pack in find_packs(shipped, manifests(shipped)):
        assert selected_tests(pack), pack.name
