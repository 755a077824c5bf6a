"""COSEM date-time (Blue Book 4.1.6.1): 12 bytes, the deviation in minutes from local time to UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from struct import pack, unpack

from harness.domain.errors import ProtocolViolation

_UNSPECIFIED_DEVIATION = -0x8000
_UNSET = datetime.min.replace(tzinfo=UTC)


def encode_date_time(moment: datetime) -> bytes:
    """An aware moment as UTC with deviation 0; ``datetime.min`` as all wildcards."""
    if moment == _UNSET:
        return b"\xff" * 9 + b"\x80\x00\xff"
    utc = moment.astimezone(UTC)
    hundredths = utc.microsecond // 10_000
    return pack(
        ">HBBBBBBBhB", utc.year, utc.month, utc.day, utc.isoweekday(), utc.hour, utc.minute, utc.second,
        hundredths, 0, 0,
    )  # fmt: skip


def decode_date_time(raw: bytes) -> datetime:
    """The moment, aware UTC; unspecified deviation is read as UTC, all wildcards as ``datetime.min``."""
    if len(raw) != 12:
        raise ProtocolViolation(f"a date-time has 12 bytes, found {len(raw)}")
    year, month, day, _, hour, minute, second, hundredths, deviation, _ = unpack(">HBBBBBBBhB", raw)
    if year == 0xFFFF and month == 0xFF:
        return _UNSET
    offset = timedelta(minutes=0 if deviation == _UNSPECIFIED_DEVIATION else deviation)
    try:
        local = datetime(
            year, month, day, hour, minute, 0 if second == 0xFF else second,
            0 if hundredths == 0xFF else hundredths * 10_000, UTC,
        )  # fmt: skip
        return local + offset
    except (ValueError, OverflowError) as error:
        raise ProtocolViolation(f"not a date-time: {raw.hex()}: {error}") from None
