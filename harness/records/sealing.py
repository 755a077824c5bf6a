"""Sealing a run folder: its manifest, signed with the lab's key, is written last and over no broken seal.

A seal vouches for what its lab has recorded. So one is made at the end of a run, by who holds it, and made
again only over records that are still what was sealed: exports may be made anew, and a resumption may add.
Between a kill and its resumption nobody vouches for anything; the run's ``parts`` show that it was so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Final

from harness.domain.errors import HarnessError
from harness.records.blocks import BLOCK, BLOCKS, Blocks, digests_of, read_blocks, told
from harness.records.canonical import digest_of_file
from harness.records.manifest import MANIFEST, NAMES, bytes_of, files_of, read_manifest
from harness.records.plan import sync_folder
from harness.records.seal import PUBLIC_KEY, SIGNATURE, SealingKey

_RECORDS: Final = ("plan.json", "journal/", "evidence/", "dcc/", "rigs/")
"""What is recorded once. All else in a run folder is made from it and may be made again."""
_GROW: Final = ("journal/", "dcc/", "rigs/")
"""Where a run that is resumed goes on writing: the size at which a file was sealed is kept."""


class Seal(Enum):
    """How a folder stands to the seal that it has, where that seal holds."""

    NONE = "none"  # the run never came to its end
    WHOLE = "whole"  # all that is recorded is what was sealed
    GROWN = "grown"  # and more was recorded since, by a resumption that never came to its end


def seal_of(folder: Path, key: SealingKey | None) -> Seal:
    """How the folder stands to its seal; ask as who holds the run's lock.

    :class:`HarnessError` where the seal is not ours (``key`` is the lab's), does not fit its manifest, or
    something recorded is not what was sealed: nothing is sealed over that, nor is such a run gone on with.
    """
    manifest = bytes_of(folder / MANIFEST)
    if manifest is None:
        return Seal.NONE
    listed, _ = read_manifest(manifest)
    if _is_signed(folder, listed):
        _refuse_anothers(folder, manifest, key)
    _end_sealing(folder, manifest, key)
    return _records_against(folder, listed)


def write_manifest(folder: Path, key: SealingKey | None = None) -> Path:
    """List every file of the folder, in the order of their paths. Write it last: it seals the rest.

    A folder that was sealed before is sealed again only where :func:`seal_of` finds nothing wrong, and one
    that was sealed without a signature stays so: a key vouches for nothing that it has not seen sealed.
    """
    manifest = folder / MANIFEST
    if seal_of(folder, key) is not Seal.NONE and not _is_signed(
        folder, read_manifest(manifest.read_bytes())[0]
    ):
        key = None
    for name in (MANIFEST, BLOCKS, SIGNATURE, PUBLIC_KEY):
        _part(folder / name).unlink(missing_ok=True)  # of a sealing that was cut short
    if key is not None and bytes_of(folder / PUBLIC_KEY) != key.public.pem:
        _write_part(folder / PUBLIC_KEY, key.public.pem)
        _place(folder / PUBLIC_KEY)
    text, blocks = _manifest(folder)
    _write_part(folder / BLOCKS, blocks)
    if key is not None:
        _write_part(folder / SIGNATURE, key.sign(text))
    _write_part(manifest, text)
    _place(manifest)  # from here on the new one counts, and a crash is made good by _end_sealing
    _end_sealing(folder, text, key)
    sync_folder(folder)
    return manifest


def _manifest(folder: Path) -> tuple[bytes, bytes]:
    """What the manifest and the blocks have to be."""
    read: dict[tuple[int, int], tuple[str, Blocks]] = {}
    found: dict[str, tuple[str, Blocks]] = {}
    for path in sorted(files_of(folder)):
        if "\n" in path:
            raise HarnessError(
                f"{path!r} has a line end in its name: no manifest can list it", remedy="rename it"
            )
        if path != BLOCKS and path not in _PARTS:
            file = f"{folder}/{path}"
            status = os.stat(file)  # noqa: PTH116  # many are looked at, and paths of text are cheap
            inode = (status.st_dev, status.st_ino)
            found[path] = read[inode] = read.get(inode) or digests_of(file)
    kept = ((path, blocks) for path, (_, blocks) in found.items())
    blocks = told((p, b) for p, b in kept if b.size > BLOCK or p.startswith(_GROW))
    digests = {path: digest for path, (digest, _) in found.items()}
    digests[BLOCKS] = hashlib.sha256(blocks).hexdigest()
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode(*NAMES), blocks


def _is_signed(folder: Path, listed: Mapping[str, str]) -> bool:
    """Whether the folder is, or was, sealed with a signature."""
    return PUBLIC_KEY in listed or (folder / SIGNATURE).exists()


def _refuse_anothers(folder: Path, manifest: bytes, key: SealingKey | None) -> None:
    signatures = (bytes_of(path) for path in (folder / SIGNATURE, _part(folder / SIGNATURE)))
    if key is not None and any(key.public.verifies(each, manifest) for each in signatures if each):
        return
    if key is not None and bytes_of(folder / PUBLIC_KEY) == key.public.pem:
        raise HarnessError(
            f"the seal of {folder} does not fit it, and it is not sealed again",
            remedy=f"see what was done to it: harness evidence verify {folder}",
        )
    raise HarnessError(
        f"{folder} is signed with a key that this lab does not have: it stays as it is",
        remedy="name the key that signed it in the lab file: evidence: {key: file:…}",
    )


def _end_sealing(folder: Path, manifest: bytes, key: SealingKey | None) -> None:
    """What a manifest came with takes its name, also where a crash kept it from that."""
    blocks, signature = _part(folder / BLOCKS), bytes_of(_part(folder / SIGNATURE))
    if blocks.exists() and digest_of_file(blocks) == read_manifest(manifest)[0].get(BLOCKS):
        _place(folder / BLOCKS)
    if key is not None and signature is not None and key.public.verifies(signature, manifest):
        _place(folder / SIGNATURE)


def _records_against(folder: Path, listed: Mapping[str, str]) -> Seal:
    """What is recorded may grow, and be added to; it never changes under a seal."""
    sizes: Mapping[str, int] = {}
    if (folder / BLOCKS).is_file() and digest_of_file(folder / BLOCKS) == listed.get(BLOCKS):
        sizes = {path: blocks.size for path, blocks in read_blocks(folder).items()}
    there = {path for path in files_of(folder) if path.startswith(_RECORDS)}
    state = Seal.GROWN if there - listed.keys() else Seal.WHOLE
    for path, digest in listed.items():
        if not path.startswith(_RECORDS) or (path in there and digest_of_file(folder / path) == digest):
            continue
        if path not in there or _digest_of_start(folder / path, sizes.get(path)) != digest:
            raise HarnessError(
                f"{path} is not what was sealed in {folder}, which is therefore not sealed again",
                remedy=f"see what was done to it: harness evidence verify {folder}",
            )
        state = Seal.GROWN
    return state


def _digest_of_start(path: Path, size: int | None) -> str:
    """The digest of as much of a file as was sealed; ``None``: that is not known."""
    return "" if size is None else hashlib.sha256(path.read_bytes()[:size]).hexdigest()


def _part(path: Path) -> Path:
    """Where a file is written before it takes its name."""
    return path.with_name(f".{path.name}.part")


_PARTS: Final = {_part(Path(name)).name for name in (MANIFEST, BLOCKS, SIGNATURE, PUBLIC_KEY)}


def _write_part(path: Path, content: bytes) -> None:
    with _part(path).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _place(path: Path) -> None:
    _part(path).replace(path)
