"""Who gets in, who does not, and what a meter tells of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device_drivers.dlms import acse, apdu
from device_drivers.dlms.acse import AssociationRequest, AssociationResponse, InitiateError, InitiateRequest
from device_drivers.dlms.ciphering import Keys, unwrap, wrap
from device_drivers.dlms.client import AssociationRefused, ServiceRefused, counter_name
from device_drivers.dlms.counters import FileCounters, MemoryCounters, received_from
from device_drivers.dlms.data import octets
from device_drivers.dlms.refs import REPLY_TO_HLS
from device_drivers.dlms.results import ASSOCIATE_DIAGNOSTICS
from device_drivers.dlms.security import Association, Credentials
from harness.domain.errors import ProtocolViolation

GET_CLOCK = bytes.fromhex("c001c100080000010000ff0200")


def refused_with(client) -> str:
    with pytest.raises(AssociationRefused) as refusal:
        client.open()
    return refusal.value.result


def with_credentials(bench, who, **changes):
    """A client whose credentials differ from what the meter knows."""
    client = bench.client(who)
    changed = replace(bench.credentials[who], **changes)
    return type(client)(client.channel, changed, MemoryCounters())


# --- passwords -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [b"", b"wrong", b"read-me", b"read-me!!", b"READ-ME!"])
def test_a_wrong_password_is_refused_and_reported(bench, password) -> None:
    assert refused_with(with_credentials(bench, "reader", password=password)) == "authentication-failure"
    assert bench.failures == [3]


def test_nothing_is_served_after_a_refusal(bench) -> None:
    channel = bench.channel(3)
    client = with_credentials(bench, "reader", password=b"wrong")
    refused_with(client)
    assert apdu.decode(client._channel.exchange(GET_CLOCK, 1)).state_error == "service-not-allowed"
    assert apdu.decode(channel.exchange(GET_CLOCK, 1)).state_error == "service-not-allowed"


@pytest.mark.parametrize(
    ("sap", "mechanism", "diagnostic"),
    [
        (3, None, "authentication-mechanism-name-required"),
        (3, acse.HIGH_LEVEL_GMAC, "authentication-mechanism-name-not-recognised"),
        (16, acse.LOW_LEVEL, "authentication-mechanism-name-not-recognised"),
    ],
)
def test_another_mechanism_is_refused_by_name(bench, sap, mechanism, diagnostic) -> None:
    request = AssociationRequest(1, b"", mechanism, b"", InitiateRequest(acse.OURS, 0).encode())
    answer = AssociationResponse.decode(bench.channel(sap).exchange(request.encode(), 1))
    assert (answer.result, ASSOCIATE_DIAGNOSTICS[answer.diagnostic]) == (1, diagnostic)


@pytest.mark.parametrize(
    ("initiate", "reason"),
    [
        (InitiateRequest(acse.OURS, 20), "pdu-size-too-short"),
        (InitiateRequest(acse.OURS, 1024, version=5), "dlms-version-too-low"),
        (InitiateRequest(1 << 20, 1024), "incompatible-conformance"),
    ],
)
def test_a_proposal_that_cannot_be_agreed_is_refused_by_name(bench, initiate, reason) -> None:
    request = AssociationRequest(user_information=initiate.encode())
    answer = AssociationResponse.decode(bench.channel(16).exchange(request.encode(), 1))
    assert InitiateError.decode(answer.user_information) == InitiateError(reason)


def test_nobody_answers_at_a_client_address_that_the_meter_does_not_know(bench) -> None:
    assert bench.channel(99).exchange(AssociationRequest().encode(), 1) == b""


# --- keys and challenges -------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["encryption_key", "authentication_key"])
def test_a_wrong_key_is_refused_and_reported(bench, wrong) -> None:
    client = with_credentials(bench, "management", **{wrong: bytes(16)})
    with pytest.raises(ServiceRefused) as refusal:
        client.open()
    assert refusal.value.result == "deciphering-error"
    assert bench.failures == [1]


def test_ciphering_is_not_optional(bench) -> None:
    """Neither for the initiate nor, once in, for a single request."""
    title, _ = bench.titles
    plain = InitiateRequest(acse.OURS, 0).encode()
    request = AssociationRequest(3, title, acse.HIGH_LEVEL_GMAC, bytes(16), plain)
    answer = AssociationResponse.decode(bench.channel(1).exchange(request.encode(), 1))
    assert answer.result == 1
    client = bench.client("management")
    client.open()
    assert apdu.decode(client.channel.exchange(GET_CLOCK, 1)).state_error == "service-not-allowed"


def test_nothing_is_served_before_the_challenge_is_answered(bench) -> None:
    title, _ = bench.titles
    channel, keys = bench.channel(1), Keys(*bench.keys)
    initiate = InitiateRequest(acse.OURS, 0).encode()
    request = AssociationRequest(
        3, title, 5, bytes(16), wrap(initiate, keys.seal(title, 1, initiate), title, general=False)
    )
    assert AssociationResponse.decode(channel.exchange(request.encode(), 1)).result == 0
    sealed = wrap(GET_CLOCK, keys.seal(title, 2, GET_CLOCK), title, general=True)
    assert apdu.decode(channel.exchange(sealed, 1)).state_error == "service-not-allowed"


def test_a_wrong_answer_to_the_challenge_is_refused_and_reported(bench) -> None:
    title, meter = bench.titles
    channel, keys = bench.channel(1), Keys(*bench.keys)
    initiate = InitiateRequest(acse.OURS, 0).encode()
    request = AssociationRequest(
        3, title, 5, bytes(16), wrap(initiate, keys.seal(title, 1, initiate), title, general=False)
    )
    channel.exchange(request.encode(), 1)
    wrong = apdu.encode(
        apdu.ActionRequest(0xC1, REPLY_TO_HLS, octets(keys.sign_challenge(title, 2, b"not theirs")))
    )
    answer = channel.exchange(wrap(wrong, keys.seal(title, 3, wrong), title, general=True), 1)
    assert apdu.decode(unwrap(answer, keys, meter)[1]).result == "other-reason"
    assert bench.failures == [1]
    again = channel.exchange(wrap(wrong, keys.seal(title, 4, wrong), title, general=True), 1)
    assert apdu.decode(again).state_error == "service-not-allowed"


def test_a_meter_may_insist_on_the_clients_title(bench) -> None:
    expected = Association(1, "hls-gmac", b"", *bench.keys, client_title=b"OTHER\x00\x00\x01")
    server = type(bench.server())(bench.meter, {1: expected}, bench.titles[1], bench.counters)
    client = bench.client("management", channel=type(bench.channel(1))(server, 1))
    assert refused_with(client) == "calling-AP-title-not-recognized"


class Tampering:
    """A channel that changes what passes."""

    def __init__(self, inner, change):
        self.inner, self.change, self.count = inner, change, 0

    def send(self, raw: bytes, timeout: float) -> None:
        self.count, self.sent = self.count + 1, raw
        self.inner.send(raw, timeout)

    def receive(self, timeout: float) -> bytes:
        return self.change(self.count, self.sent, self.inner.receive(timeout))

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.mark.parametrize("short", [True, False], ids=["too short", "our own sent back"])
def test_a_challenge_that_proves_nothing_is_not_answered(bench, short) -> None:
    def spoil(count: int, sent: bytes, raw: bytes) -> bytes:
        ours = AssociationRequest.decode(sent).authentication
        return replace(AssociationResponse.decode(raw), authentication=bytes(3) if short else ours).encode()

    client = bench.client("management", channel=Tampering(bench.channel(1), spoil))
    with pytest.raises(ProtocolViolation, match="challenge is too short, or ours sent back"):
        client.open()


def test_a_device_that_answers_our_challenge_wrongly_is_not_believed(bench) -> None:
    keys, (_, meter) = Keys(*bench.keys), bench.titles

    def spoil(count: int, sent: bytes, raw: bytes) -> bytes:
        if count == 1:
            return raw
        wrong = octets(keys.sign_challenge(meter, 900, b"not the challenge"))
        plain = apdu.encode(apdu.ActionResponse(0xC1, "success", wrong))
        return wrap(plain, keys.seal(meter, 901, plain), meter, general=True)

    client = bench.client("management", channel=Tampering(bench.channel(1), spoil))
    with pytest.raises(ProtocolViolation, match="it lacks our keys"):
        client.open()


def test_an_answer_repeated_is_not_believed(bench) -> None:
    kept: list[bytes] = []

    def repeat(count: int, sent: bytes, raw: bytes) -> bytes:
        kept.append(raw)
        return kept[2] if count == 4 else raw

    client = bench.client("management", channel=Tampering(bench.channel(1), repeat))
    client.open()
    client.get(bench.clock)
    with pytest.raises(ProtocolViolation, match="a replay"):
        client.get(bench.register)


def test_an_answer_in_plain_is_not_believed(bench) -> None:
    forged = apdu.encode(apdu.GetResponse(0xC1, octets(b"forged")))
    client = bench.client(
        "management",
        channel=Tampering(bench.channel(1), lambda count, sent, raw: forged if count == 3 else raw),
    )
    client.open()
    with pytest.raises(ProtocolViolation, match="plain APDU in a ciphered association"):
        client.get(bench.note)


# --- counters ------------------------------------------------------------------------------------------


def test_a_replayed_request_is_refused_with_the_counter_that_would_do(bench) -> None:
    client = bench.client("management")
    client.open()
    client.set(bench.note, octets(b"once"))
    recorded = client.channel.sent[-1]
    bench.meter.values[bench.note] = octets(b"since changed")
    answer = apdu.decode(client.channel.exchange(recorded, 1))
    assert (answer.state_error, answer.service_error) == ("service-not-allowed", "invocation-counter-error")
    assert answer.expected_counter == bench.counters.last(received_from(1)) + 1
    assert bench.meter.values[bench.note] == octets(b"since changed")


def test_a_counter_is_not_used_twice_on_another_connection_either(bench) -> None:
    first = bench.client("management")
    first.open()
    first.get(bench.clock)
    again = bench.client("management", counters=MemoryCounters())
    with pytest.raises(ServiceRefused, match="invocation-counter-error, expected 5") as refusal:
        again.open()
    assert (
        refusal.value.expected_counter == 5
    )  # the initiate, the challenge's answer, its APDU, and one reading
    assert bench.failures == []


def test_a_client_behind_its_device_catches_up(bench) -> None:
    bench.counters.raise_to(received_from(1), 5_000)
    counters = MemoryCounters()
    with pytest.raises(ServiceRefused) as refusal:
        bench.client("management", counters=counters).open()
    counters.raise_to(counter_name(bench.credentials["management"]), refusal.value.expected_counter - 1)
    client = bench.client("management", counters=counters)
    client.open()
    assert client.get(bench.note) == octets(b"hello")


def test_neither_end_repeats_a_counter_over_restarts(bench, tmp_path) -> None:
    title, meter = bench.titles
    sent, received = [], []
    for _ in range(3):
        bench.counters = FileCounters(tmp_path / "meter")  # the meter's process starts anew
        client = bench.client("management", counters=FileCounters(tmp_path / "client"))
        client.open()
        client.get(bench.clock)
        sent += [unwrap(raw, Keys(*bench.keys), title)[0] for raw in client.channel.sent if raw[0] == 0xDB]
        received += [
            unwrap(raw, Keys(*bench.keys), meter)[0] for raw in client.channel.received if raw[0] == 0xDB
        ]
    assert sent == sorted(set(sent))
    assert received == sorted(set(received))
    assert len(sent) == 6


def test_a_request_that_does_not_authenticate_uses_up_no_counter(bench) -> None:
    client = bench.client("management")
    client.open()
    before = bench.counters.last(received_from(1))
    forged = wrap(
        GET_CLOCK, Keys(bytes(16), bytes(16)).seal(bench.titles[0], 4_000_000, GET_CLOCK), b"", general=True
    )
    assert apdu.decode(client.channel.exchange(forged, 1)).service_error == "deciphering-error"
    assert bench.counters.last(received_from(1)) == before
    client.get(bench.clock)


# --- secrets -------------------------------------------------------------------------------------------


def test_secrets_do_not_show(bench) -> None:
    shown = (
        repr(bench.credentials)
        + repr(Association(1, "hls-gmac", b"pass", *bench.keys))
        + repr(Keys(*bench.keys))
    )
    request = AssociationRequest(1, b"", 1, bench.password)
    for secret in (bench.password, *bench.keys):
        assert repr(secret) not in shown + repr(request)


@pytest.mark.parametrize(
    ("title", "encryption", "authentication"),
    [(b"short", bytes(16), bytes(16)), (bytes(8), bytes(15), bytes(16)), (bytes(8), bytes(16), b"")],
)
def test_keys_of_another_length_are_refused_at_once(title, encryption, authentication) -> None:
    with pytest.raises(ValueError, match=r"has (8|16) bytes, found"):
        Credentials("hls-gmac", 1, 1, title, b"", encryption, authentication)
