"""What a lab has, as frozen values: rigs, device models, DMCs, EPCL entries, environments, catalogue.

These are read from YAML and CSV by :mod:`harness.config` and handed to everybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from harness.domain.bench import ModbusBenchSettings
from harness.domain.migration_rules import MigrationRules
from harness.domain.words import CapabilityRelease, DeviceType, InstallationType, UserRole


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceModel:
    """A Device Model: manufacturer, model and the firmware that the phase is tested with."""

    id: str
    type: DeviceType
    manufacturer: str
    model: str
    hardware: str
    firmware: str  # the baseline of Clause 8.4(c)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceModelCombination:
    """A DMC (Clause 1.1): one Device Model for each device type that the installation has."""

    id: str
    release: CapabilityRelease
    models: Mapping[DeviceType, DeviceModel]
    smso: str = ""

    def has(self, device_type: DeviceType) -> bool:
        """Whether an installation of this DMC holds such a device."""
        return device_type in self.models


@dataclass(frozen=True, slots=True, kw_only=True)
class EpclEntry:
    """An entry, planned or made, of the Eligible Product Combinations list (Clauses 20.9, 20.41)."""

    id: str
    dmc: DeviceModelCombination
    communications_provider: str
    installation_type: InstallationType
    first_added: date | None = None  # none while the entry is only planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The DCC Systems that the tests run against (Clauses 9.4(g), 20.18)."""

    id: str
    dcc_systems: Mapping[str, str]  # system → version
    matches_production: bool
    tag_agreement: str = ""  # reference, needed where the versions do not match production


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """One row of the Service Request catalogue; ``evidence`` says how well it is known."""

    srv: str
    name: str
    service_reference: str
    body_element: str
    critical: bool
    command_variant: int  # what a SMETS1 request carries; inferred for critical ones
    non_device: bool
    roles: tuple[UserRole, ...]
    device_types: frozenset[DeviceType]  # marked Y for SMETS1
    unknown_for: frozenset[DeviceType]  # marked ? : off unless a lab turns it on
    evidence: str
    future_dated: frozenset[str] = frozenset()  # who may hold it until its time: "DSP", "Device"
    dcc_scheduled: bool = False  # whether SRV 5.1 may name it


@dataclass(frozen=True, slots=True, kw_only=True)
class OpticalPort:
    """The sign-on of an optical port (IEC 62056-21). Times are in seconds of real time."""

    mode: str = (
        "mode-e"  # "mode-e" (sign-on, baud change, HDLC), "mode-c" (readout) or "direct" (HDLC at once)
    )
    address: str = ""  # the device address of the request message; empty: whoever is there
    baud: int = 9600  # mode-e and mode-c: the highest that is agreed to; direct: what is spoken
    echo: bool = False  # the probe sends back what it is told: one copy is dropped
    confirms: str = "before"  # mode-e: the meter confirms "before" the change of rate, "after" it, or "never"
    answer: float = 1.5  # how long the meter's answer and each further character may take
    settle: float = 0.25  # how long the line rests after a change of the baud rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Hdlc:
    """HDLC between client and meter (IEC 62056-46): what the client proposes and how long it waits.

    The client address and the upper server address are those of :class:`DlmsSecurity`.
    """

    physical_address: int | None = None  # the lower server address; none: the upper one alone
    address_bytes: int = 1  # length of the server address: 1, 2 or 4
    information_field: int = 2030  # bytes, proposed for both directions: 128 to 2030
    window: int = 7  # frames, proposed for both directions: 1 to 7
    answer: float = 3.0  # how long an answer may take before it is asked for again
    attempts: int = 3  # how often the same is sent before the line counts as lost
    idle: float = 90.0  # a session that rested this long is opened anew: before the meter's own time-out


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """A rig's controller, reached over SSH; key and host key are files, named by reference."""

    host: str
    user: str
    key: str  # reference of the private key, file:path
    known_hosts: str  # reference of a known_hosts file with this rig's host key alone, file:path
    port: int = 22
    connect: float = 10.0  # seconds that connecting and signing on may take
    command: float = 30.0  # seconds that a command may take where it is not told


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureLine:
    """Where the traffic of a rig's WAN or HAN can be heard."""

    interface: str
    filter: str = ""  # in the language of tcpdump
    on_controller: bool = False  # captured there, and fetched
    tool: str = ""  # "dumpcap" or "tcpdump"; empty: whichever is there
    carries: str = "dlms"  # name of a registered line reading: what its streams say


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How a device of a rig is reached: a transport, its parameters, and the protocol spoken there."""

    transport: str  # name of a registered transport, e.g. "tcp" or "serial"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = "dlms"
    optical: OpticalPort | None = None  # the sign-on before the protocol, where the port is an optical one
    hdlc: Hdlc | None = None  # DLMS goes in HDLC frames; without it, in the TCP wrapper
    via_controller: bool = False  # host and port are seen from the rig's controller: forwarded over SSH
    log_bytes: bool = False  # every byte is kept as evidence, in hexadecimal digits


@dataclass(frozen=True, slots=True, kw_only=True)
class DlmsSecurity:
    """DLMS credentials of a door. Keys and passwords are references, resolved when the door opens."""

    mechanism: str = "hls-gmac"  # "none", "lls" or "hls-gmac"
    client_sap: int = 1
    server_sap: int = 1
    system_title: str = ""  # 16 hex digits
    password: str = ""  # reference: env:NAME or file:path
    encryption_key: str = ""  # reference
    authentication_key: str = ""  # reference


@dataclass(frozen=True, slots=True, kw_only=True)
class RigDevice:
    """One device on a rig.

    A twin says itself where it listens; a ``door`` in front of a simulated device says what kind of door the
    twin is given, and without one it is DLMS in the TCP wrapper.
    """

    type: DeviceType
    device_id: str  # EUI-64, XX-XX-XX-XX-XX-XX-XX-XX
    model: DeviceModel
    serial_number: str = ""
    door: Door | None = None
    security: DlmsSecurity = field(default_factory=DlmsSecurity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Says that a rig's devices are twins, and how they begin."""

    starts: datetime  # lab time at which the rig's virtual clock begins, aware UTC
    history_days: int = 395  # how much past consumption the logs hold (13 months)
    wan: str = "up"  # "up", "slow" (SMS wake-up, as on MOC) or "down"
    controller: bool = False  # a real sshd stands beside the twins as the rig's controller


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """One installation's devices with its bench: what a worker holds a lease on."""

    id: str
    dmc: DeviceModelCombination
    devices: Mapping[DeviceType, RigDevice]
    mpan: str
    mprn: str = ""
    export_mpan: str = ""
    simulation: Simulation | None = None
    bench: Mapping[str, Any] = field(default_factory=dict)  # kind, accuracy, firmware; what its driver needs
    modbus: ModbusBenchSettings | None = None  # of a bench of that kind
    controller: Controller | None = None
    captures: Mapping[str, CaptureLine] = field(default_factory=dict)  # "wan" or "han" → where it is heard
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUserIdentity:
    """The lab's User identity in one User Role: its EUI-64, signing key and certificate (references)."""

    role: UserRole
    eui: str
    key: str = ""  # reference; empty in a simulated lab, which makes its own
    certificate: str = ""  # reference


