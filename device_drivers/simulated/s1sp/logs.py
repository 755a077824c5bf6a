"""Service groups 4 and 6, what is read from logs (SRV 4.4.2, 4.4.3, 4.6.1, 4.8.1–3, 4.10, 6.13).

One element a row, oldest first, for the rows whose timestamp lies in the request's ReadLogPeriod. The
certificate that a request may carry for key agreement is not needed: a SMETS1 response is not encrypted
for the reader (inferred from its form).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from device_drivers.simulated.s1sp.content import indexed
from device_drivers.simulated.s1sp.refusal import NOT_FOR_THIS_DEVICE, OUT_OF_RANGE, Refused
from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.events import meaning_of
from harness.domain.instruments import Body, LogEntry
from harness.domain.words import DeviceType

Content = dict[str, Any]

_LOGS: Final[Mapping[DeviceType, Mapping[str, str]]] = {
    DeviceType.ESME: {"Event": "event_log", "Security": "security_log", "PowerEvent": "power_event_log"},
    DeviceType.GSME: {"GSMEEvent": "event_log", "GSMESecurity": "security_log"},
    DeviceType.CH: {"Event": "event_log"},
}
_MEANING_LIMIT: Final = 200
_THREE_MONTHS: Final = 4_464


def read_tariff_change_log(job: Job) -> Body:
    """SRV 4.4.2: billing data taken when mode or tariff changed."""
    rows = job.rows("tariff_change_log")
    prepayment = [_prepayment(row) for row in rows]
    if job.gas:
        consumption = [
            {
                "ConsumptionRegister": row.values["gas_volume"],
                "Timestamp": row.timestamp,
                "TariffTOURegisterMatrixValue": _matrix(row, "tou_registers"),
                "BlockRegisterMatrixValue": _matrix(row, "block_registers"),
            }
            for row in rows
        ]
        return {"Gas": {"LogEntryConsumptionRegister": consumption, "LogEntryPrepaymentData": prepayment}}
    registers = [
        {
            "ActiveImportRegisterConsumption": row.values["active_import"],
            **_electricity_matrices(row),
            "Timestamp": row.timestamp,
        }
        for row in rows
    ]
    return {
        "Electricity": {
            "LogEntryConsumptionAndTariffRegistersData": registers,
            "LogEntryPrepaymentData": prepayment,
        }
    }


def read_billing_log(job: Job) -> Body:
    """SRV 4.4.3: billing data taken by the billing calendar."""
    rows = job.rows("billing_data_log")
    fuel = "GSME" if job.gas else "ESME"
    return job.fuel(
        {
            f"{fuel}BillingDataLogEntry": [
                _gas_billing(row) if job.gas else _electricity_billing(row) for row in rows
            ],
            f"{fuel}BillingPrepaymentDataLogEntry": [_prepayment(row) for row in rows],
        }
    )


def _electricity_billing(row: LogEntry) -> Content:
    return {
        "Timestamp": row.timestamp,
        "ActiveImportRegisterValueConsumption": row.values["active_import"],
        **_electricity_matrices(row),
    }


def _gas_billing(row: LogEntry) -> Content:
    return {
        "Timestamp": row.timestamp,
        "ActiveImportRegisterValueConsumption": row.values["gas_volume"],
        "BlockRegisterMatrixValue": _matrix(row, "block_registers"),
        "TariffTOURegisterMatrixValue": _matrix(row, "tou_registers"),
    }


def _prepayment(row: LogEntry) -> Content:
    return {
        "AccumulatedDebtRegister": row.values["accumulated_debt"],
        "EmergencyCreditBalance": row.values["emergency_credit_balance"],
        "MeterBalance": row.values["meter_balance"],
        "PaymentDebtRegister": row.values["payment_debt"],
        "TimeDebtRegisters1": row.values["time_debt_1"],
        "TimeDebtRegisters2": row.values["time_debt_2"],
        "Timestamp": row.timestamp,
    }


def _array(row: LogEntry, column: str) -> tuple[Any, ...]:
    values: Any = row.values[column]
    return tuple(values)


def _matrix(row: LogEntry, column: str) -> list[Content]:
    return indexed(_array(row, column))


def _electricity_matrices(row: LogEntry) -> Content:
    blocks = {
        f"TariffTOUBlock{block}RegisterMatrixValue": indexed(registers)
        for block, registers in enumerate(_array(row, "tou_block_registers"), start=1)
    }
    return {"TariffTOURegisterMatrixValue": _matrix(row, "tou_registers"), **blocks}


def read_daily_log(job: Job) -> Body:
    """SRV 4.6.1: registers at each midnight, at most 31."""
    content = _gas_day if job.gas else _electricity_day
    return {"LogEntry": [{"Timestamp": row.timestamp, **content(row)} for row in job.rows("daily_read_log")]}


def _electricity_day(row: LogEntry) -> Content:
    registers = {"ElecActiveImportRegisterConsumption": row.values["active_import"]}
    return {"Electricity": registers | _electricity_matrices(row)}


def _gas_day(row: LogEntry) -> Content:
    return {
        "Gas": {
            "GasActiveImportRegisterConsumption": row.values["gas_volume"],
            "TariffBlockCounterMatrix": _matrix(row, "block_registers"),
            "TariffTOURegisterMatrix": _matrix(row, "tou_registers"),
        }
    }


def read_import_profile(job: Job) -> Body:
    """SRV 4.8.1: consumption of each half hour, in Wh or m3."""
    quantity = "gas_volume" if job.gas else "active_import"
    fuel = "Gas" if job.gas else "Electricity"
    return {
        "LogEntry": [
            {"Timestamp": row.timestamp, fuel: {"PrimaryValue": row.values[quantity]}}
            for row in job.rows("profile")
        ]
    }


def read_reactive_profile(job: Job) -> Body:
    """SRV 4.8.2: reactive import of each half hour, in varh."""
    return {
        "LogEntry": [
            {"ReactiveEnergyImportedValue": row.values["reactive_import"], "Timestamp": row.timestamp}
            for row in _three_months(job)
        ]
    }


def read_export_profile(job: Job) -> Body:
    """SRV 4.8.3: active and reactive export of each half hour, in Wh and varh."""
    return {
        "LogEntry": [
            {
                "ActiveEnergyExportedValue": row.values["active_export"],
                "ReactiveEnergyExportedValue": row.values["reactive_export"],
                "Timestamp": row.timestamp,
            }
            for row in _three_months(job)
        ]
    }


def _three_months(job: Job) -> tuple[LogEntry, ...]:
    """Rows of the profile, of which the schema has room for 93 days."""
    rows = job.rows("profile")
    if len(rows) > _THREE_MONTHS:
        raise Refused(
            OUT_OF_RANGE, f"the period holds {len(rows)} rows; a response has room for {_THREE_MONTHS}"
        )
    return rows


def read_network_data(job: Job) -> Body:
    """SRV 4.10: the voltage profile (V), its period (s) and the counters of voltages beyond limits."""
    if job.gas:
        raise Refused(NOT_FOR_THIS_DEVICE, "a SMETS1 gas meter keeps no network data log")
    rows = job.rows("voltage_profile")
    held = job.device.read_many(
        (
            "average_rms_over_voltage_counter",
            "average_rms_under_voltage_counter",
            "average_rms_voltage_period",
        )
    )
    return {
        "Electricity": {
            "SinglePhaseESME": {
                "AvgRMSOverVoltageCounter": {"Value": held["average_rms_over_voltage_counter"]},
                "AvgRMSUnderVoltageCounter": {"Value": held["average_rms_under_voltage_counter"]},
                "AvgRMSVoltageProfileDataLog": {
                    "LogEntry": [
                        {"Value": row.values["voltage"], "Timestamp": row.timestamp} for row in rows
                    ],
                    "MeasurementPeriod": held["average_rms_voltage_period"],
                },
            }
        }
    }


def read_event_log(job: Job) -> Body:
    """SRV 6.13: codes with their meaning. They are ours (:mod:`harness.domain.events`), not the DCC's."""
    wanted = job.body.text("LogToRead")
    log = _LOGS[job.type].get(wanted)
    if log is None:
        raise Refused(NOT_FOR_THIS_DEVICE, f"the {job.type} has no log {wanted}")
    return {"Log": {"LogEntry": [_event(row) for row in job.rows(log)]}}


def _event(row: LogEntry) -> Content:
    code: Any = row.values["code"]
    meaning = meaning_of(code)[:_MEANING_LIMIT]
    return {"Timestamp": row.timestamp, "LogCode": f"{code:04X}", "LogMeaning": meaning}


STEPS: Final[Mapping[str, Step]] = {
    "4.4.2": read_tariff_change_log,
    "4.4.3": read_billing_log,
    "4.6.1": read_daily_log,
    "4.8.1": read_import_profile,
    "4.8.2": read_reactive_profile,
    "4.8.3": read_export_profile,
    "4.10": read_network_data,
    "6.13": read_event_log,
}
