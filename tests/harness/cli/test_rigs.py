"""``harness rigs``: who has which rig, who waits for it, how it is; and what persons do about it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from harness.config import load_lab
from harness.domain.errors import TransportLost
from harness.domain.findings import BAD, Finding
from harness.domain.lab import Lab
from harness.rigs.pool import Pool
from tests.harness.cli.physical import CONFIG

Call = Callable[..., Result]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The simulated lab, with a store of the test's own."""
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HARNESS_LAB", str(CONFIG / "simulated.yaml"))
    monkeypatch.setenv("LOGNAME", "ann")
    return load_lab(CONFIG / "simulated.yaml")


@pytest.fixture
def pool(lab: Lab) -> Iterator[Pool]:
    """Somebody else at the same store."""
    with Pool(lab, "run-7") as pool:
        yield pool


@pytest.fixture
def rigs(lab: Lab) -> Call:
    """``harness rigs …`` in this process."""

    def call(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, ["rigs", *arguments])
        assert result.exit_code == code, result.output
        return result

    return call


def listed(rigs: Call) -> dict[str, dict]:
    return {rig["rig"]: rig for rig in json.loads(rigs("--json").stdout)}


def take(pool: Pool, rig: str):
    return pool.take(rig, "run run-7", lambda _: ())


def test_a_lab_that_nobody_has_used_is_free_and_unknown(rigs: Call) -> None:
    found = listed(rigs)["ioc-1"]
    assert (found["dmc"], found["release"], found["state"]) == ("ioc-alderwick", "IOC", "free")
    assert found["devices"].keys() == {"ESME", "GSME", "CH"}
    assert (found["holder"], found["maintenance"], found["waiting"]) == (None, None, [])
    assert found["health"]["state"] == "unknown"
    shown = rigs()
    assert shown.stdout.count("free") == shown.stdout.count("unknown") == 7
    assert shown.stderr == ""


def test_who_holds_a_rig_and_who_waits_for_it_is_told(rigs: Call, pool: Pool) -> None:
    lease = take(pool, "ioc-1")
    waits = pool.leases.request("ioc-1", "moc-1", purpose="run run-7", priority=3)
    assert waits.poll() is None
    found = listed(rigs)
    assert (found["ioc-1"]["holder"]["owner"], found["ioc-1"]["state"]) == ("run-7", "held")
    assert 0 < found["ioc-1"]["expires_in"] <= pool.leases.expiry
    assert [each["holder"]["owner"] for each in found["moc-1"]["waiting"]] == ["run-7"]
    assert found["ioc-1"]["waiting"][0]["priority"] == 3
    assert found["foc-1"]["waiting"] == []
    shown = rigs()
    assert "run-7 (run run-7; process" in " ".join(shown.stdout.replace("│", " ").split())
    assert "waits for ioc-1, moc-1" in shown.stderr
    waits.withdraw()
    lease.release()


def test_a_dirty_rig_says_why(rigs: Call, pool: Pool) -> None:
    take(pool, "ioc-1").release(dirty="its load is not known to be off")
    assert listed(rigs)["ioc-1"]["dirty_reason"] == "its load is not known to be off"
    assert "ioc-1 is dirty: its load is not known to be off" in rigs().stderr


def test_the_health_of_a_rig_and_of_its_parts_is_told_where_it_is_not_good(rigs: Call, pool: Pool) -> None:
    pool.health.checked("moc-1", "check-1")
    wrong = Finding("ioc-1", "GSME", BAD, "read it", "no answer in 30 s", "look at its door", "TransportLost")
    pool.health.checked("ioc-1", "check-1", [wrong])
    for _ in range(2):
        pool.health.fault("foc-1", TransportLost("/dev/ttyUSB0 went away"), "run run-7")
    found = listed(rigs)
    assert (found["ioc-1"]["health"]["state"], found["moc-1"]["health"]["state"]) == ("bad", "good")
    assert found["ioc-1"]["parts"]["GSME"]["reason"] == "no answer in 30 s"
    told = rigs().stderr
    assert "ioc-1 GSME is bad since" in told
    assert "check-1: TransportLost: no answer in 30 s" in told
    assert "foc-1 is suspect since" in told
    assert "moc-1" not in told


