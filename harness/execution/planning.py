"""What a run plans: every pack test on every EPCL entry of the pack's Capability Release.

A planned test is a pack test on an EPCL entry's DMC; any free rig of that DMC may take it. A test that
holds ``meter`` is planned once for each device type that it is marked for, every other test once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.domain.lab import EpclEntry, Lab
from harness.domain.packs import Pack
from harness.domain.words import DeviceType
from harness.records.plan import PlannedTest

if TYPE_CHECKING:  # workers import this module, and need no reader of matrices
    from harness.config.ttm import Requirement

CASE = "planned_case"
"""Name of the fixture that every planned test is parametrised by."""
DEADLINE = "deadline"
"""Name of the mark that says how long a test may last."""
EXPECTED = "expected"
"""Name of the mark that guesses how long a test lasts."""
STAGE = "stage"
"""Name of the mark that gives a test its place in the order of its pack."""
STATE = "installation_state"
"""Name of the mark that says in what state a test needs the installation to be."""
GUESS = 10.0
"""Seconds that a test is expected to last where no earlier run, mark or pack says it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One planning of a test function: for a pack, on an EPCL entry, about a device type."""

    pack: Pack
    entry: EpclEntry
    device: DeviceType

    @property
    def id(self) -> str:
        """As it stands in pytest's node ids: ``standard-srvt-ioc,IOC-A-dormant,ESME``."""
        return f"{self.pack.name},{self.entry.id},{self.device}"


def marked(source: Any, name: str) -> tuple[str, ...]:
    """The arguments of a mark, in order, over all its uses on a test."""
    arguments = [arg for mark in source.iter_markers(name) for arg in mark.args]
    return tuple(dict.fromkeys(str(arg) for arg in arguments))


def marked_deadline(item: pytest.Item) -> float | None:
    """Seconds of real time that ``@pytest.mark.deadline(seconds)`` gives a test; a wrong mark is an error."""
    return _marked_seconds(item, DEADLINE)


def _marked_seconds(item: pytest.Item, name: str) -> float | None:
    """The one number of a mark, the closest to the test."""
    mark = next(item.iter_markers(name), None)
    if mark is None:
        return None
    seconds = mark.args[0] if len(mark.args) == 1 and not mark.kwargs else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise pytest.UsageError(f"{_place(item)}: @pytest.mark.{name}(…) takes one number, of seconds")
    return float(seconds)


def _marked_word(item: pytest.Item, name: str) -> str:
    """The one word of a mark, the closest to the test; empty where the test has no such mark."""
    mark = next(item.iter_markers(name), None)
    if mark is None:
        return ""
    word = mark.args[0] if len(mark.args) == 1 and not mark.kwargs else None
    if not isinstance(word, str) or not word.strip():
        raise pytest.UsageError(f"{_place(item)}: @pytest.mark.{name}(…) takes one word")
    return word


def _stage(item: pytest.Item, pack: Pack) -> tuple[str, int]:
    """The stage of a test, and its place in the pack's order, from 1; ``("", 0)`` where it has none."""
    stage = _marked_word(item, STAGE)
    if not stage:
        return "", 0
    if stage not in pack.stages:
        from harness.config.problems import nearest

        raise pytest.UsageError(
            f"{_place(item)}: pack {pack.name} has no stage {stage!r} ({nearest(stage, pack.stages)}); "
            f"its stages are those of {pack.manifest}"
        )
    return stage, 1 + pack.stages.index(stage)


def cases(
    module: Path, function: str, node: Any, fixtures: Iterable[str], packs: Iterable[Pack], lab: Lab
) -> Iterator[Case]:
    """Every planning of a test function; none where no pack selects it or no DMC has what it needs."""
    if any(node.iter_markers("duis_schema")) and not _validates(lab):
        return
    types = _device_types(node)
    each = "meter" in fixtures
    srvs = marked(node, "srv")
    waits = any(node.iter_markers("days_of_lab_time"))
    for pack in (pack for pack in packs if pack.selects(module, function)):
        for entry in filter(pack.is_for, lab.epcl):
            if waits and not all(rig.simulation for rig in lab.rigs_of(entry.dmc.id)):
                continue
            for device in types if each else types[:1]:
                needed = (device,) if each else types
                if all(entry.dmc.has(type_) for type_ in needed) and _served(node, srvs, device, lab):
                    yield Case(pack, entry, device)


