r"""Seven data bits and even parity, in software: the port itself stays at eight bits without parity.

Both take ten bits of the line, and so any port does, be it a probe's, a pseudo terminal's or a server's.

>>> with_parity(b"/?!\r\n").hex(" ")
'af 3f 21 8d 0a'
>>> without_parity(bytes.fromhex("af3f218d0a"))
b'/?!\r\n'
>>> wrong_parity(b"/?!")
b'/'
"""

from __future__ import annotations

from typing import Final

_WITH: Final = bytes(byte & 0x7F | ((byte & 0x7F).bit_count() & 1) << 7 for byte in range(256))
_WITHOUT: Final = bytes(byte & 0x7F for byte in range(256))
_RIGHT: Final = bytes(byte for byte in range(256) if not byte.bit_count() & 1)


def with_parity(text: bytes) -> bytes:
    """Seven-bit characters as they go over the line."""
    return text.translate(_WITH)


def without_parity(received: bytes) -> bytes:
    """The characters; their parity is not looked at."""
    return received.translate(_WITHOUT)


def wrong_parity(received: bytes) -> bytes:
    """Those bytes whose parity is wrong."""
    return received.translate(None, _RIGHT)
