"""The DLMS client: reads, writes and invokes over any channel (Green Book 9.3).

Life cycle: create, ``open``, services, ``close``; a context manager does the first and the last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Self, TypeVar, overload

from device_drivers.dlms import acse, apdu, axdr
from device_drivers.dlms.acse import Conformance, InitiateRequest
from device_drivers.dlms.apdu import Apdu, Block, ExceptionResponse
from device_drivers.dlms.apdu.parts import encode_target, read_results
from device_drivers.dlms.channel import LONGEST_APDU, ApduChannel, WrapperChannel
from device_drivers.dlms.counters import CounterStore
from device_drivers.dlms.data import Data
from device_drivers.dlms.link import (
    Agreement,
    AssociationRefused,
    ClientLink,
    OnApdu,
    ServiceRefused,
    counter_name,
)
from device_drivers.dlms.reader import Reader
from device_drivers.dlms.refs import AttributeRef, MethodRef, Selector
from device_drivers.dlms.results import SUCCESS
from device_drivers.dlms.security import Credentials
from device_drivers.dlms.selection import to_wire
from harness.domain.errors import AccessRefused, HarnessError, ProtocolViolation, UsageError

__all__ = [
    "ApduChannel",
    "AssociationRefused",
    "DlmsClient",
    "ServiceRefused",
    "WrapperChannel",
    "counter_name",
]

_CONFIRMED_HIGH_PRIORITY = 0xC0
_BLOCK_HEADER_BYTES = 3 + 5 + 5
_LIST_LENGTH = 32  # attributes asked for at once; meters bound their lists
LONGEST_TRANSFER = 16 * 1024 * 1024
"""The most bytes that a client takes in blocks for one answer."""

A = TypeVar("A", bound=Apdu)
B = TypeVar("B", bound=Apdu)
C = TypeVar("C", bound=Apdu)


class DlmsClient:
    """One association with one device.

    A refusal is an :class:`AccessRefused` (its ``result`` names it), and the association goes on. Bytes
    that the protocol does not allow are a :class:`ProtocolViolation`, silence a :class:`DeviceTimeout`, a
    broken carrier a :class:`TransportLost`; then close, and open a new client. ``timeout`` (seconds) is
    for each exchange. ``on_apdu("sent" | "received", raw)`` sees each APDU in plain, without secrets.
    """

    def __init__(
        self,
        channel: ApduChannel,
        credentials: Credentials,
        counters: CounterStore,
        *,
        max_pdu: int = LONGEST_APDU,
        timeout: float = 10.0,
        on_apdu: OnApdu | None = None,
    ) -> None:
        self._channel = channel
        self._link = ClientLink(channel, credentials, counters, timeout, on_apdu)
        self._proposal = InitiateRequest(acse.OURS, max_pdu)
        self._agreement: Agreement | None = None
        self._invoke = 0

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # --- the association -------------------------------------------------------------------------------

    def open(self) -> None:
        """Associate. Raises :class:`AssociationRefused` with the device's diagnostic."""
        self._agreement = self._link.open(self._proposal)

    def release(self) -> None:
        """End the association and wait for the device's agreement; the channel stays open."""
        if self._agreement:
            self._agreement = None
            self._link.release(self._proposal)

    def close(self) -> None:
        """Release if the device will, and close the channel in any case. Closing twice is fine."""
        with contextlib.suppress(HarnessError):  # the caller is leaving; a failure before this one counts
            self.release()
        self._channel.close()

    # --- reading ---------------------------------------------------------------------------------------

    def get(self, ref: AttributeRef, selector: Selector | None = None) -> Data:
        """The value of an attribute, whole or what ``selector`` picks of a profile."""
        request = apdu.GetRequest(self._next_invoke(), ref, to_wire(selector))
        answer = self._ask(request, apdu.GetResponse, apdu.GetBlock)
        if isinstance(answer, apdu.GetBlock):
            return axdr.decode(self._remaining_blocks(answer, str(ref)))
        if isinstance(answer.result, str):
            raise _refused(str(ref), answer.result)
        return answer.result

    def get_many(self, refs: Sequence[AttributeRef]) -> list[Data | AccessRefused]:
        """The values of several attributes; refusals in their place. As lists, where the device can."""
        if not self._can(Conformance.MULTIPLE_REFERENCES):
            return [self._get_or_refusal(ref) for ref in refs]
        values: list[Data | AccessRefused] = []
        for start in range(0, len(refs), _LIST_LENGTH):
            values += self._get_list(refs[start : start + _LIST_LENGTH])
        return values

    def _get_list(self, refs: Sequence[AttributeRef]) -> list[Data | AccessRefused]:
        request = apdu.GetList(self._next_invoke(), tuple((ref, None) for ref in refs))
        answer = self._ask(request, apdu.GetListResponse, apdu.GetBlock)
        if isinstance(answer, apdu.GetBlock):
            reader = Reader(self._remaining_blocks(answer, "a list"), "GET list response in blocks")
            results = read_results(reader)
            reader.end()
        else:
            results = answer.results
        if len(results) != len(refs):
            raise ProtocolViolation(f"{len(results)} results for {len(refs)} attributes")
        pairs = zip(refs, results, strict=True)
        return [_refused(str(ref), got) if isinstance(got, str) else got for ref, got in pairs]

    def _get_or_refusal(self, ref: AttributeRef) -> Data | AccessRefused:
        try:
            return self.get(ref)
        except AccessRefused as refusal:
            return refusal

    def _remaining_blocks(self, block: apdu.GetBlock, what: str) -> bytes:
        raw, number = bytearray(), 1
        while True:
            if isinstance(block.result, str):
                raise _refused(what, block.result)
            _check_block(Block(block.last, block.number, block.result), number, len(raw))
            raw += block.result
            if block.last:
                return bytes(raw)
            block = self._ask(apdu.GetNext(block.invoke, number), apdu.GetBlock)
            number += 1

    # --- writing ---------------------------------------------------------------------------------------

    def set(self, ref: AttributeRef, data: Data) -> None:
        """Write an attribute, in blocks where the device's longest APDU demands it."""
        request: Apdu = apdu.SetRequest(self._next_invoke(), ref, None, data)
        if self._fits(request):
            result = self._ask(request, apdu.SetResponse).result
        else:
            result = self._set_in_blocks(request.invoke, ref, axdr.encode(data))
        if result != SUCCESS:
            raise _refused(str(ref), result)

    def _set_in_blocks(self, invoke: int, ref: AttributeRef, raw: bytes) -> str:
        first, *others = self._pieces(raw, len(encode_target(ref, None)))
        request: Apdu = apdu.SetFirstBlock(invoke, ref, None, first)
        for block in [first, *others]:
            request = request if block is first else apdu.SetBlock(invoke, block)
            answer = self._ask(request, apdu.SetBlockReceived, apdu.SetLastBlockReceived, apdu.SetResponse)
            if isinstance(answer, apdu.SetResponse):
                return answer.result  # the device stops the transfer
            if answer.block != block.number or block.last != isinstance(answer, apdu.SetLastBlockReceived):
                raise ProtocolViolation(f"block {block.number} of {ref} acknowledged as {answer}")
            if isinstance(answer, apdu.SetLastBlockReceived):
                return answer.result
        raise AssertionError("the last block is always acknowledged as such")

    def set_many(self, values: Sequence[tuple[AttributeRef, Data]]) -> list[AccessRefused | None]:
        """Write several attributes in one exchange; a refusal in its place, ``None`` where it went well."""
        targets = tuple((ref, None) for ref, _ in values)
        request = apdu.SetList(self._next_invoke(), targets, tuple(data for _, data in values))
        results = self._ask(request, apdu.SetListResponse).results
        if len(results) != len(values):
            raise ProtocolViolation(f"{len(results)} results for {len(values)} attributes")
        pairs = zip(values, results, strict=True)
        return [None if result == SUCCESS else _refused(str(ref), result) for (ref, _), result in pairs]

    # --- invoking --------------------------------------------------------------------------------------

    def action(self, ref: MethodRef, data: Data | None = None) -> Data | None:
        """Invoke a method; what it returns, if anything."""
        request: Apdu = apdu.ActionRequest(self._next_invoke(), ref, data)
        if data is None or self._fits(request):
            answer = self._ask(request, apdu.ActionResponse, apdu.ActionResponseBlock)
        else:
            answer = self._act_in_blocks(request.invoke, ref, axdr.encode(data))
        if isinstance(answer, apdu.ActionResponseBlock):
            answer = self._assembled(answer)
        if answer.result != SUCCESS:
            raise _refused(str(ref), answer.result)
        if isinstance(answer.returned, str):
            raise _refused(f"{ref}, what it returned", answer.returned)
        return answer.returned

    def _act_in_blocks(
        self, invoke: int, ref: MethodRef, raw: bytes
    ) -> apdu.ActionResponse | apdu.ActionResponseBlock:
        *before, last = self._pieces(raw, 9)
        for block in before:
            request = self._action_block(invoke, ref, block)
            answer = self._ask(request, apdu.ActionBlockReceived, apdu.ActionResponse)
            if isinstance(answer, apdu.ActionResponse):
                return answer  # the device stops the transfer
            if answer.block != block.number:
                raise ProtocolViolation(f"block {block.number} of {ref} acknowledged as {answer.block}")
        return self._ask(self._action_block(invoke, ref, last), apdu.ActionResponse, apdu.ActionResponseBlock)

    @staticmethod
    def _action_block(invoke: int, ref: MethodRef, block: Block) -> Apdu:
        return (
            apdu.ActionFirstBlock(invoke, ref, block)
            if block.number == 1
            else apdu.ActionBlock(invoke, block)
        )

    def _assembled(self, answer: apdu.ActionResponseBlock) -> apdu.ActionResponse:
        raw, number = bytearray(), 1
        while True:
            _check_block(answer.block, number, len(raw))
            raw += answer.block.raw
            if answer.block.last:
                break
            answer = self._ask(apdu.ActionNext(answer.invoke, number), apdu.ActionResponseBlock)
            number += 1
        reader = Reader(bytes(raw), "ACTION response in blocks")
        whole = apdu.ActionResponse.read(answer.invoke, reader)
        reader.end()
        return whole

    # --- one exchange ----------------------------------------------------------------------------------

    @overload
    def _ask(self, request: Apdu, one: type[A], /) -> A: ...

    @overload
    def _ask(self, request: Apdu, one: type[A], two: type[B], /) -> A | B: ...

    @overload
    def _ask(self, request: Apdu, one: type[A], two: type[B], three: type[C], /) -> A | B | C: ...

    def _ask(self, request: Apdu, *expected: type[Apdu]) -> Apdu:
        """The answer, of one of the expected kinds."""
        self._need_agreement()
        answer = apdu.decode(self._link.exchange(apdu.encode(request)))
        if isinstance(answer, ExceptionResponse):
            raise ServiceRefused(answer)
        if not isinstance(answer, expected):
            raise ProtocolViolation(f"{type(answer).__name__} in answer to {type(request).__name__}")
        if answer.invoke & 0x0F != request.invoke & 0x0F:
            raise ProtocolViolation(
                f"an answer to invocation {answer.invoke & 0x0F}, expected {request.invoke & 0x0F}"
            )
        return answer

    def _next_invoke(self) -> int:
        self._invoke = (self._invoke + 1) & 0x0F
        return _CONFIRMED_HIGH_PRIORITY | self._invoke

    def _need_agreement(self) -> Agreement:
        if not self._agreement:
            raise UsageError("no association is open", remedy="call open() first")
        return self._agreement

    def _can(self, service: Conformance) -> bool:
        return bool(self._need_agreement().conformance & service)

    def _fits(self, request: Apdu) -> bool:
        return len(apdu.encode(request)) <= self._need_agreement().longest_request

    def _pieces(self, raw: bytes, first_head: int) -> list[Block]:
        """``raw`` in blocks, so short that the first fits beside ``first_head`` bytes of descriptor."""
        size = self._need_agreement().longest_request - _BLOCK_HEADER_BYTES - first_head
        starts = range(0, len(raw), size)
        return [
            Block(start + size >= len(raw), number, raw[start : start + size])
            for number, start in enumerate(starts, 1)
        ]


def _check_block(block: Block, number: int, received: int) -> None:
    if block.number != number:
        raise ProtocolViolation(f"block {block.number} came where block {number} was due")
    if not block.raw and not block.last:
        raise ProtocolViolation(f"block {number} is empty and not the last")
    if received + len(block.raw) > LONGEST_TRANSFER:
        raise ProtocolViolation(f"more than {LONGEST_TRANSFER} bytes in blocks for one answer")


def _refused(what: str, result: str) -> AccessRefused:
    return AccessRefused(f"{what}: {result}", result=result)
