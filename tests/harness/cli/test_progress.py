"""What a person sees while packs run: plain lines in a log, a display that keeps its width on a terminal."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

PROGRAM = """
import sys, time
from types import SimpleNamespace
import pytest
from harness.cli.progress import Progress
from harness.domain.words import AttemptResult
from harness.execution.attempts import Ended
from harness.execution.controller_plugin import ControllerPlugin
from harness.execution.terminal import TERMINAL

tests = [SimpleNamespace(not_run="") for _ in range(3)] + [SimpleNamespace(not_run="no rig of DMC x")]
plan = SimpleNamespace(run_id="20260302-091500-3fa2", tests=tests, rigs=("ioc-1", "ioc-2"), seed=7)
plan.notices, plan.witness = ("not agreed with the TAG: standard-srvt-ioc",), "Ann"
plugin = ControllerPlugin.__new__(ControllerPlugin)
plugin.controller = SimpleNamespace(plan=plan, problems=(), to_run=tests[:3], resumption=None)
manager = SimpleNamespace(getplugin=lambda name: plugin)
terminal = SimpleNamespace(screen=None)
stash = pytest.Stash()
stash[TERMINAL] = terminal
progress = Progress(quiet="quiet" in sys.argv)
progress.pytest_runtestloop(SimpleNamespace(config=SimpleNamespace(pluginmanager=manager, stash=stash)))

def ends(test, rig, result, message=""):
    report = pytest.TestReport(test, ("f", 1, "f"), {}, "passed", None, "teardown")
    progress.pytest_runtest_logreport(report)  # the report of an earlier phase says nothing
    Ended(test, rig, AttemptResult(result), message).tell(report)
    progress.pytest_runtest_logreport(report)

LONG = "test_meter_readings::test_instantaneous_import_registers[standard-srvt-ioc,ioc-alderwick-active,ESME]"
ends("test_one", "ioc-1", "passed")
ends(LONG, "ioc-2", "blocked", "TransportLost: port /dev/ttyUSB0 went away\\nand more")
ends("test_three", "ioc-1", "interrupted", "its worker died")
ends(LONG, "ioc-1", "failed", "expected 7, found 8")
if "waits" in sys.argv:
    plugin.told_of_rig("ioc-2", "ioc-2 is held by ann (firmware; process 7 on desk, since 09:00)")
    plugin.told_of_rig("ioc-1", "ioc-1 is in maintenance by bob: new relay")
    plugin.told_of_rig("ioc-1", "ioc-1 is in maintenance by bob: new relay")
    plugin.told_of_rig("ioc-1", "")
    time.sleep(0.4)
if "many" in sys.argv:
    for number in range(64):
        ends(f"test_{number}", f"many-{number:02}", "failed" if number == 63 else "passed")
        plugin.told_of_rig(f"many-{number:02}", "many are held by ann")
    time.sleep(0.4)
if "question" in sys.argv:
    terminal.screen.make_way()
    print("what does the display show?", file=sys.stderr, flush=True)
    ends("test_one", "ioc-2", "failed", "expected on, found off")
    time.sleep(0.4)  # a living display would have drawn itself three times by now
    print("230 V", file=sys.stderr, flush=True)
    terminal.screen.go_on()
