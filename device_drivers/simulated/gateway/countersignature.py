"""The gateway's signature over a User's signed request: what makes a Countersigned Service Request.

The SEC defines the term; what such a request looks like between the DCC and an S1SP was not found. This form
is **ours**: one element around the whole ``sr:Request``, signed by the DCC as it signs all its messages.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from device_drivers.dcc.signature import Ring, SignatureRefused, Signer
from device_drivers.dcc.tree import SR, as_document, children, parse, serialise

_NAME: Final = "{urn:smets1-harness:countersigned}CountersignedServiceRequest"


def countersign(request: bytes, dcc: Signer) -> bytes:
    """A User's signed request, whole and with its own signature, in an envelope that the DCC signs."""
    envelope = etree.Element(_NAME, nsmap={"cs": etree.QName(_NAME).namespace})
    envelope.append(parse(request))
    return dcc.sign(serialise(envelope))


def countersigned(xml: bytes, dcc: Ring) -> etree._Element:
    """The User's request as a document of its own, once the DCC's signature around it has been verified.

    Raises :class:`SignatureRefused` where it is none by the DCC or holds no request, and
    :class:`ProtocolViolation` where ``xml`` is no XML at all.
    """
    root = parse(xml)
    if root.tag != _NAME:
        raise SignatureRefused("the request is not countersigned")
    dcc.verify(root)
    request = children(root)[0]
    if request.tag != f"{{{SR}}}Request":
        raise SignatureRefused("what is countersigned is no Service Request")
    return as_document(request)
