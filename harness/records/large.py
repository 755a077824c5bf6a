"""Large evidence is stored once: what several attempts of a run have kept is one file of many names.

``evidence/large/<sha256>`` is the name under which another attempt, of whichever process, finds it. Each has
it under its own name as well, by hard link, so that nobody who reads evidence need know. A file system
without hard links keeps a copy for each attempt.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from harness.records.canonical import digest_of_file

SHELF: Final = "large"
LARGE: Final = 64 * 1024  # bytes


def keep_once(path: Path, content: bytes, digest: str, shelf: Path | None) -> None:
    """Write a new file, or give the content that a shelf has already one more name.

    ``digest`` is the SHA-256 of the content, in hex.

    The file is on disk before the shelf names it: a crash at any moment leaves whole names, or none. What the
    shelf has is used only if it is what its name says.
    """
    if shelf is None:
        path.write_bytes(content)
        return
    shelved = shelf / digest
    if _is_whole(shelved, len(content)) and _linked(shelved, path):
        return
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o444)  # written in place, it would change for every attempt that has it
    shelf.mkdir(exist_ok=True)
    if not _linked(path, shelved) and _is_whole(shelved, len(content)):  # another process was first
        part = path.with_name(f".{path.name}")
        if _linked(shelved, part):
            part.replace(path)


def _is_whole(shelved: Path, size: int) -> bool:
    return shelved.is_file() and shelved.stat().st_size == size and digest_of_file(shelved) == shelved.name


def _linked(source: Path, name: Path) -> bool:
    """Whether the name could be made; without it there is a copy more, and nothing is lost."""
    try:
        name.hardlink_to(source)
    except OSError:
        return False
    return True
