"""XML as the DCC interface needs it: parsed without entities or network, written without white space.

>>> root = body_element("UpdateDebt", {"Debt": {"@index": 1, "": 500}, "Paid": True})
>>> tree(root)
{'Debt': {'@index': '1', '': '500'}, 'Paid': 'true'}
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

from lxml import etree

from harness.domain.errors import ProtocolViolation, UsageError
from harness.domain.instruments import Body

SR: Final = "http://www.dccinterface.co.uk/ServiceUserGateway"
RA: Final = "http://www.dccinterface.co.uk/ResponseAndAlert"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_PREFIXES: Final = {"sr": SR, "ra": RA}
_DEPTH: Final = 64  # the deepest message of the schema has fewer than twenty levels
_TAGS: Final = 1_000_000  # a profile of 13 months has 120,000
_UTF_16_OR_32: Final = re.compile(rb"\xfe\xff|\xff\xfe|.{0,3}\x00", re.DOTALL)
_ENCODING: Final = re.compile(rb"<\?xml[^>]{0,100}?\sencoding\s*=\s*[\"']([^\"']{1,40})")


def parse(xml: bytes) -> etree._Element:
    """The root of a document from outside; :class:`ProtocolViolation` where it is not plain XML in UTF-8.

    A document type declaration is refused whole, before anything is parsed: no DUIS message has one, and
    every entity attack needs one. Comments are left out: a signature does not cover them, and one inside a
    value would cut it in two. Processing instructions are refused.
    """
    if problem := _not_plain(xml):
        raise ProtocolViolation(f"the message {problem}, which no DUIS message may have")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
    )
    try:
        root = etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ProtocolViolation(f"the message is not well-formed XML: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise ProtocolViolation("the message has a document type declaration, which no DUIS message may have")
    beside = (root.getprevious(), root.getnext())  # comments are gone: what stands there is an instruction
    if any(node is not None for node in (*beside, next(root.iter(etree.ProcessingInstruction), None))):
        raise ProtocolViolation("the message has a processing instruction, which no DUIS message may have")
    return root


def _not_plain(xml: bytes) -> str:
    """What a document has that makes it unfit to be parsed at all, or nothing."""
    if b"<!DOCTYPE" in xml:
        return "has a document type declaration"
    named = _ENCODING.match(xml.lstrip(b"\xef\xbb\xbf \t\r\n"))
    if _UTF_16_OR_32.match(xml) or (named and named[1].upper() not in {b"UTF-8", b"US-ASCII"}):
        return "has another encoding than UTF-8"
    if xml.count(b"<") > _TAGS:
        return f"has more than {_TAGS:,} tags"
    return ""


def serialise(root: etree._Element) -> bytes:
    """The whole document, compact, with an XML declaration."""
    return etree.tostring(root.getroottree(), xml_declaration=True, encoding="UTF-8")


def fragment(element: etree._Element) -> bytes:
    """One element on its own, without an XML declaration."""
    return etree.tostring(element, encoding="UTF-8", xml_declaration=False, with_tail=False)


def as_document(element: etree._Element) -> etree._Element:
    """A copy of the element as the root of a document of its own, with the namespaces that it uses."""
    copied = deepcopy(element)
    copied.tail = None
    return copied


def local_name(element: etree._Element) -> str:
    """The element's name without its namespace."""
    return etree.QName(element).localname


def children(element: etree._Element) -> list[etree._Element]:
    """Child elements; comments and processing instructions are no content."""
    return list(element.iterchildren("*"))


def find(element: etree._Element, *names: str) -> etree._Element | None:
    """The element at a path of local names, whatever prefix it was written with."""
    node: etree._Element | None = element
    for name in names:
        if node is None:
            return None
        node = next((child for child in children(node) if local_name(child) == name), None)
    return node


def text(element: etree._Element, *names: str) -> str:
    """The text at a path of local names; :class:`ProtocolViolation` where there is no such element."""
    found = find(element, *names)
    if found is None:
        raise ProtocolViolation(f"the message has no {'/'.join(names)} in its {local_name(element)}")
    return (found.text or "").strip()


def element(namespace: str, name: str, body: Body | Any = None) -> etree._Element:
    """An element and what is below it, all in one namespace; ``body`` as :data:`Body` describes it."""
    node = etree.Element(f"{{{namespace}}}{name}", nsmap=_PREFIXES)
    _fill(node, namespace, name, body)
    return node


def body_element(name: str, body: Body) -> etree._Element:
    """A DUIS request body element."""
    return element(SR, name, body)


def tree(root: etree._Element) -> dict[str, Any]:
    """What is below an element, as :class:`~harness.domain.payload.Payload` reads it."""
    content = _content(root, 0)
    return content if isinstance(content, dict) else {"": content} if content else {}


def _fill(node: etree._Element, namespace: str, path: str, value: Any) -> None:
    try:
        if not isinstance(value, Mapping):
            node.text = _text(value)
            return
        for name, content in value.items():
            if name.startswith("@"):
                node.set(name[1:], _text(content) or "")
            elif not name:
                node.text = _text(content)
            else:
                for item in content if isinstance(content, list | tuple) else [content]:
                    child = etree.SubElement(node, f"{{{namespace}}}{name}")
                    _fill(child, namespace, f"{path}/{name}", item)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} cannot be written as XML: {error}") from None


def _text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case datetime():
            return moment(value)
        case date() | time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case Decimal():
            return f"{value:f}"
        case str() | int() | float():
            return str(value)
        case _:
            raise TypeError(f"a {type(value).__name__} has no XML form")


def moment(value: datetime) -> str:
    """An aware moment as DUIS writes it: UTC with ``Z``, in milliseconds unless it is finer."""
    if value.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    utc = value.astimezone(UTC)
    finest = "microseconds" if utc.microsecond % 1000 else "milliseconds"
    return utc.isoformat(timespec=finest).replace("+00:00", "Z")


def _content(node: etree._Element, depth: int) -> Any:
    if depth > _DEPTH:
        raise ProtocolViolation(f"the message is nested deeper than {_DEPTH} elements")
    below = children(node)
    own = (node.text or "").strip()
    if not below and not node.attrib:
        return own
    content: dict[str, Any] = {
        f"@{etree.QName(name).localname}": value for name, value in node.attrib.items()
    }
    for child in below:
        _add(content, local_name(child), _content(child, depth + 1))
    if own or not below:
        content[""] = own
    return content


def _add(content: dict[str, Any], name: str, value: Any) -> None:
    if name not in content:
        content[name] = value
    elif isinstance(content[name], list):
        content[name].append(value)
    else:
        content[name] = [content[name], value]