progress.pytest_sessionfinish()
"""
LONG = "test_meter_readings::test_instantaneous_import_registers[standard-srvt-ioc,ioc-alderwick-active,ESME]"
COLOUR, MOVES = re.compile(r"\x1b\[[0-9;]*m"), re.compile(r"\x1b\[[0-9;?]*[A-Za-ln-z]")


def test_in_a_log_each_attempt_is_a_whole_plain_line() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "not agreed with the TAG: standard-srvt-ioc",
        "witnessed by Ann",
        "run 20260302-091500-3fa2: 4 planned tests, 2 rigs, seed 7",
        "1 of them cannot run: no rig of their DMC",
        "    1/3 passed      ioc-1      test_one",
        f"    2/3 blocked     ioc-2      {LONG}: TransportLost: port /dev/ttyUSB0 went away",
        "    3/3 interrupted ioc-1      test_three: its worker died",
        f"    3/3 failed      ioc-1      {LONG}: expected 7, found 8",  # another attempt, no further test
    ]


def test_quiet_means_not_a_word() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "quiet"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_a_table_lives_and_long_ids_are_cut_to_its_width(on_a_terminal, columns: int) -> None:
    shown = on_a_terminal(sys.executable, "-c", PROGRAM, columns=columns)
    assert "\x1b[?25l" in shown  # the cursor is hidden while the display lives,
    assert "\x1b[?25h" in shown  # and given back
    lines = [line.rstrip() for line in MOVES.sub("\n", COLOUR.sub("", shown)).splitlines()]
    assert max(map(len, lines)) <= columns
    assert (LONG if len(LONG) <= columns else LONG[: columns - 1] + "…") in lines  # below the table
    cut = next(line for line in lines if line.startswith("    3/3 failed"))
    assert cut.endswith("…")
    assert len(cut) == columns
    below = [lines[at + 1].strip() for at, line in enumerate(lines) if re.match(r"    [23]/3", line)]
    assert below == [
        "TransportLost: port /dev/ttyUSB0 went away",
        "its worker died",
        "expected 7, found 8",
    ]
    table = "\n".join(lines)
    assert "3 of 3" in table
    assert re.search(r"│ ioc-1 +│ +1 │ +1 │ +│ +1 │", table)
    assert re.search(r"│ all +│ +1 │ +1 │ +1 │ +1 │", table)
    for name in ("passed", "failed", "blocked", "interrupted"):
        assert name in table


def test_while_a_question_has_the_log_what_ends_is_kept_until_it_is_answered() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "question"], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-3:] == [
        "what does the display show?",
        "230 V",
        "    3/3 failed      ioc-2      test_one: expected on, found off",
    ]


def test_on_a_terminal_the_display_makes_way_for_a_question_and_comes_back(on_a_terminal) -> None:
    shown = on_a_terminal(sys.executable, "-c", PROGRAM, "question", columns=100)
    before, _, rest = shown.partition("what does the display show?")
    asked, _, after = rest.partition("230 V")
    assert "3 of 3" in before
    assert asked.strip() == ""  # the question and the answer stand alone
    assert re.search(r"3/3 failed +ioc-2 +test_one\r\n +expected on, found off", COLOUR.sub("", after))
    assert "3 of 3" in after  # the table is back
    assert after.rindex("\x1b[?25h") > after.rindex("\x1b[?25l")


def test_a_reason_is_folded_and_whole_on_a_narrow_terminal(on_a_terminal) -> None:
    words = " ".join(f"word-{number}" for number in range(25))
    program = PROGRAM.replace("expected 7, found 8", words)
    shown = on_a_terminal(sys.executable, "-c", program, columns=60)
    lines = [line.rstrip() for line in MOVES.sub("\n", COLOUR.sub("", shown)).splitlines()]
    assert max(map(len, lines)) <= 60
    assert words in " ".join(" ".join(lines).split())


def test_in_a_log_a_rig_that_waits_says_for_whom_once_and_when_it_is_at_work_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "waits"], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-3:] == [
        "ioc-2 waits: ioc-2 is held by ann (firmware; process 7 on desk, since 09:00)",
        "ioc-1 waits: ioc-1 is in maintenance by bob: new relay",
        "ioc-1 is at work again",
    ]


def test_on_a_terminal_a_rig_waits_below_the_table_until_it_is_at_work_again(on_a_terminal) -> None:
    shown = COLOUR.sub("", on_a_terminal(sys.executable, "-c", PROGRAM, "waits"))
    assert "ioc-2 waits: ioc-2 is held by ann" in shown
    last_table = shown[shown.rindex("3 of 3") :]
    assert "ioc-2 waits" in last_table
    assert "ioc-1 waits" not in last_table


def test_of_more_rigs_than_lines_the_ones_with_trouble_are_shown_and_the_rest_is_summed_up(
    on_a_terminal,
) -> None:
    shown = COLOUR.sub("", on_a_terminal(sys.executable, "-c", PROGRAM, "many"))
    last_table = shown[shown.rindex("67 of 3") :]
    assert re.search(r"│ many-63 +│ +│ +1 │", last_table)
    assert re.search(r"│ 55 more +│ +55 │", last_table)
    assert "and 60 more rigs wait" in last_table
    assert re.search(r"│ all +│ +64 │ +2 │ +1 │ +1 │", last_table)
