"""Towards a gateway outside both ends prove who they are, unless the lab file says that they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import load_lab
from harness.domain.errors import ConfigurationError

TLS = {"ca": "file:ca.pem", "certificate": "file:tls.pem", "key": "file:tls.key"}


def with_gateway(lab: Path, gateway: str, *lines: str) -> Path:
    """The lab behind that gateway."""
    told = "\n  ".join((f"gateway: {gateway}", *lines))
    lab.write_text(lab.read_text().replace("gateway: http://127.0.0.1:1", told))
    return lab


@pytest.mark.parametrize("lacking", TLS)
def test_https_needs_the_certificates_of_both_ends(real_lab: Path, lacking: str) -> None:
    named = ", ".join(f"{name}: {reference}" for name, reference in TLS.items() if name != lacking)
    with pytest.raises(ConfigurationError) as caught:
        load_lab(with_gateway(real_lab, "https://192.0.2.1", f"tls: {{{named}}}"))
    assert str(caught.value) == (
        f"lab.yaml:6: dcc.tls: names no {lacking}, and the gateway is https "
        "(name ca, certificate and key by reference: both ends prove who they are)"
    )


def test_https_without_any(real_lab: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"lab\.yaml:4: dcc\.tls: names no ca and no certificate and no key"
    ):
        load_lab(with_gateway(real_lab, "https://192.0.2.1"))


def test_https_with_all_three(real_lab: Path) -> None:
    named = ", ".join(f"{name}: {reference}" for name, reference in TLS.items())
    lab = load_lab(with_gateway(real_lab, "https://192.0.2.1", f"tls: {{{named}}}"))
    assert set(lab.dcc.tls) == set(TLS)


@pytest.mark.parametrize(
    "gateway", ["http://192.0.2.10:8079", "http://127.0.0.1.example", "http://[::2]", "http://[x"]
)
def test_plain_http_to_another_computer_is_refused(real_lab: Path, gateway: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_lab(with_gateway(real_lab, f'"{gateway}"'))
    assert str(caught.value) == (
        "lab.yaml:5: dcc.gateway: plain http to another computer can be read and changed on the way "
        "(use https and tls:, or add plain_http: true if the network between is the lab's alone)"
    )


def test_plain_http_that_the_lab_file_says_on_purpose(real_lab: Path) -> None:
    assert load_lab(with_gateway(real_lab, "http://192.0.2.10:8079", "plain_http: true")).dcc.plain_http


@pytest.mark.parametrize("gateway", ["http://127.0.0.2:1", "http://localhost", "http://[::1]:8079/dcc"])
def test_plain_http_within_this_computer(real_lab: Path, gateway: str) -> None:
    assert not load_lab(with_gateway(real_lab, f'"{gateway}"')).dcc.plain_http
