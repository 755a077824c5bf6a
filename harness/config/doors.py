"""The doors of a lab, held to what the transports and drivers that they name say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, FiniteFloat, create_model, model_validator

from harness.config.checks import Page
from harness.config.document import Document, Place
from harness.config.models import AsRead, DoorFile, FileModel, LabFile, RigFile, Text
from harness.config.problems import Problems, nearest
from harness.config.validation import validate
from harness.domain.errors import ConfigurationError
from harness.domain.parameters import Parameter
from harness.domain.words import DeviceType
from harness.hooks import Driver, Transport, plugin_manager


def check_doors(document: Document, lab: LabFile, rigs: Mapping[str, RigFile], problems: Problems) -> None:
    """Transports and drivers are there, and each door's parameters are what these two declare.

    A lab without doors is read without its plugins.
    """
    page = _DoorsPage(document, problems)
    doors = [
        (("rigs", id_, "devices", device_type, "door"), rig, device_type, device.door)
        for id_, rig in rigs.items()
        for device_type, device in rig.devices.items()
        if device.door is not None
    ]
    if not doors:
        return
    try:
        hook = plugin_manager(lab.plugins).hook
    except ConfigurationError as error:
        page.wrong(("plugins",), error.message, error.remedy)
        return
    transports = {each.name: each for some in hook.harness_transports() for each in some}
    found = [each for some in hook.harness_drivers() for each in some]
    drivers = {(each.device_type, each.protocol): each for each in reversed(found)}  # of two, the first
    for place, rig, device_type, door in doors:
        transport = page.transport(place, door, transports)
        driver = page.driver(place, door, device_type, drivers)
        if transport and driver and rig.simulation is None:  # a twin says for itself where it listens
            validate(_model(transport, driver), document, (*place, "parameters"), problems)


class _DoorsPage(Page):
    """Says which doors lead nowhere."""

    def transport(self, place: Place, door: DoorFile, known: Mapping[str, Transport]) -> Transport | None:
        if door.transport not in known:
            message = f"no transport is called {door.transport!r}"
            self.wrong((*place, "transport"), message, nearest(door.transport, known))
        return known.get(door.transport)

    def driver(
        self,
        place: Place,
        door: DoorFile,
        device_type: DeviceType,
        known: Mapping[tuple[DeviceType, str], Driver],
    ) -> Driver | None:
        found = known.get((device_type, door.protocol))
        if found is None:
            spoken = sorted(protocol for of, protocol in known if of is device_type)
            message = f"no driver for {device_type} speaks {door.protocol!r}"
            self.wrong((*place, "protocol"), message, nearest(door.protocol, spoken))
        return found


class _ParametersFile(FileModel):
    """Parameters of a door whose transport and driver have declared all that they read."""

    @model_validator(mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value


class _OpenParametersFile(_ParametersFile):
    """Parameters of which transport or driver may read more than is declared."""

    model_config = ConfigDict(extra="allow")


def _model(transport: Transport, driver: Driver) -> type[_ParametersFile]:
    """The model of the parameters of their doors."""
    declared = (*(transport.parameters or ()), *(driver.parameters or ()))
    whole = transport.parameters is not None and driver.parameters is not None
    base = _ParametersFile if whole else _OpenParametersFile
    fields: dict[str, Any] = {each.name: (_annotation(each), _field(each)) for each in declared}
    return create_model("ParametersFile", __base__=base, **fields)


def _field(parameter: Parameter) -> Any:
    return Field(... if parameter.needed else None, description=parameter.meaning)


def _annotation(parameter: Parameter) -> Any:
    if parameter.choice:
        return Annotated[Literal[parameter.choice], AsRead]
    if parameter.type is str:
        return Text
    if parameter.type is dict:
        return dict[str, Any]
    number = FiniteFloat if parameter.type is float else int
    return Annotated[number, Field(gt=parameter.above, le=parameter.most)]
