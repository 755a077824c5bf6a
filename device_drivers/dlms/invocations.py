"""A client's requests and their answers, long ones in blocks of their service (Green Book 9.3.6–9.3.9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar, overload

from device_drivers.dlms import apdu
from device_drivers.dlms.acse import Conformance
from device_drivers.dlms.apdu import Apdu, Block, ExceptionResponse
from device_drivers.dlms.link import LONGEST_TRANSFER, Agreement, ClientLink, ServiceRefused
from harness.domain.errors import AccessRefused, ProtocolViolation

_CONFIRMED_HIGH_PRIORITY = 0xC0
_HEAD_BYTES = 3  # tag, kind and invoke
_BLOCK_HEADER_BYTES = _HEAD_BYTES + 5 + 5

A = TypeVar("A", bound=Apdu)
B = TypeVar("B", bound=Apdu)
C = TypeVar("C", bound=Apdu)


class _First(Protocol):
    """Makes the request that carries the first block."""

    def __call__(self, block: Block) -> Apdu: ...


class Invocations:
    """The requests of one open association, each under the next invoke id."""

    def __init__(self, link: ClientLink, agreement: Agreement) -> None:
        self._link = link
        self._agreement = agreement
        self._invoke = 0

    def can(self, service: Conformance) -> bool:
        """Whether a service is agreed."""
        return bool(self._agreement.conformance & service)

    def fits(self, request: Apdu) -> bool:
        """Whether a request can go without the blocks of its service."""
        return len(apdu.encode(request)) <= self._agreement.longest_request

    def next_invoke(self) -> int:
        """The invoke-id-and-priority of a new request."""
        self._invoke = (self._invoke + 1) & 0x0F
        return _CONFIRMED_HIGH_PRIORITY | self._invoke

    # --- one exchange ----------------------------------------------------------------------------------

    @overload
    def ask(self, request: Apdu, one: type[A], /) -> A: ...

    @overload
    def ask(self, request: Apdu, one: type[A], two: type[B], /) -> A | B: ...

    @overload
    def ask(self, request: Apdu, one: type[A], two: type[B], three: type[C], /) -> A | B | C: ...

    def ask(self, request: Apdu, *expected: type[Apdu]) -> Apdu:
        """The answer, of one of the expected kinds. Raises :class:`ServiceRefused`."""
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

    # --- long requests ---------------------------------------------------------------------------------

    @overload
    def send(
        self, first: _First, further: type[apdu.SetBlock], raw: bytes, last: type[A], /
    ) -> A | apdu.SetResponse: ...

    @overload
    def send(
        self, first: _First, further: type[apdu.ActionBlock], raw: bytes, last: type[A], /
    ) -> A | apdu.ActionResponse | apdu.ActionResponseBlock: ...

    def send(
        self,
        first: _First,
        further: type[apdu.SetBlock] | type[apdu.ActionBlock],
        raw: bytes,
        last: type[Apdu],
        /,
    ) -> Apdu:
        """The answer to the last block of ``raw``, or to the block after which the device stops."""
        is_set = further is apdu.SetBlock
        received = apdu.SetBlockReceived if is_set else apdu.ActionBlockReceived
        stopped = apdu.SetResponse if is_set else apdu.ActionResponse
        empty = first(block=Block(True, 1, b""))
        for block in self._pieces(raw, len(apdu.encode(empty)) - _HEAD_BYTES - 6):
            request = first(block=block) if block.number == 1 else further(empty.invoke, block)
            if block.last:
                return self._answer_to_last(request, block, last, is_set=is_set)
            answer = self.ask(request, received, stopped)
            if isinstance(answer, (apdu.SetResponse, apdu.ActionResponse)):
                return answer
            if answer.block != block.number:
                raise ProtocolViolation(f"block {block.number} acknowledged as {answer.block}")
        raise AssertionError("there is always a last block")

    def _answer_to_last(self, request: Apdu, block: Block, last: type[A], *, is_set: bool) -> Apdu:
        if not is_set:
            return self.ask(request, last, apdu.ActionResponse, apdu.ActionResponseBlock)
        answer = self.ask(request, last, apdu.SetResponse)
        acknowledged = getattr(answer, "block", block.number)  # SetResponse has none
        if acknowledged != block.number:
            raise ProtocolViolation(f"block {block.number} acknowledged as {acknowledged}")
        return answer

    def _pieces(self, raw: bytes, beside: int) -> list[Block]:
        """``raw`` in blocks, so short that the first fits beside so many bytes of descriptors."""
        size = self._agreement.longest_request - _BLOCK_HEADER_BYTES - beside
        if size < 1:
            raise ValueError(f"{beside} bytes of descriptors leave no room for a block: name fewer at once")
        return [
            Block(start + size >= len(raw), number, raw[start : start + size])
            for number, start in enumerate(range(0, len(raw), size), 1)
        ]

    # --- long answers ----------------------------------------------------------------------------------

    def get_blocks(self, block: apdu.GetBlock, what: str) -> bytes:
        """What a GET's answer carries in its blocks, of which the first has come."""

        def blocks(block: apdu.GetBlock) -> Iterator[Block]:
            while True:
                if isinstance(block.result, str):
                    raise refused(what, block.result)
                yield Block(block.last, block.number, block.result)
                block = self.ask(apdu.GetNext(block.invoke, block.number), apdu.GetBlock)

        return _joined(blocks(block))

    def action_blocks(self, answer: apdu.ActionResponseBlock) -> bytes:
        """The same of an ACTION's answer."""

        def blocks(answer: apdu.ActionResponseBlock) -> Iterator[Block]:
            while True:
                yield answer.block
                request = apdu.ActionNext(answer.invoke, answer.block.number)
                answer = self.ask(request, apdu.ActionResponseBlock)

        return _joined(blocks(answer))


def _joined(blocks: Iterator[Block]) -> bytes:
    raw = bytearray()
    for number, block in enumerate(blocks, 1):
        if block.number != number:
            raise ProtocolViolation(f"block {block.number} came where block {number} was due")
        if not block.raw and not block.last:
            raise ProtocolViolation(f"block {number} is empty and not the last")
        if len(raw) + len(block.raw) > LONGEST_TRANSFER:
            raise ProtocolViolation(f"more than {LONGEST_TRANSFER} bytes in blocks for one answer")
        raw += block.raw
        if block.last:
            break
    return bytes(raw)


def refused(what: str, result: str) -> AccessRefused:
    """The refusal of ``what`` by name."""
    return AccessRefused(f"{what}: {result}", result=result)
