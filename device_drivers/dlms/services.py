"""What a server does once a client is in: GET, SET, ACTION, and long transfers in both directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from device_drivers.dlms import apdu, axdr
from device_drivers.dlms.apdu import Apdu, Block
from device_drivers.dlms.apdu.action import Outcome
from device_drivers.dlms.apdu.parts import Target, encode_result, read_values
from device_drivers.dlms.data import Data, Tag
from device_drivers.dlms.lengths import encode_length
from device_drivers.dlms.reader import Reader
from device_drivers.dlms.refs import AttributeRef, MethodRef, Selector
from device_drivers.dlms.results import SUCCESS
from device_drivers.dlms.selection import from_wire
from harness.domain.errors import AccessRefused, ProtocolViolation

_BLOCK_HEADER_BYTES = 3 + 5 + 1 + 5
LONGEST_TRANSFER = 1024 * 1024
"""The most bytes that a server takes in blocks for one request."""
MOST_TARGETS = 64
"""The most attributes or methods that a server takes in one list."""


class CosemModel(Protocol):
    """The objects behind a server. ``client`` is the SAP that asks; rights are decided here.

    Each method raises :class:`AccessRefused` with a ``result`` such as ``read-write-denied``.
    """

    def get(self, ref: AttributeRef, selector: Selector | None, client: int) -> Data:
        """The value of an attribute."""

    def set(self, ref: AttributeRef, data: Data, client: int) -> None:
        """Write an attribute."""

    def action(self, ref: MethodRef, data: Data | None, client: int) -> Data | None:
        """Invoke a method."""


class Unserved(Exception):
    """The request cannot be served at all: the answer is an exception response."""

    def __init__(self, state_error: str, service_error: str) -> None:
        super().__init__(service_error)
        self.state_error = state_error
        self.service_error = service_error


@dataclass(slots=True)
class _Outgoing:
    """A long answer on its way: ``make`` puts a block into the APDU of its service."""

    raw: bytes
    make: Callable[[Block], Apdu]
    sent: int = 0
    number: int = 0


@dataclass(slots=True)
class _Incoming:
    """A long request on its way."""

    what: apdu.SetFirstBlock | apdu.SetListFirstBlock | apdu.ActionFirstBlock | apdu.ActionListFirstBlock
    raw: bytearray = field(default_factory=bytearray)
    number: int = 0


class Services:
    """The services of one association. ``longest`` is the longest plain APDU that the client can take."""

    def __init__(self, model: CosemModel, client: int, longest: int) -> None:
        self._model = model
        self._client = client
        self._longest = longest
        self._outgoing: _Outgoing | None = None
        self._incoming: _Incoming | None = None

    def serve(self, request: Apdu) -> bytes:
        """The encoded answer. Raises :class:`Unserved` for what is no request that we know."""
        match request:
            case apdu.GetNext() | apdu.ActionNext():
                return self._next_block(request)
            case apdu.SetBlock() | apdu.ActionBlock():
                return self._take_block(request.block, request)
        self._outgoing = self._incoming = None  # a new request ends a transfer that was not finished
        match request:
            case apdu.GetRequest():
                return self._get(request)
            case apdu.GetList():
                return self._get_list(request)
            case apdu.SetRequest():
                result = self._set(request.ref, request.selection is not None, request.data)
                return apdu.encode(apdu.SetResponse(request.invoke, result))
            case apdu.SetList():
                return self._set_list(request)
            case apdu.ActionRequest():
                return self._act(request.invoke, request.ref, request.data)
            case apdu.ActionList():
                return self._act_list(request.invoke, request.refs, request.values)
            case (
                apdu.SetFirstBlock()
                | apdu.SetListFirstBlock()
                | apdu.ActionFirstBlock()
                | apdu.ActionListFirstBlock()
            ):
                self._incoming = _Incoming(request)
                return self._take_block(request.block, request)
        raise Unserved("service-unknown", "service-not-supported")

    # --- GET -------------------------------------------------------------------------------------------

    def _get(self, request: apdu.GetRequest) -> bytes:
        invoke = request.invoke
        result = self._read((request.ref, request.selection))
        whole = apdu.encode(apdu.GetResponse(invoke, result))
        if len(whole) <= self._longest:
            return whole
        content = whole[4:]  # the data alone: without tag, kind, invoke and the choice of data
        return self._send(content, lambda block: apdu.GetBlock(invoke, block.last, block.number, block.raw))

    def _get_list(self, request: apdu.GetList) -> bytes:
        _check_list(len(request.targets))
        invoke = request.invoke
        # Each result is encoded at once: a list of long profiles as typed values would fill the memory.
        results = [encode_result(self._read(target)) for target in request.targets]
        content = encode_length(len(results)) + b"".join(results)
        head = bytes((apdu.GetListResponse.TAG, apdu.GetListResponse.KIND, invoke))
        if len(head) + len(content) <= self._longest:
            return head + content
        return self._send(content, lambda block: apdu.GetBlock(invoke, block.last, block.number, block.raw))

    def _read(self, target: Target) -> Data | str:
        ref, selection = target
        try:
            selector = from_wire(selection)
        except ProtocolViolation:
            return "scope-of-access-violated"
        try:
            return self._model.get(ref, selector, self._client)
        except AccessRefused as refusal:
            return refusal.result

    # --- SET -------------------------------------------------------------------------------------------

    def _set(self, ref: AttributeRef, selective: bool, data: Data) -> str:
        if selective:
            return "scope-of-access-violated"  # no attribute of ours is written in part
        try:
            self._model.set(ref, data, self._client)
        except AccessRefused as refusal:
            return refusal.result
        return SUCCESS

    def _set_list(self, request: apdu.SetList) -> bytes:
        results = self._set_each(request.targets, request.values)
        return apdu.encode(apdu.SetListResponse(request.invoke, results))

    def _set_each(self, targets: tuple[Target, ...], values: tuple[Data, ...]) -> tuple[str, ...]:
        _check_list(len(targets), len(values))
        pairs = zip(targets, values, strict=True)
        return tuple(self._set(ref, selection is not None, data) for (ref, selection), data in pairs)

    # --- ACTION ----------------------------------------------------------------------------------------

    def _act(self, invoke: int, ref: MethodRef, data: Data | None) -> bytes:
        return self._acted(apdu.ActionResponse(invoke, *self._outcome(ref, data)))

    def _act_list(self, invoke: int, refs: tuple[MethodRef, ...], values: tuple[Data, ...]) -> bytes:
        _check_list(len(refs), len(values))
        outcomes = (
            self._outcome(ref, None if data.tag is Tag.NULL else data)
            for ref, data in zip(refs, values, strict=True)
        )
        return self._acted(apdu.ActionListResponse(invoke, tuple(outcomes)))

    def _outcome(self, ref: MethodRef, data: Data | None) -> Outcome:
        try:
            return SUCCESS, self._model.action(ref, data, self._client)
        except AccessRefused as refusal:
            return refusal.result, None

    def _acted(self, answer: apdu.ActionResponse | apdu.ActionListResponse) -> bytes:
        invoke = answer.invoke
        whole = apdu.encode(answer)
        if len(whole) <= self._longest:
            return whole
        return self._send(whole[3:], lambda block: apdu.ActionResponseBlock(invoke, block))

    # --- long answers ----------------------------------------------------------------------------------

    def _send(self, raw: bytes, make: Callable[[Block], Apdu]) -> bytes:
        self._outgoing = _Outgoing(raw, make)
        return self._block(self._outgoing)

    def _block(self, transfer: _Outgoing) -> bytes:
        piece = transfer.raw[transfer.sent : transfer.sent + self._longest - _BLOCK_HEADER_BYTES]
        last = transfer.sent + len(piece) >= len(transfer.raw)
        answer = apdu.encode(transfer.make(Block(last, transfer.number + 1, piece)))
        transfer.sent += len(piece)
        transfer.number += 1
        if last:
            self._outgoing = None
        return answer

    def _next_block(self, request: apdu.GetNext | apdu.ActionNext) -> bytes:
        transfer = self._outgoing
        is_get = isinstance(request, apdu.GetNext)
        problem = ""
        if not transfer or is_get != isinstance(transfer.make(Block(True, 0, b"")), apdu.GetBlock):
            problem = "no-long-get-in-progress" if is_get else "no-long-action-in-progress"
        elif request.block != transfer.number:
            problem = "data-block-number-invalid" if is_get else "long-action-aborted"
        if transfer and not problem:
            return self._block(transfer)
        self._outgoing = None
        if is_get:
            return apdu.encode(apdu.GetBlock(request.invoke, True, request.block, problem))
        return apdu.encode(apdu.ActionResponse(request.invoke, problem))

    # --- long requests ---------------------------------------------------------------------------------

    def _take_block(self, block: Block, request: Apdu) -> bytes:
        transfer, is_set = self._incoming, request.TAG == apdu.SetRequest.TAG
        if not transfer or transfer.what.TAG != request.TAG:
            return self._stop(request, "no-long-set-in-progress" if is_set else "no-long-action-in-progress")
        if block.number != transfer.number + 1 or (not block.raw and not block.last):
            return self._stop(request, "data-block-number-invalid" if is_set else "long-action-aborted")
        if len(transfer.raw) + len(block.raw) > LONGEST_TRANSFER:
            return self._stop(request, "long-set-aborted" if is_set else "long-action-aborted")
        transfer.raw += block.raw
        transfer.number = block.number
        if block.last:
            self._incoming = None
            return self._finished(transfer, request.invoke)
        received = apdu.SetBlockReceived if is_set else apdu.ActionBlockReceived
        return apdu.encode(received(request.invoke, block.number))

    def _stop(self, request: Apdu, result: str) -> bytes:
        self._incoming = None
        stopped = apdu.SetResponse if request.TAG == apdu.SetRequest.TAG else apdu.ActionResponse
        return apdu.encode(stopped(request.invoke, result))

    def _finished(self, transfer: _Incoming, invoke: int) -> bytes:
        raw, number = bytes(transfer.raw), transfer.number
        match transfer.what:
            case apdu.SetFirstBlock(_, ref, selection):
                result = self._set(ref, selection is not None, axdr.decode(raw))
                return apdu.encode(apdu.SetLastBlockReceived(invoke, result, number))
            case apdu.SetListFirstBlock(_, targets):
                results = self._set_each(targets, _values(raw, "SET list in blocks"))
                return apdu.encode(apdu.SetListLastBlockReceived(invoke, results, number))
            case apdu.ActionFirstBlock(_, method):
                return self._act(invoke, method, axdr.decode(raw))
            case apdu.ActionListFirstBlock(_, methods):
                return self._act_list(invoke, methods, _values(raw, "ACTION list in blocks"))


def _values(raw: bytes, what: str) -> tuple[Data, ...]:
    reader = Reader(raw, what)
    values = read_values(reader)
    reader.end()
    return values


def _check_list(count: int, values: int | None = None) -> None:
    if count > MOST_TARGETS:
        raise Unserved("service-not-allowed", "operation-not-possible")
    if values not in (None, count):
        raise ProtocolViolation(f"{values} values for a list of {count}")
