"""Secrets by reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_drivers.secrets import resolve, resolve_key, resolve_private
from harness.domain.errors import ConfigurationError


def test_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_PASSWORD", "open sesame")
    assert resolve("env:LAB_PASSWORD") == b"open sesame"


def test_a_secret_comes_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"open sesame\n")
    assert resolve(f"file:{tmp_path}/password") == b"open sesame"


def test_a_relative_path_starts_at_the_lab_file(tmp_path: Path) -> None:
    (tmp_path / "meter.key").touch(mode=0o600)
    (tmp_path / "meter.key").write_text("00112233445566778899aabbccddeeff\n")
    assert resolve_key("file:meter.key", 16, base=tmp_path).hex() == "00112233445566778899aabbccddeeff"


@pytest.mark.parametrize("reference", ["", "hunter2", "env:", "file:", "http://somewhere"])
def test_what_is_no_reference_is_refused_without_being_repeated(reference: str) -> None:
    with pytest.raises(ConfigurationError, match="must be a reference") as refusal:
        resolve(reference)
    assert "hunter2" not in str(refusal.value)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(ConfigurationError, match="NOT_SET is not set"):
        resolve("env:NOT_SET")
    with pytest.raises(ConfigurationError, match=r"no\.key cannot be read: No such file"):
        resolve("file:no.key", base=tmp_path)


@pytest.mark.parametrize("content", ["0011", "zz" * 16, "00" * 17])
def test_a_key_of_the_wrong_length_is_refused_without_being_shown(tmp_path: Path, content: str) -> None:
    (tmp_path / "bad.key").touch(mode=0o600)
    (tmp_path / "bad.key").write_text(content)
    with pytest.raises(ConfigurationError, match="not 16 bytes in hexadecimal") as refusal:
        resolve_key("file:bad.key", 16, base=tmp_path)
    assert content not in str(refusal.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_private_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "meter.key").write_text("00112233445566778899aabbccddeeff")
    (tmp_path / "meter.key").chmod(mode)
    message = rf"meter\.key can be read by others \(mode {mode:o}\) \(chmod 600 {tmp_path}/meter\.key\)"
    with pytest.raises(ConfigurationError, match=message):
        resolve_private("file:meter.key", base=tmp_path)
    with pytest.raises(ConfigurationError, match=message):
        resolve_key("file:meter.key", 16, base=tmp_path)
    assert resolve("file:meter.key", base=tmp_path), "a certificate is for everybody"