@dataclass(frozen=True, slots=True, kw_only=True)
class DccLink:
    """The lab's one connection to the DCC (design: shared by all workers of a run).

    Everything that is not confirmed in a published source is a setting here, with its default.
    """

    gateway: str  # base URL; "simulated" stands the gateway stub up
    receive: str  # host:port on which the Receive Response endpoint listens (port 0: any)
    receive_path: str = "/smartdcc/duis"
    dcc_eui: str = "90-B3-D5-1F-30-00-00-02"
    users: tuple[ServiceUserIdentity, ...] = ()
    schema_version: str = "5.4"
    schemas: Path | None = None  # folder with the DUIS and MMC schemas; messages are validated when set
    trust: Mapping[str, str] = field(default_factory=dict)  # name → certificate reference
    critical_command_variant: int = 1  # inferred: SMETS1 has no Pre-Command
    response_limit_seconds: float = 180.0  # lab time in which a response is due
    alert_limit_seconds: float = 180.0
    s1sp_alert_code: str = "N55"  # inferred: the DCC Alert that carries an S1SP Alert
    ch_firmware_alert_code: str = "N56"  # inferred: the DCC Alert that tells of a hub's firmware
    schedule_removal_alert_code: str = "N57"  # ours: the DCC Alert that tells of a schedule's end
    s1sp_alert_codes: Mapping[str, str] = field(default_factory=dict)  # of the stub: matter → S1SPAlertCode
    refusal_codes: Mapping[str, str] = field(default_factory=dict)  # of the stub: check → code
    tls: Mapping[str, str] = field(default_factory=dict)
    plain_http: bool = False  # whether a gateway on another computer may be reached without TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A whole lab, as its lab file describes it."""

    name: str
    file: Path
    state: Path  # counters, leases and healths: kept across runs, one folder a lab
    seed: int
    environment: Environment
    dmcs: tuple[DeviceModelCombination, ...]
    epcl: tuple[EpclEntry, ...]
    rigs: tuple[Rig, ...]
    dcc: DccLink
    catalogue: Mapping[str, ServiceRequest]
    ttm: Path
    packs: Path
    agreed_packs: Path = Path("agreed_packs.yaml")  # with the TAG; it need not be there
    migration: MigrationRules | None = None  # none: migration is not tested in this lab
    unknown_services: bool = False  # whether SRVs are tested where the catalogue marks ?
    plugins: tuple[str, ...] = ()
    evidence_key: str = ""  # reference of the key that seals runs; empty: a lab of twins makes its own
    # Where leases and healths are kept: a URL without a password, or a reference of one that may have one.
    database: str = field(default="", metadata={"secret": True})  # empty: SQLite in the state folder

    def rig(self, rig_id: str) -> Rig:
        """The rig of that id; :class:`KeyError` where the lab has none."""
        for rig in self.rigs:
            if rig.id == rig_id:
                return rig
        raise KeyError(rig_id)

    def rigs_of(self, dmc_id: str) -> tuple[Rig, ...]:
        """All rigs that hold an installation of that DMC."""
        return tuple(rig for rig in self.rigs if rig.dmc.id == dmc_id)
