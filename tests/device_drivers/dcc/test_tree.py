"""XML from outside does no harm; XML from us is compact and in order."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from device_drivers.dcc.tree import RA, as_document, body_element, fragment, moment, parse, text, tree
from harness.domain.errors import ProtocolViolation, UsageError


def test_an_external_entity_is_never_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("never to be seen")
    document = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]><a>&x;</a>'
    with pytest.raises(ProtocolViolation, match="document type declaration"):
        parse(document.encode())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_declaration_is_refused_in_any_encoding(encoding: str) -> None:
    document = (
        f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a/>'
    )
    with pytest.raises(ProtocolViolation):
        parse(document.encode(encoding))


@pytest.mark.parametrize("place", ["<l>&l14;</l>", '<l a="&l14;"/>'])
def test_an_entity_bomb_is_refused_at_once(place: str) -> None:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 15))
    begun = time.monotonic()
    with pytest.raises(ProtocolViolation):
        parse(f'<!DOCTYPE l [<!ENTITY l0 "lol">{entities}]>{place}'.encode())
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    "document", [b"", b"<a>", b"<a/><b/>", b"\xff\xfe", b"<a>" * 5000 + b"</a>" * 5000, b"<a>\x00</a>"]
)
def test_what_is_not_plain_xml_is_a_protocol_violation(document: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        parse(document)


def test_a_comment_does_not_cut_a_value_in_two() -> None:
    assert text(parse(b"<a><b>10<!-- not signed -->00</b></a>"), "b") == "1000"


@pytest.mark.parametrize("document", [b"<a><?x y?></a>", b"<?x y?><a/>", b"<a/><?x y?>"])
def test_a_processing_instruction_is_refused(document: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="processing instruction"):
        parse(document)


@pytest.mark.parametrize("encoding", ["utf-7", "iso-8859-1"])
def test_another_encoding_than_utf_8_is_refused(encoding: str) -> None:
    with pytest.raises(ProtocolViolation, match="encoding"):
        parse(f"<?xml version='1.0' encoding = '{encoding}'?><a/>".encode())


def test_more_tags_than_any_message_has_are_not_even_parsed() -> None:
    with pytest.raises(ProtocolViolation, match="tags"):
        parse(b"<a>" + b"<b/>" * 1_000_001 + b"</a>")


def test_a_deep_tree_is_refused_before_it_is_walked() -> None:
    deep = parse(b"<a>" * 200 + b"</a>" * 200)
    with pytest.raises(ProtocolViolation, match="deeper"):
        tree(deep)


def test_a_body_keeps_the_order_of_its_mapping_and_has_no_white_space() -> None:
    body = {
        "Second": True,
        "First": {"@index": 3, "": Decimal("1.50")},
        "Many": ["a", "b"],
        "Empty": None,
        "When": datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
        "Image": b"\x00\x01",
    }
    xml = fragment(body_element("Body", body)).decode()
    assert xml[xml.index(">") + 1 :] == (
        '<sr:Second>true</sr:Second><sr:First index="3">1.50</sr:First><sr:Many>a</sr:Many>'
        "<sr:Many>b</sr:Many>"
        "<sr:Empty/><sr:When>2025-01-02T03:04:05.000Z</sr:When><sr:Image>AAE=</sr:Image></sr:Body>"
    )


def test_what_is_written_is_read_back() -> None:
    body = {"A": {"B": ["1", "2"], "C": {"@x": "y", "": "text"}}, "D": ""}
    assert tree(body_element("Body", body)) == body


@pytest.mark.parametrize("value", [datetime(2025, 1, 1), object(), "\x00"])
def test_a_value_without_an_xml_form_is_named_by_its_element(value: object) -> None:
    with pytest.raises(UsageError, match="Outer/Inner cannot be written"):
        body_element("Outer", {"Inner": value})


def test_moments_are_utc_and_lose_no_precision() -> None:
    assert moment(datetime(2025, 1, 1, 0, 0, 0, 250, tzinfo=UTC)) == "2025-01-01T00:00:00.000250Z"


def test_an_element_taken_out_has_its_own_namespaces_and_no_others() -> None:
    outer = parse(f'<o xmlns:n="urn:other" xmlns:ra="{RA}"><i xmlns:ra="{RA}"><ra:x/></i>tail</o>'.encode())
    assert fragment(as_document(outer[0])) == f'<i xmlns:ra="{RA}"><ra:x/></i>'.encode()
