"""A firmware image on its way into a device: initiated, filled block by block, verified, activated.

The format of a twin's image is **ours**: 32 bytes of SHA-256 over the rest, then the rest. That may begin
with a line of the type of device and the version that it is (``ESME 1.5``), and then it is for nothing else.

>>> transfer = ImageTransfer("2.0", 40)
>>> image = make_image(b"firmware")
>>> transfer.put(0, image[:20]); transfer.put(1, image[20:]); transfer.verified()
True
"""

from __future__ import annotations

import hashlib
import hmac
import re

MAX_SIZE = 4 * 1024 * 1024
_DIGEST = 32
_SAYS = re.compile(rb"(ESME|GSME|CH) ([^\s]{1,40})\n")


def make_image(content: bytes) -> bytes:
    """An image that twins accept."""
    return hashlib.sha256(content).digest() + content


class ImageTransfer:
    """One transfer. Blocks may come in any order and again."""

    def __init__(self, version: str, size: int) -> None:
        if not _DIGEST <= size <= MAX_SIZE:
            raise ValueError(f"an image has {_DIGEST} to {MAX_SIZE} bytes, not {size}")
        self.version = version
        self.size = size
        self._blocks: dict[int, bytes] = {}
        self._received = 0

    def put(self, number: int, block: bytes) -> None:
        """Keep a block; :class:`ValueError` where it is more than the image has."""
        received = self._received - len(self._blocks.get(number, b"")) + len(block)
        if received > self.size:
            raise ValueError(f"block {number} goes beyond the image's {self.size} bytes")
        self._received = received
        self._blocks[number] = bytes(block)

    def verified(self) -> bool:
        """Whether the image is whole and its hash is right."""
        image = self._image()
        if len(image) != self.size:
            return False
        return hmac.compare_digest(image[:_DIGEST], hashlib.sha256(image[_DIGEST:]).digest())

    def misfit(self, device_type: str) -> str:
        """Why the image is not for such a device, where its first line says for what it is; else nothing."""
        said = _SAYS.match(self._image()[_DIGEST:])
        if said is None:
            return ""
        kind, version = said[1].decode(), said[2].decode(errors="replace")
        if kind != device_type:
            return f"the image is for a {kind}"
        return "" if version == self.version else f"the image is version {version}, not {self.version}"

    def _image(self) -> bytes:
        return b"".join(self._blocks[number] for number in sorted(self._blocks))
