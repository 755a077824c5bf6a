"""What the parts of a lab's files must agree on: references that lead somewhere, devices that fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from harness.config.data_files import FROM_HERE
from harness.config.document import Document, Place
from harness.config.models import (
    DccFile,
    DeviceModelFile,
    DmcFile,
    DoorFile,
    EnvironmentFile,
    EpclFile,
    LabFile,
    RigDeviceFile,
    RigFile,
    TlsFile,
)
from harness.config.problems import Problems, listed, nearest
from harness.domain.words import DeviceType

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Collection(Generic[T]):
    """Items by id, with the place that they stand at; ``items`` lacks those that are wrong by themselves."""

    word: str  # what messages call an item
    document: Document | None  # none where the file cannot be read
    items: Mapping[str, T]
    start: Place = ()

    def has(self, id_: str) -> bool:
        """Whether such an item is written, be it right or wrong; an unread file is not held against it."""
        return self.document is None or id_ in self.ids()

    def ids(self) -> list[str]:
        """The ids of all items that are written."""
        content = self.document.at(*self.start) if self.document else None
        return [str(id_) for id_ in content] if isinstance(content, Mapping) else []

    def placed(self) -> Iterator[tuple[Place, str, T]]:
        """Every right item with its place."""
        for id_, item in self.items.items():
            yield (*self.start, id_), id_, item


@dataclass(frozen=True, slots=True)
class Page:
    """Writes problems of one document."""

    document: Document
    problems: Problems

    def wrong(self, place: Place, message: str, remedy: str) -> None:
        where = ".".join(str(step) for step in place)
        self.problems.add(self.document.path, self.document.line(place), f"{where}: {message}", remedy)

    def refer(self, place: Place, id_: str, to: Collection[T]) -> T | None:
        """What ``id_`` refers to, if it is right; an id that leads nowhere is written down."""
        if not to.has(id_):
            self.wrong(place, f"unknown {to.word} {id_!r}", nearest(id_, to.ids()))
        return to.items.get(id_)


def check_dmcs(dmcs: Collection[DmcFile], models: Collection[DeviceModelFile], problems: Problems) -> None:
    """A DMC has a hub and a meter, and each Device Model is of the type that it stands for."""
    if dmcs.document is None:
        return
    page = Page(dmcs.document, problems)
    for place, _, dmc in dmcs.placed():
        if DeviceType.CH not in dmc.models or len(dmc.models) < 2:
            page.wrong(
                (*place, "models"), f"found {_types(dmc.models)}, expected CH and a meter", "add what lacks"
            )
        for device_type, id_ in dmc.models.items():
            model = page.refer((*place, "models", device_type), id_, models)
            if model and model.type is not device_type:
                page.wrong(
                    (*place, "models", device_type),
                    f"{id_!r} is of type {model.type}, expected {device_type}",
                    "name another, or correct its type",
                )


def check_epcl(epcl: Collection[EpclFile], dmcs: Collection[DmcFile], problems: Problems) -> None:
    """An entry's DMC is there, and no two entries say the same."""
    if epcl.document is None:
        return
    page = Page(epcl.document, problems)
    seen: dict[tuple[str, str, str], str] = {}
    for place, id_, entry in epcl.placed():
        page.refer((*place, "dmc"), entry.dmc, dmcs)
        first = seen.setdefault((entry.dmc, entry.communications_provider, entry.installation_type), id_)
        if first != id_:
            page.wrong(place, f"says the same as {first!r}", "remove one, or correct what differs")


def check_rigs(
    rigs: Collection[RigFile],
    dmcs: Collection[DmcFile],
    models: Collection[DeviceModelFile],
    problems: Problems,
) -> None:
    """A rig holds what its DMC says, each device once in the lab, each with a way to it."""
    if rigs.document is None:
        return
    page = Page(rigs.document, problems)
    for place, _, rig in rigs.placed():
        dmc = page.refer((*place, "dmc"), rig.dmc, dmcs)
        if dmc:
            _check_fit(page, place, rig, dmc)
        _check_supply_numbers(page, place, rig)
        if rig.simulation and rig.controller:
            page.wrong(
                (*place, "controller"), "a twin says for itself where its controller is",
                "remove it, and say controller: true under simulation:",
            )  # fmt: skip
        for device_type, device in rig.devices.items():
            _check_device(page, (*place, "devices", device_type), rig, device_type, device, models)
    _check_unique(page, (pair for place, _, rig in rigs.placed() for pair in _device_ids(place, rig)))
    for key in ("mpan", "export_mpan", "mprn"):
        _check_unique(
            page, (((*place, key), getattr(rig, key)) for place, _, rig in rigs.placed() if getattr(rig, key))
        )


def check_lab(
    document: Document,
    lab: LabFile,
    rigs: Collection[RigFile],
    environments: Collection[EnvironmentFile],
    problems: Problems,
) -> None:
    """The environment is there, folders and files are there, and the gateway fits the rigs."""
    page = Page(document, problems)
    page.refer(("environment",), lab.environment, environments)
    folder = document.path.parent
    if not (folder / lab.ttm).is_file():
        page.wrong(("ttm",), f"no file {lab.ttm!r}", FROM_HERE)
    if not (folder / lab.packs).is_dir():
        page.wrong(("packs",), f"no folder {lab.packs!r}", FROM_HERE)
    schemas = lab.dcc.schemas
    if schemas and schemas.required and not (folder / schemas.folder).is_dir():
        page.wrong(
            ("dcc", "schemas", "folder"),
            f"no folder {schemas.folder!r}",
            "correct it, or set required: false to run without validation",
        )
    _check_gateway(page, lab, rigs)


