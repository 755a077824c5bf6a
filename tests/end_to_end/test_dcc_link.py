"""The run's DCC link as a user sees it: unasked messages are shown, and a DCC that dies ends the run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import html

from harness.domain.words import AttemptResult, Outcome
from harness.records.run import read_run

REPO = Path(__file__).parents[2]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """``harness run``, with what it says on either stream in one."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "run", *arguments, f"--runs={folder}"],
        cwd=REPO,
        env={**os.environ, "HARNESS_STATE": str(folder / "state")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_every_response_that_comes_twice_is_kept_counted_and_shown(tmp_path: Path) -> None:
    chosen = "test_each_answer_comes_once and dormant and ESME"
    fault = "--fault=response-delivered-twice"
    run = start(tmp_path, "standard-srvt-ioc", "--one-process", fault, "-k", chosen)
    output, _ = run.communicate(timeout=60)
    folder = tmp_path / "latest"
    kept = [json.loads(line) for line in (folder / "dcc" / "strays.jsonl").read_text().splitlines()]
    book = (folder / "dcc" / "messages.jsonl").read_text().splitlines()
    responses = [entry["xml"] for entry in map(json.loads, book) if entry["kind"] == "response"]
    assert len(kept) == len(responses) / 2 == 3
    for stray in kept:
        message = json.loads(book[stray["line"] - 1])
        assert (message["stray"], responses.count(message["xml"])) == (stray["why"], 2)
    reason = "answers a request that has been answered"
    summary = json.loads((folder / "run.json").read_text())
    assert summary["strays"] == {"count": 3, "by_reason": {reason: 3}}
    assert summary["counts"]["failed"] == 1
    assert "messages that nobody waited for: 3" in output
    page = html.fromstring((folder / "heatmap.html").read_bytes())
    assert len(page.get_element_by_id("strays").findall(".//tbody/tr")) == 3


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the process by /proc")
def test_a_run_whose_dcc_side_is_killed_blocks_what_it_has_in_hand_and_ends(tmp_path: Path) -> None:
    run = start(tmp_path, "standard-srvt-foc")
    assert run.stdout is not None
    at_work: set[str] = set()
    while len(at_work) < 2:  # a rig that is just opening would say it in other words
        at_work.update(re.findall(r" passed +(\S+)", next(run.stdout)))
    os.kill(dcc_side_of(run.pid), signal.SIGKILL)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 3, output
    record = read_run(tmp_path / "latest")
    attempts = [attempt for tries in record.attempts.values() for attempt in tries]
    assert {attempt.result for attempt in attempts} <= {AttemptResult.PASSED, AttemptResult.BLOCKED}
    blocked = record.tests(Outcome.BLOCKED)
    assert blocked
    assert all(record.reason(test.id).startswith("LinkLost: ") for test in blocked)
    left = record.tests(Outcome.NOT_RUN)
    assert len(left) > 100
    assert all("is the run's DCC-side process alive?" in record.reason(test.id) for test in left)
    assert "ended by itself, with status -9" in (tmp_path / "latest" / "dcc-side.log").read_text()


def dcc_side_of(controller: int) -> int:
    """The process of the run's simulated DCC: the controller's child with that module on its command line."""
    children = {
        int(child)
        for listed in Path(f"/proc/{controller}/task").glob("*/children")
        for child in listed.read_text().split()
    }
    (side,) = [pid for pid in children if b"dcc_side" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return side
