"""The journal: what happened, one event a line, on disk before anything that must not outlive its record.

Each process of a run appends to a journal of its own, ``journal/<process>.jsonl``. A line is canonical JSON:

- ``seq``, counting from 0; ``at``, the wall clock (UTC); ``event`` and its fields;
- ``prev``, the ``sha`` of the line before (of the first line: the plan's digest);
- ``sha``, the SHA-256 of the line's own canonical JSON without it.

So a line cannot be changed, lost, added or moved unseen (the end of a journal is sealed by the manifest).
What a killed process leaves is a whole journal, but for a torn last line, which is legal: that event did not
happen.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

from harness.domain.errors import UsageError
from harness.records.canonical import canonical_of_plain, digest_of_plain, now, plain
from harness.records.chain import Link, order_problems
from harness.records.chain import Problem as Problem
from harness.records.disk import Disk
from harness.records.plan import sync_folder
from harness.records.recording import RecordFault, recording
from harness.records.redaction import hidden

JOURNALS = "journal"
CONTROLLER = "controller"  # the process; one that resumes the run is controller-2, and so on

RUN_STARTED = "run_started"  # run_id, plan_digest, process, host, pid
RUN_RESUMED = "run_resumed"  # left, lab_digest
ATTEMPT_STARTED = "attempt_started"  # attempt, test, number, rig, worker
ATTEMPT_FINISHED = "attempt_finished"  # attempt, test, result, cause, message, trace, seconds, phases, …
NOT_RUN = "not_run"  # test, reason
DESCOPED = "descoped"  # test, approval
RUN_ENDED = "run_ended"  # reason
_SHA: Final = "sha"
_OURS: Final = {
    *("seq", "at", "event", "prev", "run_id", "plan_digest", "lab_digest", "process", "pid", "left"),
    *("attempt", "test", "number", "rig", "worker", "result", "cause", "seconds", "phases"),
    *("lab_started", "lab_ended"),
}
"""Fields that nobody but the harness has a say in: no secret is looked for in them.

One of six digits stands in some digest by chance, and a reader believes no id or digest with asterisks in it.
An id with a secret in it is never planned (:meth:`harness.records.plan.Plan.write`).
"""
_EVIDENCE: Final = "evidence"
_LONGEST: Final = 64 << 20  # bytes of a line: what is said in one event is cut long before


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
    """The journal of one process. What is written is on the disk at once, what is noted soon after.

    Life cycle: made (creates the file and writes ``run_started``), written to, closed. Threads may share it.
    ``disk`` takes what an event tells of, so that it is on the disk before the event is.
    """

    def __init__(self, path: Path, *, run_id: str, plan_digest: str, process: str) -> None:
        try:
            with recording(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("xb", buffering=0)
                sync_folder(path.parent)
        except FileExistsError:
            raise UsageError(
                f"{path} exists already", remedy="each process of a run, and of its resumption, has its own"
            ) from None
        self.path = path
        self.process = process
        self.disk = Disk()
        self._over = False
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

        They are written without the secrets that this process knows; digests, ids and times are as they are.

        A line that cannot be written whole (a full disk) closes the journal, so that it stays the last one.
        """
        self._append(event, fields)
        self.disk.now(self._file)

    def note(self, event: str, **fields: Any) -> None:
        """Append one event that is on the disk once :attr:`disk` has settled, and soon without that."""
        self._append(event, fields)
        self.disk.soon(self._file)

    def _append(self, event: str, fields: Mapping[str, Any]) -> None:
        with self._lock:
            if self._over:
                raise UsageError(f"{self.path} is closed; {event} cannot be recorded")
            told = plain({**fields, "seq": self._seq, "prev": self._prev, "at": now(), "event": event})
            line, sha = _chained(told)
            self._write(line)
            self._seq, self._prev = self._seq + 1, sha

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        try:
            with recording(self.path):
                while view:
                    view = view[self._file.write(view) :]
        except RecordFault:
            self._over = True
            raise

    def close(self) -> None:
        """See all of it onto the disk, and close the file; closing twice does nothing."""
        self._over = True
        self.disk.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _chained(told: Mapping[str, Any]) -> tuple[bytes, str]:
    """The line of an event that is JSON already, without secrets, and its digest."""
    before, after = _around_sha(told)
    if hidden.may_reveal(before) or hidden.may_reveal(after):
        before, after = _around_sha(_discreet(told))
    rest = b"," + after[1:] if len(after) > len(b"{}") else b"}"
    sha = hashlib.sha256(before[:-1] + rest).hexdigest()
    return b'%b,"sha":"%b"%b\n' % (before[:-1], sha.encode(), rest), sha


