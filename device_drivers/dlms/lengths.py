"""Lengths and counts, as A-XDR and BER both write them; and the end of bytes that are too short."""

from __future__ import annotations

from harness.domain.errors import ProtocolViolation


def encode_length(length: int) -> bytes:
    """One byte below 128, else 0x80 + the number of bytes that follow."""
    if length < 0x80:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def counted(raw: bytes) -> bytes:
    """``raw`` with its length before it."""
    return encode_length(len(raw)) + raw


def decode_count(raw: bytes, at: int) -> tuple[int, int]:
    """The number at ``at``, of at most 4 bytes, and where what it counts begins."""
    if at >= len(raw):
        raise cut_short(at)
    length, size = raw[at], raw[at] & 0x7F
    at += 1
    if length < 0x80:
        return length, at
    if not 1 <= size <= 4 or at + size > len(raw):
        raise ProtocolViolation(f"byte {at - 1}: 0x{length:02x} is not a length of 1 to 4 bytes")
    return int.from_bytes(raw[at : at + size], "big"), at + size


def decode_length(raw: bytes, at: int) -> tuple[int, int]:
    """As :func:`decode_count`, and never more than the bytes that follow."""
    length, at = decode_count(raw, at)
    if length > len(raw) - at:
        raise ProtocolViolation(f"byte {at}: {length} announced, {len(raw) - at} bytes left")
    return length, at


def cut_short(at: int) -> ProtocolViolation:
    """The error where the bytes end too early."""
    return ProtocolViolation(f"byte {at}: the data ends where more was due")
