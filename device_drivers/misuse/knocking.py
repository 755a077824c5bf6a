"""Wrong ways to a device's port over DLMS: :data:`harness.domain.misuse.KNOCKS`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from device_drivers.dlms import acse, apdu
from device_drivers.dlms.acse import AssociationResponse, Conformance, InitiateRequest
from device_drivers.dlms.apdu import ActionRequest, GetRequest, GetResponse, SetRequest, SetResponse
from device_drivers.dlms.channel import LONGEST_APDU, WrapperChannel, parse_header, wrap_frame
from device_drivers.dlms.ciphering import AUTHENTICATED, is_sealed, wrap
from device_drivers.dlms.counters import CounterStore, FileCounters, MemoryCounters
from device_drivers.dlms.data import Data, octets
from device_drivers.dlms.link import ClientLink, counter_name
from device_drivers.dlms.refs import REPLY_TO_HLS
from device_drivers.dlms.results import SUCCESS
from device_drivers.dlms.security import Credentials
from device_drivers.transports.base import ByteTransport
from harness.domain.errors import BeyondLab, DeviceFault, DeviceTimeout, TransportLost, UsageError
from harness.domain.misuse import KNOCKS, Knock

READER: Final = 3
PUBLIC: Final = 16
NOBODY: Final = 99
_STRANGE_TITLE: Final = b"XXX\0\0\0\0\1"
_TIMEOUT: Final = 10.0  # seconds
_PROPOSAL: Final = InitiateRequest(acse.OURS & ~Conformance.GENERAL_BLOCK_TRANSFER, LONGEST_APDU)


class MisusedLink(ClientLink):
    """A client that goes wrong after it has associated rightly; each subclass in its own way."""

    def after(self, request: bytes) -> bytes:
        """Send the request in the wrong way; the answer."""
        return self.exchange(request)

    def _sent_as(self, raw: bytes) -> bytes:
        self._on_apdu("sent", raw)
        answer = self._answer_to(raw)
        with suppress(DeviceFault):  # a refusal may be in plain, or under a counter that was there before
            answer = self._unsealed(answer)
        self._on_apdu("received", answer)
        return answer

    def _sealed_under(self, counter: int, plain: bytes) -> bytes:
        assert self._keys
        title = self._credentials.system_title
        return wrap(plain, self._keys.seal(title, counter, plain), title, general=True)

    def _next(self) -> int:
        return self._counters.next(self._counter_name)


class _Unproven(MisusedLink):
    def _prove(self, ours: bytes, response: AssociationResponse) -> None:
        """Leave the device's challenge unanswered."""

    def after(self, request: bytes) -> bytes:
        return self._sent_as(self._sealed_under(self._next(), request))


class _WrongProof(_Unproven):
    def _prove(self, ours: bytes, response: AssociationResponse) -> None:  # noqa: ARG002 - the base's
        proof = bytes((AUTHENTICATED,)) + self._next().to_bytes(4) + secrets.token_bytes(12)
        self.exchange(apdu.encode(ActionRequest(0xC1, REPLY_TO_HLS, octets(proof))))


class _Plain(MisusedLink):
    def after(self, request: bytes) -> bytes:
        return self._sent_as(request)


class _AuthenticatedOnly(MisusedLink):
    def after(self, request: bytes) -> bytes:
        """The plain text with a tag of authentication alone (suite 0)."""
        assert self._keys
        title, counter = self._credentials.system_title, self._next()
        tag = self._keys.sign_challenge(title, counter, request)[5:]
        sealed = bytes((AUTHENTICATED,)) + counter.to_bytes(4) + request + tag
        return self._sent_as(wrap(request, sealed, title, general=True))


class _TagChanged(MisusedLink):
    def after(self, request: bytes) -> bytes:
        sealed = bytearray(self._sealed_under(self._next(), request))
        sealed[-1] ^= 1
        return self._sent_as(bytes(sealed))


class _Replayed(MisusedLink):
    """The request is done rightly, undone rightly, and then sent again as it went."""

    undo: bytes = b""

    def after(self, request: bytes) -> bytes:
        first = self._sealed_under(self._next(), request)
        self._sent_as(first)
        self._sent_as(self._sealed_under(self._next(), self.undo))
        return self._sent_as(first)


class _Lowered(MisusedLink):
    def after(self, request: bytes) -> bytes:
        return self._sent_as(self._sealed_under(max(1, self._next() - 1_000), request))


_AFTERWARDS: Final[Mapping[str, type[MisusedLink]]] = {
    "unproven": _Unproven,
    "wrong proof": _WrongProof,
    "plain": _Plain,
    "authenticated only": _AuthenticatedOnly,
    "tag changed": _TagChanged,
    "replayed": _Replayed,
    "counter lowered": _Lowered,
}


class _OneCounter:
    """The counter of the lab's own client under every name: a device counts by client, not by title."""

    def __init__(self, counters: CounterStore, own: Credentials) -> None:
        self._counters, self._name = counters, counter_name(own)

    def next(self, name: str) -> int:  # noqa: ARG002 - it is always the same
        return self._counters.next(self._name)

    def last(self, name: str) -> int:  # noqa: ARG002
        return self._counters.last(self._name)

    def raise_to(self, name: str, value: int) -> None:  # noqa: ARG002
        self._counters.raise_to(self._name, value)


