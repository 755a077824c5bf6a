"""``harness packs`` and ``harness packs agree``: what packs there are, and what was agreed of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from harness.cli.output import ExitCode, answer_json, answer_table, tell
from harness.config import load_lab
from harness.config.agreed import Agreement, read_agreed, write_agreed
from harness.config.pack_sources import tests_of
from harness.config.packs import find_packs, manifests
from harness.domain.errors import UsageError
from harness.execution.agreement import planned_packs

_CYCLE = "1"  # an end of cycle pack is listed as if its run said its cycle


def list_packs(file: Path, *, as_json: bool) -> ExitCode:
    """The packs of the lab's packs folder."""
    lab = load_lab(file)
    packs = find_packs(lab.packs, manifests(lab.packs))
    planned = planned_packs(packs, lab, _CYCLE)
    if as_json:
        answer_json(
            [
                {
                    "name": pack.name,
                    "title": pack.title,
                    "version": pack.version,
                    "kind": pack.kind,
                    "capability_release": pack.release,
                    "test_phase": pack.test_phase,
                    "dmcs": sorted(pack.dmcs),
                    "derives": pack.derives,
                    "tests": len(tests_of(pack)),
                    "digest": pack.digest,
                    "standing": as_planned.standing,
                    "agreement": as_planned.agreement,
                    "departures": as_planned.departures,
                }
                for pack, as_planned in zip(packs, planned, strict=True)
            ]
        )
        return ExitCode.GOOD
    rows = (
        (
            pack.name,
            pack.version,
            pack.kind.replace("_", " "),
            pack.release,
            pack.test_phase,
            len(tests_of(pack)),
            pack.digest[:16],
            as_planned.standing,
        )
        for pack, as_planned in zip(packs, planned, strict=True)
    )
    columns = ("pack", "version", "kind", "release", "phase", "test functions", "digest", "TAG")
    answer_table("packs", columns, rows)
    return ExitCode.GOOD


def agree(names: list[str], reference: str, by: str, file: Path, *, as_json: bool) -> ExitCode:
    """Write down that packs, as they stand, were agreed with the TAG."""
    lab = load_lab(file)
    today = datetime.now(UTC).date()
    agreements = read_agreed(lab.agreed_packs)
    made: list[Agreement] = []
    for pack in find_packs(lab.packs, names):
        said = reference or pack.tag_agreement
        if not said:
            raise UsageError(
                f"{pack.name} names no agreement",
                remedy="say it: --reference, or tag_agreement in its manifest",
            )
        if pack.tag_agreement and reference not in {"", pack.tag_agreement}:
            raise UsageError(
                f"the manifest of {pack.name} rests on {pack.tag_agreement}, and not on {reference}",
                remedy="correct tag_agreement, or the reference",
            )
        made.append(Agreement.to(pack, said, today, by))
    write_agreed(lab.agreed_packs, agreements | {each.pack: each for each in made})
    if as_json:
        answer_json(
            [{"pack": each.pack, "digest": each.digest, "reference": each.reference} for each in made]
        )
    for each in made:
        tell(f"{each.pack} {each.version} is what {each.reference} agreed to: {each.digest[:16]}")
    return ExitCode.GOOD