def _validates(lab: Lab) -> bool:
    """Whether the DCC holds requests against the DUIS schema: the gateway stub does where the lab has it."""
    return lab.dcc.gateway != "simulated" or lab.dcc.schemas is not None


def _device_types(node: Any) -> tuple[DeviceType, ...]:
    """What a test is marked for; a test that is not marked is about the electricity meter."""
    try:
        return tuple(map(DeviceType, marked(node, "devices"))) or (DeviceType.ESME,)
    except ValueError as error:
        raise pytest.UsageError(
            f"{_place(node)}: {error} of @pytest.mark.devices; say {', '.join(DeviceType)}"
        ) from None


def _served(node: Any, srvs: Iterable[str], device: DeviceType, lab: Lab) -> bool:
    """Whether the catalogue marks the SRVs for the device; what it does not know of is not planned."""
    if missing := [srv for srv in srvs if srv not in lab.catalogue]:
        raise pytest.UsageError(f"{_place(node)}: the SRV catalogue has no {', '.join(missing)}")
    rows = [lab.catalogue[srv] for srv in srvs]
    return all(row.non_device or device in row.device_types for row in rows)


def switched_off(node: Any, lab: Lab) -> bool:
    """Whether a test is of an SRV that the catalogue marks unknown, in a lab that does not turn these on."""
    if lab.unknown_services:
        return False
    types, srvs = set(_device_types(node)), marked(node, "srv")
    return any(types & lab.catalogue[srv].unknown_for for srv in srvs if srv in lab.catalogue)


def _place(node: Any) -> str:
    """Where a test stands; pytest's own id lacks the module where that lies outside its root folder."""
    from harness.config.problems import shown

    return f"{shown(node.path)}::{node.name}"


def planned_id(item: pytest.Item) -> str:
    """The id of a planned test, for a collected item: the same in every process."""
    return f"{item.path.stem}::{item.name}"


def planned_test(item: pytest.Item, ttm: Mapping[str, Requirement], lab: Lab) -> PlannedTest:
    """The plan's line for a collected item.

    :class:`pytest.UsageError` (a collection error) where it names an id that the TTM lacks, an SRV that the
    catalogue lacks, a stage that its pack lacks, or no TTM id that is about its device.
    """
    case: Case = item.callspec.params[CASE]  # type: ignore[attr-defined]  # parametrised by us
    function = item.function  # type: ignore[attr-defined]  # a test function, as planned
    ids = marked(item, "ttm")
    if missing := [id_ for id_ in ids if id_ not in ttm]:
        raise pytest.UsageError(f"{_place(item)}: the TTM has no {', '.join(missing)} (see {lab.ttm})")
    about = tuple(id_ for id_ in ids if _concerns(ttm[id_], case))
    if not about:
        raise pytest.UsageError(
            f"{_place(item)}: no TTM id for {case.device}; mark it with @pytest.mark.ttm(…)"
        )
    marked_deadline(item)  # says here and now where it is wrong
    stage, stage_order = _stage(item, case.pack)
    groups = marked(item, "functional_group")
    rigs = lab.rigs_of(case.entry.dmc.id)
    return PlannedTest(
        id=planned_id(item),
        node_id=item.nodeid,
        pack=case.pack.name,
        title=_title(function),
        full_name=f"{function.__module__}#{function.__name__}",
        srvs=marked(item, "srv"),
        ttm=about,
        functional_group=groups[0] if groups else ttm[about[0]].functional_group,
        device_type=case.device,
        entry=case.entry.id,
        dmc=case.entry.dmc.id,
        installation_type=case.entry.installation_type,
        release=case.pack.release,
        test_phase=case.pack.test_phase,
        not_run="" if rigs else f"no rig of DMC {case.entry.dmc.id} in lab {lab.name}",
        stage=stage,
        stage_order=stage_order,
        expected=_marked_seconds(item, EXPECTED) or case.pack.guess(item.path, function.__name__) or GUESS,
        state=_marked_word(item, STATE) or case.pack.state,
    )


def _concerns(requirement: Requirement, case: Case) -> bool:
    types, releases = requirement.device_types, requirement.releases
    return (not types or case.device in types) and (not releases or case.pack.release in releases)


def _title(function: Any) -> str:
    doc = (function.__doc__ or "").strip()
    return (
        str(doc.splitlines()[0].rstrip("."))
        if doc
        else function.__name__.removeprefix("test_").replace("_", " ")
    )
