"""Manifests of test packs: what they select, what is told where they are wrong, what their digest covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import FileProblems
from harness.config.packs import find_packs, load_pack, manifests, selected_tests
from harness.domain.errors import ConfigurationError
from tests.harness.config.pack_folders import MANIFEST, load, manifest, with_imports


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
        ("test_clock.py::test_the_clock_is_right", "readings", r"small\.yaml:9: 'readings' is a folder "
         r"of .*, and not a module \(for every module in it write 'readings/'\)"),
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


@pytest.mark.parametrize(
    "name",
    [
        "readings/test_registers.py",
        "manifests/small.yaml",
        "conftest.py",
        "readings/__init__.py",
        "readings/conftest.py",
        "limits/__init__.py",
        "limits/high.py",  # imported by a selected module
        "units.py",  # imported by what it imports, in a function
        "lazy.py",  # named as a plugin of pytest
    ],
)
def test_the_digest_covers_what_the_pack_is_made_of_and_all_that_this_imports(packs: Path, name: str) -> None:
    with_imports(packs)
    before = load(packs).digest
    assert load(packs).digest == before
    (packs / name).write_text((packs / name).read_text() + "\n# changed\n")
    assert load(packs).digest != before


@pytest.mark.parametrize("name", ["test_other.py", "shared.py", "other/conftest.py"])
def test_the_digest_leaves_out_what_the_pack_does_not_use(packs: Path, name: str) -> None:
    with_imports(packs)
    before = load(packs).digest
    (packs / name).parent.mkdir(exist_ok=True)
    (packs / name).write_text("def test_other(): ...\n")
    assert load(packs).digest == before


def test_a_pack_says_which_files_its_digest_covers(packs: Path) -> None:
    with_imports(packs)
    assert set(load(packs).files) == {
        "manifests/small.yaml", "test_clock.py", "readings/test_registers.py", "readings/conftest.py",
        "readings/__init__.py", "conftest.py", "limits/__init__.py", "limits/high.py", "units.py", "lazy.py",
    }  # fmt: skip


def test_a_shared_module_that_is_no_python_is_told_with_file_and_line(packs: Path) -> None:
    with_imports(packs)
    (packs / "units.py").write_text("WATT = = 1\n")
    with pytest.raises(ConfigurationError, match=r"units\.py:1: invalid syntax"):
        load(packs)


def test_a_folder_selects_all_of_its_modules(packs: Path) -> None:
    (packs / "readings" / "deep").mkdir()
    (packs / "readings" / "deep" / "test_log.py").write_text("def test_log(): ...\n")
    pack = load(packs, ("readings/test_registers.py", "readings/"))
    assert [module.name for module in pack.modules] == ["test_log.py", "test_registers.py", "test_clock.py"]


def test_a_pack_may_select_what_another_selects(packs: Path) -> None:
    manifest(packs, "more", MANIFEST.partition("select:")[0] + "select: ['pack:small']\n")
    more = load_pack(packs / "manifests" / "more.yaml", packs)
    assert selected_tests(more) == selected_tests(load(packs))
    assert "manifests/small.yaml" in more.files
    manifest(packs, "third", MANIFEST.partition("select:")[0] + "select: ['pack:more']\n")
    with pytest.raises(FileProblems, match=r"third\.yaml:7: 'more' does not name its tests itself"):
        load_pack(packs / "manifests" / "third.yaml", packs)


def test_guesses_of_single_modules_and_tests_outweigh_the_packs(packs: Path) -> None:
    durations = "{readings/test_registers.py: 40, 'readings/test_registers.py::test_export': 50}"
    pack = load(packs, ("select:", f"expected: 2\ndurations: {durations}\nselect:"))
    registers, clock = pack.modules
    assert pack.guess(registers, "test_export") == 50
    assert pack.guess(registers, "test_import") == 40
    assert pack.guess(clock, "test_the_clock_is_right") == 2


def test_a_guess_for_what_the_pack_does_not_select_is_told(packs: Path) -> None:
    with pytest.raises(FileProblems, match=r"small\.yaml:8: the pack selects nothing of 'test_other\.py'"):
        load(packs, ("select:", "durations:\n  test_other.py: 40\nselect:"))