def test_the_history_of_a_rig_says_when_by_whom_and_why(rigs: Call, pool: Pool) -> None:
    assert "nothing was ever written down of ioc-1" in rigs("history", "ioc-1").stderr
    pool.health.checked("ioc-1", "check-1")
    pool.health.fault("ioc-1", TransportLost("/dev/ttyUSB0 went away"), "run run-7")
    rigs("maintain", "ioc-1", "--reason", "new probe")
    changes = json.loads(rigs("history", "ioc-1", "--json").stdout)
    assert [(each["state"], each["by"]) for each in changes if not each["part"]] == [
        ("good", "check-1"),
        ("unknown", "run run-7"),
        ("maintenance", "ann"),
    ]
    assert all(datetime.fromisoformat(each["since"]) <= datetime.now(UTC) for each in changes)
    shown = " ".join(rigs("history", "ioc-1").stdout.replace("│", " ").split())
    assert "run run-7 TransportLost: /dev/ttyUSB0 went away" in shown
    assert len(json.loads(rigs("history", "ioc-1", "--last", "1", "--json").stdout)) == 1


def test_maintenance_takes_a_rig_out_until_it_is_back_and_then_it_is_dirty(rigs: Call, pool: Pool) -> None:
    assert (
        "ioc-1 is in maintenance by ann: new relay"
        in rigs("maintain", "IOC-1", "--reason", "new relay").stdout
    )
    assert listed(rigs)["ioc-1"]["maintenance"] == {"by": "ann", "reason": "new relay"}
    assert "maintained by ann" in " ".join(rigs().stdout.replace("│", " ").split())
    refused = rigs("maintain", "ioc-1", "--reason", "mine", "--as", "bob", code=3)
    assert "ioc-1 is in maintenance by ann: new relay (ask ann)" in refused.stderr
    done = rigs("back", "ioc-1")
    assert done.stdout == "ioc-1 is back in service, and dirty\n"
    assert "'harness lab check ioc-1' does that now" in done.stderr
    assert listed(rigs)["ioc-1"]["state"] == "dirty"
    assert "it was not in maintenance: ioc-1 is dirty" in rigs("back", "ioc-1").stdout


def test_maintenance_is_ended_by_another_only_with_force_and_then_in_their_name(rigs: Call) -> None:
    rigs("maintain", "ioc-1", "--reason", "new relay")
    refused = rigs("back", "ioc-1", "--as", "bob", code=3)
    assert "ioc-1 is in maintenance by ann: new relay (ask ann, or --force)" in refused.stderr
    assert listed(rigs)["ioc-1"]["maintenance"] == {"by": "ann", "reason": "new relay"}
    assert rigs("back", "ioc-1", "--as", "bob", "--force").stdout == "ioc-1 is back in service, and dirty\n"
    last = json.loads(rigs("history", "ioc-1", "--json").stdout)[-1]
    assert (last["by"], last["reason"]) == ("bob", "back from maintenance by ann: new relay")


def test_who_takes_out_a_rig_that_is_in_use_is_told_by_whom(rigs: Call, pool: Pool) -> None:
    with take(pool, "ioc-1") as lease:
        told = rigs("maintain", "ioc-1", "--reason", "new relay")
        assert "it is still held by run-7" in told.stderr
        assert "new relay" in lease.wanted_back()


def test_a_reservation_is_a_persons_for_a_time(rigs: Call, pool: Pool) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    times = (f"{tomorrow:%F}T09:00", f"{tomorrow:%F}T12:00+01:00")
    made = rigs("reserve", "ioc-1", "--from", times[0], "--to", times[1], "--reason", "firmware trial")
    told = f"ioc-1 is reserved for ann from {tomorrow:%F} 09:00 to {tomorrow:%F} 11:00 UTC: firmware trial"
    assert made.stdout == f"{told}\n"
    assert listed(rigs)["ioc-1"]["reservations"][0]["person"] == "ann"
    assert told in rigs().stderr
    clash = rigs(
        "reserve", "ioc-1", "--from", times[0], "--to", times[1], "--reason", "x", "--as", "bob", code=3
    )
    assert f"{told} (ask ann, or choose another time)" in clash.stderr
    assert (
        f"bob has no such reservation of ioc-1: {told}"
        in rigs("unreserve", "ioc-1", "--as", "bob", code=2).stderr
    )
    assert "ann has no such reservation" in rigs("unreserve", "ioc-1", "--from", "2026-01-01", code=2).stderr
    assert rigs("unreserve", "ioc-1").stdout == f"no longer: {told}\n"
    assert listed(rigs)["ioc-1"]["reservations"] == []


