"""ACTION: requests (0xC3) and responses (0xC7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from device_drivers.dlms import axdr
from device_drivers.dlms.apdu.parts import (
    Apdu,
    Block,
    BlockApdu,
    BlockNumberApdu,
    encode_methods,
    encode_ref,
    encode_result,
    encode_values,
    read_method,
    read_methods,
    read_result,
    read_values,
)
from device_drivers.dlms.data import Data
from device_drivers.dlms.lengths import encode_length
from device_drivers.dlms.reader import Reader
from device_drivers.dlms.refs import MethodRef
from device_drivers.dlms.results import ACTION_RESULTS, code_of, name_of

Outcome = tuple[str, Data | str | None]
"""How an invocation went, and what was returned: data, the name of why there is none, or nothing."""


def encode_outcome(outcome: Outcome) -> bytes:
    """The Action-Response-With-Optional-Data."""
    result, returned = outcome
    data = b"\x00" if returned is None else b"\x01" + encode_result(returned)
    return bytes((code_of(result, ACTION_RESULTS),)) + data


def read_outcome(reader: Reader) -> Outcome:
    """The inverse of :func:`encode_outcome`."""
    result = name_of(reader.number(1), ACTION_RESULTS)
    return result, read_result(reader) if reader.one_of(0, 1) else None


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
class ActionNext(BlockNumberApdu):
    """Block ``block`` of the answer has come, send the next."""

    TAG: ClassVar = 0xC3
    KIND: ClassVar = 2


@dataclass(frozen=True, slots=True)
class ActionList(Apdu):
    """Invoke several methods; a parameter for each, null data where it has none."""

    TAG: ClassVar = 0xC3
    KIND: ClassVar = 3
    refs: tuple[MethodRef, ...]
    values: tuple[Data, ...]

    def body(self) -> bytes:
        return encode_methods(self.refs) + encode_values(self.values)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, read_methods(reader), read_values(reader))


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
class ActionListFirstBlock(Apdu):
    """Invoke several methods; their parameters begin with this block."""

    TAG: ClassVar = 0xC3
    KIND: ClassVar = 5
    refs: tuple[MethodRef, ...]
    block: Block

    def body(self) -> bytes:
        return encode_methods(self.refs) + self.block.encode()

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, read_methods(reader), Block.read(reader))


@dataclass(frozen=True, slots=True)
class ActionBlock(BlockApdu):
    """The next piece of the parameters."""

    TAG: ClassVar = 0xC3
    KIND: ClassVar = 6


@dataclass(frozen=True, slots=True)
class ActionResponse(Apdu):
    """How it went, and what was returned: data, the name of why there is none, or nothing."""

    TAG: ClassVar = 0xC7
    KIND: ClassVar = 1
    result: str
    returned: Data | str | None = None

    def body(self) -> bytes:
        return encode_outcome((self.result, self.returned))

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, *read_outcome(reader))


@dataclass(frozen=True, slots=True)
class ActionListResponse(Apdu):
    """How each invocation of a list went."""

    TAG: ClassVar = 0xC7
    KIND: ClassVar = 3
    outcomes: tuple[Outcome, ...]

    def body(self) -> bytes:
        return encode_length(len(self.outcomes)) + b"".join(map(encode_outcome, self.outcomes))

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, tuple(read_outcome(reader) for _ in range(reader.length())))


@dataclass(frozen=True, slots=True)
class ActionResponseBlock(BlockApdu):
    """A piece of a long answer: of the body of an :class:`ActionResponse` or :class:`ActionListResponse`."""

    TAG: ClassVar = 0xC7
    KIND: ClassVar = 2


@dataclass(frozen=True, slots=True)
class ActionBlockReceived(BlockNumberApdu):
    """Block ``block`` of the parameters has come, send the next."""

    TAG: ClassVar = 0xC7
    KIND: ClassVar = 4
