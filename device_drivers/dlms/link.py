"""A client's association: opened and released over a channel, and every APDU in between ciphered."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from device_drivers.dlms import acse, apdu
from device_drivers.dlms.acse import (
    AssociationRequest,
    AssociationResponse,
    Conformance,
    InitiateRequest,
    Release,
)
from device_drivers.dlms.apdu import ActionRequest, ActionResponse, ExceptionResponse
from device_drivers.dlms.blocks import GENERAL_BLOCK, WIDEST_WINDOW, GeneralBlocks
from device_drivers.dlms.channel import LONGEST_APDU, ApduChannel
from device_drivers.dlms.ciphering import OVERHEAD, Keys, is_sealed, unwrap, wrap
from device_drivers.dlms.counters import CounterStore
from device_drivers.dlms.data import Data, Tag, octets
from device_drivers.dlms.refs import REPLY_TO_HLS
from device_drivers.dlms.results import ASSOCIATE_DIAGNOSTICS, SUCCESS, name_of
from device_drivers.dlms.security import SYSTEM_TITLE_BYTES, Credentials
from harness.domain.errors import AccessRefused, ProtocolViolation

OnApdu = Callable[[str, bytes], None]

_CHALLENGE_BYTES = 16
_FEWEST_CHALLENGE_BYTES = 8
_AUTHENTICATION_REQUIRED = 14
_MECHANISMS = {"none": None, "lls": acse.LOW_LEVEL, "hls-gmac": acse.HIGH_LEVEL_GMAC}
_SHORTEST_PDU = 64
LONGEST_TRANSFER = 16 * 1024 * 1024
"""The most bytes that a client takes in blocks for one answer."""
_LONGEST_IN_BLOCKS = 1024 * 1024  # what we ask for in general blocks: as much as our own server takes


class AssociationRefused(AccessRefused):
    """The device does not let this client in; ``result`` is its diagnostic or initiate error."""


class ServiceRefused(AccessRefused):
    """The device served nothing: an exception response. After an ``invocation-counter-error``,
    ``expected_counter`` is the lowest counter that it would take, where it says so.
    """  # noqa: D205 - one sentence says it

    def __init__(self, refusal: ExceptionResponse) -> None:
        expected = refusal.expected_counter
        counter = "" if expected is None else f", expected {expected}"
        super().__init__(
            f"exception response: {refusal.state_error}, {refusal.service_error}{counter}",
            result=refusal.service_error,
            remedy="" if expected is None else "raise the client's counter to the device's",
        )
        self.expected_counter = expected


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both ends can do in this association."""

    conformance: int
    longest_request: int
    """The longest plain APDU that the device can receive."""


