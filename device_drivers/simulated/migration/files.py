"""The files of migration: XML with one enveloped signature, and their names.

The names of the authorisation's files are public, those of the others and all content are **ours**. What
comes from outside is parsed without entities or network, held against the schema, and bounded.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from lxml import etree

from device_drivers.dcc.signature import Ring, SignatureRefused, Signer
from device_drivers.dcc.tree import element, parse, serialise, tree
from harness.domain.errors import ProtocolViolation
from harness.domain.lab import EpclEntry, Rig
from harness.domain.migration import Files
from harness.domain.migration_rules import MigrationParty
from harness.domain.payload import Payload
from harness.domain.words import DeviceType

NAMESPACE: Final = "urn:smets1-harness:migration"
ROOTS: Final = {
    "common": "MigrationCommonFile",
    "group": "MigrationGroupFile",
    "encrypted": "MigrationGroupEncryptedFile",
}
"""The three files of a submission, and their root elements."""
_TAGS: Final = {"common": "MC", "group": "MG", "encrypted": "MGE"}
_NAME: Final = re.compile(r"(MC|MG|MGE)_[A-Z0-9]{1,20}(_[0-9A-F]{2}(-[0-9A-F]{2}){7})_\d{8}_\d{6}\.xml")
_LARGEST: Final = 256 << 10  # bytes


class FileRefused(ProtocolViolation):
    """A file is not what it has to be; ``rule`` is the check that says so."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class ReadSubmission:
    """Three files that belong together."""

    file_id: str
    requesting_party: str
    authorisation: str
    installation: Payload
    key_material: Mapping[MigrationParty, bytes]


def submission_names(party: str, eui: str, at: datetime) -> dict[str, str]:
    """The name of each of the three files."""
    return {kind: f"{tag}_{party}_{eui}_{at:%Y%m%d_%H%M%S}.xml" for kind, tag in _TAGS.items()}


def written(kind: str, body: Mapping[str, Any], signer: Signer) -> bytes:
    """A file with the signature of who makes it."""
    return signer.sign(serialise(element(NAMESPACE, kind, body)))


def installation_of(rig: Rig, entry: EpclEntry, serial_numbers: Mapping[DeviceType, str]) -> dict[str, Any]:
    """What a group file says of an installation; ``serial_numbers`` overrule the lab's."""
    devices = [
        {
            "DeviceType": type_,
            "DeviceID": device.device_id,
            "SerialNumber": serial_numbers.get(type_, device.serial_number),
            "Manufacturer": device.model.manufacturer,
            "Model": device.model.model,
            "FirmwareVersion": device.model.firmware,
        }
        for type_, device in rig.devices.items()
    ]
    return {
        "MPAN": rig.mpan,
        **({"MPRN": rig.mprn} if rig.mprn else {}),
        "DMC": entry.dmc.id,
        "CommunicationsProvider": entry.communications_provider,
        "InstallationType": entry.installation_type,
        "Device": devices,
    }


def key_material(parts: Mapping[MigrationParty, bytes]) -> list[dict[str, Any]]:
    """The elements of an encrypted group file."""
    return [{"@party": party, "": content} for party, content in parts.items()]


def read_key_material(root: etree._Element) -> dict[MigrationParty, bytes]:
    """Each party's sealed part; :class:`ProtocolViolation` where it is no base64."""
    found = {}
    for entry in Payload(tree(root)).all("KeyMaterial"):
        try:
            content = base64.b64decode(entry.text(""), validate=True)
            found[MigrationParty(entry.text("@party"))] = content
        except ValueError as error:
            raise ProtocolViolation(f"key material cannot be read: {error}") from None
    return found


def sorted_out(files: Files) -> dict[str, bytes]:
    """The three files by kind, by their names; :class:`FileRefused` for too many, too few or others."""
    found = {}
    for name, content in files.items():
        match = _NAME.fullmatch(name)
        kind = next((kind for kind, tag in _TAGS.items() if match and match[1] == tag), None)
        if kind is None or kind in found:
            raise FileRefused("file_form", f"{name[:80]} is no name of a file that is due")
        if len(content) > _LARGEST:
            raise FileRefused("file_form", f"{name} has {len(content)} bytes; {_LARGEST} are allowed")
        found[kind] = content
    if missing := ROOTS.keys() - found.keys():
        raise FileRefused("file_form", f"no {', no '.join(sorted(missing))} file")
    return found


def read_file(kind: str, content: bytes) -> etree._Element:
    """A file's root element, once it fits the schema; :class:`FileRefused` where it does not."""
    try:
        root = parse(content)
    except ProtocolViolation as problem:
        raise FileRefused("file_form", f"{kind} file: {problem.message}") from None
    if root.tag != f"{{{NAMESPACE}}}{ROOTS[kind]}":
        raise FileRefused("file_form", f"{kind} file: its root is {etree.QName(root).localname}")
    try:
        _schema().assertValid(root)
    except etree.DocumentInvalid as invalid:
        raise FileRefused("file_form", f"{kind} file: {str(invalid)[:300]}") from None
    return root


def check_signature(kind: str, root: etree._Element, ring: Ring) -> None:
    """Return where the file is signed by who is in the ring; else :class:`FileRefused`."""
    try:
        ring.verify(root)
    except SignatureRefused as refused:
        raise FileRefused("file_signature", f"{kind} file: {refused.message}") from None


def joined_up(roots: Mapping[str, etree._Element]) -> ReadSubmission:
    """The three files as one; :class:`FileRefused` where they are not of one set."""
    contents = {kind: Payload(tree(root)) for kind, root in roots.items()}
    ids = {kind: content.text("FileID") for kind, content in contents.items()}
    if len(set(ids.values())) != 1:
        raise FileRefused("file_set", f"the files are of different sets: {ids}")
    (installation,) = contents["group"].all("Installation")
    return ReadSubmission(
        ids["common"],
        contents["common"].text("RequestingParty"),
        contents["common"].text("Authorisation"),
        installation,
        read_key_material(roots["encrypted"]),
    )


@lru_cache(maxsize=1)
def _schema() -> etree.XMLSchema:
    """The schema; of a signature it says only where it stands, since its profile is checked elsewhere."""
    return etree.XMLSchema(etree.fromstring(Path(__file__).with_name("migration.xsd").read_bytes()))
