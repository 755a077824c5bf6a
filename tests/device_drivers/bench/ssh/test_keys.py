from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device_drivers.bench.ssh.controller import SshController
from device_drivers.simulated.controller import TwinController, _make_key
from harness.domain.errors import ConfigurationError, ControllerFault
from tests.device_drivers.bench.ssh.house import Kept

pytestmark = pytest.mark.usefixtures("leaving_nothing")
Open = Callable[..., SshController]


def written(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return f"file:{path}"


def pinned(twin: TwinController) -> str:
    return Path(twin.settings.known_hosts.removeprefix("file:")).read_text()


def test_it_signs_on_with_the_labs_key_and_tells_what_is_there(controller: SshController, kept: Kept) -> None:
    assert controller.probe().startswith("OpenSSH_")
    assert ", ssh-ed25519 SHA256:" in controller.probe()
    assert len(kept.told("signed on: ssh ")) == 1


def test_another_host_key_than_the_pinned_one_is_refused_before_the_key_is_shown(
    open_it: Open, twin: TwinController, tmp_path: Path
) -> None:
    other = _make_key(tmp_path / "other")
    known = written(tmp_path / "known_hosts", f"[127.0.0.1]:{twin.settings.port} {other}\n")
    before = twin.log.count("publickey")
    with pytest.raises(
        ControllerFault, match=r"is not the one that is pinned .*somebody else answers"
    ) as caught:
        open_it(known_hosts=known).run("true")
    assert "ssh-keyscan" in caught.value.remedy
    assert twin.log.count("publickey") == before


def test_a_pin_of_another_kind_of_key_counts_as_another_key(
    open_it: Open, twin: TwinController, tmp_path: Path
) -> None:
    rsa = tmp_path / "rsa"
    subprocess.run(("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", rsa), check=True)
    kind, key = rsa.with_suffix(".pub").read_text().split()[:2]
    known = written(tmp_path / "known_hosts", f"[127.0.0.1]:{twin.settings.port} {kind} {key}\n")
    with pytest.raises(ControllerFault, match=r"it has ssh-ed25519 .* pinned is ecdsa-sha2-nistp256"):
        open_it(known_hosts=known).run("true")


@pytest.mark.parametrize("others", ["", "# nobody yet\n", "[127.0.0.1]:1 {key}\n", "127.0.0.1 {key}\n"])
def test_a_host_key_that_nobody_pinned_is_refused(
    open_it: Open, twin: TwinController, tmp_path: Path, others: str
) -> None:
    key = pinned(twin).split(maxsplit=1)[1]
    known = written(tmp_path / "known_hosts", others.format(key=key))
    with pytest.raises(
        ControllerFault, match=r"is not pinned in file:.*SHA256:.*ssh-keyscan -p \d+ 127"
    ) as caught:
        open_it(known_hosts=known).run("true")
    assert "ssh_host_ed25519_key.pub" in caught.value.remedy


def test_a_known_hosts_file_may_have_comments_more_hosts_and_hashed_names(
    open_it: Open, twin: TwinController, tmp_path: Path
) -> None:
    names, key = pinned(twin).split(maxsplit=1)
    hashed = tmp_path / "hashed"
    hashed.write_text(pinned(twin))
    subprocess.run(("ssh-keygen", "-q", "-H", "-f", hashed), check=True, capture_output=True)
    for text in (f"# of bay 3\n\n  other,{names}   {key}", hashed.read_text()):
        known = written(tmp_path / "known_hosts", text)
        assert open_it(known_hosts=known).run("true").status == 0


@pytest.mark.parametrize(
    "line",
    [
        "\x00\xff garbage",
        "bay-3 ssh-ed25519",
        "bay-3 ssh-ed25519 notbase64!",
        "bay-3 ssh-dss AAAA",
        "@revoked * ssh-ed25519 {blob}",
        "bay-3 ssh-ed25519 AAAA",
    ],
)
def test_a_known_hosts_line_that_is_no_host_key_is_named(
    open_it: Open, twin: TwinController, tmp_path: Path, line: str
) -> None:
    known = written(
        tmp_path / "known_hosts", f"# of bay 3\n{line.format(blob=pinned(twin).split()[2])}\n{pinned(twin)}"
    )
    with pytest.raises(ConfigurationError, match=r"line 2 of the known_hosts at file:.* is no host key"):
        open_it(known_hosts=known).run("true")


def test_a_key_that_the_controller_does_not_know_is_refused(open_it: Open, tmp_path: Path) -> None:
    _make_key(tmp_path / "stranger")
    with pytest.raises(ControllerFault, match=r"refused the key at file:.*stranger .*authorized_keys"):
        open_it(key=f"file:{tmp_path / 'stranger'}").run("true")


def test_a_user_that_the_controller_does_not_let_in_is_refused(open_it: Open) -> None:
    with pytest.raises(ControllerFault, match="refused the key"):
        open_it(user="nobody-here").run("true")


def test_a_private_key_that_is_not_there_or_none_is_a_fault_of_the_lab_file(
    open_it: Open, twin: TwinController, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        open_it(key=f"file:{tmp_path / 'nothing'}").run("true")
    public = Path(f"{twin.settings.key.removeprefix('file:')}.pub").read_text()
    for text in ("", "no key\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", public):
        with pytest.raises(ConfigurationError, match="is no private key of Ed25519, ECDSA or RSA"):
            open_it(key=written(tmp_path / "key", text)).run("true")


def test_a_private_key_that_others_may_read_is_not_used(open_it: Open, tmp_path: Path) -> None:
    _make_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"can be read by others \(mode 644\) \(chmod 600"):
        open_it(key=f"file:{tmp_path / 'key'}").run("true")


def test_a_private_key_with_a_passphrase_is_not_used(open_it: Open, tmp_path: Path) -> None:
    sealed = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(ConfigurationError, match="has a passphrase"):
        open_it(key=written(tmp_path / "key", sealed.decode())).run("true")


@pytest.mark.parametrize("kind", [("ecdsa",), ("rsa", "-b", "2048"), ("rsa", "-b", "2048", "-m", "PEM")])
def test_keys_of_ecdsa_and_rsa_open_it_too(
    open_it: Open, twin: TwinController, tmp_path: Path, kind: tuple[str, ...]
) -> None:
    mine = tmp_path / "mine"
    subprocess.run(("ssh-keygen", "-q", "-N", "", "-f", mine, "-t", *kind), check=True)
    known = Path(f"{twin.settings.key.removeprefix('file:')}.pub")
    before = known.read_text()
    known.write_text(before + mine.with_suffix(".pub").read_text())
    try:
        assert open_it(key=f"file:{mine}").run("true").status == 0
    finally:
        known.write_text(before)


def test_a_key_may_stand_in_the_environment(
    open_it: Open, twin: TwinController, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Path(twin.settings.key.removeprefix("file:")).read_text()
    monkeypatch.setitem(os.environ, "BAY_3_KEY", key)
    assert open_it(key="env:BAY_3_KEY").run("true").status == 0