def test_what_people_do_is_answered_for_a_program(rigs: Call, pool: Pool) -> None:
    def answer(*arguments: str) -> Any:
        return json.loads(rigs(*arguments, "--json").stdout)

    said = ("--reason", "firmware trial")
    made = answer("reserve", "ioc-1", "--to", "2099-06-01", *said)
    assert (made["rig"], made["person"], made["reason"]) == ("ioc-1", "ann", "firmware trial")
    assert answer("unreserve", "ioc-1") == [made]
    with take(pool, "ioc-1"):
        assert answer("evict", "ioc-1", *said)["holder"]["owner"] == "run-7"
    assert answer("maintain", "ioc-1", *said)["maintenance_by"] == "ann"
    assert answer("back", "ioc-1")["maintenance_by"] == ""


@pytest.mark.parametrize("start", ["now", "2099-03-02T09:15:30"])
def test_a_reservation_is_given_back_by_the_time_that_is_told(rigs: Call, lab: Lab, start: str) -> None:
    begins = [] if start == "now" else ["--from", start]
    made = rigs("reserve", "ioc-1", *begins, "--to", "2099-06-01", "--reason", "firmware trial")
    told = "T".join(made.stdout.partition(" from ")[2].split()[:2])
    assert "no longer: ioc-1 is reserved" in rigs("unreserve", "ioc-1", "--from", told).stdout
    assert listed(rigs)["ioc-1"]["reservations"] == []


def test_a_reservation_from_now_says_who_still_has_the_rig(rigs: Call, pool: Pool) -> None:
    with take(pool, "ioc-1") as lease:
        made = rigs("reserve", "ioc-1", "--to", "2099-01-01", "--reason", "firmware trial")
        assert "it is held by run-7" in made.stderr
        assert "ann" in lease.wanted_back()


def test_to_evict_ends_a_lease_once_it_has_expired(rigs: Call, pool: Pool) -> None:
    assert "nobody holds it: ioc-1 is free" in rigs("evict", "ioc-1", "--reason", "stuck", code=3).stderr
    with take(pool, "ioc-1"):
        done = rigs("evict", "ioc-1", "--reason", "stuck")
        assert "the lease of run-7 (run run-7;" in done.stdout
        assert "a run gives ioc-1 back after the test in hand, and does not take it again" in done.stderr
        assert "s it is dirty: checked, then given to who is next" in done.stderr


def test_the_store_of_a_host_that_was_renamed_is_adopted(rigs: Call, lab: Lab) -> None:
    with Pool(lab, "run-7", expiry=600) as pool:
        take(pool, "ioc-1")
    assert "nothing to adopt" in rigs("adopt").stderr
    with closing(sqlite3.connect(lab.state / "lab.sqlite")) as store, store:
        store.execute("UPDATE lab_store SET boot = 'an earlier one', host = 'bench-host-2'")
    refused = rigs(code=3)
    assert "belongs to host bench-host-2; this is" in refused.stderr
    assert "harness rigs adopt" in refused.stderr
    done = rigs("adopt")
    assert "lab.sqlite is this host's now, and no more bench-host-2's" in done.stdout
    assert "checked before anybody gets them" in done.stderr
    assert listed(rigs)["ioc-1"]["state"] == "dirty"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["history", "ioc-11"], "there is no rig 'ioc-11' (did you mean 'ioc-1'?)"),
        (["maintain", "ioc-11", "--reason", "x"], "did you mean 'ioc-1'?"),
        (["log", "ioc-11"], "did you mean 'ioc-1'?"),
        (["log", "ioc-1", "--run", "no-such"], "there is no run no-such in runs"),
        (["maintain", "ioc-1"], "Missing option '--reason'"),
        (["reserve", "ioc-1", "--to", "noon", "--reason", "x"], "--to: 'noon' is not a time"),
        (["reserve", "ioc-1", "--to", "2020-01-01", "--reason", "x"], "it ended at 2020-01-01 00:00Z"),
        (
            ["reserve", "ioc-1", "--from", "2099-12-01", "--to", "2099-12-01", "--reason", "x"],
            "must end after it begins: it begins at 2099-12-01 00:00Z and ends at 2099-12-01 00:00Z",
        ),
        (["maintain", "ioc-1", "--reason", ""], "Invalid value for '--reason': it is blank"),
        (["maintain", "ioc-1", "--reason", "x", "--as", "  "], "Invalid value for '--as': it is blank"),
        (["--every", "5"], "--every says how often --watch looks"),
        (["--lab", "x.yaml", "back", "ioc-1"], "say it after: harness rigs back … --lab …"),
    ],
)
def test_wrong_usage_is_told_plainly(rigs: Call, arguments: list[str], told: str) -> None:
    result = rigs(*arguments, code=2)
    assert told in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.output
