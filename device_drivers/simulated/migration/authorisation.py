"""The Migration Authorisation: a csv file, and a file with the password that closes it.

The names are public; columns, the seal and what is checked are **ours**. The last line of the csv file is a
seal over the lines before it that nobody can make who lacks the password.
"""

from __future__ import annotations

import csv
import hmac
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from device_drivers.simulated.migration.files import FileRefused
from device_drivers.simulated.migration.keys import seal_of
from harness.domain.lab import EpclEntry, Rig
from harness.domain.migration import Files
from harness.domain.words import DeviceType

_COLUMNS: Final = (
    "requesting_party", "valid_from", "valid_to", "mpan", "mprn", "ch", "esme", "gsme", "dmc", "models",
    "communications_provider", "installation_type",
)  # fmt: skip
_NAME: Final = re.compile(
    r"(MA|MAPASSWORD)_[A-Z0-9]{1,20}_[0-9A-F]{2}(-[0-9A-F]{2}){7}_(\d{8})_(\d{6})\.(csv|txt)"
)
_SEAL: Final = "#seal,"
_LARGEST: Final = 64 << 10  # bytes


@dataclass(frozen=True, slots=True)
class ReadAuthorisation:
    """An authorisation that its password opens."""

    name: str
    row: Mapping[str, str]
    valid_from: datetime
    valid_to: datetime


def row_of(rig: Rig, entry: EpclEntry, models: Mapping[DeviceType, str]) -> dict[str, str]:
    """What an authorisation says of an installation; ``models`` overrule those of its devices."""
    devices = {type_: device.device_id for type_, device in rig.devices.items()}
    told = [
        models.get(type_, f"{device.model.manufacturer} {device.model.model} {device.model.firmware}")
        for type_, device in rig.devices.items()
    ]
    return {
        "mpan": rig.mpan,
        "mprn": rig.mprn,
        "ch": devices[DeviceType.CH],
        "esme": devices.get(DeviceType.ESME, ""),
        "gsme": devices.get(DeviceType.GSME, ""),
        "dmc": entry.dmc.id,
        "models": "; ".join(told),
        "communications_provider": entry.communications_provider,
        "installation_type": entry.installation_type,
    }


def write_authorisation(
    name: str, row: Mapping[str, str], password: str, given: str, at: datetime
) -> dict[str, bytes]:
    """Both files; ``given`` is the password in the second one."""
    out = io.StringIO(newline="")
    table = csv.DictWriter(out, _COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerow(row)
    content = out.getvalue().encode()
    sealed = content + f"{_SEAL}{seal_of(content, password)}\n".encode()
    stamp = f"{name}_{at:%Y%m%d_%H%M%S}"
    return {f"MA_{stamp}.csv": sealed, f"MAPASSWORD_{stamp}.txt": f"{given}\n".encode()}


def read_authorisation(files: Files, refuse: Callable[[str, str], None]) -> ReadAuthorisation:
    """The one row of an authorisation; :class:`FileRefused` where it cannot be read at all.

    ``refuse`` is told a rule and what is wrong, and returns where that check has been removed.
    """
    name, content, password = _both(files)
    body, seal, rest = content.rpartition(_SEAL.encode())
    if not seal:
        raise FileRefused("authorisation_form", f"{name} has no seal")
    if not hmac.compare_digest(rest.strip(), seal_of(body, password).encode()):
        refuse("authorisation_password", f"the password does not open {name}")
    try:
        rows = list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))
        (header, values) = rows
        row = dict(zip(header, values, strict=True))
        moments = (datetime.fromisoformat(row["valid_from"]), datetime.fromisoformat(row["valid_to"]))
    except (UnicodeDecodeError, ValueError, KeyError, csv.Error) as error:
        raise FileRefused("authorisation_form", f"{name} cannot be read: {error}") from None
    if tuple(header) != _COLUMNS or any(moment.tzinfo is None for moment in moments):
        raise FileRefused("authorisation_form", f"{name} is not of the form agreed")
    return ReadAuthorisation(name, row, *moments)


def _both(files: Files) -> tuple[str, bytes, str]:
    """Name and content of the authorisation, and the password of the file that belongs to it."""
    if any(len(content) > _LARGEST for content in files.values()):
        raise FileRefused("authorisation_form", f"a file has more than {_LARGEST} bytes")
    kinds = {match[1]: name for name in files if (match := _NAME.fullmatch(name))}
    if kinds.keys() != {"MA", "MAPASSWORD"} or len(files) != 2:
        raise FileRefused("authorisation_form", "an authorisation and its password file are due")
    name, other = kinds["MA"], kinds["MAPASSWORD"]
    if name.removeprefix("MA_").rpartition(".")[0] != other.removeprefix("MAPASSWORD_").rpartition(".")[0]:
        raise FileRefused("authorisation_form", "the password file belongs to another authorisation")
    try:
        return name, files[name], files[other].decode("ascii").strip()
    except UnicodeDecodeError:
        raise FileRefused("authorisation_form", "the password file is no text") from None
