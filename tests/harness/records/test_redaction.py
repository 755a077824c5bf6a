"""A secret is taken out of what is written, whatever it is dressed up as, and nothing else is."""

from __future__ import annotations

import base64
import html
import json
import subprocess
import textwrap
from dataclasses import replace
from pathlib import Path
from random import Random
from urllib.parse import quote, quote_plus
from xml.sax import saxutils

import pytest

from harness.domain.lab import Controller, DlmsSecurity, Door, Lab, ServiceUserIdentity
from harness.domain.references import secret_references
from harness.domain.words import UserRole
from harness.records.redaction import Redactor, secrets_of

PASSWORD = b'pa"ss\\w\xc3\xb6rd'
KEY = Random(7).randbytes(16)


@pytest.fixture
def redactor() -> Redactor:
    """Knows a password that has to be escaped, and a key as it stands in its file."""
    return Redactor([PASSWORD, KEY.hex().encode()])


@pytest.mark.parametrize(
    "shown",
    [
        PASSWORD.decode(),
        repr(PASSWORD),
        repr(PASSWORD.decode()),
        repr([PASSWORD]),
        json.dumps(PASSWORD.decode()),
        json.dumps(PASSWORD.decode(), ensure_ascii=False),
        json.dumps(repr(PASSWORD)),
        PASSWORD.hex(),
        PASSWORD.hex(" ").upper(),
        KEY.hex(),
        KEY.hex().upper(),
        KEY.hex(" "),
        KEY.hex("-").upper(),
        KEY.hex(":"),
        repr(KEY),
        repr(b"before" + KEY + b"after"),
        KEY.hex().encode().hex(),
        base64.b64encode(KEY.hex().encode()).decode(),
        base64.urlsafe_b64encode(KEY).decode(),
        *(base64.b64encode(b"x" * n + KEY + b"y" * n).decode() for n in range(4)),
    ],
)
def test_a_secret_is_hidden_in_every_form(redactor: Redactor, shown: str) -> None:
    hidden = redactor.of_text(f"it was {shown}!")
    assert hidden.startswith("it was ")
    assert hidden.endswith("!")
    assert len(hidden) == len(f"it was {shown}!")
    assert not redactor.reveals(hidden.encode())
    assert hidden.count("*") >= 8


MARKED_UP = b'<a\'b & "c">'


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        (MARKED_UP, html.escape(MARKED_UP.decode())),
        (MARKED_UP, html.escape(MARKED_UP.decode(), quote=False)),
        (MARKED_UP, saxutils.quoteattr(MARKED_UP.decode() + "'")[1:-2]),
        (MARKED_UP, "&lt;a&apos;b &amp; &quot;c&quot;&gt;"),
        (MARKED_UP, "&lt;a&#39;b &amp; &#34;c&#34;&gt;"),
        (MARKED_UP, json.dumps(html.escape(MARKED_UP.decode(), quote=False))[1:-1]),
        ("caf\u00e9 noir".encode(), r"caf\xe9 noir"),
        (PASSWORD, "pa&quot;ss\\w&#246;rd"),
        (b"at/ 50% & more", quote("at/ 50% & more")),
        (b"at/ 50% & more", quote("at/ 50% & more", safe="")),
        (b"at/ 50% & more", quote_plus("at/ 50% & more")),
        (b"at/ 50%", quote("at/ 50%", safe="").lower()),
        (b" correct horse\t", "correct horse"),
        (KEY, KEY.hex("_")),
        (KEY, "".join(pair.upper() if at % 3 else pair for at, pair in enumerate(KEY.hex(" ").split()))),
        (KEY, ",".join(f"0x{byte:02x}" for byte in KEY)),
        (KEY, ", ".join(f"0x{byte:02X}" for byte in KEY)),
        (KEY * 7, base64.encodebytes(KEY * 7).decode().rstrip()),
        (KEY * 7, "\r\n".join(textwrap.wrap(base64.b64encode(KEY * 7).decode(), 64))),
        (KEY * 7, repr(base64.encodebytes(KEY * 7).rstrip())[2:-1]),
    ],
)  # fmt: skip
def test_a_secret_is_hidden_as_it_is_escaped_wrapped_and_written_by_others(secret: bytes, shown: str) -> None:
    redactor = Redactor([secret])
    hidden = redactor.of_text(f"it was {shown}!")
    assert len(hidden) == len(f"it was {shown}!")
    assert set(hidden[7:-1].rstrip("Q=")) == {"*"}  # "Q" has a part in what follows
    assert redactor.reveals(shown.encode())
    assert redactor.of_plain({"it was": shown}) == {"it was": hidden[7:-1]}
    assert not redactor.reveals(redactor.of_bytes(shown.encode()))


@pytest.mark.parametrize("at", range(60))
def test_a_secret_anywhere_in_a_wrapped_message_is_hidden(at: int) -> None:
    redactor = Redactor([KEY])
    message = base64.encodebytes(bytes(at) + KEY + bytes(60)).decode()
    for told in (message, repr(message), json.dumps({"trace": message})):
        assert redactor.reveals(told.encode())
        assert redactor.of_text(told).count("*") >= 19
    assert "*" * 19 in redactor.of_plain([message])[0]


def test_what_differs_in_more_than_its_dress_is_no_secret() -> None:
    redactor = Redactor([b"Correct-Horse 7"])
    for text in ("correct-horse 7", "Correct_Horse:7", "CorrectHorse7", "Correct-\nHorse 7"):
        assert redactor.of_text(text) == text
        assert not redactor.reveals(text.encode())


