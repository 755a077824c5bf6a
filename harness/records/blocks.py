"""Where in a file something was changed: the digests of its blocks, sealed beside the digest of the whole.

``blocks-sha256.txt`` has a line ``<size>  <path>`` for each file that is longer than a block or may grow, and
below it, each indented by a space, the SHA-256 of every :data:`BLOCK` bytes of it. A block can be checked
with ``dd if=FILE bs=4096 skip=N count=1 | sha256sum``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

BLOCKS: Final = "blocks-sha256.txt"
BLOCK: Final = 4096  # bytes
_READ: Final = 64  # blocks that are read at once
_CHANGED: Final = "was changed since it was sealed"


@dataclass(frozen=True, slots=True)
class Blocks:
    """A file as it was sealed."""

    size: int
    digests: Sequence[str]


@dataclass(frozen=True, slots=True)
class Change:
    """A part of a file that is not what was sealed; ``start`` and ``end`` are bytes of the file as it is."""

    start: int
    end: int
    what: str


def digests_of(path: Path | str) -> tuple[str, Blocks]:
    """The digest of a file and those of its blocks, in one reading."""
    with open(path, "rb") as file:  # noqa: PTH123  # many are read, and paths of text are cheap
        first = file.read(BLOCK)  # the whole of most files
        whole, size = hashlib.sha256(first), len(first)
        digests = [whole.hexdigest()] if first else []
        while len(first) == BLOCK and (piece := file.read(_READ * BLOCK)):
            whole.update(piece)
            size += len(piece)
            digests += [_sha256(piece[at : at + BLOCK]) for at in range(0, len(piece), BLOCK)]
    return whole.hexdigest(), Blocks(size, digests)


def told(files: Iterable[tuple[str, Blocks]]) -> bytes:
    """The content of ``blocks-sha256.txt`` for these files."""
    return "".join(
        f"{blocks.size}  {path}\n" + "".join(f" {digest}\n" for digest in blocks.digests)
        for path, blocks in files
    ).encode("utf-8", "surrogateescape")


def read_blocks(folder: Path) -> Mapping[str, Blocks]:
    """The sealed blocks by file; none in a run folder that was sealed before there were blocks."""
    path = folder / BLOCKS
    found: dict[str, Blocks] = {}
    digests: list[str] = []
    if not path.is_file():
        return found
    for line in path.read_bytes().decode("utf-8", "surrogateescape").split("\n"):
        if line.startswith(" "):
            digests.append(line[1:])
            continue
        size, _, name = line.partition("  ")
        digests = []
        if size.isdecimal():
            found[name] = Blocks(int(size), digests)
    return found


def changes(path: Path, sealed: Blocks | None) -> Iterator[Change]:
    """What was done to a file: which bytes were changed, added, removed or put in another order.

    As exactly as blocks can tell it. What was removed or added is looked for from both ends of the file.
    """
    size = path.stat().st_size
    if sealed is None:
        yield Change(0, size, _CHANGED)
        return
    _, there = digests_of(path)
    same = _common(sealed.digests, there.digests)
    if size == sealed.size:
        yield from _in_place(sealed, there)
        return
    grown = size - sealed.size
    first = same * BLOCK
    last = _common_end(path, sealed, same)  # of the sealed bytes: from here on they are all there
    end = max(last + grown, first)
    yield Change(first, end, _grown(grown, first, last, gone=first == end))


def _grown(by: int, first: int, last: int, *, gone: bool) -> str:
    if gone:
        return f"bytes {first} to {last - 1} of what was sealed were removed here"
    if first == last:
        return f"{by} bytes were added here since it was sealed"
    done = f"{by} bytes were added to" if by > 0 else f"{-by} bytes were removed from"
    return f"{done} what was sealed as bytes {first} to {last - 1}"


def _in_place(sealed: Blocks, there: Blocks) -> Iterator[Change]:
    """Runs of blocks that differ, in a file that is as long as it was."""
    pairs = list(zip_longest(sealed.digests, there.digests))  # of one length, unless somebody wrote them
    differing = [at for at, (was, is_) in enumerate(pairs) if was != is_]
    moved = Counter(pairs[at][0] for at in differing) == Counter(pairs[at][1] for at in differing)
    what = "is in another order than it was sealed in" if moved else _CHANGED
    if not differing:
        yield Change(0, there.size, "is as its blocks were sealed: its digest in the manifest was changed")
        return
    start = differing[0]
    for at, next_ in zip(differing, [*differing[1:], -1], strict=True):
        if next_ != at + 1:
            yield Change(start * BLOCK, min((at + 1) * BLOCK, there.size), what)
            start = next_


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """How many digests are the same from the beginning."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def _common_end(path: Path, sealed: Blocks, same: int) -> int:
    """From which sealed byte on everything is there, moved by as much as the file has grown."""
    grown = path.stat().st_size - sealed.size
    found = sealed.size
    with path.open("rb") as file:
        for at in reversed(range(same, len(sealed.digests))):
            place = at * BLOCK + grown
            if place < same * BLOCK:
                break
            file.seek(place)
            if _sha256(file.read(min(BLOCK, sealed.size - at * BLOCK))) != sealed.digests[at]:
                break
            found = at * BLOCK
    return found


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
