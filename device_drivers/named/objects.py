"""The COSEM objects of the meters and hubs that we know, by the names that tests use.

One table serves both ends: drivers and the S1SP read by it, twins answer by it. Standard objects carry
their standard logical names (Blue Book). What has no standard place stands in ``0-0:94.44.x`` and
``0-0:94.45.x`` and is **our own assignment**: a lab whose meters keep it elsewhere registers a driver with
a table of its own.

Money is in millipence (0.00001 GBP), prices in millipence per kWh when ``price_scale`` is -5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from device_drivers.named.forms import (
    BYTES,
    FLAG,
    INT8,
    INT32,
    INT64,
    MOMENT,
    TEXT,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    Choice,
    Fixed,
    Form,
    Listing,
    Record,
)
from harness.domain.words import PaymentMode


class Kind(StrEnum):
    """How an item behaves between two readings."""

    REGISTER = "register"  # moves with consumption or time
    SETTING = "setting"  # changes only when somebody writes it
    STATE = "state"  # changes by command or by what happens to the device
    IDENTITY = "identity"  # never changes, but for the firmware version


@dataclass(frozen=True, slots=True)
class Item:
    """One attribute of one COSEM object."""

    name: str
    class_id: int
    obis: str
    attribute: int
    form: Form
    unit: str = ""
    kind: Kind = Kind.SETTING


@dataclass(frozen=True, slots=True)
class Log:
    """One profile generic object (class 7): ``columns`` follow the clock, which is always the first."""

    name: str
    obis: str
    columns: tuple[tuple[str, str, Form, str], ...]  # name, captured obis, form, unit
    period: int = 0  # capture period in seconds; 0: by event
    capacity: int = 100
    class_id: int = 7


@dataclass(frozen=True, slots=True)
class Command:
    """One method of one COSEM object."""

    name: str
    class_id: int
    obis: str
    method: int
    argument: Form | None = None
    constant: int | None = None  # the argument where it is always the same (a script number)


@dataclass(frozen=True, slots=True)
class ObjectTable:
    """Everything that a device offers."""

    items: Mapping[str, Item]
    logs: Mapping[str, Log]
    commands: Mapping[str, Command]


def _items(*items: Item) -> dict[str, Item]:
    return {item.name: item for item in items}


def _own(
    name: str, number: int, form: Form, unit: str = "", kind: Kind = Kind.SETTING, *, page: int = 44
) -> Item:
    """An object of our own assignment."""
    return Item(name, 1, f"0-0:94.{page}.{number}", 2, form, unit, kind)


_DEBT_RATE = Record((("rate", INT32), ("scale", INT8), ("period", Choice(("HOURLY", "DAILY")))))
_PERIODICITY = Choice(("Daily", "Weekly", "Monthly", "Quarterly", "SixMonthly", "Yearly"))
_BILLING_CALENDAR = Record(
    (("periodicity", _PERIODICITY), ("hour", UINT8), ("minute", UINT8), ("day", UINT8), ("month", UINT8))
)
# A date with wildcards: year 0xFFFF, month, day and weekday 0xFF where any fits (Blue Book 4.1.6.1)
_DATE = Record((("year", UINT16), ("month", UINT8), ("day", UINT8), ("weekday", UINT8)))
_NON_DISABLEMENT = Listing(
    Record(
        (
            ("action", Choice(("START", "STOP"))),
            ("weekdays", Listing(UINT8)),  # 1 Monday … 7 Sunday
            ("special_days", Listing(UINT8)),
            ("hour", UINT8),
            ("minute", UINT8),
            ("start", _DATE),
            ("end", _DATE),
        )
    )
)
_DAY_PROFILES = Listing(
    Record(
        (
            ("day", UINT8),
            (
                "actions",
                Listing(
                    Record(
                        (
                            ("hour", UINT8),
                            ("minute", UINT8),
                            ("kind", Choice(("tou", "block"))),
                            ("register", UINT8),
                        )
                    )
                ),
            ),
        )
    )
)
_WEEK_PROFILES = Listing(Record((("week", UINT8), ("days", Listing(UINT8)))))
_SEASONS = Listing(Record((("name", TEXT), ("start", _DATE), ("week", UINT8))))
_SPECIAL_DAYS = Listing(Record((("index", UINT8), ("date", _DATE), ("day", UINT8))))

_COMMON = _items(
    Item("clock", 8, "0-0:1.0.0", 2, MOMENT, kind=Kind.REGISTER),
    Item("logical_device_name", 1, "0-0:42.0.0", 2, TEXT, kind=Kind.IDENTITY),
    Item("serial_number", 1, "0-0:96.1.0", 2, TEXT, kind=Kind.IDENTITY),
    Item("device_id", 1, "0-0:96.1.1", 2, TEXT, kind=Kind.IDENTITY),
    Item("manufacturer", 1, "0-0:96.1.2", 2, TEXT, kind=Kind.IDENTITY),
    Item("model", 1, "0-0:96.1.3", 2, TEXT, kind=Kind.IDENTITY),
    Item("firmware_version", 1, "1-0:0.2.0", 2, TEXT, kind=Kind.IDENTITY),
    _own("cover_open", 41, FLAG, kind=Kind.STATE),
    _own("firmware_pending", 44, TEXT, kind=Kind.STATE),  # version received and verified, not yet active
)

_METER = _items(
    Item("supply_output", 70, "0-0:96.3.10", 2, FLAG, kind=Kind.STATE),  # the contactor or valve itself
    Item("supply_state", 70, "0-0:96.3.10", 3, Choice(("Disabled", "Enabled", "Armed")), kind=Kind.STATE),
    _own("payment_mode", 1, Choice(tuple(PaymentMode)), kind=Kind.STATE),
    _own("meter_balance", 2, INT64, "millipence", Kind.STATE),
    _own("emergency_credit_balance", 3, INT64, "millipence", Kind.STATE),
    _own("emergency_credit_active", 4, FLAG, kind=Kind.STATE),
    _own("accumulated_debt", 5, INT64, "millipence", Kind.STATE),
    _own("payment_debt", 6, INT64, "millipence", Kind.STATE),
    _own("time_debt_1", 7, INT64, "millipence", Kind.STATE),
    _own("time_debt_2", 8, INT64, "millipence", Kind.STATE),
    _own("debt_recovery_per_payment", 9, UINT16, "0.01 %"),
    _own("debt_recovery_1", 10, _DEBT_RATE),
    _own("debt_recovery_2", 11, _DEBT_RATE),
    _own("debt_recovery_rate_cap", 12, INT32, "millipence"),
    _own("emergency_credit_limit", 13, INT32, "millipence"),
    _own("emergency_credit_threshold", 14, INT32, "millipence"),
    _own("low_credit_threshold", 15, INT32, "millipence"),
    _own("disablement_threshold", 16, INT32, "millipence"),
    _own("max_meter_balance", 17, INT32, "millipence"),
    _own("max_credit_threshold", 18, INT32, "millipence"),
    _own("suspend_debt_disabled", 19, FLAG),
    _own("suspend_debt_emergency", 20, FLAG),
    _own("non_disablement_calendar", 21, _NON_DISABLEMENT),
    _own("non_disablement_special_days", 27, _SPECIAL_DAYS),
    _own("billing_calendar", 22, _BILLING_CALENDAR),
    _own("import_mpxn", 23, TEXT),
    _own("supplier_name", 25, TEXT),
    _own("message", 26, TEXT),
    _own("access_restricted_before", 28, MOMENT, kind=Kind.STATE),  # change of tenancy (SRV 3.2)
    _own("tou_prices", 33, Listing(INT32), "millipence/kWh"),
    _own("block_prices", 34, Listing(Listing(INT32)), "millipence/kWh"),
    _own("standing_charge", 35, INT32, "millipence/day"),
    _own("standing_charge_scale", 36, INT8),
    _own("price_scale", 37, INT8),
    _own("block_thresholds", 38, Listing(Listing(UINT32)), "Wh"),
    _own("active_price", 39, INT32, "millipence/kWh", Kind.REGISTER),
    _own("supply_tamper_state", 40, Choice(("Unchanged", "Locked"))),
    _own("last_top_up", 42, TEXT, kind=Kind.STATE),  # UTRN of the last accepted top-up
    _own("supplier_telephone", 45, TEXT),
    _own("held_until", 43, MOMENT, kind=Kind.STATE),  # the next thing that is held takes effect; unset: none
    Item("day_profiles", 20, "0-0:13.0.0", 5, _DAY_PROFILES),
    Item("week_profiles", 20, "0-0:13.0.0", 4, _WEEK_PROFILES),
    Item("seasons", 20, "0-0:13.0.0", 3, _SEASONS),
    Item("special_days", 11, "0-0:11.0.0", 2, _SPECIAL_DAYS),
)

_EVENT = (("code", "0-0:96.11.0", UINT16, ""),)
_PREPAYMENT_COLUMNS = (
    ("meter_balance", "0-0:94.44.2", INT64, "millipence"),
    ("emergency_credit_balance", "0-0:94.44.3", INT64, "millipence"),
    ("accumulated_debt", "0-0:94.44.5", INT64, "millipence"),
    ("payment_debt", "0-0:94.44.6", INT64, "millipence"),
    ("time_debt_1", "0-0:94.44.7", INT64, "millipence"),
    ("time_debt_2", "0-0:94.44.8", INT64, "millipence"),
)


def _logs(*logs: Log) -> dict[str, Log]:
    return {log.name: log for log in logs}


def _commands(*commands: Command) -> dict[str, Command]:
    return {command.name: command for command in commands}


_FIRMWARE_COMMANDS = _commands(
    Command("image_initiate", 18, "0-0:44.0.0", 1, Record((("version", BYTES), ("size", UINT32)))),
    Command("image_block", 18, "0-0:44.0.0", 2, Record((("number", UINT32), ("block", BYTES)))),
    Command("image_verify", 18, "0-0:44.0.0", 3, INT8, 0),
    Command("image_activate", 18, "0-0:44.0.0", 4, INT8, 0),
)
_LATER = Record((("name", TEXT), ("at", MOMENT)))  # what takes a name's place, and when it takes effect
_METER_COMMANDS = _FIRMWARE_COMMANDS | _commands(
    Command("disconnect", 70, "0-0:96.3.10", 1, INT8, 0),
    Command("reconnect", 70, "0-0:96.3.10", 2, INT8, 0),
    Command("disable_supply", 9, "0-0:10.0.106", 1, UINT16, 1),
    Command("enable_supply", 9, "0-0:10.0.106", 1, UINT16, 2),
    Command("arm_supply", 9, "0-0:10.0.106", 1, UINT16, 3),
    Command("top_up", 115, "0-0:19.40.0", 1, BYTES),  # the 20 digits of the UTRN
    Command("adjust_balance", 112, "0-0:19.10.0", 1, INT32),
    Command("reset_balance", 112, "0-0:19.10.0", 2, INT32, 0),
    Command("activate_emergency_credit", 112, "0-0:19.10.1", 3, INT8, 0),
    Command("restrict_access", 9, "0-0:10.0.0", 1, UINT16, 3),
    Command("reset_block_counters", 9, "0-0:10.0.0", 1, UINT16, 5),
)
# Settings that must take effect together are staged by ordinary writes between "hold" and "release"
# (script table 0-0:10.0.0, scripts 10 and 11): the tariff of SRV 1.1.1 is never half applied.
_METER_COMMANDS |= _commands(
    Command("hold_settings", 9, "0-0:10.0.0", 1, UINT16, 10),
    Command("release_settings", 9, "0-0:10.0.0", 1, UINT16, 11),
)
# The same, and the activation of an image, at a time to come: the meter holds them under a name.
_METER_COMMANDS |= _commands(
    Command("release_settings_at", 22, "0-0:94.45.0", 1, _LATER),
    Command("image_activate_at", 22, "0-0:94.45.0", 2, _LATER),
)

_VOLTAGE_SETTINGS = (
    "average_rms_over_voltage_threshold",
    "average_rms_under_voltage_threshold",
    "average_rms_voltage_period",
    "rms_extreme_over_voltage_period",
    "rms_extreme_over_voltage_threshold",
    "rms_extreme_under_voltage_period",
    "rms_extreme_under_voltage_threshold",
    "rms_voltage_sag_period",
    "rms_voltage_sag_threshold",
    "rms_voltage_swell_period",
    "rms_voltage_swell_threshold",
)
_ESME_BILLING = (
    ("active_import", "1-0:1.8.0", UINT64, "Wh"),
    ("tou_registers", "0-0:94.44.30", Listing(UINT64), "Wh"),
    ("tou_block_registers", "0-0:94.44.32", Listing(Listing(UINT64)), "Wh"),
    *_PREPAYMENT_COLUMNS,
)

ESME = ObjectTable(
    items=_COMMON
    | _METER
    | _items(
        Item("active_import", 3, "1-0:1.8.0", 2, UINT64, "Wh", Kind.REGISTER),
        Item("active_export", 3, "1-0:2.8.0", 2, UINT64, "Wh", Kind.REGISTER),
        Item("reactive_import", 3, "1-0:3.8.0", 2, UINT64, "varh", Kind.REGISTER),
        Item("reactive_export", 3, "1-0:4.8.0", 2, UINT64, "varh", Kind.REGISTER),
        *(
            Item(f"tou_register_{rate}", 3, f"1-0:1.8.{rate}", 2, UINT64, "Wh", Kind.REGISTER)
            for rate in range(1, 9)
        ),
        _own("tou_registers", 30, Listing(UINT64), "Wh", Kind.REGISTER),  # 48
        _own("tou_block_registers", 32, Listing(Listing(UINT64)), "Wh", Kind.REGISTER),  # 4 blocks of 8
        _own("block_counters", 31, Listing(UINT64), "Wh", Kind.REGISTER),  # 8, of the day
        Item("active_power_import", 3, "1-0:1.7.0", 2, UINT32, "W", Kind.REGISTER),
        Item("active_power_export", 3, "1-0:2.7.0", 2, UINT32, "W", Kind.REGISTER),
        Item("voltage", 3, "1-0:32.7.0", 2, Fixed(UINT16, -1), "V", Kind.REGISTER),
        Item("load_limit_threshold", 71, "0-0:17.0.0", 4, UINT32, "W"),
        Item("load_limit_period", 71, "0-0:17.0.0", 6, UINT32, "s"),
        _own("load_limit_restoration_period", 50, UINT32, "s"),
        _own("load_limit_supply_state", 51, Choice(("Unchanged", "Disable"))),
        _own("load_limit_counter", 52, UINT32, kind=Kind.STATE),
        _own("low_medium_power_threshold", 53, UINT32, "W"),
        _own("medium_high_power_threshold", 54, UINT32, "W"),
        _own("export_mpan", 24, TEXT),
        *(
            _own(name, 55 + n, UINT32, "s" if "period" in name else "V")
            for n, name in enumerate(_VOLTAGE_SETTINGS)
        ),
        _own("average_rms_over_voltage_counter", 70, UINT32, kind=Kind.STATE),
        _own("average_rms_under_voltage_counter", 71, UINT32, kind=Kind.STATE),
    ),
    logs=_logs(
        Log(
            "profile",
            "1-0:99.1.0",
            (
                ("active_import", "1-0:1.29.0", UINT32, "Wh"),
                ("active_export", "1-0:2.29.0", UINT32, "Wh"),
                ("reactive_import", "1-0:3.29.0", UINT32, "varh"),
                ("reactive_export", "1-0:4.29.0", UINT32, "varh"),
            ),
            period=1800,
            capacity=19_056,  # 13 months of half hours, as the DUIS schema bounds it
        ),
        Log(
            "daily_read_log",
            "1-0:99.2.0",
            (
                ("active_import", "1-0:1.8.0", UINT64, "Wh"),
                ("tou_registers", "0-0:94.44.30", Listing(UINT64), "Wh"),
                ("tou_block_registers", "0-0:94.44.32", Listing(Listing(UINT64)), "Wh"),
            ),
            period=86_400,
            capacity=31,
        ),
        Log("billing_data_log", "1-0:98.1.0", _ESME_BILLING, capacity=12),
        Log("tariff_change_log", "1-0:98.1.1", _ESME_BILLING, capacity=12),  # change of mode or tariff
        Log(
            "voltage_profile",
            "1-0:99.1.1",
            (("voltage", "1-0:32.24.0", Fixed(UINT16, -1), "V"),),
            1800,
            4_320,
        ),
        Log("event_log", "0-0:99.98.0", _EVENT),
        Log("security_log", "0-0:99.98.1", _EVENT),
        Log("power_event_log", "1-0:99.97.0", _EVENT),
    ),
    commands=_METER_COMMANDS
    | _commands(
        Command("reset_load_limit_counter", 9, "0-0:10.0.0", 1, UINT16, 2),
        Command("reset_voltage_counters", 9, "0-0:10.0.0", 1, UINT16, 4),
    ),
)

_GSME_BILLING = (
    ("gas_volume", "7-0:3.0.0", Fixed(UINT64, -3), "m3"),
    ("tou_registers", "0-0:94.44.30", Listing(Fixed(UINT64, -3)), "m3"),
    ("block_registers", "0-0:94.44.32", Listing(Fixed(UINT64, -3)), "m3"),
    *_PREPAYMENT_COLUMNS,
)

GSME = ObjectTable(
    items=_COMMON
    | _METER
    | _items(
        Item("gas_volume", 3, "7-0:3.0.0", 2, Fixed(UINT64, -3), "m3", Kind.REGISTER),
        _own("gas_energy", 29, UINT64, "Wh", Kind.REGISTER),  # volume × conversion × calorific value
        _own("tou_registers", 30, Listing(Fixed(UINT64, -3)), "m3", Kind.REGISTER),  # 4
        _own("block_registers", 32, Listing(Fixed(UINT64, -3)), "m3", Kind.REGISTER),  # 4
        _own(
            "block_counters", 31, Listing(Fixed(UINT64, -3)), "m3", Kind.REGISTER
        ),  # 4, of the billing period
        _own("block_thresholds", 38, Listing(Listing(UINT64)), "l"),
        _own("calorific_value", 70, Fixed(UINT32, -1), "MJ/m3"),
        _own("conversion_factor", 71, Fixed(UINT32, -5)),
        _own("uncontrolled_gas_flow_rate", 72, Fixed(UINT32, -3), "m3/h"),
        _own("flow_stabilisation_period", 73, UINT16, "s"),
        _own("flow_measurement_period", 74, UINT16, "s"),
        _own("supply_depletion_state", 75, Choice(("Unchanged", "Locked"))),
        _own("battery_capacity", 76, UINT32, "days", Kind.REGISTER),
        _own("wake_period", 77, UINT16, "s"),  # how often the meter wakes to talk to the hub
    ),
    logs=_logs(
        Log("profile", "7-0:99.1.0", (("gas_volume", "7-0:3.29.0", Fixed(UINT32, -3), "m3"),), 1800, 19_056),
        Log(
            "daily_read_log",
            "7-0:99.2.0",
            (
                ("gas_volume", "7-0:3.0.0", Fixed(UINT64, -3), "m3"),
                ("tou_registers", "0-0:94.44.30", Listing(Fixed(UINT64, -3)), "m3"),
                ("block_registers", "0-0:94.44.32", Listing(Fixed(UINT64, -3)), "m3"),
            ),
            period=86_400,
            capacity=31,
        ),
        Log("billing_data_log", "7-0:98.1.0", _GSME_BILLING, capacity=12),
        Log("tariff_change_log", "7-0:98.1.1", _GSME_BILLING, capacity=12),
        Log("event_log", "0-0:99.98.0", _EVENT),
        Log("security_log", "0-0:99.98.1", _EVENT),
    ),
    commands=_METER_COMMANDS,
)

_HAN_DEVICE = Record(
    (
        ("device_id", TEXT),
        ("type", TEXT),
        ("joined", FLAG),
        ("last_communication", MOMENT),
    )
)

CH = ObjectTable(
    items=_COMMON
    | _items(
        _own("wan_state", 1, Choice(("up", "slow", "down")), kind=Kind.STATE, page=45),
        _own("wake_ups", 2, UINT32, kind=Kind.REGISTER, page=45),
        _own("han_devices", 3, Listing(_HAN_DEVICE), kind=Kind.STATE, page=45),
        _own("gas_proxy_updated", 4, MOMENT, kind=Kind.REGISTER, page=45),
    ),
    logs=_logs(Log("event_log", "0-0:99.98.0", _EVENT)),
    commands=_FIRMWARE_COMMANDS
    | _commands(
        Command(
            "han_add",
            9,
            "0-0:94.45.10",
            1,
            Record((("device_id", TEXT), ("install_code", BYTES), ("period", UINT16))),
        ),
        Command("han_remove", 9, "0-0:94.45.11", 1, TEXT),
    ),
)

TABLES: Mapping[str, ObjectTable] = {"ESME": ESME, "GSME": GSME, "CH": CH}
