"""Requests that reach the S1SP past the gateway, so that security tests see what the S1SP itself checks."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from device_drivers.dcc.duis import RequestMessage
from device_drivers.dcc.identities import simulated_pki, stranger_signer
from device_drivers.dcc.signature import Signer
from device_drivers.dcc.tree import parse
from device_drivers.simulated.gateway.countersignature import countersign
from device_drivers.simulated.s1sp.answer import CountersignedRequest, Smets1Answer
from harness.domain.errors import HarnessError, UsageError
from harness.domain.lab import Lab
from harness.domain.payload import Payload


class Performer(Protocol):
    """What is asked of the S1SP."""

    def perform(self, request: CountersignedRequest) -> Smets1Answer:
        """The equivalent steps."""


class BackDoor:
    """A call of the simulated DCC, with a User's signed request as ``xml`` (base64).

    ``how`` it is countersigned: ``rightly``; ``none``, not at all; ``stranger``, by a key that nobody knows;
    ``another``, and then other content is asked for; ``again``, and it comes twice.
    """

    def __init__(self, lab: Lab, s1sp: Performer) -> None:
        pair = simulated_pki(lab).dcc(lab.dcc.dcc_eui)
        self._dcc = Signer(pair.key, pair.certificate)
        self._stranger = stranger_signer(lab.dcc.dcc_eui)
        self._s1sp = s1sp

    def ask(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """Whether the S1SP did it (the last time), and what it said."""
        xml, how = base64.b64decode(call["xml"]), str(call["how"])
        request = self._request(xml, how)
        if how == "again":
            self._told(request)
        return self._told(request)

    def _request(self, xml: bytes, how: str) -> CountersignedRequest:
        message = RequestMessage.read(parse(xml))
        request = CountersignedRequest(
            request_id=str(message.request_id),
            originator=message.request_id.originator,
            target=message.request_id.target,
            counter=message.request_id.counter,
            srv=message.srv,
            body_element=message.body_element,
            body=message.body,
            xml=countersign(xml, self._dcc),
        )
        match how:
            case "rightly" | "again":
                return request
            case "none":
                return replace(request, xml=xml)
            case "stranger":
                return replace(request, xml=countersign(xml, self._stranger))
            case "another":
                return replace(request, body=Payload({**dict(message.body.leaves()), "Another": "1"}))
        raise UsageError(f"nobody countersigns {how!r}")

    def _told(self, request: CountersignedRequest) -> dict[str, Any]:
        try:
            answer = self._s1sp.perform(request)
        except HarnessError as error:
            return {"done": False, "told": error.message}
        return {"done": answer.success, "told": " ".join(text for _, text in answer.debug)}
