"""``proof.json`` and ``proof.html``: what packs caught of the faults that twins were given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.assurance.proof import Proof
from harness.records.canonical import plain

_ORDER = ("broken", "wrong", "missed", "caught", "not applicable")


def contents(proof: Proof) -> dict[str, Any]:
    """The proof, for programs. Evidence is named from the proof's folder."""
    whole = {
        "proof": proof.folder.name,
        "lab": proof.lab,
        "seed": proof.seed,
        "began": proof.began,
        "seconds": proof.seconds,
        "processor_seconds": proof.processor_seconds,
        "packs": [
            {"name": name, "digest": digest, "entries": proof.entries.get(name, ())}
            for name, digest in proof.digests.items()
        ],
        "controlled": proof.controlled,
        "counts": proof.counts,
        "caught_share": round(proof.caught_share, 4),
        "faults": [
            plain(fault) | {"verdict": fault.verdict.value, "unnoticed_srvs": list(fault.unnoticed_srvs)}
            for fault in proof.faults
        ],
        "idle": proof.idle,
        "left": proof.left,
    }
    return plain(whole)  # type: ignore[no-any-return]  # plain() of a mapping is a dict


def render(proof: Proof) -> tuple[Path, Path]:
    """Write both files into the proof's folder."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    told = contents(proof)
    for_programs, for_people = proof.folder / "proof.json", proof.folder / "proof.html"
    for_programs.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    jinja = Environment(
        loader=PackageLoader("harness.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    told["faults"].sort(key=lambda fault: (_ORDER.index(fault["verdict"]), fault["place"], fault["name"]))
    page = jinja.get_template("proof.html").render(told, order=_ORDER)
    for_people.write_text(page, encoding="utf-8", errors="backslashreplace")
    return for_programs, for_people
