"""Service group 6, device configuration (SRV 6.2.x, 6.4.x, 6.5, 6.6, 6.7, 6.8, 6.12, 6.20.x)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from device_drivers.simulated.s1sp.content import chosen, clock_time, day_time, within
from device_drivers.simulated.s1sp.refusal import NOT_FOR_THIS_DEVICE, OUT_OF_RANGE, Refused
from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.instruments import Body

_UINT32_MAX: Final = 0xFFFF_FFFF
_MODEL_LIMIT: Final = 8  # characters that the schema has room for
_MANUFACTURER_LIMIT: Final = 32
_RMS: Final = {
    "RMSExtremeOverVoltageMeasurementPeriod": "rms_extreme_over_voltage_period",
    "RMSExtremeOverVoltageThreshold": "rms_extreme_over_voltage_threshold",
    "RMSExtremeUnderVoltageMeasurementPeriod": "rms_extreme_under_voltage_period",
    "RMSExtremeUnderVoltageThreshold": "rms_extreme_under_voltage_threshold",
    "RMSVoltageSagMeasurementPeriod": "rms_voltage_sag_period",
    "RMSVoltageSagThreshold": "rms_voltage_sag_threshold",
    "RMSVoltageSwellMeasurementPeriod": "rms_voltage_swell_period",
    "RMSVoltageSwellThreshold": "rms_voltage_swell_threshold",
}
_AVERAGE: Final = {
    "AverageRMSOverVoltageThreshold": "average_rms_over_voltage_threshold",
    "AverageRMSUnderVoltageThreshold": "average_rms_under_voltage_threshold",
}
_AVERAGE_PERIOD: Final = {"AverageRMSVoltageMeasurementPeriod": "average_rms_voltage_period"}
_LOAD_LIMIT: Final = {
    "LoadLimitPeriod": "load_limit_period",
    "LoadLimitPowerThreshold": "load_limit_threshold",
    "LoadLimitRestorationPeriod": "load_limit_restoration_period",
}
_POWER_THRESHOLDS: Final = {
    "LowMediumPowerThreshold": "low_medium_power_threshold",
    "MediumHighPowerThreshold": "medium_high_power_threshold",
}


def read_voltage(job: Job) -> Body:
    """SRV 6.2.1: voltage thresholds (V) and periods (s)."""
    held = job.read(_AVERAGE | _RMS)
    return {
        "SinglePhaseVoltageSettings": {element: held[element] for element in _AVERAGE},
        "RMSVoltageSettings": {element: held[element] for element in _RMS},
    }


def update_voltage(job: Job) -> Body:
    """SRV 6.5: the settings of a single-phase meter; its counters start anew unless the request says not."""
    if "PolyPhaseVoltageSettings" in job.body.names():
        raise Refused(
            NOT_FOR_THIS_DEVICE, "the request holds PolyPhaseVoltageSettings; the meter is single-phase"
        )
    job.write(
        _numbers(job, _RMS, "RMSVoltageSettings/")
        | _numbers(job, _AVERAGE | _AVERAGE_PERIOD, "SinglePhaseVoltageSettings/")
    )
    if "RMSVoltageCountersNotReset" not in job.body.names():
        job.device.perform("reset_voltage_counters")
    return None


def _numbers(job: Job, elements: Mapping[str, str], above: str = "") -> dict[str, int]:
    return {
        item: within(element, job.body.integer(above + element), 0, _UINT32_MAX)
        for element, item in elements.items()
    }


def read_billing_calendar(job: Job) -> Body:
    """SRV 6.2.3: the billing calendar.

    A gas meter's is told as the start of the billing period that runs now: the meter keeps no first start.
    """
    calendar = job.device.read("billing_calendar")
    if job.gas:
        gas = {
            "BillingPeriodStart": _period_start(calendar, job.now()),
            "Periodicity": calendar["periodicity"],
        }
        return {"BillingCalendar": {"GasBillingCalendar": gas}}
    electricity = {"BillingTime": clock_time(calendar["hour"], calendar["minute"]), **_period(calendar)}
    return {"BillingCalendar": {"ElectricityBillingCalendar": electricity}}


def _period(calendar: Mapping[str, Any]) -> dict[str, Any]:
    match calendar["periodicity"]:
        case "Daily":
            return {"Daily": None}
        case "Weekly" | "Monthly" as periodicity:
            return {periodicity: calendar["day"]}
        case periodicity:
            first = {"DayOfMonth": calendar["day"], "BillingPeriodStartMonth": calendar["month"]}
            return {periodicity: first}


_MONTHS: Final = {"Monthly": 1, "Quarterly": 3, "SixMonthly": 6, "Yearly": 12}


def _period_start(calendar: Mapping[str, Any], now: datetime) -> datetime:
    """The last moment, not after ``now``, at which the calendar starts a billing period."""
    start = now.replace(hour=calendar["hour"], minute=calendar["minute"], second=0, microsecond=0)
    months = _MONTHS.get(calendar["periodicity"])
    while start > now or not _starts(calendar, months, start):
        start -= timedelta(days=1)
    return start


def _starts(calendar: Mapping[str, Any], months: int | None, day: datetime) -> bool:
    if months is None:
        return bool(calendar["periodicity"] == "Daily" or day.isoweekday() == calendar["day"])
    return bool(day.day == calendar["day"] and (day.month - calendar["month"]) % months == 0)


def update_billing_calendar(job: Job) -> Body:
    """SRV 6.8: when billing periods start, at a whole minute of UTC and on the 28th at the latest."""
    body = job.branch("ElectricityBillingCalendar", "GasBillingCalendar")
    if job.gas:
        start, periodicity = body.time("BillingPeriodStart"), body.text("Periodicity")
        day = start.isoweekday() if periodicity == "Weekly" else within("the billing day", start.day, 1, 28)
        hour, minute, month = start.hour, start.minute, start.month
    else:
        hour, minute = day_time(body, "BillingTime")
        periodicity = chosen(body, "Daily", "Weekly", *_MONTHS)
        day, month = 1, 1
        if periodicity in ("Weekly", "Monthly"):
            day = body.integer(periodicity)
        elif periodicity != "Daily":
            day = body.integer(f"{periodicity}/DayOfMonth")
            month = body.integer(f"{periodicity}/BillingPeriodStartMonth")
    calendar = {"periodicity": periodicity, "hour": hour, "minute": minute, "day": day, "month": month}
    job.device.write("billing_calendar", calendar)
    return None


def read_identity(job: Job) -> Body:
    """SRV 6.2.4: device id, model and manufacturer, as much of each as the schema has room for."""
    held = job.device.read_many(("device_id", "model", "manufacturer", "supply_tamper_state"))
    state = {"SupplyTamperState": held["supply_tamper_state"]}
    if job.gas:
        state["SupplyDepletionState"] = job.device.read("supply_depletion_state")
    return {
        "DeviceIdentifier": held["device_id"],
        "ModelType": held["model"][:_MODEL_LIMIT],
        "ManufacturerIdentifier": held["manufacturer"][:_MANUFACTURER_LIMIT],
        **(job.fuel(state) or {}),
    }


def read_power_thresholds(job: Job) -> Body:
    """SRV 6.2.5: the power thresholds of the meter's ambient display, in W."""
    return job.read(_POWER_THRESHOLDS)


