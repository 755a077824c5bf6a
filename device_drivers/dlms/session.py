"""One client's association as the server holds it: let in or not, ciphered or not (Green Book 9.3.2)."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from device_drivers.dlms import acse, apdu
from device_drivers.dlms.acse import (
    AssociationRequest,
    AssociationResponse,
    Conformance,
    InitiateError,
    InitiateRequest,
    InitiateResponse,
    Release,
)
from device_drivers.dlms.apdu import ActionRequest, ActionResponse, ExceptionResponse
from device_drivers.dlms.blocks import GENERAL_BLOCK, GeneralBlocks
from device_drivers.dlms.channel import LONGEST_APDU
from device_drivers.dlms.ciphering import (
    AUTHENTICATED_ENCRYPTED,
    GENERAL_GLO,
    OVERHEAD,
    DecipheringError,
    Keys,
    is_sealed,
    sealed_part,
    unwrap,
    wrap,
)
from device_drivers.dlms.counters import SENT, CounterStore, received_from
from device_drivers.dlms.data import Tag, octets
from device_drivers.dlms.refs import REPLY_TO_HLS
from device_drivers.dlms.results import ASSOCIATE_DIAGNOSTICS, OTHER_REASON, SUCCESS, code_of
from device_drivers.dlms.security import SYSTEM_TITLE_BYTES, Association, Guard
from device_drivers.dlms.services import LONGEST_TRANSFER, CosemModel, Services, Unserved
from harness.domain.errors import ProtocolViolation

_CHALLENGE_BYTES: Final = 16
_SHORTEST_PDU: Final = 128
_LONGEST_IN_BLOCKS: Final = 4 * 1024 * 1024  # the numbers of general blocks count as far, whatever their size
_ACCEPTED, _REJECTED = 0, 1
_MECHANISMS: Final = {"none": None, "lls": acse.LOW_LEVEL, "hls-gmac": acse.HIGH_LEVEL_GMAC}


class _State(Enum):
    IDLE = auto()
    PROVING = auto()  # HLS: the client has still to answer our challenge
    OPEN = auto()


class _Rejected(Exception):
    """The association is refused; the argument is the name of the diagnostic."""


class _CounterTooLow(Exception):
    """A ciphered APDU under a counter already used; the argument is the lowest that would do."""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """What all associations of one server share."""

    model: CosemModel
    system_title: bytes
    counters: CounterStore
    max_pdu: int
    on_authentication_failure: Callable[[int], None]
    guard: Guard


class Session:
    """Answers the APDUs of one client SAP on one connection. Never raises for what a client sends."""

    def __init__(self, server: ServerIdentity, association: Association) -> None:
        self._server = server
        self._who = association
        self._own_keys: Keys | None = None
        if association.mechanism == "hls-gmac":
            self._own_keys = Keys(association.encryption_key, association.authentication_key)
        self._reset()

    def _reset(self) -> None:
        self._keys = self._own_keys
        self._state = _State.IDLE
        self._title = b""
        self._challenges = b"", b""  # the client's, ours
        self._services: Services | None = None
        self._blocks: GeneralBlocks | None = None  # where general block transfer is agreed
        self._agreed = InitiateResponse(0, 0)

    def handle(self, raw: bytes) -> tuple[bytes, ...]:
        """What to send in answer to one APDU, in order; nothing in the middle of a stream of blocks."""
        if len(raw) > self._server.max_pdu:
            return (_exception("service-not-allowed", "pdu-too-long"),)
        blocks = self._blocks
        if not blocks or raw[:1] != bytes((GENERAL_BLOCK,)):
            return self._sent(self._answer(raw))
        try:
            step = blocks.take(raw)
        except ProtocolViolation:
            return (_exception("service-not-allowed", OTHER_REASON),)
        return step.send if step.whole is None else blocks.send(self._answer(step.whole))

    def _sent(self, answer: bytes) -> tuple[bytes, ...]:
        """The answer to a request that came without blocks: in blocks where it is too long."""
        if not self._blocks or answer[0] in (acse.AARE, acse.RLRE):
            return (answer,)
        self._blocks.begin()
        return (answer,) if self._blocks.fits(answer) else self._blocks.send(answer)

    def _answer(self, raw: bytes) -> bytes:
        """The answer to one whole APDU."""
        try:
            match raw[:1]:
                case b"\x60":
                    return self._associate(raw)
                case b"\x62":
                    return self._release(raw)
            return self._serve(raw)
        except DecipheringError:
            self._failed(counts=raw[:1] == b"\x60")
            return _exception("service-not-allowed", "deciphering-error")
        except _CounterTooLow as low:
            return _exception("service-not-allowed", "invocation-counter-error", low.args[0])
        except Unserved as unserved:
            return _exception(unserved.state_error, unserved.service_error)
        except ProtocolViolation:
            return _exception("service-unknown", OTHER_REASON)

    def _refused(self, check: str, why: str) -> bool:
        """Whether a check that refuses does so after all."""
        return bool(self._server.guard.refusal(check, why, self._who.client_sap))

    def _failed(self, *, counts: bool = True) -> None:
        """The client has not proven itself; a message that is spoilt later is no attempt to get in."""
        self._server.on_authentication_failure(self._who.client_sap)
        if counts:
            self._server.guard.failed(self._who.client_sap)

    # --- associating -----------------------------------------------------------------------------------

    def _associate(self, raw: bytes) -> bytes:
        self._reset()  # a new request ends an association that was open
        request = AssociationRequest.decode(raw)
        context = acse.LOGICAL_NAMES_CIPHERED if self._keys else acse.LOGICAL_NAMES
        try:
            self._check(request, context)
            context = acse.LOGICAL_NAMES_CIPHERED if self._keys else acse.LOGICAL_NAMES
            initiate = InitiateRequest.decode(self._initiate(request))
        except _Rejected as rejected:
            diagnostic = code_of(str(rejected), ASSOCIATE_DIAGNOSTICS)
            return AssociationResponse(context, _REJECTED, diagnostic).encode()
        if problem := _unacceptable(initiate):
            error = InitiateError(problem).encode()
            no_reason = code_of("no-reason-given", ASSOCIATE_DIAGNOSTICS)
            return AssociationResponse(context, _REJECTED, no_reason, user_information=error).encode()
        return self._accept(request, initiate, context)

    def _check(self, request: AssociationRequest, context: int) -> None:
        wanted = _MECHANISMS[self._who.mechanism]
        if self._server.guard.locked(self._who.client_sap) and self._refused("lockout", "failed too often"):
            raise _Rejected("authentication-failure")
        if why := _lower(request, context, wanted):
            if self._refused("mechanism", why):
                raise _Rejected(why)
            self._keys = (
                None  # a twin that is wrong on purpose: the client gets the security that it asks for
            )
            return
        wrong = wanted == acse.LOW_LEVEL and not self._knows_password(request)
        if wrong and self._refused("password", "the password is wrong"):
            self._failed()
            raise _Rejected("authentication-failure")
        if wanted == acse.HIGH_LEVEL_GMAC:
            self._check_title(request.calling_title)
            if not 8 <= len(request.authentication) <= 64:
                raise _Rejected("authentication-failure")

    def _knows_password(self, request: AssociationRequest) -> bool:
        return hmac.compare_digest(request.authentication, self._who.password)

    def _check_title(self, title: bytes) -> None:
        expected = self._who.client_title
        wrong = len(title) != SYSTEM_TITLE_BYTES or (expected and title != expected)
        if wrong and self._refused("title", "another system title"):
            raise _Rejected("calling-AP-title-not-recognized")

    def _initiate(self, request: AssociationRequest) -> bytes:
        if not self._keys:
            return request.user_information
        if not is_sealed(request.user_information):
            raise _Rejected("authentication-required")
        return self._unsealed(request.user_information, request.calling_title)

    def _accept(self, request: AssociationRequest, initiate: InitiateRequest, context: int) -> bytes:
        agreed = InitiateResponse(initiate.conformance & acse.OURS, self._server.max_pdu)
        ours = secrets.token_bytes(_CHALLENGE_BYTES) if self._keys else b""
        required = code_of("authentication-required" if self._keys else "null", ASSOCIATE_DIAGNOSTICS)
        answer = AssociationResponse(
            context,
            _ACCEPTED,
            required,
            self._server.system_title if self._keys else b"",
            acse.HIGH_LEVEL_GMAC if self._keys else None,
            ours,
            self._sealed(agreed.encode(), general=False),
        ).encode()
        longest = initiate.max_pdu or LONGEST_APDU
        if agreed.conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            self._blocks = GeneralBlocks(longest=longest, most=LONGEST_TRANSFER, answers=True)
            longest = _LONGEST_IN_BLOCKS
        self._state = _State.PROVING if self._keys else _State.OPEN
        if self._who.mechanism == "lls":
            self._server.guard.let_in(self._who.client_sap)
        self._title, self._agreed = request.calling_title, agreed
        self._challenges = request.authentication, ours
        longest -= OVERHEAD if self._keys else 0
        self._services = Services(self._server.model, self._who.client_sap, longest)
        return answer

    def _release(self, raw: bytes) -> bytes:
        request = Release.decode(raw)
        if self._state is _State.IDLE:
            raise Unserved("service-not-allowed", "operation-not-possible")
        information = b""
        if self._keys:
            if request.user_information:  # clients there are that release without it
                InitiateRequest.decode(self._unsealed(request.user_information, self._title))
            information = self._sealed(self._agreed.encode(), general=False)
        self._reset()
        return Release(acse.RLRE, information).encode()

    # --- serving ---------------------------------------------------------------------------------------

    def _serve(self, raw: bytes) -> bytes:
        if self._state is _State.IDLE:
            raise Unserved("service-not-allowed", "operation-not-possible")
        plain = self._unsealed(raw, self._title) if self._keys else raw
        request = apdu.decode(plain)
        if isinstance(request, ExceptionResponse):
            raise Unserved("service-unknown", "service-not-supported")
        if self._state is _State.PROVING and not self._may_skip_proof(request):
            answer = self._prove(request)
        else:
            assert self._services
            answer = self._services.serve(request)
        return self._sealed(answer, general=raw[0] == GENERAL_GLO)

    def _may_skip_proof(self, request: apdu.Apdu) -> bool:
        if isinstance(request, ActionRequest) and request.ref == REPLY_TO_HLS:
            return False
        return not self._refused("unproven", "the challenge has not been answered")

    def _prove(self, request: apdu.Apdu) -> bytes:
        """Passes three and four of HLS."""
        if not (isinstance(request, ActionRequest) and request.ref == REPLY_TO_HLS and self._keys):
            raise Unserved("service-not-allowed", "operation-not-possible")
        theirs, ours = self._challenges
        proof = request.data
        is_proof = proof is not None and proof.tag is Tag.OCTET_STRING
        right = is_proof and proof and self._keys.challenge_answered(self._title, ours, proof.value)
        if not right and self._refused("challenge", "the answer to the challenge is wrong"):
            self._state = _State.IDLE
            self._failed()
            return apdu.encode(ActionResponse(request.invoke, OTHER_REASON))
        counter = self._server.counters.next(SENT)
        back = octets(self._keys.sign_challenge(self._server.system_title, counter, theirs))
        self._state = _State.OPEN
        self._server.guard.let_in(self._who.client_sap)
        return apdu.encode(ActionResponse(request.invoke, SUCCESS, back))

    # --- ciphering -------------------------------------------------------------------------------------

    def _sealed(self, plain: bytes, *, general: bool) -> bytes:
        if not self._keys:
            return plain
        title = self._server.system_title
        sealed = self._keys.seal(title, self._server.counters.next(SENT), plain)
        return wrap(plain, sealed, title, general=general)

    def _unsealed(self, raw: bytes, title: bytes) -> bytes:
        if not is_sealed(raw):
            if self._refused("ciphered", "an APDU that is not ciphered"):
                raise Unserved("service-not-allowed", "operation-not-possible")
            return raw
        counter, plain = self._opened(raw, title)
        name = received_from(self._who.client_sap)
        lowest = self._server.counters.last(name) + 1
        if counter < lowest and self._refused("counter", f"counter {counter} is below {lowest}"):
            raise _CounterTooLow(lowest)
        self._server.counters.raise_to(name, counter)
        return plain

    def _opened(self, raw: bytes, title: bytes) -> tuple[int, bytes]:
        """Counter and plain text of a ciphered APDU."""
        assert self._keys
        try:
            return unwrap(raw, self._keys, title)
        except DecipheringError as error:
            sealed = sealed_part(raw)
            whole = sealed[:1] == bytes((AUTHENTICATED_ENCRYPTED,))
            if self._refused("tag" if whole else "security_control", error.message):
                raise
            return self._keys.unverified(title, sealed)


def _lower(request: AssociationRequest, context: int, mechanism: int | None) -> str:
    """The diagnostic for a client that asks for other security than its own; empty for one that does not."""
    if request.context != context:
        return "application-context-name-not-supported"
    if request.mechanism == mechanism:
        return ""
    reason = "name-not-recognised" if request.mechanism is not None else "name-required"
    return f"authentication-mechanism-{reason}"


def _unacceptable(initiate: InitiateRequest) -> str:
    """Why we cannot agree to what a client proposes; empty if we can."""
    if initiate.version < acse.DLMS_VERSION:
        return "dlms-version-too-low"
    if 0 < initiate.max_pdu < _SHORTEST_PDU:
        return "pdu-size-too-short"
    if not initiate.conformance & acse.OURS:
        return "incompatible-conformance"
    return ""


def _exception(state_error: str, service_error: str, expected: int | None = None) -> bytes:
    return apdu.encode(ExceptionResponse(state_error, service_error, expected))
