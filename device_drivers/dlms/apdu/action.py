"""ACTION: requests (0xC3) and responses (0xC7), one method at a time."""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack
from typing import ClassVar, Self

from device_drivers.dlms import axdr
from device_drivers.dlms.apdu.parts import Apdu, Block, encode_ref, encode_result, read_method, read_result
from device_drivers.dlms.data import Data
from device_drivers.dlms.reader import Reader
from device_drivers.dlms.refs import MethodRef
from device_drivers.dlms.results import ACTION_RESULTS, code_of, name_of


@dataclass(frozen=True, slots=True)
class ActionRequest(Apdu):
    """Invoke one method, with its parameter if it has one."""

    TAG: ClassVar = 0xC3
    KIND: ClassVar = 1
    ref: MethodRef
    data: Data | None = None

    def body(self) -> bytes:
        parameter = b"\x00" if self.data is None else b"\x01" + axdr.encode(self.data)
        return encode_ref(self.ref) + parameter

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        ref = read_method(reader)
        return cls(invoke, ref, reader.data() if reader.one_of(0, 1) else None)


@dataclass(frozen=True, slots=True)
class ActionNext(Apdu):
    """Block ``block`` of the answer has come, send the next."""

    TAG: ClassVar = 0xC3
    KIND: ClassVar = 2
    block: int

    def body(self) -> bytes:
        return pack(">I", self.block)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, reader.number(4))


@dataclass(frozen=True, slots=True)
class ActionFirstBlock(Apdu):
    """Invoke one method; its parameter begins with this block."""

    TAG: ClassVar = 0xC3
    KIND: ClassVar = 4
    ref: MethodRef
    block: Block

    def body(self) -> bytes:
        return encode_ref(self.ref) + self.block.encode()

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, read_method(reader), Block.read(reader))


@dataclass(frozen=True, slots=True)
class ActionBlock(Apdu):
    """The next piece of the parameter."""

    TAG: ClassVar = 0xC3
    KIND: ClassVar = 6
    block: Block

    def body(self) -> bytes:
        return self.block.encode()

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, Block.read(reader))


@dataclass(frozen=True, slots=True)
class ActionResponse(Apdu):
    """How it went, and what was returned: data, the name of why there is none, or nothing."""

    TAG: ClassVar = 0xC7
    KIND: ClassVar = 1
    result: str
    returned: Data | str | None = None

    def body(self) -> bytes:
        returned = b"\x00" if self.returned is None else b"\x01" + encode_result(self.returned)
        return bytes((code_of(self.result, ACTION_RESULTS),)) + returned

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        result = name_of(reader.number(1), ACTION_RESULTS)
        return cls(invoke, result, read_result(reader) if reader.one_of(0, 1) else None)


@dataclass(frozen=True, slots=True)
class ActionResponseBlock(Apdu):
    """A piece of a long answer: of the body of an :class:`ActionResponse`."""

    TAG: ClassVar = 0xC7
    KIND: ClassVar = 2
    block: Block

    def body(self) -> bytes:
        return self.block.encode()

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, Block.read(reader))


@dataclass(frozen=True, slots=True)
class ActionBlockReceived(Apdu):
    """Block ``block`` of the parameter has come, send the next."""

    TAG: ClassVar = 0xC7
    KIND: ClassVar = 4
    block: int

    def body(self) -> bytes:
        return pack(">I", self.block)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, reader.number(4))
