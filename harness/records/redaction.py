"""Secrets never reach a record: the one place where they are taken out of what is about to be written.

A process says once, with :func:`hide_secrets_of`, which secrets its lab refers to. From then on journals,
evidence and reports of tests have asterisks where one of them stood, as many as it had characters: as it is,
as Python or JSON show it, in hexadecimal digits, with or without spaces, and in base64.

What is shorter than :data:`SHORTEST` bytes, or has fewer than :data:`FEWEST` different ones, cannot be told
from ordinary content and is left: ``00000000`` is no secret.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from harness.domain.errors import ConfigurationError
from harness.domain.references import secret_references
from harness.records.canonical import canonical_of_plain

SHORTEST: Final = 6
FEWEST: Final = 4
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_TO_ESCAPE: Final = re.compile(r"[\\\"']")
_ELLIPSIS: Final = re.compile(r"…|\.\.\.")
_FEW: Final = 8  # characters of a secret, beside an ellipsis, that may as well be something else
_PASSWORD: Final = re.compile(rb"://[^/@:]*:([^/@]+)@")  # of a URL
_PEM_LINE: Final = 16  # characters: a last line that is shorter says nothing


def read_reference(reference: str) -> bytes:
    """The content of a file, or of a variable of the environment, without the line end at its end.

    :class:`ConfigurationError` names the reference where there is nothing.
    """
    scheme, _, name = reference.partition(":")
    try:
        if scheme == "file":
            return Path(name).read_bytes().rstrip(b"\r\n")
        return os.environ[name].encode("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigurationError(f"{reference} cannot be read: {error.strerror}") from None
    except KeyError:
        raise ConfigurationError(f"{reference} is not set", remedy="set it for the harness") from None


class Redactor:
    """Knows secrets, and takes them out of text, bytes and values of JSON."""

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        self._forms: tuple[bytes, ...] = ()  # the longest first, so that none hides a part of another
        self._texts: tuple[str, ...] = ()
        self._escaped: tuple[re.Pattern[bytes], ...] = ()  # of the forms that may be escaped, once or more
        self._escaped_texts: tuple[re.Pattern[str], ...] = ()
        self._referred: dict[str, bytes] = {}  # secrets, by the reference that leads to each
        self.learn(secrets)

    def learn_referred(self, secrets: Mapping[str, bytes]) -> None:
        """Hide these as well, each known by its reference."""
        self._referred |= secrets
        self.learn(secrets.values())

    def reference_in(self, content: bytes) -> str:
        """The reference of a secret that stands in the content; "" where it is not known by one."""
        of = (
            reference for reference, secret in self._referred.items() if Redactor([secret]).reveals(content)
        )
        return next(of, "")

    def learn(self, secrets: Iterable[bytes]) -> None:
        """Hide these as well."""
        forms = {form for secret in secrets for part in _parts(secret) for form in _forms(part)}
        self._forms = tuple(sorted(forms | set(self._forms), key=lambda form: (-len(form), form)))
        self._texts = tuple(form.decode("utf-8", "surrogateescape") for form in self._forms)
        escaped = [text for text in self._texts if _TO_ESCAPE.search(text)]
        self._escaped_texts = tuple(re.compile(_however_escaped(text)) for text in escaped)
        self._escaped = tuple(
            re.compile(_however_escaped(text).encode("utf-8", "surrogateescape")) for text in escaped
        )

    @property
    def knows_any(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._forms)

    def reveals(self, content: bytes) -> bool:
        """Whether a secret stands in the content, in any form."""
        return any(form in content for form in self._forms) or any(
            pattern.search(content) for pattern in self._escaped
        )

    def of_bytes(self, content: bytes) -> bytes:
        """The content without secrets, and as long as it was: a capture, which counts bytes, can be read."""
        for form in self._forms:
            if form in content:
                content = content.replace(form, b"*" * len(form))
        for pattern in self._escaped:
            content = pattern.sub(lambda found: b"*" * len(found[0]), content)
        return content

    def of_text(self, text: str) -> str:
        """The text without secrets, nor what an ellipsis has left of one."""
        for form in self._texts:
            if form in text:
                text = text.replace(form, "*" * len(form))
        for pattern in self._escaped_texts:
            text = pattern.sub(lambda found: "*" * len(found[0]), text)
        if self._texts and _ELLIPSIS.search(text):
            text = self._without_rests(text)
        return text

    def _without_rests(self, text: str) -> str:
        """Values are shortened before they come here: a secret may have lost its end, or its beginning."""
        for cut in _ELLIPSIS.finditer(text):  # what is hidden is as long as it was: places stay
            for form in self._texts:
                before = _overlap(text[: cut.start()], form)
                after = _overlap(text[cut.end() : cut.end() + len(form)][::-1], form[::-1])
                hidden = "*" * before + cut[0] + "*" * after
                text = text[: cut.start() - before] + hidden + text[cut.end() + after :]
        return text

    def of_plain(self, value: Any) -> Any:
        """A value that is JSON already, without secrets; the value itself where it has none."""
        if self.knows_any and self.may_reveal(canonical_of_plain(value)):
            return self._walk(value)
        return value

    def canonical(self, value: Any) -> bytes:
        """The canonical JSON of a value that is JSON already, without secrets."""
        content = canonical_of_plain(value)
        if self.may_reveal(content):
            return canonical_of_plain(self._walk(value))
        return content

    def may_reveal(self, content: bytes) -> bool:
        """Whether canonical JSON has to be looked at value by value."""
        return self.knows_any and (b"..." in content or "…".encode() in content or self.reveals(content))

    def _walk(self, value: Any) -> Any:
        match value:
            case str():
                return self.of_text(value)
            case dict():
                return {self.of_text(name): self._walk(item) for name, item in value.items()}
            case list():
                return [self._walk(item) for item in value]
            case int() if not isinstance(value, bool) and self.reveals(str(value).encode()):
                return self.of_text(str(value))
            case _:
                return value


def _overlap(text: str, form: str) -> int:
    """How many characters at the end of the text are the beginning of the form; 0 where they are few.

    >>> _overlap("the key is 0123456789", "0123456789abcdef")
    10
    """
    start = text.rfind(form[:_FEW], max(0, len(text) - len(form)))
    if start < 0 or not form.startswith(text[start:]):
        return 0
    return len(text) - start


hidden: Final = Redactor()
"""What this process knows. A process has one, for a secret is one whoever writes it down."""


def hide_secrets_of(lab: object) -> None:
    """Know from now on what the references of a lab, or of a part of one, lead to.

    What cannot be read is no secret yet; whoever needs it says so.
    """
    hidden.learn_referred(secrets_of(lab))


def secrets_of(lab: object) -> Mapping[str, bytes]:
    """What the references of secrets in a lab lead to, by reference, as far as they can be read."""
    found = {}
    for reference in secret_references(lab):
        with suppress(ConfigurationError):
            found[reference] = read_reference(reference)
    return found


def _parts(secret: bytes) -> Iterator[bytes]:
    """What to look for: of a PEM file its private keys line by line, of a key in hexadecimal its bytes.

    Of a URL, its password as well.
    """
    if b"-----BEGIN" not in secret:
        yield secret
        if (in_url := _PASSWORD.search(secret)) is not None:
            from urllib.parse import unquote_to_bytes

            yield from {in_url[1], unquote_to_bytes(in_url[1])}
        with suppress(ValueError):
            yield bytes.fromhex(secret.decode("ascii"))
        return
    for kind, body in _PEM.findall(secret):
        if b"PRIVATE" in kind:
            lines = body.split()
            yield from (line for line in lines if len(line) >= _PEM_LINE)
            with suppress(ValueError):
                yield base64.b64decode(b"".join(lines))


def _forms(secret: bytes) -> Iterator[bytes]:
    if len(secret) < SHORTEST or len(set(secret)) < FEWEST:
        return
    text = secret.decode("utf-8", "surrogateescape")
    yield secret
    for shown in (repr(secret)[2:-1], repr(text)[1:-1], json.dumps(text)[1:-1]):
        yield shown.encode("utf-8", "surrogateescape")
    for digits in (secret.hex(), secret.hex(" "), secret.hex(":"), secret.hex("-")):
        yield digits.encode()
        yield digits.upper().encode()
    yield from _in_base64(secret)


def _however_escaped(text: str) -> str:
    r"""A pattern of the text, and of what showing it in a string, in a string and so on, makes of it.

    >>> bool(re.fullmatch(_however_escaped('a"b'), r'a\\\"b'))
    True
    """
    parts = re.split(r"(\\+|[\"'])", text)
    return "".join(
        r"\\+" if part.startswith("\\") else r"\\*" + part if part in {'"', "'"} else re.escape(part)
        for part in parts
    )


def _in_base64(secret: bytes) -> Iterator[bytes]:
    """As it stands in the base64 of whatever it is a part of: there are three ways, by where it begins."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret + bytes(-(before + len(secret)) % 3))
        first = -(-before * 8 // 6)  # characters that what stands before has a part in
        last = (before + len(secret)) * 8 // 6  # the first one that what follows has a part in
        if last - first >= SHORTEST:
            yield whole[first:last]
            yield whole[first:last].replace(b"+", b"-").replace(b"/", b"_")
