"""What every simulated device has: items and commands by name, logs, events, alerts, firmware, a cover.

Everything that enters or leaves passes the faults switched on in the twin (``Interceptions``):

========== ==================================================== ==========================================
point      item and value                                       what ``DROP`` does
========== ==================================================== ==========================================
READ       name of an item or log; its value, or its rows       the read is refused (temporary failure)
WRITE      name of an item; what is to be stored                acknowledged, the old value stays
ACTION     name of a command; its argument                      acknowledged, nothing is done
TICK       name of a quantity; the whole increment, see the     nothing is counted
           meters
LOG        name of a log; the row, a tuple with the time first  the row is lost
POWER      ``"state"``; mapping of what is kept, see the meters nothing is kept
           and the hub
STORE      ``"settings"``; what is to take effect, by name      nothing takes effect
EVENT      code, four hex digits; the codes that happen         nothing happens
ALERT      code, four hex digits; the :class:`AlertRaised`      the alert is never raised
========== ==================================================== ==========================================

Details always hold ``device_id``, ``model``, ``firmware`` (the version that runs) and ``now`` (lab time), for
READ, WRITE and ACTION also ``client``. A meter has further points: :mod:`.meters.meter`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import InvalidOperation
from typing import Any

from device_drivers.named.objects import Kind, ObjectTable
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.firmware import ImageTransfer
from device_drivers.simulated.logs import LogBook, Row
from harness.domain.errors import AccessRefused, DeviceTimeout, ProtocolViolation
from harness.domain.events import ALERTING, SECURITY, Event, meaning_of
from harness.domain.faults import DROP, Interceptions, Point
from harness.domain.lab import RigDevice

MANAGEMENT = 1
"""Events that go into the security log; all others go into the event log."""


@dataclass(frozen=True, slots=True)
class AlertRaised:
    """An event that the device tells its hub of at once; ``timestamp`` is the device's own time."""

    device_id: str
    code: int
    description: str
    timestamp: datetime


