"""Who a client is and what it proves it with (Green Book 9.2).

Secrets never show in a ``repr``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from device_drivers.dlms.counters import CounterStore, FileCounters, MemoryCounters

__all__ = [
    "Association",
    "CounterStore",
    "Credentials",
    "FileCounters",
    "Guard",
    "Mechanism",
    "MemoryCounters",
]

Mechanism = Literal["none", "lls", "hls-gmac"]

SYSTEM_TITLE_BYTES = 8
KEY_BYTES = 16  # security suite 0: AES-GCM-128


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client needs for an association with one meter.

    ``none``: nothing else. ``lls``: ``password``. ``hls-gmac``: ``system_title`` (8 bytes, the client's
    own), ``encryption_key`` and ``authentication_key`` (16 bytes each, suite 0). ``general_glo`` chooses
    general-glo-ciphering (0xDB) over the service-specific tags (0xC8 …) for what the client sends.
    """

    mechanism: Mechanism
    client_sap: int
    server_sap: int = 1
    system_title: bytes = b""
    password: bytes = field(default=b"", repr=False)
    encryption_key: bytes = field(default=b"", repr=False)
    authentication_key: bytes = field(default=b"", repr=False)
    general_glo: bool = True

    def __post_init__(self) -> None:
        if self.mechanism == "hls-gmac":
            check_keys(self.system_title, self.encryption_key, self.authentication_key)


@dataclass(frozen=True, slots=True)
class Association:
    """What a server asks of the client at ``client_sap``; rights are the model's affair.

    For ``hls-gmac`` every APDU is ciphered, and the client's system title must be ``client_title`` where
    that is given.
    """

    client_sap: int
    mechanism: Mechanism = "none"
    password: bytes = field(default=b"", repr=False)
    encryption_key: bytes = field(default=b"", repr=False)
    authentication_key: bytes = field(default=b"", repr=False)
    client_title: bytes = b""

    def __post_init__(self) -> None:
        if self.mechanism == "hls-gmac":
            check_keys(self.client_title or bytes(8), self.encryption_key, self.authentication_key)


class Guard:
    """What a device does about clients that fail, and about its own refusals; this one does nothing.

    ``refusal`` is asked with the name of a check and why it refuses, whenever one does: a twin's faults may
    take the refusal back, by an empty text. The checks: ``client`` (nobody is known there), ``lockout``,
    ``mechanism``, ``title``, ``password``, ``challenge`` (its answer is wrong), ``unproven`` (not answered
    yet), ``ciphered`` (an APDU is not), ``security_control``, ``tag`` and ``counter``.
    """

    def refusal(self, check: str, why: str, client_sap: int) -> str:  # noqa: ARG002 - nothing is taken back
        """Why the check refuses after all; nothing where it does not."""
        return why

    def failed(self, client_sap: int) -> None:
        """A client has not proven itself."""

    def let_in(self, client_sap: int) -> None:
        """A client has proven itself."""

    def locked(self, client_sap: int) -> bool:  # noqa: ARG002 - no client
        """Whether a client has failed so often that it is not heard for a while."""
        return False


def check_keys(system_title: bytes, encryption_key: bytes, authentication_key: bytes) -> None:
    """Raise :class:`ValueError` unless the lengths are those of suite 0."""
    if len(system_title) != SYSTEM_TITLE_BYTES:
        raise ValueError(f"a system title has {SYSTEM_TITLE_BYTES} bytes, found {len(system_title)}")
    for name, key in (("encryption", encryption_key), ("authentication", authentication_key)):
        if len(key) != KEY_BYTES:
            raise ValueError(f"an {name} key of suite 0 has {KEY_BYTES} bytes, found {len(key)}")
