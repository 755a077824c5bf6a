"""Ways in which the parties of migration can be wrong, and meters whose keys do not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from device_drivers.simulated.faults.making import Intercept, lose, turned, unchecked
from harness.domain.faults import DROP, Fault, Place, Point, Seen
from harness.domain.words import DeviceType

_AUTHORISATION: Final = "Migration authorisation"
_FILES: Final = "Migration files"
_DEVICES: Final = "Migration of devices"
_COMMISSIONING: Final = "Migration commissioning"
_KEY_TRANSFER: Final = "key_transfer"


def _written(**changes: Any) -> Intercept:
    """Write the commissioned record otherwise."""
    return lambda seen: replace(seen.value, **changes) if seen.item == "commissioned" else seen.value


def _not_written(of: str = "") -> Intercept:
    """Leave the commissioned record out, of one type as the inventory has it or of all."""
    return lambda seen: DROP if seen.item == "commissioned" and of in {"", seen.value.type} else seen.value


def _day_before(seen: Seen) -> Any:
    if seen.item != "commissioned":
        return seen.value
    return replace(seen.value, commissioned=seen.value.commissioned - timedelta(days=1))


def _at_once(seen: Seen) -> Any:
    return replace(seen.value, status="Commissioned") if seen.item == "pending" else seen.value


def _last_keys_again(seen: Seen) -> Any:
    """Put the keys of the first device that was changed on every other one."""
    if seen.item != "change":
        return seen.value
    return replace(seen.value, new=seen.memory.setdefault("keys", seen.value.new))


def _one_key_for_both(seen: Seen) -> Any:
    if seen.item != "change":
        return seen.value
    new = seen.value.new
    return replace(seen.value, new=replace(new, authentication=new.encryption))


def _changed_but_not_gas(seen: Seen) -> Any:
    gas = seen.item == "change" and seen.value.device.type is DeviceType.GSME
    return DROP if gas else seen.value


def _exchanged(seen: Seen) -> Any:
    """Notify the Network Operator's certificate for the Supplier, and the other way round."""
    if seen.item != "notified":
        return seen.value
    turned = {"Supplier": "NetworkOperator", "NetworkOperator": "Supplier"}
    held: Mapping[tuple[str, str], Any] = seen.value
    return {(turned[role], usage): certificate for (role, usage), certificate in held.items()}


def _of_the_other_fuel(seen: Seen) -> Any:
    """Notify for a gas meter whoever was notified for the electricity meter before it."""
    if seen.item != "notified":
        return seen.value
    if seen.details["device_type"] is DeviceType.ESME:
        seen.memory["electricity"] = seen.value
    gas = seen.details["device_type"] is DeviceType.GSME
    return seen.memory.get("electricity", seen.value) if gas else seen.value


def _key_in_the_group_file(seen: Seen) -> Any:
    if seen.item != "group":
        return seen.value
    halves = next(iter(seen.details["parts"].values()))
    key = next(iter(halves.values())).key.hex()
    installation = {**seen.value["Installation"], "CommunicationsProvider": key}
    return {**seen.value, "Installation": installation}


def _own_half_for_both(seen: Seen) -> Any:
    """Give the DCO what is sealed for the S1SP."""
    if seen.item != "encrypted":
        return seen.value
    first, second = seen.value["KeyMaterial"]
    return {**seen.value, "KeyMaterial": [first, {**second, "": first[""]}]}


def _fault(
    name: str,
    point: Point,
    description: str,
    intercept: Intercept,
    *groups: str,
    place: Place = Place.MIGRATION,
) -> Fault:
    return Fault(name, place, point, description, intercept, groups=groups)


def _unmade(name: str, description: str, checks: tuple[str, ...], *groups: str) -> Fault:
    """Checks that refuse nothing."""
    return _fault(f"migration-{name}", Point.CHECK, description, unchecked(*checks), *groups)


