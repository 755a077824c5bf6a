"""Secrets never reach a record: the one place where they are taken out of what is about to be written.

A process says once, with :func:`hide_secrets_of`, which secrets its lab refers to. From then on journals,
evidence and reports of tests have asterisks where one of them stood, as many as it had characters:

- as it is, and without white space at its ends;
- as Python or JSON show it, and as they show what they have shown;
- escaped for XML or HTML, its quotes in any of the usual ways;
- percent-encoded, as a part of a path, of a query or of a form;
- in hexadecimal digits, small, large or mixed, with nothing, a space, ``:``, ``-`` or ``_`` between bytes,
  and as ``0x01,0x02``;
- in base64, whatever it is a part of, and wherever lines end in that.

Not looked for: what is compressed or encrypted, decimal numbers of bytes, base32, UTF-16, a text in other
capitals, and any form that nobody has named above.

What is shorter than :data:`SHORTEST` bytes, or has fewer than :data:`FEWEST` different ones, cannot be told
from ordinary content and is left: ``00000000`` is no secret.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from harness.domain.errors import ConfigurationError
from harness.domain.references import secret_references
from harness.records.canonical import canonical_of_plain

SHORTEST: Final = 6
FEWEST: Final = 4
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_LEFT_OUT: Final = b"\\\r\n :-_,"  # what escaping adds, and what stands between digits and lines
_NO_BYTE: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_SMALL: Final = bytes(range(256)).lower()
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
        self._forms: tuple[_Form, ...] = ()  # the longest first, so that none hides a part of another
        self._looked_for: tuple[tuple[bytes, bool, _Form], ...] = ()  # folded, and whether lines end in it
        self._texts: tuple[str, ...] = ()
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
        self._forms = tuple(sorted({*forms, *self._forms}, key=lambda form: (-len(form.text), form.text)))
        self._looked_for = tuple((_folded(_as_bytes(f.text)), f.made is _over_lines, f) for f in self._forms)
        self._texts = tuple(dict.fromkeys(text for form in self._forms for text in (form.text, *form.others)))

    @property
    def knows_any(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._forms)

    def reveals(self, content: bytes) -> bool:
        """Whether a secret stands in the content, in any form."""
        return any(form.pattern.search(content) for form in self._likely(content))

    def of_bytes(self, content: bytes) -> bytes:
        """The content without secrets, and as long as it was: a capture, which counts bytes, can be read."""
        for form in self._likely(content):
            content = form.pattern.sub(lambda found: b"*" * len(found[0]), content)
        return content

    def _likely(self, content: bytes) -> list[_Form]:
        """What is worth a closer look, and that is nearly always nothing: this is the cost of each event."""
        folded = unwrapped = _folded(content)
        if rb"\n" in content:  # a line end that is shown in a string: base64 goes on after it
            unwrapped = _folded(content.replace(rb"\r", b"").replace(rb"\n", b""))
        return [
            form
            for literal, over_lines, form in self._looked_for
            if literal in (unwrapped if over_lines else folded)
        ]

    def of_text(self, text: str) -> str:
        """The text without secrets, nor what an ellipsis has left of one."""
        for form in self._likely(_as_bytes(text)) if self._forms else ():
            text = form.text_pattern.sub(lambda found: "*" * len(found[0]), text)
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
        yield from {secret, secret.strip()}
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


@dataclass(frozen=True)
class _Form:
    """One of the ways in which a secret is written.

    Folded, it stands in folded content wherever its pattern is found in the content, and seldom elsewhere. So
    many ways are looked for at once, and patterns are made only where there is something to hide.
    """

    text: str
    made: Callable[[str], str]  # its pattern
    others: tuple[str, ...] = ()  # ways of writing it that are the same folded

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        return re.compile(_as_bytes(self.made(self.text)))

    @cached_property
    def text_pattern(self) -> re.Pattern[str]:
        return re.compile(self.made(self.text))


def _folded(content: bytes) -> bytes:
    """In small letters, and without what may stand between two of them."""
    return content.translate(_SMALL, _LEFT_OUT)


def _as_bytes(text: str) -> bytes:
    """As :func:`os.fsencode` has it; a surrogate that is no byte of anything is in no secret."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return _NO_BYTE.sub("?", text).encode("utf-8", "surrogateescape")


