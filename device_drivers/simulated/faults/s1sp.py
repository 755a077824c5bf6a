"""Ways in which an S1SP can be wrong: what it does for a request, and how it tells what came of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from device_drivers.simulated.faults.making import answered, at, deep, renamed
from harness.domain.faults import DROP, Fault, Place, Point, Seen

_fault = at(Place.S1SP)

_HALF_HOUR: Final = timedelta(minutes=30)


def _another_device(seen: Seen) -> Any:
    device_id = seen.value.device_id
    return replace(seen.value, device_id=device_id[:-1] + ("E" if device_id[-1] != "E" else "F"))


def _an_hour_on(moment: datetime) -> datetime:
    return moment + timedelta(hours=1)


def _newest_lost(rows: Any) -> Any:
    return list(rows)[:-1]


def _oldest_lost(rows: Any) -> Any:
    return list(rows)[1:]


def _backwards(rows: Any) -> Any:
    return list(rows)[::-1]


def _twice(rows: Any) -> Any:
    return [*rows, *list(rows)[-1:]]


def _no_row(_: Any) -> Any:
    return []


def _left_out(_: Any) -> Any:
    return DROP


def _next(number: Any) -> Any:
    return number + 1


def _none(_: Any) -> Any:
    return 0


def _answer_of_before(seen: Seen) -> Any:
    """The content that the same question had for an answer before."""
    if not seen.value.data or seen.item != "4.3":
        return seen.value
    return replace(seen.value, data=seen.memory.setdefault(seen.value.device_id, seen.value.data))


def _time_of_arrival(seen: Seen) -> Any:
    if seen.value.timestamp is None:
        return seen.value
    return replace(seen.value, timestamp=seen.value.timestamp + timedelta(hours=1))


FAULTS: tuple[Fault, ...] = (
    Fault(
        "response-of-another-device",
        Place.S1SP,
        Point.RESPONSE,
        "the S1SP puts another device's id on a response",
        _another_device,
    ),
    _fault(
        "response-in-local-time",
        Point.RESPONSE,
        "responses bear a time an hour ahead",
        _time_of_arrival,
    ),
    _fault(
        "debts-exchanged",
        Point.RESPONSE,
        "the two time-based debts are told in each other's place",
        answered(
            "4.3",
            renamed(
                {
                    "TimeDebtRegister1": "TimeDebtRegister2",
                    "TimeDebtRegister2": "TimeDebtRegister1",
                }
            ),
        ),
        "4.3",
    ),
    _fault(
        "balances-of-before",
        Point.RESPONSE,
        "balances are answered from what was read first",
        _answer_of_before,
        "4.3",
    ),
    _fault(
        "reactive-import-untold",
        Point.RESPONSE,
        "reactive import is told as nothing",
        answered("4.1.1", deep(lambda content: {**content, "Value": 0}, "ReactiveImportRegister")),
        "4.1.1",
    ),
    _fault(
        "export-missing",
        Point.RESPONSE,
        "the answer has no reactive export",
        answered("4.2", deep(_left_out, "ReactiveExportRegister")),
        "4.2",
    ),
    _fault(
        "billing-newest-lost",
        Point.RESPONSE,
        "the newest billing data are missing from the answer",
        answered("4.4.3", deep(_newest_lost, "ESMEBillingDataLogEntry", "GSMEBillingDataLogEntry")),
        "4.4.3",
    ),
    _fault(
        "billing-money-lost",
        Point.RESPONSE,
        "billing data are told without what the account held",
        answered(
            "4.4.3",
            deep(_no_row, "ESMEBillingPrepaymentDataLogEntry", "GSMEBillingPrepaymentDataLogEntry"),
        ),
        "4.4.3",
    ),
    _fault(
        "mode-change-consumption-lost",
        Point.RESPONSE,
        "data of a change of mode or tariff are told without the registers",
        answered(
            "4.4.2",
            deep(_no_row, "LogEntryConsumptionAndTariffRegistersData", "LogEntryConsumptionRegister"),
        ),
        "4.4.2",
    ),
    _fault(
        "daily-read-end-excluded",
        Point.RESPONSE,
        "the row at the end of the period asked for is left out of the daily read log",
        answered("4.6.1", deep(_newest_lost, "LogEntry")),
        "4.6.1",
    ),
    _fault(
        "daily-read-blocks-exchanged",
        Point.RESPONSE,
        "the first two block matrices of each day are told in each other's place",
        answered(
            "4.6.1",
            renamed(
                {
                    "TariffTOUBlock1RegisterMatrixValue": "TariffTOUBlock2RegisterMatrixValue",
                    "TariffTOUBlock2RegisterMatrixValue": "TariffTOUBlock1RegisterMatrixValue",
                }
            ),
        ),
        "4.6.1",
    ),
    _fault(
        "profile-start-excluded",
        Point.RESPONSE,
        "the row at the start of the period asked for is left out of the profile",
        answered("4.8.1", deep(_oldest_lost, "LogEntry")),
        "4.8.1",
    ),
    _fault(
        "reactive-profile-backwards",
        Point.RESPONSE,
        "the reactive profile is told newest first",
        answered("4.8.2", deep(_backwards, "LogEntry")),
        "4.8.2",
    ),
    _fault(
        "export-profile-by-start",
        Point.RESPONSE,
        "half hours of export are told under their start",
        answered("4.8.3", deep(lambda end: end - _HALF_HOUR, "Timestamp")),
        "4.8.3",
    ),
    _fault(
        "voltage-row-twice",
        Point.RESPONSE,
        "the newest period of the voltage profile is told twice",
        answered("4.10", deep(_twice, "LogEntry")),
        "4.10",
    ),
    _fault(
        "tariff-without-special-days",
        Point.RESPONSE,
        "a tariff is told without its special days",
        answered("4.11.1", deep(_left_out, "SpecialDays", "SpecialDay")),
        "4.11.1",
    ),
    _fault(
        "standing-charge-off",
        Point.RESPONSE,
        "the standing charge is told a step too high",
        answered("4.11.1", deep(_next, "StandingCharge")),
        "4.11.1",
    ),
    _fault(
        "prepayment-limit-for-threshold",
        Point.RESPONSE,
        "the emergency credit limit is told as the low credit threshold, and the other way round",
        answered(
            "4.13",
            renamed(
                {
                    "EmergencyCreditLimit": "LowCreditThreshold",
                    "LowCreditThreshold": "EmergencyCreditLimit",
                }
            ),
        ),
        "4.13",
    ),
    _fault(
        "load-limit-periods-exchanged",
        Point.RESPONSE,
        "the period of load limiting is told as that of its restoration",
        answered(
            "4.15",
            renamed(
                {
                    "LoadLimitPeriod": "LoadLimitRestorationPeriod",
                    "LoadLimitRestorationPeriod": "LoadLimitPeriod",
                }
            ),
        ),
        "4.15",
    ),
    _fault(
        "billing-start-late",
        Point.RESPONSE,
        "the start of the billing period is told an hour late",
        answered("6.2.3", deep(_an_hour_on, "BillingPeriodStart")),
        "6.2.3",
    ),
    _fault(
        "identity-of-the-maker",
        Point.RESPONSE,
        "the manufacturer is told where the model is due",
        answered("6.2.4", lambda data: {**data, "ModelType": data["ManufacturerIdentifier"][:8]}),
        "6.2.4",
    ),
    _fault(
        "power-thresholds-exchanged",
        Point.RESPONSE,
        "the two power thresholds are told in each other's place",
        answered(
            "6.2.5",
            renamed(
                {
                    "LowMediumPowerThreshold": "MediumHighPowerThreshold",
                    "MediumHighPowerThreshold": "LowMediumPowerThreshold",
                }
            ),
        ),
        "6.2.5",
    ),
    _fault(
        "export-number-untold",
        Point.RESPONSE,
        "the export supply number is not told",
        answered("6.2.7", deep(_left_out, "ExportMPAN")),
        "6.2.7",
    ),
    _fault(
        "gas-conversion-cut",
        Point.RESPONSE,
        "the conversion factor is told without its decimals",
        answered("6.2.8", deep(int, "ConversionFactor")),
        "6.2.8",
    ),
    _fault(
        "suspension-told-as-none",
        Point.RESPONSE,
        "no suspension of debt recovery is told",
        answered("6.2.9", deep(lambda _: False, "SuspendDebtDisabled", "SuspendDebtEmergency")),
        "6.2.9",
    ),
    _fault(
        "log-newest-lost",
        Point.RESPONSE,
        "the newest row of a log is missing from the answer",
        answered("6.13", deep(_newest_lost, "LogEntry")),
        "6.13",
    ),
    _fault(
        "certificate-of-another-party",
        Point.RESPONSE,
        "certificates are told under another party's id",
        answered("6.24.1", deep(lambda held: f"{held[:-2]}FE", "ExistingRemotePartyID")),
        "6.24.1",
    ),
    _fault(
        "battery-told-as-empty",
        Point.RESPONSE,
        "the gas meter's battery is told to have no days left",
        answered("7.4", deep(_none, "RemainingBatteryCapacity")),
        "7.4",
    ),
    _fault(
        "device-log-twice",
        Point.RESPONSE,
        "a device of the HAN Device Log is told twice",
        answered("8.9", deep(_twice, "CHFDeviceLogEntry")),
        "8.9",
    ),
)
