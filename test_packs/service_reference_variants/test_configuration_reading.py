"""Service group 6: configuration read from a meter (SRV 6.2.3, 6.2.4, 6.2.5, 6.2.7, 6.2.8, 6.2.9)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from harness.domain.instruments import Bench, Esme, EvidenceLog, Gsme, LabClock, Meter, RigInHand
from harness.domain.words import DeviceType
from test_packs.arrange import Served, Unchanged, crediting, power_cut, prepaying, put
from test_packs.calendars import CALENDARS, held_calendar, told_calendar
from test_packs.content import expect_content

pytestmark = pytest.mark.functional_group("6 Device management")

_MONTHS: Final = {"Monthly": 1, "Quarterly": 3, "SixMonthly": 6, "Yearly": 12}
_CHARACTERS: Final = {"ModelType": 8, "ManufacturerIdentifier": 32}  # that the schema has room for


@pytest.mark.srv("6.2.3")
@pytest.mark.ttm("TTM-6.2.3-E-01", "TTM-6.2.3-E-02")
@pytest.mark.devices("ESME")
def test_an_electricity_billing_calendar_of_every_kind_is_told(
    served: Served, unchanged: Unchanged, esme: Esme, evidence: EvidenceLog
) -> None:
    """SRV 6.2.3: daily, weekly, … yearly: the billing time and day are told as the meter holds them."""
    for periodicity, parts in CALENDARS:
        calendar = held_calendar(periodicity, parts)
        put(esme, {"billing_calendar": calendar})
        with unchanged(esme):
            payload = served("6.2.3", esme)
        due = {"BillingCalendar": {"ElectricityBillingCalendar": told_calendar(calendar)}}
        expect_content(evidence, f"{periodicity} calendar", payload, due)


@pytest.mark.srv("6.2.3")
@pytest.mark.ttm("TTM-6.2.3-G-01", "TTM-6.2.3-G-02")
@pytest.mark.devices("GSME")
def test_a_gas_billing_calendar_of_every_kind_is_told(
    served: Served, unchanged: Unchanged, gsme: Gsme, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.2.3: daily, weekly, … yearly: periodicity and start of the billing period in hand are told."""
    for periodicity, parts in CALENDARS:
        half_a_day_away = {"hour": (clock.now().hour + 12) % 24}
        calendar = held_calendar(periodicity, parts) | half_a_day_away
        put(gsme, {"billing_calendar": calendar})
        with unchanged(gsme):
            payload = served("6.2.3", gsme)
        gas = {"BillingPeriodStart": _start(calendar, clock.now()), "Periodicity": periodicity}
        due = {"BillingCalendar": {"GasBillingCalendar": gas}}
        expect_content(evidence, f"{periodicity} calendar", payload, due)


def _start(calendar: Mapping[str, Any], now: datetime) -> datetime:
    """When the billing period began that runs now."""
    begins = now.replace(hour=calendar["hour"], minute=calendar["minute"], second=0, microsecond=0)
    while begins > now or not _begins(calendar, begins):
        begins -= timedelta(days=1)
    return begins


def _begins(calendar: Mapping[str, Any], moment: datetime) -> bool:
    match calendar["periodicity"]:
        case "Daily":
            return True
        case "Weekly":
            return bool(moment.isoweekday() == calendar["day"])
        case periodicity:
            months = (moment.month - calendar["month"]) % _MONTHS[periodicity]
            return bool(moment.day == calendar["day"] and months == 0)


