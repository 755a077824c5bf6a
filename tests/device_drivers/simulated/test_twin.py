"""Events, alerts, logs, firmware and display of a twin, and the points at which a fault may sit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from device_drivers.simulated.firmware import make_image
from harness.domain.errors import AccessRefused
from harness.domain.events import ALERTING, Event, meaning_of
from harness.domain.faults import DROP, Fault, Place, Point
from harness.domain.words import DeviceType

Build = Callable[..., Any]

# Names


def test_every_item_of_both_meters_can_be_read(a_house: Build) -> None:
    house = a_house(history_days=40)
    for meter in (house.esme, house.gsme):
        for name, item in meter.table.items.items():
            value = meter.get(name)
            assert item.form.decode(item.form.encode(value)) == value


def test_every_command_of_both_meters_is_known(house: Any) -> None:
    for meter in (house.esme, house.gsme):
        assert set(meter.table.commands) == set(meter.commands) & set(meter.table.commands)


def test_a_meter_is_what_its_rig_says(house: Any) -> None:
    esme = house.esme
    assert [esme.get(name) for name in ("device_id", "manufacturer", "model", "firmware_version")] == [
        "00-DB-12-34-56-78-90-A0", "Example", "X1", "1.0.0",
    ]  # fmt: skip
    assert (esme.get("import_mpxn"), esme.get("export_mpan")) == ("1900012345678", "1900087654321")
    assert house.gsme.get("import_mpxn") == "7400123456"


def test_what_a_meter_has_not_got_is_refused(house: Any) -> None:
    for ask in (
        lambda: house.esme.get("colour"),
        lambda: house.esme.rows("diary"),
        lambda: house.esme.clear_log("diary"),
        lambda: house.esme.act("explode"),
    ):
        with pytest.raises(AccessRefused) as refused:
            ask()
        assert refused.value.result == "object-undefined"


@pytest.mark.parametrize("name", ["active_import", "device_id", "firmware_version", "tou_registers"])
def test_registers_and_identity_are_read_only(house: Any, name: str) -> None:
    before = house.esme.get(name)
    with pytest.raises(AccessRefused) as refused:
        house.esme.set(name, before)
    assert refused.value.result == "read-write-denied"


def test_amounts_of_money_are_written_by_the_labs_management_only(house: Any) -> None:
    s1sp = 2
    with pytest.raises(AccessRefused):
        house.esme.set("meter_balance", 5, s1sp)
    house.esme.set("meter_balance", 5)
    assert house.esme.get("meter_balance") == 5


# Logs


def test_event_logs_forget_the_oldest_when_they_are_full(house: Any) -> None:
    for number in range(130):
        house.esme.set("message", f"m{number}")
        house.wait(seconds=1)
    rows = house.esme.rows("event_log")
    assert len(rows) == house.esme.table.logs["event_log"].capacity == 100
    assert rows[-1][0] - rows[0][0] == timedelta(seconds=99)


def test_the_profile_keeps_thirteen_months_and_no_more(a_house: Build) -> None:
    house = a_house(history_days=395)
    house.wait(days=30)
    rows = house.esme.rows("profile")
    assert len(rows) == 19_056
    assert rows[-1][0] - rows[0][0] == timedelta(minutes=30 * 19_055)
    assert len(house.esme.rows("daily_read_log")) == 31


def test_a_cleared_log_is_empty_and_security_knows_of_it(house: Any, events: Any) -> None:
    house.esme.set("message", "x")
    house.esme.clear_log("event_log")
    assert (events(house.esme), events(house.esme, "security_log")) == ([], [0x0011])


# Events


def test_no_two_events_have_a_code_or_a_meaning_in_common() -> None:
    assert list(Event) == list(Event.__members__.values())
    assert len({event.meaning for event in Event}) == len(Event)
    assert (meaning_of(0x0081), meaning_of(0x7777)) == ("Cover opened", "Unknown event")


@pytest.mark.parametrize(
    ("cause", "code", "log"),
    [
        (lambda house: house.esme.set("clock", house.clock.now()), 0x0001, "event_log"),
        (lambda house: house.esme.set("tou_prices", (1,)), 0x000F, "event_log"),
        (lambda house: house.esme.set("supplier_name", "Other"), 0x0019, "event_log"),
        (lambda house: house.esme.set("payment_mode", "Prepayment"), 0x000E, "event_log"),
        (lambda house: house.esme.act("restrict_access"), 0x0012, "event_log"),
        (lambda house: house.esme.act("adjust_balance", 1), 0x0018, "event_log"),
        (lambda house: house.bench.tamper(DeviceType.ESME, True), 0x0081, "security_log"),
        (lambda house: house.esme.report(0x0083), 0x0083, "security_log"),
    ],
)
def test_what_happens_is_logged_with_its_time(
    house: Any, cause: Callable[[Any], None], code: int, log: str
) -> None:
    house.wait(minutes=7)
    cause(house)
    assert (house.clock.now(), code) in house.esme.rows(log)
    assert (code in house.alert_codes()) == (code in ALERTING)


def test_a_change_of_tenancy_marks_its_moment(house: Any) -> None:
    house.esme.act("restrict_access")
    assert house.esme.get("access_restricted_before") == house.clock.now()


# Firmware


def send(meter: Any, image: bytes, *, size: int | None = None) -> None:
    meter.act("image_initiate", {"version": b"2.1.0", "size": len(image) if size is None else size})
    for number in range(-(-len(image) // 100)):
        meter.act("image_block", {"number": number, "block": image[100 * number :][:100]})


def test_an_image_is_taken_verified_and_then_activated(house: Any, events: Any) -> None:
    send(house.esme, make_image(b"new" * 200))
    house.esme.act("image_verify")
    assert (house.esme.get("firmware_version"), house.esme.get("firmware_pending")) == ("1.0.0", "2.1.0")
    house.esme.act("image_activate")
    assert (house.esme.get("firmware_version"), house.esme.get("firmware_pending")) == ("2.1.0", "")
    assert events(house.esme) == [0x0013, 0x0014]
    assert house.alert_codes() == [0x0014]


@pytest.mark.parametrize("wrong", ["a changed byte", "a missing block", "its size"])
def test_an_image_that_is_not_right_is_refused_and_told(house: Any, events: Any, wrong: str) -> None:
    image = make_image(b"new" * 200)
    sent = {"a changed byte": image[:-1] + b"!", "a missing block": image[:-100]}.get(wrong, image)
    send(house.esme, sent, size=len(image) + 50 * (wrong == "its size"))
    with pytest.raises(AccessRefused) as refused:
        house.esme.act("image_verify")
    assert refused.value.result == "other-reason"
    assert events(house.esme, "security_log") == [0x0084]
    assert house.alert_codes() == [0x0084]
    with pytest.raises(AccessRefused):
        house.esme.act("image_activate")
    assert house.esme.get("firmware_version") == "1.0.0"


@pytest.mark.parametrize("says", [b"GSME 2.1.0\n", b"ESME 2.0.0\n"])
def test_an_image_that_says_that_it_is_for_something_else_is_refused(
    house: Any, events: Any, says: bytes
) -> None:
    send(house.esme, make_image(says + b"new" * 200))
    with pytest.raises(AccessRefused, match="the image is"):
        house.esme.act("image_verify")
    assert events(house.esme, "security_log") == [0x0084]
    assert house.esme.get("firmware_pending") == ""


def test_an_image_that_says_what_it_is_is_taken(house: Any) -> None:
    send(house.esme, make_image(b"ESME 2.1.0\n" + b"new" * 200))
    house.esme.act("image_verify")
    assert house.esme.get("firmware_pending") == "2.1.0"


def test_a_block_sent_again_replaces_itself_and_one_too_many_is_refused(house: Any) -> None:
    image = make_image(b"x" * 100)
    send(house.esme, image)
    house.esme.act("image_block", {"number": 1, "block": image[100:]})
    with pytest.raises(AccessRefused):
        house.esme.act("image_block", {"number": 2, "block": b"more"})
    house.esme.act("image_verify")
    assert house.esme.get("firmware_pending") == "2.1.0"


def test_blocks_without_an_initiation_and_monstrous_images_are_refused(house: Any) -> None:
    with pytest.raises(AccessRefused):
        house.esme.act("image_block", {"number": 0, "block": b"x"})
    with pytest.raises(AccessRefused):
        house.esme.act("image_initiate", {"version": b"9", "size": 2**32 - 1})


# Display


def test_the_display_shows_what_a_customer_needs(house: Any) -> None:
    meter = house.esme
    meter.set("message", "Your bill is ready")
    meter.act("adjust_balance", 150_000)
    meter.set("payment_mode", "Prepayment")
    lines = meter.display().splitlines()
    assert lines[0] == "02 Mar 2026 09:10 UTC"
    assert lines[2:] == [
        "SUPPLY ENABLED",
        "CREDIT 1.50 GBP",
        "LOW CREDIT",
        "Example Supply",
        "Your bill is ready",
    ]
    assert house.gsme.display().splitlines()[1].endswith(" m3")


# Faults


def fault(point: Point, intercept: Callable[[Any], Any]) -> tuple[Fault, ...]:
    return (Fault("under-test", Place.ESME, point, "as the test says", intercept),)


def on(item: str, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda seen: change(seen.value) if seen.item == item else seen.value


def test_a_read_is_intercepted_whoever_asks_and_the_truth_stays(a_house: Build) -> None:
    house = a_house(faults=fault(Point.READ, on("active_import", lambda wh: wh // 1_000)))
    truth = sum(house.esme.get("tou_registers"))
    assert house.esme.get("active_import", 2) == house.esme.get("active_import") == truth // 1_000


def test_a_dropped_read_is_a_refusal(a_house: Build) -> None:
    house = a_house(faults=fault(Point.READ, on("voltage", lambda _: DROP)))
    with pytest.raises(AccessRefused) as refused:
        house.esme.get("voltage")
    assert refused.value.result == "temporary-failure"


def test_a_logs_rows_are_intercepted_as_they_are_read(a_house: Build) -> None:
    house = a_house(faults=fault(Point.READ, on("profile", lambda rows: rows[::2])), history_days=2)
    assert len(house.esme.rows("profile")) == 48


def test_the_fault_is_told_who_asks_which_device_and_when(a_house: Build) -> None:
    seen: list[Any] = []
    house = a_house(faults=fault(Point.READ, lambda passing: seen.append(dict(passing.details)) or 0))
    house.esme.get("voltage", 3)
    model = house.esme.device.model
    assert seen == [
        {
            "client": 3,
            "device_id": house.esme.device_id,
            "model": model.model,
            "firmware": model.firmware,
            "now": house.clock.now(),
        }
    ]


def test_a_write_is_changed_or_quietly_lost(a_house: Build) -> None:
    house = a_house(faults=fault(Point.WRITE, on("message", str.upper)))
    house.esme.set("message", "hello")
    assert house.esme.get("message") == "HELLO"
    house = a_house(faults=fault(Point.WRITE, on("message", lambda _: DROP)))
    house.esme.set("message", "hello")
    assert house.esme.get("message") == ""


def test_a_command_is_changed_or_acknowledged_and_not_done(a_house: Build) -> None:
    house = a_house(faults=fault(Point.ACTION, on("adjust_balance", lambda amount: -amount)))
    house.esme.act("adjust_balance", 5)
    assert house.esme.get("meter_balance") == -5
    house = a_house(faults=fault(Point.ACTION, on("disable_supply", lambda _: DROP)))
    house.esme.act("disable_supply")
    assert house.esme.get("supply_state") == "Enabled"


def test_what_is_counted_is_changed_and_the_bench_knows_better(a_house: Build) -> None:
    house = a_house(faults=fault(Point.TICK, on("active_import", lambda joules: joules * 2)))
    before = house.esme.get("active_import")
    house.bench.load(1_000)
    house.wait(hours=5)
    assert house.esme.get("active_import") - before == 10_000
    assert house.bench.reference().active_import == 5_000


def test_a_tick_that_goes_to_no_register_of_the_hour_breaks_their_sum(a_house: Build) -> None:
    house = a_house(faults=fault(Point.TICK, on("tou_registers", lambda _: DROP)))
    house.bench.load(1_000)
    house.wait(hours=1)
    assert house.esme.get("active_import") - sum(house.esme.get("tou_registers")) == 1_000


def test_a_log_entry_is_lost_or_changed(a_house: Build) -> None:
    house = a_house(faults=fault(Point.LOG, on("profile", lambda _: DROP)))
    house.bench.load(1_000)
    house.wait(hours=2)
    assert house.esme.rows("profile") == ()
    house = a_house(faults=fault(Point.LOG, on("event_log", lambda row: (row[0], 0x0002))))
    house.esme.set("message", "x")
    assert house.esme.rows("event_log") == ((house.clock.now(), 0x0002),)


def test_an_alert_is_lost_while_its_event_stays(a_house: Build) -> None:
    house = a_house(faults=fault(Point.ALERT, on("0081", lambda _: DROP)))
    house.bench.tamper(DeviceType.ESME, True)
    assert house.alerts == []
    assert house.esme.rows("security_log")[0][1] == 0x0081


def test_a_fault_of_another_place_changes_nothing(a_house: Build) -> None:
    elsewhere = Fault("elsewhere", Place.GSME, Point.READ, "as the test says", lambda _: 0)
    house = a_house(faults=(elsewhere,))
    assert house.esme.get("active_import") > 0
    assert house.gsme.get("gas_volume") == 0
