"""The evidence of an attempt: whole, in order, and readable."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from harness.domain.words import SupplyState
from harness.records.evidence import AttemptEvidence, TraceRouter, evidence_folder, read_steps, safe, slug
from harness.records.manifest import verify_manifest
from harness.records.rig_log import RigLog
from harness.records.sealing import write_manifest

LAB_TIME = datetime(2026, 1, 15, 6, tzinfo=UTC)
TEST = "test_reads_import_registers[standard-srvt-ioc,ioc-alderwick-active,ESME]"


@pytest.fixture
def evidence(tmp_path: Path) -> Iterator[AttemptEvidence]:
    evidence = AttemptEvidence(evidence_folder(tmp_path, TEST, 1), clock=lambda: LAB_TIME)
    yield evidence
    evidence.close()


def test_a_slug_is_short_readable_safe_and_the_tests_own() -> None:
    one, other = slug(TEST), slug(TEST.replace("active", "dormant"))
    assert one.startswith("test-reads-import-registers-standard-srvt-ioc")
    assert one != other
    assert max(len(one), len(slug("x" * 500)), len(slug("ü/\\:*?"))) <= 60
    assert one == safe(one)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "CON?", "ü ö", "", "....", "x" * 300, "-rf"])
def test_whatever_a_file_is_called_it_stays_in_the_folder(evidence: AttemptEvidence, name: str) -> None:
    evidence.attach(name, b"content", "application/octet-stream")
    evidence.close()
    kept = [path for path in evidence.folder.iterdir() if path.name != "steps.jsonl"]
    assert [path.read_bytes() for path in kept] == [b"content"]
    assert read_steps(evidence.folder)[0]["title"] == name


def test_two_files_of_one_name_are_both_kept(evidence: AttemptEvidence) -> None:
    evidence.attach("profile.csv", "first", "text/csv")
    evidence.attach("profile.csv", "second", "text/csv")
    evidence.close()
    assert [(evidence.folder / step["path"]).read_text() for step in read_steps(evidence.folder)] == [
        "first",
        "second",
    ]


def test_steps_are_kept_in_order_with_wall_and_lab_time(evidence: AttemptEvidence) -> None:
    evidence.note("set the load", {"watts": 2300})
    evidence.event("bench", "load set", active=2300)
    evidence.expect("state", found=SupplyState.ARMED, expected=SupplyState.ARMED)
    steps = read_steps(evidence.folder)
    assert [(step["n"], step["kind"], step["title"]) for step in steps] == [
        (1, "note", "set the load"),
        (2, "event", "load set"),
        (3, "expect", "state"),
    ]
    assert {step["lab"] for step in steps} == {"2026-01-15T06:00:00.000000Z"}
    assert steps[1]["source"] == "bench"
    assert steps[1]["detail"] == {"active": 2300}


def test_what_is_expected_and_found_is_written_before_the_test_fails(evidence: AttemptEvidence) -> None:
    with pytest.raises(AssertionError, match=r"^active import, Wh: expected 1204, found 1250$"):
        evidence.expect("active import, Wh", found=1250, expected=1204)
    step = read_steps(evidence.folder)[0]
    assert (step["expected"], step["found"], step["held"]) == (1204, 1250, False)


def test_a_reading_between_its_limits_holds_and_one_outside_does_not(evidence: AttemptEvidence) -> None:
    evidence.expect_between("voltage, V", found=Decimal("230.0"), low=Decimal(230), high=Decimal(230))
    with pytest.raises(AssertionError, match=r"^voltage, V: expected 216\.2 to 253\.0, found 253\.1$"):
        evidence.expect_between(
            "voltage, V", found=Decimal("253.1"), low=Decimal("216.2"), high=Decimal("253.0")
        )
    assert [step["held"] for step in read_steps(evidence.folder)] == [True, False]


def test_a_quotient_is_told_to_a_few_digits_and_kept_with_all(evidence: AttemptEvidence) -> None:
    true = Decimal(5857) / 3
    with pytest.raises(
        AssertionError, match=r"^import, Wh: expected 1951\.333 to 1953\.333, found 0\.0250412$"
    ):
        evidence.expect_between("import, Wh", found=Decimal("0.0250412"), low=true - 1, high=true + 1)
    assert str(true - 1) in (evidence.folder / "steps.jsonl").read_text()


def test_values_of_two_kinds_that_look_alike_are_told_apart(evidence: AttemptEvidence) -> None:
    with pytest.raises(AssertionError, match=r"expected 1 \(str\), found 1 \(int\)"):
        evidence.expect("code", found=1, expected="1")


def test_a_long_value_is_short_in_the_message_and_whole_in_the_evidence(evidence: AttemptEvidence) -> None:
    expected = [{"timestamp": f"2026-01-{day:02}", "Wh": day} for day in range(1, 32)]
    found = [dict(row) for row in expected]
    found[6]["Wh"] = 0
    with pytest.raises(AssertionError) as failure:
        evidence.expect("daily read log", found=found, expected=expected)
    assert str(failure.value) == "daily read log: 1 difference: [6].Wh: expected 7, found 0"
    step = read_steps(evidence.folder)[0]
    assert step["expected"] == expected
    assert step["found"] == found


def test_a_missing_row_and_many_differences_are_counted_not_listed(evidence: AttemptEvidence) -> None:
    expected = {f"tariff_register_{n}": n for n in range(48)}
    with pytest.raises(AssertionError) as failure:
        evidence.expect("registers", found=dict.fromkeys(expected, -1), expected=expected)
    assert str(failure.value).startswith(
        "registers: 48 differences: tariff_register_0: expected 0, found -1; "
    )
    assert str(failure.value).endswith("; and 43 more")
    with pytest.raises(AssertionError, match="rows"):
        evidence.expect("log", found=["x" * 90], expected=["x" * 90, "y" * 90])


def test_a_duis_message_is_a_file_and_a_short_apdu_stands_in_its_step(evidence: AttemptEvidence) -> None:
    evidence.message("DCC", "4.1.1 request", b"<Request/>", "application/xml")
    evidence.message("ESME", "GET sent", b"\xc0\x01\xc1", "application/x-dlms-apdu")
    evidence.message("ESME", "GET received", bytes(5000), "application/x-dlms-apdu")
    request, sent, received = read_steps(evidence.folder)
    assert request["path"] == "001-4.1.1-request.xml"
    assert (evidence.folder / request["path"]).read_bytes() == b"<Request/>"
    assert (sent["hex"], sent["size"], "path" in sent) == ("c001c1", 3, False)
    assert (evidence.folder / received["path"]).stat().st_size == received["size"] == 5000


def test_every_file_is_listed_with_its_digest_relative_to_the_run_folder(
    evidence: AttemptEvidence, tmp_path: Path
) -> None:
    evidence.attach("notes.txt", "seen", "text/plain")
    evidence.close()
    files = evidence.files()
    assert [(file.name, file.media_type) for file in files] == [
        ("steps", "application/x-ndjson"),
        ("notes.txt", "text/plain"),
    ]
    for file in files:
        content = (tmp_path / file.path).read_bytes()
        assert (file.sha256, file.size) == (hashlib.sha256(content).hexdigest(), len(content))


def test_an_attempt_in_which_nothing_happened_has_an_empty_folder(
    evidence: AttemptEvidence, tmp_path: Path
) -> None:
    router = TraceRouter()
    router.log = RigLog(tmp_path, "bench-a")
    router.begins("reads/1", TEST, 1, evidence)
    router.ends("passed")
    router.log.close()
    assert list(evidence.folder.iterdir()) == []
    assert evidence.files() == []
    assert read_steps(evidence.folder) == []


def test_the_digest_of_steps_that_did_not_fit_on_the_disk_is_of_what_did(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    told, sha, size = result.stdout.splitlines()
    steps = next(tmp_path.rglob("steps.jsonl")).read_bytes()
    assert "cannot be written: File too large (make room" in told
    assert (sha, int(size), len(steps)) == (hashlib.sha256(steps).hexdigest(), 3000, 3000)


FULL = """
import resource, sys
from pathlib import Path
from harness.records.evidence import AttemptEvidence, evidence_folder
from harness.records.recording import RecordFault
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
evidence = AttemptEvidence(evidence_folder(Path(sys.argv[1]), "test", 1))
try:
    while True:
        evidence.note("x" * 700)
