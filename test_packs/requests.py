"""A right body for every Service Request to a meter: what is wrong with it is then the test's choice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from harness.domain.instruments import Body, Device, LabClock, ServiceUser
from harness.domain.words import DeviceType
from test_packs.arrange import GBP
from test_packs.calendars import held_calendar, told_calendar
from test_packs.estate import synchronised
from test_packs.metering import log_period
from test_packs.prepayment import configuration, debt
from test_packs.tariffs import Tariff, all_day

_BOTH: Final = (
    "2.5",
    "4.1.1",
    "4.3",
    "4.11.1",
    "4.13",
    "4.18",
    "6.2.3",
    "6.2.4",
    "6.2.7",
    "6.2.9",
    "7.2",
    "7.3",
)
_PLAIN: Final = {  # requests without content
    DeviceType.ESME: (*_BOTH, "4.1.2", "4.2", "4.15", "4.16", "6.2.1", "6.2.5", "6.4.2", "7.1"),
    DeviceType.GSME: (*_BOTH, "4.1.4", "6.2.8"),
}
_LOGS: Final = {
    DeviceType.ESME: ("4.4.2", "4.4.3", "4.6.1", "4.8.1", "4.8.2", "4.8.3", "4.10"),
    DeviceType.GSME: ("4.4.2", "4.4.3", "4.6.1", "4.8.1"),
}


def right_bodies(user: ServiceUser, meter: Device, clock: LabClock) -> Mapping[str, Body]:
    """SRV → a body that is right in itself, for every request to a meter that some User Role may not send."""
    kind, now = meter.device_type, clock.now()
    tariff = Tariff(days=(all_day("tou", 1),), tou_prices=(1_234, 2_345), standing_charge=345)
    common: dict[str, Body] = {
        "1.1.1": tariff.body(meter),
        "1.2.1": tariff.prices(meter),
        "1.5": {"PrepaymentMode": {"AdjustMeterBalance": GBP}},
        "1.6": {"Credit": None},
        "2.1": configuration(meter),
        "2.2": {"UTRN": user.vend(meter, 700)},
        "2.3": debt(meter),
        "3.2": {"RestrictionDateTime": f"{now - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"},
        "3.3": None,
        "6.11": synchronised(clock),
        "6.13": log_period(now - timedelta(days=1), now)
        | {"LogToRead": "Event" if kind is DeviceType.ESME else "GSMEEvent"},
        "8.1.1": synchronised(clock),
        "11.3": {"FirmwareHash": "00" * 32},
    }
    period = log_period(now - timedelta(days=1), now)
    common |= dict.fromkeys(_PLAIN[kind]) | dict.fromkeys(_LOGS[kind], period)
    return common | (_electricity() if kind is DeviceType.ESME else _gas(clock))


def _electricity() -> dict[str, Any]:
    calendar = held_calendar("Daily", {"hour": 4, "minute": 30})
    return {
        "6.4.1": {
            "LoadLimitPeriod": 47,
            "LoadLimitPowerThreshold": 12_345,
            "LoadLimitRestorationPeriod": 1_801,
            "LoadLimitSupplyState": "Unchanged",
        },
        "6.8": {"ElectricityBillingCalendar": told_calendar(calendar)},
        "6.12": {"LowMediumPowerThreshold": 321, "MediumHighPowerThreshold": 4_321},
        "6.20.1": {"ImportMPANs": {"ImportMPAN": "9900000778012"}},
        "6.20.2": {"ExportMPAN": "9900000998024"},
    }


def _gas(clock: LabClock) -> dict[str, Any]:
    return {
        "6.6": {"CalorificValue": Decimal("38.7"), "ConversionFactor": Decimal("1.03456")},
        "6.7": {
            "UncontrolledGasFlowRateDecimal": Decimal("0.250"),
            "SupplyDepletionState": "Locked",
            "SupplyTamperState": "Unchanged",
            "StabilisationPeriod": 20,
            "MeasurementPeriod": 40,
        },
        "6.8": {
            "GasBillingCalendar": {
                "BillingPeriodStart": clock.now() + timedelta(hours=9),
                "Periodicity": "Daily",
            }
        },
        "6.20.1": {"ImportMPRN": "9900000776"},
    }
