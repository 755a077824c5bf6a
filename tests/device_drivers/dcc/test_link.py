"""The link over real TLS sockets: order, durability, what it takes in and what it says no to."""

from __future__ import annotations

import gzip
import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from device_drivers.dcc.book import MessageBook
from device_drivers.dcc.duis import RequestId, ResponseMessage
from device_drivers.dcc.http import BODY_LIMIT
from device_drivers.dcc.identities import named_identities, simulated_identities, simulated_pki
from device_drivers.dcc.inspection import Inspector
from device_drivers.dcc.link import Link
from device_drivers.dcc.pki import client_context
from device_drivers.dcc.tree import parse
from harness.domain.errors import ConfigurationError, LinkLost, UsageError
from harness.domain.faults import Fault, Place, Point
from harness.domain.lab import Lab

XML = {"Content-Type": "application/xml"}


@pytest.fixture
def outside(dcc: Any) -> Iterator[httpx.Client]:
    """The DCC's end of the connection to the lab's receive endpoint."""
    pki = simulated_pki(dcc.lab)
    with httpx.Client(verify=client_context(pki.tls_authority, pki.tls("gateway"))) as client:
        yield client


def delivered_response(dcc: Any) -> bytes:
    """The response to a read, as it arrived."""
    sent = dcc.send("4.1.1")
    dcc.settle()
    received = dcc.link.mailbox.response(sent.ticket)
    assert received is not None
    return bytes(received.xml)


def test_a_request_is_acknowledged_and_its_response_arrives(dcc: Any) -> None:
    sent = dcc.send("4.1.1")
    assert ResponseMessage.read(parse(sent.answer)).code == "I99"
    assert (sent.awaited, sent.problems) == (True, ())
    dcc.settle()
    received = dcc.link.mailbox.response(sent.ticket)
    assert (received.code, received.problems, received.stray) == ("I0", (), "")


