"""Runs that are refused before their plan is frozen: one plain line, and no folder that tells of a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.domain.errors import UsageError
from harness.execution.session import chosen_run_id, chosen_witness

SUBJECT = """
@planned
@pytest.mark.srv("4.1.1")
@pytest.mark.parametrize("number", range(3))
def test_subject(rig, number): pass

# What workers are forked from comes first: all that it has to say is said before the controller ends it
import sys
if sys.argv[0].endswith("fork_template.py"):
    Path("collects").touch()
else:
    for _ in range(500):
        if Path("collects").exists():
            break
        time.sleep(0.02)
    time.sleep(0.5)
"""
LEAVES_A_TRACE = """
from harness.hooks import hookimpl

@hookimpl(tryfirst=True)
def harness_start_lab(lab, run):
    (run.folder / "dcc-side.log").touch()
"""


@pytest.fixture
def refused(bench):
    """What a run is refused with, which must be all that it says; its services leave something behind."""
    bench.write_tests(SUBJECT)
    (bench.folder / "leaves_a_trace.py").write_text(LEAVES_A_TRACE)
    bench.edit_lab(r"plugins: \[fake_rigs\]", "plugins: [fake_rigs, leaves_a_trace]")
    bench.environment["PYTHONPATH"] = f"{bench.surroundings()['PYTHONPATH']}:{bench.folder}"

    def run(*arguments: str) -> str:
        code, output = bench.run(*arguments, program=("harness",))
        assert code == 2, output
        lines = output.strip().splitlines()
        assert len(lines) == 1, output
        return lines[0]

    return run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--srv", "7.1"], "ERROR: --srv 7.1: the packs plan no such test (choose from '4.1.1')"),
        (["--device", "ESME", "-k", "xx"], "ERROR: no planned test has device ESME and matches -k 'xx'"),
        (["-k", "a b"], "ERROR: Wrong expression passed to '-k': a b: "),
    ],
)
def test_only_the_controller_says_what_is_wrong_and_no_run_is_left(bench, refused, arguments, told) -> None:
    assert refused(*arguments).startswith(told)
    assert list((bench.folder / "runs").iterdir()) == []


def given(**options: str | None) -> Any:
    """Pytest's configuration with these options."""
    return SimpleNamespace(getoption=options.get)


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", ".hidden", "../x", "a/b", "-x", "a b", "latest", "x" * 101]
)
def test_a_run_id_is_one_plain_file_name(run_id: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be the name of a run \(at most 100 letters, digits, dots"):
        chosen_run_id(given(run_id=run_id))


def test_a_run_id_may_be_anybodys_word() -> None:
    word = "SIT-2_cycle.1".ljust(100, "x")
    assert chosen_run_id(given(run_id=word)) == word
    assert chosen_run_id(given(run_id=None)) != chosen_run_id(given(run_id=None))


def test_a_run_id_that_leads_elsewhere_writes_nothing_there(bench) -> None:
    bench.write_tests(SUBJECT)
    fixed = ("--lab=lab.yaml", "--pack=pack-ioc", "-p", "no:cacheprovider", "-q")
    code, output = bench.run("--run-id=..", "-n", "0", fixed=fixed)
    assert code == 4  # pytest's own for wrong usage
    assert "ERROR: --run-id '..' cannot be the name of a run" in output
    assert not list(bench.folder.rglob("plan.json"))


@pytest.mark.parametrize("name", ["", "  "])
def test_a_witness_has_a_name(name: str) -> None:
    with pytest.raises(UsageError, match=r"--witnessed: no name is given \(say who witnesses the run"):
        chosen_witness(given(witnessed=name))
    assert chosen_witness(given(witnessed="Ann")) == "Ann"
    assert chosen_witness(given(witnessed=None)) == ""
