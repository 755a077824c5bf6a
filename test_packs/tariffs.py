"""A tariff with its two faces: what a Service Request says, and what the meter then has to hold.

Prices and standing charges are in millipence (a scale of -5) unless an electricity tariff says otherwise,
electricity thresholds in Wh. A gas tariff has no scales.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from harness.domain.instruments import Body, Device
from harness.domain.words import DeviceType
from test_packs.content import indexed

MILLIPENCE: Final = -5  # the power of ten of a pound
_WILD: Final = {"year": 0xFFFF, "month": 0xFF, "day": 0xFF, "weekday": 0xFF}
_ANY: Final[Mapping[str, Any]] = {}  # an element without content


@dataclass(frozen=True, slots=True)
class Switch:
    """From ``hour:minute`` on, consumption goes to a TOU register or to a row of block registers."""

    hour: int
    minute: int
    kind: str  # "tou" or "block"
    register: int

    @property
    def held(self) -> dict[str, Any]:
        """As the meter holds it."""
        return {"hour": self.hour, "minute": self.minute, "kind": self.kind, "register": self.register}


def all_day(kind: str, register: int) -> tuple[Switch, ...]:
    """A day that is spent on one register: the only kind of day that a gas tariff has."""
    return (Switch(0, 0, kind, register),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """A whole import tariff; days, weeks and seasons are named by their place, from 1."""

    days: tuple[tuple[Switch, ...], ...]
    weeks: tuple[tuple[int, ...], ...] = ((1,) * 7,)
    seasons: tuple[tuple[int | None, int | None, int], ...] = ((None, None, 1),)  # month, day, week
    special_days: tuple[tuple[date, int], ...] = ()
    tou_prices: tuple[int, ...] = ()
    block_prices: tuple[tuple[int, ...], ...] = ()
    thresholds: tuple[tuple[int, ...], ...] = ()
    standing_charge: int = 0
    price_scale: int = MILLIPENCE
    standing_charge_scale: int = MILLIPENCE

    def body(self, meter: Device) -> Body:
        """SRV 1.1.1 for the meter's fuel."""
        if meter.device_type is DeviceType.ESME:
            return {"ElecTariffElements": self._electricity(), **self.prices(meter)}
        return {"GasTariffElements": self._gas(), **self.prices(meter)}

    def prices(self, meter: Device) -> dict[str, Any]:
        """SRV 1.2.1 for the meter's fuel."""
        if meter.device_type is DeviceType.ESME:
            return {"PriceElements": {"ElectricityPriceElements": self._electricity_prices()}}
        return {"PriceElements": {"GasPriceElements": self._gas_prices()}}

    def held(self, meter: Device) -> dict[str, Any]:
        """Every setting that SRV 1.1.1 makes, as the meter has to hold it."""
        electricity = meter.device_type is DeviceType.ESME
        seasons = enumerate(self.seasons, start=1)
        return self.held_prices(meter) | {
            "day_profiles": tuple(
                {"day": name, "actions": tuple(switch.held for switch in day)}
                for name, day in enumerate(self.days, start=1)
            ),
            "week_profiles": tuple(
                {"week": name, "days": days} for name, days in enumerate(self.weeks, start=1)
            ),
            "seasons": tuple(
                {
                    "name": f"Season {name}" if electricity else str(name),  # gas seasons have no names
                    "start": _WILD | _given(month=month, day=day),
                    "week": week,
                }
                for name, (month, day, week) in seasons
            ),
            "special_days": tuple(
                {
                    "index": index,
                    "date": _WILD | _given(year=day.year, month=day.month, day=day.day),
                    "day": profile,
                }
                for index, (day, profile) in enumerate(self.special_days, start=1)
            ),
            "block_thresholds": _matrix(self.thresholds, 8 if electricity else 1, 3),
        }

    def held_prices(self, meter: Device) -> dict[str, Any]:
        """Every setting that SRV 1.2.1 makes, as the meter has to hold it."""
        electricity = meter.device_type is DeviceType.ESME
        held: dict[str, Any] = {"standing_charge": self.standing_charge}
        if electricity:
            held |= {
                "standing_charge_scale": self.standing_charge_scale,
                "price_scale": self.price_scale,
            }
        if self.tou_prices:
            held["tou_prices"] = _row(self.tou_prices, 48 if electricity else 4)
        if self.block_prices:
            held["block_prices"] = _matrix(self.block_prices, 8 if electricity else 1, 4)
        return held

    def _electricity(self) -> dict[str, Any]:
        return {
            "CurrencyUnits": "GBP",
            "SwitchingTable": {
                "DayProfiles": {
                    "DayProfile": [
                        {"DayName": name, "ProfileSchedule": [_electricity_switch(switch) for switch in day]}
                        for name, day in enumerate(self.days, start=1)
                    ]
                },
                "WeekProfiles": {"WeekProfile": _weeks(self.weeks)},
                "Seasons": {
                    "Season": [
                        {
                            "SeasonName": f"Season {name}",
                            "SeasonStartDate": _electricity_date(month=month, day=day),
                            "ReferencedWeekName": week,
                        }
                        for name, (month, day, week) in enumerate(self.seasons, start=1)
                    ]
                },
            },
            "SpecialDays": {
                "SpecialDay": [
                    {"Date": _electricity_date(day.year, day.month, day.day), "ReferencedDayName": profile}
                    for day, profile in self.special_days
                ]
            },
            "ThresholdMatrix": {
                "Thresholds": [
                    {"@index": number, "BlockThreshold": indexed(row)}
                    for number, row in enumerate(_matrix(self.thresholds, 8, 3), start=1)
                ]
            },
        }

    def _gas(self) -> dict[str, Any]:
        return {
            "SwitchingTable": {
                "DayProfiles": {
                    "DayProfile": [
                        {"DayName": name, **_gas_switch(day)} for name, day in enumerate(self.days, start=1)
                    ]
                },
                "WeekProfiles": {"WeekProfile": _weeks(self.weeks)},
                "Seasons": {
                    "Season": [
                        {"SeasonStartDate": _gas_date(month=month, day=day), "ReferencedWeekName": week}
                        for month, day, week in self.seasons
                    ]
                },
            },
            "SpecialDays": {
                "SpecialDay": [
                    {"Date": _gas_date(day.year, day.month, day.day), "ReferencedDayName": profile}
                    for day, profile in self.special_days
                ]
            },
            "ThresholdMatrix": {"BlockThreshold": indexed(_matrix(self.thresholds, 1, 3)[0])},
        }

    def _electricity_prices(self) -> dict[str, Any]:
        blocks = {
            "BlockPrices": [
                {"@index": number, "BlockPrice": indexed(row)}
                for number, row in enumerate(self.block_prices, start=1)
            ]
        }
        tou = {"TOUPrice": indexed(self.tou_prices)}
        both = bool(self.tou_prices and self.block_prices)
        tariff = {"HybridTariff": blocks | tou} if both else {"TOUTariff": tou}
        return {
            "StandingCharge": self.standing_charge,
            "StandingChargeScale": self.standing_charge_scale,
            "PriceScale": self.price_scale,
            **(tariff if self.tou_prices else {"BlockTariff": blocks}),
        }

    def _gas_prices(self) -> dict[str, Any]:
        if self.tou_prices:
            tariff: dict[str, Any] = {"TOUTariff": {"TOUPrice": indexed(self.tou_prices)}}
        else:
            tariff = {"BlockTariff": {"BlockPrice": indexed(self.block_prices[0]), "NumberOfThresholds": 3}}
        return {"CurrencyUnits": "GBP", "StandingCharge": self.standing_charge, **tariff}


