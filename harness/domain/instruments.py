"""What a test holds in its hand: device drivers, service user, bench, clock and evidence.

These protocols are the drivers' data sheet. :mod:`device_drivers` implements them; a test pack, which may
not import drivers, annotates its fixtures with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, TypeVar

from harness.domain.lab import Rig, ServiceRequest
from harness.domain.payload import Payload
from harness.domain.words import DeviceType, SupplyState, UserRole

T = TypeVar("T")

Value = bool | int | Decimal | str | bytes | datetime | tuple[Any, ...] | Mapping[str, Any]
Body = Mapping[str, Any] | None
"""A DUIS body below its SRV element: element name → text, number, nested mapping, or a list for repeats.

Insertion order is element order; a key that begins with ``@`` is an attribute, ``""`` the text beside one::

    {"Prepayment": {"SuspendDebtDisabled": False, "SuspendDebtEmergency": True, "DisablementThreshold": 0}}
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device says it is; held against its Device Model (Clause 8.4(c))."""

    device_id: str
    manufacturer: str
    model: str
    serial_number: str
    firmware: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One row of a device's log: when (aware UTC), and its columns by name."""

    timestamp: datetime
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A line of a device's data sheet: something that can be read, written or done by name."""

    name: str
    kind: str  # register, setting, state, identity, log or command
    unit: str = ""
    form: str = ""  # what a value looks like, for a person
    columns: Mapping[str, str] = field(default_factory=dict)  # of a log, beside its time: name → unit


class LabClock(Protocol):
    """Lab time. On a simulated rig a wait jumps; on a physical one it waits, with progress."""

    def now(self) -> datetime:
        """Lab time now, aware UTC."""

    def sleep(self, duration: timedelta) -> None:
        """Let lab time pass."""

    def until(self, condition: Callable[[], T | None], *, within: timedelta, what: str) -> T:
        """The first true value that ``condition`` gives; :class:`DeviceTimeout` naming ``what`` if late."""


