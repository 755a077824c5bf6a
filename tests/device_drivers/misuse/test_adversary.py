"""The adversary at the doors of a DCC link: what is let in, what is not, and what only a lab of twins has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from device_drivers.misuse.adversary import LabAdversary
from device_drivers.named.device import NoTrace
from harness.domain.errors import LabFault, LinkLost, UsageError
from harness.domain.words import DeviceType
from harness.hooks import unfenced


@pytest.fixture
def adversary(dcc: Any) -> Iterator[LabAdversary]:
    """At a rig whose devices have no doors, as if it were a physical one whose lab file is not finished."""
    rig: Any = SimpleNamespace(rig=dcc.lab.rigs[0], controller=None)
    gateway = f"https://{dcc.gateway_server.host}:{dcc.gateway_server.port}"
    services = {**dcc.services, "gateway": gateway, "receive": dcc.link.receive_url}
    adversary = LabAdversary(dcc.lab, rig, services, NoTrace(), unfenced)
    yield adversary
    adversary.close()


def kept(dcc: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (dcc.folder / "messages.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("door", ["gateway", "receive"])
def test_each_door_takes_the_right_certificate_and_no_other(adversary: LabAdversary, door: str) -> None:
    assert adversary.shake_hands(door) == ""
    for certificate in ("none", "stranger", "expired", "early"):
        assert adversary.shake_hands(door, certificate=certificate), certificate


def test_an_offer_of_too_little_security_is_turned_down_by_the_door(adversary: LabAdversary) -> None:
    for offer in ({"version": "TLSv1.1"}, {"ciphers": "AES128-SHA"}):
        why = adversary.shake_hands("gateway", **offer)
        assert why, offer
        assert "NO_" not in why, why  # we had it to offer: it was the door that ended it


def test_our_user_finds_out_who_is_no_gateway(adversary: LabAdversary) -> None:
    for certificate in ("stranger", "expired", "early"):
        assert "CERTIFICATE_VERIFY_FAILED" in adversary.pose_as_gateway(certificate)


def test_what_it_posts_is_in_the_book_as_forged(adversary: LabAdversary, dcc: Any) -> None:
    assert adversary.post(b"<a/>").status == 400
    assert adversary.post(b"<a/>", path="/nowhere").status == 404
    assert adversary.talk(b"no HTTP at all\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert [entry["forged"] for entry in kept(dcc)] == [True] * 6


def test_a_message_of_the_dcc_made_wrong_is_refused(adversary: LabAdversary, dcc: Any) -> None:
    sent = dcc.send("4.1.1")
    dcc.settle()
    response = dcc.link.mailbox.response(sent.ticket).xml
    for how in ("unsigned", "refusal", "stranger", "changed", "inner changed"):
        assert adversary.deliver(adversary.forge(response, how)).status == 400, how
    assert adversary.deliver(adversary.forge(response, "another request")).status == 204  # and nobody has it
    assert len(dcc.link.mailbox.strays([dcc.esme], 0)) == 6


def test_a_gateway_that_is_gone_is_a_lost_link(adversary: LabAdversary, dcc: Any) -> None:
    dcc.gateway_server.close()
    with pytest.raises(LinkLost, match="nobody listens"):
        adversary.post(b"<a/>")


def test_a_trap_counts_its_visitors(adversary: LabAdversary) -> None:
    import urllib.request

    with adversary.trap("bait") as trap:
        assert trap.visits == 0
        with urllib.request.urlopen(trap.url) as found:
            assert found.read() == b"bait"
        with urllib.request.urlopen(trap.file) as found:
            assert found.read() == b"bait"
        assert trap.visits == 1


def test_what_takes_twins_or_a_second_way_in_blocks_where_there_is_none(adversary: LabAdversary) -> None:
    device: Any = SimpleNamespace(device_id="00-DB-12-34-56-78-90-A0", device_type=DeviceType.ESME)
    for misuse in (
        lambda: adversary.join(device.device_id),
        lambda: adversary.pose_as_hub(device),
        lambda: adversary.knock(device, "plain"),
        lambda: adversary.babble(device, [b""]),
    ):
        with pytest.raises(LabFault) as fault:
            misuse()
        assert not fault.value.suspect
    with pytest.raises(UsageError, match="no knock is called"):
        adversary.knock(device, "politely")


def test_guesses_at_a_code_are_all_wrong_and_all_different(adversary: LabAdversary) -> None:
    from device_drivers.utrn import parse_utrn

    device: Any = SimpleNamespace(device_id="00-DB-12-34-56-78-90-A0")
    guesses = adversary.utrns(device, 500, 20)
    assert len(set(guesses)) == 20
    for guess in guesses:
        with pytest.raises(ValueError, match="not for this meter"):
            parse_utrn(device.device_id, guess)