def test_text_that_is_no_unicode_is_looked_through_as_well() -> None:
    redactor = Redactor([b"\xffcorrect horse"])
    assert redactor.of_text("\ud800 \udcffcorrect horse") == "\ud800 **************"


def test_bytes_keep_their_length_so_that_a_capture_can_be_read(redactor: Redactor) -> None:
    frame = b"\x00\x01" + KEY + b"\x02" + PASSWORD
    assert redactor.of_bytes(frame) == b"\x00\x01" + b"*" * 16 + b"\x02" + b"*" * len(PASSWORD)


@pytest.mark.parametrize("ellipsis", ["…", "...", "…(512 characters)…"])
def test_what_an_ellipsis_has_left_of_a_secret_is_hidden_too(redactor: Redactor, ellipsis: str) -> None:
    text = f"found {KEY.hex()[:20]}{ellipsis}{KEY.hex()[-12:]}, and 12…34"
    hidden = f"found {'*' * 20}{ellipsis}{'*' * 12}, and 12…34"
    assert redactor.of_text(text) == hidden
    assert redactor.of_plain({"message": text}) == {"message": hidden}


def test_values_of_json_stay_what_they_are(redactor: Redactor) -> None:
    value = {"n": 1, "held": True, "found": [KEY.hex(), 2.5, None], PASSWORD.decode(): {"x": "plain"}}
    hidden = redactor.of_plain(value)
    assert hidden == {
        "n": 1,
        "held": True,
        "found": ["*" * 32, 2.5, None],
        "*" * len(PASSWORD.decode()): {"x": "plain"},
    }
    untouched = {"n": 1}
    assert redactor.of_plain(untouched) is untouched


def test_digits_that_are_a_password_are_hidden_as_a_number_too() -> None:
    assert Redactor([b"39284756"]).of_plain({"pin": 39284756, "on": True}) == {"pin": "********", "on": True}


@pytest.mark.parametrize("secret", [b"", b"12345", b"00000000", b"abababab"])
def test_what_cannot_be_told_from_ordinary_content_is_left(secret: bytes) -> None:
    text = "00000000 abababab 12345678"
    assert Redactor([secret]).of_text(text) == text


def test_of_a_pem_file_the_private_keys_are_hidden_and_certificates_are_not(tmp_path: Path) -> None:
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=lab -days 1"
    made = [*command.split(), "-keyout", tmp_path / "key.pem", "-out", tmp_path / "certificate.pem"]
    subprocess.run(made, check=True, capture_output=True)
    key, certificate = (tmp_path / "key.pem").read_bytes(), (tmp_path / "certificate.pem").read_bytes()
    redactor = Redactor([key + certificate])
    assert redactor.of_bytes(certificate) == certificate
    lines = key.decode().splitlines()[1:-1]
    assert all(line not in redactor.of_text(f"{key!r} {key.decode()}") for line in lines if len(line) > 16)
    whole = base64.b64decode("".join(lines))
    assert redactor.of_text(whole.hex()) == "*" * 2 * len(whole)


def test_of_a_url_the_password_is_hidden_by_itself_too_escaped_and_not() -> None:
    redactor = Redactor([b"postgresql://lab:s%40fe-enough@db.example/rigs"])
    for shown in ("postgresql://lab:s%40fe-enough@db.example/rigs", "s%40fe-enough", "s@fe-enough"):
        assert redactor.of_text(f"it was {shown}!") == f"it was {'*' * len(shown)}!"
    assert redactor.of_text("lab at db.example") == "lab at db.example"


def test_every_secret_that_a_lab_refers_to_is_known_and_nothing_public(
    fabricated_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EK", "0123456789abcdef0123456789abcdef")
    (tmp_path / "password").write_text("in a file\n")
    rig = fabricated_lab.rigs[0]
    type_, device = next(iter(rig.devices.items()))
    security = DlmsSecurity(encryption_key="env:EK", password=f"file:{tmp_path / 'password'}")
    door = Door(transport="theirs", parameters={"login": {"api_token": "env:TOKEN", "user": "env:USER"}})
    rig = replace(
        rig,
        devices={**rig.devices, type_: replace(device, door=door, security=security)},
        controller=Controller(host="c", user="rig", key="file:/ssh.key", known_hosts="file:/hosts"),
        bench={"kind": "theirs", "passwords": ["env:BENCH"]},
    )
    user = ServiceUserIdentity(
        role=UserRole.IS, eui="00", key="file:/signing.key", certificate="file:/signing.pem"
    )
    dcc = replace(
        fabricated_lab.dcc, users=(user,), trust={"dcc": "file:/dcc.pem"}, tls={"key": "file:/tls.key"}
    )
    lab = replace(fabricated_lab, rigs=(rig,), dcc=dcc, evidence_key="file:/sealing.pem")
    assert set(secret_references(lab)) == {
        "env:EK", f"file:{tmp_path / 'password'}", "env:TOKEN", "file:/ssh.key", "env:BENCH",
        "file:/signing.key", "file:/tls.key", "file:/sealing.pem",
    }  # fmt: skip
    assert secrets_of(lab) == {
        "env:EK": b"0123456789abcdef0123456789abcdef",
        f"file:{tmp_path / 'password'}": b"in a file",
    }
