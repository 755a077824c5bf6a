"""What a security test may do that nobody else does (Clause 6.3(b)): the words, and the instrument.

Requests that are wrong go through the service user as any other, by :class:`~.instruments.Forgery`; an
:class:`Adversary` does what is not a request. Every message that is wrong on purpose is ``forged`` in the
run's ``dcc/messages.jsonl``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from harness.domain.instruments import Body, Device, Forgery
from harness.domain.words import UserRole


class Alteration(StrEnum):
    """What is done to a request between its writing and its sending, beside its signature's being by another.

    Those of a *signed* request keep the right signature as far as their name allows.
    """

    # What was signed is not what is sent
    BODY_CHANGED = "body changed after signing"
    COUNTER_CHANGED = "counter raised after signing"
    DIGEST_FITTED = "body changed and the digest made to fit"
    BIT_FLIPPED = "a bit of the signature flipped"
    # More or less than one signature, or not in its place
    SIGNED_TWICE = "the same signature twice"
    STRANGER_FIRST = "a stranger's signature before the right one"
    SIGNATURE_FIRST = "the signature before what it signs"
    SIGNATURE_IN_BODY = "the signature inside the body"
    # Signature wrapping: a signed original is there, and another request around or beside it
    ORIGINAL_IN_BODY = "signed original inside another body"
    ORIGINAL_IN_SIGNATURE = "signed original inside its signature, in another request"
    ORIGINAL_AT_END = "signed original at the end of another request"
    BODY_BESIDE = "another body before the signed one"
    # Other algorithms and keys than the profile's; each verifies for who follows what the signature says
    SHA1_DIGEST = "digest by SHA-1"
    EXCLUSIVE = "an exclusive canonicalisation more"
    XPATH = "a transform that leaves the body out"
    EMBEDDED_KEY = "a stranger's key inside, and signed by it"
    HMAC = "an HMAC under the public key"
    # XML
    COMMENT = "a comment inside a value"
    INSTRUCTION = "a processing instruction inside a value"
    ENTITY = "a value by an entity"
    EXTERNAL_ENTITY = "a value by an external entity"  # ``detail``: its URI
    EXTERNAL_SUBSET = "a document type from elsewhere"  # ``detail``: its URI
    ENTITY_BOMB = "entities that unfold a thousand million times"
    QUADRATIC_BOMB = "a long entity, a thousand times"
    UTF_16 = "in UTF-16"
    DEEP = "two hundred elements deep"
    MANY_TAGS = "more tags than any message has"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What an HTTP server answered; status 0 where it hung up without a word."""

    status: int
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Knock:
    """What became of an attempt at a device's own port."""

    done: bool  # the device says that it did what was asked, or gave what it should not
    told: str  # what it said


class Trap(Protocol):
    """A place that nobody has a reason to visit."""

    @property
    def url(self) -> str:
        """Where it is, ``http:``; it gives the bait to whoever asks."""

    @property
    def file(self) -> str:
        """The bait in a file, ``file:``."""

    @property
    def visits(self) -> int:
        """How often somebody has connected."""


class Adversary(Protocol):
    """Misuses the lab's interfaces, and a rig's devices, on purpose.

    What it takes a simulated lab for (keys of the DCC, twins) is a :class:`~.errors.LabFault` elsewhere.
    Attempts are in the evidence of the attempt in hand.
    """

    # The gateway

    def post(
        self,
        content: bytes,
        *,
        path: str = "/api/v1/serviceS",
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """One HTTP request to the gateway with the lab's own TLS identity; ``headers`` beside the usual."""

    def talk(self, content: bytes) -> bytes:
        """Bytes to the gateway over TLS, and all that comes until it hangs up or is quiet for a second."""

    def loiter(self, content: bytes, connections: int) -> AbstractContextManager[None]:
        """So many connections that have sent the beginning of a request, and go on with it no more."""

    def shake_hands(
        self, door: str, *, certificate: str = "own", version: str = "", ciphers: str = ""
    ) -> str:
        """Why TLS with the ``gateway``, or with our own ``receive`` endpoint, did not come about; or nothing.

        ``certificate``: ``own`` (which that door takes), ``none``, ``stranger``, ``expired`` or ``early``.
        ``version`` is the only one offered (``TLSv1.1``), ``ciphers`` the only suites, as OpenSSL names them.
        """

    def pose_as_gateway(self, certificate: str) -> str:
        """Why our own user does not speak to a gateway with such a certificate, or nothing."""

    def trap(self, bait: str) -> AbstractContextManager[Trap]:
        """A place that XML may point at."""

    # Our own receive address

    def deliver(self, message: bytes, *, certificate: str = "own") -> HttpAnswer:
        """Post a message to our receive address, as the DCC would."""

    def forge(self, message: bytes, how: str) -> bytes:
        """A message of the DCC made wrong.

        ``unsigned``; ``refusal``, unsigned with a failure's code; ``stranger``, signed by one; ``changed``,
        by a second. Signed by the DCC's own key, which twins have: ``inner changed``, what the S1SP
        has signed; ``another request``, an answer under the id of the next request.
        """

    # A device's own port

    def knock(self, device: Device, how: str, item: str = "", value: Any = None) -> Knock:
        """Try to write an item of a device, or to read it where no value is given, wrongly.

        ``how`` is a name of :data:`KNOCKS`.
        """

    def babble(self, device: Device, pieces: Sequence[bytes]) -> int:
        """Send each to the device's port as an APDU of the public client; how many were answered."""

    # The S1SP

    def pass_by_the_gateway(
        self,
        device: Device,
        srv: str,
        body: Body = None,
        *,
        role: UserRole,
        how: str = "rightly",
        forgery: Forgery | None = None,
    ) -> Knock:
        """Hand a request to the S1SP as if the gateway had admitted it. Twins only.

        ``how`` it is countersigned: ``rightly``; ``none``; ``stranger``; ``another``, for other content than
        is asked for; ``again``, and it comes twice.
        """

    # What is behind the hub

    def join(self, device_id: str) -> bool:
        """Have a device ask the rig's hub to let it into the HAN; whether it may. Twins only."""

    def pose_as_hub(self, hub: Device) -> str:
        """Say hello to the DCC's side as the hub does, without its key; why not, or nothing. Twins only."""

    def utrns(self, meter: Device, pence: int, count: int) -> tuple[str, ...]:
        """Codes that look right and are not: guesses at the part that only the DCC can make."""


KNOCKS = (
    "rightly",  # with the lab's own keys, as a client that has lost its session
    "wrong password",  # of the reading client
    "password for keys",  # the management client by password alone
    "no security",  # the management client by nothing
    "wrong encryption key",
    "wrong authentication key",
    "wrong title",  # right keys under another system title
    "unproven",  # the challenge is left unanswered
    "wrong proof",
    "plain",  # associated rightly, then asked without ciphering
    "authenticated only",  # ciphered by less than was agreed
    "tag changed",  # a bit of an APDU's authentication tag
    "replayed",  # an APDU of just before, again
    "counter lowered",
    "unknown client",
    "public client",  # asks for what is not public
    "reading client",  # with its right password; it may read, and not write
)
"""Ways to knock at a device's port."""
