"""A process's hold on its rig while the lab's store cannot be asked: it waits, and nothing ends for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from harness.config import load_lab
from harness.domain.lab import Lab
from harness.execution import tenancy as module
from harness.execution.tenancy import Tenancy
from harness.records.evidence import TraceRouter
from harness.rigs.lease_words import RigTaken
from harness.rigs.pool import Pool

CONFIG = Path(__file__).parents[3] / "lab_config"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return load_lab(CONFIG / "simulated.yaml", state=tmp_path)


@pytest.fixture
def tenancy(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenancy]:
    monkeypatch.setattr(module, "_ASK", 0.0)
    held = Tenancy(lab, "ann", "7", 30.0, lambda rig, lease: None, TraceRouter())
    held.pool.leases.store.patience = 0.1
    yield held
    held.close()


@contextmanager
def unreadable(lab: Lab) -> Iterator[None]:
    """Another program has the whole store for itself."""
    with closing(sqlite3.connect(lab.state / "lab.sqlite", isolation_level=None)) as locker:
        locker.execute("PRAGMA locking_mode = EXCLUSIVE")
        locker.execute("BEGIN IMMEDIATE")
        yield


def test_a_rig_is_waited_for_while_the_store_cannot_be_read_and_had_when_it_can(lab, tenancy) -> None:
    tenancy.pool.leases.store.close()  # no connection of ours keeps the other program out
    with unreadable(lab):
        assert not tenancy.hold("ioc-1")
        tenancy.until_changed()
        assert "locked" in tenancy.waits_for()
    tenancy.await_turn("ioc-1")
    assert tenancy.lease is not None


def test_a_store_that_cannot_be_read_wants_no_rig_back(lab, tenancy) -> None:
    tenancy.await_turn("ioc-1")
    tenancy.pool.leases.store.close()
    with unreadable(lab):
        assert tenancy.wanted_back() == ""
    with Pool(lab, "ben") as other:
        other.leases.maintain("ioc-1", "a new probe")
    assert "a new probe" in tenancy.wanted_back()


def test_a_run_is_kept_out_of_a_rig_that_its_own_person_maintains(lab, tenancy) -> None:
    with Pool(lab, "ann") as hands:
        hands.leases.maintain("ioc-1", "a new probe")
        assert not tenancy.hold("ioc-1")
        assert tenancy.waits_for() == "ioc-1 is in maintenance by ann: a new probe"
        hands.take("ioc-1", "harness device", lambda lease: None).release()


def test_a_run_gives_a_rig_back_that_its_own_person_is_to_maintain(lab, tenancy) -> None:
    tenancy.await_turn("ioc-1")
    with Pool(lab, "ann") as hands:
        hands.leases.maintain("ioc-1", "a new probe")
    assert "a new probe" in tenancy.wanted_back()


@pytest.mark.parametrize("noticed", ["between two tests", "by the heartbeat"])
def test_a_rig_that_was_taken_away_is_not_taken_again(lab, tenancy, noticed: str) -> None:
    tenancy.await_turn("ioc-1")
    with Pool(lab, "ben") as other:
        other.leases.evict("ioc-1", "a demonstration")
        if noticed == "by the heartbeat":
            tenancy.pool.leases.renew([tenancy.lease])
        else:
            assert tenancy.wanted_back() == "ioc-1 is taken away by ben: a demonstration"
        tenancy.give_back()
        with pytest.raises(RigTaken, match="rig ioc-1 was taken away by ben: a demonstration"):
            tenancy.hold("ioc-1")
        tenancy.await_turn("ioc-2")
        tenancy.give_back()
        other.take("ioc-1", "a demonstration", lambda lease: None).release()
