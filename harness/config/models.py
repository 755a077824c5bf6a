"""What may stand in a lab's files: one model a file or part, each key with its meaning.

The editor's schema (:func:`harness.config.json_schema`) and the error messages are made from these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    StringConstraints,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from harness.config import identifiers
from harness.config.document import Written
from harness.domain.references import is_reference, names_a_secret
from harness.domain.words import CapabilityRelease, DeviceType, InstallationType, UserRole


def _checked(check: Callable[[str], str]) -> AfterValidator:
    def validate(text: str) -> str:
        try:
            return check(text)
        except ValueError as error:
            raise PydanticCustomError("expected", "{expected}", {"expected": str(error)}) from None

    return AfterValidator(validate)


def _reference(value: Any, info: ValidationInfo, *keys: str | int) -> Any:
    """A reference; the path of a file is taken from the folder of the document that names it."""
    if not isinstance(value, str) or not is_reference(value):
        raise PydanticCustomError("reference", "a reference is demanded", {"keys": keys})
    scheme, _, name = value.partition(":")
    folder = (info.context or {}).get("folder")
    return f"file:{folder / name}" if scheme == "file" and folder else str(value)


def _database(value: Any, info: ValidationInfo) -> Any:
    """A URL, or the reference of one, as which alone it may have a password."""
    is_url = isinstance(value, str) and "://" in value and not _HAS_A_PASSWORD.search(value)
    return value if is_url else _reference(value, info)


def _parameters(value: Any, info: ValidationInfo, *keys: str | int) -> Any:
    """Scalars as YAML reads them, at any depth; what sounds like a secret must be a reference."""
    if isinstance(value, Mapping):
        return {str(key): _parameters(item, info, *keys, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_parameters(item, info, *keys, index) for index, item in enumerate(value)]
    if any(isinstance(key, str) and names_a_secret(key) for key in keys):
        return _reference(value, info, *keys)
    return value.value if isinstance(value, Written) else value


_HAS_A_PASSWORD = re.compile(r"://[^/@]*:[^/]*@|[?&]password=", re.IGNORECASE)

Text = Annotated[str, StringConstraints(min_length=1)]
Name30 = Annotated[str, StringConstraints(min_length=1, max_length=30)]  # as DUIS limits them
Firmware = Annotated[str, StringConstraints(min_length=1, max_length=8)]
Eui = Annotated[str, _checked(identifiers.eui)]
Mpan = Annotated[str, _checked(identifiers.mpan)]
Mprn = Annotated[str, _checked(identifiers.mprn)]
Reference = Annotated[
    str, BeforeValidator(lambda value, info: _reference(value, info)), Field(pattern="^(env|file):.+")
]
Database = Annotated[
    str,
    BeforeValidator(lambda value, info: _database(value, info)),
    Field(pattern=r"^((env|file):.+|postgres(ql)?://\S+)$"),
]
SystemTitle = Annotated[str, StringConstraints(pattern="^[0-9A-Fa-f]{16}$")]
Parameters = Annotated[dict[str, Any], BeforeValidator(lambda value, info: _parameters(value, info))]
Address = Annotated[str, _checked(identifiers.address)]
AsRead = BeforeValidator(lambda value: value.value if isinstance(value, Written) else value)
"""What YAML makes of a scalar: choices among numbers are compared with that."""
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Sap = Annotated[int, Field(ge=0, le=0x3FFF)]


class FileModel(BaseModel):
    """What all parts of a lab's files have in common: nothing unknown, nothing changed later."""

    # Only what a file is read with is built: its parts are built within it, not a second time each
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class DeviceModelFile(FileModel):
    """A Device Model, under its id in the device models file."""

    type: DeviceType = Field(description="the type of device: ESME, GSME or CH")
    manufacturer: Name30 = Field(description="the manufacturer's name as the device tells it")
    model: Name30 = Field(description="the model as the device tells it")
    hardware: Text = Field(description="the hardware version")
    firmware: Firmware = Field(description="the baseline firmware version of Clause 8.4(c)")


class DmcFile(FileModel):
    """A Device Model Combination (Clause 1.1), under its id in the DMC file."""

    release: CapabilityRelease = Field(description="the Capability Release: IOC, MOC or FOC")
    models: dict[DeviceType, Text] = Field(description="the id of the Device Model, by device type")
    smso: str = Field("", description="the SMSO that served the installations before migration")