def _around_sha(told: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The canonical JSON of what stands before the digest of its line, and of what stands after it."""
    before = canonical_of_plain({name: value for name, value in told.items() if name < _SHA})
    return before, canonical_of_plain({name: value for name, value in told.items() if name > _SHA})


def _discreet(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event without secrets in what people and devices have said."""
    return {
        name: value
        if name in _OURS
        else [_named_discreetly(file) for file in value]
        if name == _EVIDENCE
        else hidden.of_plain(value)
        for name, value in told.items()
    }


def _named_discreetly(file: Any) -> Any:
    """An entry of evidence: all but its name is made by the harness, and leads to the file."""
    match file:
        case {"name": name}:
            return {**file, "name": hidden.of_plain(name)}
        case _:
            return hidden.of_plain(file)


def _holds(line: bytes, sha: str, fields: Mapping[str, Any]) -> bool:
    """Whether a line, read as these fields without its digest, has that digest.

    A line is canonical as it was written: its own bytes are what was digested, but for the digest.
    """
    digest = sha.encode("utf-8", "backslashreplace")
    bare = line.replace(b',"sha":"%b"' % digest, b"", 1)  # never the first: "at" comes before it
    return hashlib.sha256(bare).hexdigest() == sha or digest_of_plain(fields) == sha


def read_journal(path: Path, content: bytes | None = None) -> JournalFile:
    """Read a journal, believing only lines whose digest holds; everything else is a problem with its line.

    ``content`` is what the file holds, where that is known.
    """
    reader = _Reader(f"{path.parent.name}/{path.name}", path.stem)
    for line, start, whole in _whole_lines(path.read_bytes() if content is None else content):
        reader.take(line, start, whole)
    events = tuple(reader.events)
    head = events[0] if events and events[0].event == RUN_STARTED else None
    return JournalFile(path, head, events, tuple(reader.found()))


def _whole_lines(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Lines that were written to their end, numbered from 1, with the place of their first byte.

    What follows the last line end is torn.
    """
    start = 0
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        yield number, start, line
        start += len(line) + 1


class _Reader:
    """Follows the chain of one journal."""

    def __init__(self, name: str, process: str) -> None:
        self.name, self.process = name, process
        self.events: list[Event] = []
        self._problems: list[Problem] = []
        self._links: list[Link] = []
        self._seq = 0

    def take(self, number: int, start: int, line: bytes) -> None:
        end = start + len(line) + 1
        if len(line) > _LONGEST:
            self._problem(Link(number, start, end), f"this is longer than any event: {len(line)} bytes")
            return
        try:
            fields = json.loads(line)
            sha = str(fields.pop("sha"))
            seq, prev, event = int(fields["seq"]), str(fields["prev"]), str(fields["event"])
            at = datetime.fromisoformat(fields["at"]).astimezone(UTC)
            held = _holds(line, sha, fields)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            self._problem(Link(number, start, end), "this is no event of a journal")
            return
        link = Link(number, start, end, seq, prev, sha, held)
        if not link.held:
            self._problem(link, f"this event ({event}) was changed after it was written: its digest differs")
            return
        if seq >= self._seq:
            self.events.append(Event(seq, at, event, fields, self.process, number))
        self._seq = max(self._seq, seq + 1)
        self._links.append(link)
        if number == 1 and event != RUN_STARTED:
            self._tell(link, f"the first event is {event}, not {RUN_STARTED}")
        elif number == 1 and prev != fields.get("plan_digest"):
            self._tell(link, "the chain is broken: this event does not begin with its plan's digest")

    def _problem(self, link: Link, what: str) -> None:
        self._links.append(link)
        self._tell(link, what)

    def _tell(self, link: Link, what: str) -> None:
        self._problems.append(Problem(self.name, link.line, what, link.start, link.end))

    def found(self) -> list[Problem]:
        """What is wrong with the lines, and with their order."""
        return sorted(
            [*self._problems, *order_problems(self.name, self._links)], key=lambda problem: problem.line
        )
