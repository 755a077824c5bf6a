"""What a meter keeps over a power cut, as the mapping that passes Point.POWER."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from device_drivers.simulated.meters.prepayment import Account
from harness.domain.words import SupplyState

if TYPE_CHECKING:
    from device_drivers.simulated.meters.meter import MeterTwin

_ACCOUNT: Final = {
    field.name: field.default for field in fields(Account) if field.name not in ("terms", "moving")
}


def kept_state(meter: MeterTwin) -> dict[str, Any]:
    """Everything that a meter keeps.

    Settings by name; counters by name, in J or ml; ``tou_registers``, ``block_registers`` and
    ``block_counters`` in Wh or litres; the fields of :class:`Account` in grains; logs by name, tuples of
    rows; ``spent_serials`` of UTRNs; ``supply_state`` and ``supply_reason``; ``clock_offset`` (microseconds);
    ``holding``, by name.
    """
    return {
        **meter.values,
        **{name: counter.ticks for name, counter in meter.counters.items()},
        **{name: tuple(log.rows()) for name, log in meter.logs.items()},
        **{name: getattr(meter.account, name) for name in _ACCOUNT},
        "tou_registers": tuple(meter.tariff.tou),
        "block_registers": tuple(tuple(row) for row in meter.tariff.blocks),
        "block_counters": tuple(meter.tariff.counters),
        "spent_serials": meter.credit.spent_serials,
        "supply_state": meter.supply.state.value,
        "supply_reason": meter.supply.reason,
        "clock_offset": meter.clock_offset,
        "holding": dict(meter.holding.by_name),
    }


def restore(meter: MeterTwin, kept: Mapping[str, Any], factory: Mapping[str, Any]) -> None:
    """Put back what was kept; what is missing is as it left the factory: default, zero or empty."""
    meter.values |= {name: kept.get(name, value) for name, value in factory.items()}
    for name, counter in meter.counters.items():
        counter.ticks = kept.get(name, 0)
    for name, log in meter.logs.items():
        log.fill(kept.get(name, ()))
    for name, default in _ACCOUNT.items():
        setattr(meter.account, name, kept.get(name, default))
    tou, blocks = meter.sizes
    meter.tariff.tou[:] = kept.get("tou_registers", (0,) * tou)
    meter.tariff.counters[:] = kept.get("block_counters", (0,) * blocks)
    for row, of_block in zip(
        meter.tariff.blocks, kept.get("block_registers", ((0,) * blocks,) * 4), strict=True
    ):
        row[:] = of_block
    meter.credit.spent_serials = kept.get("spent_serials", frozenset())
    meter.supply.become(
        SupplyState(kept.get("supply_state", SupplyState.ENABLED)), kept.get("supply_reason", "")
    )
    meter.clock_offset = kept.get("clock_offset", 0)
    meter.holding.by_name = dict(kept.get("holding", {}))