class EpclFile(FileModel):
    """An entry of the EPCL, planned or made, under its id in the EPCL file."""

    dmc: Text = Field(description="the id of the entry's DMC")
    communications_provider: Text = Field(description="the communications services provider")
    installation_type: InstallationType = Field(description="dormant, active or mixed")
    first_added: date | None = Field(None, description="when it was first added; none while only planned")


class EnvironmentFile(FileModel):
    """An environment, under its id in the environments file."""

    dcc_systems: dict[str, Text] = Field(description="the version of each DCC System, by its name")
    matches_production: bool = Field(
        description="whether the versions are those that most closely match production (Clause 20.18)"
    )
    tag_agreement: str = Field("", description="reference of the agreement with TAG where they are not")


class OpticalFile(FileModel):
    """The sign-on of an optical port (IEC 62056-21); times in seconds."""

    mode: Literal["mode-e", "mode-c", "direct"] = Field(
        "mode-e", description="mode-e: sign-on, baud change, HDLC; mode-c: readout; direct: HDLC at once"
    )
    address: Annotated[str, StringConstraints(pattern="^[0-9A-Za-z ]{0,32}$")] = Field(
        "", description="the device address of the request message; empty: whoever is there"
    )
    baud: Annotated[Literal[300, 600, 1200, 2400, 4800, 9600, 19200], AsRead] = Field(
        9600, description="mode-e and mode-c: the highest that is agreed to; direct: what is spoken"
    )
    echo: bool = Field(False, description="whether the probe sends back what it is told")
    confirms: Literal["before", "after", "never"] = Field(
        "before", description="mode-e: when the meter confirms what was chosen, by the change of the rate"
    )
    answer: Seconds = Field(1.5, description="how long the meter's answer, and each character, may take")
    settle: Annotated[float, Field(ge=0, le=5)] = Field(
        0.25, description="how long the line rests after a change of the baud rate"
    )


class HdlcFile(FileModel):
    """HDLC (IEC 62056-46): what the client proposes and how long it waits, in seconds."""

    physical_address: Sap | None = Field(
        None, description="the lower server address; none: the upper one, server_sap, alone"
    )
    address_bytes: Annotated[Literal[1, 2, 4], AsRead] = Field(1, description="length of the server address")
    information_field: Annotated[int, Field(ge=128, le=2030)] = Field(
        2030, description="the longest information field that is proposed, in bytes"
    )
    window: Annotated[int, Field(ge=1, le=7)] = Field(7, description="the window that is proposed, in frames")
    answer: Seconds = Field(3.0, description="how long an answer may take before it is asked for again")
    attempts: Annotated[int, Field(ge=1, le=10)] = Field(
        3, description="how often the same is sent before the line counts as lost"
    )
    idle: Seconds = Field(90.0, description="a session that rested this long is opened anew")


class DoorFile(FileModel):
    """How a device is reached."""

    transport: Text = Field(description="the name of a registered transport, such as tcp or serial")
    parameters: Parameters = Field(
        default_factory=dict, description="what the transport needs, such as host and port"
    )
    protocol: Text = Field("dlms", description="the protocol spoken there")
    optical: OpticalFile | None = Field(None, description="the sign-on of an optical port")
    hdlc: HdlcFile | None = Field(None, description="DLMS in HDLC frames; without it, in the TCP wrapper")
    via_controller: bool = Field(
        False, description="whether host and port are seen from the rig's controller"
    )
    log_bytes: bool = Field(False, description="whether every byte is kept as evidence")


class ControllerFile(FileModel):
    """A rig's controller, reached over SSH with its host key pinned."""

    host: Text = Field(description="its name or address")
    user: Text = Field(description="whom to sign on as")
    key: Reference = Field(description="reference of the private key, file:path")
    known_hosts: Reference = Field(description="reference of a known_hosts file with its host key, file:path")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(22, description="its SSH port")
    connect: Seconds = Field(10.0, description="seconds that connecting and signing on may take")
    command: Seconds = Field(30.0, description="seconds that a command may take where it is not told")


class CaptureFile(FileModel):
    """Where the traffic of a rig's WAN or HAN can be heard."""

    interface: Text = Field(description="the network interface, as tcpdump names it")
    filter: str = Field("", description="which traffic is the rig's, in the language of tcpdump")
    on_controller: bool = Field(False, description="whether it is captured on the rig's controller")
    tool: Literal["", "dumpcap", "tcpdump"] = Field(
        "", description="what captures; empty: whichever is there"
    )
    carries: Text = Field("dlms", description="what its streams carry: dlms, or what a plugin can read")