_CHECKS: Final = (
    _unmade(
        "period-unchecked",
        "an authorisation is taken whenever it comes",
        ("authorisation_period",),
        _AUTHORISATION,
    ),
    _unmade(
        "party-unchecked",
        "another Requesting Party's authorisation is taken",
        ("authorisation_party",),
        _AUTHORISATION,
    ),
    _unmade(
        "installation-unchecked",
        "an authorisation of another installation is taken",
        ("authorisation_installation",),
        _AUTHORISATION,
    ),
    _unmade(
        "password-unchecked",
        "any password opens an authorisation",
        ("authorisation_password",),
        _AUTHORISATION,
    ),
    _unmade(
        "authorisation-form-unchecked",
        "an authorisation that nobody can read is not refused",
        ("authorisation_form",),
        _AUTHORISATION,
    ),
    _unmade("file-form-unchecked", "a file that is not of the schema is not refused", ("file_form",), _FILES),
    _unmade("epcl-unchecked", "MA110 is never told", ("epcl_entry",), _AUTHORISATION),
    _unmade(
        "contract-end-unchecked",
        "what its contract's end made dormant goes on",
        ("contract_ended",),
        _AUTHORISATION,
    ),
    _unmade("uneconomic-unchecked", "uneconomic DMCs go on", ("uneconomic",), _AUTHORISATION),
    _unmade(
        "order-unchecked",
        "steps are taken in any order",
        ("order",),
        _AUTHORISATION,
        _FILES,
        _DEVICES,
        _COMMISSIONING,
    ),
    _unmade("file-signature-unchecked", "a file's signature is not checked", ("file_signature",), _FILES),
    _unmade("file-set-unchecked", "files of several sets are taken together", ("file_set",), _FILES),
    _unmade("file-again-unchecked", "other files take the place of those under way", ("file_again",), _FILES),
    _unmade("master-key-unchecked", "missing master keys are not noticed", ("master_key",), _FILES),
    _unmade("s1sp-list-ignored", "what the S1SP does not list goes on", ("s1sp_viability",), _FILES),
    _unmade("dco-list-ignored", "what the DCO does not list goes on", ("dco_viability",), _FILES),
    _unmade(
        "wan-unchecked", "a WAN that is down is not noticed", ("wan_before", "wan_at_migration"), _DEVICES
    ),
    _unmade("gas-han-unchecked", "HAN errors at the gas meter are not noticed", ("han_gas",), _DEVICES),
    _unmade(
        "meter-silence-unchecked", "a silent electricity meter is not noticed", ("han_electricity",), _DEVICES
    ),
    _unmade("identity-unchecked", "a device is not held against the files", ("device_identity",), _DEVICES),
    _unmade(
        "preparation-unchecked",
        "a meter that was not prepared counts as prepared",
        ("preparation",),
        _DEVICES,
    ),
    _unmade(
        "credentials-unchecked", "keys that do not open a device are not noticed", ("credentials",), _DEVICES
    ),
    _unmade(
        "commissioning-unchecked",
        "a device that does not answer under its new keys is commissioned",
        ("commissioning",),
        _COMMISSIONING,
    ),
    _unmade("attempts-unchecked", "failed attempts exclude nothing", ("attempts",), _DEVICES),
)

