"""``harness packs``: agreed with the TAG, witnessed, held against each other, made anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from tests.harness.cli.physical import CONFIG, REPO, with_paths


@pytest.fixture
def our_lab(tmp_path: Path) -> Path:
    """A lab with a packs folder of its own that has no pack yet, and a matrix of its own."""
    left_out = shutil.ignore_patterns(
        "service_reference_variants", "migration", "security", "non_standard", "*.yaml"
    )
    shutil.copytree(REPO / "test_packs", tmp_path / "test_packs", ignore=left_out)
    shutil.copy(CONFIG / "ttm.csv", tmp_path)
    path = tmp_path / "lab.yaml"
    text = with_paths((CONFIG / "simulated.yaml").read_text())
    path.write_text(
        text.replace(f"{CONFIG}/../test_packs", "test_packs").replace(f"{CONFIG}/ttm.csv", "ttm.csv")
    )
    assert "packs: test_packs\n" in path.read_text()
    return path


@pytest.fixture
def do(our_lab: Path) -> Callable[..., tuple[int, str]]:
    """A command on that lab, in this process: its exit code, and all that it says."""

    def invoke(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*words, "--lab", str(our_lab)])
        return done.exit_code, done.output

    return invoke


@pytest.fixture
def module(our_lab: Path) -> Path:
    """The test module of a new pack, our-own."""
    done = CliRunner().invoke(app, ["packs", "new", "our-own", "--lab", str(our_lab)])
    assert done.exit_code == 0, done.output
    return our_lab.parent / "test_packs" / "our_own" / "test_our_own.py"


def test_a_pack_is_agreed_and_a_witnessed_run_is_of_that_or_of_nothing(
    harness, our_lab, module, do, tmp_path
) -> None:
    def run(*more: str) -> Any:
        return harness(
            "run", "our-own", "--lab", our_lab, "--runs", tmp_path / "runs", "--one-process", *more,
            "--test", "test_import_is_told_as_the_meter_holds_it", "--entry", "ioc-alderwick-active",
        )  # fmt: skip

    never = run("--witnessed", "Ann of the TAG")
    assert never.returncode == 2
    assert "a witnessed run is of what was agreed: not agreed with the TAG: our-own" in never.stderr

    assert do("packs", "agree", "our-own", "--reference", "TAG 41/7")[0] == 0
    agreed = run("--witnessed", "Ann of the TAG")
    assert agreed.returncode == 0, agreed.stderr
    assert "witnessed by Ann of the TAG" in agreed.stderr
    assert "not agreed" not in agreed.stderr
    record = json.loads((tmp_path / "runs" / "latest" / "run.json").read_text())
    assert (record["witness"], record["notices"]) == ("Ann of the TAG", [])
    assert (record["packs"][0]["standing"], record["packs"][0]["agreement"]) == ("agreed", "TAG 41/7")

    module.write_text(module.read_text().replace("before = esme", "first = before = esme"))
    changed = run("--witnessed", "Ann of the TAG")
    assert changed.returncode == 2
    name = "our_own/test_our_own.py::test_import_is_told_as_the_meter_holds_it"
    assert f"our-own 0.1: not the pack of TAG 41/7: {name} has changed" in changed.stderr


def test_the_list_says_how_each_pack_stands(do, module) -> None:
    def standing() -> tuple[str, list[str]]:
        (pack,) = json.loads(do("packs", "--json")[1])
        return pack["standing"], pack["departures"]

    assert standing() == ("not agreed", [])
    do("packs", "agree", "our-own", "--reference", "TAG 41/7")
    assert standing() == ("agreed", [])
    module.write_text(module.read_text() + "\n# changed\n")
    assert standing()[0] == "differs"
    assert "has changed" in standing()[1][0]


def test_one_pack_is_held_against_what_was_agreed_of_it(do, module) -> None:
    code, told = do("packs", "diff", "our-own")
    assert (code, "our-own was never agreed with the TAG" in told) == (2, True)
    do("packs", "agree", "our-own", "--reference", "TAG 41/7")
    assert "it is what was agreed" in do("packs", "diff", "our-own")[1]
    module.write_text(module.read_text().replace("import_is_told", "import_was_told"))
    told = do("packs", "diff", "our-own")[1]
    assert "test_import_was_told_as_the_meter_holds_it is new" in told
    assert "test_import_is_told_as_the_meter_holds_it is gone" in told


@pytest.mark.parametrize(
    ("said", "manifest", "message"),
    [
        ("", "", "our-own names no agreement (say it: --reference, or tag_agreement in its manifest)"),
        ("TAG 8", "TAG 9", "the manifest of our-own rests on TAG 9, and not on TAG 8"),
    ],
)
def test_an_agreement_has_one_reference(do, module, said: str, manifest: str, message: str) -> None:
    path = module.parents[1] / "manifests" / "our-own.yaml"
    path.write_text(path.read_text().replace('tag_agreement: ""', f'tag_agreement: "{manifest}"'))
    code, told = do("packs", "agree", "our-own", "--reference", said)
    assert (code, message in told) == (2, True)


def test_a_new_pack_never_overwrites(do, module) -> None:
    before = module.read_text()
    code, told = do("packs", "new", "our-own")
    assert (code, "is there already" in told) == (2, True)
    module.parents[1].joinpath("manifests", "our-own.yaml").unlink()
    assert do("packs", "new", "our-own")[0] == 2, "its folder is there still"
    assert module.read_text() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Our Own"], "'Our Own' is not a valid name for a pack"),
        (["../our-own"], "is not a valid name for a pack"),
        (["our-own", "--release", "XOC"], "there is no Capability Release 'XOC'"),
        (["our-own", "--phase", "SITT"], "there is no Test Phase 'SITT' (did you mean 'SIT'?)"),
    ],
)
def test_a_new_pack_has_a_name_a_release_and_a_phase(do, words: list[str], message: str) -> None:
    code, told = do("packs", "new", *words)
    assert (code, message in told) == (2, True), told


def test_a_new_pack_is_traceable_at_once(do, module) -> None:
    code, told = do("ttm", "check")
    assert code == 0, told
    assert "0 unknown ids, 0 without an id" in told


def test_the_diff_of_the_shipped_non_standard_pack_gives_a_reason_for_each_change() -> None:
    words = ["packs", "diff", "standard-srvt-foc", "non-standard-srvt-foc-electric"]
    lab = ["--lab", str(CONFIG / "simulated.yaml")]
    found = json.loads(CliRunner().invoke(app, [*words, *lab, "--json"]).stdout)
    assert {test["change"] for test in found["tests"]} == {"added", "removed", "changed"}
    assert all(test["rationale"] for test in found["tests"])
    assert found["coverage"]["lost"]
    told = CliRunner().invoke(app, [*words, *lab]).stdout
    assert "why: There is no gas meter to test.\n      TAG: not agreed yet" in told


def test_a_pack_is_held_against_that_of_another_checkout(do, module, tmp_path: Path) -> None:
    older = shutil.copytree(module.parents[1], tmp_path / "older" / "test_packs")
    assert "nothing differs" in do("packs", "diff", "our-own", "--against", str(older))[1]
    module.write_text(module.read_text().replace("before = esme", "first = before = esme"))
    told = do("packs", "diff", "our-own", "--against", str(older))[1]
    assert '-    before = esme.read("active_import")' in told
    assert '+    first = before = esme.read("active_import")' in told
