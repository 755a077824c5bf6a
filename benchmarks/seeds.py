"""Every pack over the simulated lab, ten seeds in a row, good twins: a test that fails once is a flake.

A seed draws what the twins have counted so far and, for each rig, the moment at which its lab time begins: at
times just before summer time, a leap day or the end of a month or a year. Prints, for each seed, seconds of
wall clock, tests, simulated hours per wall second, and each test that did not pass, with its evidence, which
is kept. Then each run's messages are held against schema, signatures and counters. Exit status 1: a flake.

    python -m benchmarks.seeds [SEEDS [PACK ...]]
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.packs import simulated_hours
from harness.config import load_lab
from harness.config.packs import manifests
from harness.domain.words import Outcome
from harness.records.run import RunRecord, read_run

REPO = Path(__file__).parents[1]
SHIPPED = REPO / "lab_config" / "simulated.yaml"
TEN = 10
EDGES = tuple(
    datetime.fromisoformat(day).replace(tzinfo=UTC)
    for day in ("2025-03-29", "2025-10-25", "2028-02-28", "2025-04-29", "2026-12-30", "2026-02-27")
)
"""Days after which summer time begins or ends, a leap day comes, or a month or a year ends."""


@dataclass(frozen=True)
class Done:
    """One run with one seed."""

    record: RunRecord
    seconds: float
    hours: float
    messages: str  # what is wrong with them

    @property
    def bad(self) -> list[str]:
        """Tests that did not pass, and where to look."""
        return [
            f"{self.record.outcome(test.id).value} {test.id}: {self.record.reason(test.id)}\n"
            f"      {self._evidence(test.id)}"
            for test in self.record.tests(Outcome.FAILED, Outcome.BLOCKED, Outcome.NOT_RUN)
        ]

    def _evidence(self, test: str) -> str:
        attempt = self.record.latest(test)
        return str(self.record.folder / "evidence" / attempt.id) if attempt else "it was never tried"


def lab_of(seed: int, folder: Path) -> Path:
    """The shipped lab, whose rigs begin at moments that the seed draws."""
    drawn = random.Random(seed)

    def begins(_: re.Match[str]) -> str:
        some_day = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=drawn.randrange(3 * 365))
        day = drawn.choice((*EDGES, some_day))
        return f"starts: {day + timedelta(minutes=drawn.randrange(18 * 60)):%Y-%m-%dT%H:%M:00Z}"

    text = re.sub(r"starts: [0-9TZ:-]+", begins, SHIPPED.read_text())
    text = re.sub(r"^(\w+): (?=\w+\.(yaml|csv)$)", rf"\1: {SHIPPED.parent}/", text, flags=re.M)
    text = text.replace("packs: ..", f"packs: {REPO}").replace("../../shared", str(REPO.parent / "shared"))
    file = folder / "lab.yaml"
    file.write_text(text)
    return file


def run(seed: int, packs: list[str], folder: Path) -> Done:
    """The packs once, in a folder and a state of their own."""
    folder.mkdir(parents=True)
    lab = lab_of(seed, folder)
    own = {**os.environ, "HARNESS_STATE": str(folder / "state")}
    harness, where = [sys.executable, "-m", "harness"], [f"--runs={folder}", f"--lab={lab}"]
    began = time.perf_counter()
    done = subprocess.run(
        [*harness, "run", *packs, f"--seed={seed}", "--json", *where],
        cwd=REPO, env=own, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    if done.returncode not in {0, 1, 3}:
        sys.exit(done.stderr)
    newest = (folder / "latest").resolve()
    told = subprocess.run(
        [*harness, "evidence", "messages", str(newest), *where],
        cwd=REPO, env=own, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Done(read_run(newest), seconds, simulated_hours(newest), told.stdout if told.returncode else "")


def main() -> None:
    """Run all seeds, and say what came of them."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else TEN
    packs = sys.argv[2:] or list(manifests(load_lab(SHIPPED).packs))
    print(f"{len(packs)} packs, {seeds} seeds, {os.cpu_count()} processors")
    flakes = 0
    folder = Path(tempfile.mkdtemp(prefix="seeds-"))
    for seed in range(1, seeds + 1):
        done = run(seed, packs, folder / f"seed-{seed}")
        planned, bad = len(done.record.plan.tests), done.bad
        print(
            f"seed {seed:>2}  {planned - len(bad)} of {planned} passed  {done.seconds:.0f} s  "
            f"{done.hours:.0f} h simulated, {done.hours / done.seconds:.1f} h/s"
        )
        for line in (*bad, *done.messages.splitlines()):
            print(f"    {line}")
        flakes += len(bad) + bool(done.messages)
    print(f"record: {folder}" if flakes else "no flake")
    print(json.dumps({"seeds": seeds, "packs": packs, "flakes": flakes}))
    sys.exit(bool(flakes))


if __name__ == "__main__":
    main()