def test_eight_threads_reach_the_gateway_in_counter_order(open_dcc: Callable[..., Any], dcc_lab: Lab) -> None:
    order: list[int] = []

    def watch(seen: Any) -> Any:
        order.append(seen.value.request_id.counter)
        return seen.value

    watching = Fault("watch", Place.GATEWAY, Point.REQUEST, "", watch)
    dcc = open_dcc(dcc_lab, watching)
    sent: list[Any] = []
    threads = [
        threading.Thread(target=lambda: sent.extend(dcc.send("4.1.1") for _ in range(8))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dcc.settle()
    assert len(order) == 64
    assert order == sorted(set(order))
    assert [dcc.link.mailbox.response(each.ticket).request_id for each in sent] == [
        s.request_id for s in sent
    ]


def test_a_second_run_goes_on_where_the_first_stopped(open_dcc: Callable[..., Any], dcc_lab: Lab) -> None:
    first = RequestId.parse(open_dcc(dcc_lab).send("4.1.1").request_id)
    again = open_dcc(dcc_lab)
    assert again.code("4.1.1", counter="replayed") == "E100"  # the DCC remembers the first run
    assert RequestId.parse(again.send("4.1.1").request_id).counter > first.counter


@pytest.mark.parametrize("how", ["replayed", "lowered"])
def test_no_counter_is_old_to_a_dcc_that_has_accepted_none(dcc: Any, how: str) -> None:
    with pytest.raises(UsageError, match=rf"can be {how}: .* accepted is 0 \(have an honest request"):
        dcc.send("4.1.1", counter=how)
    assert dcc.code("4.1.1") == "I99"
    assert dcc.code("4.1.1", counter=how) == "E100"


def test_a_gateway_that_is_gone_is_a_lost_link(dcc: Any) -> None:
    dcc.link.disconnect()
    dcc.gateway_server.close()
    dcc.link.connect(f"https://127.0.0.1:{dcc.gateway_server.port}")
    with pytest.raises(LinkLost, match="gave no answer to POST /api/v1/serviceS"):
        dcc.send("4.1.1")


def test_a_gateway_with_a_certificate_of_another_lab_is_not_spoken_to(
    open_dcc: Callable[..., Any], dcc_lab: Lab, tmp_path: Path
) -> None:
    dcc = open_dcc(dcc_lab)
    other = simulated_identities(replace(dcc_lab, state=tmp_path / "other"))
    link = Link(dcc_lab, other, tmp_path / "dcc2")
    try:
        link.connect(f"https://127.0.0.1:{dcc.gateway_server.port}")
        dcc.link, ours = link, dcc.link
        with pytest.raises(LinkLost, match="CERTIFICATE_VERIFY_FAILED"):
            dcc.send("4.1.1")
        dcc.link = ours
    finally:
        link.close()


def test_an_srv_that_the_dcc_does_not_serve_is_a_fault_of_the_lab(dcc: Any) -> None:
    with pytest.raises(LinkLost, match=r"HTTP 501.*does not serve SRV 12.1"):
        dcc.send("12.1", {"UPRN": "1"})


def test_a_role_without_identity_and_an_unknown_srv_are_told(dcc: Any) -> None:
    lab = replace(dcc.lab, dcc=replace(dcc.lab.dcc, users=dcc.lab.dcc.users[:1]))
    with pytest.raises(UsageError, match="no User identity in role GS"):
        simulated_identities(lab).user("GS")


def test_a_compressed_response_is_taken(dcc: Any, outside: httpx.Client) -> None:
    packed = gzip.compress(delivered_response(dcc))
    answer = outside.post(dcc.link.receive_url, content=packed, headers=XML | {"Content-Encoding": "gzip"})
    assert answer.status_code == 204


def test_a_response_that_unpacks_without_end_is_refused(dcc: Any, outside: httpx.Client) -> None:
    bomb = gzip.compress(b"<a>" + b" " * (BODY_LIMIT + 1) + b"</a>")
    assert len(bomb) < 100_000
    answer = outside.post(dcc.link.receive_url, content=bomb, headers=XML | {"Content-Encoding": "gzip"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b" " * (BODY_LIMIT + 1), XML, 413),
        (b"not packed", XML | {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"<a/>", mtime=0)[:-4], XML | {"Content-Encoding": "gzip"}, 400),
        (b"<a/>", XML | {"Content-Encoding": "br"}, 415),
        (b"<a/>", {"Content-Type": "text/html"}, 415),
        (b"<a/>", XML, 400),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', XML, 400),
    ],
)
def test_what_is_no_message_is_refused(
    dcc: Any, outside: httpx.Client, content: bytes, headers: dict[str, str], status: int
) -> None:
    assert outside.post(dcc.link.receive_url, content=content, headers=headers).status_code == status


def test_only_the_dcc_may_reach_the_receive_endpoint(dcc: Any) -> None:
    pki = simulated_pki(dcc.lab)
    with (
        httpx.Client(verify=client_context(pki.tls_authority, None)) as nobody,
        pytest.raises(httpx.TransportError),
    ):
        nobody.post(dcc.link.receive_url, content=b"<a/>", headers=XML)


def test_a_changed_response_is_refused_and_kept(dcc: Any, outside: httpx.Client) -> None:
    changed = delivered_response(dcc).replace(b'MessageSuccess="true"', b'MessageSuccess="false"')
    answer = outside.post(dcc.link.receive_url, content=changed, headers=XML)
    assert answer.status_code == 400
    assert "signature of the DCC" in answer.text
    assert "signature of the S1SP" in answer.text
    (stray,) = dcc.link.mailbox.strays([dcc.esme], 0)
    assert (stray.xml, len(stray.problems)) == (changed, 2)


def test_an_unsigned_response_is_refused_unless_it_is_a_refusal(dcc: Any, spec: Path) -> None:
    inspector = Inspector(simulated_identities(dcc.lab), dcc.lab.dcc.schemas)
    unsigned = (spec / "samples" / "acknowledgement-error-dccboxed.xml").read_bytes()
    assert inspector.inspect(unsigned).problems == ()
    success = inspector.inspect(unsigned.replace(b"E65", b"I99"))
    assert success.problems == ("signature of the DCC: the message is not signed",)


def test_every_message_of_a_run_is_in_its_book_and_valid(dcc: Any, outside: httpx.Client) -> None:
    dcc.send("4.1.1")
    dcc.code("4.1.1", signature="broken")
    dcc.code("8.2", {"DeviceID": dcc.esme})
    dcc.settle()
    book = [json.loads(line) for line in (dcc.folder / "messages.jsonl").read_text().splitlines()]
    assert sorted(entry["kind"] for entry in book) == ["answer"] * 3 + ["request"] * 3 + ["response"]
    inspector = Inspector(simulated_identities(dcc.lab), dcc.lab.dcc.schemas)
    for entry in book:
        if entry["kind"] != "request":
            assert inspector.inspect(entry["xml"].encode()).problems == ()


def test_a_stray_is_written_down_with_the_line_of_its_message(dcc: Any, outside: httpx.Client) -> None:
    response = delivered_response(dcc)
    outside.post(dcc.link.receive_url, content=response, headers=XML)
    outside.post(dcc.link.receive_url, content=b"<nothing/>", headers=XML)
    again, unread = [json.loads(line) for line in (dcc.folder / "strays.jsonl").read_text().splitlines()]
    assert (again["why"], again["devices"]) == ("answers a request that has been answered", [dcc.esme])
    assert (unread["why"], unread["devices"]) == ("cannot be read, or answers nothing", [])
    assert unread["problems"]
    book = (dcc.folder / "messages.jsonl").read_text().splitlines()
    assert json.loads(book[again["line"] - 1])["xml"].encode() == response
    assert json.loads(book[unread["line"] - 1])["xml"] == "<nothing/>"


def test_a_book_that_is_opened_again_counts_its_lines_on(tmp_path: Path) -> None:
    for line in (1, 2):
        book = MessageBook(tmp_path)
        assert book.write("request", b"<a/>") == line
        book.close()
    assert not (tmp_path / "strays.jsonl").exists()


def test_a_lab_outside_takes_its_keys_from_references(dcc_lab: Lab, tmp_path: Path) -> None:
    pki = simulated_pki(dcc_lab)
    pair = pki.user("IS", dcc_lab.dcc.users[0].eui)
    (tmp_path / "is.key").touch(mode=0o600)
    (tmp_path / "is.key").write_bytes(pair.key)
    (tmp_path / "is.pem").write_bytes(pair.certificate)
    user = replace(dcc_lab.dcc.users[0], key="file:is.key", certificate="file:is.pem")
    tls = dict(zip(("certificate", "key"), (f"file:{path}" for path in pki.tls("user")), strict=True))
    link = replace(
        dcc_lab.dcc,
        gateway="https://127.0.0.1:1",
        users=(user,),
        trust={"acb": "file:is.pem"},
        tls=tls | {"ca": f"file:{pki.tls_authority}"},
    )
    lab = replace(dcc_lab, file=tmp_path / "lab.yaml", dcc=link)
    identities = named_identities(lab)
    signed = identities.user("IS").signer.sign(b"<a/>")
    assert identities.dcc.verify(parse(signed)).name == "acb"
    assert identities.to_gateway is not None
    assert identities.to_receive is not None
    assert identities.to_receive.verify_mode is ssl.CERT_REQUIRED
    for name in link.tls:
        rest = {other: reference for other, reference in link.tls.items() if other != name}
        with pytest.raises(ConfigurationError, match=rf"https, and dcc\.tls names no {name} \("):
            named_identities(replace(lab, dcc=replace(link, tls=rest)))


@pytest.mark.parametrize("open_to_others", ["is.key", "tls.key"])
def test_a_key_that_others_may_read_is_refused(dcc_lab: Lab, tmp_path: Path, open_to_others: str) -> None:
    pki = simulated_pki(dcc_lab)
    pair, (certificate, key) = pki.user("IS", dcc_lab.dcc.users[0].eui), pki.tls("user")
    for name, content in {
        "is.key": pair.key,
        "is.pem": pair.certificate,
        "tls.key": key.read_bytes(),
    }.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o644 if name in {open_to_others, "is.pem"} else 0o600)
    link = replace(
        dcc_lab.dcc,
        gateway="https://127.0.0.1:1",
        users=(replace(dcc_lab.dcc.users[0], key="file:is.key", certificate="file:is.pem"),),
        tls={"ca": f"file:{pki.tls_authority}", "certificate": f"file:{certificate}", "key": "file:tls.key"},
    )
    with pytest.raises(ConfigurationError, match=rf"{open_to_others} can be read by others \(mode 644\)"):
        named_identities(replace(dcc_lab, file=tmp_path / "lab.yaml", dcc=link))


