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
from typing import Final

from harness.domain.errors import HarnessError, UsageError
from harness.records.canonical import digest_of_file
from harness.records.crate import METADATA, RUN, VERIFY, how_to_verify, metadata
from harness.records.manifest import MANIFEST, files_of, read_manifest
from harness.records.redaction import Redactor
from harness.records.run import RunRecord, read_run
from harness.records.seal import SIGNATURE, PublicKey
from harness.records.verify import verify

_LINKED: Final = 512  # bytes: a tar's own block; what is shorter is not worth a link


@dataclass(frozen=True, slots=True)
class Packed:
    """An archive that was made."""

    path: Path
    sha256: str
    size: int
    files: int  # of the run folder
    signer: PublicKey | None


def pack(folder: Path, target: Path | None, secrets: Redactor) -> Packed:
    """Make the archive, whole or not at all; by default beside the run folder.

    :class:`HarnessError` where the run is not what was recorded, or has one of the lab's secrets in it: such
    a run is not handed out.
    """
    folder = folder.resolve()
    verification = verify(folder)
    if verification.problems:
        first, count = verification.problems[0], len(verification.problems)
        raise HarnessError(
            f"{folder} is not as it was recorded in {count} places, and is not packed. The first: {first}",
            remedy=f"see them all: harness evidence verify {folder}",
        )
    record = read_run(folder)
    target = (target or folder.parent / f"{record.plan.run_id}.tar.gz").absolute()
    if target.is_relative_to(folder):
        raise UsageError(f"{target} is in the run folder, which is sealed", remedy="name another place")
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            count = _write(file, record, verification.signer, secrets)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    size = target.stat().st_size
    return Packed(target, digest_of_file(target), size, count, verification.signer)


def _write(file: io.BufferedWriter, record: RunRecord, signer: PublicKey | None, secrets: Redactor) -> int:
    writer = _Writer(record.plan.run_id, int(record.ended.timestamp()))
    count = 0
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        writer.add(tar, VERIFY, how_to_verify(record, signer))
        writer.add(tar, METADATA, metadata(record))
        for path, content in _contents(record.folder):
            if secrets.reveals(content):
                raise HarnessError(
                    f"{path} has one of the lab's secrets in it; the run is not packed",
                    remedy="find out who wrote it there, and change the secret",
                )
            writer.add(tar, f"{RUN}/{path}", content)
            count += 1
    return count


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the run folder with its content, which is the one that was verified."""
    listed, _ = read_manifest((folder / MANIFEST).read_bytes())
    yield MANIFEST, (folder / MANIFEST).read_bytes()
    if (folder / SIGNATURE).is_file():
        yield SIGNATURE, (folder / SIGNATURE).read_bytes()
    for path in sorted(files_of(folder)):
        content = (folder / path).read_bytes()
        if hashlib.sha256(content).hexdigest() != listed.get(path):
            raise HarnessError(f"{path} was changed while {folder} was packed", remedy="pack it again")
        yield path, content


class _Writer:
    """Adds files to a tar, each content once: a second file of the same is a hard link to the first."""

    def __init__(self, name: str, time: int) -> None:
        self._name, self._time = name, time
        self._stored: dict[bytes, str] = {}

    def add(self, tar: tarfile.TarFile, path: str, content: bytes) -> None:
        entry = tarfile.TarInfo(f"{self._name}/{path}")
        entry.mtime, entry.mode = self._time, 0o644
        digest = hashlib.sha256(content).digest()
        if len(content) >= _LINKED and digest in self._stored:
            entry.type, entry.linkname = tarfile.LNKTYPE, self._stored[digest]
            tar.addfile(entry)
            return
        self._stored[digest] = entry.name
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
