"""Requests that are wrong on purpose: :class:`~harness.domain.misuse.Alteration` by alteration.

Each takes a :class:`Draft` and gives what is sent. Weaknesses that they look for are those known of XML
signatures (wrapping, downgrade, keys that come along) and of XML itself (entities, comments, size).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

import xmlsec
from lxml import etree

from device_drivers.dcc.pki import stranger
from device_drivers.dcc.signature import Signer, template
from device_drivers.dcc.tree import DS, SR, children, find, parse, serialise
from harness.domain.errors import UsageError
from harness.domain.misuse import Alteration

_EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_SHA1: Final = "http://www.w3.org/2000/09/xmldsig#sha1"
_XPATH: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_HMAC_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
_VALUE: Final = re.compile(r"\d+")
_DEEP: Final = 200
_TAGS: Final = 1_000_001


@dataclass(frozen=True, slots=True)
class Draft:
    """A request that has not been signed, who would sign it, and what an alteration needs to know beside."""

    xml: bytes
    signer: Signer
    originator: str  # EUI-64
    detail: str = ""

    def signed(self) -> etree._Element:
        """The request as it should be sent."""
        return parse(self.signer.sign(self.xml))


def forged(alteration: str, draft: Draft) -> bytes:
    """What is sent; :class:`UsageError` for an alteration that nobody knows or the request cannot have."""
    if alteration not in _FORGERS:
        raise UsageError(f"no such alteration of a request: {alteration!r}")
    return _FORGERS[alteration](draft)


def broken(signed: bytes) -> bytes:
    """The message with the first character of its signature value changed."""
    root = parse(signed)
    value = _part(root, "SignatureValue")
    text = value.text or ""
    value.text = ("A" if text[0] != "A" else "B") + text[1:]
    return serialise(root)


def _part(root: etree._Element, name: str) -> etree._Element:
    """A part of the signature, the last where there are several."""
    return list(root.iter(f"{{{DS}}}{name}"))[-1]


def _value(root: etree._Element) -> etree._Element:
    """The first element of the body whose text has a number in it."""
    body = find(root, "Body")
    for node in () if body is None else body.iter("*"):
        if _VALUE.search(node.text or ""):
            return node
    raise UsageError("an alteration of a value needs a request whose body has a number in it")


def _change_value(root: etree._Element) -> None:
    node = _value(root)
    node.text = _VALUE.sub(lambda found: f"{int(found[0]) + 1:0{len(found[0])}}", node.text or "", count=1)


# What was signed is not what is sent


def _body_changed(draft: Draft) -> bytes:
    root = draft.signed()
    _change_value(root)
    return serialise(root)


def _counter_changed(draft: Draft) -> bytes:
    root = draft.signed()
    request_id = find(root, "Header", "RequestID")
    assert request_id is not None
    head, _, counter = (request_id.text or "").rpartition(":")
    request_id.text = f"{head}:{int(counter) + 1}"
    return serialise(root)


def _digest_fitted(draft: Draft) -> bytes:
    root = draft.signed()
    _change_value(root)
    bare = deepcopy(root)
    bare.remove(children(bare)[-1])
    digest = hashlib.sha256(etree.tostring(bare, method="c14n")).digest()
    _part(root, "DigestValue").text = base64.b64encode(digest).decode()
    return serialise(root)


def _bit_flipped(draft: Draft) -> bytes:
    root = draft.signed()
    value = _part(root, "SignatureValue")
    raw = bytearray(base64.b64decode(value.text or ""))
    raw[-1] ^= 1
    value.text = base64.b64encode(raw).decode()
    return serialise(root)


# More or less than one signature, or not in its place


def _signed_twice(draft: Draft) -> bytes:
    root = draft.signed()
    root.append(deepcopy(children(root)[-1]))
    return serialise(root)


def _stranger_first(draft: Draft) -> bytes:
    root = draft.signed()
    pair = stranger(draft.originator)
    other = parse(Signer(pair.key, pair.certificate).sign(draft.xml))
    children(root)[-1].addprevious(children(other)[-1])
    return serialise(root)


def _signature_first(draft: Draft) -> bytes:
    root = draft.signed()
    root.insert(0, children(root)[-1])
    return serialise(root)


def _signature_in_body(draft: Draft) -> bytes:
    root = draft.signed()
    _body(root).append(children(root)[-1])
    return serialise(root)


def _body(root: etree._Element) -> etree._Element:
    body = find(root, "Body")
    assert body is not None
    return body


# Signature wrapping


def _another(draft: Draft) -> etree._Element:
    """The request that the wrapping is to smuggle in: unsigned, with another value."""
    root = parse(draft.xml)
    _change_value(root)
    return root


def _original_in_body(draft: Draft) -> bytes:
    root = _another(draft)
    children(_body(root))[0].append(draft.signed())
    return serialise(root)


def _original_in_signature(draft: Draft) -> bytes:
    root, original = _another(draft), draft.signed()
    signature = children(original)[-1]
    root.append(signature)
    etree.SubElement(signature, f"{{{DS}}}Object").append(original)
    return serialise(root)


def _original_at_end(draft: Draft) -> bytes:
    root = _another(draft)
    root.append(draft.signed())
    return serialise(root)


def _body_beside(draft: Draft) -> bytes:
    root = draft.signed()
    _body(root).addprevious(_body(_another(draft)))
    return serialise(root)


# Other algorithms and keys


def _sha1_digest(draft: Draft) -> bytes:
    signature = template()
    _part(signature, "DigestMethod").set("Algorithm", _SHA1)
    return _completed(draft, signature)


def _transformed(draft: Draft, algorithm: str, expression: str = "") -> bytes:
    signature = template()
    transform = etree.SubElement(
        _part(signature, "Transforms"), f"{{{DS}}}Transform", {"Algorithm": algorithm}
    )
    if expression:
        etree.SubElement(transform, f"{{{DS}}}XPath", nsmap={"sr": SR}).text = expression
    return _completed(draft, signature)


def _xpath(draft: Draft) -> bytes:
    root = parse(_transformed(draft, _XPATH, "not(ancestor-or-self::sr:Body)"))
    _change_value(root)
    return serialise(root)


def _embedded_key(draft: Draft) -> bytes:
    """Signed by a stranger, under the name of the right certificate, with the stranger's beside it."""
    pair = stranger(draft.originator)
    signature = template()
    lines = pair.certificate.decode().strip().splitlines()[1:-1]
    etree.SubElement(_part(signature, "X509Data"), f"{{{DS}}}X509Certificate").text = "".join(lines)
    key = xmlsec.Key.from_memory(pair.key, xmlsec.constants.KeyDataFormatPem)
    root = parse(draft.xml)
    draft.signer.complete(root, signature, key)
    return serialise(root)


