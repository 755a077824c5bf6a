"""What may stand under a rig's ``bench:``, and in the register map that a Modbus bench names."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, SkipValidation, StringConstraints

from harness.config.models import AsRead, FileModel, Parameters, Seconds, Text
from harness.domain.bench import Table, ValueType, WordOrder
from harness.domain.words import DeviceType

BusAddress = Annotated[int, Field(ge=0, le=65_535)]
Scale = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?(/[0-9]+)?$")]


class ImageFile(FileModel):
    """A firmware image for a device of the rig."""

    version: Text = Field(description="the version that the device tells when it runs it")
    file: Text = Field(description="the image, from the folder of the lab file")


class AnyBenchFile(FileModel):
    """What a lab says of a bench, whatever its kind."""

    kind: str = Field(
        "", description="the kind of bench, such as modbus; without it the rig has no bench I/O"
    )
    accuracy: Annotated[Decimal, Field(ge=0, le=1)] | None = Field(
        None,
        description="how much a meter and the bench's reference may differ, as a part of what flowed: 0.02",
    )
    firmware: dict[DeviceType, dict[Literal["baseline", "other"], ImageFile]] = Field(
        default_factory=dict,
        description="two firmware images for each device: its baseline, and another version",
    )


class BenchFile(AnyBenchFile):
    """A bench whose kind a plugin drives, or none."""

    parameters: Parameters = Field(
        default_factory=dict, description="what the driver of its kind needs, such as host and port"
    )


class SerialPortFile(FileModel):
    """The serial port of a bench that speaks Modbus RTU; 8 data bits."""

    port: str = Field("", description="its name, such as /dev/serial/by-id/...; none on a simulated rig")
    baud: Annotated[Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200], AsRead] = Field(
        19_200, description="bits a second"
    )
    parity: Literal["N", "E", "O"] = Field("N", description="N: none, E: even, O: odd")
    stop_bits: Annotated[Literal[1, 2], AsRead] = Field(1, description="stop bits")


class InterlockFile(FileModel):
    """Two conditions that must never hold together."""

    never: Text = Field(description="a condition: POINT is on, POINT is off, POINT above N or POINT below N")
    during: Text = Field(alias="while", description="the condition that it must never meet")


class ModbusBenchFile(AnyBenchFile):
    """A bench behind Modbus TCP (host) or RTU (serial)."""

    map: Text = Field(description="the register map, a YAML file, from the folder of the lab file")
    host: Text | None = Field(None, description="its name or address (Modbus TCP)")
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(502, description="its port (Modbus TCP)")
    serial: SerialPortFile | None = Field(None, description="its serial port (Modbus RTU)")
    device_id: Annotated[int, Field(ge=0, le=255)] = Field(1, description="its Modbus device id (unit)")
    timeout: Seconds = Field(2.0, description="seconds that an answer may take")
    press: Annotated[float, Field(ge=0, le=10)] = Field(0.5, description="seconds that a button is held")
    via_controller: bool = Field(
        False, description="whether host and port are seen from the rig's controller"
    )
    nominal_voltage: Annotated[Decimal, Field(gt=0, le=1000)] = Field(
        Decimal(230), description="the mains voltage in V, where the map has no mains.voltage"
    )
    interlocks: list[InterlockFile] = Field(
        default_factory=list, description="what is refused before anything is switched"
    )
    safe: dict[str, Text] = Field(
        description="the safe state: every point that can be written, in the order in which it is done"
    )


class ReadBackFile(FileModel):
    """Where a written value shows itself, if not where it was written."""

    table: Table = Field(description="coil, discrete_input, holding_register or input_register")
    address: BusAddress = Field(description="its address as on the wire, from 0")
    within: Annotated[float, Field(ge=0, le=60)] = Field(0.0, description="seconds until it must show")


class PointFile(FileModel):
    """A point of a register map, under its name."""

    table: Table = Field(description="coil, discrete_input, holding_register or input_register")
    address: BusAddress = Field(description="its address as on the wire, from 0: 40001 is address 0")
    type: ValueType = Field(
        ValueType.BOOL, description="bool, u16, s16, u32, s32, u64, s64 or f32; bool is on or off"
    )
    unit: str = Field("", description="the unit that scale gives; none for bool")
    scale: Scale = Field("1", description="what one step of the register is, a decimal or a fraction")
    word_order: WordOrder | None = Field(
        None, description="which register of several comes first: big or little"
    )
    inverted: bool = Field(False, description="whether 1 tells off")
    writable: bool | None = Field(
        None, description="whether it may be written; by default if its function is to switch or set"
    )
    read_back: ReadBackFile | None = Field(
        None, description="where a written value shows itself, if not where it was written"
    )


class RegisterMapFile(FileModel):
    """Where a bench's points stand."""

    word_order: WordOrder = Field(WordOrder.BIG, description="which register of several comes first")
    points: dict[str, SkipValidation[PointFile]] = Field(description="the points by name", min_length=1)