class Twin:
    """A simulated device. Every public method takes the rig's lock and brings the model up to lab time.

    Life cycle: construct; answer ``get``, ``set``, ``act``, ``rows`` while powered; ``power`` off and on.
    Without power nothing answers: :class:`DeviceTimeout`. What a device refuses is :class:`AccessRefused`.
    """

    def __init__(
        self, device: RigDevice, clock: VirtualClock, interceptions: Interceptions, table: ObjectTable
    ) -> None:
        self.device = device
        self.device_id = device.device_id
        self.table = table
        self.clock = clock
        self.power_cuts = 0  # how often it has lost its supply
        self._powered = True
        self.on_alert: Callable[[AlertRaised], None] | None = None
        self._interceptions = interceptions
        self._held: dict[int, dict[str, Any]] = {}  # what each client has staged
        self._client = MANAGEMENT  # who is asking
        self._image: ImageTransfer | None = None
        self.values: dict[str, Any] = {
            "logical_device_name": device.device_id.replace("-", ""),
            "serial_number": device.serial_number,
            "device_id": device.device_id,
            "manufacturer": device.model.manufacturer,
            "model": device.model.model,
            "firmware_version": device.model.firmware,
            "firmware_pending": "",
            "cover_open": False,
        }
        self.logs = {name: LogBook(log, self._enter) for name, log in table.logs.items()}
        self.computed: dict[str, Callable[[], Any]] = {"clock": self.time}
        self.writable = {name for name, item in table.items.items() if item.kind is Kind.SETTING}
        self.managed: set[str] = set()  # state that the lab's management access, and nobody else, may write
        self.commands: dict[str, Callable[[Any], Any]] = {
            "hold_settings": lambda _: self._hold(),
            "release_settings": lambda _: self._release(),
            "image_initiate": self._initiate_image,
            "image_block": self._take_block,
            "image_verify": lambda _: self._verify_image(),
            "image_activate": lambda _: self._activate_image(),
        }

    # What others use

    def get(self, name: str, client: int = MANAGEMENT) -> Any:
        """An item's value, in its Python form."""
        with self.clock.lock:
            self._awake()
            return self._read(name, self._value(name), client)

    def rows(self, name: str, client: int = MANAGEMENT) -> tuple[Row, ...]:
        """A log's rows, oldest first: tuples of time and columns."""
        with self.clock.lock:
            self._awake()
            return tuple(self._read(name, tuple(self._log(name).rows()), client))

    def set(self, name: str, value: Any, client: int = MANAGEMENT) -> None:
        """Write an item; between a client's "hold_settings" and "release_settings", at the release."""
        with self.clock.lock:
            self._awake()
            self._client = client
            if not self.may_write(name, client):
                raise AccessRefused(f"{name} of {self.device_id} is read only", result="read-write-denied")
            value = self._checked(name, value)
            value = self._pass(Point.WRITE, name, value, client=client)
            if value is DROP:
                return
            if client in self._held and name != "clock":
                self._held[client][name] = value
            else:
                self._take({name: value})
            self.changed()

    def may_write(self, name: str, client: int = MANAGEMENT) -> bool:
        """Whether a client that may write at all may write this item."""
        return name in self.writable or (client == MANAGEMENT and name in self.managed)

    def act(self, name: str, argument: Any = None, client: int = MANAGEMENT) -> Any:
        """Run a command."""
        with self.clock.lock:
            self._awake()
            self._client = client
            command = self.commands.get(name)
            if command is None:
                raise AccessRefused(f"{self.device_id} has no command {name}", result="object-undefined")
            argument = self._pass(Point.ACTION, name, argument, client=client)
            if argument is DROP:
                return None
            try:
                return command(argument)
            finally:
                self.changed()

    def clear_log(self, name: str, client: int = MANAGEMENT) -> None:
        """Empty a log; passes Point.ACTION as ``"clear_log"`` with the log's name as its argument."""
        with self.clock.lock:
            self._awake()
            log = self._log(name)
            if self._pass(Point.ACTION, "clear_log", name, client=client) is DROP:
                return
            log.fill(())
            self.event(Event.EVENT_LOG_CLEARED)

    def tamper(self, open_: bool) -> None:
        """Open or close the cover."""
        with self.clock.lock:
            self.catch_up()
            if open_ == self.values["cover_open"]:
                return
            self.values["cover_open"] = open_
            if self.powered:
                self.event(Event.COVER_OPENED if open_ else Event.COVER_CLOSED)
                self.changed()

    @property
    def powered(self) -> bool:
        """Whether it has its supply."""
        return self._powered

    @powered.setter
    def powered(self, on: bool) -> None:
        self.power_cuts += self._powered and not on
        self._powered = on

    def report(self, code: int) -> None:
        """An event that the device learns of from outside its model: a client that failed to authenticate."""
        with self.clock.lock:
            self.catch_up()
            self.event(code)

    def refusal(self, check: str, why: str, client: int) -> str:
        """Why a client is refused, or nothing where a fault at Point.CHECK, by the check's name, lets it."""
        return str(self._pass(Point.CHECK, check, why, client=client))

    def event(self, code: int) -> None:
        """Enter an event in its log and, where it is an alerting one, raise the alert."""
        happening: Any = self._pass(Point.EVENT, f"{code:04X}", (code,))
        for each in () if happening is DROP else happening:
            log = "security_log" if each in SECURITY and "security_log" in self.logs else "event_log"
            self.logs[log].append((self.time(), each))
            if each in ALERTING:
                self.raise_alert(each)

    def raise_alert(self, code: int) -> None:
        """Tell the hub."""
        alert = AlertRaised(self.device_id, code, meaning_of(code), self.time())
        alert = self._pass(Point.ALERT, f"{code:04X}", alert)
        if alert is not DROP and self.on_alert is not None:
            self.on_alert(alert)

    def time(self) -> datetime:
        """The device's own time."""
        return self.clock.now()

    # What a kind of device adds

    def catch_up(self) -> None:
        """Bring the model up to lab time."""

    def changed(self) -> None:
        """Something was written or commanded: see what follows from it."""

    def store(self, values: Mapping[str, Any]) -> None:
        """Make writes take effect, all at once."""
        self.values.update(values)
        self.event(Event.CONFIGURATION_CHANGED)

    def check(self, name: str, value: Any) -> str:  # noqa: ARG002 - a device of this kind refuses nothing
        """Why a value is refused, or nothing."""
        return ""

    # How it is done

    def _awake(self) -> None:
        if not self.powered:
            raise DeviceTimeout(f"{self.device_id} has no power", remedy="switch the rig's mains on")
        self.catch_up()

    def _pass(self, point: Point, item: str, value: Any, **details: Any) -> Any:
        if not self._interceptions.faults:
            return value
        return self._interceptions.passing(
            point,
            item,
            value,
            device_id=self.device_id,
            model=self.device.model.model,
            firmware=self.values["firmware_version"],
            now=self.clock.now(),
            **details,
        )

    def _read(self, name: str, value: Any, client: int) -> Any:
        value = self._pass(Point.READ, name, value, client=client)
        if value is DROP:
            raise AccessRefused(f"{self.device_id} does not give {name} now", result="temporary-failure")
        return value

    def _enter(self, log: str, row: Row) -> Any:
        return self._pass(Point.LOG, log, row)

    def _log(self, name: str) -> LogBook:
        if name not in self.logs:
            raise AccessRefused(f"{self.device_id} has no log {name}", result="object-undefined")
        return self.logs[name]

    def _value(self, name: str) -> Any:
        if name in self.computed:
            return self.computed[name]()
        if name in self.values:
            return self.values[name]
        raise AccessRefused(f"{self.device_id} has no {name}", result="object-undefined")

    def _checked(self, name: str, value: Any) -> Any:
        """The value in its plain Python form, if the device takes it."""
        form = self.table.items[name].form
        try:
            value = form.decode(form.encode(value))
            problem = self.check(name, value)
        except (ValueError, TypeError, KeyError, InvalidOperation, ProtocolViolation) as error:
            raise AccessRefused(f"{name} cannot be {value!r}: {error}", result="type-unmatched") from error
        if problem:
            raise AccessRefused(f"{name} cannot be {value!r}: {problem}", result="other-reason")
        return value

    def _hold(self) -> None:
        """Stage the client's writes from now on; what it staged before and never released is forgotten."""
        self._held[self._client] = {}

    def _release(self) -> None:
        if self._client not in self._held:
            raise AccessRefused("no settings are held", result="temporary-failure")
        if held := self._held.pop(self._client):
            self._take(held)

    def _take(self, values: Mapping[str, Any]) -> None:
        passed: Any = self._pass(Point.STORE, "settings", values)
        if passed is not DROP:
            self.store(passed)

    def _initiate_image(self, argument: Mapping[str, Any]) -> None:
        try:
            self._image = ImageTransfer(bytes(argument["version"]).decode(), argument["size"])
        except (ValueError, UnicodeDecodeError) as error:
            raise AccessRefused(str(error), result="other-reason") from error
        self.values["firmware_pending"] = ""

    def _take_block(self, argument: Mapping[str, Any]) -> None:
        try:
            self._transfer().put(argument["number"], argument["block"])
        except ValueError as error:
            raise AccessRefused(str(error), result="other-reason") from error

    def _verify_image(self) -> None:
        image, self._image = self._transfer(), None
        whole = "" if image.verified() else "the image is not whole or its hash is wrong"
        for check, why in (("image", whole), ("image_fit", image.misfit(self.device.type))):
            if why and self.refusal(check, why, self._client):
                self.event(Event.FIRMWARE_REFUSED)
                raise AccessRefused(why, result="other-reason")
        self.values["firmware_pending"] = image.version
        self.event(Event.FIRMWARE_VERIFIED)

    def _activate_image(self) -> None:
        if not self.values["firmware_pending"]:
            raise AccessRefused("no verified image waits for activation", result="temporary-failure")
        self.values["firmware_version"] = self.values["firmware_pending"]
        self.values["firmware_pending"] = ""
        self.event(Event.FIRMWARE_ACTIVATED)

    def _transfer(self) -> ImageTransfer:
        if self._image is None:
            raise AccessRefused("no image transfer was initiated", result="temporary-failure")
        return self._image
