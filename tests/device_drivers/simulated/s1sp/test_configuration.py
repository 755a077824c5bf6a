"""Device configuration (SRV 6.2.x to 6.20.x), customer management (3.x) and the clock (6.11, 8.1.1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from harness.domain.words import DeviceType

ESME, GSME = DeviceType.ESME, DeviceType.GSME

RMS = {
    "RMSExtremeOverVoltageMeasurementPeriod": 11,
    "RMSExtremeOverVoltageThreshold": 265,
    "RMSExtremeUnderVoltageMeasurementPeriod": 12,
    "RMSExtremeUnderVoltageThreshold": 190,
    "RMSVoltageSagMeasurementPeriod": 13,
    "RMSVoltageSagThreshold": 180,
    "RMSVoltageSwellMeasurementPeriod": 14,
    "RMSVoltageSwellThreshold": 270,
}
AVERAGE = {
    "AverageRMSOverVoltageThreshold": 254,
    "AverageRMSUnderVoltageThreshold": 214,
    "AverageRMSVoltageMeasurementPeriod": 600,
}


VOLTAGE_HELD = {
    "rms_extreme_over_voltage_period": 11,
    "rms_extreme_over_voltage_threshold": 265,
    "rms_extreme_under_voltage_period": 12,
    "rms_extreme_under_voltage_threshold": 190,
    "rms_voltage_sag_period": 13,
    "rms_voltage_sag_threshold": 180,
    "rms_voltage_swell_period": 14,
    "rms_voltage_swell_threshold": 270,
    "average_rms_over_voltage_threshold": 254,
    "average_rms_under_voltage_threshold": 214,
    "average_rms_voltage_period": 600,
}


def test_voltage_settings_are_written_and_read(bed: Any) -> None:
    bed.done("6.5", ESME, {"RMSVoltageSettings": RMS, "SinglePhaseVoltageSettings": AVERAGE})
    assert {name: bed.twin(ESME).get(name) for name in VOLTAGE_HELD} == VOLTAGE_HELD
    read = bed.done("6.2.1", ESME)
    assert {name: read.integer(f"RMSVoltageSettings/{name}") for name in RMS} == RMS
    assert read.integer("SinglePhaseVoltageSettings/AverageRMSUnderVoltageThreshold") == 214


@pytest.mark.parametrize(("keep", "counter"), [(False, 0), (True, 5)])
def test_voltage_counters_start_anew_unless_the_request_says_not(bed: Any, keep: bool, counter: int) -> None:
    bed.twin(ESME).values["average_rms_over_voltage_counter"] = 5
    body = {"RMSVoltageSettings": RMS, "SinglePhaseVoltageSettings": AVERAGE}
    bed.done("6.5", ESME, body | ({"RMSVoltageCountersNotReset": None} if keep else {}))
    assert bed.twin(ESME).get("average_rms_over_voltage_counter") == counter


def test_settings_for_three_phases_are_refused(bed: Any) -> None:
    phases = [{"Phase": phase, "PhaseVoltageSettings": AVERAGE} for phase in (1, 2, 3)]
    body = {"RMSVoltageSettings": RMS, "PolyPhaseVoltageSettings": phases}
    assert "single-phase" in bed.refused("6.5", ESME, body)


YEARLY = {"DayOfMonth": 6, "BillingPeriodStartMonth": 4}


@pytest.mark.parametrize(
    ("period", "held"),
    [
        ({"Daily": None}, ("Daily", 1, 1)),
        ({"Weekly": 3}, ("Weekly", 3, 1)),
        ({"Monthly": 28}, ("Monthly", 28, 1)),
        ({"Quarterly": YEARLY}, ("Quarterly", 6, 4)),
        ({"Yearly": YEARLY}, ("Yearly", 6, 4)),
    ],
)
def test_an_electricity_billing_calendar_is_written_and_read(bed: Any, period: Any, held: Any) -> None:
    bed.done("6.8", ESME, {"ElectricityBillingCalendar": {"BillingTime": "02:30:00Z", **period}})
    calendar = bed.twin(ESME).get("billing_calendar")
    assert (calendar["periodicity"], calendar["day"], calendar["month"]) == held
    assert (calendar["hour"], calendar["minute"]) == (2, 30)
    read = bed.done("6.2.3", ESME)
    assert read.text("BillingCalendar/ElectricityBillingCalendar/BillingTime") == "02:30:00Z"
    (name,) = period
    assert f"BillingCalendar/ElectricityBillingCalendar/{name}" in read


@pytest.mark.parametrize(
    ("sent", "periodicity", "read_back"),
    [
        ("2025-03-01T06:00:00Z", "Monthly", "2025-03-01T06:00:00Z"),
        ("2024-12-05T06:00:00Z", "Quarterly", "2024-12-05T06:00:00Z"),
        ("2024-04-06T00:00:00Z", "Yearly", "2024-04-06T00:00:00Z"),
        ("2025-02-24T01:00:00Z", "Weekly", "2025-03-03T01:00:00Z"),
        ("2025-01-01T09:30:00Z", "Daily", "2025-03-02T09:30:00Z"),
    ],
)
def test_a_gas_billing_calendar_is_read_as_the_period_that_runs(
    bed: Any, sent: str, periodicity: str, read_back: str
) -> None:
    bed.done("6.8", GSME, {"GasBillingCalendar": {"BillingPeriodStart": sent, "Periodicity": periodicity}})
    read = bed.done("6.2.3", GSME)
    assert bed.twins.clock.now() < datetime(2025, 3, 3, 9, 30, tzinfo=UTC)
    assert read.time("BillingCalendar/GasBillingCalendar/BillingPeriodStart") == datetime.fromisoformat(
        read_back
    )


def test_a_billing_day_that_not_every_month_has_is_refused(bed: Any) -> None:
    start = {"BillingPeriodStart": "2025-01-31T00:00:00Z", "Periodicity": "Monthly"}
    assert "billing day" in bed.refused("6.8", GSME, {"GasBillingCalendar": start})


@pytest.mark.parametrize("device", [ESME, GSME])
def test_identity_is_that_of_the_device(bed: Any, device: DeviceType) -> None:
    read = bed.done("6.2.4", device)
    assert read.text("DeviceIdentifier") == bed.twin(device).device_id
    assert read.text("ManufacturerIdentifier") == bed.twin(device).get("manufacturer")[:32]
    assert read.text("ModelType") == bed.twin(device).get("model")[:8]


def test_power_thresholds_are_written_and_read(bed: Any) -> None:
    bed.done("6.12", ESME, {"LowMediumPowerThreshold": 700, "MediumHighPowerThreshold": 4_000})
    read = bed.done("6.2.5", ESME)
    assert (read.integer("LowMediumPowerThreshold"), read.integer("MediumHighPowerThreshold")) == (700, 4_000)


def test_power_thresholds_the_wrong_way_round_are_refused(bed: Any) -> None:
    body = {"LowMediumPowerThreshold": 701, "MediumHighPowerThreshold": 700}
    assert "above" in bed.refused("6.12", ESME, body)


def test_mpans_are_written_and_read(bed: Any) -> None:
    bed.done("6.20.1", ESME, {"ImportMPANs": {"ImportMPAN": "1200000000001"}})
    bed.done("6.20.2", ESME, {"ExportMPAN": "1200000000002"})
    read = bed.done("6.2.7", ESME)
    assert read.text("Electricity/ImportMPAN") == "1200000000001"
    assert read.text("Electricity/ExportMPAN") == "1200000000002"


def test_an_mprn_is_written_and_read(bed: Any) -> None:
    bed.done("6.20.1", GSME, {"ImportMPRN": "7400000001"})
    assert bed.twin(GSME).get("import_mpxn") == "7400000001"
    assert bed.done("6.2.7", GSME).text("Gas/MPRN") == "7400000001"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"ImportMPANs": {"ImportMPAN": "12000000000AB"}}, "digits"),
        (
            {"ImportMPANs": {"ImportMPAN": "1200000000001", "SecondaryImportMPAN": "1200000000002"}},
            "secondary",
        ),
        ({"ImportMPRN": "7400000001"}, "ImportMPRN"),
    ],
)
def test_an_mpxn_that_does_not_fit_is_refused(bed: Any, body: Any, why: str) -> None:
    assert why in bed.refused("6.20.1", ESME, body)


FLOW = {
    "SupplyDepletionState": "Locked",
    "SupplyTamperState": "Locked",
    "StabilisationPeriod": 9,
    "MeasurementPeriod": 30,
}


def test_gas_settings_are_written_and_read(bed: Any) -> None:
    bed.done("6.6", GSME, {"CalorificValue": Decimal("38.7"), "ConversionFactor": Decimal("1.02300")})
    bed.done("6.7", GSME, {"UncontrolledGasFlowRateDecimal": Decimal("0.025"), **FLOW})
    read = bed.done("6.2.8", GSME)
    assert read.decimal("CalorificValue") == Decimal("38.7")
    assert read.decimal("ConversionFactor") == Decimal("1.023")
    assert read.decimal("UncontrolledGasFlowRate") == Decimal("0.025")
    assert (read.integer("FlowStabilisationPeriod"), read.integer("FlowMeasurementPeriod")) == (9, 30)
    assert bed.twin(GSME).get("supply_depletion_state") == "Locked"
    assert bed.done("6.2.4", GSME).text("Gas/SupplyTamperState") == "Locked"


def test_a_flow_rate_finer_than_the_meter_keeps_is_refused(bed: Any) -> None:
    body = {"UncontrolledGasFlowRateDecimal": Decimal("0.0251"), **FLOW}
    assert "3 decimal places" in bed.refused("6.7", GSME, body)


def test_a_calorific_value_of_nothing_is_refused_by_the_meter(bed: Any) -> None:
    body = {"CalorificValue": Decimal("0.0"), "ConversionFactor": Decimal("1.02300")}
    assert "calorific_value" in bed.refused("6.6", GSME, body)


def test_load_limit_settings_are_what_the_meter_holds(bed: Any) -> None:
    body = {
        "LoadLimitPeriod": 45,
        "LoadLimitPowerThreshold": 9_000,
        "LoadLimitRestorationPeriod": 90,
        "LoadLimitSupplyState": "Disable",
    }
    bed.done("6.4.1", ESME, body)
    meter = bed.twin(ESME)
    assert (meter.get("load_limit_threshold"), meter.get("load_limit_period")) == (9_000, 45)
    assert meter.get("load_limit_restoration_period") == 90
    assert meter.get("load_limit_supply_state") == "Disable"


def test_the_load_limit_counter_starts_anew(bed: Any) -> None:
    bed.twin(ESME).values["load_limit_counter"] = 3
    bed.done("6.4.2", ESME)
    assert bed.twin(ESME).get("load_limit_counter") == 0


@pytest.mark.parametrize("srv", ["6.11", "8.1.1"])
@pytest.mark.parametrize("device", [ESME, GSME])
def test_the_clock_is_set_to_lab_time(bed: Any, srv: str, device: DeviceType) -> None:
    meter = bed.twin(device)
    meter.set("clock", bed.twins.clock.now() + timedelta(minutes=7))
    read = bed.done(srv, device, {"CurrentDateTime": bed.twins.clock.now(), "TolerancePeriod": 3600})
    assert abs(meter.get("clock") - bed.twins.clock.now()) < timedelta(seconds=1)
    assert abs(read.time("DeviceTime") - bed.twins.clock.now()) < timedelta(seconds=1)


def test_a_time_outside_its_tolerance_leaves_the_clock_alone(bed: Any) -> None:
    meter = bed.twin(ESME)
    meter.set("clock", bed.twins.clock.now() + timedelta(minutes=7))
    late = bed.twins.clock.now() - timedelta(seconds=61)
    assert "tolerance" in bed.refused("6.11", ESME, {"CurrentDateTime": late, "TolerancePeriod": 60})
    assert meter.get("clock") - bed.twins.clock.now() == timedelta(minutes=7)


@pytest.mark.parametrize("device", [ESME, GSME])
def test_access_is_restricted_from_the_change_of_tenancy_on(bed: Any, device: DeviceType) -> None:
    moment = bed.twins.clock.now() - timedelta(days=3)
    bed.done("3.2", device, {"RestrictionDateTime": moment})
    assert bed.twin(device).get("access_restricted_before") == moment


def test_a_change_of_tenancy_to_come_is_refused(bed: Any) -> None:
    later = bed.twins.clock.now() + timedelta(days=1)
    assert "future" in bed.refused("3.2", ESME, {"RestrictionDateTime": later})


@pytest.mark.parametrize("device", [ESME, GSME])
def test_the_event_log_is_emptied(bed: Any, device: DeviceType) -> None:
    bed.twin(device).set("supplier_name", "Another")
    before = bed.twin(device).rows("event_log")
    bed.done("3.3", device, {"ESMEEventLogType": "ESME"} if device is ESME else None)
    assert not set(before) & set(bed.twin(device).rows("event_log"))


def test_an_alcs_event_log_is_refused(bed: Any) -> None:
    assert "ALCS" in bed.refused("3.3", ESME, {"ESMEEventLogType": "ALCS"})