@pytest.mark.srv("6.2.4")
@pytest.mark.ttm("TTM-6.2.4-E-01", "TTM-6.2.4-E-02", "TTM-6.2.4-G-01", "TTM-6.2.4-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_identity_is_told_as_the_lab_knows_it(
    served: Served, unchanged: Unchanged, rig: RigInHand, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 6.2.4: the meter's id, model and manufacturer are those of the rig; its tamper states are told."""
    known = rig.rig.devices[meter.device_type]
    gas = meter.device_type is DeviceType.GSME
    names = {"ModelType": known.model.model, "ManufacturerIdentifier": known.model.manufacturer}
    identity = {"DeviceIdentifier": known.device_id} | {
        element: name[: _CHARACTERS[element]] for element, name in names.items()
    }
    for tamper, depletion in (("Locked", "Unchanged"), ("Unchanged", "Locked")):
        states = {"SupplyTamperState": tamper} | ({"SupplyDepletionState": depletion} if gas else {})
        put(meter, {"supply_tamper_state": tamper} | ({"supply_depletion_state": depletion} if gas else {}))
        with unchanged(meter):
            payload = served("6.2.4", meter)
        fuel = "Gas" if gas else "Electricity"
        expect_content(evidence, "identity and states", payload, identity | {fuel: states})


@pytest.mark.srv("6.2.5")
@pytest.mark.ttm("TTM-6.2.5-E-01", "TTM-6.2.5-E-02")
@pytest.mark.devices("ESME")
def test_power_thresholds_are_told(
    served: Served, unchanged: Unchanged, esme: Esme, evidence: EvidenceLog
) -> None:
    """SRV 6.2.5: both power thresholds are told in W, each in its place."""
    for low, high in ((0, 0xFFFF_FFFF), (1_234, 5_678)):
        put(esme, {"low_medium_power_threshold": low, "medium_high_power_threshold": high})
        with unchanged(esme):
            payload = served("6.2.5", esme)
        due = {"LowMediumPowerThreshold": low, "MediumHighPowerThreshold": high}
        expect_content(evidence, "power thresholds", payload, due)


@pytest.mark.srv("6.2.7")
@pytest.mark.ttm("TTM-6.2.7-E-01", "TTM-6.2.7-E-02", "TTM-6.2.7-G-01", "TTM-6.2.7-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_supply_numbers_are_told_as_the_lab_knows_them(
    served: Served, unchanged: Unchanged, rig: RigInHand, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 6.2.7: MPANs or MPRN are those of the rig; another one put into the meter is told instead."""
    if meter.device_type is DeviceType.GSME:
        items, numbers = {"MPRN": "import_mpxn"}, {"MPRN": rig.rig.mprn}
        others = {"MPRN": "9900000999"}
    else:
        items = {"ImportMPAN": "import_mpxn", "ExportMPAN": "export_mpan"}
        numbers = {"ImportMPAN": rig.rig.mpan, "ExportMPAN": rig.rig.export_mpan}
        others = {"ImportMPAN": "9900000998015", "ExportMPAN": "9900000998024"}
    for known in (numbers, others):
        if known is others:
            put(meter, {item: others[element] for element, item in items.items()})
        with unchanged(meter):
            payload = served("6.2.7", meter)
        told = {element: number for element, number in known.items() if number}
        fuel = "Gas" if meter.device_type is DeviceType.GSME else "Electricity"
        expect_content(evidence, "supply numbers", payload, {fuel: told})


@pytest.mark.srv("6.2.8")
@pytest.mark.ttm("TTM-6.2.8-G-01", "TTM-6.2.8-G-02")
@pytest.mark.devices("GSME")
def test_gas_settings_are_told(
    served: Served,
    unchanged: Unchanged,
    gsme: Gsme,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 6.2.8: calorific value, conversion factor, flow rate and periods are told, over a power cut too."""
    due = {
        "CalorificValue": ("calorific_value", Decimal("38.7")),
        "ConversionFactor": ("conversion_factor", Decimal("1.03456")),
        "UncontrolledGasFlowRate": ("uncontrolled_gas_flow_rate", Decimal("0.123")),
        "FlowStabilisationPeriod": ("flow_stabilisation_period", 17),
        "FlowMeasurementPeriod": ("flow_measurement_period", 290),
    }
    put(gsme, dict(due.values()))
    for when in ("as put there", "after a power cut"):
        with unchanged(gsme):
            payload = served("6.2.8", gsme)
        settings = {element: value for element, (_, value) in due.items()}
        expect_content(evidence, f"gas settings {when}", payload, settings)
        power_cut(bench, clock)


@pytest.mark.srv("6.2.9")
@pytest.mark.ttm("TTM-6.2.9-E-01", "TTM-6.2.9-E-02", "TTM-6.2.9-G-01", "TTM-6.2.9-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_payment_mode_and_debt_suspension_are_told(
    served: Served, unchanged: Unchanged, meter: Meter, evidence: EvidenceLog
) -> None:
    """SRV 6.2.9: the payment mode and both suspension flags are told in every combination that matters."""
    for mode, emergency, disabled in (
        ("Prepayment", True, False),
        ("Credit", False, True),
        ("Prepayment", False, False),
        ("Credit", True, True),
    ):
        prepaying(meter) if mode == "Prepayment" else crediting(meter)
        put(meter, {"suspend_debt_emergency": emergency, "suspend_debt_disabled": disabled})
        with unchanged(meter):
            payload = served("6.2.9", meter)
        due = {"PaymentMode": mode, "SuspendDebtEmergency": emergency, "SuspendDebtDisabled": disabled}
        expect_content(evidence, "payment mode", payload, due)
