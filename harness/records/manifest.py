"""The manifest of a run folder: every file with its SHA-256, as ``sha256sum -c`` reads it, and its seal.

cd runs/latest && sha256sum --check --quiet manifest-sha256.txt

``blocks-sha256.txt``, which it covers, says where in a file something was changed. Where the lab has a key,
the manifest is signed (:mod:`harness.records.seal`).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from harness.domain.errors import ConfigurationError, HarnessError
from harness.records.blocks import BLOCK, BLOCKS, Blocks, changes, digests_of, read_blocks, told
from harness.records.canonical import digest_of_file
from harness.records.chain import Problem
from harness.records.plan import sync_folder
from harness.records.run_lock import LOCKS
from harness.records.seal import PUBLIC_KEY, SIGNATURE, SIGNED, PublicKey, SealingKey

MANIFEST: Final = SIGNED
_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_RECORDS: Final = ("plan.json", "journal/", "evidence/", "dcc/", "rigs/")
"""What is recorded once. All else in a run folder is made from it and may be made again."""
_APART: Final = {MANIFEST, SIGNATURE, *LOCKS}
_GROW: Final = ("journal/", "dcc/", "rigs/")
"""Where a run that is resumed goes on writing: the size at which a file was sealed is kept."""


class Digests:
    """The digests of a folder's files. A file of several names, as large evidence is, is read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._by_file: dict[tuple[int, int], str] = {}

    def of(self, path: str) -> str:
        """SHA-256 of a file, in hex; the path is relative to the folder."""
        status = (self._folder / path).stat()
        key = (status.st_dev, status.st_ino)
        if key not in self._by_file:
            self._by_file[key] = digest_of_file(self._folder / path)
        return self._by_file[key]


def write_manifest(folder: Path, key: SealingKey | None = None) -> Path:
    """List every file of the folder, in the order of their paths. Write it last: it seals the rest.

    A folder that was sealed before is sealed again only where its records are still those, or have grown
    (a run that was resumed), and a signed one only with its own key: :class:`HarnessError` otherwise.
    """
    manifest = folder / MANIFEST
    before = manifest.read_bytes() if manifest.is_file() else b""
    _refuse_changed_records(folder, before)
    for name in (MANIFEST, BLOCKS, SIGNATURE, PUBLIC_KEY):
        _part(folder / name).unlink(missing_ok=True)  # of a sealing that was cut short
    theirs = (folder / SIGNATURE).exists() and (
        key is None or _content(folder / PUBLIC_KEY) != key.public.pem
    )
    if key is not None and not theirs:
        _replace(folder / PUBLIC_KEY, key.public.pem)
    text, blocks = _manifest(folder)
    whole = text == before and blocks == _content(folder / BLOCKS)
    if whole and (theirs or key is None or _is_signed(folder, text, key)):
        return manifest
    if theirs:
        raise HarnessError(
            f"{folder} has changed and is signed with a key that this lab does not have: it stays as it is",
            remedy="name the key that signed it in the lab file: evidence: {key: file:…}",
        )
    (folder / SIGNATURE).unlink(missing_ok=True)  # a crash from here on leaves no seal, never a wrong one
    _replace(manifest, text)
    _replace(folder / BLOCKS, blocks)
    if key is not None:
        _replace(folder / SIGNATURE, key.sign(text))
    sync_folder(folder)
    return manifest


def _manifest(folder: Path) -> tuple[bytes, bytes]:
    """What the manifest and the blocks have to be."""
    read: dict[tuple[int, int], tuple[str, Blocks]] = {}
    found: dict[str, tuple[str, Blocks]] = {}
    for path in sorted(files_of(folder)):
        if path != BLOCKS:
            file = f"{folder}/{path}"
            status = os.stat(file)  # noqa: PTH116  # as in files_of
            inode = (status.st_dev, status.st_ino)
            found[path] = read[inode] = read.get(inode) or digests_of(file)
    kept = ((path, blocks) for path, (_, blocks) in found.items())
    blocks = told((p, b) for p, b in kept if b.size > BLOCK or p.startswith(_GROW))
    digests = {path: digest for path, (digest, _) in found.items()}
    digests[BLOCKS] = hashlib.sha256(blocks).hexdigest()
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode(), blocks


def _refuse_changed_records(folder: Path, manifest: bytes) -> None:
    """What is recorded may grow, and be added to; it never changes under a seal."""
    listed, _ = read_manifest(manifest)
    sizes = {path: blocks.size for path, blocks in read_blocks(folder).items()}
    for path, digest in listed.items():
        if not path.startswith(_RECORDS):
            continue
        file = folder / path
        if not file.is_file() or (
            digest_of_file(file) != digest and _digest_of_start(file, sizes.get(path)) != digest
        ):
            raise HarnessError(
                f"{path} is not what was sealed in {folder}, which is therefore not sealed again",
                remedy=f"see what was done to it: harness evidence verify {folder}",
            )


