"""``harness packs --prove``: which faults the packs catch, and which they miss."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from harness.cli.choosing import chosen
from harness.cli.output import ExitCode, answer_json, answer_table, tell
from harness.cli.run import RunOptions, arguments_of
from harness.config import load_lab
from harness.config.packs import find_packs
from harness.config.ttm import load_ttm
from harness.domain.errors import UsageError
from harness.domain.faults import Fault, Place
from harness.domain.lab import Lab
from harness.hooks import plugin_manager
from harness.records.run_folder import make_run_folder

_SHOWN: Final = 3  # tests that the table names


@dataclass(frozen=True, slots=True, kw_only=True)
class ProveOptions:
    """What the command line says of a proof."""

    packs: Sequence[str]
    lab: Path
    runs: Path
    faults: Sequence[str] = ()
    places: Sequence[str] = ()
    entries: Sequence[str] = ()
    seed: int | None = None
    bystanders: int = 2
    workers: int = 0
    as_json: bool = False


def prove(options: ProveOptions) -> ExitCode:
    """Run the packs once for each fault that they can touch, and say what they caught."""
    from harness.assurance.proving import Task, chosen_faults
    from harness.assurance.proving import prove as prove_task
    from harness.assurance.survey import survey
    from harness.assurance.trials import Trial, one_entry
    from harness.reports.proof import contents, render

    lab = load_lab(options.lab)
    packs = find_packs(lab.packs, options.packs)
    known = _known_faults(lab)
    faults = chosen_faults(
        known,
        [chosen(known, name, "fault").name for name in _words(options.faults)],
        [
            chosen({place.value: place for place in Place}, word, "place").value
            for word in _words(options.places)
        ],
    )
    if not faults:
        raise UsageError(f"no fault {_asked_for(options)}", remedy="'harness faults' lists them")
    folder = options.runs.resolve() / f"proof-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    run = RunOptions(
        packs=options.packs, lab=options.lab, runs=folder, seed=options.seed, one_process=True,
        only={"entry": list(options.entries)},
    )  # fmt: skip
    planned = survey(arguments_of(run, "survey"), lab, load_ttm(lab.ttm, srvs=lab.catalogue).by_id)
    tests = planned if options.entries else one_entry(planned)
    _refuse_real_rigs(lab, {each.test.dmc for each in tests})

    def arguments(trial: Trial) -> Sequence[str]:
        ids = [each.test.id for each in trial.all]
        of_trial = replace(run, faults=[trial.fault.name] if trial.fault else [], only={"test": ids})
        return [*arguments_of(of_trial, trial.name), "--no-exports"]

    make_run_folder(folder)
    proof = prove_task(
        Task(
            lab=lab,
            packs=packs,
            tests=tests,
            faults=faults,
            seed=lab.seed if options.seed is None else options.seed,
            bystanders=options.bystanders,
            at_once=options.workers or os.cpu_count() or 1,
            folder=folder,
            arguments=arguments,
            tell=tell,
        )
    )
    written = render(proof)
    if options.as_json:
        answer_json(contents(proof))
    else:
        _show(contents(proof))
        for path in written:
            tell(f"proof: {path}")
    if proof.left:
        return ExitCode.INTERRUPTED
    return ExitCode.GOOD if proof.good else ExitCode.BAD


def _known_faults(lab: Lab) -> Mapping[str, Fault]:
    found = plugin_manager(lab.plugins).hook.harness_faults()
    return {fault.name: fault for faults in found for fault in faults}


def _words(options: Iterable[str]) -> list[str]:
    """``a,b`` is as good as each by itself."""
    return [word.strip() for option in options for word in option.split(",") if word.strip()]


def _asked_for(options: ProveOptions) -> str:
    """Which faults were wanted, as it ends a sentence about one."""
    said = {"is named": _words(options.faults), "has place": _words(options.places)}
    return " and ".join(f"{verb} {' or '.join(words)}" for verb, words in said.items() if words)


def _refuse_real_rigs(lab: Lab, dmcs: Iterable[str]) -> None:
    real = [rig.id for dmc in sorted(dmcs) for rig in lab.rigs_of(dmc) if rig.simulation is None]
    if real:
        raise UsageError(
            f"a fault can be given to twins alone: {', '.join(real)} of {lab.file} are not twins",
            remedy="name a simulated lab: --lab",
        )


def _show(proof: Mapping[str, Any]) -> None:
    rows = [
        (fault["name"], fault["place"], pack["pack"], pack["verdict"], _by(pack), _beside(fault, pack))
        for fault in proof["faults"]
        for pack in fault["packs"]
    ]
    answer_table("proof", ("fault", "place", "pack", "verdict", "caught by", "beside"), rows)
    idle = [(each["pack"], each["name"], each["faults"]) for each in proof["idle"] if each["faults"]]
    if idle:
        answer_table(
            "tests that were run and caught nothing", ("pack", "test", "under how many faults"), idle
        )
    if untried := len(proof["idle"]) - len(idle):
        tell(f"{untried} tests were run under no fault: see proof.json")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in proof["counts"].items() if count)
    tell(f"{counts}: {proof['caught_share']:.1%} of the faults that the packs can touch were caught")
    used = f"{proof['seconds']:.0f} s, {proof['processor_seconds']:.0f} s of processors"
    tell(f"{proof['controlled']} tests passed without a fault; {used}")
    if proof["left"]:
        tell(f"interrupted: nothing is known of {len(proof['left'])} faults")


def _by(pack: Mapping[str, Any]) -> str:
    names = list(dict.fromkeys(each["name"] for each in pack["caught_by"]))
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _beside(fault: Mapping[str, Any], pack: Mapping[str, Any]) -> str:
    told = [f"wrong: {each['name']}" for each in pack["wrong"]]
    if pack["blocked"]:
        told.append(f"{len(pack['blocked'])} blocked")
    if pack["verdict"] == "missed" and fault["may_be_missed"]:
        told.append(f"may be missed: {fault['may_be_missed']}")
    if fault["trouble"]:
        told.append(fault["trouble"])
    return ", ".join(told)