except RecordFault as error:
    print(error)
evidence.close()
print(evidence.files()[0].sha256, evidence.files()[0].size, sep="\\n")
"""


def test_an_attempt_never_writes_over_the_evidence_of_another(evidence: AttemptEvidence) -> None:
    with pytest.raises(FileExistsError):
        AttemptEvidence(evidence.folder)


def test_a_straggling_thread_cannot_add_to_an_attempt_that_is_over(evidence: AttemptEvidence) -> None:
    evidence.note("before")
    evidence.close()
    evidence.note("after")
    evidence.close()
    assert [step["title"] for step in read_steps(evidence.folder)] == ["before"]


def test_many_threads_may_tell_of_one_attempt(evidence: AttemptEvidence) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: evidence.message("ESME", f"m{n}", b"x" * 300, "text/plain"), range(100)))
    steps = read_steps(evidence.folder)
    assert [step["n"] for step in steps] == list(range(1, 101))
    assert len({step["path"] for step in steps}) == 100


def test_the_router_leads_to_the_attempt_in_hand_and_to_none_between(evidence: AttemptEvidence) -> None:
    router = TraceRouter()
    router.event("ESME", "opened")
    router.current = evidence
    router.event("ESME", "read", item="active_import")
    router.message("DCC", "response", b"<Response/>", "application/xml")
    router.current = None
    router.event("ESME", "closed")
    assert [step["title"] for step in read_steps(evidence.folder)] == ["read", "response"]


def test_steps_are_there_to_read_while_the_attempt_runs_and_after_its_process_died(
    evidence: AttemptEvidence,
) -> None:
    evidence.note("first")
    assert len(read_steps(evidence.folder)) == 1
    with (evidence.folder / "steps.jsonl").open("ab") as file:
        file.write(b'{"n":2,"kind":"no')
    assert len(read_steps(evidence.folder)) == 1


def large_files(folder: Path) -> dict[str, int]:
    """Files by path in the run folder, with their inodes."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_ino
        for path in folder.rglob("*")
        if path.is_file()
    }