def _check_gateway(page: Page, lab: LabFile, rigs: Collection[RigFile]) -> None:
    simulated = lab.dcc.gateway == "simulated"
    for place, _, rig in rigs.placed():
        if simulated != (rig.simulation is not None):
            here, there = (
                ("twins", "real gateway") if rig.simulation else ("real devices", "simulated gateway")
            )
            page.wrong(place, f"has {here} behind a {there}", "put such rigs into a lab file of their own")
    for role, user in lab.dcc.users.items():
        if not simulated and not (user.key and user.certificate):
            message = "has no key and certificate, and the gateway is not simulated"
            page.wrong(("dcc", "users", role), message, "name both by reference, env:NAME or file:path")
    _check_protection(page, lab.dcc)


def _check_protection(page: Page, dcc: DccFile) -> None:
    """Both ends prove who they are, unless nobody is between them or the lab file says that this is well."""
    named = dict(dcc.tls or {})
    missing = [name for name in TlsFile.model_fields if not named.get(name)]
    if dcc.gateway.startswith("https:") and missing:
        page.wrong(
            ("dcc", "tls"), f"names no {' and no '.join(missing)}, and the gateway is https",
            "name ca, certificate and key by reference: both ends prove who they are",
        )  # fmt: skip
    elif dcc.gateway.startswith("http:") and not (dcc.plain_http or _on_this_computer(dcc.gateway)):
        page.wrong(
            ("dcc", "gateway"), "plain http to another computer can be read and changed on the way",
            "use https and tls:, or add plain_http: true if the network between is the lab's alone",
        )  # fmt: skip


def _on_this_computer(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, which may lead anywhere
        return False


def _check_fit(page: Page, place: Place, rig: RigFile, dmc: DmcFile) -> None:
    if set(rig.devices) != set(dmc.models):
        page.wrong(
            (*place, "devices"),
            f"found {_types(rig.devices)}, expected {_types(dmc.models)} as DMC {rig.dmc!r} has them",
            "put the devices of the DMC on the rig, or name another DMC",
        )


def _check_supply_numbers(page: Page, place: Place, rig: RigFile) -> None:
    for device_type, key in ((DeviceType.ESME, "mpan"), (DeviceType.GSME, "mprn")):
        if device_type in rig.devices and getattr(rig, key) is None:
            page.wrong(place, f"has an {device_type} and no {key}", f"add {key}:")
        if device_type not in rig.devices and getattr(rig, key) is not None:
            page.wrong((*place, key), f"there is no {device_type} on the rig", "remove it, or add the meter")


def _check_device(
    page: Page,
    place: Place,
    rig: RigFile,
    device_type: DeviceType,
    device: RigDeviceFile,
    models: Collection[DeviceModelFile],
) -> None:
    if device.model:
        model = page.refer((*place, "model"), device.model, models)
        if model and model.type is not device_type:
            message = f"{device.model!r} is of type {model.type}, expected {device_type}"
            page.wrong((*place, "model"), message, "name another")
    if rig.simulation is None and device.door is None:
        page.wrong(
            place, "has no door, and the rig no simulation", "say how the device is reached, under door:"
        )
    if rig.simulation is not None and device.security is not None:
        page.wrong(
            (*place, "security"), "a twin has credentials of its own", "remove security: or simulation:"
        )
    _check_door(page, (*place, "door"), rig, device.door)


def has_controller(rig: RigFile) -> bool:
    """Whether the rig has a controller, its own or a twin's."""
    return rig.controller is not None or bool(rig.simulation and rig.simulation.controller)


def _check_door(page: Page, place: Place, rig: RigFile, door: DoorFile | None) -> None:
    if door is None:
        return
    if rig.simulation is not None and door.parameters:
        page.wrong((*place, "parameters"), "a twin says for itself where it listens", "remove parameters:")
    if door.via_controller and not has_controller(rig):
        page.wrong((*place, "via_controller"), "the rig has no controller", "describe it under controller:")
    if door.optical is None or door.protocol != "dlms":
        return
    if door.optical.mode == "mode-c":
        page.wrong(
            (*place, "optical", "mode"), "a readout is all that mode-c gives, and no DLMS",
            "mode-e or direct, or the protocol of a meter that is read out: iec62056-21",
        )  # fmt: skip
    elif door.hdlc is None:
        page.wrong((*place, "optical"), "DLMS on an optical port goes in HDLC frames", "add hdlc: {}")


def _device_ids(place: Place, rig: RigFile) -> Iterator[tuple[Place, str]]:
    for device_type, device in rig.devices.items():
        yield (*place, "devices", device_type, "device_id"), device.device_id


def _check_unique(page: Page, values: Iterable[tuple[Place, str]]) -> None:
    seen: dict[str, Place] = {}
    for place, value in values:
        first = seen.setdefault(value, place)
        if first != place:
            line = page.document.line(first)
            page.wrong(place, f"{value!r} stands on line {line} already", "give each its own")


def _types(devices: Iterable[DeviceType]) -> str:
    return listed(sorted(devices)) or "none"