def _digest_of_start(path: Path, size: int | None) -> str:
    """The digest of as much of a file as was sealed; ``None``: that is not known."""
    return "" if size is None else hashlib.sha256(path.read_bytes()[:size]).hexdigest()


def _is_signed(folder: Path, text: bytes, key: SealingKey) -> bool:
    signature = folder / SIGNATURE
    return signature.is_file() and key.public.verifies(signature.read_bytes(), text)


def _part(path: Path) -> Path:
    """Where a file is written before it takes its name."""
    return path.with_name(f".{path.name}.part")


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = _part(path)
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_manifest(content: bytes) -> tuple[Mapping[str, str], tuple[Problem, ...]]:
    """The digests that a manifest lists, by path, and the lines of it that are none."""
    listed: dict[str, str] = {}
    problems: list[Problem] = []
    start = 0
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(keepends=True), start=1):
        if match := _LINE.fullmatch(line.rstrip("\r\n")):
            listed[match[2]] = match[1]
        else:
            end = start + len(line.encode())
            problems.append(Problem(MANIFEST, number, "this is no line of a manifest", start, end))
        start += len(line.encode())
    return listed, tuple(problems)


def verify_manifest(folder: Path, digests: Digests | None = None) -> tuple[Problem, ...]:
    """What differs between the folder and its manifest: changed, missing and unlisted files, to the byte."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return (Problem(MANIFEST, 0, "there is no manifest: the run did not end"),)
    digests = digests or Digests(folder)
    listed, problems = read_manifest(manifest.read_bytes())
    there = set(files_of(folder))
    found = {path: digests.of(path) for path in sorted(there)}
    changed = [path for path in sorted(there & listed.keys()) if found[path] != listed[path]]
    whence = {digest: path for path, digest in listed.items()}
    return (
        *problems,
        *_missing(
            sorted(listed.keys() - there), listed, {found[path]: path for path in there - listed.keys()}
        ),
        *_unlisted(sorted(there - listed.keys()), found, whence),
        *_changed(folder, changed, {} if BLOCKS in changed else read_blocks(folder)),
    )


def _missing(paths: Iterable[str], listed: Mapping[str, str], added: Mapping[str, str]) -> Iterator[Problem]:
    for path in paths:
        where = added.get(listed[path])
        found = f"; {where} has its content" if where else ""
        yield Problem(path, 0, f"is listed in the manifest and missing{found}")


def _unlisted(paths: Iterable[str], found: Mapping[str, str], whence: Mapping[str, str]) -> Iterator[Problem]:
    for path in paths:
        source = whence.get(found[path])
        copy = f"; it has the content of {source}" if source else ""
        yield Problem(path, 0, f"is not in the manifest{copy}")


def _changed(folder: Path, paths: Iterable[str], sealed: Mapping[str, Blocks]) -> Iterator[Problem]:
    for path in paths:
        for change in changes(folder / path, sealed.get(path)):
            yield Problem(path, 0, change.what, change.start, change.end)


def verify_seal(
    folder: Path, pinned: PublicKey | None = None
) -> tuple[PublicKey | None, tuple[Problem, ...]]:
    """The key that the manifest is signed with, and what is wrong with that; no key where it is not signed.

    With a ``pinned`` key, only a signature of that one is good.
    """
    text, signature = _content(folder / MANIFEST), _content(folder / SIGNATURE)
    pem = _content(folder / PUBLIC_KEY)
    signed = signature is not None or PUBLIC_KEY in read_manifest(text or b"")[0]
    if not signed:
        unsigned = Problem(SIGNATURE, 0, "is missing: the run is not signed, and a signature was asked for")
        return None, (unsigned,) if pinned else ()
    if signature is None or pem is None or text is None:
        missing = SIGNATURE if signature is None else PUBLIC_KEY if pem is None else MANIFEST
        return None, (Problem(missing, 0, "is missing: the manifest was signed"),)
    try:
        key = PublicKey.read(pem, PUBLIC_KEY)
    except ConfigurationError:
        return None, (Problem(PUBLIC_KEY, 0, "is no public key that a manifest is signed with"),)
    if pinned and pinned.fingerprint != key.fingerprint:
        what = f"is another key than the one that is trusted: {key.fingerprint}"
        return key, (Problem(PUBLIC_KEY, 0, what),)
    if not key.verifies(signature, text):
        return key, (Problem(MANIFEST, 0, "is not what was signed: the signature does not fit it"),)
    return key, ()


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def files_of(folder: Path) -> Iterator[str]:
    """Every file of a run folder but the manifest, its signature and the locks, relative to the folder."""
    below = len(os.path.join(folder, ""))  # noqa: PTH118  # a run has many files, and paths of text are cheap
    for root, _, names in os.walk(folder):
        place = f"{root[below:]}/" if len(root) > below else ""
        for name in names:
            path = place + name
            if path not in _APART and os.path.isfile(f"{root}/{name}"):  # noqa: PTH113
                yield path