def test_a_receive_port_that_is_taken_is_a_configuration_error(dcc: Any, tmp_path: Path) -> None:
    taken = replace(dcc.lab, dcc=replace(dcc.lab.dcc, receive=dcc.link.receive_url.split("/")[2]))
    with pytest.raises(ConfigurationError, match="cannot listen on"):
        Link(taken, simulated_identities(taken), tmp_path / "second")


def test_a_line_that_a_kill_has_torn_off_does_not_spoil_the_one_after_it(tmp_path: Path) -> None:
    for name in ("messages.jsonl", "strays.jsonl"):
        (tmp_path / name).write_text('{"kind": "request"}\n{"kind": "requ')
    book = MessageBook(tmp_path)
    assert book.write("alert", b"<a/>") == 3
    book.close()
    lines = (tmp_path / "messages.jsonl").read_text().splitlines()
    assert lines[1] == '{"kind": "requ'
    assert json.loads(lines[2])["xml"] == "<a/>"
    assert (tmp_path / "strays.jsonl").read_text().endswith("\n")


def test_a_request_of_before_a_restart_is_refused_by_the_gateway(
    open_dcc: Callable[..., Any], dcc_lab: Lab, outside: httpx.Client
) -> None:
    sent = open_dcc(dcc_lab).send("4.1.1")
    assert sent.awaited
    restarted = open_dcc(dcc_lab)
    url = f"https://{restarted.gateway_server.host}:{restarted.gateway_server.port}/api/v1/serviceS"
    answer = outside.post(url, content=sent.request, headers=XML)
    assert "E100" in answer.text
    assert restarted.s1sp.asked == []


def test_what_a_test_posts_itself_is_marked_as_forged(dcc: Any, outside: httpx.Client) -> None:
    response = delivered_response(dcc)
    forged = response.replace(b'MessageSuccess="true"', b'MessageSuccess="false"')
    dcc.link.expect_forged(hashlib.sha256(forged).hexdigest())
    for message in (response, forged):
        outside.post(dcc.link.receive_url, content=message, headers=XML)
    dcc.link.note_forged(b"\xff", "serviceS", 415, b"no")
    kept = [json.loads(line) for line in (dcc.folder / "messages.jsonl").read_text().splitlines()]
    assert [entry["forged"] for entry in kept if entry["kind"] == "response"] == [False, False, True]
    assert [(entry["kind"], entry["request_id"]) for entry in kept[-2:]] == [
        ("request", "misuse-1"),
        ("answer", "misuse-1"),
    ]
