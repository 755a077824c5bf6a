"""``harness ttm link`` and ``clear``: links between tests and requirements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.cli.output import ExitCode, answer_json, tell
from harness.cli.ttm_matrix import ids_of
from harness.config import load_lab
from harness.config.packs import find_packs, manifests
from harness.config.ttm import load_ttm
from harness.config.ttm_links import read_links, write_links
from harness.traceability.links import cleared, linked


def link(file: Path, *, as_json: bool) -> ExitCode:
    """Stamp what has no stamp; 1 where suspect links are left."""
    lab = load_lab(file)
    ttm, links = load_ttm(lab.ttm, srvs=lab.catalogue), read_links(lab.ttm)
    all_ = linked(ttm, links, ids_of(find_packs(lab.packs, manifests(lab.packs))))
    new, gone = all_.keys() - links.links.keys(), links.links.keys() - all_.keys()
    suspect = [each for each in all_.values() if each.stamp != ttm.by_id[each.id].stamp]
    if new or gone or not links.kept:
        write_links(links.file, all_.values())
    if as_json:
        answer_json({"links": len(all_), "stamped": len(new), "dropped": len(gone), "suspect": len(suspect)})
    tell(f"{len(all_)} links, {len(new)} stamped now, {len(gone)} dropped, {len(suspect)} suspect")
    return ExitCode.BAD if suspect else ExitCode.GOOD


def clear(ids: Sequence[str], by: str, reason: str, test: str, file: Path, *, as_json: bool) -> ExitCode:
    """Write down who held which tests against the text of now."""
    lab = load_lab(file)
    ttm, links = load_ttm(lab.ttm, srvs=lab.catalogue), read_links(lab.ttm)
    today = datetime.now(UTC).date()
    all_ = cleared(ttm, links, ids, test=test, by=by, reason=reason, on=today)
    write_links(links.file, all_.values())
    changed = [each for key, each in all_.items() if each != links.links.get(key)]
    if as_json:
        answer_json([{"test": each.test, "id": each.id, "cleared_by": by} for each in changed])
    for each in changed:
        tell(f"{each.id} is cleared for {each.test}")
    return ExitCode.GOOD