def attempt(run: Path, number: int, content: bytes) -> AttemptEvidence:
    evidence = AttemptEvidence(evidence_folder(run, TEST, number))
    evidence.attach("firmware.bin", content, "application/octet-stream")
    evidence.close()
    return evidence


def test_large_evidence_of_several_attempts_is_stored_once_and_found_by_its_path(tmp_path: Path) -> None:
    content = bytes(range(256)) * 400
    attempts = [attempt(tmp_path, number, content) for number in (1, 2, 3)]
    paths = [evidence.folder / "001-firmware.bin" for evidence in attempts]
    shelved = tmp_path / "evidence" / "large" / hashlib.sha256(content).hexdigest()
    assert len({path.stat().st_ino for path in (*paths, shelved)}) == 1
    assert all(path.read_bytes() == content for path in paths)
    assert all(evidence.files()[1].sha256 == shelved.name for evidence in attempts)
    write_manifest(tmp_path)
    assert verify_manifest(tmp_path) == ()


def test_small_evidence_is_a_file_of_its_own(tmp_path: Path) -> None:
    for number in (1, 2):
        attempt(tmp_path, number, b"small")
    assert not (tmp_path / "evidence" / "large").exists()
    inodes = [inode for path, inode in large_files(tmp_path).items() if path.endswith(".bin")]
    assert len(set(inodes)) == 2


def test_what_is_stored_is_used_only_if_it_is_what_its_name_says(tmp_path: Path) -> None:
    content = bytes(range(256)) * 400
    first = attempt(tmp_path, 1, content).folder / "001-firmware.bin"
    first.chmod(0o644)
    with first.open("r+b") as file:
        file.write(b"spoiled")
    second = attempt(tmp_path, 2, content).folder / "001-firmware.bin"
    assert second.read_bytes() == content


def test_without_hard_links_every_attempt_has_its_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    content = bytes(range(256)) * 400
    for number in (1, 2):
        assert (attempt(tmp_path, number, content).folder / "001-firmware.bin").read_bytes() == content


STORER = """
import sys
from pathlib import Path
from harness.records.evidence import AttemptEvidence, evidence_folder
evidence = AttemptEvidence(evidence_folder(Path(sys.argv[1]), sys.argv[2], 1))
for size in range(66000, 67000, 100):
    evidence.attach("f", bytes(range(250)) * 300 + bytes(size), "application/octet-stream")
evidence.close()
"""


def test_processes_that_store_the_same_at_once_share_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STORER, str(tmp_path)]
    processes = [subprocess.Popen([*command, f"test {n}"]) for n in range(4)]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    bins = [inode for path, inode in large_files(tmp_path).items() if path.endswith(".bin")]
    assert (len(bins), len(set(bins))) == (40, 10)
    assert len(list((tmp_path / "evidence" / "large").iterdir())) == 10


KEEPER = """
import itertools, sys
from pathlib import Path
from harness.records.evidence import AttemptEvidence, evidence_folder
for number in itertools.count(1):
    evidence = AttemptEvidence(evidence_folder(Path(sys.argv[1]), "test", number))
    evidence.attach("f", number.to_bytes(4) * 200_000, "application/octet-stream")
"""


def test_a_process_that_is_killed_leaves_nothing_stored_under_a_name_that_is_not_its_own(
    tmp_path: Path,
) -> None:
    shelf = tmp_path / "evidence" / "large"
    keeper = subprocess.Popen([sys.executable, "-c", KEEPER, str(tmp_path)])
    try:
        deadline = time.monotonic() + 20
        while not (shelf.is_dir() and len(list(shelf.iterdir())) > 5):
            assert time.monotonic() < deadline, "nothing is stored"
            assert keeper.poll() is None
            time.sleep(0.005)
    finally:
        keeper.kill()
        keeper.wait()
    for stored in shelf.iterdir():
        assert hashlib.sha256(stored.read_bytes()).hexdigest() == stored.name