class SecurityFile(FileModel):
    """DLMS credentials of a door; keys and passwords are references."""

    mechanism: Literal["none", "lls", "hls-gmac"] = Field(
        "hls-gmac", description="how the client proves itself"
    )
    client_sap: Sap = Field(1, description="the client's service access point")
    server_sap: Sap = Field(1, description="the logical device's service access point")
    system_title: SystemTitle | None = Field(None, description="the client's system title, 16 hex digits")
    password: Reference | None = Field(None, description="reference of the LLS password")
    encryption_key: Reference | None = Field(None, description="reference of the unicast encryption key")
    authentication_key: Reference | None = Field(None, description="reference of the authentication key")

    @model_validator(mode="after")
    def _complete(self) -> SecurityFile:
        needed = {"lls": ("password",), "hls-gmac": ("system_title", "encryption_key", "authentication_key")}
        missing = [name for name in needed.get(self.mechanism, ()) if not getattr(self, name)]
        if missing:
            raise PydanticCustomError(
                "expected", "{expected}", {"expected": f"{' and '.join(missing)} beside {self.mechanism}"}
            )
        return self


class RigDeviceFile(FileModel):
    """One device of a rig."""

    device_id: Eui = Field(description="the device's EUI-64, XX-XX-XX-XX-XX-XX-XX-XX")
    model: Text | None = Field(None, description="the id of its Device Model; by default the DMC's")
    serial_number: str = Field("", description="the serial number on its case")
    door: DoorFile | None = Field(None, description="how it is reached; none on a simulated rig")
    security: SecurityFile | None = Field(None, description="DLMS credentials; none on a simulated rig")


class SimulationFile(FileModel):
    """Says that a rig's devices are twins, and how they begin."""

    starts: AwareDatetime = Field(description="lab time at which the rig begins, with its zone")
    history_days: Annotated[int, Field(ge=0, le=400)] = Field(395, description="days that the logs hold")
    wan: Literal["up", "slow", "down"] = Field("up", description="the hub's WAN; slow: woken by SMS")
    controller: bool = Field(False, description="whether a real sshd stands beside them as their controller")


class RigFile(FileModel):
    """One installation's devices with its bench, under its id in the lab file."""

    dmc: Text = Field(description="the id of the rig's DMC")
    place: str = Field("", description="where in the lab it stands")
    mpan: Mpan | None = Field(None, description="the import MPAN; demanded where there is an ESME")
    export_mpan: Mpan | None = Field(None, description="the export MPAN, where there is one")
    mprn: Mprn | None = Field(None, description="the MPRN; demanded where there is a GSME")
    devices: dict[DeviceType, RigDeviceFile] = Field(description="its devices, by device type")
    simulation: SimulationFile | None = Field(None, description="makes the devices twins")
    bench: Parameters = Field(default_factory=dict, description="what the bench driver needs")
    controller: ControllerFile | None = Field(None, description="the rig's controller, over SSH")
    captures: dict[Literal["wan", "han"], CaptureFile] = Field(
        default_factory=dict, description="where its traffic can be heard"
    )


class UserFile(FileModel):
    """The lab's User identity in one User Role."""

    eui: Eui = Field(description="the User ID in this role, an EUI-64")
    key: Reference | None = Field(
        None, description="reference of the signing key; a simulated lab makes its own"
    )
    certificate: Reference | None = Field(None, description="reference of the signing certificate")


class SchemasFile(FileModel):
    """Where the DUIS and MMC schemas lie."""

    folder: Text = Field(description="the folder, from the lab file")
    required: bool = Field(True, description="whether their absence is an error, or turns validation off")


class TlsFile(FileModel):
    """What the connection to the gateway is secured with; a simulated lab makes its own."""

    ca: Reference | None = Field(
        None, description="reference of the certificates that the peer must chain to"
    )
    certificate: Reference | None = Field(None, description="reference of the lab's own TLS certificate")
    key: Reference | None = Field(None, description="reference of its key")


