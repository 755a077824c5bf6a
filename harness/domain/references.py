"""References to secrets: a lab file names where one is (``env:NAME``, ``file:path``), never what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

_SCHEMES: Final = ("env:", "file:")
_SECRET: Final = re.compile(r"passw|passphrase|secret|token|key$", re.IGNORECASE)


def is_reference(text: str) -> bool:
    """Whether the text names where a secret is kept instead of being one."""
    return any(text.startswith(scheme) and len(text) > len(scheme) for scheme in _SCHEMES)


def names_a_secret(key: str) -> bool:
    """Whether what stands under such a key is a secret.

    >>> [names_a_secret(key) for key in ("password", "encryption_key", "certificate", "known_hosts")]
    [True, True, False, False]
    """
    return bool(_SECRET.search(key))


def secret_references(value: Any, *, secret: bool = False) -> Iterator[str]:
    """Every reference of a secret in a lab, or in a part of one; ``secret`` says that all in it are.

    Certificates and host keys, which are no secrets, stand under other names than secrets do.
    """
    if isinstance(value, str):
        if secret and is_reference(value):
            yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secret_references(item, secret=secret or names_a_secret(str(key)))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secret_references(item, secret=secret)
    elif is_dataclass(value):
        for field in fields(value):
            of_it = field.metadata.get("secret", False) or names_a_secret(field.name)
            yield from secret_references(getattr(value, field.name), secret=secret or of_it)
