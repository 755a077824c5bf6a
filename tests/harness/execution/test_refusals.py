"""Runs that are refused before their plan is frozen: one plain line, and no folder that tells of a run."""

from __future__ import annotations

import pytest

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
        (["-k", "a b"], "ERROR: Wrong expression passed to '-k': a b: "),
    ],
)
def test_only_the_controller_says_what_is_wrong_and_no_run_is_left(bench, refused, arguments, told) -> None:
    assert refused(*arguments).startswith(told)
    assert list((bench.folder / "runs").iterdir()) == []