def update_power_thresholds(job: Job) -> Body:
    """SRV 6.12: the power thresholds in W, low to medium below medium to high."""
    settings = _numbers(job, _POWER_THRESHOLDS)
    if settings["low_medium_power_threshold"] > settings["medium_high_power_threshold"]:
        raise Refused(OUT_OF_RANGE, "LowMediumPowerThreshold is above MediumHighPowerThreshold")
    job.write(settings)
    return None


def read_mpxn(job: Job) -> Body:
    """SRV 6.2.7: MPAN or MPRN; what the meter does not hold is left out."""
    if job.gas:
        return {"Gas": _present(job.read({"MPRN": "import_mpxn"}))}
    return {"Electricity": _present(job.read({"ImportMPAN": "import_mpxn", "ExportMPAN": "export_mpan"}))}


def _present(elements: Mapping[str, Any]) -> dict[str, Any]:
    return {element: value for element, value in elements.items() if value}


def set_import_mpxn(job: Job) -> Body:
    """SRV 6.20.1: the MPAN or MPRN."""
    wanted = job.branch("ImportMPANs", "ImportMPRN")
    if "SecondaryImportMPAN" in wanted.names():
        raise Refused(NOT_FOR_THIS_DEVICE, "a SMETS1 meter has no secondary element")
    job.device.write("import_mpxn", _digits("ImportMPRN", wanted.text()) if job.gas else _digits(
        "ImportMPAN", wanted.text("ImportMPAN")))  # fmt: skip
    return None