@dataclass(frozen=True, slots=True)
class Knocker:
    """Knocks at one device: ``open`` gives a fresh transport to its port, ``own`` is the lab's right key.

    ``reading`` is what the reading client proves itself with, where the lab knows that.
    """

    open: Callable[[], ByteTransport]
    own: Credentials
    counters: FileCounters
    reading: Credentials | None
    on_apdu: Callable[[str, bytes], None]

    def knock(self, how: str, request: bytes, undo: bytes) -> Knock:
        """Send a plain request in a wrong way; ``undo`` is what makes it undone, for a replay."""
        if how == "unknown client":
            return self._unknown_client()
        if how in _AFTERWARDS:
            return self._afterwards(_AFTERWARDS[how], request, undo)
        credentials, counters = self._wrong(how)
        return self._with(MisusedLink, credentials, counters, request, undo)

    def babble(self, pieces: tuple[bytes, ...]) -> int:
        """APDUs that are none, of the public client; how many were answered before the device hung up."""
        transport, answered = self.open(), 0
        public = Credentials("none", PUBLIC, self.own.server_sap)
        channel = WrapperChannel(transport, public.client_sap, public.server_sap)
        try:
            ClientLink(channel, public, MemoryCounters(), _TIMEOUT, self.on_apdu).open(_PROPOSAL)
            for piece in pieces:
                channel.send(piece, _TIMEOUT)
                channel.receive(_TIMEOUT)
                answered += 1
        except (TransportLost, DeviceTimeout):
            return answered
        finally:
            channel.close()
        return answered

    def _wrong(self, how: str) -> tuple[Credentials, CounterStore]:
        own, sap = self.own, self.own.server_sap
        match how:
            case "wrong password":
                return Credentials("lls", READER, sap, password=b"not the password"), MemoryCounters()
            case "password for keys":
                return Credentials("lls", own.client_sap, sap, password=b"12345678"), MemoryCounters()
            case "no security":
                return Credentials("none", own.client_sap, sap), MemoryCounters()
            case "public client":
                return Credentials("none", PUBLIC, sap), MemoryCounters()
            case "wrong encryption key":
                return replace(own, encryption_key=secrets.token_bytes(16)), MemoryCounters()
            case "wrong authentication key":
                return replace(own, authentication_key=secrets.token_bytes(16)), self.counters
            case "wrong title":
                return replace(own, system_title=_STRANGE_TITLE), _OneCounter(self.counters, own)
            case "rightly":
                return own, self.counters
            case "reading client":
                if self.reading is None:
                    raise BeyondLab(
                        "the lab does not know the reading client's password",
                        remedy="give the lab its password",
                    )
                return self.reading, MemoryCounters()
        raise UsageError(f"no knock is called {how!r}", remedy=f"say one of {', '.join(KNOCKS)}")

    def _afterwards(self, link: type[MisusedLink], request: bytes, undo: bytes) -> Knock:
        return self._with(link, self.own, self.counters, request, undo)

    def _with(
        self,
        kind: type[MisusedLink],
        credentials: Credentials,
        counters: CounterStore,
        request: bytes,
        undo: bytes,
    ) -> Knock:
        transport = self.open()
        channel = WrapperChannel(transport, credentials.client_sap, credentials.server_sap)
        link = kind(channel, credentials, counters, _TIMEOUT, self.on_apdu)
        if isinstance(link, _Replayed):
            link.undo = undo
        try:
            link.open(_PROPOSAL)
            return judged(link.after(request))
        except DeviceFault as refusal:
            return Knock(done=False, told=refusal.message)
        except TransportLost as lost:
            return Knock(done=False, told=f"it hung up: {lost.message}")
        finally:
            channel.close()

    def _unknown_client(self) -> Knock:
        """Nobody is known there: the first answer is the public client's, who comes second."""
        transport = self.open()
        try:
            for sap in (NOBODY, PUBLIC):
                request = acse.AssociationRequest(acse.LOGICAL_NAMES, b"", None, b"", _PROPOSAL.encode())
                transport.write(wrap_frame(sap, self.own.server_sap, request.encode()))
            _, answered, _ = parse_header(_exactly(transport, 8))
        except (TransportLost, DeviceFault) as end:
            return Knock(done=False, told=end.message)
        finally:
            transport.close()
        return Knock(done=answered == NOBODY, told=f"client {answered} was answered")


def _exactly(transport: ByteTransport, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = transport.read(count - len(found), _TIMEOUT)
        if not piece:
            raise DeviceTimeout("nobody was answered")
        found += piece
    return found


def judged(answer: bytes) -> Knock:
    """What an answer says: done only where it says so, or gives what was asked for."""
    if is_sealed(answer):
        return Knock(done=True, told="an answer that is ciphered for somebody else")
    try:
        read: Any = apdu.decode(answer)
    except DeviceFault as problem:
        return Knock(done=False, told=problem.message)
    if isinstance(read, SetResponse):
        return Knock(done=read.result == SUCCESS, told=str(read.result))
    if isinstance(read, GetResponse):
        given = isinstance(read.result, Data)
        return Knock(done=given, told="a value" if given else str(read.result))
    told = getattr(read, "service_error", type(read).__name__)
    return Knock(done=False, told=str(told))


def asking(ref: Any) -> bytes:
    """The plain request that reads an attribute."""
    return apdu.encode(GetRequest(0xC1, ref))


def setting(ref: Any, data: Data) -> bytes:
    """The plain request that writes an attribute."""
    return apdu.encode(SetRequest(0xC1, ref, None, data))