_STEPS: Final = (
    _fault(
        "migration-preparation-skipped",
        Point.ACTION,
        "dormant meters are said to be prepared and are not",
        lose("prepare"),
        _DEVICES,
    ),
    _fault(
        "migration-device-test-skipped",
        Point.ACTION,
        "devices are said to have been contacted and were not",
        lose("contact"),
        _DEVICES,
    ),
    _fault(
        "migration-keys-not-changed",
        Point.ACTION,
        "keys are said to be changed and are not",
        lose("change"),
        _DEVICES,
        _COMMISSIONING,
    ),
    _fault(
        "migration-gas-keys-not-changed",
        Point.ACTION,
        "the gas meter keeps the SMSO's keys",
        _changed_but_not_gas,
        _DEVICES,
        _COMMISSIONING,
    ),
    _fault(
        "migration-same-keys-for-all",
        Point.ACTION,
        "every device gets the keys of the first one",
        _last_keys_again,
        _DEVICES,
        _COMMISSIONING,
    ),
    _fault(
        "migration-one-key-for-both",
        Point.ACTION,
        "the S1SP's key stands for the DCO's as well",
        _one_key_for_both,
        _DEVICES,
        _COMMISSIONING,
    ),
    _fault(
        "migration-roll-back-leaves-keys",
        Point.ACTION,
        "a roll-back leaves the new keys",
        lose("give_back"),
        _DEVICES,
        _COMMISSIONING,
    ),
    _fault(
        "migration-roll-back-leaves-records",
        Point.WRITE,
        "a roll-back leaves the inventory as it is",
        lose("removed"),
        _FILES,
        _DEVICES,
        _COMMISSIONING,
    ),
    _fault(
        "migration-attempts-lost",
        Point.LOG,
        "of the failed attempts only the last is counted",
        turned(lambda _: 1, "attempts"),
        _DEVICES,
    ),
    _fault(
        "migration-attempts-not-counted",
        Point.LOG,
        "failed attempts are not counted",
        turned(lambda _: 0, "attempts"),
        _DEVICES,
        _COMMISSIONING,
    ),
)

_COMMISSIONED: Final = (
    _fault(
        "migration-inventory-not-written",
        Point.WRITE,
        "commissioned devices are not in the inventory",
        _not_written(),
        _DEVICES,
        _COMMISSIONING,
    ),
    _fault(
        "migration-gas-left-out-in-silence",
        Point.WRITE,
        "the gas meter is not commissioned, and nobody says so",
        _not_written("GSME"),
        _COMMISSIONING,
    ),
    _fault(
        "migration-hub-left-out",
        Point.WRITE,
        "the hub is not commissioned",
        _not_written("CHF"),
        _DEVICES,
        _COMMISSIONING,
    ),
    _fault(
        "migration-region-not-written",
        Point.WRITE,
        "the inventory does not say SMETS1 of the devices",
        _written(region=""),
        _COMMISSIONING,
    ),
    _fault(
        "migration-s1sp-not-written",
        Point.WRITE,
        "the inventory has no S1SP for the devices",
        _written(s1sp=""),
        _COMMISSIONING,
    ),
    _fault(
        "migration-day-before",
        Point.WRITE,
        "devices are commissioned a day before they were",
        _day_before,
        _COMMISSIONING,
    ),
    _fault(
        "migration-commissioned-at-once",
        Point.WRITE,
        "devices are commissioned as soon as the files are taken",
        _at_once,
        _FILES,
        _COMMISSIONING,
    ),
    _fault(
        "migration-notified-exchanged",
        Point.WRITE,
        "supplier and network operator are notified for each other",
        _exchanged,
        _COMMISSIONING,
    ),
    _fault(
        "migration-notified-of-other-fuel",
        Point.WRITE,
        "the electricity supplier is notified for the gas meter",
        _of_the_other_fuel,
        _COMMISSIONING,
    ),
    _fault(
        "migration-alerts-too-early",
        Point.ALERT,
        "Users hear alerts of installations that are not enrolled",
        turned(lambda _: False, "unenrolled"),
        _COMMISSIONING,
    ),
    _fault(
        "migration-key-in-the-clear",
        Point.REQUEST,
        "a key stands in the group file",
        _key_in_the_group_file,
        _FILES,
    ),
    _fault(
        "migration-half-for-both",
        Point.REQUEST,
        "the DCO is given the S1SP's half of the key material",
        _own_half_for_both,
        _FILES,
        _DEVICES,
        _COMMISSIONING,
    ),
)

_ON_DEVICES: Final = tuple(
    _fault(
        f"{place}-key-transfer-ignored",
        Point.ACTION,
        f"the {place.upper()} acknowledges new keys and keeps the old ones",
        lose(_KEY_TRANSFER),
        _DEVICES,
        _COMMISSIONING,
        place=place,
    )
    for place in (Place.ESME, Place.GSME, Place.CH)
)

FAULTS: tuple[Fault, ...] = (*_CHECKS, *_STEPS, *_COMMISSIONED, *_ON_DEVICES)