class ClientLink:
    """Exchanges plain APDUs; on the wire they go as the credentials demand.

    Life cycle: ``open``, any number of ``exchange``, ``release``.
    """

    def __init__(
        self,
        channel: ApduChannel,
        credentials: Credentials,
        counters: CounterStore,
        timeout: float,
        on_apdu: OnApdu | None,
        window: int = WIDEST_WINDOW,
    ) -> None:
        self._channel = channel
        self._credentials = credentials
        self._counters = counters
        self._timeout = timeout
        self._on_apdu = on_apdu or _unseen
        self._keys: Keys | None = None
        if credentials.mechanism == "hls-gmac":
            self._keys = Keys(credentials.encryption_key, credentials.authentication_key)
        self._counter_name = counter_name(credentials)
        self._server_title = b""
        self._window = window
        self._blocks: GeneralBlocks | None = None  # where general block transfer is agreed
        self._last_received = -1

    # --- one exchange ----------------------------------------------------------------------------------

    def exchange(self, plain: bytes) -> bytes:
        """The plain answer to a plain APDU, both ciphered on the way where the association is."""
        self._on_apdu("sent", plain)
        answer = self._unsealed(self._answer_to(self._sealed(plain)))
        self._on_apdu("received", answer)
        return answer

    def _answer_to(self, raw: bytes) -> bytes:
        """The whole answer to an APDU, either in general blocks where it is too long without."""
        if self._blocks and not self._blocks.fits(raw):
            return self._conclude(self._blocks, self._blocks.ask(raw))
        self._channel.send(raw, self._timeout)
        answer = self._channel.receive(self._timeout)
        if not self._blocks or answer[:1] != bytes((GENERAL_BLOCK,)):
            return answer
        self._blocks.begin()
        step = self._blocks.take(answer)
        return self._conclude(self._blocks, step.send) if step.whole is None else step.whole

    def _conclude(self, blocks: GeneralBlocks, to_send: tuple[bytes, ...]) -> bytes:
        """The rest of an exchange in general blocks: its whole answer."""
        while True:
            for block in to_send:
                self._channel.send(block, self._timeout)
            answer = self._channel.receive(self._timeout)
            if answer[:1] != bytes((GENERAL_BLOCK,)):
                return answer  # a device may break off, or answer without blocks
            step = blocks.take(answer)
            if step.whole is not None:
                return step.whole
            to_send = step.send

    def _sealed(self, plain: bytes) -> bytes:
        if not self._keys:
            return plain
        title = self._credentials.system_title
        sealed = self._keys.seal(title, self._counters.next(self._counter_name), plain)
        return wrap(plain, sealed, title, general=self._credentials.general_glo)

    def _unsealed(self, raw: bytes) -> bytes:
        if not self._keys:
            return raw
        if not is_sealed(raw):
            if raw[:1] == bytes((apdu.EXCEPTION,)):
                return raw  # it may come plain: the device may have found no keys to cipher it with
            raise ProtocolViolation(f"a plain APDU in a ciphered association: {raw[:16].hex()}")
        counter, plain = unwrap(raw, self._keys, self._server_title)
        if counter <= self._last_received:
            raise ProtocolViolation(
                f"an answer under counter {counter} after {self._last_received}: a replay"
            )
        self._last_received = counter
        return plain

    # --- opening ---------------------------------------------------------------------------------------

    def open(self, proposal: InitiateRequest) -> Agreement:
        """Associate. Raises :class:`AssociationRefused`, or what the channel raises."""
        challenge = secrets.token_bytes(_CHALLENGE_BYTES)
        request = self._request(proposal, challenge)
        self._on_apdu("sent", _without_secrets(request, proposal, self._credentials).encode())
        raw = self._answer_to(request.encode())
        self._on_apdu("received", raw)
        response = self._accepted(raw)
        self._server_title = response.responding_title
        granted = self._granted(response)
        if self._credentials.mechanism == "hls-gmac":
            self._prove(challenge, response)
        longest = granted.max_pdu or LONGEST_APDU
        if longest < _SHORTEST_PDU:
            raise ProtocolViolation(f"the device takes APDUs up to {longest} bytes: too short for a request")
        conformance = granted.conformance & proposal.conformance
        if conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            self._blocks = GeneralBlocks(longest=longest, most=LONGEST_TRANSFER, window=self._window)
            return Agreement(conformance, _LONGEST_IN_BLOCKS)
        return Agreement(conformance, longest - (OVERHEAD if self._keys else 0))

    def _request(self, proposal: InitiateRequest, challenge: bytes) -> AssociationRequest:
        who, plain = self._credentials, proposal.encode()
        if not self._keys:
            return AssociationRequest(
                acse.LOGICAL_NAMES, b"", _MECHANISMS[who.mechanism], who.password, plain
            )
        sealed = self._keys.seal(who.system_title, self._counters.next(self._counter_name), plain)
        return AssociationRequest(
            acse.LOGICAL_NAMES_CIPHERED,
            who.system_title,
            acse.HIGH_LEVEL_GMAC,
            challenge,
            wrap(plain, sealed, who.system_title, general=False),
        )

    def _accepted(self, raw: bytes) -> AssociationResponse:
        if raw[:1] == bytes((apdu.EXCEPTION,)):
            raise _refusal(raw)
        response = AssociationResponse.decode(raw)
        if response.result != 0:
            raise AssociationRefused(self._why_refused(response), result=self._reason(response))
        wanted = acse.LOGICAL_NAMES_CIPHERED if self._keys else acse.LOGICAL_NAMES
        if response.context != wanted:
            raise ProtocolViolation(f"AARE: application context {response.context}, expected {wanted}")
        if self._keys and len(response.responding_title) != SYSTEM_TITLE_BYTES:
            raise ProtocolViolation(f"AARE: system title {response.responding_title.hex()}: expected 8 bytes")
        return response

    def _reason(self, response: AssociationResponse) -> str:
        if response.user_information[:1] == b"\x0e":
            return acse.InitiateError.decode(response.user_information).reason
        return name_of(response.diagnostic, ASSOCIATE_DIAGNOSTICS)

    def _why_refused(self, response: AssociationResponse) -> str:
        who = self._credentials
        return f"association of client {who.client_sap} ({who.mechanism}) refused: {self._reason(response)}"

    def _granted(self, response: AssociationResponse) -> acse.InitiateResponse:
        granted = acse.InitiateResponse.decode(self._unsealed(response.user_information))
        if granted.version != acse.DLMS_VERSION:
            raise ProtocolViolation(f"AARE: DLMS version {granted.version}, expected {acse.DLMS_VERSION}")
        return granted

    def _prove(self, ours: bytes, response: AssociationResponse) -> None:
        """Passes three and four of HLS: answer the device's challenge, check its answer to ours."""
        theirs = response.authentication
        if response.mechanism != acse.HIGH_LEVEL_GMAC or response.diagnostic != _AUTHENTICATION_REQUIRED:
            raise ProtocolViolation("AARE: the device does not ask for HLS-GMAC where it must")
        if len(theirs) < _FEWEST_CHALLENGE_BYTES or theirs == ours:
            raise ProtocolViolation("AARE: the device's challenge is too short, or ours sent back")
        assert self._keys
        counter = self._counters.next(self._counter_name)
        proof = self._keys.sign_challenge(self._credentials.system_title, counter, theirs)
        raw = self.exchange(apdu.encode(ActionRequest(0xC1, REPLY_TO_HLS, octets(proof))))
        answer = apdu.decode(raw)
        if isinstance(answer, ExceptionResponse):
            raise ServiceRefused(answer)
        if not isinstance(answer, ActionResponse):
            raise ProtocolViolation(f"expected the answer to our challenge, found {type(answer).__name__}")
        if answer.result != SUCCESS:
            raise AssociationRefused(f"HLS authentication refused: {answer.result}", result=answer.result)
        back = answer.returned
        if not (isinstance(back, Data) and back.tag is Tag.OCTET_STRING):
            raise ProtocolViolation("the device answers our challenge with something other than octets")
        if not self._keys.challenge_answered(self._server_title, ours, back.value):
            raise ProtocolViolation("the device's answer to our challenge is wrong: it lacks our keys")

    # --- releasing -------------------------------------------------------------------------------------

    def release(self, proposal: InitiateRequest) -> None:
        """RLRQ and RLRE, with the ciphered initiate in a ciphered association."""
        information = b""
        if self._keys:
            title, plain = self._credentials.system_title, proposal.encode()
            sealed = self._keys.seal(title, self._counters.next(self._counter_name), plain)
            information = wrap(plain, sealed, title, general=False)
        request = Release(acse.RLRQ, information).encode()
        self._on_apdu("sent", request)
        raw = self._answer_to(request)
        self._on_apdu("received", raw)
        if raw[:1] == bytes((apdu.EXCEPTION,)):
            raise _refusal(raw)
        response = Release.decode(raw)
        if response.tag != acse.RLRE:
            raise ProtocolViolation("a release request came where its response was due")
        if self._keys and response.user_information:
            acse.InitiateResponse.decode(self._unsealed(response.user_information))


def _unseen(direction: str, raw: bytes) -> None:
    """Nobody watches."""


def _refusal(raw: bytes) -> ServiceRefused:
    refusal = apdu.decode(raw)
    assert isinstance(refusal, ExceptionResponse)
    return ServiceRefused(refusal)


def _without_secrets(
    request: AssociationRequest, proposal: InitiateRequest, who: Credentials
) -> AssociationRequest:
    """What evidence may show of an AARQ: no password, and the initiate in plain."""
    secret = b"*" * len(request.authentication) if who.mechanism == "lls" else request.authentication
    return replace(request, authentication=secret, user_information=proposal.encode())


def counter_name(credentials: Credentials) -> str:
    """Under which name a client's counter is kept: its key (as a short digest) and its system title.

    Where a device's counter is ahead of the store, ``counters.raise_to(counter_name(credentials), its)``.
    """
    digest = hashlib.sha256(b"invocation counter" + credentials.encryption_key).hexdigest()[:16]
    return f"{credentials.system_title.hex()}-{digest}"
