"""The DLMS client: reads, writes and invokes over any channel (Green Book 9.3).

Life cycle: create, ``open``, services, ``close``; a context manager does the first and the last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import ParamSpec, Self, TypeVar

from device_drivers.dlms import acse, apdu, axdr
from device_drivers.dlms.acse import Conformance, InitiateRequest
from device_drivers.dlms.apdu import Apdu
from device_drivers.dlms.apdu.action import Outcome
from device_drivers.dlms.apdu.parts import encode_values
from device_drivers.dlms.blocks import WIDEST_WINDOW
from device_drivers.dlms.channel import LONGEST_APDU, ApduChannel, WrapperChannel
from device_drivers.dlms.counters import CounterStore
from device_drivers.dlms.data import NULL, Data
from device_drivers.dlms.invocations import Invocations, refused
from device_drivers.dlms.link import (
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

_LIST_LENGTH = 32  # attributes asked for at once; meters bound their lists

A = TypeVar("A", bound=Apdu)
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class DlmsClient:
    """One association with one device.

    A refusal is an :class:`AccessRefused` (its ``result`` names it), and the association goes on. Bytes
    that the protocol does not allow are a :class:`ProtocolViolation`, silence a :class:`DeviceTimeout`, a
    broken carrier a :class:`TransportLost`; then close, and open a new client. ``timeout`` (seconds) is
    for each exchange. ``on_apdu("sent" | "received", raw)`` sees each APDU in plain, without secrets.

    Long APDUs go in the blocks of their service. With ``general_blocks`` general block transfer is proposed
    as well, and where the device agrees to it, it carries them instead: at most ``window`` blocks on end.
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
        general_blocks: bool = False,
        window: int = WIDEST_WINDOW,
    ) -> None:
        self._channel = channel
        self._link = ClientLink(channel, credentials, counters, timeout, on_apdu, window)
        unwanted = 0 if general_blocks else Conformance.GENERAL_BLOCK_TRANSFER
        self._proposal = InitiateRequest(acse.OURS & ~unwanted, max_pdu)
        self._opened: Invocations | None = None

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
        self._opened = Invocations(self._link, self._link.open(self._proposal))

    def release(self) -> None:
        """End the association and wait for the device's agreement; the channel stays open."""
        if self._opened:
            self._opened = None
            self._link.release(self._proposal)

    def close(self) -> None:
        """Release if the device will, and close the channel in any case. Closing twice is fine."""
        with contextlib.suppress(HarnessError):  # the caller is leaving; a failure before this one counts
            self.release()
        self._channel.close()

    def abandon(self) -> None:
        """Close the channel without a word: the device has lost the association, or its power."""
        self._channel.abandon()

    @property
    def _invocations(self) -> Invocations:
        if not self._opened:
            raise UsageError("no association is open", remedy="call open() first")
        return self._opened

    def _takes_lists(self) -> bool:
        return self._invocations.can(Conformance.MULTIPLE_REFERENCES)

    # --- reading ---------------------------------------------------------------------------------------

    def get(self, ref: AttributeRef, selector: Selector | None = None) -> Data:
        """The value of an attribute, whole or what ``selector`` picks of a profile."""
        ours = self._invocations
        request = apdu.GetRequest(ours.next_invoke(), ref, to_wire(selector))
        answer = ours.ask(request, apdu.GetResponse, apdu.GetBlock)
        if isinstance(answer, apdu.GetBlock):
            return axdr.decode(ours.get_blocks(answer, str(ref)))
        if isinstance(answer.result, str):
            raise refused(str(ref), answer.result)
        return answer.result

    def get_many(self, refs: Sequence[AttributeRef]) -> list[Data | AccessRefused]:
        """The values of several attributes; refusals in their place. As lists, where the device can."""
        if not self._takes_lists():
            return [_or_refusal(self.get, ref) for ref in refs]
        values: list[Data | AccessRefused] = []
        for some in _batches(refs):
            values += self._get_list(some)
        return values

    def _get_list(self, refs: Sequence[AttributeRef]) -> list[Data | AccessRefused]:
        ours = self._invocations
        request = apdu.GetList(ours.next_invoke(), tuple((ref, None) for ref in refs))
        answer = ours.ask(request, apdu.GetListResponse, apdu.GetBlock)
        if isinstance(answer, apdu.GetBlock):
            raw = ours.get_blocks(answer, "a list")
            answer = _body(apdu.GetListResponse, raw, request.invoke)
        return [
            refused(str(ref), got) if isinstance(got, str) else got
            for ref, got in _paired(refs, answer.results)
        ]

    # --- writing ---------------------------------------------------------------------------------------

    def set(self, ref: AttributeRef, data: Data) -> None:
        """Write an attribute, in blocks where the device's longest APDU demands it."""
        ours = self._invocations
        request = apdu.SetRequest(ours.next_invoke(), ref, None, data)
        answer: apdu.SetResponse | apdu.SetLastBlockReceived
        if ours.fits(request):
            answer = ours.ask(request, apdu.SetResponse)
        else:
            first = partial(apdu.SetFirstBlock, request.invoke, ref, None)
            answer = ours.send(first, apdu.SetBlock, axdr.encode(data), apdu.SetLastBlockReceived)
        if answer.result != SUCCESS:
            raise refused(str(ref), answer.result)

    def set_many(self, values: Sequence[tuple[AttributeRef, Data]]) -> list[AccessRefused | None]:
        """Write several attributes; a refusal in its place, ``None`` where it went well.

        As lists, where the device can, and these in blocks where its longest APDU demands it.
        """
        if not self._takes_lists():
            return [_or_refusal(self.set, *value) for value in values]
        return [result for some in _batches(values) for result in self._set_list(some)]

    def _set_list(self, values: Sequence[tuple[AttributeRef, Data]]) -> list[AccessRefused | None]:
        ours = self._invocations
        targets, written = tuple((ref, None) for ref, _ in values), tuple(data for _, data in values)
        request = apdu.SetList(ours.next_invoke(), targets, written)
        answer: apdu.SetListResponse | apdu.SetListLastBlockReceived | apdu.SetResponse
        if ours.fits(request):
            answer = ours.ask(request, apdu.SetListResponse)
        else:
            first = partial(apdu.SetListFirstBlock, request.invoke, targets)
            raw = encode_values(written)
            answer = ours.send(first, apdu.SetBlock, raw, apdu.SetListLastBlockReceived)
        if isinstance(answer, apdu.SetResponse):
            raise refused(f"a list of {len(values)} writes", answer.result)
        return [
            None if result == SUCCESS else refused(str(ref), result)
            for (ref, _), result in _paired(values, answer.results)
        ]

    # --- invoking --------------------------------------------------------------------------------------

    def action(self, ref: MethodRef, data: Data | None = None) -> Data | None:
        """Invoke a method; what it returns, if anything."""
        ours = self._invocations
        request = apdu.ActionRequest(ours.next_invoke(), ref, data)
        answer: apdu.ActionResponse | apdu.ActionResponseBlock
        if data is None or ours.fits(request):
            answer = ours.ask(request, apdu.ActionResponse, apdu.ActionResponseBlock)
        else:
            first = partial(apdu.ActionFirstBlock, request.invoke, ref)
            answer = ours.send(first, apdu.ActionBlock, axdr.encode(data), apdu.ActionResponse)
        if isinstance(answer, apdu.ActionResponseBlock):
            answer = _body(apdu.ActionResponse, ours.action_blocks(answer), request.invoke)
        return _returned(ref, (answer.result, answer.returned))

    def action_many(
        self, invoked: Sequence[tuple[MethodRef, Data | None]]
    ) -> list[Data | AccessRefused | None]:
        """Invoke several methods in order; what each returns, or its refusal in its place.

        As lists, where the device can; one that is refused does not stop those after it.
        """
        if not self._takes_lists():
            return [_or_refusal(self.action, *one) for one in invoked]
        return [result for some in _batches(invoked) for result in self._action_list(some)]

    def _action_list(
        self, invoked: Sequence[tuple[MethodRef, Data | None]]
    ) -> list[Data | AccessRefused | None]:
        ours = self._invocations
        refs, values = tuple(ref for ref, _ in invoked), tuple(data or NULL for _, data in invoked)
        request = apdu.ActionList(ours.next_invoke(), refs, values)
        answer: apdu.ActionListResponse | apdu.ActionResponse | apdu.ActionResponseBlock
        if ours.fits(request):
            answer = ours.ask(request, apdu.ActionListResponse, apdu.ActionResponseBlock)
        else:
            first = partial(apdu.ActionListFirstBlock, request.invoke, refs)
            answer = ours.send(first, apdu.ActionBlock, encode_values(values), apdu.ActionListResponse)
        if isinstance(answer, apdu.ActionResponse):
            raise refused(f"a list of {len(invoked)} methods", answer.result)
        if isinstance(answer, apdu.ActionResponseBlock):
            answer = _body(apdu.ActionListResponse, ours.action_blocks(answer), request.invoke)
        return [_or_refusal(_returned, ref, outcome) for ref, outcome in _paired(refs, answer.outcomes)]


def _returned(ref: MethodRef, outcome: Outcome) -> Data | None:
    result, returned = outcome
    if result != SUCCESS:
        raise refused(str(ref), result)
    if isinstance(returned, str):
        raise refused(f"{ref}, what it returned", returned)
    return returned


def _or_refusal(ask: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | AccessRefused:
    try:
        return ask(*args, **kwargs)
    except AccessRefused as refusal:
        return refusal


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _LIST_LENGTH] for start in range(0, len(items), _LIST_LENGTH))


def _paired(asked: Sequence[T], results: Sequence[R]) -> Iterator[tuple[T, R]]:
    if len(results) != len(asked):
        raise ProtocolViolation(f"{len(results)} results for a list of {len(asked)}")
    return zip(asked, results, strict=True)


def _body(kind: type[A], raw: bytes, invoke: int) -> A:
    """An answer whose body came in blocks."""
    reader = Reader(raw, f"{kind.__name__} in blocks")
    answer = kind.read(invoke, reader)
    reader.end()
    return answer
