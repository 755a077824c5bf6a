"""DLMS keys of a simulated lab's devices, all derived from one secret file in the lab's state.

Controller, DCC side and workers come to the same keys without telling each other. Each client of a device
has keys of its own; the lab's driver gets its keys as files, the way a physical lab keeps them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.domain.lab import DlmsSecurity, Lab

if TYPE_CHECKING:
    from device_drivers.dlms.security import Association, Credentials

PUBLIC: Final = 16  # no security: clock, identity, firmware, invocation counters
MANAGEMENT: Final = 1  # the lab's driver: everything
S1SP: Final = 2  # the S1SP, through the hub
READER: Final = 3  # password; reads

_CLIENTS: Final = (PUBLIC, MANAGEMENT, S1SP, READER)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of every device of a lab."""

    folder: Path
    _seed: bytes = field(repr=False)

    def credentials(self, device_id: str, client_sap: int) -> Credentials:
        """What a client proves itself with."""
        from device_drivers.dlms.security import Credentials

        if client_sap == PUBLIC:
            return Credentials("none", client_sap)
        if client_sap == READER:
            return Credentials("lls", client_sap, password=self._password(device_id))
        return Credentials(
            "hls-gmac",
            client_sap,
            system_title=client_title(client_sap),
            encryption_key=self._key(device_id, client_sap, "encryption"),
            authentication_key=self._key(device_id, client_sap, "authentication"),
        )

    def associations(self, device_id: str, *client_saps: int) -> dict[int, Association]:
        """What a device's server asks of those clients; of all by default."""
        from device_drivers.dlms.security import Association

        found = {}
        for client_sap in client_saps or _CLIENTS:
            client = self.credentials(device_id, client_sap)
            found[client_sap] = Association(
                client_sap,
                client.mechanism,
                password=client.password,
                encryption_key=client.encryption_key,
                authentication_key=client.authentication_key,
                client_title=client.system_title,
            )
        return found

    def security(self, device_id: str, client_sap: int = MANAGEMENT) -> DlmsSecurity:
        """The same credentials as a lab file gives them: by reference to files, which this writes."""
        client = self.credentials(device_id, client_sap)
        name = f"{device_id}-{client_sap}"
        return DlmsSecurity(
            mechanism=client.mechanism,
            client_sap=client_sap,
            system_title=client.system_title.hex(),
            password=self._reference(f"{name}.password", client.password),
            encryption_key=self._reference(f"{name}-encryption.key", client.encryption_key.hex().encode()),
            authentication_key=self._reference(
                f"{name}-authentication.key", client.authentication_key.hex().encode()
            ),
        )

    def derived(self, device_id: str, use: str) -> bytes:
        """A key of 16 bytes for another use than a client's of the lab, as the SMSO's before migration."""
        return hmac.digest(self._seed, f"{device_id}//{use}".encode(), hashlib.sha256)[:16]

    def hub_proof(self, hub: str, nonce: str) -> str:
        """What a hub answers to the S1SP's nonce, in hexadecimal digits; how real hubs do it is not known."""
        return hmac.digest(self._key(hub, S1SP, "wan"), f"{hub}/{nonce}".encode(), hashlib.sha256).hex()

    def _key(self, device_id: str, client_sap: int, use: str) -> bytes:
        return hmac.digest(self._seed, f"{device_id}/{client_sap}/{use}".encode(), hashlib.sha256)[:16]

    def _password(self, device_id: str) -> bytes:
        return self._key(device_id, READER, "password").hex()[:16].encode()

    def _reference(self, name: str, content: bytes) -> str:
        if not content:
            return ""
        path = self.folder / name
        if not path.exists():
            _place(path, content + b"\n")
        return f"file:{path.resolve()}"


def key_ring(lab: Lab) -> KeyRing:
    """The lab's keys. The secret that they grow from is made once, for this user's eyes only."""
    folder = lab.state / "keys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    seed = folder / "simulated.seed"
    if not seed.exists():
        _place(seed, secrets.token_bytes(32))
    return KeyRing(folder, seed.read_bytes())


def server_title(device_id: str) -> bytes:
    """A device's DLMS system title: its EUI-64, which has the eight bytes that a title needs."""
    return bytes.fromhex(device_id.replace("-", ""))


def client_title(client_sap: int) -> bytes:
    """The system title of the lab's own clients: three letters as a FLAG id has, and the SAP."""
    return b"LAB" + client_sap.to_bytes(5)


def _place(path: Path, content: bytes) -> None:
    """Put a whole file at the path unless another process was first; nobody ever sees half of it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # 0600 from the start
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        with suppress(FileExistsError):  # another process made it meanwhile; its content stands
            path.hardlink_to(name)
    finally:
        Path(name).unlink()
