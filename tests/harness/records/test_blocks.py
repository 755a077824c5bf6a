"""Which bytes of a file were changed, added, removed or put in another order, as blocks can tell it."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from random import Random

import pytest

from harness.records.blocks import BLOCK, BLOCKS, Blocks, changes, digests_of, read_blocks
from harness.records.blocks import told as of_files

CONTENT = Random(7).randbytes(10 * BLOCK + 100)


def told(tmp_path: Path, content: bytes) -> list[tuple[int, int, str]]:
    """What is told of a file that was sealed as CONTENT and now is this."""
    path = tmp_path / "capture.pcapng"
    path.write_bytes(CONTENT)
    _, sealed = digests_of(path)
    path.write_bytes(content)
    return [(change.start, change.end, change.what) for change in changes(path, sealed)]


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 65 * BLOCK, 66 * BLOCK + 1])
def test_a_file_of_any_size_is_digested_whole_and_block_by_block(tmp_path: Path, size: int) -> None:
    content = Random(size).randbytes(size)
    (tmp_path / "file").write_bytes(content)
    whole, blocks = digests_of(tmp_path / "file")
    pieces = [content[at : at + BLOCK] for at in range(0, size, BLOCK)]
    assert (whole, blocks.size) == (hashlib.sha256(content).hexdigest(), size)
    assert list(blocks.digests) == [hashlib.sha256(piece).hexdigest() for piece in pieces]


@pytest.mark.parametrize("at", [0, BLOCK - 1, BLOCK, 5 * BLOCK + 17, len(CONTENT) - 1])
def test_a_flipped_bit_is_told_to_the_block(tmp_path: Path, at: int) -> None:
    content = bytearray(CONTENT)
    content[at] ^= 0x10
    start = at // BLOCK * BLOCK
    end = min(start + BLOCK, len(CONTENT))
    assert told(tmp_path, bytes(content)) == [(start, end, "was changed since it was sealed")]


def test_changes_far_apart_are_told_apart(tmp_path: Path) -> None:
    content = bytearray(CONTENT)
    content[0] ^= 1
    content[4 * BLOCK : 6 * BLOCK] = bytes(2 * BLOCK)
    changed = "was changed since it was sealed"
    assert told(tmp_path, bytes(content)) == [(0, BLOCK, changed), (4 * BLOCK, 6 * BLOCK, changed)]


def test_swapped_blocks_are_another_order(tmp_path: Path) -> None:
    parts = [CONTENT[at : at + BLOCK] for at in range(0, len(CONTENT), BLOCK)]
    parts[2], parts[7] = parts[7], parts[2]
    other = "is in another order than it was sealed in"
    assert told(tmp_path, b"".join(parts)) == [
        (2 * BLOCK, 3 * BLOCK, other),
        (7 * BLOCK, 8 * BLOCK, other),
    ]


def test_bytes_added_in_the_middle_are_told_from_both_ends(tmp_path: Path) -> None:
    content = CONTENT[: 3 * BLOCK + 5] + b"new" + CONTENT[3 * BLOCK + 5 :]
    what = f"3 bytes were added to what was sealed as bytes {3 * BLOCK} to {4 * BLOCK - 1}"
    assert told(tmp_path, content) == [(3 * BLOCK, 4 * BLOCK + 3, what)]


def test_bytes_added_at_the_end_or_between_blocks_are_told_exactly(tmp_path: Path) -> None:
    between = CONTENT[: 2 * BLOCK] + b"new" + CONTENT[2 * BLOCK :]
    added = "3 bytes were added here since it was sealed"
    assert told(tmp_path, between) == [(2 * BLOCK, 2 * BLOCK + 3, added)]
    whole = 10 * BLOCK
    [(start, end, _)] = told(tmp_path, CONTENT + b"new")
    assert (start, end) == (whole, len(CONTENT) + 3)


def test_bytes_removed_are_told_by_where_they_were(tmp_path: Path) -> None:
    whole_blocks = CONTENT[: 2 * BLOCK] + CONTENT[4 * BLOCK :]
    gone = f"bytes {2 * BLOCK} to {4 * BLOCK - 1} of what was sealed were removed here"
    assert told(tmp_path, whole_blocks) == [(2 * BLOCK, 2 * BLOCK, gone)]
    some = CONTENT[: 2 * BLOCK + 10] + CONTENT[2 * BLOCK + 30 :]
    removed = f"20 bytes were removed from what was sealed as bytes {2 * BLOCK} to {3 * BLOCK - 1}"
    assert told(tmp_path, some) == [(2 * BLOCK, 3 * BLOCK - 20, removed)]


def test_a_file_that_was_cut_tells_what_is_gone(tmp_path: Path) -> None:
    gone = f"bytes {BLOCK} to {len(CONTENT) - 1} of what was sealed were removed here"
    assert told(tmp_path, CONTENT[:BLOCK]) == [(BLOCK, BLOCK, gone)]
    assert told(tmp_path, b"")[0][:2] == (0, 0)


def test_repeated_content_is_told_without_an_end_before_its_start(tmp_path: Path) -> None:
    path = tmp_path / "zeros"
    path.write_bytes(bytes(4 * BLOCK))
    _, sealed = digests_of(path)
    for size in range(0, 6 * BLOCK, 1000):
        path.write_bytes(bytes(size))
        for change in changes(path, sealed):
            assert 0 <= change.start <= change.end <= size


def test_what_was_sealed_is_read_back(tmp_path: Path) -> None:
    sealed = {"a b/c.pcap": Blocks(9000, ["a" * 64, "b" * 64, "c" * 64]), "empty": Blocks(0, [])}
    (tmp_path / BLOCKS).write_bytes(of_files(sealed.items()))
    assert read_blocks(tmp_path) == sealed


def test_a_block_is_checked_with_dd(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    path.write_bytes(CONTENT)
    command = f"dd if={path} bs={BLOCK} skip=3 count=1 status=none | sha256sum"
    printed = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
    assert printed.split()[0] == digests_of(path)[1].digests[3]
