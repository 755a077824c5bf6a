"""SET: requests (0xC1) and responses (0xC5)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack
from typing import ClassVar, Self

from device_drivers.dlms import axdr
from device_drivers.dlms.apdu.parts import (
    Apdu,
    Block,
    BlockApdu,
    BlockNumberApdu,
    Selection,
    Target,
    encode_target,
    encode_targets,
    encode_values,
    read_target,
    read_targets,
    read_values,
)
from device_drivers.dlms.data import Data
from device_drivers.dlms.lengths import encode_length
from device_drivers.dlms.reader import Reader
from device_drivers.dlms.refs import AttributeRef
from device_drivers.dlms.results import ACCESS_RESULTS, code_of, name_of


def _encode_names(results: tuple[str, ...]) -> bytes:
    return encode_length(len(results)) + bytes(code_of(result, ACCESS_RESULTS) for result in results)


def _read_names(reader: Reader) -> tuple[str, ...]:
    return tuple(name_of(code, ACCESS_RESULTS) for code in reader.counted())


@dataclass(frozen=True, slots=True)
class SetRequest(Apdu):
    """Write one attribute."""

    TAG: ClassVar = 0xC1
    KIND: ClassVar = 1
    ref: AttributeRef
    selection: Selection | None
    data: Data

    def body(self) -> bytes:
        return encode_target(self.ref, self.selection) + axdr.encode(self.data)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, *read_target(reader), reader.data())


@dataclass(frozen=True, slots=True)
class SetFirstBlock(Apdu):
    """Write one attribute; the value begins with this block."""

    TAG: ClassVar = 0xC1
    KIND: ClassVar = 2
    ref: AttributeRef
    selection: Selection | None
    block: Block

    def body(self) -> bytes:
        return encode_target(self.ref, self.selection) + self.block.encode()

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, *read_target(reader), Block.read(reader))


@dataclass(frozen=True, slots=True)
class SetBlock(BlockApdu):
    """The next piece of what is written."""

    TAG: ClassVar = 0xC1
    KIND: ClassVar = 3


@dataclass(frozen=True, slots=True)
class SetList(Apdu):
    """Write several attributes."""

    TAG: ClassVar = 0xC1
    KIND: ClassVar = 4
    targets: tuple[Target, ...]
    values: tuple[Data, ...]

    def body(self) -> bytes:
        return encode_targets(self.targets) + encode_values(self.values)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, read_targets(reader), read_values(reader))


@dataclass(frozen=True, slots=True)
class SetListFirstBlock(Apdu):
    """Write several attributes; their values begin with this block."""

    TAG: ClassVar = 0xC1
    KIND: ClassVar = 5
    targets: tuple[Target, ...]
    block: Block

    def body(self) -> bytes:
        return encode_targets(self.targets) + self.block.encode()

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, read_targets(reader), Block.read(reader))


@dataclass(frozen=True, slots=True)
class SetResponse(Apdu):
    """How the write went."""

    TAG: ClassVar = 0xC5
    KIND: ClassVar = 1
    result: str

    def body(self) -> bytes:
        return bytes((code_of(self.result, ACCESS_RESULTS),))

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, name_of(reader.number(1), ACCESS_RESULTS))


@dataclass(frozen=True, slots=True)
class SetBlockReceived(BlockNumberApdu):
    """Block ``block`` has come, send the next."""

    TAG: ClassVar = 0xC5
    KIND: ClassVar = 2


@dataclass(frozen=True, slots=True)
class SetLastBlockReceived(Apdu):
    """How the write in blocks went."""

    TAG: ClassVar = 0xC5
    KIND: ClassVar = 3
    result: str
    block: int

    def body(self) -> bytes:
        return bytes((code_of(self.result, ACCESS_RESULTS),)) + pack(">I", self.block)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, name_of(reader.number(1), ACCESS_RESULTS), reader.number(4))


@dataclass(frozen=True, slots=True)
class SetListLastBlockReceived(Apdu):
    """How each write of a list in blocks went."""

    TAG: ClassVar = 0xC5
    KIND: ClassVar = 4
    results: tuple[str, ...]
    block: int

    def body(self) -> bytes:
        return _encode_names(self.results) + pack(">I", self.block)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, _read_names(reader), reader.number(4))


@dataclass(frozen=True, slots=True)
class SetListResponse(Apdu):
    """How each write of a list went."""

    TAG: ClassVar = 0xC5
    KIND: ClassVar = 5
    results: tuple[str, ...]

    def body(self) -> bytes:
        return _encode_names(self.results)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, _read_names(reader))