def _hmac(draft: Draft) -> bytes:
    """The certificate, which everybody has, as the secret."""
    signature = template()
    _part(signature, "SignatureMethod").set("Algorithm", _HMAC_SHA256)
    root = parse(draft.xml)
    draft.signer.complete(
        root, signature, xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, draft.signer.certificate)
    )
    return serialise(root)


def _completed(draft: Draft, signature: etree._Element) -> bytes:
    root = parse(draft.xml)
    draft.signer.complete(root, signature)
    return serialise(root)


# XML. These are signed rightly: who unfolds them comes to what was signed


def _comment(draft: Draft) -> bytes:
    """The value in two: who reads the text before the comment reads another number."""
    return _with_value(draft, lambda value: f"{value[:-1]}<!-- -->{value[-1:]}")


def _instruction(draft: Draft) -> bytes:
    return _with_value(draft, lambda value: f"{value[:-1]}<?x y?>{value[-1:]}")


def _entity(draft: Draft) -> bytes:
    value = _value(parse(draft.xml)).text
    return _with_type(_with_value(draft, lambda _: "&v;"), f'<!ENTITY v "{value}">')


def _external_entity(draft: Draft) -> bytes:
    return _with_type(_with_value(draft, lambda _: "&v;"), f'<!ENTITY v SYSTEM "{draft.detail}">')


