"""One archive of a run, to hand to an auditor: ``<run id>.tar.gz``, verifiable without the harness.

It holds the run folder as it is, ``VERIFY.md`` and RO-Crate 1.1 metadata. It is a tar because that keeps what
is stored once stored once, and because Windows, macOS and Linux all open it. The same run gives the same
bytes: paths are sorted, times are the run's end, and owners are nobody.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from harness.domain.errors import HarnessError, UsageError
from harness.records.blocks import BLOCKS
from harness.records.canonical import digest_of_file
from harness.records.crate import METADATA, RUN, VERIFY, how_to_verify, metadata
from harness.records.manifest import MANIFEST, files_of, read_manifest
from harness.records.redaction import Redactor
from harness.records.run import RunRecord, read_run
from harness.records.seal import PUBLIC_KEY, SIGNATURE, PublicKey
from harness.records.verify import verify

_LINKED: Final = 512  # bytes: a tar's own block; what is shorter is not worth a link
_BLOCK: Final = 1 << 20  # bytes that are read at once
_REACH: Final = 1 << 16  # bytes: a secret is shorter, in whatever form
_SEAL: Final = {MANIFEST, BLOCKS, SIGNATURE, PUBLIC_KEY}
"""Digests and keys, which nobody has written: a short secret stands in one by chance."""


@dataclass(frozen=True, slots=True)
class Packed:
    """An archive that was made."""

    path: Path
    sha256: str
    size: int
    files: int  # of the run folder
    signer: PublicKey | None


def pack(folder: Path, target: Path | None, secrets: Redactor, pinned: PublicKey | None = None) -> Packed:
    """Make the archive, whole or not at all; by default beside the run folder.

    :class:`HarnessError` where the run is not what was recorded, is not signed with the ``pinned`` key, or
    has one of the lab's secrets in it: such a run is not handed out.
    """
    folder = folder.resolve()
    if target is not None:
        _refuse_place(target, folder)
    verification = verify(folder, pinned)
    if verification.problems:
        first, count = verification.problems[0], len(verification.problems)
        with_key = " --key FILE, which harness evidence key prints" if pinned else ""
        raise HarnessError(
            f"{folder} is not as it was recorded in {count} places, and is not packed. The first: {first}",
            remedy=f"see them all: harness evidence verify {folder}{with_key}",
        )
    record = read_run(folder)
    target = (target or folder.parent / f"{record.plan.run_id}.tar.gz").absolute()
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            count = _write(file, record, verification.signer, secrets)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise HarnessError(f"{folder} cannot be packed as {target}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
    size = target.stat().st_size
    return Packed(target, digest_of_file(target), size, count, verification.signer)


def _refuse_place(target: Path, folder: Path) -> None:
    if target.is_dir():
        raise UsageError(f"{target} is a folder", remedy="name a file in it")
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} is no folder, and the archive goes into one", remedy="make it")
    if target.resolve().is_relative_to(folder):
        raise UsageError(f"{target} is in the run folder, which is sealed", remedy="name another place")


def _write(file: io.BufferedWriter, record: RunRecord, signer: PublicKey | None, secrets: Redactor) -> int:
    writer = _Writer(record.plan.run_id, int(record.ended.timestamp()))
    count = 0
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as packed,
        tarfile.TarFile(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, copybufsize=_BLOCK) as tar,
    ):
        for name, made in ((VERIFY, how_to_verify(record, signer)), (METADATA, metadata(record))):
            writer.add(tar, name, io.BytesIO(made), len(made), hashlib.sha256(made).hexdigest())
        for path, digest in _digests(record.folder):
            with (record.folder / path).open("rb") as content:
                read = _Read(content, Redactor() if path in _SEAL else secrets)
                writer.add(tar, f"{RUN}/{path}", read, os.fstat(content.fileno()).st_size, digest)
            _refuse_content(path, read, digest)
            count += 1
    return count


def _refuse_content(path: str, read: _Read, digest: str) -> None:
    """What was packed is the content that was verified, and has no secret in it; or nothing is handed out."""
    if read.digest != digest:
        raise HarnessError(f"{path} was changed while it was packed", remedy="pack the run again")
    if read.reveals:
        raise HarnessError(
            f"{path} has one of the lab's secrets in it; the run is not packed",
            remedy="find out who wrote it there, and change the secret",
        )


def _digests(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file of the run folder, with the digest that was verified."""
    listed, _ = read_manifest((folder / MANIFEST).read_bytes())
    for name in (MANIFEST, SIGNATURE):
        if (folder / name).is_file():
            yield name, digest_of_file(folder / name)
    for path in sorted(files_of(folder)):
        yield path, listed.get(path, "")


class _Read:
    """A file as it is read into the archive, a piece at a time: digested, and looked through for secrets."""

    def __init__(self, content: IO[bytes], secrets: Redactor) -> None:
        self._content, self._secrets = content, secrets
        self._digest = hashlib.sha256()
        self._end = b""  # of the piece before: a secret may stand in both
        self.reveals = False

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int = -1) -> bytes:
        piece = self._content.read(size)
        self._digest.update(piece)
        if self._secrets.knows_any:
            joined = self._end + piece
            self.reveals = self.reveals or self._secrets.reveals(joined)
            self._end = joined[-_REACH:]
        return piece


class _Writer:
    """Adds files to a tar, each content once: a second file of the same is a hard link to the first."""

    def __init__(self, name: str, time: int) -> None:
        self._name, self._time = name, time
        self._stored: dict[str, str] = {}

    def add(
        self, tar: tarfile.TarFile, path: str, content: io.BytesIO | _Read, size: int, digest: str
    ) -> None:
        entry = tarfile.TarInfo(f"{self._name}/{path}")
        entry.mtime, entry.mode = self._time, 0o644
        if size >= _LINKED and digest in self._stored:
            entry.type, entry.linkname = tarfile.LNKTYPE, self._stored[digest]
            tar.addfile(entry)
            while content.read(_BLOCK):  # it is to be what its digest says all the same
                pass
            return
        self._stored[digest] = entry.name
        entry.size = size
        tar.addfile(entry, content)
        content.read(1)  # it may have grown
