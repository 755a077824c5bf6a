"""Keys of a simulated lab: made once, kept for themselves, and good for mutual TLS."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509

from device_drivers.dcc.pki import SimulatedPki, client_context, server_context
from harness.domain.errors import ConfigurationError

USER = "90-B3-D5-1F-30-01-00-00"


def test_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    first = SimulatedPki(tmp_path).user("IS", USER)
    assert SimulatedPki(tmp_path).user("IS", USER) == first
    assert SimulatedPki(tmp_path / "other").user("IS", USER) != first


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    pki = SimulatedPki(tmp_path / "keys")
    pki.user("IS", USER)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").glob("*.key")}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_a_certificate_names_its_user_as_smki_does(tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(SimulatedPki(tmp_path).user("IS", USER).certificate)
    names = {name.oid.dotted_string: name.value for name in certificate.subject}
    assert names == {"2.5.4.11": "87", "2.5.4.3": "IS", "2.5.4.45": bytes.fromhex(USER.replace("-", ""))}
    assert certificate.serial_number < 2**128


def test_eight_threads_that_ask_at_once_get_the_same_key(tmp_path: Path) -> None:
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(SimulatedPki(tmp_path).user("IS", USER)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as secured:
                secured.recv(1)
        except (ssl.SSLError, ConnectionError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname="127.0.0.1") as secured:
            secured.sendall(b"x")
            if secured.recv(1) == b"":
                return
    finally:
        ours.close()
        thread.join()


def test_both_ends_of_a_lab_trust_each_other(tmp_path: Path) -> None:
    pki = SimulatedPki(tmp_path)
    server = server_context(*pki.tls("gateway"), pki.tls_authority)
    handshake(server, client_context(pki.tls_authority, pki.tls("user")))


def test_a_client_of_another_lab_is_refused(tmp_path: Path) -> None:
    pki, other = SimulatedPki(tmp_path / "a"), SimulatedPki(tmp_path / "b")
    server = server_context(*pki.tls("gateway"), pki.tls_authority)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(server, client_context(pki.tls_authority, other.tls("user")))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(server, client_context(pki.tls_authority, None))


def test_a_server_of_another_lab_is_refused(tmp_path: Path) -> None:
    pki, other = SimulatedPki(tmp_path / "a"), SimulatedPki(tmp_path / "b")
    server = server_context(*other.tls("gateway"), pki.tls_authority)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client_context(pki.tls_authority, pki.tls("user")))


def test_a_key_of_another_certificate_is_a_configuration_error(tmp_path: Path) -> None:
    pki = SimulatedPki(tmp_path)
    with pytest.raises(ConfigurationError, match="belong together"):
        server_context(pki.tls("gateway")[0], pki.tls("user")[1], None)