def set_export_mpan(job: Job) -> Body:
    """SRV 6.20.2: the export MPAN."""
    job.device.write("export_mpan", _digits("ExportMPAN", job.body.text("ExportMPAN")))
    return None


def _digits(element: str, text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise Refused(OUT_OF_RANGE, f"{element} is {text!r}, which are not all digits")
    return text


def read_gas(job: Job) -> Body:
    """SRV 6.2.8: calorific value (MJ/m3), conversion factor, flow rate (m3/h) and periods (s)."""
    return job.read(
        {
            "CalorificValue": "calorific_value",
            "ConversionFactor": "conversion_factor",
            "UncontrolledGasFlowRate": "uncontrolled_gas_flow_rate",
            "FlowStabilisationPeriod": "flow_stabilisation_period",
            "FlowMeasurementPeriod": "flow_measurement_period",
        }
    )


def update_gas_conversion(job: Job) -> Body:
    """SRV 6.6: calorific value (MJ/m3) and conversion factor."""
    job.write(
        {
            "calorific_value": _decimal(job, "CalorificValue", places=1),
            "conversion_factor": _decimal(job, "ConversionFactor", places=5),
        }
    )
    return None


def update_gas_flow(job: Job) -> Body:
    """SRV 6.7: uncontrolled flow (m3/h; that unit is inferred), its periods (s), and what tampering does."""
    rate = chosen(job.body, "UncontrolledGasFlowRate", "UncontrolledGasFlowRateDecimal")
    job.write(
        {
            "uncontrolled_gas_flow_rate": _decimal(job, rate, places=3),
            "supply_depletion_state": job.body.text("SupplyDepletionState"),
            "supply_tamper_state": job.body.text("SupplyTamperState"),
            "flow_stabilisation_period": within(
                "StabilisationPeriod", job.body.integer("StabilisationPeriod"), 1, 255
            ),
            "flow_measurement_period": within(
                "MeasurementPeriod", job.body.integer("MeasurementPeriod"), 1, 65_535
            ),
        }
    )
    return None


def _decimal(job: Job, element: str, places: int) -> Decimal:
    """A number that the meter keeps with so many decimal places in 32 bits."""
    value = job.body.decimal(element)
    kept = value.scaleb(places)
    if kept != kept.to_integral_value():
        raise Refused(OUT_OF_RANGE, f"{element} is {value}; this meter keeps {places} decimal places")
    within(f"{element} in its last place", int(kept), 0, _UINT32_MAX)
    return value


def update_load_limit(job: Job) -> Body:
    """SRV 6.4.1: load limit threshold (W) and periods (s)."""
    job.write(_numbers(job, _LOAD_LIMIT) | {"load_limit_supply_state": job.body.text("LoadLimitSupplyState")})
    return None


def reset_load_limit_counter(job: Job) -> Body:
    """SRV 6.4.2: the counter starts anew."""
    job.device.perform("reset_load_limit_counter")
    return None


STEPS: Final[Mapping[str, Step]] = {
    "6.2.1": read_voltage,
    "6.2.3": read_billing_calendar,
    "6.2.4": read_identity,
    "6.2.5": read_power_thresholds,
    "6.2.7": read_mpxn,
    "6.2.8": read_gas,
    "6.4.1": update_load_limit,
    "6.4.2": reset_load_limit_counter,
    "6.5": update_voltage,
    "6.6": update_gas_conversion,
    "6.7": update_gas_flow,
    "6.8": update_billing_calendar,
    "6.12": update_power_thresholds,
    "6.20.1": set_import_mpxn,
    "6.20.2": set_export_mpan,
}
