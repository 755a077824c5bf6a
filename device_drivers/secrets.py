"""Secrets by reference: configuration names where a key or password is, never what it is.

>>> import os; os.environ["DOCTEST_PASSWORD"] = "12345678"
>>> resolve("env:DOCTEST_PASSWORD")
b'12345678'
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from harness.domain.errors import ConfigurationError

_FORMS: Final = "write env:NAME or file:path"
_OTHERS: Final = 0o077


def resolve(reference: str, *, base: Path | None = None) -> bytes:
    """What stands behind ``env:NAME`` or ``file:path``, without the line end at its end.

    A relative path starts at ``base`` (the lab file's folder). Raises :class:`ConfigurationError`, which
    names the reference and never the secret. A file may be read by others: for what they may not know there
    is :func:`resolve_private`.
    """
    scheme, _, name = reference.partition(":")
    if scheme == "env" and name:
        return _from_environment(name)
    if scheme == "file" and name:
        return _from_file((base or Path()) / name)
    raise ConfigurationError("a secret must be a reference, and this is none", remedy=_FORMS)


def resolve_private(reference: str, *, base: Path | None = None) -> bytes:
    """As :func:`resolve`, for keys and passwords; :class:`ConfigurationError` if others may read the file."""
    secret = resolve(reference, base=base)
    scheme, _, name = reference.partition(":")
    path = (base or Path()) / name
    if scheme == "file" and (mode := path.stat().st_mode) & _OTHERS:
        raise ConfigurationError(
            f"the secret's file {path} can be read by others (mode {mode & 0o777:o})",
            remedy=f"chmod 600 {path}",
        )
    return secret


def resolve_key(reference: str, length: int, *, base: Path | None = None) -> bytes:
    """A key of ``length`` bytes that is kept as hexadecimal digits."""
    text = resolve_private(reference, base=base)
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != length:
        raise ConfigurationError(
            f"the key at {reference} is not {length} bytes in hexadecimal",
            remedy=f"keep it as {2 * length} hexadecimal digits",
        )
    return key


def _from_environment(name: str) -> bytes:
    try:
        return os.environ[name].encode()
    except KeyError:
        raise ConfigurationError(
            f"the environment variable {name} is not set", remedy="set it for the harness"
        ) from None


def _from_file(path: Path) -> bytes:
    try:
        return path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise ConfigurationError(
            f"the secret's file {path} cannot be read: {error.strerror}",
            remedy="create it, readable by you only",
        ) from None
