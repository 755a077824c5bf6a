"""A round of chaos: a lab, its referee, a run that something happens to, and its resumption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from tests.harness.rigs.postgresql import cluster, server_binaries

from .labs import HERE, LAB, PACKS, ChaosLab, bare_lab, safe_states
from .processes import PATIENCE, Process, Run, TooLate, processes_of

EXPIRY = 3.0  # seconds: of the leases in a round


class Round:
    """What a case works with. Life cycle: :func:`stand_up` gives it, with a lab; nothing of it is left then.

    ``puts_down`` says whether somebody is left who brings the benches to the safe state; else the next owner
    must. ``gives_back``: who is left gives every rig back as well. ``resume_blocked``: what the lab blocked
    is run again too. ``wrong`` is what nobody may see, in sentences; ``told`` is more about what was counted.
    """

    def __init__(
        self, case: str, seed: int, folder: Path, *, rigs: tuple[str, ...], tests: int, seconds: float
    ) -> None:
        self.name = f"{case}, seed {seed}"
        self.seed = seed
        self.random = Random(self.name)
        self.folder = folder
        self.rigs = rigs
        self.packs = PACKS
        self.tests = tests
        self.seconds = seconds
        self.hangs = folder / "hangs"
        self.path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
        self.environment: dict[str, str] = {}
        self.puts_down = True
        self.gives_back = False
        self.resume_blocked = False
        self.truth: dict[str, str] = {}  # what tests come to, where it is not what they always do
        self.wrong: list[str] = []
        self.story: list[str] = []  # what was done
        self.told: list[str] = []
        self.store = f"sqlite:///{folder / 'state' / LAB / 'lab.sqlite'}"
        self.runs: list[Run] = []
        self.events: list[dict[str, Any]] = []
        self.news = threading.Condition()
        self._held = ExitStack()
        self.lab: ChaosLab
        self.ports: dict[str, int] = {}  # of the benches, by rig

    # -- the run -----------------------------------------------------------------------------------

    def run(self, name: str = "run", **environment: str) -> Run:
        """The packs over all rigs."""
        return self.start(name, "run", *self.packs, f"--lab={self.lab.file}", **environment)

    def start(self, name: str, *arguments: str, like: Run | None = None, **environment: str) -> Run:
        """A command of the harness, as from a shell; in the surroundings of another one if told."""
        said = environment if like is None else like.said
        return self._start(name, ("-m", "harness", *arguments), said)

    def helper(self, name: str, *arguments: str) -> Run:
        """A script that is no part of the harness: it has no part in its runs' processes either."""
        return self._start(name, arguments, {"CHAOS_ROUND": f"{self.folder} beside"})

    def _start(self, name: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> Run:
        run = Run(name, self.lab, arguments, environment, self.surroundings(name, environment), self.news)
        self.runs.append(run)
        return run

    def share_the_store(self) -> None:
        """Let the lab file name the store, for runs of several hosts (state folders) to have in common."""
        lab = json.loads(self.lab.file.read_text())
        self.lab.file.write_text(json.dumps(lab | {"database": "env:CHAOS_STORE"}, indent=1))
        self.environment["CHAOS_STORE"] = self.store

    def keep_in_postgresql(self) -> None:
        """Where a server is installed: share a store that is on one of our own."""
        binaries = server_binaries()
        if binaries is not None:
            self.story.append("PostgreSQL")
            self.store = self._held.enter_context(cluster(binaries)).url
            self.share_the_store()

    @property
    def store_file(self) -> Path | None:
        """The store, where it is SQLite's."""
        kind, _, where = self.store.partition(":///")
        return Path(where) if kind == "sqlite" else None

    def at_the_end(self, act: Callable[[], Any]) -> None:
        """Do that when every process is dead."""
        self._held.callback(act)

    def surroundings(self, name: str, environment: Mapping[str, str]) -> dict[str, str]:
        """Without what pytest and xdist put there."""
        theirs = ("PYTEST_", "COLUMNS", "LINES")
        ours = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
        return {
            **ours,
            "PYTHONPATH": self.path,
            "HARNESS_STATE": str(self.folder / "state"),
            "HARNESS_LEASE_EXPIRY": str(EXPIRY),
            "CHAOS_ROUND": str(self.folder),
            "CHAOS_RUN": name,
            "CHAOS_REFEREE": str(self.folder / "words"),
            "CHAOS_TESTS": str(self.tests),
            "CHAOS_SECONDS": str(self.seconds),
            "CHAOS_HANGS": str(self.hangs),
            "CHAOS_DEADLINE": "60",
            **self.environment,
            **environment,
        }

    # -- waiting and seeing ------------------------------------------------------------------------

    def until(self, come: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """What ``come`` gives, once it gives something; it is asked at every news, and now and then."""
        ends = time.monotonic() + seconds
        with self.news:
            while not (found := come()):
                if time.monotonic() >= ends:
                    raise TooLate(f"{what}: not in {seconds:g} s")
                self.news.wait(0.05)
            return found

    def a_moment(self, run: Run) -> str:
        """Wait for a seeded moment in the midst of a run, at the latest for its end.

        It is soon after a test has begun, or at once when a result is shown: then its rig is given, else "".
        """
        planned = len(self.packs) * (self.tests + 1)
        count = self.random.randrange(1, max(2, planned * 2 // 3))
        if self.random.random() < 0.5:
            self.story.append(f"when result {count} of {planned} was shown")
            self.until(lambda: len(run.shown) >= count or run.over, f"{count} results were shown")
            return run.shown[-1].rig if run.shown else ""
        later = self.random.random() * 1.5 * self.seconds
        self.story.append(f"{later:.2f} s after test {count} of {planned} had begun")
        self.until(lambda: len(self.of("begun", run)) >= count or run.over, f"{count} tests have begun")
        time.sleep(later)
        return ""

    def worker_of(self, rig: str, run: Run) -> int | None:
        """The process that has run the rig's latest test; none where there was none."""
        pids = [each["pid"] for each in self.of("begun", run) if each["rig"] == rig]
        return int(pids[-1]) if pids else None

    def of(self, event: str, run: Run | None = None) -> list[dict[str, Any]]:
        """The events of a kind that the referee has told, of a run alone if asked for."""
        return [
            each for each in list(self.events)
            if each["event"] == event and (run is None or each["run"] == run.name)
        ]  # fmt: skip

    def in_hand(self, run: Run) -> dict[str, dict[str, Any]]:
        """The tests of a run that have begun and are not over, by attempt."""
        over = {each["attempt"] for kind in ("ended", "gone") for each in self.of(kind, run)}
        return {each["attempt"]: each for each in self.of("begun", run) if each["attempt"] not in over}

    def a_test_in_hand(self, run: Run) -> dict[str, Any] | None:
        """A seeded one, once there is any; none where the run is over."""
        self.until(lambda: self.in_hand(run) or run.over, "a test is in hand")
        tests = sorted(self.in_hand(run).values(), key=lambda each: str(each["attempt"]))
        return self.random.choice(tests) if tests else None

    def live(self) -> dict[str, list[str]]:
        """What is not in the safe state now, by rig."""
        last = {each["rig"]: each["live"] for each in self.of("bench")}
        return {rig: live for rig, live in last.items() if live}

    def health(self, rig: str) -> str:
        """What the lab's store says of the rig now."""
        from harness.rigs.health import HealthBook
        from harness.rigs.store import Store

        with Store(self.store) as store:
            return str(HealthBook(store).of(rig).state)

    def order(self, word: str, rig: str) -> None:
        """Tell the referee to let a bench be silent, or speak."""
        assert self._referee.stdin is not None
        self._referee.stdin.write(f"{word} {rig}\n")
        self._referee.stdin.flush()

    def processes(self, run: str = "") -> list[Process]:
        """Those of this round that live, whoever started them; of one run if asked for."""
        return [each for each in processes_of(str(self.folder)) if run in {"", each.run}]

    def signal_all(self, run: Run, number: int) -> None:
        """To every process of a run, as far as there is any: two looks, for one may have been born."""
        for _ in range(2):
            for process in self.processes(run.name):
                with suppress(ProcessLookupError):
                    os.kill(process.pid, number)

    def kill(self, run: Run, *, guards: bool) -> None:
        """Every process of a run, its benches' guards too if told."""
        for process in self.processes(run.name):
            if guards or not process.is_guard:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)

    # -- life --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the referee, and make a lab of bare rigs around it."""
        words_at, safe = str(self.folder / "words"), safe_states(self.rigs)
        self._referee = subprocess.Popen(
            [sys.executable, "-I", "-S", str(HERE / "referee.py"), words_at, safe],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self._hearing = threading.Thread(target=self._hear, name=f"referee of {self.name}")
        self._hearing.start()
        (listening,) = self.until(lambda: self.of("listening"), "the referee listens")
        self.ports = listening["ports"]
        self.lab = bare_lab(self.folder, self.ports)

    def _hear(self) -> None:
        assert self._referee.stdout is not None
        with (self.folder / "referee.jsonl").open("w", buffering=1) as kept:
            for line in self._referee.stdout:
                kept.write(line)
                with self.news:
                    self.events.append(json.loads(line))
                    self.news.notify_all()

    def end(self) -> None:
        """Kill what is left, the referee last."""
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        for run in self.runs:
            run.end()
        if self._referee.stdin is not None:
            self._referee.stdin.close()  # it ends
        self._hearing.join()
        self._referee.wait()
        if self._referee.stdout is not None:
            self._referee.stdout.close()
        self._held.close()


@contextmanager
def stand_up(
    case: str, seed: int, folder: Path, *, rigs: tuple[str, ...], tests: int, seconds: float
) -> Iterator[Round]:
    """A round on a lab of its own in that folder, until it is left."""
    folder.mkdir(parents=True)
    around = Round(case, seed, folder, rigs=rigs, tests=tests, seconds=seconds)
    try:
        around.begin()
        yield around
    finally:
        around.end()
