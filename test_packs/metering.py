"""What flows and what is counted: registers by name, held against the bench's reference meters.

Quantities have the names that both the bench's :class:`Flow` and the meters' registers use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from harness.domain.instruments import Bench, Device, EvidenceLog, LabClock, RigInHand
from harness.domain.words import DeviceType
from test_packs.consumption import ACCURACY

HALF_HOUR: Final = timedelta(minutes=30)
KEY_AGREEMENT: Final = (
    "MIIBPzCB56ADAgECAgEBMAoGCCqGSM49BAMCMCAxHjAcBgNVBAMMFUV4YW1wbGUga2V5IGFncmVlbWVudDAeFw0yNTAx"
    "MDEwMDAwMDBaFw00NTAxMDEwMDAwMDBaMCAxHjAcBgNVBAMMFUV4YW1wbGUga2V5IGFncmVlbWVudDBZMBMGByqGSM49"
    "AgEGCCqGSM49AwEHA0IABPBEfD9NyKI0DYWYB2f2WwK91REM9RSyQBw59blLdMmlRSZKlN8QHH8vxFwFs87zrAswq902"
    "IqgCmjjcWashMYqjEjAQMA4GA1UdDwEB/wQEAwIDCDAKBggqhkjOPQQDAgNHADBEAiBzXOg7JwAcZVRrcRkm/o2sU8zj"
    "lsYHnooCUWRwtMeo2QIgJhpTmby+Vl+4hzQ+xt3inp6+OGCEpNgRRBlYH7NYBI8="
)
"""A made-up certificate: no SMETS1 Response is encrypted for its reader, so any will do (inferred)."""

Quantities = Mapping[str, Decimal]


def quantities_of(meter: Device) -> tuple[str, ...]:
    """What a meter counts, in Wh, varh or m3."""
    if meter.device_type is DeviceType.ESME:
        return ("active_import", "active_export", "reactive_import", "reactive_export")
    return ("gas_volume",)


def step_of(quantity: str) -> Decimal:
    """The last digit of a register: 1 Wh, 1 varh or a litre."""
    return Decimal("0.001") if quantity == "gas_volume" else Decimal(1)


def unit_of(quantity: str) -> str:
    """What it is counted in."""
    if quantity == "gas_volume":
        return "m3"
    return "varh" if quantity.startswith("reactive") else "Wh"


def flowed(bench: Bench, meter: Device) -> Quantities:
    """What the bench's reference meters have counted of what the meter counts."""
    flow = bench.reference()
    return {name: getattr(flow, name) for name in quantities_of(meter)}


def counted(meter: Device) -> Quantities:
    """What the meter's own registers show, read at its own port."""
    return {name: Decimal(value) for name, value in meter.read_many(quantities_of(meter)).items()}


def since(before: Quantities, after: Quantities) -> Quantities:
    """What was added to each."""
    return {name: after[name] - before[name] for name in before}


def flow(bench: Bench, meter: Device, size: int, reactive: int = 0) -> None:
    """Let flow: W (negative: export) and var, or l/h."""
    if meter.device_type is DeviceType.ESME:
        bench.load(size, reactive)
    else:
        bench.gas_flow(size)


def let_flow(
    bench: Bench, clock: LabClock, meter: Device, duration: timedelta, size: int, reactive: int = 0
) -> Quantities:
    """Let flow for a while, then stop; what the reference meters counted."""
    before = flowed(bench, meter)
    flow(bench, meter, size, reactive)
    clock.sleep(duration)
    flow(bench, meter, 0)
    return since(before, flowed(bench, meter))


def tolerance(rig: RigInHand) -> Decimal:
    """How much a meter and the rig's reference may differ, as a part of what flowed; twins are exact.

    A lab says so of a rig by ``accuracy`` in its bench's settings.
    """
    default = Decimal(0) if rig.rig.simulation else ACCURACY
    return Decimal(str(rig.rig.bench.get("accuracy", default)))


def expect_counted(
    evidence: EvidenceLog, rig: RigInHand, what: str, found: Mapping[str, Any], reference: Quantities
) -> None:
    """Each quantity found is what the reference counted, to the last step of its register."""
    part = tolerance(rig)
    for name, value in found.items():
        true, step = reference[name], step_of(name)
        margin = step + true * part
        evidence.expect_between(
            f"{what}: {name}, {unit_of(name)}", found=value, low=true - margin, high=true + margin
        )


def expect_sum(
    evidence: EvidenceLog, profile: str, quantity: str, found: Decimal, registered: Decimal
) -> None:
    """What the half hours of a profile add up to is what the meter's register moved by."""
    what = (
        f"{quantity}, {unit_of(quantity)}: {profile} adds up to (found) what the register moved by (expected)"
    )
    evidence.expect(what, found=found, expected=registered)


def half_hours(after: datetime, until: datetime) -> list[datetime]:
    """The ends of all half hours that end after one moment and not after another."""
    end = after.replace(minute=after.minute // 30 * 30, second=0, microsecond=0) + HALF_HOUR
    ends = []
    while end <= until:
        ends.append(end)
        end += HALF_HOUR
    return ends


def until_next(clock: LabClock, period: timedelta = HALF_HOUR, past: timedelta = timedelta(0)) -> datetime:
    """Wait until a whole number of periods of the day have ended, and a little more; the end of the last."""
    now = clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    end = midnight + ((now - midnight) // period + 1) * period
    clock.sleep(end + past - now)
    return end


def log_period(start: datetime, end: datetime, *, certified: bool = False) -> dict[str, Any]:
    """A ReadLogPeriod, both ends included; for some SRVs with the certificate that their schema asks for."""
    period = {"ReadLogPeriod": {"StartDateTime": start, "EndDateTime": end}}
    return period | ({"KAPublicSecurityCredentials": KEY_AGREEMENT} if certified else {})


Piece = tuple[int, int, int]  # minutes; W or l/h; var


def by_half_hours(
    bench: Bench, clock: LabClock, meter: Device, plan: Iterable[Iterable[Piece]]
) -> dict[datetime, Quantities]:
    """Let flow what a plan says of each half hour from the next one on, nothing for the rest of each.

    What the reference meters counted in each half hour, by its end.
    """
    end = until_next(clock)
    rows: dict[datetime, Quantities] = {}
    for pieces in plan:
        before, end = flowed(bench, meter), end + HALF_HOUR
        for minutes, size, reactive in pieces:
            flow(bench, meter, size, reactive)
            clock.sleep(timedelta(minutes=minutes))
        flow(bench, meter, 0)
        clock.sleep(end - clock.now())
        rows[end] = since(before, flowed(bench, meter))
    return rows