class DccFile(FileModel):
    """The lab's one connection to the DCC."""

    gateway: Annotated[str, StringConstraints(pattern=r"^(simulated|https?://\S+)$")] = Field(
        description="the gateway's base URL with http:// or https://, or simulated"
    )
    plain_http: bool = Field(
        False,
        description="whether a gateway on another computer may be reached by http, unprotected on the way",
    )
    receive: Address = Field(description="host:port on which responses and alerts are received; port 0: any")
    receive_path: Annotated[str, StringConstraints(pattern="^/")] = Field(
        "/smartdcc/duis", description="the path of the receive endpoint"
    )
    dcc_eui: Eui = Field("90-B3-D5-1F-30-00-00-02", description="the DCC's own EUI-64")
    users: dict[UserRole, UserFile] = Field(description="the lab's User identity, by User Role")
    schema_version: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+$")] = Field(
        "5.4", description="the DUIS schema version that messages carry"
    )
    schemas: SchemasFile | None = Field(None, description="validate every message against these schemas")
    trust: dict[str, Reference] = Field(
        default_factory=dict, description="references of the certificates that sign what comes back, by name"
    )
    critical_command_variant: Annotated[int, Field(ge=1, le=8)] = Field(
        1, description="the Command Variant of a critical request to a SMETS1 device (inferred)"
    )
    response_limit_seconds: Seconds = Field(
        180.0, description="lab time in which a response is due, in seconds"
    )
    alert_limit_seconds: Seconds = Field(180.0, description="lab time in which an alert is due, in seconds")
    s1sp_alert_code: Annotated[str, StringConstraints(pattern="^(AD1|N[0-9]{1,3})$")] = Field(
        "N55", description="the DCC Alert that carries an S1SP Alert (inferred)"
    )
    ch_firmware_alert_code: Annotated[str, StringConstraints(pattern="^(AD1|N[0-9]{1,3})$")] = Field(
        "N56", description="the DCC Alert that tells of a communications hub's new firmware (inferred)"
    )
    schedule_removal_alert_code: Annotated[str, StringConstraints(pattern="^(AD1|N[0-9]{1,3})$")] = Field(
        "N57", description="the DCC Alert that tells of a schedule's end with its device (ours)"
    )
    s1sp_alert_codes: dict[Literal["firmware_distributed", "firmware_not_distributed"], Text] = Field(
        default_factory=dict,
        description="the simulated DCC's S1SPAlertCode for a matter (none is published: ours)",
    )
    refusal_codes: dict[
        Literal["body", "signature", "counter", "execution_time"],
        Annotated[str, StringConstraints(pattern="^E[0-9]{1,6}$")],
    ] = Field(
        default_factory=dict,
        description="the simulated DCC's response code for a check whose code is not published (inferred)",
    )
    tls: TlsFile | None = Field(None, description="TLS towards a gateway that is not simulated")


class EvidenceFile(FileModel):
    """How what a run recorded is sealed."""

    key: Reference = Field(
        description="reference of the private key (PEM, Ed25519 or P-256) that signs the manifest of a run"
    )


class LabFile(FileModel):
    """A lab. Names of files and folders are taken from the folder of the lab file."""

    name: Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9-]*$")] = Field(
        description="a name of small letters, digits and hyphens"
    )
    seed: int = Field(1, description="what randomness begins with, unless a run says otherwise")
    environment: Text = Field(description="the id of the environment that is tested against")
    environments: Text = Field("environments.yaml", description="the file of environments")
    device_models: Text = Field("device_models.yaml", description="the file of Device Models")
    dmcs: Text = Field("dmcs.yaml", description="the file of DMCs")
    epcl: Text = Field("epcl.yaml", description="the file of EPCL entries")
    catalogue: Text = Field("srv_catalogue.csv", description="the Service Request catalogue")
    ttm: Text = Field("ttm.csv", description="the Test Traceability Matrix")
    packs: Text = Field("../test_packs", description="the folder of test packs")
    agreed_packs: Text = Field(
        "agreed_packs.yaml", description="the file of what was agreed with the TAG; none: nothing was"
    )
    migration: Text | None = Field(
        None, description="the file of checks that migration is judged by; without it, none is tested"
    )
    unknown_services: bool = Field(
        False,
        description="whether SRVs that the catalogue marks ? for a device type are served and tested there",
    )
    plugins: list[Text] = Field(default_factory=list, description="Python modules with hook implementations")
    dcc: DccFile = Field(description="the connection to the DCC")
    evidence: EvidenceFile | None = Field(None, description="how a run is sealed; without it, unsigned")
    database: Database | None = Field(
        None,
        description="where leases and healths are kept, for a lab that several hosts share: "
        "postgresql://user@host/name without a password, or the reference (env:NAME, file:path) of a URL; "
        "without it, in the state folder",
    )
    rigs: dict[str, SkipValidation[RigFile]] = Field(description="the rigs, by their id", min_length=1)
