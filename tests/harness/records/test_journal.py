"""A journal holds what happened, whatever happens to its process or its file."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from harness.domain.errors import UsageError
from harness.domain.words import AttemptResult
from harness.records.canonical import canonical_of_plain, digest
from harness.records.journal import Journal, read_journal
from harness.records.redaction import Redactor

PLAN = "ab" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal" / "gw0.jsonl"


def written(path: Path, events: int = 5) -> list[bytes]:
    with Journal(path, run_id="r", plan_digest=PLAN, process="gw0") as journal:
        for number in range(events):
            journal.write("attempt_started", attempt=f"a{number}", number=number)
    return path.read_bytes().splitlines(keepends=True)


def test_the_head_says_who_writes_for_which_plan(path: Path) -> None:
    written(path)
    head = read_journal(path).head
    assert head is not None
    assert head.event == "run_started"
    fields = {"run_id": "r", "plan_digest": PLAN, "process": "gw0", "pid": os.getpid()}
    assert fields.items() <= head.fields.items()


def test_events_come_back_in_order_with_their_fields(path: Path) -> None:
    written(path)
    journal = read_journal(path)
    assert journal.problems == ()
    assert [event.fields["number"] for event in journal.events[1:]] == [0, 1, 2, 3, 4]
    assert abs(journal.events[-1].at - datetime.now(UTC)) < timedelta(minutes=1)


def test_fields_that_json_does_not_know_are_written_all_the_same(path: Path) -> None:
    with Journal(path, run_id="r", plan_digest=PLAN, process="gw0") as journal:
        lab_time = datetime(2026, 1, 1, tzinfo=UTC)
        journal.write(
            "x",
            result=AttemptResult.FAILED,
            value=Decimal("1.50"),
            raw=b"\x01\xff",
            lab=lab_time,
            odd="\ud800",
        )
    fields = read_journal(path).events[1].fields
    assert fields["result"] == "failed"
    assert fields["value"] == "1.50"
    assert fields["raw"] == "01ff"
    assert fields["lab"] == "2026-01-01T00:00:00.000000Z"
    assert fields["odd"] == "\ud800"


def test_a_line_is_canonical_so_that_anybody_can_verify_its_digest(path: Path) -> None:
    with Journal(path, run_id="r", plan_digest=PLAN, process="gw0") as journal:
        journal.write("attempt_started", attempt="a", test="t", worker="gw0")
        journal.write("run_ended", reason="completed")
    for line in path.read_bytes().splitlines(keepends=True):
        fields = json.loads(line)
        assert canonical_of_plain(fields) + b"\n" == line
        sha = fields.pop("sha")
        assert hashlib.sha256(canonical_of_plain(fields)).hexdigest() == sha


@pytest.mark.parametrize("where", [b"{", b'"devices":{"a":1'])
def test_a_digest_that_stands_elsewhere_in_its_line_is_not_believed(path: Path, where: bytes) -> None:
    with Journal(path, run_id="r", plan_digest=PLAN, process="gw0") as journal:
        journal.write("x", devices={"a": 1})
    head, line = path.read_bytes().splitlines(keepends=True)
    sha = b'"sha":"%b"' % json.loads(line)["sha"].encode()
    bare = line.replace(b"," + sha, b"")
    moved = bare.replace(where, b'{"at":"",' if where == b"{" else where + b"," + sha, 1)
    assert "line 2" in problems(path, [head, moved])[0]


def test_no_field_of_an_event_tells_a_secret_and_the_chain_holds(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.records.journal.hidden", Redactor([b"correct horse"]))
    with Journal(path, run_id="r", plan_digest=PLAN, process="gw0") as journal:
        journal.write("x", message="it is correct horse", trace=["correct horse", {"correct horse": 1}])
        journal.write("y")
    assert b"horse" not in path.read_bytes()
    assert read_journal(path).events[1].fields["message"] == "it is *************"
    assert read_journal(path).problems == ()


def test_no_id_and_no_digest_is_redacted_and_what_people_and_devices_say_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = [b"active", PLAN.encode(), b"ababab", b"passed", str(os.getpid()).encode() + b"5"]
    monkeypatch.setattr("harness.records.journal.hidden", Redactor([b"abacus", *secrets]))
    file = {"path": "evidence/t-active/1/001-abacus.txt", "sha256": f"abacus{'0' * 58}", "size": 9}
    ids = {"attempt": "t-active/1", "test": "t[active]", "rig": "active-1", "worker": "rig-active-1"}
    with Journal(path, run_id="r-active", plan_digest=PLAN, process="rig-active-1") as journal:
        journal.write(
            "attempt_finished",
            **ids,
            result="passed",
            message="it said active",
            devices=[{"name": "abacus", "path": "abacus"}],
            evidence=[{**file, "name": "an abacus"}],
        )
    head, end = read_journal(path).events
    assert {"plan_digest": PLAN, "prev": PLAN, "run_id": "r-active"}.items() <= head.fields.items()
    assert {**ids, "result": "passed", "message": "it said ******"}.items() <= end.fields.items()
    assert end.fields["devices"] == [{"name": "******", "path": "******"}]
    assert end.fields["evidence"] == [{**file, "name": "an ******"}]


def test_a_secret_that_stands_in_a_digest_by_chance_does_not_break_the_chain(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redactor = Redactor()
    monkeypatch.setattr("harness.records.journal.hidden", redactor)
    with Journal(path, run_id="r", plan_digest=PLAN, process="gw0") as journal:
        redactor.learn([json.loads(path.read_bytes())["sha"][8:24].encode()])
        journal.write("x")
    assert read_journal(path).problems == ()


def test_a_line_that_somebody_wrote_out_in_another_way_still_says_the_same(path: Path) -> None:
    lines = written(path)
    lines[2] = json.dumps(json.loads(lines[2]), indent=None).encode() + b"\n"
    assert problems(path, lines) == []


def test_each_event_is_on_the_disk_before_write_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk: list[int] = []
    sync = os.fdatasync

    def synced(file: int) -> None:
        sync(file)
        on_disk.append(path.read_bytes().count(b"\n"))

    with Journal(path, run_id="r", plan_digest=PLAN, process="gw0") as journal:
        monkeypatch.setattr(os, "fdatasync", synced)
        journal.write("attempt_started")
        assert on_disk == [2]
        journal.write("attempt_finished")
    assert on_disk == [2, 3]


def test_each_event_is_in_the_file_before_write_returns(path: Path) -> None:
    with Journal(path, run_id="r", plan_digest=PLAN, process="gw0") as journal:
        for number in range(1, 4):
            journal.write("x")
            assert path.read_bytes().count(b"\n") == number + 1


def test_threads_of_a_process_may_share_its_journal(path: Path) -> None:
    with Journal(path, run_id="r", plan_digest=PLAN, process="gw0") as journal, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: journal.write("x", number=number), range(200)))
    journal_file = read_journal(path)
    assert journal_file.problems == ()
    assert sorted(event.fields["number"] for event in journal_file.events[1:]) == list(range(200))


def test_no_journal_is_ever_opened_twice(path: Path) -> None:
    written(path)
    with pytest.raises(UsageError, match="exists already"):
        Journal(path, run_id="r", plan_digest=PLAN, process="gw0")


def test_a_resumed_run_takes_the_next_free_name(tmp_path: Path) -> None:
    begun = [Journal.begin(tmp_path, run_id="r", plan_digest=PLAN, process="gw0") for _ in range(3)]
    assert [journal.path.name for journal in begun] == ["gw0.jsonl", "gw0-2.jsonl", "gw0-3.jsonl"]
    for journal in begun:
        journal.close()


WRITER = """
import sys
from pathlib import Path
from harness.records.journal import Journal
journal = Journal(Path(sys.argv[1]), run_id="r", plan_digest="ab" * 32, process="gw0")
number = 0
while True:
    journal.write("attempt_started", number=number, filler="x" * 3000)
    number += 1
