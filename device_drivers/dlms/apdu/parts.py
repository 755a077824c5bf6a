"""What the APDUs share: their frame, and the pieces that stand inside several of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from struct import error as StructError  # noqa: N812 - it is an exception class, named so nowhere
from struct import pack
from typing import ClassVar, Self

from device_drivers.dlms import axdr
from device_drivers.dlms.data import Data
from device_drivers.dlms.lengths import encode_length
from device_drivers.dlms.reader import Reader
from device_drivers.dlms.refs import AttributeRef, MethodRef, format_obis, parse_obis
from device_drivers.dlms.results import ACCESS_RESULTS, code_of, name_of


@dataclass(frozen=True, slots=True)
class Apdu:
    """One APDU. ``invoke`` is the whole invoke-id-and-priority byte."""

    TAG: ClassVar[int]
    KIND: ClassVar[int]

    invoke: int

    @abstractmethod
    def body(self) -> bytes:
        """What follows the invoke byte."""

    @classmethod
    @abstractmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        """The inverse of :meth:`body`."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Selective access as it stands on the wire: which selector, with what parameters."""

    selector: int
    parameters: Data


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a long transfer, numbered from 1."""

    last: bool
    number: int
    raw: bytes

    def encode(self) -> bytes:
        """The DataBlock-SA: last, number, counted octets."""
        return pack(">?I", self.last, self.number) + encode_length(len(self.raw)) + self.raw

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The inverse of :meth:`encode`."""
        return cls(bool(reader.number(1)), reader.number(4), reader.counted())


@dataclass(frozen=True, slots=True)
class BlockNumberApdu(Apdu):
    """Says nothing but that block ``block`` has come: the next may follow."""

    block: int

    def body(self) -> bytes:
        return pack(">I", self.block)

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, reader.number(4))


@dataclass(frozen=True, slots=True)
class BlockApdu(Apdu):
    """Carries one block and nothing else."""

    block: Block

    def body(self) -> bytes:
        return self.block.encode()

    @classmethod
    def read(cls, invoke: int, reader: Reader) -> Self:
        return cls(invoke, Block.read(reader))


Target = tuple[AttributeRef, Selection | None]


def encode_ref(ref: AttributeRef | MethodRef) -> bytes:
    """A descriptor: class, instance and number of the attribute or method."""
    number = ref.attribute if isinstance(ref, AttributeRef) else ref.method
    try:
        return pack(">H6sb", ref.class_id, parse_obis(ref.obis), number)
    except StructError as error:
        raise ValueError(f"{ref}: {error}") from None


def _read_ref(reader: Reader) -> tuple[int, str, int]:
    class_id, obis, number = reader.number(2), format_obis(reader.take(6)), reader.number(1)
    return class_id, obis, number - 256 if number > 127 else number


def read_attribute(reader: Reader) -> AttributeRef:
    """An attribute descriptor."""
    return AttributeRef(*_read_ref(reader))


def read_method(reader: Reader) -> MethodRef:
    """A method descriptor."""
    return MethodRef(*_read_ref(reader))


def encode_target(ref: AttributeRef, selection: Selection | None) -> bytes:
    """An attribute descriptor with its optional selective access."""
    if selection is None:
        return encode_ref(ref) + b"\x00"
    return encode_ref(ref) + bytes((1, selection.selector)) + axdr.encode(selection.parameters)


def read_target(reader: Reader) -> Target:
    """The inverse of :func:`encode_target`."""
    ref = read_attribute(reader)
    if not reader.one_of(0, 1):
        return ref, None
    return ref, Selection(reader.number(1), reader.data())


def encode_targets(targets: Sequence[Target]) -> bytes:
    """A counted list of targets."""
    return encode_length(len(targets)) + b"".join(encode_target(*target) for target in targets)


def read_targets(reader: Reader) -> tuple[Target, ...]:
    """The inverse of :func:`encode_targets`."""
    return tuple(read_target(reader) for _ in range(reader.length()))


def encode_methods(refs: Sequence[MethodRef]) -> bytes:
    """A counted list of method descriptors."""
    return encode_length(len(refs)) + b"".join(map(encode_ref, refs))


def read_methods(reader: Reader) -> tuple[MethodRef, ...]:
    """The inverse of :func:`encode_methods`."""
    return tuple(read_method(reader) for _ in range(reader.length()))


def encode_values(values: Sequence[Data]) -> bytes:
    """A counted list of data."""
    return encode_length(len(values)) + b"".join(map(axdr.encode, values))


def read_values(reader: Reader) -> tuple[Data, ...]:
    """The inverse of :func:`encode_values`."""
    return tuple(reader.data() for _ in range(reader.length()))


def encode_result(result: Data | str) -> bytes:
    """A Get-Data-Result: the data, or the name of a refusal."""
    if isinstance(result, Data):
        return b"\x00" + axdr.encode(result)
    return bytes((1, code_of(result, ACCESS_RESULTS)))


def read_result(reader: Reader) -> Data | str:
    """The inverse of :func:`encode_result`."""
    return name_of(reader.number(1), ACCESS_RESULTS) if reader.one_of(0, 1) else reader.data()


def encode_results(results: Sequence[Data | str]) -> bytes:
    """A counted list of results."""
    return encode_length(len(results)) + b"".join(map(encode_result, results))


def read_results(reader: Reader) -> tuple[Data | str, ...]:
    """The inverse of :func:`encode_results`."""
    return tuple(read_result(reader) for _ in range(reader.length()))
