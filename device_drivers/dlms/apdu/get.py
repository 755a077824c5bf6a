"""GET: requests (0xC0) and responses (0xC4)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack
from typing import ClassVar, Self

from device_drivers.dlms.apdu.parts import (
    Apdu,
    BlockNumberApdu,
    Selection,
    Target,
    encode_result,
    encode_results,
    encode_target,
    encode_targets,
    read_result,
    read_results,
    read_target,
    read_targets,
)
from device_drivers.dlms.data import Data
from device_drivers.dlms.lengths import encode_length
from device_drivers.dlms.reader import Reader
from device_drivers.dlms.refs import AttributeRef
from device_drivers.dlms.results import ACCESS_RESULTS, code_of, name_of


@dataclass(frozen=True, slots=True)
class GetRequest(Apdu):
    """Read one attribute."""

    TAG: ClassVar = 0xC0
    KIND: ClassVar = 1
    ref: AttributeRef
    selection: Selection | None = None

    def body(self) -> bytes:
        return encode_target(self.ref, self.selection)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, *read_target(reader))


@dataclass(frozen=True, slots=True)
class GetNext(BlockNumberApdu):
    """Block ``block`` has come, send the next."""

    TAG: ClassVar = 0xC0
    KIND: ClassVar = 2


@dataclass(frozen=True, slots=True)
class GetList(Apdu):
    """Read several attributes."""

    TAG: ClassVar = 0xC0
    KIND: ClassVar = 3
    targets: tuple[Target, ...]

    def body(self) -> bytes:
        return encode_targets(self.targets)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, read_targets(reader))


@dataclass(frozen=True, slots=True)
class GetResponse(Apdu):
    """The value, or the name of the refusal."""

    TAG: ClassVar = 0xC4
    KIND: ClassVar = 1
    result: Data | str

    def body(self) -> bytes:
        return encode_result(self.result)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, read_result(reader))


@dataclass(frozen=True, slots=True)
class GetBlock(Apdu):
    """A piece of a long answer, or the name of why it goes no further."""

    TAG: ClassVar = 0xC4
    KIND: ClassVar = 2
    last: bool
    number: int
    result: bytes | str

    def body(self) -> bytes:
        head = pack(">?I", self.last, self.number)
        if isinstance(self.result, str):
            return head + bytes((1, code_of(self.result, ACCESS_RESULTS)))
        return head + b"\x00" + encode_length(len(self.result)) + self.result

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        last, number = bool(reader.number(1)), reader.number(4)
        if reader.one_of(0, 1):
            return cls(invoke, last, number, name_of(reader.number(1), ACCESS_RESULTS))
        return cls(invoke, last, number, reader.counted())


@dataclass(frozen=True, slots=True)
class GetListResponse(Apdu):
    """A value or refusal for each attribute asked for."""

    TAG: ClassVar = 0xC4
    KIND: ClassVar = 3
    results: tuple[Data | str, ...]

    def body(self) -> bytes:
        return encode_results(self.results)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, read_results(reader))
