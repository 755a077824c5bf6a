"""What an archive of a run says about itself: RO-Crate 1.1 metadata, and how to verify it without us."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from harness.records.blocks import BLOCK, BLOCKS
from harness.records.canonical import digest_of_file
from harness.records.manifest import MANIFEST
from harness.records.run import RunRecord
from harness.records.seal import PUBLIC_KEY, SIGNATURE, PublicKey

METADATA: Final = "ro-crate-metadata.json"
VERIFY: Final = "VERIFY.md"
RUN: Final = "run"
"""The folder of the archive that is the run folder, byte for byte."""

_SPECIFICATION: Final = "https://w3id.org/ro/crate/1.1"
_PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "plan.json": (
        "application/json",
        "The plan, frozen before the first test: its SHA-256 heads each journal",
    ),
    "journal/": ("", "What happened, one hash-chained journal a process (JSON lines)"),
    "evidence/": ("", "The evidence of each attempt: steps.jsonl, and the files that its steps name"),
    "dcc/": ("", "Every message that passed over the run's DCC link"),
    "rigs/": ("", "The log of each rig: what happened there, a line an event, for people to read"),
    "run.json": ("application/json", "What was run, where, against what, and the numbers"),
    "junit.xml": ("application/xml", "One test case for each planned test"),
    "allure-results/": ("", "One result for each attempt, for Allure 2 and 3"),
    "ttm-coverage.csv": ("text/csv", "Every requirement of the Test Traceability Matrix, and its tests"),
    "heatmap.html": ("text/html", "Coverage and success by functional group and DMC: open it in a browser"),
    MANIFEST: ("text/plain", "SHA-256 of every file of the run, as sha256sum reads it"),
    BLOCKS: ("text/plain", f"SHA-256 of every {BLOCK} bytes of the longer files"),
    SIGNATURE: ("application/octet-stream", "The lab's signature over the manifest"),
    PUBLIC_KEY: ("application/x-pem-file", "The public key that verifies the signature"),
}


def metadata(record: RunRecord) -> bytes:
    """``ro-crate-metadata.json`` of an archive. The manifest lists the files; here are their kinds."""
    plan = record.plan
    parts = [_part(record.folder, name) for name in _PARTS if (record.folder / name).exists()]
    packs = ", ".join(pack.name for pack in plan.packs)
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Run {plan.run_id} of lab {plan.lab}",
        "description": f"{plan.test_phase} under SEC Appendix AK: {packs}; environment {plan.environment.id}",
        "identifier": plan.run_id,
        "datePublished": record.ended.isoformat(timespec="seconds"),
        "license": {"@id": "#terms"},
        "author": {"@id": "#lab"},
        "publisher": {"@id": "#lab"},
        "hasPart": [{"@id": f"{RUN}/"}, {"@id": VERIFY}, *({"@id": part["@id"]} for part in parts)],
        "mentions": {"@id": "#run"},
    }
    graph = [_descriptor(), root, _folder(parts), _verify(), *parts, *_context(record)]
    whole = {"@context": f"{_SPECIFICATION}/context", "@graph": graph}
    return json.dumps(whole, indent=2, ensure_ascii=False).encode() + b"\n"


def _descriptor() -> dict[str, Any]:
    return {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": _SPECIFICATION},
    }


def _folder(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "@id": f"{RUN}/",
        "@type": "Dataset",
        "name": "The run folder, byte for byte",
        "hasPart": [{"@id": part["@id"]} for part in parts],
    }


def _verify() -> dict[str, Any]:
    return {
        "@id": VERIFY,
        "@type": "File",
        "name": "How to verify this archive with coreutils and OpenSSL",
        "encodingFormat": "text/markdown",
    }


def _part(folder: Path, name: str) -> dict[str, Any]:
    media_type, description = _PARTS[name]
    about = {"@id": f"{RUN}/{name}", "name": name, "description": description}
    if name.endswith("/"):
        return about | {"@type": "Dataset"}
    size = (folder / name).stat().st_size
    return about | {"@type": "File", "encodingFormat": media_type, "contentSize": str(size)}


def _context(record: RunRecord) -> list[dict[str, Any]]:
    plan = record.plan
    run = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Run {plan.run_id}",
        "startTime": record.started.isoformat(timespec="seconds"),
        "endTime": record.ended.isoformat(timespec="seconds"),
        "agent": {"@id": "#lab"},
        "instrument": {"@id": "#harness"},
        "object": {"@id": f"{RUN}/plan.json"},
        "result": {"@id": "./"},
    }
    harness = {
        "@id": "#harness",
        "@type": "SoftwareApplication",
        "name": "SMETS1 test-lab harness",
        "softwareVersion": version("smets1-harness"),
    }
    terms = {
        "@id": "#terms",
        "@type": "CreativeWork",
        "name": "For audit",
        "description": "Handed over so that the run can be audited. Ask the lab before passing it on.",
    }
    return [{"@id": "#lab", "@type": "Organization", "name": plan.lab}, run, harness, terms]


def how_to_verify(record: RunRecord, signer: PublicKey | None) -> bytes:
    """``VERIFY.md`` of an archive: the commands, and what each proves."""
    unlisted = (
        "diff <(cut -c67- manifest-sha256.txt | LC_ALL=C sort) "
        f"<(find . \\( ! -type d -o -empty \\) ! -path './{MANIFEST}' ! -path './{SIGNATURE}' "
        "| cut -c3- | LC_ALL=C sort)"
    )
    text = f"""\
# How to verify run {record.plan.run_id}

No software of ours is needed: bash, coreutils and OpenSSL are enough (on Windows, Git's shell has all three).
Each command ends with 0 and shows no complaint where all is well. Begin in the folder that this file is in:

```bash
cd {RUN}
```

Every file that the manifest lists is what was sealed. One that is not is named:

```bash
sha256sum --check --strict --quiet {MANIFEST}
```

No file, link, pipe or empty folder is there that the manifest does not list, and none is missing:

```bash
{unlisted}
```

{_about_signature(record.folder, signer)}
Where a long file was changed, `{BLOCKS}` tells: it has the SHA-256 of every {BLOCK} bytes. Block N of
a file is checked with `dd if=FILE bs={BLOCK} skip=N count=1 | sha256sum`. With the harness, one command says
all of it: `harness evidence verify {RUN}{" --key FILE" if signer else ""}`.

What the folders and files are is told in `{METADATA}` (RO-Crate 1.1).
`{VERIFY}` and `{METADATA}` themselves are not sealed: they are made with the archive.
"""
    return text.encode()


def _about_signature(folder: Path, signer: PublicKey | None) -> str:
    if signer is None:
        return f"""\
**This run is not signed.** The commands above find damage. They do not find a change by someone who has made
the manifest anew: for that, compare the manifest's own digest with what the lab has told you by another way.
When this archive was made it was `{digest_of_file(folder / MANIFEST)}`.
"""
    return f"""\
The manifest is what the holder of the key has signed:

```bash
{signer.command}
```

The key is the lab's, if this prints the fingerprint that the lab has told you **by another way than this
archive**; whoever forges a run can make a key, and write its fingerprint here:

```bash
openssl pkey -pubin -in {PUBLIC_KEY} -outform DER | sha256sum
```

When this archive was made, it printed `{signer.fingerprint}`.
"""