def _forms(secret: bytes) -> Iterator[_Form]:
    if len(secret) < SHORTEST or len(set(secret)) < FEWEST:
        return
    text = secret.decode("utf-8", "surrogateescape")
    shown = {repr(secret)[2:-1], repr(text)[1:-1], json.dumps(text)[1:-1], *_for_xml(text), *_percent(secret)}
    shown.add(text.encode("unicode_escape").decode())  # as pytest has it in an id
    yield from (_Form(each, _however_escaped) for each in {text, *shown})
    digits = [secret.hex(), *(secret.hex(between) for between in " :-_")]
    yield _Form(digits[0], _of_digits, (*digits, *(each.upper() for each in digits)))
    numbers = [f"0x{byte:02x}" for byte in secret]
    yield _Form(",".join(numbers), _of_numbers, (", ".join(numbers),))
    yield from (_Form(each.decode(), _over_lines) for each in _in_base64(secret))


def _for_xml(text: str) -> Iterator[str]:
    """As it stands in XML and HTML: in content, and in attributes, where quotes are escaped as well."""
    content = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for double in ('"', "&quot;", "&#34;"):
        for single in ("'", "&apos;", "&#39;", "&#x27;"):
            escaped = content.replace("'", single).replace('"', double)
            yield escaped
            with suppress(UnicodeEncodeError):  # bytes that are no text
                yield escaped.encode("ascii", "xmlcharrefreplace").decode()


def _percent(secret: bytes) -> Iterator[str]:
    """As it stands in a URL, by what is left as it is there; in a form, a space is a plus."""
    from urllib.parse import quote, quote_plus

    for kept in ("", "/", "!'()*", "!$&'()*+,;=:@/?"):
        yield quote(secret, safe=kept)
    yield quote_plus(secret)


def _of_digits(digits: str) -> str:
    """A pattern of bytes in hexadecimal, whatever stands between two of them.

    >>> bool(re.fullmatch(_of_digits("0abc"), "0A:bC"))
    True
    """
    return f"(?i:{'[ :_-]?'.join(re.findall('..', digits))})"


def _of_numbers(numbers: str) -> str:
    return f"(?i:{numbers.replace(',', ', ?')})"


def _over_lines(base64: str) -> str:
    r"""A pattern of it, wherever lines end in it, shown in a string or not.

    >>> bool(re.fullmatch(_over_lines("YWJj"), "YW\r\nJj"))
    True
    """
    return r"(?:[\r\n]|\\+[rn])*".join(re.escape(character) for character in base64)


def _however_escaped(text: str) -> str:
    r"""A pattern of the text, and of what showing it in a string, in a string and so on, makes of it.

    Percent-encoding has small digits or large ones.

    >>> bool(re.fullmatch(_however_escaped('a"b'), r'a\\\"b'))
    True
    >>> bool(re.fullmatch(_however_escaped("a%2Fb"), "a%2fb"))
    True
    """
    parts = re.split(r"(\\+|[\"']|%[0-9A-F]{2})", text)
    return "".join(_part_however_escaped(part) for part in parts)


def _part_however_escaped(part: str) -> str:
    match part[:1]:
        case "\\":
            return r"\\+"
        case '"' | "'":
            return r"\\*" + part
        case "%" if len(part) == len("%2F"):
            return f"(?i:{part})"
        case _:
            return re.escape(part)


def _in_base64(secret: bytes) -> Iterator[bytes]:
    """As it stands in the base64 of whatever it is a part of: there are three ways, by where it begins."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret + bytes(-(before + len(secret)) % 3))
        first = -(-before * 8 // 6)  # characters that what stands before has a part in
        last = (before + len(secret)) * 8 // 6  # the first one that what follows has a part in
        if last - first >= SHORTEST:
            yield whole[first:last]
            yield whole[first:last].replace(b"+", b"-").replace(b"/", b"_")
