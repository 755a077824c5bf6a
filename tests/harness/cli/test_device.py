"""``harness device`` on twins: what it answers, with units and zones, and what it says to a wrong name."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from device_drivers.esme import EsmeDriver
from device_drivers.simulated.bench import SimulatedBench
from harness.cli.app import app
from harness.domain.errors import BenchFault
from harness.execution.terminal import login_name
from harness.rigs.health_words import HealthState
from harness.rigs.lease_words import RigState
from tests.harness.cli.physical import CONFIG, modbus, physical_lab
from tests.harness.rigs.room import health_of, holder_of, no_check, somebody, status_of


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the shipped lab keeps its leases and healths."""
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path))
    monkeypatch.setenv("HARNESS_LAB", str(CONFIG / "simulated.yaml"))
    return tmp_path / "simulated"


@pytest.fixture
def device(state: Path) -> Callable[..., Any]:
    """``harness device`` with those words, in this process."""

    def run(*words: str) -> Any:
        done = CliRunner().invoke(app, ["device", *words])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done

    return run


def cells(table: str) -> list[list[str]]:
    """The rows of a table."""
    rows = (line.strip("│").split("│") for line in table.splitlines() if line.startswith("│"))
    return [[cell.strip() for cell in row] for row in rows]


def test_items_are_read_with_their_units_and_times_with_their_zone(device) -> None:
    done = device("ioc-1", "ESME", "read", "clock", "active_import", "voltage", "debt_recovery_1")
    assert done.exit_code == 0, done.stderr
    clock, energy, voltage, debt = cells(done.stdout)
    assert clock == ["clock", "2025-03-03 08:00:00Z", ""]
    assert (energy[0], energy[2]) == ("active_import", "Wh")
    assert int(energy[1]) > 0
    assert voltage == ["voltage", "230.0", "V"]
    assert json.loads(debt[1]).keys() == {"rate", "scale", "period"}  # as `write` takes it
    assert "ioc-1 ESME" in done.stdout


