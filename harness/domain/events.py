"""Event codes of the event, security and power logs, and of alerts.

The numbering is **ours**, but for the two that the MMC schema has: no published source gives the SMETS1
codes. It stands here alone: a lab whose devices number their events otherwise changes this file, and twins,
drivers and packs follow.

>>> Event.POWER_LOST.alert, Event.POWER_LOST.meaning
('0002', 'Power lost')
"""

from __future__ import annotations

from enum import IntEnum


class Event(IntEnum):
    """What happened, by its code; ``meaning`` is what SRV 6.13 and alerts say of it, in words."""

    meaning: str

    def __new__(cls, code: int, meaning: str = "") -> Event:
        """One of the table below; later ``Event(code)`` finds it."""
        event = int.__new__(cls, code)
        event._value_ = code
        event.meaning = meaning
        return event

    CLOCK_SET = 0x0001, "Clock set"
    POWER_LOST = 0x0002, "Power lost"
    POWER_RESTORED = 0x0003, "Power restored"
    SUPPLY_DISABLED = 0x0004, "Supply disabled by command"
    SUPPLY_ENABLED = 0x0005, "Supply enabled by command"
    SUPPLY_ARMED = 0x0006, "Supply armed by command"
    CREDIT_EXHAUSTED = 0x0007, "Supply disabled, credit exhausted"
    ENABLED_LOCALLY = 0x0008, "Supply enabled locally"
    LOAD_LIMITED = 0x0009, "Supply disabled by load limiting"
    CREDIT_LOW = 0x000A, "Credit below low credit threshold"
    EMERGENCY_CREDIT_ACTIVATED = 0x000B, "Emergency credit activated"
    TOP_UP_ACCEPTED = 0x000C, "Top-up accepted"
    TOP_UP_REFUSED = 0x000D, "Top-up refused"
    PAYMENT_MODE_CHANGED = 0x000E, "Payment mode changed"
    TARIFF_CHANGED = 0x000F, "Tariff changed"
    BILLING_DATA_CAPTURED = 0x0010, "Billing data captured"
    EVENT_LOG_CLEARED = 0x0011, "Event log cleared"
    ACCESS_RESTRICTED = 0x0012, "Access restricted for change of tenancy"
    FIRMWARE_VERIFIED = 0x0013, "Firmware verified"
    FIRMWARE_ACTIVATED = 0x0014, "Firmware activated"
    VOLTAGE_HIGH = 0x0015, "Average RMS voltage above threshold"
    VOLTAGE_LOW = 0x0016, "Average RMS voltage below threshold"
    EMERGENCY_CREDIT_EXHAUSTED = 0x0017, "Emergency credit exhausted"
    BALANCE_CHANGED = 0x0018, "Balance changed by command"
    CONFIGURATION_CHANGED = 0x0019, "Configuration changed"
    ARMED_BY_METER = 0x001A, "Supply armed by the meter"
    LOAD_LIMIT_EXCEEDED = 0x001B, "Load limit exceeded"
    DISABLED_BY_TAMPER = 0x001C, "Supply disabled, cover opened"
    BATTERY_EXHAUSTED = 0x001D, "Supply disabled, battery exhausted"
    COVER_OPENED = 0x0081, "Cover opened"
    COVER_CLOSED = 0x0082, "Cover closed"
    AUTHENTICATION_FAILED = 0x0083, "Authentication failed"
    FIRMWARE_REFUSED = 0x0084, "Firmware verification failed"
    UNCONTROLLED_FLOW = 0x0085, "Uncontrolled gas flow"
    DEVICE_JOINED = 0x0101, "Device joined the HAN"
    DEVICE_LEFT = 0x0102, "Device left the HAN"
    JOIN_REFUSED = 0x0103, "Join refused, device not on the log"
    WAN_LOST = 0x0104, "WAN lost"
    WAN_RESTORED = 0x0105, "WAN restored"
    FUTURE_DATED_DONE = 0x8F66, "Future-dated command executed"  # these two as the MMC schema has them
    FUTURE_DATED_FAILED = 0x8F67, "Future-dated command failed"

    @property
    def alert(self) -> str:
        """The code as an alert carries it: four hex digits."""
        return f"{self:04X}"


ALERTING = frozenset(
    {
        Event.POWER_LOST,
        Event.POWER_RESTORED,
        Event.CREDIT_EXHAUSTED,
        Event.LOAD_LIMITED,
        Event.CREDIT_LOW,
        Event.FIRMWARE_ACTIVATED,
        Event.VOLTAGE_HIGH,
        Event.VOLTAGE_LOW,
        Event.EMERGENCY_CREDIT_EXHAUSTED,
        Event.LOAD_LIMIT_EXCEEDED,
        Event.DISABLED_BY_TAMPER,
        Event.BATTERY_EXHAUSTED,
        Event.COVER_OPENED,
        Event.AUTHENTICATION_FAILED,
        Event.FIRMWARE_REFUSED,
        Event.UNCONTROLLED_FLOW,
        Event.FUTURE_DATED_DONE,
        Event.FUTURE_DATED_FAILED,
    }
)
"""Events that a device also raises as an alert, where it can reach its hub."""

SECURITY = frozenset(
    {
        Event.EVENT_LOG_CLEARED,
        Event.COVER_OPENED,
        Event.COVER_CLOSED,
        Event.AUTHENTICATION_FAILED,
        Event.FIRMWARE_REFUSED,
    }
)
"""Events that go into the security log of a device that has one."""


def meaning_of(code: int) -> str:
    """What a code says in words, also of one that is not ours."""
    return Event(code).meaning if code in Event._value2member_map_ else "Unknown event"
