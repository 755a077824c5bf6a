"""The journal: what happened, one event a line, on disk before anything else happens.

Each process of a run appends to a journal of its own, ``journal/<process>.jsonl``. A line is canonical JSON:

- ``seq``, counting from 0; ``at``, the wall clock (UTC); ``event`` and its fields;
- ``prev``, the ``sha`` of the line before (of the first line: the plan's digest);
- ``sha``, the SHA-256 of the line's own canonical JSON without it.

So a line cannot be changed, lost, added or moved unseen (the end of a journal is sealed by the manifest).
What a killed process leaves is a whole journal, but for a torn last line, which is legal: that event did not
happen.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from harness.domain.errors import HarnessError, UsageError
from harness.records.canonical import canonical_of_plain, digest_of_plain, now, plain
from harness.records.plan import sync_folder

JOURNALS = "journal"

RUN_STARTED = "run_started"  # run_id, plan_digest, process, host, pid
ATTEMPT_STARTED = "attempt_started"  # attempt, test, number, rig, worker
ATTEMPT_PHASE = "attempt_phase"  # attempt, phase (setup, call, teardown), result, seconds
ATTEMPT_FINISHED = "attempt_finished"  # attempt, test, result, cause, message, trace, seconds, lab_started, …
NOT_RUN = "not_run"  # test, reason
DESCOPED = "descoped"  # test, approval
RUN_ENDED = "run_ended"  # reason


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about a record that cannot be trusted: which file, which line (0: the file as a whole)."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a journal that proved to be what was written."""

    seq: int
    at: datetime
    event: str
    fields: Mapping[str, Any]
    process: str
    line: int


@dataclass(frozen=True, slots=True)
class JournalFile:
    """A journal as read: the events that can be believed, and what is wrong with the rest."""

    path: Path
    head: Event | None  # run_started; none where the process died before it
    events: tuple[Event, ...] = field(repr=False)
    problems: tuple[Problem, ...]


class Journal:
    """The journal of one process. Each event is on disk when :meth:`write` returns; threads may share it.

    Life cycle: made (creates the file and writes ``run_started``), written to, closed.
    """

    def __init__(self, path: Path, *, run_id: str, plan_digest: str, process: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file = path.open("xb", buffering=0)
        except FileExistsError:
            raise UsageError(
                f"{path} exists already", remedy="each process of a run, and of its resumption, has its own"
            ) from None
        sync_folder(path.parent)
        self.path = path
        self.process = process
        self._lock = Lock()
        self._seq, self._prev = 0, plan_digest
        self.write(
            RUN_STARTED,
            run_id=run_id,
            plan_digest=plan_digest,
            process=process,
            host=socket.gethostname(),
            pid=os.getpid(),
        )

    @classmethod
    def begin(cls, run_folder: Path, *, run_id: str, plan_digest: str, process: str) -> Journal:
        """A new journal in a run folder; where ``process`` has one (a resumed run), the next free name."""
        count = 1
        while True:
            name = process if count == 1 else f"{process}-{count}"
            path = run_folder / JOURNALS / f"{name}.jsonl"
            try:
                return cls(path, run_id=run_id, plan_digest=plan_digest, process=name)
            except UsageError:
                count += 1

    def write(self, event: str, **fields: Any) -> None:
        """Append one event, durably. Fields are made JSON-able by :func:`harness.records.canonical.plain`.

        A line that cannot be written whole (a full disk) closes the journal, so that it stays the last one.
        """
        with self._lock:
            if self._file.closed:
                raise UsageError(f"{self.path} is closed; {event} cannot be recorded")
            line = plain({**fields, "seq": self._seq, "prev": self._prev, "at": now(), "event": event})
            sha = digest_of_plain(line)
            self._append(canonical_of_plain({**line, "sha": sha}) + b"\n")
            self._seq, self._prev = self._seq + 1, sha

    def _append(self, line: bytes) -> None:
        view = memoryview(line)
        try:
            while view:
                view = view[self._file.write(view) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.close()
            raise HarnessError(
                f"{self.path} cannot be written: {error.strerror}", remedy="make room, then resume the run"
            ) from error

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_journal(path: Path) -> JournalFile:
    """Read a journal, believing only lines whose digest holds; everything else is a problem with its line."""
    reader = _Reader(f"{path.parent.name}/{path.name}", path.stem)
    for number, line in _whole_lines(path.read_bytes()):
        reader.take(number, line)
    events = tuple(reader.events)
    head = events[0] if events and events[0].event == RUN_STARTED else None
    if events and head is None:
        reader.problem(1, f"the first event is {events[0].event}, not {RUN_STARTED}")
    return JournalFile(path, head, events, tuple(reader.problems))


def _whole_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Lines that were written to their end, numbered from 1; what follows the last line end is torn."""
    lines = content.split(b"\n")
    return enumerate(lines[:-1], start=1)


class _Reader:
    """Follows the chain of one journal."""

    def __init__(self, name: str, process: str) -> None:
        self.name, self.process = name, process
        self.events: list[Event] = []
        self.problems: list[Problem] = []
        self._seq, self._prev = 0, ""

    def problem(self, number: int, what: str) -> None:
        self.problems.append(Problem(self.name, number, what))

    def take(self, number: int, line: bytes) -> None:
        try:
            fields = json.loads(line)
            sha = fields.pop("sha")
            seq, prev, event = int(fields["seq"]), str(fields["prev"]), str(fields["event"])
            at = datetime.fromisoformat(fields["at"])
        except (ValueError, KeyError, TypeError, AttributeError):
            self.problem(number, "this is no event of a journal")
            return
        if digest_of_plain(fields) != sha:
            self.problem(number, f"this event ({event}) was changed after it was written: its digest differs")
        elif seq >= self._seq:
            self.events.append(Event(seq, at, event, fields, self.process, number))
        self._follow(number, seq, prev, fields)
        self._seq, self._prev = max(self._seq, seq + 1), sha

    def _follow(self, number: int, seq: int, prev: str, fields: Mapping[str, Any]) -> None:
        expected = self._prev if number > 1 else fields.get("plan_digest")
        if seq != self._seq:
            self.problem(
                number, f"event {seq} stands where {self._seq} is due: lines were lost, added or moved"
            )
        elif prev != expected:
            self.problem(number, "the chain is broken: this event does not follow the line before it")