@pytest.mark.parametrize(("rig", "type_", "item", "unit"), [
    ("ioc-1", "GSME", "gas_volume", "m3"),
    ("foc-2", "ch", "CLOCK", ""),
])  # fmt: skip
def test_every_type_of_device_is_read_for_a_program_too(
    device, rig: str, type_: str, item: str, unit: str
) -> None:
    done = device(rig, type_, "read", item, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    (found,) = json.loads(done.stdout)
    assert (found["item"], found["unit"]) == (item.lower(), unit)
    assert found["value"]


def test_what_is_written_is_read_back(device) -> None:
    done = device("ioc-1", "ESME", "write", "--", "low_credit_threshold", "-2500")
    assert done.exit_code == 0, done.stderr
    assert cells(done.stdout) == [["low_credit_threshold", "-2500", "-2500", "millipence"]]
    done = device("ioc-1", "ESME", "write", "suspend_debt_disabled", "yes", "--json")
    assert json.loads(done.stdout) == [
        {"item": "suspend_debt_disabled", "written": True, "reads back": True, "unit": ""}
    ]
    done = device("ioc-1", "ESME", "write", "debt_recovery_1", '{"rate": 5, "scale": -2, "period": "daily"}')
    assert done.exit_code == 0, done.stderr
    assert cells(done.stdout)[0][2] == '{"rate": 5, "scale": -2, "period": "DAILY"}'


def test_a_meter_is_looked_at_while_the_bench_of_its_rig_is_dead(device, tmp_path: Path, monkeypatch) -> None:
    with ExitStack() as held, socket.create_server(("127.0.0.1", 0)) as silent:
        lab = physical_lab(tmp_path, held)
        rig = lab.stand_up("foc-2")
        rig["bench"] = modbus(port=silent.getsockname()[1], timeout=0.1)
        lab.write()
        for name, value in lab.environment.items():
            monkeypatch.setenv(name, value)
        assert device("bench-1", "ESME", "read", "active_import").exit_code == 0
        assert device("bench-1", "ESME", "power", "off", "--for", "1").exit_code == 3


def test_a_write_that_the_device_refuses_has_gone_wrong(device) -> None:
    done = device("ioc-1", "ESME", "write", "active_import", "5")
    assert done.exit_code == 1
    assert "refused active_import" in done.stderr


def test_the_clock_is_told_beside_lab_time(device) -> None:
    done = device("ioc-1", "ESME", "clock", "--json")
    ours, lab, ahead = json.loads(done.stdout)
    assert datetime.fromisoformat(ours["value"]) == datetime(2025, 3, 3, 8, tzinfo=UTC)
    assert lab["what"] == "lab time"
    assert (ahead["value"], ahead["unit"]) == (0.0, "s")
    assert device("ioc-1", "GSME", "clock", "--set").exit_code == 0


def test_a_log_has_units_in_its_heading_and_may_be_cut(device) -> None:
    done = device("ioc-1", "ESME", "profile", "profile", "--from", "2025-03-02T23:00:00+00:00")
    assert done.exit_code == 0, done.stderr
    heading = re.split(r"┃", next(line for line in done.stdout.splitlines() if line.startswith("┃")))
    assert [cell.strip() for cell in heading[1:3]] == ["time", "active_import (Wh)"]
    rows = cells(done.stdout)
    assert all(re.fullmatch(r"2025-03-0[23] \d\d:[03]0:00Z", row[0]) for row in rows)
    assert done.stderr == f"{len(rows)} rows\n"
    cut = device(
        "ioc-1", "ESME", "profile", "PROFILE", "--from", "2025-03-03", "--to", "2025-03-03T01:00", "--json"
    )
    answer = json.loads(cut.stdout)
    assert answer["units"]["active_import"] == "Wh"
    assert [row["timestamp"][11:16] for row in answer["rows"]] == ["00:00", "00:30", "01:00"]
    assert Decimal(answer["rows"][0]["values"]["active_import"]) >= 0


def test_the_supply_is_told_and_brought_into_a_state(device) -> None:
    assert cells(device("ioc-1", "ESME", "supply").stdout) == [["supply", "Enabled", ""]]
    done = device("ioc-1", "gsme", "supply", "disabled")
    assert (done.exit_code, cells(done.stdout)) == (0, [["supply", "Disabled", ""]])


def test_info_holds_the_device_beside_its_baseline(device, state: Path) -> None:
    done = device("foc-2", "ESME", "info")
    assert done.exit_code == 0, done.stderr
    found = {row[0]: row[1:] for row in cells(done.stdout)}
    assert found["firmware"] == ["R3.0", "R3.0"]
    assert found["device id"][0] == found["device id"][1]
    assert found["clock"][0].endswith("Z")
    assert found["supply"][0] == "Enabled"
    assert re.fullmatch(r"dlms over tcp: host 127\.0\.0\.1, port \d+ \(a twin\)", found["door"][0])
    assert found["health of the rig"][0] == "unknown: never checked"
    assert "supply" not in {row[0] for row in cells(device("foc-2", "CH", "info").stdout)}


def test_items_names_all_that_the_other_commands_take(device) -> None:
    done = device("ioc-1", "ESME", "items", "--json")
    offers = {offer["name"]: offer for offer in json.loads(done.stdout)}
    assert offers["active_import"]["unit"] == "Wh"
    assert offers["profile"]["kind"] == "log"
    assert "active_import (Wh)" in offers["profile"]["form"]
    logs = json.loads(device("ioc-1", "ESME", "items", "--kind", "LOG", "--json").stdout)
    assert {offer["kind"] for offer in logs} == {"log"}


def test_power_comes_and_goes_at_the_bench(device) -> None:
    assert cells(device("ioc-1", "CH", "power", "on").stdout) == [["power", "on", ""]]
    done = device("ioc-1", "ESME", "power", "off", "--for", "0")
    assert (done.exit_code, cells(done.stdout)) == (0, [["power", "off", ""]])
    assert done.stderr.splitlines() == [
        "off; back to the bench's safe state in 0 s",
        "the bench of rig ioc-1 is in its safe state again",
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("ioc-11 ESME read clock", "no rig 'ioc-11' (did you mean 'ioc-1'?)"),
        ("bench-of-mine ESME read clock", "no rig 'bench-of-mine' (there is ioc-1, ioc-2, "),
        ("ioc-1 EMSE read clock", "no device 'EMSE' on rig ioc-1 (did you mean 'ESME'?)"),
        ("foc-2 GSME info", "no device 'GSME' on rig foc-2 (did you mean 'ESME'?)"),
        ("ioc-1 ESME read active_imprt", "'active_imprt' of the ESME (did you mean 'active_import'?)"),
        ("ioc-1 ESME read zzz", "no item 'zzz' of the ESME (there is clock, "),
        ("ioc-1 ESME write supplier_nam x", "did you mean 'supplier_name'?"),
        ("ioc-1 ESME write low_credit_threshold 2.5", "it is no whole number (say a whole number, "),
        ("ioc-1 ESME write low_credit_threshold 1e99", "in millipence)"),
        ("ioc-1 ESME write suspend_debt_disabled maybe", "it is neither yes nor no (say yes or no)"),
        ("ioc-1 ESME write payment_mode Predit", "did you mean"),
        ("ioc-1 ESME profile profil", "no log 'profil' of the ESME (did you mean 'profile'?)"),
        ("ioc-1 ESME profile profile --from yesterday", "--from: 'yesterday' is not a time (say it as 2025"),
        ("ioc-1 ESME profile profile --from 2025-03-03 --to 2025-03-01", "(say them the other way round)"),
        ("ioc-1 ESME supply disable", "no supply state 'disable' (did you mean 'Disabled'?)"),
        ("ioc-1 CH supply", "the CH has no supply to switch (name the rig's ESME or GSME)"),
        ("ioc-1 ESME power of", "no power state 'of' (did you mean 'off'?)"),
        ("ioc-1 ESME power off",
         "without a terminal 'power off' needs a duration (say for how long: --for SECONDS)"),
        ("ioc-1 ESME items --kind registers", "no kind 'registers' (did you mean 'register'?)"),
        ("ioc-1 ESME", "say what to do with the ESME: read, write, clock, profile, supply, power, "),
        ("ioc-1 ESME raed clock", "No such command 'raed'. Did you mean 'read'?"),
        ("ioc-1", "Missing argument 'DEVICE'"),
        ("ioc-1 ESME read", "Missing argument 'ITEM'"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_told_with_the_nearest_and_exit_code_2(
    device, state: Path, words: str, told: str
) -> None:
    done = device(*words.split())
    assert told in " ".join(done.stderr.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert health_of(state, "ioc-1").state is HealthState.UNKNOWN
    assert health_of(state, "ioc-1").faults == 0
    assert holder_of(state, "ioc-1") is None


@pytest.mark.parametrize(
    "words", ["read clock", "write supplier_name x", "power off --for 0", "info", "shell"]
)
def test_a_rig_in_use_is_refused_naming_its_holder(device, state: Path, words: str) -> None:
    with somebody(CONFIG / "simulated.yaml", state) as pool:
        pool.take("ioc-1", "a run of Tuesday's", no_check)
        done = device("ioc-1", "ESME", *words.split())
        assert pool.leases.waiting() == ()
    assert (done.exit_code, done.stdout) == (3, "")
    held = r"error: ioc-1 is held by ann \(a run of Tuesday's; process \d+ on \S+, since "
    assert re.match(held, done.stderr)
    assert health_of(state, "ioc-1").faults == 0


def dirty(pool: Any, rig: str) -> None:
    pool.take(rig, "a run", no_check).release(dirty="its run was killed")


def test_a_dirty_rig_is_cleaned_first_and_its_check_is_written_down(device, state: Path) -> None:
    with somebody(CONFIG / "simulated.yaml", state) as pool:
        dirty(pool, "ioc-1")
    done = device("ioc-1", "ESME", "read", "clock")
    assert done.exit_code == 0, done.stderr
    found = health_of(state, "ioc-1")
    assert (found.state, found.by) == (HealthState.GOOD, "harness device ioc-1 ESME")
    assert str(status_of(state, "ioc-1")) == "ioc-1 is free"


def test_a_dirty_rig_that_cannot_be_cleaned_is_refused_and_bad(device, state: Path, monkeypatch) -> None:
    with somebody(CONFIG / "simulated.yaml", state) as pool:
        dirty(pool, "ioc-1")
    read = EsmeDriver.identity
    monkeypatch.setattr(EsmeDriver, "identity", lambda self: replace(read(self), firmware="9.9"))
    done = device("ioc-1", "ESME", "read", "clock")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "error: ioc-1 is dirty, and cannot be cleaned: the ESME says its " in done.stderr
    assert health_of(state, "ioc-1").state is HealthState.BAD
    status = status_of(state, "ioc-1")
    assert status is not None
    assert (status.state, status.holder) == (RigState.DIRTY, None)


def test_who_maintains_a_rig_works_on_it_dirty_as_it_is_and_nobody_else_does(device, state: Path) -> None:
    with somebody(CONFIG / "simulated.yaml", state, login_name()) as pool:
        dirty(pool, "ioc-1")
        pool.leases.maintain("ioc-1", "a new relay")
    assert device("ioc-1", "ESME", "read", "clock").exit_code == 0
    assert device("ioc-1", "ESME", "power", "off", "--for", "0").exit_code == 0
    status = status_of(state, "ioc-1")
    assert status is not None
    assert (status.state, status.dirty_reason) == (RigState.DIRTY, "its run was killed")
    with somebody(CONFIG / "simulated.yaml", state, "bob") as pool:
        pool.leases.maintain("ioc-2", "a new label")
    done = device("ioc-2", "ESME", "read", "clock")
    assert done.exit_code == 3
    assert "ioc-2 is in maintenance by bob: a new label" in done.stderr


def test_a_bench_that_failed_in_ones_hand_leaves_its_rig_dirty(device, state: Path, monkeypatch) -> None:
    def stuck(*_: object) -> None:
        raise BenchFault("load.on cannot be switched off")

    monkeypatch.setattr(SimulatedBench, "safe", stuck)
    done = device("ioc-1", "ESME", "power", "off", "--for", "0")
    assert done.exit_code == 3
    status = status_of(state, "ioc-1")
    assert str(status) == "ioc-1 is dirty: load.on cannot be switched off"
    assert health_of(state, "ioc-1").faults == 1


def test_what_the_device_does_wrong_leaves_its_rig_free(device, state: Path) -> None:
    assert device("ioc-1", "ESME", "write", "active_import", "5").exit_code == 1
    assert str(status_of(state, "ioc-1")) == "ioc-1 is free"


def test_no_help_text_is_cut() -> None:
    for words in ([], ["lab"], ["device"], ["driver"], ["ttm"], ["evidence"], ["packs"]):
        shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"}).stdout
        assert "..." not in shown.replace("[ARGS]...", ""), words
        assert all(len(line) <= 80 for line in shown.splitlines())


def test_a_group_whose_name_is_typed_alone_shows_its_help() -> None:
    done = CliRunner().invoke(app, ["device"])
    assert done.exit_code == 2
    assert "As in: harness device ioc-1 ESME read active_import" in done.stderr