class Device(Protocol):
    """What every device of a rig offers over its own port."""

    @property
    def device_id(self) -> str:
        """The EUI-64, ``XX-XX-XX-XX-XX-XX-XX-XX``."""

    @property
    def device_type(self) -> DeviceType:
        """ESME, GSME or CH."""

    def identity(self) -> Identity:
        """What the device says it is."""

    def clock(self) -> datetime:
        """The device's own clock, aware UTC."""

    def read(self, item: str) -> Any:
        """The value of a named item (``"active_import"``), in the unit that :meth:`unit` tells."""

    def read_many(self, items: Sequence[str]) -> Mapping[str, Any]:
        """Several items in one go."""

    def write(self, item: str, value: Any) -> None:
        """Write a named item through the lab's management access; :class:`AccessRefused` if not allowed."""

    def unit(self, item: str) -> str:
        """The unit of an item: ``"Wh"``, ``"V"``, ``"m3"``, ``"millipence"`` or ``""``."""

    def items(self, kind: str | None = None) -> tuple[str, ...]:
        """Names of the items, all or of one kind: register, setting, state, identity."""

    def offers(self) -> tuple[Offered, ...]:
        """All that can be named, known without asking the device."""

    def parse(self, item: str, text: str) -> Any:
        """The value that a person means who types it for an item; :class:`UsageError` if it is none."""

    def snapshot(self, kinds: Sequence[str] = ("setting", "state")) -> Mapping[str, Any]:
        """All items of the given kinds at once: proof that nothing else changed."""

    def log(
        self, name: str, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[LogEntry, ...]:
        """Rows of a named log with ``start <= timestamp <= end``; the whole log by default."""

    def clear_log(self, name: str) -> None:
        """Empty a log through the lab's management access."""

    def perform(self, command: str, argument: Any = None) -> Any:
        """Run a named command (``"activate_emergency_credit"``) through the lab's management access."""


class Meter(Device, Protocol):
    """What an ESME and a GSME have in common."""

    def supply(self) -> SupplyState:
        """The state of the contactor or valve as the meter tells it."""

    def operate_supply(self, state: SupplyState) -> None:
        """Disable, enable or arm through the lab's management access."""


class Esme(Meter, Protocol):
    """An electricity meter (Electricity Smart Metering Equipment)."""


class Gsme(Meter, Protocol):
    """A gas meter (Gas Smart Metering Equipment)."""


class CommunicationsHub(Device, Protocol):
    """A communications hub, with its gas proxy."""

    def han_devices(self) -> tuple[str, ...]:
        """Device ids on the HAN Device Log."""

    def wake_ups(self) -> int:
        """How often the WAN woke the hub by SMS."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What the bench's reference meters counted: the truth that a meter's registers are held against."""

    active_import: Decimal  # Wh
    active_export: Decimal  # Wh
    reactive_import: Decimal  # varh
    reactive_export: Decimal  # varh
    gas_volume: Decimal  # m3


class Bench(Protocol):
    """The rig's I/O: mains, loads, gas flow, tamper switches and reference meters."""

    def load(self, active: int, reactive: int = 0) -> None:
        """Set the demand behind the electricity meter, in W (negative: export) and var."""

    def voltage(self, volts: float) -> None:
        """Set the mains voltage, in V."""

    def gas_flow(self, litres_per_hour: int) -> None:
        """Set the appetite of the gas appliances, in l/h at metering conditions."""

    def mains(self, on: bool) -> None:
        """Switch the mains to the electricity meter and the hub."""

    def power(self, device: DeviceType, on: bool) -> None:
        """Switch the supply of one device by its relay."""

    def tamper(self, device: DeviceType, open_: bool) -> None:
        """Open or close a device's cover."""

    def press_enable(self, meter: DeviceType) -> None:
        """Press the button by which a consumer enables an armed supply."""

    def reference(self) -> Flow:
        """What has really flowed since the rig was opened."""

    def temperature(self) -> Decimal:
        """The temperature at the devices, in °C."""

    def safe(self) -> None:
        """No load, no gas flow, covers closed, mains on; or what the lab file declares instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """How a request is to be wrong on purpose. Each field left alone is done rightly."""

    # "broken", "missing", "stranger" (a key that the DCC does not know); by the User's own certificate that
    # is "expired", "early" (not valid yet), "revoked" or the "successor" of what is notified; by the User's
    # name and "another role"'s key
    signature: str = ""
    party: str = ""  # "another party": a supplier whom the DCC knows, with another's devices
    alteration: str = ""  # of harness.domain.misuse.Alteration, and ``detail`` where it needs one
    detail: str = ""
    counter: str = ""  # "replayed": the last counter again; "lowered": one of long ago
    command_variant: int | None = None
    service_reference: str = ""
    service_reference_variant: str = ""  # another SRV than the body's
    path: str = ""  # "serviceS", "serviceD" or "serviceT" against the rule


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceResponse:
    """The last word on one request, whole and verified.

    ``code`` is the DUIS response code; ``acknowledgement`` the code of the synchronous answer (``I99``).
    ``payload`` reads the ``…Rsp`` element of a SMETS1 response, or the response message of a non-device one.
    """

    request_id: str
    srv: str
    acknowledgement: str
    code: str
    device_id: str  # who answered (BusinessOriginatorID); empty for a refusal or non-device answer
    success: bool
    payload: Payload
    debug: tuple[str, ...]  # the SMETS1Debug errors
    timestamp: datetime | None  # the device's own, where the response carries one
    elapsed: timedelta  # lab time from sending to the response
    problems: tuple[str, ...]  # what is wrong with the message itself: schema, signatures, correlation
    xml: bytes = field(repr=False)
    sent: bytes = field(default=b"", repr=False)  # the request, as it went


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert that reached the lab's receive address."""

    code: str  # GBCS hex alert code of a device alert, or the DCC alert code
    device_id: str
    description: str
    timestamp: datetime | None
    problems: tuple[str, ...]
    xml: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Certified:
    """The lab's signing certificate in a User Role; DER."""

    eui: str
    certificate: bytes
    issuer: bytes  # the certificate of who issued it; empty where the lab does not hold that


class Pending(Protocol):
    """A request on its way, whose response comes at a time of its own: a future-dated one."""

    @property
    def request_id(self) -> str:
        """``originator:target:counter``."""

    @property
    def accepted(self) -> bool:
        """Whether the DCC accepted it (``I99``), and a response is to come."""

    def response(self) -> ServiceResponse | None:
        """The response, if it has come; of a request that was refused, the refusal."""

    def wait(self, within: timedelta) -> ServiceResponse:
        """Let lab time pass until the response comes; :class:`DeviceTimeout` if it is late."""

    def abandon(self) -> None:
        """Wait no longer: a response that comes now is a stray."""


class ServiceUser(Protocol):
    """The service user simulator of Clause 17.1: builds, signs and sends DUIS requests.

    One identity, gateway connection and receive address serve a whole lab; the user of a rig sees what
    concerns its own devices.
    """

    @property
    def catalogue(self) -> Mapping[str, ServiceRequest]:
        """The lab's Service Request catalogue."""

    def request(
        self,
        srv: str,
        target: Device | str,
        body: Body = None,
        *,
        role: UserRole | None = None,
        forgery: Forgery | None = None,
        within: timedelta | None = None,
    ) -> ServiceResponse:
        """Send and wait for the last word: a refusal, the non-device answer, or the device's response.

        ``role`` defaults to the catalogue's first role that fits the device. A response later than
        ``within`` (default: the lab's limit), or none, is a :class:`DeviceTimeout`.
        """

    def send(
        self, srv: str, target: Device | str, body: Body = None, *, role: UserRole | None = None
    ) -> Pending:
        """Send and do not wait; ``role`` as in :meth:`request`."""

    def scheduled(self, schedule: int, device: Device) -> tuple[ServiceResponse, ...]:
        """What a schedule of the DCC (SRV 5.1) has brought of a device so far, in order of arrival.

        Such a response answers no request: ``request_id`` and ``acknowledgement`` are empty. One under a
        schedule that this run has not created, or has deleted, is a stray.
        """

    def vend(self, meter: Device, pence: int) -> str:
        """A UTRN (20 digits) that tops the meter up by so many pence; each is good once.

        :class:`~harness.domain.errors.BeyondLab` where the DCC is not simulated and no plugin vends.
        """

    def certified(self, role: UserRole, *, successor: bool = False) -> Certified:
        """Who the lab is towards the DCC in a User Role, as SRV 6.15.1 and 6.24.1 are about it.

        Of a supplier of a simulated lab also by its next certificate, a good one that is not notified yet.
        """

    def alert(self, code: str, device: Device, *, since: datetime, within: timedelta | None = None) -> Alert:
        """The first alert of that code from the device after ``since``; :class:`DeviceTimeout` if none."""

    def alerts(self, device: Device, *, since: datetime | None = None) -> tuple[Alert, ...]:
        """All alerts of the device so far, oldest first."""

    def strays(self, *, since: datetime | None = None) -> tuple[str, ...]:
        """Messages about this rig's devices that nobody waited for: duplicates, late or unknown answers.

        In order of arrival, a line each; ``since`` leaves out what the DCC dated before that lab time. A test
        that takes ``since = clock.now()`` at its start sees what is wrong about its own requests and alerts,
        and not a late answer to an earlier test; without ``since`` it sees all since the rig was opened. What
        is on its way arrives first. No attempt fails by itself for a stray: a test that cares looks.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What a command on a rig's controller came to. Both streams are whole, or say where they were cut."""

    command: str
    status: int
    output: bytes
    errors: bytes
    seconds: float


class RunningCommand(Protocol):
    """A command that runs on a rig's controller until it is stopped; it does not outlive the connection."""

    def ready(self, text: str, *, within: timedelta) -> None:
        """Wait until it writes such a text to its error stream; :class:`ControllerFault` if it does not."""

    def wait(self, *, within: timedelta) -> CommandResult:
        """Wait for its end; one that is late is ended, and a lab fault."""

    def stop(self, *, within: timedelta) -> CommandResult:
        """End it by SIGTERM, then SIGKILL, and tell what it came to: status 143 where it had to be ended."""


class RigController(Protocol):
    """The rig's controller: a computer beside the rig, reached over SSH.

    Trouble with the connection is a :class:`TransportLost`, within the deadline that each call has; a rig
    without a controller raises :class:`ControllerFault`.
    """

    def run(self, command: str, *, within: timedelta | None = None) -> CommandResult:
        """Run a command there and wait for its end; one that is late is ended, and a lab fault."""

    def start(self, command: str) -> RunningCommand:
        """Run a command there that goes on; what still runs when the rig is put down is ended."""

    def fetch(self, path: str, *, keep: bool = True) -> bytes:
        """A file from there, kept as evidence unless told not to; :class:`ControllerFault` without one."""

    def forward(self, host: str, port: int) -> tuple[str, int]:
        """Host and port on this computer that lead to those that the controller sees, while it is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedFrame:
    """One frame of a recording; addresses are ``host:port`` or the HAN's short addresses."""

    timestamp: datetime  # of the capturing host, aware UTC
    source: str
    destination: str
    layers: tuple[str, ...]  # from the outside in: ("Ethernet", "IP", "TCP", "DLMS wrapper")
    payload: bytes = field(repr=False)  # what the innermost layer that could be read carries
    details: Mapping[str, int | str] = field(
        default_factory=dict
    )  # of a HAN frame: "cluster", "mac_source" …


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedApdu:
    """One DLMS APDU of a recording, whichever segments carried it."""

    timestamp: datetime
    source: str
    destination: str
    client_sap: int
    server_sap: int
    kind: str  # what it is: "GetRequest 0-0:1.0.0 attribute 2 (class 8)", or "ciphered ..."
    ciphered: bool
    raw: bytes = field(repr=False)


class Recording(Protocol):
    """What was heard on a line. It grows until the ``with`` of :meth:`Capture.record` ends."""

    @property
    def frames(self) -> tuple[CapturedFrame, ...]:
        """All frames, oldest first; a frame that was heard twice on the loopback counts once."""

    @property
    def apdus(self) -> tuple[CapturedApdu, ...]:
        """The DLMS APDUs in TCP streams, put together again."""

    @property
    def pcapng(self) -> bytes:
        """The file, as it is kept in the evidence."""

    def expect_nothing_in_clear(self) -> None:
        """Fail the test, naming the first, if an APDU other than association control went unciphered.

        Exception responses may go in clear. A recording that proves nothing, for no APDU was heard, frames
        were lost or some cannot be read, is a :class:`CaptureUnavailable`.
        """

    def expect_wake_ups(self, count: int) -> None:
        """Fail the test unless the hub was woken so often.

        Where nobody knows how a wake-up shows on this line: :class:`CaptureUnavailable`.
        """


class Capture(Protocol):
    """Hears the rig's WAN and HAN traffic.

    Without privilege, tool or library it raises :class:`CaptureUnavailable`: the test is blocked.
    """

    def record(self, line: str = "wan") -> AbstractContextManager[Recording]:
        """Record a line while the ``with`` lasts; the file is kept as evidence however it ends."""

    def read(self, path: Path) -> Recording:
        """A capture file from elsewhere: pcap or pcapng, Ethernet, 802.15.4 or ZigBee."""


class Operator(Protocol):
    """The engineer at the rig. Who answered what, and when, is evidence.

    A twin answers where it can, then the answers file, then the terminal. Where nobody can, or the deadline
    (real time) passes, :class:`OperatorAbsent`: the test is blocked.
    """

    def do(self, step: str, *, within: timedelta = timedelta(minutes=5)) -> None:
        """Have something done ("fit the battery"); an engineer who says it cannot be done blocks the test."""

    def ask(self, question: str, *, within: timedelta = timedelta(minutes=5)) -> str:
        """Have something looked at, and told."""

    def confirm(self, statement: str, *, within: timedelta = timedelta(minutes=5)) -> bool:
        """Whether the engineer agrees with a statement about the rig."""

    def read_display(self, device: DeviceType, *, within: timedelta = timedelta(minutes=5)) -> str:
        """The text on a device's display."""


class EvidenceLog(Protocol):
    """The evidence of the attempt in hand."""

    def note(self, title: str, detail: Any = None) -> None:
        """Write a step down: what was done and what was seen."""

    def attach(self, name: str, content: bytes | str, media_type: str = "text/plain") -> None:
        """Keep a file with the attempt."""

    def expect(self, what: str, *, found: Any, expected: Any) -> None:
        """Record expected and found, then fail the test if they differ."""

    def expect_between(self, what: str, *, found: Any, low: Any, high: Any) -> None:
        """As :meth:`expect`, for ``low <= found <= high``: a reading that may move while it is read."""


class RigInHand(Protocol):
    """The rig that a worker holds a lease on."""

    @property
    def rig(self) -> Rig:
        """The rig as the lab file describes it."""

    @property
    def devices(self) -> Mapping[DeviceType, Device]:
        """Drivers by device type."""

    @property
    def bench(self) -> Bench:
        """The rig's I/O."""

    @property
    def clock(self) -> LabClock:
        """The rig's lab time."""

    @property
    def user(self) -> ServiceUser:
        """The service user, seen from this rig."""

    @property
    def controller(self) -> RigController:
        """The rig's controller."""

    @property
    def capture(self) -> Capture:
        """The rig's WAN and HAN, to be listened to."""

    def display(self, device: DeviceType) -> str | None:
        """The text on a display that the lab can see by itself, as a twin's; ``None``: a person must look."""

    def close(self) -> None:
        """Put the bench in its safe state and let go of every port; never raises twice."""
