"""Messages of the DCC made wrong, for our own receive address."""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from device_drivers.dcc.duis import RequestId
from device_drivers.dcc.identities import simulated_pki, stranger_signer
from device_drivers.dcc.signature import Signer
from device_drivers.dcc.tree import children, find, local_name, parse, serialise
from harness.domain.errors import BeyondLab, UsageError
from harness.domain.lab import Lab

_SECONDS: Final = re.compile(r":(\d)(\d)(?=[.Z])")


def forged(message: bytes, how: str, lab: Lab) -> bytes:
    """The message made wrong; see :meth:`harness.domain.misuse.Adversary.forge`."""
    match how:
        case "unsigned":
            return serialise(_unsigned(message))
        case "refusal":
            return _refusal(message)
        case "stranger":
            return stranger_signer(lab.dcc.dcc_eui).sign(serialise(_unsigned(message)))
        case "changed":
            return _changed(message)
        case "inner changed":
            return _dcc(lab).sign(_inner_changed(message))
        case "another request":
            return _dcc(lab).sign(_of_another_request(message))
    raise UsageError(f"no such forgery of a message: {how!r}")


def _dcc(lab: Lab) -> Signer:
    if lab.dcc.gateway != "simulated":
        raise BeyondLab(
            "the lab does not hold the keys of its DCC",
            remedy="only in a simulated lab can a message be signed in the DCC's name",
        )
    pair = simulated_pki(lab).dcc(lab.dcc.dcc_eui)
    return Signer(pair.key, pair.certificate)


def _unsigned(message: bytes) -> etree._Element:
    root = parse(message)
    if local_name(children(root)[-1]) == "Signature":
        root.remove(children(root)[-1])
    return root


def _refusal(message: bytes) -> bytes:
    """A failure that needs no signature where the DCC answers on the request's own connection."""
    root = _unsigned(message)
    code = find(root, "Header", "ResponseCode")
    if code is None:
        raise UsageError("the message to change has no ResponseCode")
    code.text = "E20"
    return serialise(root)


def _changed(message: bytes) -> bytes:
    """Another second of the DCC's own time: nothing that a schema would notice."""
    root = parse(message)
    moment = find(root, "Header", "ResponseDateTime")
    if moment is None:
        raise UsageError("the message to change has no ResponseDateTime")
    moment.text = _SECONDS.sub(lambda found: f":{found[1]}{(int(found[2]) + 1) % 10}", moment.text or "")
    return serialise(root)


def _inner_changed(message: bytes) -> bytes:
    """What the S1SP has signed is another, and the DCC's signature around it is right."""
    root = _unsigned(message)
    inner = next((node for node in root.iter("{*}BusinessTargetID")), None)
    if inner is None:
        raise UsageError("the message to change holds nothing by the S1SP")
    inner.text = (inner.text or "")[:-1] + ("0" if (inner.text or "")[-1:] != "0" else "1")
    return serialise(root)


def _of_another_request(message: bytes) -> bytes:
    """The answer to a request is sent as the answer to the next one."""
    root = _unsigned(message)
    for name in ("RequestID", "ResponseID"):
        node = find(root, "Header", name)
        if node is not None:
            known = RequestId.parse(node.text or "")
            node.text = str(RequestId(known.originator, known.target, known.counter + 1))
    return serialise(root)
