"""Future-dated requests that the device holds until their ExecutionDateTime (``Device`` in the catalogue).

How future dating works for SMETS1 devices (DUIS 1.4.4) was not found, so this is inferred: a device answers
at once that it holds what was sent, without the details of an execution (MMC schema), and alerts when it has
done it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import (
    Bench,
    Esme,
    EvidenceLog,
    LabClock,
    Meter,
    RigInHand,
    ServiceUser,
)
from harness.domain.words import PaymentMode
from test_packs.arrange import (
    GBP,
    Served,
    Unchanged,
    expect_held,
    one_price,
    power_cut,
    prepaying,
    watch_alerts,
)
from test_packs.consumption import Consume, expect_charge
from test_packs.estate import ask_dcc
from test_packs.images import another, put_baseline_back
from test_packs.prepayment import configuration
from test_packs.schedules import SECOND, TEN_MINUTES, ahead, future_dated, slack_of, until
from test_packs.tariffs import Tariff, all_day

pytestmark = pytest.mark.functional_group("Future dating")

_HELD: Final = "held_until"


@pytest.fixture
def baseline_put_back(rig: RigInHand, meter: Meter) -> Iterator[None]:
    """Leaves the meter on its baseline firmware, with no image waiting."""
    yield
    put_baseline_back(rig, meter)


@pytest.mark.srv("1.2.1")
@pytest.mark.ttm("TTM-1.2.1-E-05", "TTM-1.2.1-G-05")
@pytest.mark.devices("ESME", "GSME")
def test_a_price_is_charged_from_its_time_on(
    served: Served, unchanged: Unchanged, user: ServiceUser, meter: Meter, bench: Bench, clock: LabClock,
    consume: Consume, evidence: EvidenceLog,
) -> None:  # fmt: skip
    """SRV 1.2.1 future dated: the old price until then, over a power cut too; the new one after, alerted."""
    prepaying(meter)
    old, new = one_price(meter), 31_310
    at = ahead(clock, meter) + timedelta(minutes=40)
    tariff = Tariff(days=(all_day("tou", 1),), tou_prices=(new,))
    with unchanged(meter, but={_HELD}):
        content = served("1.2.1", meter, future_dated(at, tariff.prices(meter)))
    evidence.expect("details of what is to come", found=content.names(), expected=())
    expect_charge(evidence, meter, consume, TEN_MINUTES, old)
    power_cut(bench, clock)
    alerts = watch_alerts(user, clock, meter)
    until(clock, at - SECOND)
    evidence.expect("price a second before", found=meter.read("active_price"), expected=old)
    evidence.expect("alerts before", found=[alert.code for alert in alerts.all()], expected=[])
    clock.sleep(SECOND)
    expect_held(evidence, meter, "from its time on", tariff.held_prices(meter))
    alerts.expect_once(evidence, Event.FUTURE_DATED_DONE)
    told = [alert.timestamp for alert in alerts.all() if alert.code == Event.FUTURE_DATED_DONE.alert]
    evidence.expect("the alert's own time", found=told, expected=[at])
    expect_charge(evidence, meter, consume, TEN_MINUTES, new)


def _plan(meter: Meter, first: datetime) -> list[tuple[datetime, str, Any, Mapping[str, Any]]]:
    """When, SRV, body, and what the meter has to hold then: one request after the other."""
    tariff = Tariff(days=(all_day("tou", 2),), tou_prices=(11_110, 22_220), standing_charge=12_340)
    limits = {
        "emergency_credit_limit": 6 * GBP,
        "low_credit_threshold": 3 * GBP,
        "max_meter_balance": 200 * GBP,
        "debt_recovery_rate_cap": 20_000,
    }
    asks: list[tuple[str, Any, Mapping[str, Any]]] = [
        ("1.1.1", tariff.body(meter), tariff.held(meter)),
        ("2.1", configuration(meter), limits),
        ("1.6", {"Credit": None}, {"payment_mode": PaymentMode.CREDIT}),
    ]
    return [(first + number * TEN_MINUTES, *ask) for number, ask in enumerate(asks)]


@pytest.mark.srv("1.1.1", "1.6", "2.1")
@pytest.mark.ttm("TTM-1.1.1-E-07", "TTM-1.6-E-08", "TTM-2.1-E-06")
@pytest.mark.ttm("TTM-1.1.1-G-07", "TTM-1.6-G-08", "TTM-2.1-G-06")
@pytest.mark.devices("ESME", "GSME")
def test_each_of_several_takes_effect_at_its_own_time(
    served: Served, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 1.1.1, 2.1, 1.6 future dated, sent in no order: tariff, limits and mode change each at its time."""
    prepaying(meter)
    plan = _plan(meter, ahead(clock, meter))
    held = dict(meter.read_many([name for *_, due in plan for name in due]))
    for at, srv, body, _ in reversed(plan):
        served(srv, meter, future_dated(at, body))
    for at, srv, _, due in plan:
        until(clock, at - SECOND)
        expect_held(evidence, meter, f"before the time of {srv}", held)
        held |= due
        until(clock, at)
        expect_held(evidence, meter, f"from the time of {srv} on", held)


@pytest.mark.srv("6.4.1")
@pytest.mark.ttm("TTM-6.4.1-E-05")
@pytest.mark.devices("ESME")
def test_a_load_limit_applies_from_its_time_on(
    served: Served, esme: Esme, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.4.1 future dated: threshold and periods are as they were until then, and as sent from then on."""
    prepaying(esme)
    at = ahead(clock, esme)
    body = {
        "LoadLimitPeriod": 47,
        "LoadLimitPowerThreshold": 12_345,
        "LoadLimitRestorationPeriod": 1_801,
        "LoadLimitSupplyState": "Unchanged",
    }
    due = {"load_limit_period": 47, "load_limit_threshold": 12_345, "load_limit_restoration_period": 1_801}
    before = dict(esme.read_many(tuple(due)))
    served("6.4.1", esme, future_dated(at, body))
    until(clock, at - SECOND)
    expect_held(evidence, esme, "before its time", before)
    clock.sleep(SECOND)
    expect_held(evidence, esme, "from its time on", due)


@pytest.mark.srv("11.1", "11.3")
@pytest.mark.ttm("TTM-11.3-E-05", "TTM-11.3-G-05")
@pytest.mark.devices("ESME", "GSME")
@pytest.mark.usefixtures("baseline_put_back")
def test_firmware_runs_from_its_time_on(
    served: Served, user: ServiceUser, rig: RigInHand, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 11.3 future dated: the image waits until then, and runs from then on, alerted."""
    image, running = another(rig, meter), meter.identity().firmware
    ask_dcc(evidence, user, "11.1", meter, image.update(meter.device_id))
    clock.sleep(slack_of(meter))
    at = ahead(clock, meter)
    content = served("11.3", meter, future_dated(at, {"FirmwareHash": image.digest}))
    evidence.expect("details of what is to come", found=content.names(), expected=())
    alerts = watch_alerts(user, clock, meter)
    until(clock, at - SECOND)
    evidence.expect("what runs before", found=meter.identity().firmware, expected=running)
    evidence.expect("alerts before", found=[alert.code for alert in alerts.all()], expected=[])
    clock.sleep(SECOND)
    evidence.expect("what runs from then on", found=meter.identity().firmware, expected=image.version)
    alerts.expect_once(evidence, Event.FIRMWARE_ACTIVATED)
