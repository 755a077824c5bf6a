from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.dlms.ciphering import OVERHEAD, DecipheringError, Keys, is_sealed, unwrap, wrap
from harness.domain.errors import ProtocolViolation

# The worked example of the Green Book
KEYS = Keys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
TITLE = bytes.fromhex("4d4d4d0000bc614e")
COUNTER = 0x01234567
PLAIN = bytes.fromhex("c0010000080000010000ff0200")
SEALED = bytes.fromhex("3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b")


def test_the_worked_example_of_the_standard_comes_out() -> None:
    assert KEYS.seal(TITLE, COUNTER, PLAIN) == SEALED
    assert KEYS.unseal(TITLE, SEALED) == (COUNTER, PLAIN)


def test_the_service_specific_form_carries_the_tag_of_its_service() -> None:
    raw = wrap(PLAIN, SEALED, TITLE, general=False)
    assert raw == bytes.fromhex("c81e") + SEALED
    assert unwrap(raw, KEYS, TITLE) == (COUNTER, PLAIN)


def test_the_general_form_carries_the_title() -> None:
    raw = wrap(PLAIN, SEALED, TITLE, general=True)
    assert raw == b"\xdb\x08" + TITLE + b"\x1e" + SEALED
    assert unwrap(raw, KEYS, TITLE) == (COUNTER, PLAIN)


@given(st.binary(min_size=1, max_size=70_000), st.booleans())
def test_ciphering_adds_no_more_than_its_overhead(plain: bytes, general: bool) -> None:
    plain = b"\xc0" + plain[1:]
    raw = wrap(plain, KEYS.seal(TITLE, 1, plain), TITLE, general=general)
    assert len(raw) <= len(plain) + OVERHEAD
    assert is_sealed(raw)
    assert unwrap(raw, KEYS, TITLE) == (1, plain)


@pytest.mark.parametrize("at", range(len(SEALED)))
def test_a_single_altered_bit_is_noticed(at: int) -> None:
    altered = bytearray(SEALED)
    altered[at] ^= 1
    with pytest.raises(DecipheringError):
        KEYS.unseal(TITLE, bytes(altered))


@pytest.mark.parametrize(
    "keys",
    [Keys(bytes(16), KEYS.authentication), Keys(KEYS.encryption, bytes(16))],
    ids=["encryption", "authentication"],
)
def test_another_key_does_not_open_it(keys: Keys) -> None:
    with pytest.raises(DecipheringError, match="another key or altered"):
        keys.unseal(TITLE, SEALED)


def test_what_another_device_sealed_is_refused() -> None:
    raw = wrap(PLAIN, SEALED, TITLE, general=True)
    with pytest.raises(DecipheringError, match="system title"):
        unwrap(raw, KEYS, bytes(8))


def test_a_service_under_the_tag_of_another_is_refused() -> None:
    with pytest.raises(DecipheringError, match="0xcb"):
        unwrap(b"\xcb\x1e" + SEALED, KEYS, TITLE)


def test_only_authenticated_encryption_is_taken() -> None:
    for control in (0x00, 0x10, 0x20, 0x31):
        with pytest.raises(DecipheringError, match="security control"):
            KEYS.unseal(TITLE, bytes((control,)) + SEALED[1:])


def test_every_cut_is_a_violation() -> None:
    raw = wrap(PLAIN, SEALED, TITLE, general=True)
    for end in range(len(raw)):
        with pytest.raises(ProtocolViolation):
            unwrap(raw[:end], KEYS, TITLE)


def test_challenges_are_answered_as_the_standard_shows_it() -> None:
    client = bytes.fromhex("4d4d4d0000000001")
    to_server, to_client = (
        bytes.fromhex("1a52fe7dd3e72748973c1e28"),
        bytes.fromhex("fe1466afb3dbcd4f9389e2b7"),
    )
    assert KEYS.sign_challenge(client, 1, b"P6wRJ21F") == b"\x10\x00\x00\x00\x01" + to_server
    assert KEYS.sign_challenge(TITLE, COUNTER, b"K56iVagY") == b"\x10\x01\x23\x45\x67" + to_client


def test_a_challenge_is_answered_only_by_the_holder_of_the_keys() -> None:
    answer = KEYS.sign_challenge(TITLE, 1, b"P6wRJ21F")
    assert KEYS.challenge_answered(TITLE, b"P6wRJ21F", answer)
    assert not KEYS.challenge_answered(TITLE, b"P6wRJ21G", answer)
    assert not KEYS.challenge_answered(bytes(8), b"P6wRJ21F", answer)
    assert not Keys(KEYS.encryption, bytes(16)).challenge_answered(TITLE, b"P6wRJ21F", answer)
    assert not KEYS.challenge_answered(TITLE, b"P6wRJ21F", answer[:-1])
    assert not KEYS.challenge_answered(TITLE, b"P6wRJ21F", b"")
