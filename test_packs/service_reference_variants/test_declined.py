"""Requests that the DCC admits and the S1SP or the meter must decline: what they ask for cannot be.

What is beyond a device, or contradicts itself, is inferred from the elements of the request.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from harness.domain.instruments import Body, Device, Esme, EvidenceLog, Gsme, LabClock, Meter
from harness.domain.words import SupplyState
from test_packs.arrange import GBP, Declined, Unchanged, prepaying, put
from test_packs.calendars import held_calendar, told_calendar
from test_packs.tariffs import Tariff, all_day

pytestmark = pytest.mark.functional_group("Refusals")

_DAY: Final = timedelta(days=1)


def _decline_all(
    declined: Declined, unchanged: Unchanged, meter: Device, asks: Iterable[tuple[str, Body]]
) -> None:
    """Each request is declined with a reason, and nothing changes or is logged on any device."""
    with unchanged(meter, events=[]):
        for srv, body in asks:
            declined(srv, meter, body)


def _impossible_tariffs(meter: Device) -> list[Body]:
    """A week of days that the tariff has not got, thresholds that fall, registers without a price."""
    right = Tariff(days=(all_day("tou", 1),), tou_prices=(1_234, 2_345))
    wrong = (
        replace(right, weeks=((4,) * 7,)),
        replace(right, thresholds=((3_000, 2_000, 1_000),)),
        replace(right, days=(all_day("block", 1),)),
    )
    return [tariff.body(meter) for tariff in wrong]


@pytest.mark.srv("1.1.1", "1.5", "3.2", "8.1.1")
@pytest.mark.ttm("TTM-DEC-01-E-01", "TTM-DEC-01-G-01")
@pytest.mark.devices("ESME", "GSME")
def test_what_cannot_be_is_declined_by_either_meter(
    declined: Declined, unchanged: Unchanged, meter: Meter, clock: LabClock
) -> None:
    """SRV 1.1.1, 1.5, 3.2, 8.1.1: a tariff without sense, too much credit, a day to come, a wrong time."""
    prepaying(meter, balance=10 * GBP, max_meter_balance=20 * GBP)
    later = clock.now() + _DAY
    _decline_all(declined, unchanged, meter, [
        *(("1.1.1", body) for body in _impossible_tariffs(meter)),
        ("1.5", {"PrepaymentMode": {"AdjustMeterBalance": 10 * GBP + 1}}),
        ("3.2", {"RestrictionDateTime": f"{later:%Y-%m-%dT%H:%M:%SZ}"}),
        ("8.1.1", {"CurrentDateTime": later, "TolerancePeriod": 3_600}),
    ])  # fmt: skip


@pytest.mark.srv("3.3", "6.8", "6.12")
@pytest.mark.ttm("TTM-DEC-02-E-01")
@pytest.mark.devices("ESME")
def test_what_is_not_for_an_electricity_meter_is_declined(
    declined: Declined, unchanged: Unchanged, esme: Esme, clock: LabClock
) -> None:
    """SRV 3.3, 6.8, 6.12: an ALCS log, a gas calendar, a low threshold above the high one."""
    calendar = {"BillingPeriodStart": clock.now() + _DAY, "Periodicity": "Daily"}
    _decline_all(declined, unchanged, esme, [
        ("3.3", {"ESMEEventLogType": "ALCS"}),
        ("6.8", {"GasBillingCalendar": calendar}),
        ("6.12", {"LowMediumPowerThreshold": 4_322, "MediumHighPowerThreshold": 4_321}),
    ])  # fmt: skip


@pytest.mark.srv("6.8")
@pytest.mark.ttm("TTM-DEC-02-G-01")
@pytest.mark.devices("GSME")
def test_what_is_not_for_a_gas_meter_is_declined(
    declined: Declined, unchanged: Unchanged, gsme: Gsme
) -> None:
    """SRV 6.8: an electricity calendar is declined, and the gas meter keeps its own."""
    calendar: dict[str, Any] = told_calendar(held_calendar("Daily", {"hour": 4, "minute": 30}))
    _decline_all(declined, unchanged, gsme, [("6.8", {"ElectricityBillingCalendar": calendar})])


@pytest.mark.srv("7.1")
@pytest.mark.ttm("TTM-7.1-E-06")
@pytest.mark.devices("ESME")
def test_a_supply_without_credit_is_not_enabled(
    declined: Declined, unchanged: Unchanged, esme: Esme, evidence: EvidenceLog
) -> None:
    """SRV 7.1: where a prepaying meter has cut the supply for want of credit, enabling is declined."""
    prepaying(esme, balance=GBP)
    put(esme, {"meter_balance": -GBP})
    evidence.expect("supply without credit", found=esme.supply(), expected=SupplyState.DISABLED)
    with unchanged(esme, events=[]):
        declined("7.1", esme)
    evidence.expect("supply afterwards", found=esme.supply(), expected=SupplyState.DISABLED)
    put(esme, {"meter_balance": 10 * GBP})