"""


def test_a_killed_process_leaves_a_whole_journal(path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    try:
        deadline = time.monotonic() + 20
        while not (path.exists() and path.stat().st_size > 200_000):
            assert time.monotonic() < deadline, "the writer does not write"
            assert writer.poll() is None
            time.sleep(0.005)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    journal = read_journal(path)
    assert journal.problems == ()
    assert [event.fields["number"] for event in journal.events[1:]] == list(range(len(journal.events) - 1))
    assert len(journal.events) > 50


FULL = """
import resource, sys
from pathlib import Path
from harness.domain.errors import HarnessError, UsageError
from harness.records.journal import Journal
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
journal = Journal(Path(sys.argv[1]), run_id="r", plan_digest="ab" * 32, process="gw0")
try:
    while True:
        journal.write("attempt_started", filler="x" * 700)
except HarnessError as error:
    print(error)
try:
    journal.write("attempt_finished")
except UsageError as error:
    print(error)
"""


def test_a_full_disk_ends_the_journal_and_leaves_it_whole(path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True
    )
    first, second = result.stdout.splitlines()
    assert "cannot be written: File too large (make room, then resume the run)" in first
    assert "is closed; attempt_finished cannot be recorded" in second
    journal = read_journal(path)
    assert journal.problems == ()
    assert {event.event for event in journal.events[1:]} == {"attempt_started"}
    assert len(path.read_bytes()) == 5000


def test_a_torn_last_line_is_legal_at_every_length(path: Path) -> None:
    lines = written(path)
    last = lines[-1]
    for length in range(len(last)):
        path.write_bytes(b"".join(lines[:-1]) + last[:length])
        journal = read_journal(path)
        assert journal.problems == ()
        assert len(journal.events) == 5


def test_an_empty_file_is_the_journal_of_a_process_that_died_at_once(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    journal = read_journal(path)
    assert (journal.head, journal.events, journal.problems) == (None, (), ())


def told(path: Path, lines: list[bytes]) -> list[str]:
    path.write_bytes(b"".join(lines))
    return [str(problem) for problem in read_journal(path).problems]


def problems(path: Path, lines: list[bytes]) -> list[str]:
    """What is told, without the bytes."""
    return [re.sub(r", (bytes \d+ to|at byte) \d+:", ":", each) for each in told(path, lines)]


def place(lines: list[bytes], number: int) -> str:
    """The bytes of a line, as they are told."""
    start = sum(map(len, lines[: number - 1]))
    return f"bytes {start} to {start + len(lines[number - 1]) - 1}"


def test_a_changed_event_is_named_and_not_believed(path: Path) -> None:
    lines = written(path)
    lines[2] = lines[2].replace(b'"attempt":"a1"', b'"attempt":"a9"')
    assert problems(path, lines) == [
        "journal/gw0.jsonl line 3: this event (attempt_started) was changed after it was written: "
        "its digest differs"
    ]
    assert [event.fields.get("attempt") for event in read_journal(path).events] == [
        None,
        "a0",
        "a2",
        "a3",
        "a4",
    ]


def test_a_change_of_the_last_event_is_seen_as_well(path: Path) -> None:
    lines = written(path)
    lines[-1] = lines[-1].replace(b'"a4"', b'"a5"')
    assert "line 6: this event (attempt_started) was changed" in problems(path, lines)[0]


def test_a_change_made_good_with_a_new_digest_breaks_the_chain(path: Path) -> None:
    lines = written(path)
    forged = json.loads(lines[2])
    del forged["sha"]
    forged["attempt"] = "a9"
    lines[2] = json.dumps({**forged, "sha": digest(forged)}).encode() + b"\n"
    assert problems(path, lines) == [
        "journal/gw0.jsonl line 4: the chain is broken: this event does not follow the line before it"
    ]


def test_a_line_that_is_changed_lost_added_or_moved_is_told_to_the_byte(path: Path) -> None:
    lines = written(path)
    flipped = [*lines[:2], lines[2].replace(b"a1", b"a3"), *lines[3:]]
    assert f"gw0.jsonl line 3, {place(lines, 3)}: this event" in told(path, flipped)[0]
    gap = len(b"".join(lines[:2]))
    assert f"gw0.jsonl line 3, at byte {gap}: event 2 is missing" in told(path, lines[:2] + lines[3:])[0]
    added = [*lines[:4], lines[1], *lines[4:]]
    assert f"gw0.jsonl line 5, {place(added, 5)}: event 1 stands here a second" in told(path, added)[0]
    moved = [*lines[:2], *lines[3:], lines[2]]
    assert f"gw0.jsonl line 6, {place(moved, 6)}: event 2 was moved here" in told(path, moved)[0]


def test_a_bit_that_flips_anywhere_in_a_line_is_told_of_that_line_alone(path: Path) -> None:
    lines = written(path)
    for at in range(len(lines[2]) - 1):
        for bit in (0, 6):
            line = bytearray(lines[2])
            line[at] ^= 1 << bit
            if line[at] == ord("\n"):  # then one line has become two
                continue
            found = problems(path, [*lines[:2], bytes(line), *lines[3:]])
            assert [each.partition(":")[0] for each in found] == ["journal/gw0.jsonl line 3"], bytes(line)


def test_lost_lines_are_named(path: Path) -> None:
    lines = written(path)
    assert problems(path, lines[:2] + lines[3:]) == [
        "journal/gw0.jsonl line 3: event 2 is missing before this line"
    ]
    assert problems(path, lines[:2] + lines[4:]) == [
        "journal/gw0.jsonl line 3: events 2 to 3 are missing before this line"
    ]


def test_a_repeated_line_is_named_and_counts_once(path: Path) -> None:
    lines = written(path)
    assert problems(path, [*lines[:3], lines[2], *lines[3:]]) == [
        "journal/gw0.jsonl line 4: event 2 stands here a second time: this line was added"
    ]
    assert len(read_journal(path).events) == 6


@pytest.mark.parametrize(("one", "other"), [(2, 3), (1, 4)])
def test_a_swapped_pair_is_named_and_nothing_else(path: Path, one: int, other: int) -> None:
    lines = written(path)
    lines[one], lines[other] = lines[other], lines[one]
    swapped = f"lines {one + 1} and {other + 1} are swapped"
    assert problems(path, lines) == [
        f"journal/gw0.jsonl line {one + 1}: event {other} stands where {one} is due: {swapped}",
        f"journal/gw0.jsonl line {other + 1}: event {one} stands where {other} is due: {swapped}",
    ]


def test_a_line_moved_over_many_is_named_alone(path: Path) -> None:
    lines = written(path)
    assert problems(path, [lines[0], *lines[2:5], lines[1], lines[5]]) == [
        "journal/gw0.jsonl line 5: event 1 was moved here: it is not in the order of writing"
    ]


def test_a_journal_that_begins_for_another_plan_than_it_says_is_told(path: Path) -> None:
    lines = written(path)
    forged = json.loads(lines[0])
    del forged["sha"]
    forged["plan_digest"] = "cd" * 32
    lines[0] = json.dumps({**forged, "sha": digest(forged)}).encode() + b"\n"
    assert "line 1: the chain is broken: this event does not begin" in problems(path, lines)[0]


NESTED = b'{"a":' + b"[" * 200_000 + b"\n"
ENDLESS = b'{"seq":1e400,"prev":"","sha":"","event":"x","at":"2026-01-01T00:00:00Z"}\n'


@pytest.mark.parametrize(
    "line",
    [
        *(b"\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b'{"seq":1,\n', b"null\n"),
        *(pytest.param(NESTED, id="nested"), pytest.param(ENDLESS, id="endless")),
    ],
)
def test_what_is_no_event_is_named(path: Path, line: bytes) -> None:
    lines = written(path)
    assert problems(path, [*lines[:2], line, *lines[2:]]) == [
        "journal/gw0.jsonl line 3: this is no event of a journal"
    ]


def test_a_journal_without_its_head_is_told(path: Path) -> None:
    lines = written(path)
    assert "journal/gw0.jsonl line 1: the first event is attempt_started, not run_started" in problems(
        path, lines[1:]
    )


def test_a_line_that_is_longer_than_any_event_is_not_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.records.journal._LONGEST", 1000)
    lines = written(path)
    long = b'{"a":"%b"}\n' % (b"x" * 1000)
    assert problems(path, [*lines, long]) == [
        f"journal/gw0.jsonl line 7: this is longer than any event: {len(long) - 1} bytes"
    ]


def test_a_number_beyond_all_events_is_told_at_once_and_a_time_without_zone_is_one(path: Path) -> None:
    lines = written(path)
    forged = {**json.loads(lines[-1]), "seq": 10**15, "at": "2026-01-01T00:00:00"}
    del forged["sha"]
    line = json.dumps({**forged, "sha": digest(forged)}).encode() + b"\n"
    [missing] = [told for told in problems(path, [*lines, line]) if "missing" in told]
    assert f"events 6 to {10**15 - 1} are missing before this line" in missing
    assert read_journal(path).events[-1].at.tzinfo is UTC