def _external_subset(draft: Draft) -> bytes:
    declaration = f'<!DOCTYPE sr:Request SYSTEM "{draft.detail}">'.encode()
    return serialise(draft.signed()).replace(b"?>", b"?>" + declaration, 1)


def _entity_bomb(draft: Draft) -> bytes:
    unfolding = "".join(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 10))
    return _with_type(_with_value(draft, lambda _: "&b9;"), f'<!ENTITY b0 "0">{unfolding}')


def _quadratic_bomb(draft: Draft) -> bytes:
    return _with_type(_with_value(draft, lambda _: "&v;" * 1_000), f'<!ENTITY v "{"0" * 100_000}">')


def _utf_16(draft: Draft) -> bytes:
    return serialise(draft.signed()).decode().replace("UTF-8", "UTF-16", 1).encode("utf-16")


def _deep(draft: Draft) -> bytes:
    root = parse(draft.xml)
    node = children(_body(root))[0]
    for _ in range(_DEEP):
        node = etree.SubElement(node, f"{{{SR}}}Deeper")
    return draft.signer.sign(serialise(root))


def _many_tags(draft: Draft) -> bytes:
    return serialise(draft.signed()).replace(b"</sr:Body>", b"<sr:x/>" * _TAGS + b"</sr:Body>")


def _with_value(draft: Draft, written: Callable[[str], str]) -> bytes:
    """The signed request with its value written otherwise; not parsed again."""
    root = draft.signed()
    node = _value(root)
    value, node.text = node.text or "", "VALUE"
    return serialise(root).replace(b">VALUE<", b">" + written(value).encode() + b"<")


def _with_type(xml: bytes, declarations: str) -> bytes:
    return xml.replace(b"?>", b"?>" + f"<!DOCTYPE sr:Request [{declarations}]>".encode(), 1)


_FORGERS: Final[Mapping[str, Callable[[Draft], bytes]]] = {
    Alteration.BODY_CHANGED: _body_changed,
    Alteration.COUNTER_CHANGED: _counter_changed,
    Alteration.DIGEST_FITTED: _digest_fitted,
    Alteration.BIT_FLIPPED: _bit_flipped,
    Alteration.SIGNED_TWICE: _signed_twice,
    Alteration.STRANGER_FIRST: _stranger_first,
    Alteration.SIGNATURE_FIRST: _signature_first,
    Alteration.SIGNATURE_IN_BODY: _signature_in_body,
    Alteration.ORIGINAL_IN_BODY: _original_in_body,
    Alteration.ORIGINAL_IN_SIGNATURE: _original_in_signature,
    Alteration.ORIGINAL_AT_END: _original_at_end,
    Alteration.BODY_BESIDE: _body_beside,
    Alteration.SHA1_DIGEST: _sha1_digest,
    Alteration.EXCLUSIVE: lambda draft: _transformed(draft, _EXCLUSIVE),
    Alteration.XPATH: _xpath,
    Alteration.EMBEDDED_KEY: _embedded_key,
    Alteration.HMAC: _hmac,
    Alteration.COMMENT: _comment,
    Alteration.INSTRUCTION: _instruction,
    Alteration.ENTITY: _entity,
    Alteration.EXTERNAL_ENTITY: _external_entity,
    Alteration.EXTERNAL_SUBSET: _external_subset,
    Alteration.ENTITY_BOMB: _entity_bomb,
    Alteration.QUADRATIC_BOMB: _quadratic_bomb,
    Alteration.UTF_16: _utf_16,
    Alteration.DEEP: _deep,
    Alteration.MANY_TAGS: _many_tags,
}
