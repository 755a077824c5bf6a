"""How the packs of a run stand to what was agreed with the TAG, before anything of it is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.config.agreed import Agreement, read_agreed
from harness.domain.errors import UsageError
from harness.domain.lab import Lab
from harness.domain.packs import Pack, PackStanding
from harness.domain.words import PackKind
from harness.records.plan import PlannedPack, notices

_MOST = 12  # changes of a pack that are named one by one


def planned_packs(packs: Iterable[Pack], lab: Lab, cycle: str) -> tuple[PlannedPack, ...]:
    """The packs as the plan has them, each with its standing."""
    agreed = read_agreed(lab.agreed_packs)
    return tuple(_planned(pack, agreed.get(pack.name), lab, cycle) for pack in packs)


def refuse_unagreed(packs: Iterable[PlannedPack]) -> None:
    """What a witnessed run does not start with (Clause 13.15(a)): a :class:`UsageError` that names it."""
    if lines := notices(packs):
        raise UsageError(
            f"a witnessed run is of what was agreed: {'; '.join(lines)}",
            remedy="put back what was agreed, or have the TAG agree to it and say so: harness packs agree",
        )


def _planned(pack: Pack, agreement: Agreement | None, lab: Lab, cycle: str) -> PlannedPack:
    departures = [*_changes(pack, agreement), *_conditions(pack, lab, cycle)]
    if agreement is None:
        standing = PackStanding.NOT_AGREED
    else:
        standing = PackStanding.AGREED if agreement.digest == pack.digest else PackStanding.DIFFERS
    return PlannedPack(
        name=pack.name,
        version=pack.version,
        digest=pack.digest,
        kind=pack.kind,
        capability_release=pack.release,
        test_phase=pack.test_phase,
        standing=standing,
        agreement=agreement.reference if agreement else "",
        departures=tuple(departures),
    )


def _changes(pack: Pack, agreement: Agreement | None) -> Iterator[str]:
    """What has changed since the agreement; the pack may only have been moved within it."""
    if agreement is None or agreement.digest == pack.digest:
        return
    found = agreement.departures(pack)
    more = len(found) - _MOST
    yield f"not the pack of {agreement.reference}: {'; '.join(found[:_MOST])}" + (
        f"; and {more} more: harness packs diff {pack.name}" if more > 0 else ""
    )


def _conditions(pack: Pack, lab: Lab, cycle: str) -> Iterator[str]:
    """What it asks of a run."""
    for dmc in sorted(pack.dmcs - {each.id for each in lab.dmcs}):
        yield f"lab {lab.name} has no DMC {dmc}"
    if pack.regression is not None:
        yield from (f"{departure} (Clause 7.6)" for departure in pack.regression.departures(lab.environment))
    if pack.kind is PackKind.END_OF_CYCLE and not cycle:
        yield "the run does not say its cycle, --cycle (Clause 7.4(c))"
