"""What a simulated lab that stands for other tools to talk to tells them: where it listens, and credentials.

Its keys protect nothing real: they are made by the simulated lab itself, and kept in its state folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.domain.words import DeviceType, UserRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What a DLMS client of a device proves itself with; empty fields are not part of its mechanism."""

    use: str
    client_sap: int
    mechanism: str  # "none", "lls" or "hls-gmac"
    system_title: str = ""  # of the client, 16 hex digits
    password: str = field(default="", repr=False)
    encryption_key: str = field(default="", repr=False)  # 32 hex digits
    authentication_key: str = field(default="", repr=False)  # 32 hex digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Where a device of a rig listens."""

    rig: str
    device: DeviceType
    device_id: str
    protocol: str  # "dlms" in the TCP wrapper
    host: str
    port: int
    server_sap: int
    system_title: str  # of the device, 16 hex digits
    clients: tuple[Client, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFiles:
    """A User identity that the gateway knows. A request's counter has to be above ``last_counter``."""

    role: UserRole
    eui: str
    certificate: Path
    key: Path
    last_counter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DccPorts:
    """Where the gateway listens, where it posts to, and what TLS and signatures need; files are PEM."""

    gateway: str  # base URL; requests go to /api/v1/serviceS, serviceD and serviceT below it
    receive: str  # URL to which responses and alerts are posted
    kept_in: (
        Path | None
    )  # what the lab's own receive endpoint took in, a line a message; none: it is not ours
    tls_authority: Path
    tls_certificate: Path
    tls_key: Path
    dcc_eui: str
    dcc_certificate: Path
    s1sp_certificate: Path
    users: tuple[UserFiles, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Everything that a standing lab offers; ``dcc`` is absent where the lab's gateway is not simulated."""

    ports: tuple[Port, ...]
    dcc: DccPorts | None
