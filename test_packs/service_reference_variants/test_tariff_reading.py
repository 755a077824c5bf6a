"""Service group 4: the tariff read back (SRV 4.11.1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import pytest

from harness.domain.instruments import Bench, EvidenceLog, LabClock, Meter
from harness.domain.words import DeviceType
from test_packs.arrange import Served, Unchanged, crediting, power_cut, put
from test_packs.content import expect_content, indexed
from test_packs.tariffs import MILLIPENCE, Switch, Tariff, all_day

pytestmark = pytest.mark.functional_group("4 Meter reading")

_ELECTRICITY: Final = Tariff(
    days=(
        all_day("tou", 3),
        (Switch(0, 0, "tou", 2), Switch(7, 30, "tou", 1), Switch(16, 0, "block", 8)),
        (Switch(0, 0, "block", 4), Switch(22, 15, "tou", 48)),
    ),
    weeks=((1,) * 7, (2, 2, 2, 1, 1, 3, 3)),
    seasons=((None, None, 1), (10, 15, 2)),
    special_days=((date(2031, 12, 25), 3), (date(2032, 1, 1), 2)),
    tou_prices=tuple(10_007 + 11 * number for number in range(48)),
    block_prices=tuple(tuple(20_003 + 100 * row + number for number in range(4)) for row in range(8)),
    thresholds=tuple(tuple(1_000 * row + 300 * number for number in (1, 2, 3)) for row in range(1, 9)),
    standing_charge=28_567,
)
_GAS: Final = Tariff(
    days=(all_day("tou", 3), all_day("tou", 4), all_day("block", 1)),
    weeks=((1,) * 7, (2, 2, 2, 1, 1, 3, 3)),
    seasons=((None, None, 1), (10, 15, 2)),
    special_days=((date(2031, 12, 25), 3), (date(2032, 1, 1), 2)),
    tou_prices=(7_310, 5_870, 8_990, 6_050),
    block_prices=((6_100, 6_200, 6_300, 6_400),),
    thresholds=((500, 700, 900),),
    standing_charge=128_567,
)
_RESPONSE_NAMES: Final = {
    DeviceType.ESME: {
        ("DayProfile", "DayName"): "Day",
        ("WeekProfile", "ReferencedDayName"): "ReferencedElecDay",
    },
    DeviceType.GSME: {("WeekProfile", "ReferencedDayName"): "ReferencedDay"},
}


def _renamed(node: Any, names: Mapping[tuple[str, str], str], above: str = "") -> Any:
    """A part of a request with the names that the response has for some of its elements."""
    if isinstance(node, list):
        return [_renamed(item, names, above) for item in node]
    if not isinstance(node, Mapping):
        return node
    names = {("SpecialDay", "ReferencedDayName"): "ReferencedDay", **names}
    return {names.get((above, name), name): _renamed(below, names, name) for name, below in node.items()}


def _due(meter: Meter, tariff: Tariff) -> dict[str, Any]:
    """SRV 4.11.1, of a tariff whose every day begins on TOU register 3."""
    body: Any = tariff.body(meter)
    names, held = _RESPONSE_NAMES[meter.device_type], tariff.held(meter)
    price, charge = (
        {"PrimaryActiveTariffPrice": tariff.tou_prices[2]},
        {"StandingCharge": tariff.standing_charge},
    )
    if meter.device_type is DeviceType.GSME:
        elements = _renamed(body["GasTariffElements"], names)
        content = {
            **price,
            "PrimaryActiveTariffPriceScale": MILLIPENCE,
            "CurrencyUnitsLabel": "GBP",
            **charge,
            "TariffSwitchingTable": elements["SwitchingTable"],
            "TariffSwitchingTableSpecialDays": elements["SpecialDays"],
            "TariffThresholds": elements["ThresholdMatrix"],
            "TOUTariff": {"TariffTOUPrice": indexed(held["tou_prices"])},
            "BlockTariff": {"BlockPrice": indexed(held["block_prices"][0])},
        }
        return {"Gas": content}
    elements = _renamed(body["ElecTariffElements"], names)
    content = {
        **price,
        "CurrencyUnitsLabel": "GBP",
        "CurrencyUnitsName": "Millipence",
        **charge,
        "StandingChargeScale": MILLIPENCE,
        "PriceScale": MILLIPENCE,
        "TariffBlockPriceMatrix": {"TariffBlockPrices": _rows(held["block_prices"], "BlockPrice")},
        "TariffTOUPriceMatrix": {"TariffTOUPrice": indexed(held["tou_prices"])},
        "TariffSwitchingTable": elements["SwitchingTable"],
        "TariffSwitchingTableSpecialDays": elements["SpecialDays"],
        "TariffThresholdMatrix": {"ElecTariffThresholds": elements["ThresholdMatrix"]["Thresholds"]},
    }
    return {"Electricity": content}


def _rows(matrix: Any, name: str) -> list[dict[str, Any]]:
    return [{"@index": number, name: indexed(row)} for number, row in enumerate(matrix, start=1)]


@pytest.mark.srv("4.11.1")
@pytest.mark.ttm("TTM-4.11.1-E-01", "TTM-4.11.1-E-02", "TTM-4.11.1-G-01", "TTM-4.11.1-G-02")
@pytest.mark.devices("ESME", "GSME")
def test_the_tariff_is_told_whole(
    served: Served,
    unchanged: Unchanged,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.11.1: prices, thresholds, switching times, calendars and charges are told as held."""
    crediting(meter)
    tariff = _ELECTRICITY if meter.device_type is DeviceType.ESME else _GAS
    put(meter, tariff.held(meter))
    for when in ("as put there", "after a power cut"):
        with unchanged(meter):
            payload = served("4.11.1", meter)
        expect_content(evidence, f"the tariff {when}", payload, _due(meter, tariff))
        power_cut(bench, clock)
    put(meter, {"tou_prices": tuple(reversed(meter.read("tou_prices")))})
    fuel = "Electricity" if meter.device_type is DeviceType.ESME else "Gas"
    price = served("4.11.1", meter).integer(f"{fuel}/PrimaryActiveTariffPrice")
    evidence.expect("the price in force", found=price, expected=meter.read("tou_prices")[2])
