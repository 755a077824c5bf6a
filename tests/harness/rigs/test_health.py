"""What is known of a rig and its parts, who changed it, when and why; the same on SQLite and PostgreSQL."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from harness.domain.errors import (
    BenchFault,
    BeyondBench,
    BeyondLab,
    CaptureUnavailable,
    ConfigurationError,
    ControllerFault,
    LabFault,
    LinkLost,
    OperatorAbsent,
    TransportLost,
)
from harness.domain.findings import BAD, GOOD, IN_USE, Finding
from harness.rigs.health import HealthBook
from harness.rigs.health_words import Health, HealthState
from harness.rigs.leases import Leases, RigTaken, StaleLease
from harness.rigs.store import Store, StoreBusy
from tests.harness.rigs.conftest import LONG, Door

REPO = Path(__file__).parents[3]
PROBE = TransportLost("/dev/ttyUSB0 went away", remedy="plug it in")
MOMENT = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def leases(door: Door) -> Leases:
    """Of bob; the lab has rigs a, b and c."""
    return door("bob")


@pytest.fixture
def book(leases: Leases) -> HealthBook:
    return HealthBook(leases.store)


def finding(part: str, state: str = GOOD, found: str = "answers", family: str = "") -> Finding:
    return Finding("a", part, state, "open", found, "look at it", family)


def faults(book: HealthBook, number: int, fault: LabFault = PROBE) -> None:
    for _ in range(number):
        book.fault("a", fault, "run 7")


# Faults


def test_a_rig_that_was_never_checked_is_unknown(book: HealthBook) -> None:
    assert book.of("a") == Health("a", "", HealthState.UNKNOWN, reason="never checked")
    assert str(book.of("a")) == "unknown: never checked"
    assert (book.parts("a"), book.history("a")) == ({}, ())
    assert book.of("nowhere").state is HealthState.UNKNOWN


def test_one_lab_fault_makes_a_rig_unknown_two_suspect_and_three_bad(book: HealthBook) -> None:
    book.checked("a", "check-1")
    seen = []
    for number in range(1, 5):
        book.fault("a", PROBE, f"run {number}")
        seen.append((book.of("a").state, book.of("a").faults, book.of("a").by))
    assert seen == [
        (HealthState.UNKNOWN, 1, "run 1"),
        (HealthState.SUSPECT, 2, "run 2"),
        (HealthState.BAD, 3, "run 3"),
        (HealthState.BAD, 4, "run 4"),
    ]
    found = book.of("a")
    assert (found.family, found.reason, found.remedy) == ("TransportLost", PROBE.message, "plug it in")
    assert MOMENT.fullmatch(found.since)
    assert str(found) == f"bad since {found.since}, run 4: TransportLost: /dev/ttyUSB0 went away"
    assert book.of("b").state is HealthState.UNKNOWN
    assert book.of("b").faults == 0


@pytest.mark.parametrize(
    "fault",
    [
        *(
            family("nobody is there")
            for family in (LinkLost, CaptureUnavailable, OperatorAbsent, BeyondBench, BeyondLab)
        ),
        *(family("it is another's") for family in (RigTaken, StaleLease, StoreBusy)),
        ControllerFault("there is none", suspect=False),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_what_stands_in_the_way_without_being_the_rigs_leaves_its_health_alone(
    book: HealthBook, fault: LabFault
) -> None:
    book.fault("a", fault, "run 7")
    assert (book.of("a").faults, book.history("a")) == (0, ())


def test_a_fault_is_written_down_for_its_part_as_well(book: HealthBook) -> None:
    faults(book, 2, BenchFault("load.on stays on"))
    faults(book, 1, LabFault("nothing came", part="ESME"))
    parts = {part: (each.state, each.faults) for part, each in book.parts("a").items()}
    assert parts == {"bench": (HealthState.SUSPECT, 2), "ESME": (HealthState.UNKNOWN, 1)}
    assert book.of("a").state is HealthState.BAD


def test_an_attempt_without_a_lab_fault_ends_the_row_of_them(book: HealthBook) -> None:
    faults(book, 2, BenchFault("load.on stays on"))
    book.went_well("a", "run 8")
    found = book.of("a")
    assert (found.state, found.faults, found.by) == (HealthState.GOOD, 0, "run 8")
    assert book.parts("a")["bench"].state is HealthState.GOOD
    faults(book, 1)
    assert book.of("a").state is HealthState.UNKNOWN


def test_a_rig_that_three_faults_made_bad_stays_so_until_it_is_checked(book: HealthBook) -> None:
    faults(book, 3)
    book.went_well("a", "run 8")
    assert (book.of("a").state, book.of("a").faults) == (HealthState.BAD, 0)
    book.checked("a", "check-1")
    assert book.of("a").state is HealthState.GOOD


def test_a_fault_in_what_is_watched_is_written_down_and_goes_on(book: HealthBook) -> None:
    with pytest.raises(TransportLost), book.watched("a", "harness device a ESME"):
        raise PROBE
    with pytest.raises(ZeroDivisionError), book.watched("b", "harness device b ESME"):
        raise ZeroDivisionError
    assert (book.of("a").faults, book.of("b").faults) == (1, 0)


# Checks


def test_a_check_that_finds_nothing_wrong_makes_a_rig_and_its_parts_good(book: HealthBook) -> None:
    faults(book, 1)
    book.checked("a", "check-1", [finding("bench"), finding("ESME")])
    found = book.of("a")
    assert (found.state, found.by, str(found)) == (HealthState.GOOD, "check-1", "good")
    assert {part: each.state for part, each in book.parts("a").items()} == {
        "bench": HealthState.GOOD,
        "ESME": HealthState.GOOD,
    }


def test_a_good_check_between_two_faults_does_not_hide_that_there_were_two(book: HealthBook) -> None:
    for _ in range(2):
        faults(book, 1)
        book.checked("a", "run 7")
    assert (book.of("a").state, book.of("a").faults) == (HealthState.SUSPECT, 2)


def test_a_rig_with_two_faults_in_a_row_stays_suspect_until_an_attempt_went_well(book: HealthBook) -> None:
    faults(book, 2)
    book.checked("a", "check-1")
    assert book.of("a").state is HealthState.SUSPECT
    book.went_well("a", "run 8")
    assert book.of("a").state is HealthState.GOOD


def test_a_good_check_puts_a_rig_with_three_faults_to_the_test_again(book: HealthBook) -> None:
    faults(book, 3)
    book.checked("a", "check-1")
    found = book.of("a")
    assert (found.state, found.reason) == (
        HealthState.SUSPECT,
        "a check found nothing wrong after 3 lab faults in a row",
    )
    faults(book, 1)
    assert book.of("a").state is HealthState.BAD


def test_a_check_that_finds_something_makes_the_rig_bad_in_the_findings_words(book: HealthBook) -> None:
    wrong = finding("ESME", BAD, "its firmware is '9.9'; the baseline is '1.4.20'", "LabFault")
    book.checked("a", "check-1", [finding("bench"), wrong])
    found = book.of("a")
    assert (found.state, found.reason, found.remedy) == (HealthState.BAD, wrong.found, "look at it")
    states = {part: each.state for part, each in book.parts("a").items()}
    assert states == {"bench": HealthState.GOOD, "ESME": HealthState.BAD}
    faults(book, 1)
    assert book.of("a").reason == wrong.found  # not in those of a fault that comes later
    book.went_well("a", "run 8")
    assert book.of("a").state is HealthState.BAD
    book.checked("a", "check-2", [finding("bench"), finding("ESME")])
    assert {each.state for each in book.all_of("a").values()} == {HealthState.GOOD}


@pytest.mark.parametrize("family", [ConfigurationError, LinkLost, BeyondBench, BeyondLab, StaleLease])
def test_a_finding_that_says_nothing_of_the_rig_makes_it_neither_bad_nor_good(
    book: HealthBook, family: type[Exception]
) -> None:
    book.checked("a", "check-1", [finding("bench"), finding("CH", BAD, "in the way", family.__name__)])
    assert book.of("a").state is HealthState.UNKNOWN
    assert list(book.parts("a")) == ["bench"]


def test_what_is_wrong_with_the_dcc_is_not_the_rigs(book: HealthBook) -> None:
    book.checked("a", "check-1", [finding("bench"), finding("DCC", BAD, "it refused us", "DeviceFault")])
    assert (book.of("a").state, list(book.parts("a"))) == (HealthState.GOOD, ["bench"])


def test_a_rig_that_was_in_use_was_not_checked(book: HealthBook) -> None:
    book.checked("a", "check-1", [finding("", IN_USE, "ann has it")])
    assert book.of("a").state is HealthState.UNKNOWN


# Maintenance


def test_maintenance_is_shown_before_all_else_and_makes_way_for_what_was(
    book: HealthBook, leases: Leases
) -> None:
    book.checked("a", "check-1", [finding("bench")])
    leases.maintain("a", "a new relay")
    found = book.of("a")
    assert (found.state, found.by, found.reason) == (HealthState.MAINTENANCE, "bob", "a new relay")
    assert MOMENT.fullmatch(found.since)
    assert book.all()["a"] == found
    assert book.all()["b"] == Health("b")
    book.checked("a", "check-2", [finding("bench", BAD, "it is open", "BenchFault")])
    assert book.of("a") == found
    assert book.parts("a")["bench"].state is HealthState.BAD


def test_a_rig_that_is_back_from_maintenance_is_unknown_with_all_its_parts(
    book: HealthBook, leases: Leases
) -> None:
    faults(book, 3, BenchFault("load.on stays on"))
    leases.maintain("a", "a new relay")
    leases.back_in_service("a")
    found = book.of("a")
    assert (found.state, found.faults, found.by) == (HealthState.UNKNOWN, 0, "bob")
    assert found.reason == "back from maintenance by bob: a new relay"
    assert book.parts("a") == {}


# History


def test_every_change_is_kept_with_who_when_and_why_and_what_changes_nothing_is_not(
    book: HealthBook, leases: Leases
) -> None:
    book.checked("a", "check-1")
    book.checked("a", "check-2")
    book.went_well("a", "run 6")
    faults(book, 2)
    book.went_well("a", "run 8")
    leases.maintain("a", "a new relay")
    leases.maintain("a", "a new relay")
    leases.back_in_service("a")
    told = [(each.state, each.by, each.reason) for each in book.history("a")]
    assert told == [
        (HealthState.GOOD, "check-1", "a check found nothing wrong"),
        (HealthState.UNKNOWN, "run 7", PROBE.message),
        (HealthState.SUSPECT, "run 7", PROBE.message),
        (HealthState.GOOD, "run 8", "an attempt met no lab fault"),
        (HealthState.MAINTENANCE, "bob", "a new relay"),
        (HealthState.UNKNOWN, "bob", "back from maintenance by bob: a new relay"),
    ]
    assert all(MOMENT.fullmatch(each.since) for each in book.history("a"))
    assert [each.state for each in book.history("a", 2)] == [HealthState.MAINTENANCE, HealthState.UNKNOWN]
    assert book.history("b") == ()


def test_who_says_what_is_known_already_waits_for_no_writer(book: HealthBook, leases: Leases, locked) -> None:
    book.checked("a", "check-1")
    with locked() if leases.store.is_sqlite else nullcontext():  # PostgreSQL's lock keeps readers away too
        book.checked("a", "check-2")
        book.went_well("a", "run 7")
    assert [each.by for each in book.history("a")] == ["check-1"]


def test_a_fault_whose_end_was_not_known_counts_once(book: HealthBook, leases: Leases, monkeypatch) -> None:
    """A store that is asked again after a commit of which nobody heard."""
    store, once = leases.store, Store._once

    def twice(self, engine, work, *, alone):
        if self is store and engine is store._writing:
            once(self, engine, work, alone=alone)
        return once(self, engine, work, alone=alone)

    monkeypatch.setattr(Store, "_once", twice)
    faults(book, 1)
    monkeypatch.undo()
    assert (book.of("a").faults, len(book.history("a"))) == (1, 1)


def test_healths_outlive_the_store_that_was_open(url: str, book: HealthBook, leases: Leases) -> None:
    faults(book, 2)
    leases.store.close()
    with Store(url) as again:
        assert HealthBook(again).of("a").state is HealthState.SUSPECT


FINDS_FAULTS = """
import sys
from harness.domain.errors import BenchFault
from harness.rigs.health import HealthBook
from harness.rigs.store import Store
url, run = sys.argv[1:]
with Store(url, patience=60) as store:
    for number in range(25):
        HealthBook(store).fault("a", BenchFault(f"{run} fault {number}"), run)
"""


def test_no_fault_is_lost_where_two_processes_meet_them_at_the_same_time(book: HealthBook, url: str) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", FINDS_FAULTS, url, run], cwd=REPO)
        for run in ("run 1", "run 2")
    ]
    assert [writer.wait(LONG) for writer in writers] == [0, 0]
    assert (book.of("a").faults, book.parts("a")["bench"].faults) == (50, 50)
    whole = [each for each in book.history("a", 1000) if not each.part]
    assert [each.faults for each in whole] == list(range(1, 51))
