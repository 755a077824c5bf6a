"""What a meter is set to when it leaves the factory, and what values it refuses.

Zero switches a threshold off: load limit, voltage thresholds, debt recovery rate cap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from device_drivers.named.forms import UNSET
from device_drivers.simulated.meters.prepayment import SCALES
from device_drivers.simulated.meters.tariff import BLOCKS, two_rates
from harness.domain.words import PaymentMode

_NO_DEBT = {"rate": 0, "scale": -5, "period": "DAILY"}

METER_DEFAULTS: dict[str, Any] = {
    "payment_mode": PaymentMode.CREDIT.value,
    "debt_recovery_per_payment": 0,
    "debt_recovery_1": _NO_DEBT,
    "debt_recovery_2": _NO_DEBT,
    "debt_recovery_rate_cap": 0,
    "emergency_credit_limit": 500_000,  # 5 GBP
    "emergency_credit_threshold": 100_000,
    "low_credit_threshold": 200_000,
    "disablement_threshold": 0,
    "max_meter_balance": 50_000_000,
    "max_credit_threshold": 25_000_000,
    "suspend_debt_disabled": False,
    "suspend_debt_emergency": False,
    "non_disablement_calendar": (),
    "non_disablement_special_days": (),
    "billing_calendar": {"periodicity": "Monthly", "hour": 0, "minute": 0, "day": 1, "month": 1},
    "supplier_name": "Example Supply",
    "supplier_telephone": "",
    "message": "",
    "access_restricted_before": UNSET,
    "block_prices": (),
    "block_thresholds": (),
    "standing_charge_scale": -5,
    "price_scale": -5,
    "supply_tamper_state": "Unchanged",
    "last_top_up": "",
}

ESME_DEFAULTS: dict[str, Any] = METER_DEFAULTS | {
    **two_rates(night=12_000, day=27_500),
    "standing_charge": 53_000,
    "load_limit_threshold": 0,
    "load_limit_period": 30,
    "load_limit_restoration_period": 60,
    "load_limit_supply_state": "Unchanged",
    "load_limit_counter": 0,
    "low_medium_power_threshold": 500,
    "medium_high_power_threshold": 3_000,
    "average_rms_over_voltage_threshold": 253,
    "average_rms_under_voltage_threshold": 216,
    "average_rms_voltage_period": 1_800,
    "rms_extreme_over_voltage_period": 60,
    "rms_extreme_over_voltage_threshold": 264,
    "rms_extreme_under_voltage_period": 60,
    "rms_extreme_under_voltage_threshold": 195,
    "rms_voltage_sag_period": 10,
    "rms_voltage_sag_threshold": 184,
    "rms_voltage_swell_period": 10,
    "rms_voltage_swell_threshold": 276,
    "average_rms_over_voltage_counter": 0,
    "average_rms_under_voltage_counter": 0,
}

GSME_DEFAULTS: dict[str, Any] = METER_DEFAULTS | {
    **two_rates(night=6_200, day=6_200),
    "standing_charge": 29_000,
    "calorific_value": "39.3",
    "conversion_factor": "1.02264",
    "uncontrolled_gas_flow_rate": "0.010",
    "flow_stabilisation_period": 4,
    "flow_measurement_period": 2,
    "supply_depletion_state": "Unchanged",
    "wake_period": 1_800,
}

TARIFF_SETTINGS = frozenset(
    {
        "day_profiles", "week_profiles", "seasons", "special_days", "tou_prices", "block_prices",
        "block_thresholds", "standing_charge", "standing_charge_scale", "price_scale",
    }
)  # fmt: skip
"""Writing one of these is a change of tariff."""

_MONEY = (
    "emergency_credit_limit",
    "max_meter_balance",
    "max_credit_threshold",
    "debt_recovery_rate_cap",
    "payment_debt",
    "time_debt_1",
    "time_debt_2",
)


def refusal(name: str, value: Any, sizes: tuple[int, int]) -> str:
    """Why a meter with so many TOU and block registers refuses a value, or nothing."""
    check = _CHECKS.get(name)
    return check(value, sizes) if check else ""


def _not_negative(value: int, _: tuple[int, int]) -> str:
    return "below zero" if value < 0 else ""


def _scale(value: int, _: tuple[int, int]) -> str:
    return "" if value in SCALES else f"a scale is {SCALES.start} to {SCALES.stop - 1}"


def _percentage(value: int, _: tuple[int, int]) -> str:
    return "above 100 %" if value > 10_000 else ""


def _debt_rate(value: Mapping[str, Any], sizes: tuple[int, int]) -> str:
    return _not_negative(value["rate"], sizes) or _scale(value["scale"], sizes)


def _time_of_day(entries: Sequence[Mapping[str, Any]]) -> str:
    return "" if all(e["hour"] < 24 and e["minute"] < 60 for e in entries) else "not a time of day"


def _billing(value: Mapping[str, Any], _: tuple[int, int]) -> str:
    if value["periodicity"] != "Daily" and not 1 <= value["day"] <= 31:
        return "not a day"
    if not 1 <= value["month"] <= 12 and value["periodicity"] in ("Quarterly", "SixMonthly", "Yearly"):
        return "not a month"
    return _time_of_day((value,))


def _days(value: Sequence[Mapping[str, Any]], sizes: tuple[int, int]) -> str:
    for profile in value:
        if problem := _time_of_day(profile["actions"]):
            return problem
        for action in profile["actions"]:
            if not 1 <= action["register"] <= sizes[action["kind"] == "block"]:
                return f"no {action['kind']} register {action['register']}"
    return ""


def _weeks(value: Sequence[Mapping[str, Any]], _: tuple[int, int]) -> str:
    return "" if all(len(week["days"]) == 7 for week in value) else "a week has seven days"


def _prices(value: Sequence[int], sizes: tuple[int, int]) -> str:
    return f"more than {sizes[0]} prices" if len(value) > sizes[0] else ""


def _matrix(width: int) -> Callable[[Sequence[Sequence[int]], tuple[int, int]], str]:
    def check(value: Sequence[Sequence[int]], sizes: tuple[int, int]) -> str:
        if len(value) > sizes[1] or any(len(row) > width for row in value):
            return f"larger than {sizes[1]} by {width}"
        return ""

    return check


def _non_disablement(value: Sequence[Mapping[str, Any]], _: tuple[int, int]) -> str:
    return _time_of_day(value)


def _seconds(value: int, _: tuple[int, int]) -> str:
    return "a period is at least a second" if value < 1 else ""


def _gas_number(value: Any, _: tuple[int, int]) -> str:
    return "" if value > 0 else "not above zero"


_CHECKS: Mapping[str, Callable[[Any, tuple[int, int]], str]] = {
    **dict.fromkeys(_MONEY, _not_negative),
    "price_scale": _scale,
    "standing_charge_scale": _scale,
    "debt_recovery_per_payment": _percentage,
    "debt_recovery_1": _debt_rate,
    "debt_recovery_2": _debt_rate,
    "billing_calendar": _billing,
    "day_profiles": _days,
    "week_profiles": _weeks,
    "tou_prices": _prices,
    "block_prices": _matrix(BLOCKS),
    "block_thresholds": _matrix(BLOCKS - 1),
    "non_disablement_calendar": _non_disablement,
    "average_rms_voltage_period": _seconds,
    "flow_measurement_period": _seconds,
    "wake_period": _seconds,
    "calorific_value": _gas_number,
    "conversion_factor": _gas_number,
}