def _row(values: Sequence[int], width: int) -> tuple[int, ...]:
    """Values as a meter's row: what a request leaves out is 0."""
    return (*values, *(0,) * (width - len(values)))


def _matrix(rows: Sequence[Sequence[int]], height: int, width: int) -> tuple[tuple[int, ...], ...]:
    filled = [_row(row, width) for row in rows]
    return (*filled, *((0,) * width for _ in range(height - len(filled))))


def _given(**parts: int | None) -> dict[str, int]:
    return {name: value for name, value in parts.items() if value is not None}


def _weeks(weeks: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    return [
        {"WeekName": name, "ReferencedDayName": indexed(days)} for name, days in enumerate(weeks, start=1)
    ]


def _electricity_switch(switch: Switch) -> dict[str, Any]:
    action = "TOUTariffAction" if switch.kind == "tou" else "BlockTariffAction"
    return {"StartTime": f"{switch.hour:02}:{switch.minute:02}:00Z", action: switch.register}


def _gas_switch(day: tuple[Switch, ...]) -> dict[str, Any]:
    (switch,) = day
    return {"TOUTariffAction": switch.register} if switch.kind == "tou" else {"BlockTariff": _ANY}


def electricity_date(day: date) -> dict[str, Any]:
    """One day, on whatever weekday, as electricity requests write it."""
    return _electricity_date(day.year, day.month, day.day)


def gas_date(day: date) -> dict[str, Any]:
    """One day, on whatever weekday, as gas requests write it."""
    return _gas_date(day.year, day.month, day.day)


def _part(name: str, value: int | None, unspecified: str) -> dict[str, Any]:
    return {unspecified: _ANY} if value is None else {name: value}


def _electricity_date(
    year: int | None = None, month: int | None = None, day: int | None = None
) -> dict[str, Any]:
    return {
        "Year": _part("SpecifiedYear", year, "NonSpecifiedYear"),
        "Month": _part("SpecifiedMonth", month, "NonSpecifiedMonth"),
        "DayOfMonth": _part("SpecifiedDayOfMonth", day, "NonSpecifiedDayOfMonth"),
        "DayOfWeek": {"NonSpecifiedDayOfWeek": _ANY},
    }


def _gas_date(year: int | None = None, month: int | None = None, day: int | None = None) -> dict[str, Any]:
    return {
        "GasYearWithWildcards": _part("SpecifiedYear", year, "NonSpecifiedYear"),
        "GasMonthWithWildcards": _part("SpecifiedMonth", month, "NonSpecifiedMonth"),
        "GasDayOfMonthWithWildcards": _part("SpecifiedDayOfMonth", day, "GasNonSpecifiedDayOfMonth"),
        "GasDayOfWeekWithWildcards": {"NonSpecifiedDayOfWeek": _ANY},
    }
