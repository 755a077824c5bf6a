"""What a fault can do where a meter does something: settings, events, money, supply, checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from device_drivers.utrn import make_utrn
from harness.domain.errors import AccessRefused
from harness.domain.faults import DROP, Fault, Place, Point, Seen
from harness.domain.words import SupplyState

Build = Callable[..., Any]

S1SP = 2
POUND = 100_000  # in millipence


def fault(point: Point, intercept: Callable[[Seen], Any], place: Place = Place.ESME) -> tuple[Fault, ...]:
    return (Fault("wrong", place, point, "", intercept),)


def on(item: str, value: Any) -> Callable[[Seen], Any]:
    return lambda seen: value if seen.item == item else seen.value


def test_what_is_to_take_effect_takes_another_effect_or_none(a_house: Build) -> None:
    more = a_house(faults=fault(Point.STORE, lambda seen: {**seen.value, "message": "moved"}))
    none = a_house(faults=fault(Point.STORE, lambda seen: DROP))
    for house in (more, none):
        house.esme.set("supplier_name", "Another", S1SP)
    assert [more.esme.get(name) for name in ("supplier_name", "message")] == ["Another", "moved"]
    assert none.esme.get("supplier_name") != "Another"


def test_settings_held_together_pass_as_one(a_house: Build) -> None:
    passed: list[set[str]] = []
    house = a_house(faults=fault(Point.STORE, lambda seen: passed.append({*seen.value}) or seen.value))
    house.esme.act("hold_settings", None, S1SP)
    for name in ("supplier_name", "message"):
        house.esme.set(name, "told", S1SP)
    house.esme.act("release_settings", None, S1SP)
    assert passed == [{"supplier_name", "message"}]


@pytest.mark.parametrize(("instead", "logged"), [((), []), ((0x0004, 0x0081), [0x0004])])
def test_an_event_happens_otherwise_or_not_at_all(
    a_house: Build, instead: tuple[int, ...], logged: list[int]
) -> None:
    house = a_house(faults=fault(Point.EVENT, on("0004", instead)))
    house.esme.act("disable_supply")
    assert [row[1] for row in house.esme.rows("event_log")] == logged
    assert house.alert_codes() == [code for code in instead if code == 0x0081]
    assert [row[1] for row in house.esme.rows("security_log")] == house.alert_codes()


@pytest.mark.parametrize(("instead", "taken"), [(None, 3), (0, 0), (DROP, 0), (7 * 10**6, 21)])
def test_money_moves_as_the_fault_says(a_house: Build, instead: Any, taken: int) -> None:
    faults = fault(Point.MONEY, on("standing_charge", instead)) if instead is not None else ()
    house = a_house(faults=faults)
    house.esme.set("standing_charge", 1)
    house.wait(days=3)
    assert house.esme.get("meter_balance") == taken  # owed, in credit mode


def test_a_top_up_pays_what_it_lends_and_owes(a_house: Build) -> None:
    seen: dict[str, int] = {}
    house = a_house(faults=fault(Point.MONEY, lambda each: seen.setdefault(each.item, each.value)))
    esme = house.esme
    esme.set("payment_mode", "Prepayment")
    esme.set("debt_recovery_per_payment", 1_000)
    esme.set("payment_debt", 5 * POUND)
    esme.act("activate_emergency_credit")
    esme.set("emergency_credit_balance", 3 * POUND)
    esme.act("top_up", make_utrn(esme.device_id, 1_000, 1).encode())
    grains = POUND * 10**6
    assert seen == {
        "emergency_lent": 5 * grains,
        "payment_debt": grains,
        "emergency_repaid": 2 * grains,
        "top_up": 7 * grains,
    }


@pytest.mark.parametrize(("flows", "wh"), [(True, 500), (False, 0)])
def test_a_contactor_that_lies_is_seen_by_the_bench_alone(a_house: Build, flows: bool, wh: int) -> None:
    house = a_house(faults=fault(Point.SUPPLY, on("Disabled", flows)))
    house.esme.act("disable_supply")
    house.bench.load(1_000)
    house.wait(minutes=30)
    assert house.bench.reference().active_import == wh
    assert house.esme.get("supply_output") is False
    assert house.esme.get("supply_state") == SupplyState.DISABLED


def test_a_check_of_a_meter_refuses_what_it_should_not_and_nothing_else(a_house: Build) -> None:
    house = a_house(faults=fault(Point.CHECK, on("setting", "never")))
    with pytest.raises(AccessRefused, match="never"):
        house.esme.set("supplier_name", "Another")
    house.gsme.set("supplier_name", "Another")


def test_a_load_that_is_too_high_may_pass_unseen(a_house: Build) -> None:
    for faults, state in (((), "Armed"), (fault(Point.CHECK, on("load_limit", False)), "Enabled")):
        house = a_house(faults=faults)
        for name, value in (("load_limit_threshold", 1_000), ("load_limit_supply_state", "Disable")):
            house.esme.set(name, value)
        house.bench.load(2_000)
        house.wait(minutes=5)
        assert house.esme.get("supply_state") == state


def test_a_meter_may_forget_that_it_is_protected(a_house: Build) -> None:
    anything = {"year": 0xFFFF, "month": 0xFF, "day": 0xFF, "weekday": 0xFF}
    always = {
        "action": "START", "weekdays": tuple(range(1, 8)), "special_days": (),
        "hour": 0, "minute": 0, "start": anything, "end": anything,
    }  # fmt: skip
    for faults, state in (((), "Enabled"), (fault(Point.CHECK, on("protected", False)), "Disabled")):
        house = a_house(faults=faults)
        house.esme.set("non_disablement_calendar", (always,))
        house.esme.set("payment_mode", "Prepayment")
        house.esme.set("meter_balance", -1)
        house.wait(seconds=1)
        assert house.esme.get("supply_state") == state


def test_faults_are_told_the_model_and_the_firmware_that_runs(a_house: Build) -> None:
    told: list[tuple[str, str]] = []

    def intercept(seen: Seen) -> Any:
        told.append((seen.details["model"], seen.details["firmware"]))
        return seen.value

    house = a_house(faults=fault(Point.TICK, intercept))
    house.bench.load(1_000)
    house.wait(minutes=1)
    house.esme.get("active_import")
    house.esme.values["firmware_version"] = "2.0.0"
    house.wait(minutes=1)
    house.esme.get("active_import")
    assert {*told} == {("X1", "1.0.0"), ("X1", "2.0.0")}
