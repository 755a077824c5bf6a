"""The manifest of a run folder: every file with its SHA-256, as ``sha256sum -c`` reads it, and its seal.

cd runs/latest && sha256sum --check --quiet manifest-sha256.txt

``blocks-sha256.txt``, which it covers, says where in a file something was changed. Where the lab has a key,
the manifest is signed (:mod:`harness.records.sealing`).
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from harness.domain.errors import ConfigurationError
from harness.records.blocks import BLOCKS, Blocks, changes, read_blocks
from harness.records.canonical import digest_of_file
from harness.records.chain import Problem
from harness.records.run_lock import LOCKS
from harness.records.seal import PUBLIC_KEY, SIGNATURE, SIGNED, PublicKey

MANIFEST: Final = SIGNED
_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_APART: Final = {MANIFEST, SIGNATURE, *LOCKS}
NAMES: Final = ("utf-8", "surrogateescape")
"""How names of files are written: as bytes, whatever they are."""


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


def read_manifest(content: bytes) -> tuple[Mapping[str, str], tuple[Problem, ...]]:
    """The digests that a manifest lists, by path, and the lines of it that are none."""
    listed: dict[str, str] = {}
    problems: list[Problem] = []
    start = 0
    for number, line in enumerate(io.BytesIO(content), start=1):
        end = start + len(line)
        if match := _LINE.fullmatch(line.rstrip(b"\r\n").decode(*NAMES)):
            listed[match[2]] = match[1]
        else:
            problems.append(Problem(MANIFEST, number, "this is no line of a manifest", start, end))
        start = end
    return listed, tuple(problems)


def verify_manifest(folder: Path, digests: Digests | None = None) -> tuple[Problem, ...]:
    """What differs between the folder and its manifest: changed, missing and unlisted files, to the byte."""
    manifest = bytes_of(folder / MANIFEST)
    if manifest is None:
        return (Problem(MANIFEST, 0, "there is no manifest: the run did not end"),)
    digests = digests or Digests(folder)
    listed, problems = read_manifest(manifest)
    there, strange = entries_of(folder)
    found, unread = _digests(there, digests)
    changed = [path for path in sorted(found.keys() & listed.keys()) if found[path] != listed[path]]
    whence = {digest: path for path, digest in listed.items()}
    missing = sorted(listed.keys() - there)
    return (
        *problems,
        *strange,
        *unread,
        *_missing(missing, listed, {found[path]: path for path in found.keys() - listed.keys()}),
        *_unlisted(sorted(there - listed.keys()), found, whence),
        *_changed(folder, changed, {} if BLOCKS in changed else read_blocks(folder)),
    )


def _digests(paths: Iterable[str], digests: Digests) -> tuple[Mapping[str, str], list[Problem]]:
    """Of each file its digest, or why it cannot be read."""
    found: dict[str, str] = {}
    unread: list[Problem] = []
    for path in sorted(paths):
        try:
            found[path] = digests.of(path)
        except OSError as error:
            unread.append(Problem(path, 0, f"cannot be read: {error.strerror}"))
    return found, unread


def _missing(paths: Iterable[str], listed: Mapping[str, str], added: Mapping[str, str]) -> Iterator[Problem]:
    for path in paths:
        where = added.get(listed[path])
        found = f"; {where} has its content" if where else ""
        yield Problem(path, 0, f"is listed in the manifest and missing{found}")


def _unlisted(paths: Iterable[str], found: Mapping[str, str], whence: Mapping[str, str]) -> Iterator[Problem]:
    for path in paths:
        source = whence.get(found.get(path, ""))
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
    text, signature = bytes_of(folder / MANIFEST), bytes_of(folder / SIGNATURE)
    pem = bytes_of(folder / PUBLIC_KEY)
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


def bytes_of(path: Path) -> bytes | None:
    """What a file holds; ``None`` where there is none."""
    return path.read_bytes() if path.is_file() else None


def files_of(folder: Path) -> Iterator[str]:
    """Every file of a run folder but the manifest, its signature and the locks, relative to the folder."""
    yield from entries_of(folder)[0]


def entries_of(folder: Path) -> tuple[set[str], tuple[Problem, ...]]:
    """The files of a run folder, and what else is there: a link, a pipe, a folder that is closed to us.

    The manifest, its signature and the locks are apart.
    """
    files: set[str] = set()
    strange: list[Problem] = []
    folders = [""]
    while folders:
        place = folders.pop()
        try:
            with os.scandir(f"{folder}/{place}") as found:
                for entry in found:
                    path = place + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(f"{path}/")
                    elif path in _APART:
                        pass
                    elif entry.is_file(follow_symlinks=False):
                        files.add(path)
                    else:
                        strange.append(Problem(path, 0, "is no file: no manifest can seal it"))
        except OSError as error:
            strange.append(Problem(place or ".", 0, f"cannot be read: {error.strerror}"))
    return files, tuple(sorted(strange, key=lambda problem: problem.file))
