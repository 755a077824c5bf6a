"""A demand applied at the bench, and what has to come of it: what flows, what is counted, what it costs.

Energy is in Wh, gas volume in m3, money in millipence. A load bank and a billing meter are both a little
wrong on a physical rig, so what flows is compared within :data:`ACCURACY`; what a meter charges has to fit
what it counted to the last step of its register.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final, Protocol

from harness.domain.instruments import Bench, Device, EvidenceLog, Flow, Meter
from harness.domain.words import DeviceType, PaymentMode

LOAD_W: Final = 2_400
GAS_LITRES_PER_HOUR: Final = 1_200
ACCURACY: Final = Decimal("0.02")
LEAK: Final = Decimal("0.001")  # of what is wanted: less than this counts as nothing


@dataclass(frozen=True, slots=True)
class Consumption:
    """What the bench's appliances wanted and what came of it, in Wh (electricity) or m3 (gas)."""

    wanted: Decimal
    flowed: Decimal  # by the bench's reference meters
    registered: Decimal  # by the registers that the meter charges by


class Consume(Protocol):
    """Applies a load or a gas flow: see the fixture ``consume``."""

    def __call__(self, meter: Meter, duration: timedelta) -> Consumption:
        """What became of the demand in so much lab time."""


def counted_by(meter: Device) -> Decimal:
    """What the meter's TOU registers hold together: what it charges by, in Wh or m3."""
    return Decimal(sum(meter.read("tou_registers")))


def step_of(meter: Device) -> Decimal:
    """The last digit of a register: 1 Wh or a litre."""
    return Decimal(1) if meter.device_type is DeviceType.ESME else Decimal("0.001")


def flow_of(meter: Device, flow: Flow) -> Decimal:
    """What the bench's reference meter counted of the meter's fuel."""
    return flow.active_import if meter.device_type is DeviceType.ESME else flow.gas_volume


def demand(meter: Device, bench: Bench, *, on: bool) -> Decimal:
    """Switch the appliances behind a meter; what they want is told in W or m3/h."""
    if meter.device_type is DeviceType.ESME:
        bench.load(LOAD_W if on else 0)
    else:
        bench.gas_flow(GAS_LITRES_PER_HOUR if on else 0)
    return demand_of(meter)


def demand_of(meter: Device) -> Decimal:
    """What the appliances behind a meter want while they are on, in W or m3/h."""
    electricity = meter.device_type is DeviceType.ESME
    return Decimal(LOAD_W) if electricity else Decimal(GAS_LITRES_PER_HOUR) / 1000


def demand_in(meter: Device, duration: timedelta) -> Decimal:
    """What they want in so much time, in Wh or m3."""
    return demand_of(meter) * int(duration.total_seconds()) / 3600


def energy_of(meter: Meter, quantity: Decimal) -> Decimal:
    """Wh in so many Wh of electricity or m3 of gas, by the meter's own calorific value and conversion."""
    if meter.device_type is DeviceType.ESME:
        return quantity
    held = meter.read_many(("calorific_value", "conversion_factor"))
    megajoules = quantity * Decimal(held["calorific_value"]) * Decimal(held["conversion_factor"])
    return megajoules * 1000 / Decimal("3.6")


def cost(meter: Meter, quantity: Decimal, price: int) -> Decimal:
    """Millipence for so many Wh or m3 at so many millipence per kWh."""
    return energy_of(meter, quantity) * price / 1000


def bought(meter: Meter, millipence: int, price: int) -> Decimal:
    """The Wh or m3 that an amount buys at so many millipence per kWh."""
    return Decimal(millipence) / cost(meter, Decimal(1), price)


def expect_flow(evidence: EvidenceLog, when: str, used: Consumption, *, flows: bool = True) -> None:
    """What was wanted flowed, or nothing did."""
    low = used.wanted * (1 - ACCURACY) if flows else Decimal(0)
    high = used.wanted * ((1 + ACCURACY) if flows else LEAK)
    evidence.expect_between(f"what flowed {when}, Wh or m3", found=used.flowed, low=low, high=high)


def expect_bought(evidence: EvidenceLog, meter: Meter, used: Consumption, amount: Decimal) -> None:
    """The supply lasted for this amount, in Wh or m3, and not for what was wanted beyond it."""
    assert amount < used.wanted, "the demand does not use the credit up"
    low = amount * (1 - ACCURACY) - step_of(meter)
    high = amount * (1 + ACCURACY) + 2 * step_of(meter)
    what = "what flowed until the supply was cut, Wh or m3"
    evidence.expect_between(what, found=used.flowed, low=low, high=high)


def charge(meter: Meter, consume: Consume, duration: timedelta) -> tuple[Consumption, int]:
    """Consume for a while; what came of it, and the millipence that the meter charged.

    A prepaying meter's balance falls; in credit mode, where it tells what is owed, it rises.
    """
    held = meter.read_many(("meter_balance", "payment_mode"))
    used = consume(meter, duration)
    moved = int(meter.read("meter_balance") - held["meter_balance"])
    return used, moved if held["payment_mode"] == PaymentMode.CREDIT else -moved


def expect_due(
    evidence: EvidenceLog, meter: Meter, charged: int, due: Decimal, *, dearest: int, what: str = "charged"
) -> None:
    """What was charged is due, but for one step of the register at the dearest price."""
    margin = cost(meter, step_of(meter), dearest) + 1
    evidence.expect_between(f"millipence {what}", found=charged, low=due - margin, high=due + margin)


def expect_charge(
    evidence: EvidenceLog, meter: Meter, consume: Consume, duration: timedelta, price: int
) -> Consumption:
    """Consume for a while: it flows, the meter counts it, and charges what it counted at the price."""
    used, charged = charge(meter, consume, duration)
    expect_flow(evidence, "as asked", used)
    low, high = used.flowed * (1 - ACCURACY), used.flowed * (1 + ACCURACY)
    evidence.expect_between("what the meter counted, Wh or m3", found=used.registered, low=low, high=high)
    due = cost(meter, used.registered, price)
    expect_due(evidence, meter, charged, due, dearest=price, what=f"charged at {price} millipence/kWh")
    return used
